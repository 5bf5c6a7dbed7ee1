// Notes to tracks by how they sound (amtsep/clustering/__init__.py, method "ward-kmeans").

import { type HeardNote, type Rule, type Settings, dense, notePoints } from "./points";
import { type Given, settled } from "./soft";
import { type Sorted, keepNumbers } from "./stability";
import { wardKmeans } from "./tree";

/** The track of every note, for `settings.timbres` timbres. */
export function cluster(notes: HeardNote[], settings: Settings & { timbres: number }, rule: Rule, previous: Sorted[] | null = null, given: Given = new Map()): Int32Array {
  if (!notes.length) return new Int32Array(0);
  const points = notePoints(notes, rule);
  const k = Math.max(1, Math.min(settings.timbres, notes.length));
  const labels = settled(notes, points, wardKmeans(points, k, rule), k, settings, rule);
  const number = keepNumbers(notes, labels, previous, rule.same_onset_s);
  if (!given.size) return number;
  const put = (tracks: Int32Array) => {
    for (const [index, track] of given) tracks[index] = track;
    return tracks;
  };
  // Only now do clusters have the numbers that a person saw and meant.
  const { labels: inner, used } = dense(put(number));
  const meant: Given = new Map([...given].map(([index, track]) => [index, used.indexOf(track)]));
  const soft = settled(notes, points, inner, used.length, settings, rule, meant);
  return put(soft.map((label) => used[label]));
}
