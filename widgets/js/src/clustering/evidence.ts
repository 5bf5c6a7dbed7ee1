// Who overlaps whom in time, and which pitches are near in time (amtsep/clustering/evidence.py).

import { type HeardNote, type Rule, duration } from "./points";

/** Pairs of notes and how much they have to do with each other, in [0, 1]. */
export interface Pairs {
  first: number[];
  second: number[];
  share: number[];
}

export function overlappingPairs(notes: HeardNote[], rule: Rule): Pairs {
  const pairs: Pairs = { first: [], second: [], share: [] };
  notes.forEach((note, i) => {
    for (let j = i + 1; j < notes.length && j <= i + rule.max_partners && notes[j].onset < note.offset - rule.slack_s; j++) {
      const together = Math.min(note.offset, notes[j].offset) - notes[j].onset - rule.slack_s;
      const shorter = Math.min(duration(note), duration(notes[j]));
      put(pairs, i, j, Math.min(together / Math.max(shorter - rule.slack_s, rule.slack_s), 1), 0.1);
    }
  });
  return pairs;
}

export function neighbourPairs(notes: HeardNote[], rule: Rule): Pairs {
  const pairs: Pairs = { first: [], second: [], share: [] };
  notes.forEach((note, i) => {
    for (let j = i + 1; j < Math.min(notes.length, i + rule.neighbours + 1); j++) {
      put(pairs, i, j, Math.exp(-(notes[j].onset - note.onset) / rule.neighbour_s), 0.02);
    }
  });
  return pairs;
}

function put({ first, second, share }: Pairs, i: number, j: number, value: number, least: number): void {
  if (value <= least) return;
  first.push(i);
  second.push(j);
  share.push(value);
}

/** Of all overlap in time, the share within clusters. */
export function overlapShare({ first, second, share }: Pairs, labels: Int32Array): number {
  let [all, within] = [0, 0];
  share.forEach((value, p) => {
    all += value;
    if (labels[first[p]] === labels[second[p]]) within += value;
  });
  return all ? within / all : 0;
}

/** The symmetric matrix of the pairs times `q`, (n, k). */
export function times({ first, second, share }: Pairs, q: Float64Array, n: number, k: number): Float64Array {
  const result = new Float64Array(n * k);
  for (let p = 0; p < share.length; p++) {
    const [a, b, value] = [first[p] * k, second[p] * k, share[p]];
    for (let c = 0; c < k; c++) {
      result[a + c] += value * q[b + c];
      result[b + c] += value * q[a + c];
    }
  }
  return result;
}
