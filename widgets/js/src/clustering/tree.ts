// Points to K clusters: Ward's tree, then spherical k-means (amtsep/clustering/assign.py, "ward-kmeans").

import { type Points, type Rule, compress, dense, dot, nearest, normalize, sum, sums } from "./points";

export interface Partition {
  labels: Int32Array;
  /** (k, d), of unit length. */
  centroids: Float64Array;
}

/** Labels for 1, 2, ... clusters, as many as there can be; notes are sorted by those of even weights. */
export function wardPartitions(points: Points, largest: number, rule: Rule, even = false): Int32Array[] {
  const { small, member } = compress(points, rule.max_tree, rule);
  const { n: m, d, x } = small;
  const weight = even ? evened(small, rule) : Float64Array.from(small.weight);
  const square = Float64Array.from({ length: m }, (_, i) => dot(x, i * d, x, i * d, d));
  const cost = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      const apart = Math.max(square[i] + square[j] - 2 * dot(x, i * d, x, j * d, d), 0);
      cost[i * m + j] = i === j ? Infinity : (apart * weight[i] * weight[j]) / (weight[i] + weight[j]);
    }
  }
  const best = new Float64Array(m);
  const partner = new Int32Array(m);
  const look = (i: number) => {
    partner[i] = 0;
    for (let j = 1; j < m; j++) if (cost[i * m + j] < cost[i * m + partner[i]]) partner[i] = j;
    best[i] = cost[i * m + partner[i]];
  };
  for (let i = 0; i < m; i++) look(i);
  const owner = Int32Array.from({ length: m }, (_, i) => i);
  const found: Int32Array[] = [];
  for (let count = m; count > 0; count--) {
    if (count <= largest) {
      const { labels } = dense(owner);
      found.unshift(Int32Array.from(member, (i) => labels[i]));
    }
    if (count === 1) break;
    let a = 0;
    for (let i = 1; i < m; i++) if (best[i] < best[a]) a = i;
    const b = partner[a];
    const joint = cost[a * m + b];
    const total = weight[a] + weight[b];
    const row = new Float64Array(m);
    for (let j = 0; j < m; j++) {
      const [ca, cb] = [cost[a * m + j], cost[b * m + j]];
      const gone = j === a || j === b || ca === Infinity;
      row[j] = gone ? Infinity : ((weight[a] + weight[j]) * ca + (weight[b] + weight[j]) * cb - weight[j] * joint) / (total + weight[j]);
    }
    for (let i = 0; i < m; i++) if (owner[i] === b) owner[i] = a;
    weight[a] = total;
    for (let j = 0; j < m; j++) cost[a * m + j] = cost[j * m + a] = row[j];
    for (let j = 0; j < m; j++) cost[b * m + j] = cost[j * m + b] = Infinity;
    best[b] = Infinity;
    for (let i = 0; i < m; i++) {
      if (best[i] === Infinity && i !== a) continue;
      if (i === a || partner[i] === a || partner[i] === b) look(i);
      else if (row[i] < best[i]) [best[i], partner[i]] = [row[i], a];
    }
  }
  return found;
}

/** Weights of points that count the less, the more lie around them. */
function evened({ n, d, x, weight }: Points, rule: Rule): Float64Array {
  const unit = normalize(Float64Array.from(x), d);
  return weight.map((own, i) => {
    let crowd = 0;
    for (let j = 0; j < n; j++) crowd += weight[j] * Math.min(Math.max((dot(unit, i * d, unit, j * d, d) - rule.crowd) / (1 - rule.crowd), 0), 1);
    return own / Math.max(crowd, own) ** rule.evenness;
  });
}

/** Spherical k-means from a partition. */
export function refine(points: Points, start: Int32Array, k: number, rounds: number): Partition {
  const { n, d, x } = points;
  let labels = start;
  let centroids = normalize(sums(points, labels, k), d);
  for (let round = 0; round < rounds; round++) {
    const moved = nearest(x, n, centroids, d);
    // A cluster that lost its last point keeps its place.
    const total = sums(points, moved, k);
    for (let c = 0; c < k; c++) {
      const own = total.subarray(c * d, (c + 1) * d);
      if (own.every((value) => value === 0)) own.set(centroids.subarray(c * d, (c + 1) * d));
    }
    const done = moved.every((label, i) => label === labels[i]);
    labels = moved;
    centroids = normalize(total, d);
    if (done) break;
  }
  return { labels, centroids };
}

/** Weighted mean of one minus the cosine to the own centroid. */
export function distortion({ n, d, x, weight }: Points, { labels, centroids }: Partition): number {
  let near = 0;
  for (let i = 0; i < n; i++) near += weight[i] * dot(x, i * d, centroids, labels[i] * d, d);
  return 1 - near / Math.max(sum(weight), 1e-12);
}

export function wardKmeans(points: Points, k: number, rule: Rule): Int32Array {
  const partitions = wardPartitions(points, k, rule, true);
  return refine(points, partitions[Math.min(k, partitions.length) - 1], k, rule.rounds).labels;
}
