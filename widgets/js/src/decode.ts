// Posteriors and thresholds to notes: the rule of amtsep/decoding.py, step by step, in the same 32-bit arithmetic, so that
// both find the same notes (tests/vectors/decoding.json holds them to it). What no threshold changes (peaks, levels) is
// computed once; a slider step only selects.

import { type NoteEncoder, stretches } from "./clustering/encoder";

const f = Math.fround;

export interface Posteriors {
  /** 88 rows of `frames`. */
  onset: Float32Array;
  frame: Float32Array;
  /** Where keys are let go, if the network has learned to hear it. */
  offset?: Float32Array;
  /** `bins` rows of `frames`. */
  spectrogram: Uint8Array;
  /** 88 rows of `frames` of `dim` numbers from -127 to 127, of a network that tells timbres apart. */
  embedding?: Int8Array;
  dim?: number;
  frames: number;
  bins: number;
  perOctave: number;
  /** Seconds from frame to frame, and of the whole. */
  hop: number;
  duration: number;
}

/** Fields of amtsep.config.Decoding. */
export interface Thresholds {
  onset_threshold: number;
  frame_threshold: number;
  min_note_length: number;
  energy_tolerance: number;
  inferred_onsets: boolean;
  leftover_notes: boolean;
  min_pitch: number;
  max_pitch: number;
  ends: string;
  offset_threshold: number;
}

/** The numbers of amtsep.decoding. */
export interface Rule {
  midi_min: number;
  smoothing: number[];
  sure_height: number;
  timing_reach: number;
  peak_floor: number;
  release_reach: number;
  release_s: number;
  level_frames: number;
  loud_velocity: number;
  velocity_per_db: number;
  levels: { floor: number; step: number };
}

export interface DecodedNote {
  onset: number;
  offset: number;
  pitch: number;
  velocity: number;
  confidence: number;
  /** Unit vector by which notes are sorted; empty where the network has no timbre branch. */
  embedding: Float32Array;
  /** What the network itself says, where an encoder has made something else of it. */
  pooled?: Float32Array;
}

interface Peak {
  row: number;
  frame: number;
  height: number;
  time: number;
}

interface Segment {
  row: number;
  start: number;
  end: number;
}

export class Decoder {
  private readonly plain: Peak[];
  private readonly joined: Peak[];
  private readonly releases: Peak[] | null;
  private readonly loudest: number;

  constructor(
    private readonly posteriors: Posteriors,
    private readonly rule: Rule,
    private readonly encoder: NoteEncoder | null = null,
  ) {
    this.plain = findPeaks(posteriors.onset, posteriors, rule);
    this.joined = findPeaks(withRises(posteriors), posteriors, rule);
    this.releases = posteriors.offset ? findPeaks(posteriors.offset, posteriors, rule) : null;
    this.loudest = loudest(posteriors);
  }

  /** Candidate onsets, for the histogram and the automatic threshold. */
  peaks(inferred: boolean): Peak[] {
    return inferred ? this.joined : this.plain;
  }

  /** Notes at these thresholds, sorted by onset. */
  notes(values: Thresholds): DecodedNote[] {
    const { posteriors, rule } = this;
    const { hop, duration, frames } = posteriors;
    if (!frames) return [];
    const lowest = rule.midi_min;
    const inRange = (row: number) => row + lowest >= values.min_pitch && row + lowest <= values.max_pitch;
    const least = f(Math.max(values.onset_threshold, rule.peak_floor));
    const peaks = dropCrowded(
      this.peaks(values.inferred_onsets).filter((p) => p.height >= least && inRange(p.row)),
      values.min_note_length / hop,
    );
    const tolerance = Math.floor(values.energy_tolerance / hop + 0.5);
    const segments = findSegments(posteriors, f(values.frame_threshold), tolerance);
    const notes: DecodedNote[] = [];
    const seconds = (end: number) => Math.min((end - 0.5) * hop, duration);
    const add = (row: number, first: number, onset: number, offset: number, confidence: number) => {
      const velocity = this.velocity(row, first);
      notes.push({ onset, offset, pitch: row + lowest, velocity, confidence: Math.min(1, f(confidence)), embedding: SILENT });
    };

    // But with ends="sound": the surest release within a note (of equally sure ones the last), where there is one.
    const heard = f(Math.max(values.offset_threshold, rule.peak_floor));
    const releases = values.ends !== "sound" && this.releases ? this.releases.filter((p) => p.height >= heard) : [];
    const soonest = Math.max(Math.ceil(values.min_note_length / hop), 2);
    const release = ({ row, frame }: Peak, end: number): number | null => {
      let best: Peak | null = null;
      for (const p of releases) {
        if (p.row !== row || p.frame < frame + soonest || p.frame > end + rule.release_reach) continue;
        if (!best || p.height >= best.height) best = p;
      }
      return best && Math.min(best.time, duration);
    };
    // With ends="auto" a note sounds on for a moment after it was let go, if it does.
    const ending = (peak: Peak, end: number): number => {
      const released = release(peak, end) ?? seconds(end);
      if (values.ends !== "auto") return released;
      return Math.min(Math.max(seconds(end), released), released + rule.release_s, duration);
    };

    // A note lasts as long as its segment, or until its pitch begins again.
    let s = 0;
    const stops = segments.map((segment) => segment.end);
    const shortest = Math.max(values.min_note_length, 0.5 * hop);
    peaks.forEach((peak, i) => {
      const next = peaks[i + 1];
      const again = next && next.row === peak.row;
      const before = (g: Segment) => g.row < peak.row || (g.row === peak.row && g.end <= peak.frame);
      while (s < segments.length && before(segments[s])) s++;
      const segment = segments[s];
      const fits = segment && segment.row === peak.row && segment.start < peak.frame + tolerance;
      if (fits) stops[s] = Math.min(stops[s], peak.frame);
      const end = Math.min(fits ? segment.end : peak.frame, again ? next.frame : frames);
      const offset = Math.min(ending(peak, end), again ? next.time : Infinity);
      if (offset - peak.time >= shortest) add(peak.row, peak.frame, peak.time, offset, peak.height);
    });
    if (values.leftover_notes) {
      const longEnough = Math.max(values.min_note_length / hop, tolerance);
      segments.forEach(({ row, start }, i) => {
        if (stops[i] - start < longEnough || !inRange(row)) return;
        const total = this.sum(row, start, stops[i]);
        const beside = [row - 1, row + 1].filter((r) => r >= 0 && r * frames < posteriors.frame.length);
        if (beside.some((r) => total <= this.sum(r, start, stops[i]))) return;
        // Less sure than any note with an onset: the evidence for a start is missing.
        const mean = f(total / (stops[i] - start));
        if (mean < f(0.5 * (1 + values.frame_threshold))) return;
        add(row, start, start * hop, seconds(stops[i]), f(0.5 * values.onset_threshold) * mean);
      });
    }
    // An onset's time may lie before its peak, in what is left over.
    notes.sort((a, b) => a.pitch - b.pitch || a.onset - b.onset);
    notes.forEach((note, i) => {
      if (notes[i + 1]?.pitch === note.pitch) note.offset = Math.min(note.offset, notes[i + 1].onset);
    });
    const found = notes.filter((n) => n.offset > n.onset).sort((a, b) => a.onset - b.onset || a.pitch - b.pitch);
    if (posteriors.embedding) for (const note of found) this.embed(note);
    return found;
  }

  private embed(note: DecodedNote): void {
    const { frames, hop } = this.posteriors;
    const first = Math.min(Math.max(halfToEven(note.onset / hop), 0), frames - 1);
    const last = Math.min(Math.max(halfToEven(note.offset / hop), first + 1), frames);
    const row = note.pitch - this.rule.midi_min;
    note.embedding = this.pooled(row, first, last);
    if (!this.encoder) return;
    const parts = stretches(first, last).map(([from, to]) => this.pooled(row, from, to));
    note.pooled = note.embedding;
    note.embedding = this.encoder.encode(note.pitch, [note.pooled, ...parts]);
  }

  /** Mean over frames of a row, weighted by the frame posterior, to unit length. */
  private pooled(row: number, first: number, last: number): Float32Array {
    const { frame, frames, embedding = new Int8Array(0), dim = 0 } = this.posteriors;
    const sums = new Float64Array(dim);
    for (let t = first, cell = row * frames + first; t < last; t++, cell++) {
      const weight = f(frame[cell] + f(1e-3));
      for (let j = 0; j < dim; j++) sums[j] += embedding[cell * dim + j] * weight;
    }
    const length = Math.sqrt(sums.reduce((total, value) => total + value * value, 0)) + 1e-9;
    return Float32Array.from(sums, (value) => value / length);
  }

  private sum(row: number, start: number, stop: number): number {
    const { frame, frames } = this.posteriors;
    let sum = 0;
    for (let t = start; t < stop; t++) sum += frame[row * frames + t];
    return sum;
  }

  /** Level of the fundamental and the octave over it after the onset, as MIDI velocity. */
  private velocity(row: number, first: number): number {
    const { spectrogram, frames, bins, perOctave } = this.posteriors;
    const { level_frames, loud_velocity, velocity_per_db, levels } = this.rule;
    let level = 0;
    for (const shift of [0, perOctave]) {
      const bin = Math.min(row * Math.floor(perOctave / 12) + shift, bins - 1);
      for (let t = first; t < first + level_frames; t++) {
        level = Math.max(level, spectrogram[bin * frames + Math.min(t, frames - 1)]);
      }
    }
    const below = (this.loudest - level) * levels.step;
    return Math.min(127, Math.max(1, halfToEven(loud_velocity - velocity_per_db * below)));
  }
}

const SILENT = new Float32Array(0);

/** As NumPy rounds. */
function halfToEven(value: number): number {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 ? whole - 1 : whole;
}

/** The onset posterior joined with the rises of the frame posterior, these scaled to the onsets. */
function withRises({ onset, frame, frames }: Posteriors): Float32Array {
  const rises = new Float32Array(frame.length);
  let highest = 0;
  let top = 0;
  for (let i = 0; i < onset.length; i++) top = Math.max(top, onset[i]);
  if (frames > 2) {
    for (let row = 0; row < frame.length; row += frames) {
      for (let i = row + 2; i < row + frames; i++) {
        rises[i] = Math.min(frame[i] - frame[i - 1], frame[i] - frame[i - 2]);
        highest = Math.max(highest, rises[i]);
      }
    }
  }
  if (highest <= 0) return onset;
  const scale = f(top / highest);
  if (scale <= 0) return onset;
  for (let i = 0; i < rises.length; i++) rises[i] = Math.max(onset[i], rises[i] * scale);
  return rises;
}

/** Local maxima over time of every row, smoothed; their times are the means of what lies around them. */
function findPeaks(height: Float32Array, { frames, hop }: Posteriors, rule: Rule): Peak[] {
  const peaks: Peak[] = [];
  const weights = rule.smoothing.map(f);
  const half = weights.length >> 1;
  const sure = f(rule.sure_height);
  const reach = rule.timing_reach;
  const margin = Math.max(half, reach);
  const floor = -0.5 * Math.log2(1 - rule.peak_floor);
  // Silence on either side, so that the ends need no cases of their own.
  const padded = new Float32Array(frames + 2 * margin);
  const smooth = new Float32Array(frames + 2 * margin);
  for (let row = 0; row * frames < height.length; row++) {
    padded.set(height.subarray(row * frames, (row + 1) * frames), margin);
    for (let i = margin; i < frames + margin; i++) {
      let sum = f(weights[half] * padded[i]);
      for (let k = 0; k < half; k++) sum = f(sum + f(weights[k] * f(padded[i + k - half] + padded[i - k + half])));
      smooth[i] = sum / sure;
    }
    for (let i = margin; i < frames + margin; i++) {
      const here = smooth[i];
      if (here < floor || here <= smooth[i - 1] || here < smooth[i + 1]) continue;
      let weight = 1e-6;
      let moment = 0;
      for (let k = -reach; k <= reach; k++) {
        weight += padded[i + k];
        moment += f(k * padded[i + k]);
      }
      const time = Math.max(0, (i - margin + moment / weight) * hop);
      // From [0, 2] into [0, 1): half the height of a sure onset stays 0.5.
      peaks.push({ row, frame: i - margin, height: f(1 - f(2 ** (-2 * here))), time });
    }
  }
  return peaks;
}

/** Of peaks on one row that are closer than the shortest note keep the higher ones. */
function dropCrowded(peaks: Peak[], least: number): Peak[] {
  const close = (i: number, j: number) =>
    peaks[j] && peaks[j].row === peaks[i].row && Math.abs(peaks[j].frame - peaks[i].frame) < least;
  const dropped = new Uint8Array(peaks.length);
  const order = peaks.map((_, i) => i).filter((i) => close(i, i - 1) || close(i, i + 1));
  for (const i of order.sort((a, b) => peaks[b].height - peaks[a].height)) {
    if (dropped[i]) continue;
    for (const step of [-1, 1]) for (let j = i + step; close(i, j); j += step) dropped[j] = 1;
  }
  return peaks.filter((_, i) => !dropped[i]);
}

/** Stretches of frames at or over the threshold, joined where fewer than `tolerance` frames lie between them. */
function findSegments({ frame, frames }: Posteriors, threshold: number, tolerance: number): Segment[] {
  const segments: Segment[] = [];
  for (let row = 0; row * frames < frame.length; row++) {
    let open: Segment | null = null;
    for (let t = 0, at = row * frames; t < frames; t++, at++) {
      if (frame[at] < threshold) continue;
      if (open && (t === open.end || t - open.end < tolerance)) open.end = t + 1;
      else segments.push((open = { row, start: t, end: t + 1 }));
    }
  }
  return segments;
}

/** The level that all but two in a hundred frames stay under. */
function loudest({ spectrogram, frames, bins }: Posteriors): number {
  const most = new Uint8Array(frames);
  for (let b = 0; b < bins; b++) {
    for (let t = 0; t < frames; t++) most[t] = Math.max(most[t], spectrogram[b * frames + t]);
  }
  return frames ? percentile(most, 0.98) : 0;
}

/** Of bytes, with linear interpolation between values; by counting, since a spectrogram has millions. */
export function percentile(bytes: Uint8Array, share: number): number {
  const counts = new Uint32Array(256);
  for (let i = 0; i < bytes.length; i++) counts[bytes[i]]++;
  const at = share * (bytes.length - 1);
  const ranked = (rank: number) => {
    let value = 0;
    for (let seen = counts[0]; seen <= rank && value < 255; seen += counts[value]) value++;
    return value;
  };
  const [low, high, t] = [ranked(Math.floor(at)), ranked(Math.ceil(at)), at - Math.floor(at)];
  return t < 0.5 ? low + (high - low) * t : high - (high - low) * (1 - t);
}

/** Counts of values in [0, 1]. */
export function histogram(values: ArrayLike<number>, bins: number): Float32Array {
  const counts = new Float32Array(bins);
  for (let i = 0; i < values.length; i++) counts[Math.min(bins - 1, Math.floor(values[i] * bins))]++;
  return counts;
}

/** The onset threshold that promises the highest F1 on these peaks: widgets/state/presets.py says how. */
export function automatic(
  heights: number[],
  { discount, faith, low, high }: { discount: number; faith: number; low: number; high: number },
  start: number,
): number {
  const values = heights.filter((h) => h > f(0.05)).sort((a, b) => b - a);
  let wanted = start;
  if (values.length >= 8) {
    const chance = values.map((v) => {
      const odds = (v / (1 - v + 1e-6)) * Math.exp(-discount);
      return odds / (1 + odds);
    });
    const all = chance.reduce((a, b) => a + b, 0);
    let found = 0;
    let best = [-1, start];
    values.forEach((value, i) => {
      found += chance[i];
      const expected = (2 * found) / (i + 1 + all);
      if (expected > best[0]) best = [expected, value];
    });
    wanted = Math.min(high, Math.max(low, best[1]));
  }
  return Math.round((start + faith * (wanted - start)) * 100) / 100;
}
