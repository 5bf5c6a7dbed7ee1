import type { Hub } from "./hub";
import { type Words, en } from "./words/en";
import { errorsZh } from "./words/errors_zh";
import { zh } from "./words/zh";

/** A third language is a file of words and its name here; what it lacks is said in English. */
const TABLES: Record<string, Partial<Words>> = { en, zh };

export const LANGUAGES = Object.keys(TABLES);

/** The language that the button offers, and what it calls itself. */
export function nextLanguage(language: string): { code: string; name: string } {
  const code = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
  return { code, name: TABLES[code].language ?? code };
}

export type Word = keyof Words;

const fillIn = (text: string, values: Record<string, unknown>): string => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** What a track is called. */
export function trackName(hub: Hub, index: number): string {
  const track = hub.tracks[index];
  return track?.given || track?.place === undefined ? (track?.name ?? "") : say(hub, "timbre_n", { n: track.place + 1 });
}

/** A sentence in the language of the page, with `{name}` filled in. */
export function say(hub: Hub, key: Word | string, values: Record<string, unknown> = {}): string {
  const table = TABLES[hub.prefs.language] ?? en;
  const text = (table as Record<string, string>)[key] ?? (en as Record<string, string>)[key] ?? key;
  return fillIn(text, values);
}

/** What the program says: an error of the library comes as English text, its template as the key. */
export function sentence(hub: Hub, { key = "", values = {}, text = "" }: { key?: string; values?: Record<string, unknown>; text?: string }): string {
  if (!text) return key ? say(hub, key, values) : "";
  const template = hub.prefs.language === "zh" ? errorsZh[key] : undefined;
  return template ? fillIn(template, values) : text;
}
