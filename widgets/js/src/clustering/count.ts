// How many timbres: a probability for every number (amtsep/clustering/count.py, which says what each figure is).

import { Draw } from "./draw";
import { type Pairs, overlapShare, overlappingPairs } from "./evidence";
import { type HeardNote, type Points, type Rule, type Settings, counted, dot, duration, nearest, notePoints, sum } from "./points";
import { type Partition, distortion, refine, wardPartitions } from "./tree";

/** What is in amtsep/clustering/timbre_count.json: the learned weights, by feature. */
export interface CountModel {
  features: string[];
  mean: number[];
  scale: number[];
  weight: number[];
}

export interface Estimate {
  timbres: number;
  /** Of 1, 2, ... timbres. */
  probability: number[];
}

const DRIFT_PENALTY = 4;
const K_MEANS_ROUNDS = 5;
const UNSURE = 0.15;

export function estimateTimbres(notes: HeardNote[], settings: Settings, model: CountModel, rule: Rule): Estimate {
  const largest = settings.max_timbres;
  const padded = (values: number[]) => [...values, ...new Array(largest - values.length).fill(0)];
  if (!notes.length) return { timbres: 1, probability: padded([1]) };
  const score = features(notes, largest, rule).map((figures) =>
    model.features.reduce((total, name, i) => total + ((figures[name] - model.mean[i]) / model.scale[i]) * model.weight[i], 0),
  );
  const top = Math.max(...score);
  const least = Math.min(Math.max(settings.min_timbres, 1), score.length);
  const chance = score.map((value, i) => (i < least - 1 ? 0 : Math.exp(value - top)));
  const all = sum(chance);
  const probability = chance.map((value) => value / all);
  return { timbres: median(probability), probability: padded(probability) };
}

function median(probability: number[]): number {
  let below = 0;
  return probability.findIndex((value) => (below += value) >= 0.5 * (1 - 1e-9)) + 1;
}

function features(notes: HeardNote[], largest: number, rule: Rule): Record<string, number>[] {
  const points = notePoints(notes, rule);
  const { d } = points;
  const chosen =
    points.n > rule.sample ? new Draw(rule.stream).some(points.n, rule.sample).sort((a, b) => a - b) : notes.map((_, i) => i);
  const sample: Points = {
    n: chosen.length,
    d,
    x: Float64Array.from(chosen.flatMap((i) => [...points.x.subarray(i * d, (i + 1) * d)])),
    weight: Float64Array.from(chosen, (i) => points.weight[i]),
  };
  const pairs: Pairs = overlappingPairs(notes, rule);
  const pitch = chosen.map((i) => notes[i].pitch);
  const axes = chosen.map((i) => driftAxes(notes[i]));
  const partitions = wardPartitions(points, largest + 1, rule).map((labels, i) =>
    refine(sample, Int32Array.from(chosen, (note) => labels[note]), i + 1, K_MEANS_ROUNDS),
  );
  const level = partitions.map((partition) => Math.log(Math.max(distortion(sample, partition), 1e-4) + 0.003));
  const drift = partitions.map((partition) => Math.log(Math.max(driftingDistortion(sample, axes, partition), 1e-4) + 0.003));
  const everybody = partitions.map(({ centroids }) => nearest(points.x, points.n, centroids, d));
  const overlap = everybody.map((labels) => overlapShare(pairs, labels));
  return partitions.slice(0, largest).map((partition, index) => {
    const k = index + 1;
    const several = Number(k > 1);
    const between = index ? sides(sample, partition) : { silhouette: 0, unsure: 0 };
    const apart = index ? pairsOf(sample, pitch, axes, partition) : { closest: 0, least: 0.5, mean: 0.5, register: 0, own: 0.5 };
    const mass = counted(partition.labels, k, sample.weight);
    const fewest = Math.min(...counted(everybody[index], k));
    const fallen = (values: number[]) => (index ? values[index - 1] - values[index] : 0);
    const after = (values: number[]) => (k < values.length ? values[index] - values[index + 1] : 0);
    return {
      residual: level[index],
      gain: fallen(level),
      next_gain: after(level),
      ...between,
      closest: apart.closest,
      separation: several * Math.log(apart.least + 0.5),
      mean_separation: several * Math.log(apart.mean + 0.5),
      smallest_share: several * Math.log((Math.min(...mass) / sum(mass)) * k + 0.02),
      smallest_count: Math.log((index ? Math.min(fewest, rule.enough) : rule.enough) + 1),
      same_register: apart.register,
      overlap: overlap[index],
      overlap_drop: fallen(overlap),
      drift_residual: drift[index],
      drift_gain: fallen(drift),
      drift_next_gain: after(drift),
      own_separation: several * Math.log(apart.own + 0.5),
      one: 1 - several,
      count: k,
      count_squared: k * k,
    };
  });
}

/** Simplified silhouette, and the share of notes that lie between two clusters. */
function sides({ n, d, x, weight }: Points, { centroids }: Partition): { silhouette: number; unsure: number } {
  let [silhouette, unsure] = [0, 0];
  for (let i = 0; i < n; i++) {
    let [first, second] = [-Infinity, -Infinity];
    for (let c = 0; c < centroids.length; c += d) {
      const cosine = dot(x, i * d, centroids, c, d);
      if (cosine > first) [first, second] = [cosine, first];
      else if (cosine > second) second = cosine;
    }
    const [own, other] = [1 - first, 1 - second];
    silhouette += weight[i] * (1 - own / Math.max(other, 1e-9));
    unsure += weight[i] * Number(other - own < UNSURE);
  }
  const all = sum(weight);
  return { silhouette: silhouette / all, unsure: unsure / all };
}

/** What a timbre may drift with: one, powers of the pitch, length, loudness. */
function driftAxes(note: HeardNote): number[] {
  const pitch = (note.pitch - 64) / 12;
  const length = Math.log(Math.min(Math.max(duration(note), 0.05), 3) / 0.3);
  return [1, pitch, pitch ** 2, pitch ** 3 / 3, length, ((note.velocity || 0) - 64) / 32];
}

/** Like `distortion`, with a drift along `axes` allowed to every cluster. */
function driftingDistortion({ d, x, weight }: Points, axes: number[][], { labels, centroids }: Partition): number {
  let total = 0;
  for (let c = 0; c < centroids.length / d; c++) {
    const own = indices(labels, c);
    if (!own.length) continue;
    const fit = regression(own.map((i) => axes[i]), own.map((i) => weight[i]), own.map((i) => [...x.subarray(i * d, (i + 1) * d)]), (a) => (a ? DRIFT_PENALTY : 1e-9));
    let square = 0;
    for (const i of own) square += weight[i] * dot(x, i * d, x, i * d, d);
    const explained = fit.solution.reduce((all, row, a) => all + row.reduce((part, value, j) => part + value * fit.projected[a][j], 0), 0);
    total += Math.max(square - explained, 0);
  }
  return (0.5 * total) / sum(weight);
}

const indices = (labels: Int32Array, c: number): number[] => [...labels.keys()].filter((i) => labels[i] === c);

/** Figures over the pairs of clusters, each seen along the line between its two centroids. */
function pairsOf({ d, x, weight }: Points, pitch: number[], axes: number[][], { labels, centroids }: Partition) {
  const k = centroids.length / d;
  const members = Array.from({ length: k }, (_, c) => indices(labels, c));
  if (members.some((own) => !own.length)) return { closest: 1, least: 0, mean: 0, register: 1, own: 0 };
  let [closest, least, register, own] = [-1, Infinity, 0, Infinity];
  const separations: number[] = [];
  for (let a = 0; a < k; a++) {
    for (let b = a + 1; b < k; b++) {
      closest = Math.max(closest, dot(centroids, a * d, centroids, b * d, d));
      const both = [...members[a], ...members[b]];
      const side = both.map((_, i) => (i < members[a].length ? 0.5 : -0.5));
      const between = Float64Array.from({ length: d }, (_, j) => centroids[a * d + j] - centroids[b * d + j]);
      const line = both.map((i) => dot(x, i * d, between, 0, d));
      const counts = both.map((i) => weight[i]);
      const plain = separation(both.map((i) => [axes[i][0]]), side, counts, line);
      own = Math.min(own, separation(both.map((i) => axes[i]), side, counts, line));
      separations.push(plain);
      if (plain < least) {
        least = plain;
        const [one, other] = [members[a], members[b]].map((those) => spread(those.map((i) => pitch[i])));
        register = Math.exp(-Math.abs(one.mean - other.mean) / (one.deviation + other.deviation + 2));
      }
    }
  }
  return { closest, least, mean: sum(separations) / separations.length, register, own };
}

function spread(values: number[]): { mean: number; deviation: number } {
  const mean = sum(values) / values.length;
  return { mean, deviation: Math.sqrt(sum(values.map((v) => (v - mean) ** 2)) / values.length) };
}

/** Step between two sides over the deviation around it, beside what `basis` explains (Ashman's D). */
function separation(basis: number[][], side: number[], weight: number[], line: number[]): number {
  const axes = basis.map((row, i) => [...row, side[i]]);
  const last = axes[0].length - 1;
  const { solution } = regression(axes, weight, line.map((value) => [value]), (a) => (a && a < last ? DRIFT_PENALTY : 1e-9));
  const rest = line.map((value, i) => value - axes[i].reduce((total, axis, a) => total + axis * solution[a][0], 0));
  const square = rest.reduce((total, value, i) => total + weight[i] * value ** 2, 0) / sum(weight);
  return Math.max(solution[last][0], 0) / Math.sqrt(square + 1e-3);
}

/** Weighted ridge regression of the columns of `values` on `axes`: what explains them, and their products with the axes. */
function regression(axes: number[][], weight: number[], values: number[][], penalty: (axis: number) => number) {
  const [size, width] = [axes[0].length, values[0].length];
  const table = Array.from({ length: size }, (_, a) => {
    const row = new Array<number>(size + width).fill(0);
    row[a] = penalty(a);
    return row;
  });
  axes.forEach((axis, i) => {
    for (let a = 0; a < size; a++) {
      const weighted = axis[a] * weight[i];
      for (let b = 0; b < size; b++) table[a][b] += weighted * axis[b];
      for (let j = 0; j < width; j++) table[a][size + j] += weighted * values[i][j];
    }
  });
  const projected = table.map((row) => row.slice(size));
  // Gauss and Jordan, the largest pivot first.
  for (let a = 0; a < size; a++) {
    let pivot = a;
    for (let b = a + 1; b < size; b++) if (Math.abs(table[b][a]) > Math.abs(table[pivot][a])) pivot = b;
    [table[a], table[pivot]] = [table[pivot], table[a]];
    for (let b = 0; b < size; b++) {
      if (b === a) continue;
      const factor = table[b][a] / table[a][a];
      if (factor) for (let j = a; j < size + width; j++) table[b][j] -= factor * table[a][j];
    }
  }
  return { solution: table.map((row, a) => row.slice(size).map((value) => value / row[a])), projected };
}
