// Notes as weighted points on the unit sphere: amtsep/clustering/points.py, which says why; held to it by
// tests/vectors/clustering.json, as all of this folder is.

import { Draw, type Stream } from "./draw";

/** A note as clustering hears it. */
export interface HeardNote {
  onset: number;
  offset: number;
  pitch: number;
  velocity: number;
  confidence: number;
  embedding: ArrayLike<number>;
}

/** Fields of amtsep.config.Clustering that count here. */
export interface Settings {
  timbres: number | null;
  min_timbres: number;
  max_timbres: number;
  monophony: number;
  register: number;
  given_weight: number;
}

/** The numbers of amtsep.clustering (web/settings.py), and where its random draws begin. */
export interface Rule {
  max_weight_s: number;
  max_tree: number;
  crowd: number;
  evenness: number;
  rounds: number;
  pitch_fall: number;
  sample: number;
  enough: number;
  slack_s: number;
  max_partners: number;
  neighbours: number;
  neighbour_s: number;
  soft_rounds: number;
  sharpness: number;
  overlap_logit: number;
  polyphonic: number;
  pitch_spread: number;
  kappa: [number, number];
  same_onset_s: number;
  stream: Stream;
}

/** Rows of `d` numbers one after the other, and what each row counts, one on average. */
export interface Points {
  n: number;
  d: number;
  x: Float64Array;
  weight: Float64Array;
}

export const duration = (note: { onset: number; offset: number }): number => note.offset - note.onset;

export function notePoints(notes: HeardNote[], rule: Rule): Points {
  const n = notes.length;
  const d = n ? notes[0].embedding.length : 0;
  const x = new Float64Array(n * d);
  const weight = new Float64Array(n);
  notes.forEach((note, i) => {
    for (let j = 0; j < d; j++) x[i * d + j] = Number.isFinite(note.embedding[j]) ? note.embedding[j] : 0;
    const sure = Math.min(Math.max(note.confidence || 0, 0), 1);
    weight[i] = Math.sqrt(Math.min(duration(note), rule.max_weight_s) * (sure + 0.05)) + 1e-3;
  });
  normalize(x, d, 0);
  const mean = sum(weight) / n;
  return { n, d, x, weight: weight.map((w) => w / mean) };
}

export const sum = (values: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
};

export function dot(a: ArrayLike<number>, at: number, b: ArrayLike<number>, bt: number, d: number): number {
  let total = 0;
  for (let j = 0; j < d; j++) total += a[at + j] * b[bt + j];
  return total;
}

/** Rows to unit length, in place; a row (nearly) of zeros stays. */
export function normalize(rows: Float64Array, d: number, least = 1e-12): Float64Array {
  for (let at = 0; at < rows.length; at += d) {
    const length = Math.sqrt(dot(rows, at, rows, at, d));
    if (length > least) for (let j = 0; j < d; j++) rows[at + j] /= length;
  }
  return rows;
}

/** Index of the centroid with the highest cosine for every row. */
export function nearest(x: ArrayLike<number>, n: number, centroids: ArrayLike<number>, d: number): Int32Array {
  const k = centroids.length / d;
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    let best = -Infinity;
    for (let c = 0; c < k; c++) {
      const cosine = dot(x, i * d, centroids, c * d, d);
      if (cosine > best) [best, labels[i]] = [cosine, c];
    }
  }
  return labels;
}

/** Weighted sum of the points of every cluster, (k, d). */
export function sums({ n, d, x, weight }: Points, labels: Int32Array, k: number): Float64Array {
  const total = new Float64Array(k * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) total[labels[i] * d + j] += x[i * d + j] * weight[i];
  return total;
}

/** Counts (or sums of weights) of every label. */
export function counted(labels: ArrayLike<number>, k: number, weight?: ArrayLike<number>): Float64Array {
  const counts = new Float64Array(k);
  for (let i = 0; i < labels.length; i++) counts[labels[i]] += weight ? weight[i] : 1;
  return counts;
}

/** Labels numbered 0, 1, ... in their order, and the labels that there were. */
export function dense(labels: ArrayLike<number>): { labels: Int32Array; used: number[] } {
  const used = [...new Set(Array.from(labels))].sort((a, b) => a - b);
  const place = new Map(used.map((label, i) => [label, i]));
  return { labels: Int32Array.from(Array.from(labels), (label) => place.get(label) ?? 0), used };
}

/** At most `size` points that stand for all, and which of them each point went to. */
export function compress(points: Points, size: number, rule: Rule): { small: Points; member: Int32Array } {
  const { n, d } = points;
  if (n <= size) return { small: points, member: Int32Array.from({ length: n }, (_, i) => i) };
  const chosen = new Draw(rule.stream).weighted(points.weight, size).sort((a, b) => a - b);
  let centroids = Float64Array.from(chosen.flatMap((i) => [...points.x.subarray(i * d, (i + 1) * d)]));
  // Single precision, as the library chooses.
  const single = Float32Array.from(points.x);
  let labels: Int32Array = new Int32Array(n);
  let small = points;
  for (let round = 0; round < 2; round++) {
    const found = dense(nearest(single, n, Float32Array.from(centroids), d));
    labels = found.labels;
    const k = found.used.length;
    const weight = counted(labels, k, points.weight);
    centroids = sums(points, labels, k) as Float64Array<ArrayBuffer>;
    const x = centroids.map((value, at) => value / weight[Math.floor(at / d)]);
    small = { n: k, d, x, weight };
    normalize(centroids, d);
  }
  return { small, member: labels };
}
