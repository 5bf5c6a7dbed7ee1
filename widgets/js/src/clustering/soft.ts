// Soft membership: a mixture on the sphere that also listens to time and register (amtsep/clustering/soft.py).

import { neighbourPairs, overlappingPairs, times } from "./evidence";
import { type HeardNote, type Points, type Rule, type Settings, counted, dot, normalize, sum } from "./points";

/** Note index to cluster, as a person says. */
export type Given = Map<number, number>;

/** The most probable cluster of every note, after the mean field. */
export function settled(notes: HeardNote[], points: Points, labels: Int32Array, k: number, settings: Settings, rule: Rule, given: Given = new Map()): Int32Array {
  const { n, d, x, weight } = points;
  let q = oneHot(labels, k);
  // The centroids stay those of the partition: a mixture that moves them merges timbres whose embeddings overlap.
  const total = new Float64Array(k * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) total[labels[i] * d + j] += weight[i] * x[i * d + j];
  let resultant = 0;
  for (let c = 0; c < k; c++) resultant += Math.sqrt(dot(total, c * d, total, c * d, d));
  const [lowest, highest] = rule.kappa;
  const whole = sum(weight);
  const kappa = Math.min(Math.max(rule.sharpness * concentration(resultant / whole, d), lowest), highest);
  const centroids = normalize(total, d);
  const sound = new Float64Array(n * k);
  for (let i = 0; i < n; i++) for (let c = 0; c < k; c++) sound[i * k + c] = dot(x, i * d, centroids, c * d, d);
  if (given.size) speakForOthers(sound, notes, points, labels, k, given, settings.given_weight / kappa, rule);
  // A timbre of few notes takes none from one of many but those that are surely its own; one that a person speaks of
  // may be about to grow.
  const mass = counted(labels, k, weight);
  const named = new Set(given.values());
  const most = Math.max(...mass);
  const share = mass.map((own, c) => ((named.has(c) ? most : own) + 0.5) / (whole + 0.5 * k));
  for (let at = 0; at < sound.length; at++) sound[at] = kappa * sound[at] + Math.log(share[at % k]);
  const overlap = settings.monophony > 0 && k > 1 ? overlappingPairs(notes, rule) : null;
  const beside = settings.register > 0 && k > 1 ? neighbourPairs(notes, rule) : null;
  const ones = new Float64Array(n).fill(1);
  const together = overlap ? times(overlap, ones, n, 1) : ones;
  const pitch = notes.map((note) => note.pitch);
  q = softmax(sound, k);
  for (let round = 0; round < (overlap || beside ? rule.soft_rounds : 0); round++) {
    clamp(q, k, given);
    const logit = Float64Array.from(sound);
    if (overlap?.share.length) {
      const own = times(overlap, q, n, k);
      const hard = oneHot(highestOf(q, k), k);
      const alone = times(overlap, hard, n, k);
      const strict = new Float64Array(k);
      for (let c = 0; c < k; c++) {
        let [chance, members, within] = [0, 0, 0];
        for (let i = 0; i < n; i++) {
          chance += hard[i * k + c] * together[i];
          members += hard[i * k + c];
          within += hard[i * k + c] * alone[i * k + c];
        }
        strict[c] = Math.min(Math.max(1 - within / ((rule.polyphonic * chance * members) / n + 1e-9), 0), 1);
      }
      for (let at = 0; at < logit.length; at++) logit[at] -= settings.monophony * rule.overlap_logit * strict[at % k] * Math.min(own[at], 1.5);
    }
    if (beside?.share.length) {
      const around = times(beside, q, n, k);
      const high = times(beside, q.map((value, at) => value * pitch[Math.floor(at / k)]), n, k);
      const centre = high.map((value, at) => (value + 1e-3 * pitch[Math.floor(at / k)]) / (around[at] + 1e-3));
      for (let c = 0; c < k; c++) {
        let [square, mass] = [0, 0];
        for (let i = 0; i < n; i++) {
          square += q[i * k + c] * (pitch[i] - centre[i * k + c]) ** 2;
          mass += q[i * k + c];
        }
        const wide = Math.sqrt(square / (mass + 1e-9)) + rule.pitch_spread;
        for (let i = 0; i < n; i++) {
          const at = i * k + c;
          logit[at] -= settings.register * 0.5 * ((pitch[i] - centre[at]) / wide) ** 2 * Math.min(around[at], 1);
        }
      }
    }
    // Half a step at a time: two notes that exclude each other would otherwise swap places for ever.
    const next = softmax(logit, k);
    q = q.map((value, at) => 0.5 * (value + next[at]));
  }
  clamp(q, k, given);
  return withoutEmpty(q, n, k);
}

const oneHot = (labels: Int32Array, k: number): Float64Array => {
  const q = new Float64Array(labels.length * k);
  labels.forEach((label, i) => (q[i * k + label] = 1));
  return q;
};

/** Of a von Mises-Fisher distribution, from its mean resultant length (Banerjee et al. 2005). */
function concentration(resultant: number, dim: number): number {
  const r = Math.min(Math.max(resultant, 0), 0.999);
  return (r * (dim - r ** 2)) / (1 - r ** 2);
}

/** A note goes with a given one where it sounds more like that than like any centroid, by a margin. */
function speakForOthers(cosine: Float64Array, notes: HeardNote[], { n, d, x, weight }: Points, labels: Int32Array, k: number, given: Given, margin: number, rule: Rule): void {
  let own = 0;
  for (let i = 0; i < n; i++) own += weight[i] * cosine[i * k + labels[i]];
  const resultant = Math.max(own / sum(weight), 0.5);
  // All of them first: a cosine must not count twice.
  const likeness = new Float64Array(n * k).fill(-1);
  for (const [index, track] of given) {
    for (let i = 0; i < n; i++) {
      const away = (notes[i].pitch - notes[index].pitch) / 12;
      const near = dot(x, i * d, x, index * d, d) / resultant - rule.pitch_fall * away ** 2;
      likeness[i * k + track] = Math.max(likeness[i * k + track], near);
    }
  }
  for (let at = 0; at < cosine.length; at++) cosine[at] = Math.max(cosine[at], likeness[at] + margin);
}

function clamp(q: Float64Array, k: number, given: Given): void {
  for (const [index, cluster] of given) for (let c = 0; c < k; c++) q[index * k + c] = c === cluster ? 1 : 0;
}

function softmax(logit: Float64Array, k: number): Float64Array {
  const result = new Float64Array(logit.length);
  for (let at = 0; at < logit.length; at += k) {
    let top = -Infinity;
    for (let c = 0; c < k; c++) top = Math.max(top, logit[at + c]);
    let total = 0;
    for (let c = 0; c < k; c++) total += result[at + c] = Math.exp(logit[at + c] - top);
    for (let c = 0; c < k; c++) result[at + c] /= total;
  }
  return result;
}

function highestOf(q: Float64Array, k: number): Int32Array {
  const best = new Int32Array(q.length / k);
  for (let i = 0; i < best.length; i++) for (let c = 1; c < k; c++) if (q[i * k + c] > q[i * k + best[i]]) best[i] = c;
  return best;
}

/** The most probable cluster; one that is nowhere ahead keeps the note that it is nearest to. */
function withoutEmpty(q: Float64Array, n: number, k: number): Int32Array {
  const best = highestOf(q, k);
  const count = new Int32Array(k);
  for (const label of best) count[label] += 1;
  const empty = [...count.keys()].filter((c) => !count[c]);
  for (const cluster of empty) {
    let [note, most] = [-1, -1];
    for (let i = 0; i < n; i++) {
      if (count[best[i]] > 1 && q[i * k + cluster] > most) [note, most] = [i, q[i * k + cluster]];
    }
    if (note < 0) continue;
    count[best[note]] -= 1;
    best[note] = cluster;
    count[cluster] = 1;
  }
  return best;
}
