// The note table as the browser has it: columns of float32, sorted by onset.

export interface Notes {
  n: number;
  onset: Float32Array;
  offset: Float32Array;
  pitch: Float32Array;
  velocity: Float32Array;
  confidence: Float32Array;
  track: Float32Array;
  hand: Float32Array;
  /** Longest note in seconds: how far before a moment one must look for notes that still sound. */
  longest: number;
}

export interface Track {
  name: string;
  program: number;
  color: number;
  /** Whether a person has named it; else it is called after its place among those that hold notes. */
  given?: boolean;
  place?: number;
  /** Whether a network has called it by its sound. */
  instrument?: boolean;
}

/** Pitch of a note over time: seconds, and cents from its semitone. */
export interface Curve {
  pitch: number;
  onset: number;
  time: Float32Array;
  cents: Float32Array;
}

const COLUMNS = 7;

export function unpack(data: Float32Array): Notes {
  const n = Math.floor(data.length / COLUMNS);
  const column = (i: number) => data.subarray(i * n, (i + 1) * n);
  const notes: Notes = {
    n,
    onset: column(0),
    offset: column(1),
    pitch: column(2),
    velocity: column(3),
    confidence: column(4),
    track: column(5),
    hand: column(6),
    longest: 0,
  };
  for (let i = 0; i < n; i++) notes.longest = Math.max(notes.longest, notes.offset[i] - notes.onset[i]);
  return notes;
}

/** The inverse of `unpack`, from one object a note. */
export function pack(notes: { onset: number; offset: number; pitch: number; velocity: number; confidence?: number; track?: number; hand?: number }[]): Float32Array {
  const { length } = notes;
  const data = new Float32Array(length * COLUMNS);
  notes.forEach((n, i) => {
    [n.onset, n.offset, n.pitch, n.velocity, n.confidence ?? 1, n.track ?? 0, n.hand ?? 0].forEach((value, column) => {
      data[column * length + i] = value;
    });
  });
  return data;
}

/** Index of the first note that begins at or after `time`. */
export function firstAt(notes: Notes, time: number): number {
  let low = 0;
  let high = notes.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (notes.onset[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the note of this pitch that begins within 60 ms of `onset`, or of the one with this number by hand; or -1. */
export function findNote(notes: Notes, pitch: number, onset: number, hand = 0): number {
  if (hand) return notes.hand.indexOf(hand);
  let best = -1;
  for (let i = firstAt(notes, onset - 0.06); i < notes.n && notes.onset[i] <= onset + 0.06; i++) {
    if (notes.pitch[i] !== pitch) continue;
    if (best < 0 || Math.abs(notes.onset[i] - onset) < Math.abs(notes.onset[best] - onset)) best = i;
  }
  return best;
}

const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

export const isBlack = (pitch: number): boolean => [1, 3, 6, 8, 10].includes(((pitch % 12) + 12) % 12);

export const pitchName = (pitch: number): string =>
  `${NAMES[((pitch % 12) + 12) % 12]}${Math.floor(pitch / 12) - 1}`;

/** 0:07.3, 12:05.0, 1:02:03. */
export function clock(seconds: number, digits = 1): string {
  // Rounded before it is taken apart: 59.96 s are a minute, and no sixty seconds.
  const s = Math.round(Math.max(0, seconds) * 10 ** digits) / 10 ** digits;
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  const rest = (s % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${rest}` : `${m}:${rest}`;
}

/** Curves as Python packs them: for each its note and how many points it has; seconds and cents, one curve after the other. */
export function unpackCurves(about: [number, number, number][], data: Float32Array): Curve[] {
  let at = 0;
  return about.map(([pitch, onset, n]) => {
    const curve = { pitch, onset, time: data.subarray(at, at + n), cents: data.subarray(at + n, at + 2 * n) };
    at += 2 * n;
    return curve;
  });
}
