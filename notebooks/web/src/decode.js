// Posteriors and thresholds to notes: the rule of amtsep/decoding.py, step by step. What no threshold changes (peaks,
// levels) is computed once; a slider step only selects.

export class Decoder {
  /** `posteriors`: onset, frame (88 rows of `frames`), spectrogram (bins rows), hop and duration in seconds. */
  constructor(posteriors, settings) {
    this.posteriors = posteriors;
    this.settings = settings;
    this.plain = findPeaks(posteriors.onset, posteriors, settings);
    this.joined = findPeaks(withRises(posteriors), posteriors, settings);
    this.loudest = loudest(posteriors);
  }

  /** Candidate onsets, for the histogram and the automatic threshold. */
  peaks(inferred) {
    return inferred ? this.joined : this.plain;
  }

  /** Notes at these thresholds, sorted by onset. */
  notes(values) {
    const { posteriors, settings } = this;
    const { hop, duration, frames } = posteriors;
    const lowest = settings.midi_min;
    const inRange = (row) => row + lowest >= values.min_pitch && row + lowest <= values.max_pitch;
    const least = Math.max(values.onset_threshold, settings.peak_floor);
    const peaks = dropCrowded(
      this.peaks(values.inferred_onsets).filter((p) => p.height >= least && inRange(p.row)),
      values.min_note_length / hop,
    );
    const segments = findSegments(posteriors, values.frame_threshold, values.energy_tolerance);
    const notes = [];
    const seconds = (end) => Math.min((end - 0.5) * hop, duration);
    const add = (row, first, onset, offset, confidence) => {
      notes.push({ onset, offset, pitch: row + lowest, velocity: this.velocity(row, first), confidence: Math.min(1, confidence) });
    };

    // A note lasts as long as its segment, or until its pitch begins again.
    let s = 0;
    const stops = segments.map((segment) => segment.end);
    peaks.forEach((peak, i) => {
      const next = peaks[i + 1];
      const again = next && next.row === peak.row;
      const following = again ? next.frame : frames;
      while (s < segments.length && (segments[s].row < peak.row || (segments[s].row === peak.row && segments[s].end <= peak.frame))) s++;
      const segment = segments[s];
      const fits = segment && segment.row === peak.row && segment.start < peak.frame + values.energy_tolerance;
      if (fits) stops[s] = Math.min(stops[s], peak.frame);
      const end = Math.min(fits ? segment.end : peak.frame, following);
      const offset = Math.min(seconds(end), again ? next.time : duration);
      const shortest = Math.max(values.min_note_length, 0.5 * hop);
      if (offset - peak.time >= shortest) add(peak.row, peak.frame, peak.time, offset, peak.height);
    });
    if (values.leftover_notes) {
      const shortest = Math.max(values.min_note_length / hop, values.energy_tolerance);
      segments.forEach(({ row, start }, i) => {
        if (stops[i] - start < shortest || !inRange(row)) return;
        const total = this.sum(row, start, stops[i]);
        const beside = [row - 1, row + 1].filter((r) => r >= 0 && r < 88);
        if (beside.some((r) => total <= this.sum(r, start, stops[i]))) return;
        // Less sure than any note with an onset: the evidence for a start is missing.
        add(row, start, start * hop, seconds(stops[i]), (0.5 * values.onset_threshold * total) / (stops[i] - start));
      });
    }
    // An onset's time may lie before its peak, in what is left over.
    notes.sort((a, b) => a.pitch - b.pitch || a.onset - b.onset);
    notes.forEach((note, i) => {
      if (notes[i + 1]?.pitch === note.pitch) note.offset = Math.min(note.offset, notes[i + 1].onset);
    });
    return notes.filter((n) => n.offset > n.onset).sort((a, b) => a.onset - b.onset || a.pitch - b.pitch);
  }

  sum(row, start, stop) {
    const { frame, frames } = this.posteriors;
    let sum = 0;
    for (let t = start; t < stop; t++) sum += frame[row * frames + t];
    return sum;
  }

  /** Level of the fundamental and the octave over it after the onset, as MIDI velocity. */
  velocity(row, first) {
    const { spectrogram, frames, bins, perOctave } = this.posteriors;
    const { level_frames, loud_velocity, velocity_per_db, levels } = this.settings;
    let level = 0;
    for (const shift of [0, perOctave]) {
      const bin = Math.min((row * perOctave) / 12 + shift, bins - 1);
      for (let t = first; t < first + level_frames; t++) {
        level = Math.max(level, spectrogram[bin * frames + Math.min(t, frames - 1)]);
      }
    }
    const below = (this.loudest - level) * levels.step;
    return Math.min(127, Math.max(1, Math.round(loud_velocity - velocity_per_db * below)));
  }
}

/** The onset posterior joined with the rises of the frame posterior, these scaled to the onsets. */
function withRises({ onset, frame, frames }) {
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
  const scale = Math.fround(top / highest);
  for (let i = 0; i < rises.length; i++) rises[i] = Math.max(onset[i], rises[i] * scale);
  return rises;
}

/** Local maxima over time of every row, smoothed; their times are the means of what lies around them. */
function findPeaks(height, { frames, hop }, { smoothing, sure_height, timing_reach, peak_floor }) {
  const peaks = [];
  const half = smoothing.length >> 1;
  const margin = Math.max(half, timing_reach);
  const floor = -0.5 * Math.log2(1 - peak_floor);
  // Silence on either side, so that the ends need no cases of their own.
  const padded = new Float32Array(frames + 2 * margin);
  const smooth = new Float32Array(frames + 2 * margin);
  for (let row = 0; row * frames < height.length; row++) {
    padded.set(height.subarray(row * frames, (row + 1) * frames), margin);
    for (let i = margin; i < frames + margin; i++) {
      let sum = 0;
      for (let k = 0; k < smoothing.length; k++) sum += smoothing[k] * padded[i + k - half];
      smooth[i] = sum / sure_height;
    }
    for (let i = margin; i < frames + margin; i++) {
      const here = smooth[i];
      if (here < floor || here <= smooth[i - 1] || here < smooth[i + 1]) continue;
      const at = i - margin + centre(padded, i, timing_reach);
      // From [0, 2] into [0, 1): half the height of a sure onset stays 0.5.
      peaks.push({ row, frame: i - margin, height: 1 - 2 ** (-2 * here), time: Math.max(0, at * hop) });
    }
  }
  return peaks;
}

/** Mean distance of what lies around, weighted by its height. */
function centre(values, i, reach) {
  let weight = 1e-6;
  let moment = 0;
  for (let k = -reach; k <= reach; k++) {
    weight += values[i + k];
    moment += k * values[i + k];
  }
  return moment / weight;
}

/** Of peaks on one row that are closer than the shortest note keep the higher ones. */
function dropCrowded(peaks, least) {
  const close = (i, j) => peaks[j] && peaks[j].row === peaks[i].row && Math.abs(peaks[j].frame - peaks[i].frame) < least;
  const dropped = new Uint8Array(peaks.length);
  const order = peaks.map((_, i) => i).filter((i) => close(i, i - 1) || close(i, i + 1));
  for (const i of order.sort((a, b) => peaks[b].height - peaks[a].height)) {
    if (dropped[i]) continue;
    for (const step of [-1, 1]) for (let j = i + step; close(i, j); j += step) dropped[j] = 1;
  }
  return peaks.filter((_, i) => !dropped[i]);
}

/** Stretches of frames at or over the threshold, joined where fewer than `tolerance` frames lie between them. */
function findSegments({ frame, frames }, threshold, tolerance) {
  const segments = [];
  for (let row = 0; row * frames < frame.length; row++) {
    let open = null;
    for (let t = 0, at = row * frames; t < frames; t++, at++) {
      if (frame[at] < threshold) continue;
      if (open && (t === open.end || t - open.end < tolerance)) open.end = t + 1;
      else segments.push((open = { row, start: t, end: t + 1 }));
    }
  }
  return segments;
}

/** The level that all but two in a hundred frames stay under. */
function loudest({ spectrogram, frames, bins }) {
  const most = new Uint8Array(frames);
  for (let b = 0; b < bins; b++) {
    for (let t = 0; t < frames; t++) most[t] = Math.max(most[t], spectrogram[b * frames + t]);
  }
  return percentile(most, 0.98);
}

/** Of bytes, with linear interpolation between values; by counting, since a spectrogram has millions. */
export function percentile(bytes, share) {
  const counts = new Uint32Array(256);
  for (let i = 0; i < bytes.length; i++) counts[bytes[i]]++;
  const at = share * (bytes.length - 1);
  const ranked = (rank) => {
    let value = 0;
    for (let seen = counts[0]; seen <= rank && value < 255; seen += counts[value]) value++;
    return value;
  };
  const low = ranked(Math.floor(at));
  return low + (at - Math.floor(at)) * (ranked(Math.ceil(at)) - low);
}

/** Counts of values in [0, 1]. */
export function histogram(values, bins) {
  const counts = new Float32Array(bins);
  for (let i = 0; i < values.length; i++) counts[Math.min(bins - 1, Math.floor(values[i] * bins))]++;
  return counts;
}

/** The onset threshold that promises the highest F1 on these peaks: widgets/presets.py says how. */
export function automatic(heights, { discount, faith, low, high }, start) {
  const values = heights.filter((h) => h > 0.05).sort((a, b) => b - a);
  if (values.length < 8) return start;
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
  const wanted = Math.min(high, Math.max(low, best[1]));
  return Math.round((start + faith * (wanted - start)) * 100) / 100;
}
