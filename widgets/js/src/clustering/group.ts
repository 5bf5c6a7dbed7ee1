// From notes to notes with tracks: clustering, a person's own sorting, and joins (widgets/state/grouping.py).

import { type CountModel, estimateTimbres } from "./count";
import { cluster } from "./cluster";
import { type HeardNote, type Rule, type Settings, dot, normalize } from "./points";
import type { Sorted } from "./stability";

/** What of a session's state the tracks come from; see `State` in widgets/state/edits.py. */
export interface Sorting {
  clustering: Settings;
  /** (pitch, onset in seconds, track): notes that a person has assigned. */
  taught: number[][];
  /** (from, into): timbres that a person has joined, in order. */
  merged: number[][];
  /** The number that *Auto* has arrived at, 0 before it has. */
  found: number;
}

export interface Grouping {
  /** The number that *Auto* holds to be right, and how many tracks there are to see. */
  timbres: number;
  tracks: number;
  probability: number[];
  /** (tracks, d): the mean sound of each. */
  centroids: Float64Array;
}

export interface GroupRule extends Rule {
  stay: number;
  max_tracks: number;
  /** A note is the one that was taught if its pitch is equal and its onset this near. */
  near_s: number;
}

/**
 * The track of every decoded note, before joins.
 *
 * `before` is the result before this one, whose numbers tracks keep; `known` its grouping. While a slider is dragged
 * (`thorough` false) notes go to the nearest of the known timbres.
 */
export function group(notes: HeardNote[], state: Sorting, before: Sorted[] | null, known: Grouping | null, thorough: boolean, model: CountModel, rule: GroupRule): { track: Int32Array; grouping: Grouping | null } {
  const given = taughtNotes(notes, state.taught, rule.near_s);
  const put = (track: Int32Array) => {
    for (const [index, number] of given) track[index] = number;
    return track;
  };
  if (!notes.length || !notes[0].embedding.length) return { track: put(new Int32Array(notes.length)), grouping: null };
  if (!thorough && known) return { track: put(nearestKnown(notes, known.centroids)), grouping: known };
  const { clustering, found: at } = state;
  const { timbres: best, probability } = estimateTimbres(notes, clustering, model, rule);
  // Auto changes its mind for a number that is several times as probable as the one it is at.
  const found = at >= 1 && probability[at - 1] * rule.stay > probability[best - 1] ? at : best;
  const sort = (timbres: number, previous: Sorted[] | null) => cluster(notes, { ...clustering, timbres }, rule, previous, given);
  const old = new Set(before?.map((note) => note.track));
  const fresh = before ? new Set([...given.values()].filter((track) => !old.has(track))).size : 0;
  let previous = before;
  if (fresh && clustering.timbres !== null && clustering.timbres > fresh) {
    // A track that has just been taught: who sounds like its notes is found first, so that it keeps its number.
    const first = sort(clustering.timbres - fresh, previous);
    previous = notes.map((note, i) => ({ ...note, track: first[i] }));
  }
  let wanted = found;
  if (clustering.timbres !== null) wanted = Math.min(clustering.timbres + new Set(state.merged.map(([from]) => from)).size, rule.max_tracks);
  let track = sort(wanted, previous);
  for (let turn = 0; turn < 2 && clustering.timbres !== null && state.merged.length; turn++) {
    // The number is that of tracks as a person sees them; a timbre that was joined may not be there any more.
    const more = clustering.timbres - new Set(joined(track, state.merged)).size;
    if (!more || wanted + more < 1 || wanted + more > rule.max_tracks) break;
    wanted += more;
    track = sort(wanted, previous);
  }
  const centroids = means(notes, track);
  return { track: put(track), grouping: { timbres: found, tracks: new Set(joined(track, state.merged)).size, probability, centroids } };
}

/** Tracks after the joins that a person has asked for, in order. */
export function joined(track: Int32Array, merged: number[][]): Int32Array {
  return merged.reduce((tracks, [from, into]) => tracks.map((number) => (number === from ? into : number)), track);
}

/** Place of each track in the list that a person sees: those with notes in order, then the empty ones. */
export function places(tracks: ArrayLike<number>, count: number): number[] {
  const used = new Set(Array.from(tracks));
  const all = Array.from({ length: count }, (_, i) => i);
  const order = [...all.filter((i) => used.has(i)), ...all.filter((i) => !used.has(i))];
  return all.map((i) => order.indexOf(i));
}

function taughtNotes(notes: HeardNote[], taught: number[][], near: number): Map<number, number> {
  const given = new Map<number, number>();
  for (const [pitch, onset, track] of taught) {
    let best = -1;
    notes.forEach((note, i) => {
      const away = Math.abs(note.onset - onset);
      if (note.pitch === pitch && away < near && !given.has(i) && (best < 0 || away < Math.abs(notes[best].onset - onset))) best = i;
    });
    if (best >= 0) given.set(best, track);
  }
  return given;
}

function means(notes: HeardNote[], track: Int32Array): Float64Array {
  const d = notes[0].embedding.length;
  const total = new Float64Array((Math.max(...track) + 1) * d);
  notes.forEach(({ embedding }, i) => {
    for (let j = 0; j < d; j++) total[track[i] * d + j] += embedding[j];
  });
  return normalize(total, d, 1e-9);
}

function nearestKnown(notes: HeardNote[], centroids: Float64Array): Int32Array {
  const d = notes[0].embedding.length;
  return Int32Array.from(notes, ({ embedding }) => {
    let [best, number] = [-2, 0];
    for (let c = 0; c < centroids.length / d; c++) {
      const empty = !centroids.subarray(c * d, (c + 1) * d).some(Boolean);
      const cosine = empty ? -2 : dot(embedding, 0, centroids, c * d, d);
      if (cosine > best) [best, number] = [cosine, c];
    }
    return number;
  });
}

/** What each track may sound like: General MIDI programs, the likeliest first (amtsep/clustering/sounds.py). */
export function suggestPrograms(notes: (HeardNote & { track: number; pooled?: ArrayLike<number> })[], count: number, sounds: { program: number; centroid: number[] }[], least: number, most = 3): number[][] {
  // What the network itself says: the sounds were heard so.
  const heard = notes.map(({ embedding, pooled = embedding, onset, offset, track }) => ({ pooled, length: offset - onset, track }));
  return Array.from({ length: count }, (_, track) => {
    const own = heard.filter((note) => note.track === track && note.pooled.length);
    if (!own.length) return [];
    const d = own[0].pooled.length;
    const mean = new Float64Array(d);
    for (const { pooled, length } of own) for (let j = 0; j < d; j++) mean[j] += pooled[j] * length;
    normalize(mean, d);
    const near = sounds
      .map(({ program, centroid }) => ({ program, likeness: dot(normalize(Float64Array.from(centroid), d), 0, mean, 0, d) }))
      .filter(({ likeness }) => likeness >= least)
      .sort((a, b) => b.likeness - a.likeness);
    return [...new Set(near.map(({ program }) => program))].slice(0, most);
  });
}
