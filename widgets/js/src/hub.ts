// What the parts of one page share in the browser: the notes on show, the transport, selection, language and theme.
// Every widget runs a module instance of its own; the hub of a session is the one thing they have in common.

import type { Note } from "./edits";
import type { Beats, Snap } from "./grid";
import { LANGUAGES } from "./i18n";
import type { Notes, Track } from "./notes";
import { type Curve, findNote, unpack } from "./notes";
import { type Strokes, nearStroke, unpackStrokes } from "./drums";
import type { Theme } from "./palette";
import type { Keeper } from "./link";
import type { Uploads } from "./panels/upload";
import { Transport } from "./sound/transport";

export interface Prefs {
  language: string;
  theme: Theme;
  /** "off": keys of a single character do nothing. */
  keys: string;
  /** "on": larger type and thicker lines, for a projector. */
  projector: string;
}

export interface Mix {
  volume: number;
  mute: boolean;
  solo: boolean;
  hidden: boolean;
}

type Handler = (value: any) => void;

export class Hub {
  prefs: Prefs;
  notes: Notes = unpack(new Float32Array(0));
  tracks: Track[] = [];
  mix: Mix[] = [];
  reference: Notes | null = null;
  strokes: Strokes = unpackStrokes(new Float32Array(0));
  /** How the drums sound and show. */
  kit: Mix & { lane?: boolean } = { volume: 1, mute: false, solo: false, hidden: false };
  duration = 0;
  /** Beats of the music in seconds, and which of them begin a bar; empty until they are asked for. */
  beats: Beats = { time: [], bar: [] };
  /** What edits snap to; chosen in the player. */
  snap: Snap = "";
  /** Whether pitch curves are drawn in the roll. */
  bends = false;
  selection: Set<number> = new Set();
  /** Strokes of drums that are selected; notes or strokes are, never both. */
  struck: Set<number> = new Set();
  /** Row of the drum lane in which the keyboard is, at the playhead; -1 where it is among the notes. */
  drumRow = -1;
  tab = "";
  /** On a small page: whether the chosen panel is open under the roll. */
  sheet = false;
  /** small, medium, usual or large: see `layout.ts`. */
  size = "";
  /** What parts offer to one another by name: the shortcut keys and the empty page call them. */
  actions: Record<string, (...args: any[]) => any> = {};
  /** (pitch, onset, number) of the notes to be selected when an edit comes back. */
  expected: number[][] | null = null;
  /** The same for strokes. */
  expectedStrokes: number[][] | null = null;
  /** What has been copied: notes, or strokes of drums. */
  clipboard: { strokes: boolean; notes: Note[] } = { strokes: false, notes: [] };
  /** Pitch curves of the notes, where files are to have them. */
  curves: Curve[] = [];
  history: { undo?: boolean; redo?: boolean; edits?: number; turn?: number; unsaved?: boolean } = {};
  mixPending = 0;
  /** The onset threshold that the notes come from: one that is less sure has no start of its own. */
  sure = 0;
  /** Arrow keys go from note to note; false while they edit the one that is selected. */
  stepping = false;
  /** The element that a pointer has given the focus to. */
  pointed: EventTarget | null = null;
  uploads: Uploads | null = null;
  keeper: Keeper | null = null;
  /** What has been done without the program has been saved as a file. */
  savedHere = false;
  recorder: MediaRecorder | null = null;
  recordingSince = 0;
  keyUsers = 0;
  keyHandler: ((e: KeyboardEvent) => void) | null = null;
  pointHandler: ((e: Event) => void) | null = null;
  readonly transport: Transport;
  private handlers = new Map<string, Set<Handler>>();
  /** Numbers of the tracks that hold notes. */
  private used = new Set<number>();
  private unfollow: () => void = () => undefined;

  private holders = 0;
  private leaving = 0;

  constructor(readonly id: string) {
    this.prefs = {
      language: remembered("language") ?? "",
      theme: (remembered("theme") as Theme) ?? "",
      keys: remembered("keys") ?? "on",
      projector: remembered("projector") ?? "off",
    };
    this.transport = new Transport(this);
  }

  /** A widget is on the page. When the last has gone, and none comes in its place, the hub ends. */
  hold(): () => void {
    this.holders += 1;
    clearTimeout(this.leaving);
    return () => {
      this.holders -= 1;
      if (this.holders) return;
      this.transport.pause();
      this.leaving = window.setTimeout(() => this.end(), LINGER_MS);
    };
  }

  /** Let go of the sound, the microphone, an upload, and of everybody who listens. */
  private end(): void {
    registry().delete(this.id);
    this.recorder?.stream.getTracks().forEach((track) => track.stop());
    this.uploads?.end();
    this.keeper?.end();
    this.handlers.clear();
    this.actions = {};
    this.notes = unpack(new Float32Array(0));
    this.strokes = unpackStrokes(new Float32Array(0));
    this.curves = [];
    this.reference = this.uploads = this.keeper = this.recorder = null;
    this.transport.end();
  }

  on(name: string, handler: Handler): () => void {
    let set = this.handlers.get(name);
    if (!set) this.handlers.set(name, (set = new Set()));
    set.add(handler);
    return () => set.delete(handler);
  }

  emit(name: string, value?: unknown): void {
    for (const handler of [...(this.handlers.get(name) ?? [])]) handler(value);
  }

  /** What the page was asked to begin with counts over what the browser prefers, a choice made here over both. */
  begin(given: Partial<Prefs>): void {
    this.prefs.language ||= given.language || (LANGUAGES.find((code) => navigator.language.startsWith(code)) ?? "en");
    this.prefs.theme ||=
      (given.theme as Theme) || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  }

  prefer(change: Partial<Prefs>): void {
    Object.assign(this.prefs, change);
    for (const [key, value] of Object.entries(change)) {
      try {
        localStorage.setItem(`amtsep.${key}`, String(value));
      } catch {
        // Private windows may refuse: the choice then lasts as long as the page.
      }
    }
    this.emit("prefs");
  }

  setNotes(notes: Notes): void {
    const wanted = this.expected ?? [...this.selection].map((i) => [this.notes.pitch[i], this.notes.onset[i], this.notes.hand[i]]);
    this.expected = null;
    this.notes = notes;
    const before = this.used;
    this.used = new Set(notes.track);
    const selection = new Set<number>();
    for (const [pitch, onset, number] of wanted) {
      const i = findNote(notes, pitch, onset, number);
      if (i >= 0) selection.add(i);
    }
    const changed = selection.size !== this.selection.size || [...selection].some((i) => !this.selection.has(i));
    this.selection = selection;
    this.emit("notes");
    // Who is heard alone hangs on who is there.
    if (before.size !== this.used.size || [...before].some((track) => !this.used.has(track))) this.emit("mix");
    if (changed) this.emit("selection");
  }

  setTracks(tracks: Track[], mix?: Mix[]): void {
    this.tracks = tracks;
    // While changes made here are on their way, what comes back is older than what is shown.
    if (mix && this.mixPending <= 1) this.mix = mix;
    while (this.mix.length < tracks.length) this.mix.push({ volume: 1, mute: false, solo: false, hidden: false });
    this.emit("tracks");
  }

  setStrokes(strokes: Strokes): void {
    const wanted = this.expectedStrokes ?? [...this.struck].map((i) => [this.strokes.key[i], this.strokes.time[i], this.strokes.hand[i]]);
    this.expectedStrokes = null;
    const had = this.struck.size;
    const came = Boolean(strokes.n) !== Boolean(this.strokes.n);
    this.strokes = strokes;
    const struck = new Set<number>();
    for (const [key, time, number] of wanted) {
      const i = number ? strokes.hand.indexOf(number) : nearStroke(strokes, time, 0.06, { key });
      if (i >= 0) struck.add(i);
    }
    this.struck = struck;
    this.emit("strokes");
    if (came) this.emit("mix");
    if (struck.size || had) this.emit("selection");
  }

  setKit(change: Partial<Hub["kit"]>, told = false): void {
    if (told && this.mixPending > 1) this.kit.lane = change.lane;
    else Object.assign(this.kit, change);
    this.emit("mix");
  }

  setMix(track: number, change: Partial<Mix>): void {
    Object.assign(this.mix[track], change);
    this.emit("mix");
  }

  /** What is chosen now counts over what an edit that is still on its way would choose. */
  select(selection: Iterable<number>): void {
    this.selection = new Set(selection);
    this.struck = new Set();
    this.expected = this.expectedStrokes = null;
    this.drumRow = -1;
    this.emit("selection");
  }

  selectStrokes(struck: Iterable<number>): void {
    this.struck = new Set(struck);
    this.selection = new Set();
    this.expected = this.expectedStrokes = null;
    this.emit("selection");
  }

  /**
   * For as long as what is selected is dragged: the numbers of it, and of the one in hand. They change when a table comes
   * meanwhile (the answer to an edit before); null where not all of them are there any more.
   */
  follow(name: "notes" | "strokes", hand: number): () => { list: number[]; hand: number } | null {
    const chosen = () => [...(name === "notes" ? this.selection : this.struck)];
    let list = chosen();
    const place = list.indexOf(hand);
    let lost = place < 0;
    this.unfollow();
    this.unfollow = this.on(name, () => {
      const next = chosen();
      lost ||= next.length !== list.length;
      list = next;
    });
    return () => (lost ? null : { list, hand: list[place] });
  }

  /** Whether a note was found without its start. */
  missed(i: number): boolean {
    return !this.notes.hand[i] && this.notes.confidence[i] < this.sure;
  }

  /** Numbers of the tracks that hold notes, in the order that a person sees. */
  get shown(): number[] {
    return this.tracks.map((_, i) => i).filter((i) => this.used.has(i));
  }

  audible(track: number): boolean {
    const mix = this.mix[track];
    if (!mix) return true;
    return !mix.mute && (!this.soloed || mix.solo);
  }

  /** Whether some of what sounds is heard alone; what has been joined to another, or holds nothing any more, silences none. */
  get soloed(): boolean {
    return (this.kit.solo && this.strokes.n > 0) || this.mix.some((m, i) => m.solo && this.used.has(i));
  }

  get kitAudible(): boolean {
    return !this.kit.mute && (!this.soloed || this.kit.solo);
  }
}

function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`amtsep.${key}`);
  } catch {
    return null;
  }
}

/** A widget that is moved on the page leaves it for a moment. */
const LINGER_MS = 1000;
const REGISTRY = Symbol.for("amtsep.hubs");

/** The hubs of all sessions on the page. */
const registry = (): Map<string, Hub> => ((globalThis as any)[REGISTRY] ??= new Map());

export function hub(id: string): Hub {
  const all = registry();
  let found = all.get(id);
  if (!found) all.set(id, (found = new Hub(id)));
  return found;
}
