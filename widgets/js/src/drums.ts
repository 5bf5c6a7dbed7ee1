// Strokes of drums as the browser has them: columns of float32, sorted by time; a row of the lane for each kind.

import type { Note } from "./edits";

export interface Strokes {
  n: number;
  time: Float32Array;
  /** General MIDI drum sounds. */
  key: Float32Array;
  velocity: Float32Array;
  confidence: Float32Array;
  hand: Float32Array;
}

/** Rows of the lane from above: name, the key that a new stroke gets, and all that are drawn there. */
export const ROWS: { name: string; key: number; keys: number[] }[] = [
  { name: "cymbal", key: 49, keys: [49, 51, 52, 53, 55, 57, 59] },
  { name: "hihat", key: 42, keys: [22, 26, 42, 44, 46, 54, 69, 70, 82] },
  { name: "tom", key: 45, keys: [41, 43, 45, 47, 48, 50, 58, 60, 61, 62, 63, 64] },
  { name: "snare", key: 38, keys: [37, 38, 39, 40, 56, 75] },
  { name: "kick", key: 36, keys: [35, 36] },
];

/** Which row a key is drawn in. */
export const rowOf = (key: number): number => {
  const row = ROWS.findIndex((r) => r.keys.includes(key));
  return row < 0 ? 3 : row;
};

/** Length of a stroke as a note. */
export const STROKE_S = 0.05;

const COLUMNS = 5;

export function unpackStrokes(data: Float32Array): Strokes {
  const n = Math.floor(data.length / COLUMNS);
  const column = (i: number) => data.subarray(i * n, (i + 1) * n);
  return { n, time: column(0), key: column(1), velocity: column(2), confidence: column(3), hand: column(4) };
}

/** The inverse of `unpackStrokes`, from one object a stroke. */
export function packStrokes(strokes: Note[]): Float32Array {
  const { length } = strokes;
  const data = new Float32Array(length * COLUMNS);
  strokes.forEach((s, i) => {
    [s.onset, s.pitch, s.velocity, s.confidence ?? 1, s.hand ?? 0].forEach((value, column) => {
      data[column * length + i] = value;
    });
  });
  return data;
}

/** Strokes as notes: what is written, and what corrections speak of. */
export const strokeRows = (strokes: Strokes): Note[] =>
  Array.from({ length: strokes.n }, (_, i) => ({
    onset: strokes.time[i],
    offset: strokes.time[i] + STROKE_S,
    pitch: strokes.key[i],
    velocity: strokes.velocity[i],
    confidence: strokes.confidence[i],
    track: 0,
    hand: strokes.hand[i],
  }));

/** Index of the stroke of this key, or with `row` of this row of the lane, that is nearest to a time, or -1. */
export function nearStroke(strokes: Strokes, time: number, within: number, like: { key?: number; row?: number }): number {
  let best = -1;
  for (let i = firstStroke(strokes, time - within); i < strokes.n && strokes.time[i] <= time + within; i++) {
    if (like.key !== undefined ? strokes.key[i] !== like.key : rowOf(strokes.key[i]) !== like.row) continue;
    if (best < 0 || Math.abs(strokes.time[i] - time) < Math.abs(strokes.time[best] - time)) best = i;
  }
  return best;
}

/** Index of the first stroke at or after a time. */
export function firstStroke(strokes: Strokes, time: number): number {
  let low = 0;
  let high = strokes.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (strokes.time[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How long a stroke is let ring, in seconds. */
export const ringing = (key: number): number => [2.2, 0.35, 0.9, 0.6, 0.6][rowOf(key)];
