// Corrections by hand over decoded notes: notes struck out, and notes put in. Python keeps the same rules
// (widgets/state/corrections.py); these serve the page that has no Python behind it, or has lost it for a while.

export interface Note {
  onset: number;
  offset: number;
  pitch: number;
  velocity: number;
  confidence?: number;
  track?: number;
  hand?: number;
}

/** What the roll sends: `at` names notes by (pitch, onset). */
export interface EditMessage {
  what: string;
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

const NEAR_S = 0.06;

export const NONE: Edits = { struck: [], added: [] };

const same = (note: Note, [pitch, onset]: number[]) => note.pitch === pitch && Math.abs(note.onset - onset) < NEAR_S;

/** The decoded notes with the corrections. */
export function apply(notes: Note[], { struck, added }: Edits): Note[] {
  const kept = notes.filter((note) => !struck.some((anchor) => same(note, anchor)));
  return [...kept, ...added].sort((a, b) => a.onset - b.onset || a.pitch - b.pitch);
}

/** New corrections, after the message of the roll; `notes` is the table that it speaks of. */
export function edit(before: Edits, notes: Note[], { what, at = [], notes: given = [], time = 0, track }: EditMessage): Edits {
  const chosen = at.map((anchor) => notes.filter((n) => same(n, anchor)).sort((a, b) => gap(a, anchor) - gap(b, anchor))[0]);
  const meant = chosen.filter(Boolean);
  if (what === "add") return put(before, [], given);
  if (what === "delete") return put(before, meant, []);
  if (what === "change") return put(before, meant, given.filter((_, i) => chosen[i]));
  if (what === "assign") return put(before, meant, meant.map((n) => ({ ...n, track })));
  if (what === "split") {
    const cut = meant.filter((n) => n.onset + 0.02 < time && time < n.offset - 0.02);
    return put(before, cut, cut.flatMap((n) => [{ ...n, offset: time }, { ...n, onset: time }]));
  }
  if (what === "join" && meant.length > 1 && meant.every((n) => n.pitch === meant[0].pitch)) {
    const onset = Math.min(...meant.map((n) => n.onset));
    return put(before, meant, [{ ...meant[0], onset, offset: Math.max(...meant.map((n) => n.offset)) }]);
  }
  return before;
}

const gap = (note: Note, [, onset]: number[]) => Math.abs(note.onset - onset);

function put({ struck, added }: Edits, away: Note[], more: Note[]): Edits {
  return {
    struck: [...struck, ...away.filter((n) => !added.includes(n)).map((n) => [n.pitch, n.onset])],
    added: [...added.filter((n) => !away.includes(n)), ...more.map((n) => ({ confidence: 1, ...n, hand: 1 }))],
  };
}
