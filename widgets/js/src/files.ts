// Notes as files made in the page: standard MIDI and CSV, as amtsep/formats writes them.

import type { Note } from "./edits";
import type { Curve, Track } from "./notes";

const TICKS_PER_BEAT = 960;
const TEMPO_US = 500_000; // a beat: 120 a minute, a grid only
const TICKS_PER_S = (TICKS_PER_BEAT * 1e6) / TEMPO_US;
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15];
const DRUMS = 9;

/** Semitones either way that pitch bend spans. */
const BEND_RANGE = 2;

/** A note as it is written: times in seconds too, and where it stood in the table. */
interface Written {
  pitch: number;
  velocity: number;
  start: number;
  end: number;
  onset: number;
  offset: number;
  curve: Curve | null;
}

/** What is written at a tick: at one tick in the order of `rank` and `place`. */
interface Event {
  tick: number;
  rank: number;
  place: number;
  bytes: number[];
}

const ticksOf = (seconds: number) => Math.round(seconds * TICKS_PER_S);

/** Of one pitch, each note ends where the next begins; of those that begin together the longest stays. */
function separate(notes: Note[], curves: (Curve | null)[] = []): Written[] {
  const result: Written[] = [];
  const last = new Map<number, Written>();
  notes.forEach((note, i) => {
    const before = last.get(note.pitch);
    const start = ticksOf(note.onset);
    const { onset, offset, pitch, velocity } = note;
    const own = { pitch, velocity, start, end: Math.max(start + 1, ticksOf(offset)), onset, offset, curve: curves[i] ?? null };
    if (before && own.start <= before.start) {
      before.end = Math.max(before.end, own.end);
      before.offset = Math.max(before.offset, offset);
      before.velocity = Math.max(before.velocity, own.velocity);
      return;
    }
    if (before) {
      before.end = Math.min(before.end, own.start);
      before.offset = Math.min(before.offset, onset);
    }
    last.set(note.pitch, own);
    result.push(own);
  });
  return result;
}

/**
 * A standard MIDI file of type 1: a tempo track, one for each track, and one of drums where there are strokes. `bends`:
 * a curve a note, or null; notes that overlap are then on channels of their own.
 */
export function midiFile(
  notes: Note[],
  title: string,
  tracks: Pick<Track, "name" | "program">[] = [{ name: "Notes", program: 0 }],
  strokes: Note[] = [],
  bends: (Curve | null)[] = [],
): Uint8Array {
  const end = [0, 0xff, 0x2f, 0];
  const tempo = [0, 0xff, 0x51, 3, ...big(TEMPO_US, 3), 0, 0xff, 0x58, 4, 4, 2, 24, 8];
  const pieces = [chunk("MThd", [0, 1, ...big(tracks.length + 1 + (strokes.length ? 1 : 0), 2), ...big(TICKS_PER_BEAT, 2)]), chunk("MTrk", [...text(3, title), ...tempo, ...end])];
  const owns = tracks.map((_, index) => {
    const which = [...notes.keys()].filter((i) => tracks.length === 1 || (notes[i].track ?? 0) === index);
    return separate(which.map((i) => notes[i]), which.map((i) => bends[i] ?? null));
  });
  const isBent = (own: Written[]) => own.some((note) => note.curve);
  const shared = shareChannels(owns.map((own) => (isBent(own) ? new Set(channelsOf(own, CHANNELS)).size : 1)));
  tracks.forEach((track, index) => {
    const own = owns[index];
    const bent = isBent(own);
    const lanes = channelsOf(own, shared[index]);
    const used = own.length ? [...new Set(lanes)].sort((a, b) => a - b) : shared[index].slice(0, 1);
    const head = used.flatMap((lane) => [[0xc0 | lane, track.program], ...(bent ? rangeOf(lane) : [])]);
    pieces.push(chunk("MTrk", [...text(3, track.name), ...body(head, sounding(own, lanes, bent)), ...end]));
  });
  if (strokes.length) {
    const own = separate(strokes);
    pieces.push(chunk("MTrk", [...text(3, "Drums"), ...body([[0xc0 | DRUMS, 0]], sounding(own, own.map(() => DRUMS), false)), ...end]));
  }
  return Uint8Array.from(pieces.flat());
}

/**
 * Channels of each track, its own as long as there are enough: pitch bend and program hold for a channel. `wanted`: how
 * many each could do with; every track has one, and those that want more get one more each in turn.
 */
function shareChannels(wanted: number[]): number[][] {
  const counts = wanted.map(() => 1);
  let left = CHANNELS.length - wanted.length;
  while (left > 0 && counts.some((count, i) => count < wanted[i])) {
    wanted.forEach((want, i) => {
      if (left <= 0 || counts[i] >= want) return;
      counts[i] += 1;
      left -= 1;
    });
  }
  let first = 0;
  return counts.map((count) => {
    first += count;
    return Array.from({ length: count }, (_, i) => CHANNELS[(first - count + i) % CHANNELS.length]);
  });
}

/** A channel a note, free of other notes for as long as it sounds where there are enough. */
function channelsOf(notes: Written[], channels: number[]): number[] {
  const freeAt = channels.map(() => -1);
  return notes.map(({ onset, offset }) => {
    let lane = freeAt.findIndex((time) => time <= onset);
    if (lane < 0) lane = freeAt.indexOf(Math.min(...freeAt));
    freeAt[lane] = offset;
    return channels[lane];
  });
}

/** RPN 0: what pitch bend spans. */
const rangeOf = (lane: number) => [[101, 0], [100, 0], [6, BEND_RANGE], [38, 0]].map(([control, value]) => [0xb0 | lane, control, value]);

/** Endings, then the wheel, then beginnings. */
function sounding(notes: Written[], lanes: number[], bent: boolean): Event[] {
  return notes.flatMap((note, i) => {
    const { start, end, pitch, velocity } = note;
    return [
      { tick: end, rank: 0, place: pitch, bytes: [0x80 | lanes[i], pitch, 0] },
      { tick: start, rank: 2, place: pitch, bytes: [0x90 | lanes[i], pitch, velocity] },
      ...(bent ? wheel(note, lanes[i]) : []),
    ];
  });
}

/** Pitch bend of one note: from its first value at its onset on, back to the middle for a note without a curve. */
function wheel({ curve, start, end }: Written, lane: number): Event[] {
  const turned = (tick: number, place: number, value: number) => ({ tick, rank: 1, place, bytes: [0xe0 | lane, (value + 8192) & 127, (value + 8192) >> 7] });
  if (!curve?.time.length) return [turned(start, 0, 0)];
  const events: Event[] = [];
  let last = NaN;
  curve.time.forEach((time, i) => {
    const value = Math.min(8191, Math.max(-8192, Math.round((curve.cents[i] / (100 * BEND_RANGE)) * 8192)));
    const tick = i ? Math.max(start, ticksOf(time)) : start;
    // A curve may go on after a note that was cut short: the next one begins there.
    if (i && tick >= end) return;
    if (value !== last) events.push(turned(tick, i, value));
    last = value;
  });
  return events;
}

function body(head: number[][], events: Event[]): number[] {
  events.sort((a, b) => a.tick - b.tick || a.rank - b.rank || a.place - b.place);
  let now = 0;
  let status = 0;
  return [...head.map((bytes) => ({ tick: 0, bytes })), ...events].flatMap(({ tick, bytes }) => {
    const delta = varint(tick - now);
    now = tick;
    // A kind and channel that hold on are not said again ("running status").
    const said = bytes[0] === status ? bytes.slice(1) : bytes;
    [status] = bytes;
    return [...delta, ...said];
  });
}

function text(kind: number, value: string): number[] {
  const letters = [...new TextEncoder().encode(value)];
  return [0, 0xff, kind, ...varint(letters.length), ...letters];
}

const big = (value: number, bytes: number) => Array.from({ length: bytes }, (_, i) => (value >> (8 * (bytes - 1 - i))) & 255);

const chunk = (name: string, data: number[]) => [...new TextEncoder().encode(name), ...big(data.length, 4), ...data];

/** Seven bits a byte, the highest bit set on all but the last. */
function varint(value: number): number[] {
  const bytes = [value & 127];
  for (let rest = value >> 7; rest; rest >>= 7) bytes.unshift((rest & 127) | 128);
  return bytes;
}

/** A note a line, and a stroke of a drum a line; with `bends`, the mean of each curve in cents and half of what it spans. */
export function csvFile(notes: Note[], tracks: Pick<Track, "name">[] = [{ name: "Notes" }], strokes: Note[] = [], bends?: (Curve | null)[]): string {
  const names = uniqueNames([...tracks.map((track) => track.name), ...(strokes.length ? ["Drums"] : [])]);
  const lines = [
    ...notes.map((note, i) => ({ note, track: note.track ?? 0, curve: bends?.[i] })),
    ...strokes.map((note) => ({ note, track: tracks.length, curve: null })),
  ];
  lines.sort((a, b) => a.note.onset - b.note.onset || a.note.pitch - b.note.pitch || a.track - b.track);
  const rows = lines.map(({ note: n, track, curve }) => [
    n.onset.toFixed(6),
    n.offset.toFixed(6),
    n.pitch,
    n.velocity,
    (n.confidence ?? 1).toFixed(6),
    quoted(names[track] ?? names[0]),
    ...(bends ? [curve ? mean(curve.cents).toFixed(1) : "", curve ? depth(curve.cents).toFixed(1) : ""] : []),
  ]);
  const header = ["onset_s", "offset_s", "pitch", "velocity", "confidence", "track", ...(bends ? ["cents", "bend_cents"] : [])];
  return [header, ...rows].map((r) => `${r.join(",")}\n`).join("");
}

/** Names of tracks, told apart where two are alike or empty. */
function uniqueNames(given: string[]): string[] {
  const names: string[] = [];
  given.forEach((given, index) => {
    const base = given.trim() || `Track ${index + 1}`;
    let name = base;
    for (let count = 2; names.includes(name); count++) name = `${base} (${count})`;
    names.push(name);
  });
  return names;
}

const mean = (cents: Curve["cents"]) => (cents.length ? cents.reduce((a, b) => a + b, 0) / cents.length : 0);

/** Half the span from the 10th to the 90th percentile. */
function depth(cents: Curve["cents"]): number {
  if (cents.length < 3) return 0;
  const sorted = Float64Array.from(cents).sort();
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    return sorted[below] + (place - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
  };
  return (at(0.9) - at(0.1)) / 2;
}

const quoted = (value: string) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
