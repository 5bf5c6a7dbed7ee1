// Strokes of drums as the browser has them: columns of float32, sorted by time; a row of the lane for each kind.

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
