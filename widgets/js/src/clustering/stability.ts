// Numbers of tracks that stay: by order of entry at first, by overlap with the result before afterwards
// (amtsep/clustering/stability.py).

import { duration } from "./points";

/** A note in its track. */
export interface Sorted {
  onset: number;
  offset: number;
  pitch: number;
  track: number;
}

/** Clusters with the track numbers that most of their sounding time had before; new ones get the lowest free numbers. */
export function keepNumbers(notes: Omit<Sorted, "track">[], labels: Int32Array, previous: Sorted[] | null, sameOnset: number): Int32Array {
  const entered = entryOrder(labels);
  if (!previous?.length || !labels.length) return entered;
  const count = Math.max(...entered) + 1;
  const before = Math.max(...previous.map((note) => note.track)) + 1;
  const overlap = Array.from({ length: count }, () => new Array<number>(before).fill(0));
  sameNotes(notes, previous, sameOnset).forEach((at, i) => {
    if (at >= 0) overlap[entered[i]][previous[at].track] += duration(notes[i]) + 0.05;
  });
  const number = pairing(overlap).map((column, row) => (column >= 0 && overlap[row][column] > 0 ? column : -1));
  const taken = new Set(number);
  let free = 0;
  for (let row = 0; row < count; row++) {
    if (number[row] >= 0) continue;
    while (taken.has(free)) free++;
    number[row] = free++;
  }
  return entered.map((label) => number[label]);
}

function entryOrder(labels: Int32Array): Int32Array {
  const rank = new Map<number, number>();
  return labels.map((label) => {
    if (!rank.has(label)) rank.set(label, rank.size);
    return rank.get(label) ?? 0;
  });
}

/** For every note the one of equal pitch and nearest onset in another table, or -1. */
function sameNotes(notes: Omit<Sorted, "track">[], others: Sorted[], within: number): number[] {
  const byPitch = new Map<number, number[]>();
  others.forEach((note, i) => byPitch.set(note.pitch, [...(byPitch.get(note.pitch) ?? []), i]));
  return notes.map(({ pitch, onset }) => {
    let best = -1;
    for (const i of byPitch.get(pitch) ?? []) {
      const away = Math.abs(others[i].onset - onset);
      if (away <= within && (best < 0 || away < Math.abs(others[best].onset - onset))) best = i;
    }
    return best;
  });
}

/** The pairing of rows with columns, one to one, of the highest sum (Kuhn 1955, Munkres 1957); -1: no column is left. */
export function pairing(value: number[][]): number[] {
  const [rows, columns] = [value.length, value[0].length];
  const size = Math.max(rows, columns);
  const cost = (row: number, column: number) => -(value[row - 1]?.[column - 1] ?? 0);
  const rowPrice = new Float64Array(size + 1);
  const columnPrice = new Float64Array(size + 1);
  const rowOf = new Int32Array(size + 1);
  const way = new Int32Array(size + 1);
  for (let row = 1; row <= size; row++) {
    rowOf[0] = row;
    let column = 0;
    const least = new Float64Array(size + 1).fill(Infinity);
    const used = new Uint8Array(size + 1);
    do {
      used[column] = 1;
      let [delta, next] = [Infinity, 0];
      for (let j = 1; j <= size; j++) {
        if (used[j]) continue;
        const reduced = cost(rowOf[column], j) - rowPrice[rowOf[column]] - columnPrice[j];
        if (reduced < least[j]) [least[j], way[j]] = [reduced, column];
        if (least[j] < delta) [delta, next] = [least[j], j];
      }
      for (let j = 0; j <= size; j++) {
        if (used[j]) {
          rowPrice[rowOf[j]] += delta;
          columnPrice[j] -= delta;
        } else least[j] -= delta;
      }
      column = next;
    } while (rowOf[column]);
    for (; column; column = way[column]) rowOf[column] = rowOf[way[column]];
  }
  const found = new Array<number>(rows).fill(-1);
  for (let j = 1; j <= columns; j++) if (rowOf[j] <= rows) found[rowOf[j] - 1] = j - 1;
  return found;
}
