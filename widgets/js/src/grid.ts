// The beats of the music as a grid: places between them, and what an edit snaps to.

export interface Beats {
  /** Seconds of each beat. */
  time: number[];
  /** Which of them begin a bar. */
  bar: number[];
}

/** What edits snap to: nothing, bars, or so many parts of a beat. */
export type Snap = "" | "bar" | "1" | "2" | "3" | "4" | "6" | "8";
export const SNAPS: Snap[] = ["", "bar", "1", "2", "3", "4", "6", "8"];

/** Index of the last value that is not over `value`; -1 if all are. */
function before(values: number[], value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A time as beats from the first; outside of them at the tempo of the ends. */
export function position({ time }: Beats, seconds: number): number {
  const n = time.length;
  if (n < 2) return seconds * 2;
  const i = Math.min(Math.max(before(time, seconds), 0), n - 2);
  return i + (seconds - time[i]) / (time[i + 1] - time[i]);
}

/** The inverse of `position`. */
export function seconds({ time }: Beats, place: number): number {
  const n = time.length;
  if (n < 2) return place / 2;
  const i = Math.min(Math.max(Math.floor(place), 0), n - 2);
  return time[i] + (place - i) * (time[i + 1] - time[i]);
}

/** Times of the bar lines, and one after the last as far away as the last two are. */
export function barLines(beats: Beats): number[] {
  const lines = beats.bar.map((i) => beats.time[i]);
  const n = lines.length;
  if (n > 1) lines.push(2 * lines[n - 1] - lines[n - 2]);
  return lines;
}

/** The nearest place of the grid; the time itself where there is none. */
export function snapped(beats: Beats, snap: Snap, time: number): number {
  if (!snap || beats.time.length < 2) return time;
  if (snap === "bar") return nearest(barLines(beats), time);
  const parts = Number(snap);
  return Math.max(0, seconds(beats, Math.round(position(beats, time) * parts) / parts));
}

/** The place of the grid so many steps from a time (-1: the one before it, 1: the one after it). */
export function stepped(beats: Beats, snap: Snap, time: number, by: 1 | -1): number {
  if (snap === "bar") {
    const lines = barLines(beats);
    return (by > 0 ? lines.find((t) => t > time + 0.001) : lines.filter((t) => t < time - 0.001).at(-1)) ?? time;
  }
  const parts = Number(snap);
  const place = position(beats, time) * parts;
  const next = by > 0 ? Math.floor(place + 0.01) + 1 : Math.ceil(place - 0.01) - 1;
  return Math.max(0, seconds(beats, next / parts));
}

/** Seconds of one step of the grid around a time. */
export function gridStep(beats: Beats, snap: Snap, time: number): number {
  return stepped(beats, snap, time, 1) - time;
}

export function nearest(values: number[], value: number): number {
  if (!values.length) return value;
  const i = before(values, value);
  const below = values[Math.max(i, 0)];
  const above = values[Math.min(i + 1, values.length - 1)];
  return value - below <= above - value ? below : above;
}

/** First and last bar line around a stretch of time: what a loop by bars takes. */
export function wholeBars(beats: Beats, from: number, to: number): { from: number; to: number } {
  const lines = barLines(beats);
  if (lines.length < 2) return { from, to };
  const first = Math.min(Math.max(before(lines, from + 1e-6), 0), lines.length - 2);
  const last = lines.find((t, i) => i > first && t >= to - 1e-6) ?? lines[lines.length - 1];
  return { from: lines[first], to: last };
}
