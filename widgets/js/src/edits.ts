// Corrections by hand over decoded notes: notes struck out, and notes put in. Python keeps the same rules
// (widgets/state/corrections.py); these serve the page that has no Python behind it, or has lost it for a while.

export interface Note {
  onset: number;
  offset: number;
  pitch: number;
  velocity: number;
  confidence?: number;
  track?: number;
  /** Its number among the notes made by hand, from 1; 0 or none for a decoded one. */
  hand?: number;
}

/** What the roll sends: `at` names notes by (pitch, onset, number). */
export interface EditMessage {
  what: string;
  /** "strokes": of the drums, whose pitch is a General MIDI drum sound; else of the notes. */
  of?: string;
  at?: number[][];
  notes?: Note[];
  time?: number;
  track?: number;
  turn?: number;
}

export interface Edits {
  struck: number[][];
  added: Note[];
}

/** A decoded note is the one an edit speaks of if its pitch is equal and its onset this near. */
const NEAR_S = 0.06;
/** Times travel as 32-bit numbers: a note that differs by less has not been changed. */
const SAME_S = 5e-4;
const SHORTEST_S = 0.01;

export const NONE: Edits = { struck: [], added: [] };

const order = (a: Note, b: Note) => a.onset - b.onset || a.pitch - b.pitch || (a.track ?? 0) - (b.track ?? 0);

/** Index of the note that each (pitch, onset) speaks of, or -1; each note at most once, those with `skip` never. */
function nearest(notes: Note[], anchors: number[][], skip: (note: Note) => boolean = () => false): number[] {
  const taken = new Set<number>();
  return anchors.map(([pitch, onset]) => {
    let best = -1;
    notes.forEach((note, i) => {
      if (note.pitch !== pitch || note.onset < onset - NEAR_S || note.onset >= onset + NEAR_S || taken.has(i) || skip(note)) return;
      if (best < 0 || Math.abs(note.onset - onset) < Math.abs(notes[best].onset - onset)) best = i;
    });
    taken.add(best);
    return best;
  });
}

/** Notes made by hand are known by their number, whatever became of them; the others by pitch and onset. */
function find(notes: Note[], at: number[][]): number[] {
  const numbered = at.some((anchor) => anchor.length > 2);
  const rest = at.filter((anchor) => !anchor[2]);
  const found = nearest(notes, rest, (note) => numbered && Boolean(note.hand));
  return at.map((anchor) => (anchor[2] ? notes.findIndex((note) => note.hand === anchor[2]) : (found.shift() ?? -1)));
}

/** The decoded notes with the corrections. */
export function apply(notes: Note[], { struck, added }: Edits): Note[] {
  const gone = new Set(nearest(notes, struck));
  return [...notes.filter((_, i) => !gone.has(i)), ...added].sort(order);
}

/** The same note inside a recording of `end` seconds and the MIDI ranges. */
function bounded(note: Note, end: number): Note {
  const within = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const onset = within(note.onset, 0, Math.max(0, end - SHORTEST_S));
  const offset = Math.max(onset + SHORTEST_S, Math.min(note.offset, end));
  return { ...note, onset, offset, pitch: within(note.pitch, 0, 127), velocity: within(note.velocity ?? 80, 1, 127), track: note.track ?? 0 };
}

const differs = (a: Note, b: Note) =>
  Math.abs(a.onset - b.onset) > SAME_S || Math.abs(a.offset - b.offset) > SAME_S || a.pitch !== b.pitch || a.velocity !== b.velocity || (a.track ?? 0) !== (b.track ?? 0);

/** New corrections, after the message of the roll; `notes` is the table that it speaks of. */
export function edit(before: Edits, notes: Note[], { what, at = [], notes: given = [], time = 0, track }: EditMessage, end = Infinity): Edits {
  if (what === "add") return put(before, [], given.map((n) => ({ ...bounded(n, end), hand: 0 })));
  if (what === "change") {
    const pairs = at.map((anchor, i) => [notes[find(notes, [anchor])[0]], given[i]] as const).filter(([was]) => was);
    const moved = pairs.map(([was, now]) => [was, { ...bounded(now, end), hand: was.hand }] as const).filter(([was, now]) => differs(was, now));
    return put(before, moved.map(([was]) => was), moved.map(([, now]) => now));
  }
  const meant = find(notes, at).filter((i) => i >= 0).map((i) => notes[i]);
  if (what === "delete") return put(before, meant, []);
  // There is no clustering here that could learn from it: a note in another track is a changed one.
  if (what === "assign") return put(before, meant, meant.map((n) => ({ ...n, track })));
  if (what === "split") {
    const cut = meant.filter((n) => n.onset + 0.02 < time && time < n.offset - 0.02);
    return put(before, cut, cut.flatMap((n) => [{ ...n, offset: time }, { ...n, onset: time, hand: 0 }]));
  }
  if (what === "join") {
    const groups = new Map<string, Note[]>();
    for (const note of meant) {
      const key = `${note.pitch} ${note.track ?? 0}`;
      groups.set(key, [...(groups.get(key) ?? []), note]);
    }
    const several = [...groups.values()].filter((g) => g.length > 1);
    const first = (g: Note[]) => g.reduce((a, b) => (notes.indexOf(b) < notes.indexOf(a) ? b : a));
    return put(before, several.flat(), several.map((g) => ({ ...first(g), offset: Math.max(...g.map((n) => n.offset)) })));
  }
  return before;
}

/** Some notes out, others in; those without a number get the next ones. */
function put({ struck, added }: Edits, away: Note[], more: Note[]): Edits {
  if (!away.length && !more.length) return { struck, added };
  let highest = added.reduce((most, note) => Math.max(most, note.hand ?? 0), 0);
  const gone = new Set(away.map((note) => note.hand).filter(Boolean));
  const left = added.filter((note) => !gone.has(note.hand));
  const used = new Set(left.map((note) => note.hand));
  const numbered = more.map((note) => {
    const hand = note.hand && !used.has(note.hand) ? note.hand : highest + 1;
    highest = Math.max(highest, hand);
    used.add(hand);
    return { ...note, confidence: 1, hand };
  });
  const decoded = away.filter((note) => !note.hand);
  return { struck: [...struck, ...decoded.map((n) => [n.pitch, Math.round(n.onset * 1e6) / 1e6])], added: [...left, ...numbered] };
}
