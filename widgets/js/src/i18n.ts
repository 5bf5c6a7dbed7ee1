import type { Hub } from "./hub";
import { type Words, en } from "./words/en";
import { zh } from "./words/zh";

const TABLES: Record<string, Words> = { en, zh };

export type Word = keyof Words;

/** What a track is called. */
export function trackName(hub: Hub, index: number): string {
  const track = hub.tracks[index];
  return track?.given || track?.place === undefined ? (track?.name ?? "") : say(hub, "timbre_n", { n: track.place + 1 });
}

/** A sentence in the language of the page, with `{name}` filled in. */
export function say(hub: Hub, key: Word | string, values: Record<string, unknown> = {}): string {
  const table = TABLES[hub.prefs.language] ?? en;
  const text = (table as Record<string, string>)[key] ?? (en as Record<string, string>)[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}
