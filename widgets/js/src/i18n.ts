import { type Families, soundsEn } from "./gm";
import type { Hub } from "./hub";
import { type Words, en } from "./words/en";
import { errorsZh } from "./words/errors_zh";
import { soundsZh } from "./words/sounds_zh";
import { zh } from "./words/zh";

/** What a language has words for; what it lacks is said in English. */
export interface Language {
  words: Partial<Words>;
  /** Errors of the library, by their English template. */
  errors?: Record<string, string>;
  /** General MIDI sounds. */
  sounds?: Families;
}

/** A third language is a file that exports such a value, and its name here. */
const TABLES: Record<string, Language> = {
  en: { words: en, sounds: soundsEn },
  zh: { words: zh, errors: errorsZh, sounds: soundsZh },
};

export const LANGUAGES = Object.keys(TABLES);

export const sounds = (language: string): Families => TABLES[language]?.sounds ?? soundsEn;

/** The language that the button offers, and what it calls itself. */
export function nextLanguage(language: string): { code: string; name: string } {
  const code = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
  return { code, name: TABLES[code].words.language ?? code };
}

export type Word = keyof Words;

const fillIn = (text: string, values: Record<string, unknown>): string => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** What a track is called that nobody has named: by its sound where a network meant that, else by its place. */
export function unnamed(hub: Hub, track: { place?: number; program?: number; instrument?: boolean }): string {
  const names = sounds(hub.prefs.language).flatMap(([, family]) => family.split("|"));
  return (track.instrument && names[track.program ?? 0]) || say(hub, "timbre_n", { n: (track.place ?? 0) + 1 });
}

/** What a track is called. */
export function trackName(hub: Hub, index: number): string {
  const track = hub.tracks[index];
  return track?.given || track?.place === undefined ? (track?.name ?? "") : unnamed(hub, track);
}

/** A sentence in the language of the page, with `{name}` filled in. */
export function say(hub: Hub, key: Word | string, values: Record<string, unknown> = {}): string {
  return wordIn(hub.prefs.language, key, values);
}

/** A network that is called by its weights' file, without the ending. */
export const shortName = (name = ""): string => name.replace(/\.safetensors$/, "");

/** What a network is called in a list. */
export function networkName(hub: Hub, name: string, writers: string[] = []): string {
  const other = ["mt3", "mr-mt3", "yourmt3"].includes(name);
  const own = `network_${name}`;
  const said = say(hub, own, { name });
  if (said !== own) return said;
  const short = shortName(name);
  return other || writers.includes(name) ? say(hub, other ? "network_other" : "network_writes", { name: short }) : short;
}

export function wordIn(language: string, key: Word | string, values: Record<string, unknown> = {}): string {
  const table = TABLES[language]?.words ?? en;
  return fillIn((table as Record<string, string>)[key] ?? (en as Record<string, string>)[key] ?? key, values);
}

/** What the program says: an error of the library comes as English text, its template as the key. */
export function sentence(hub: Hub, { key = "", values = {}, text = "" }: { key?: string; values?: Record<string, unknown>; text?: string }): string {
  if (!text) return key ? say(hub, key, values) : "";
  const template = TABLES[hub.prefs.language]?.errors?.[key];
  return template ? fillIn(template, values) : text;
}
