// Notes on a grid of one tempo as MusicXML: places, note values, ties, triplets and beams as amtsep.rhythm has them
// (quantise.py, engraving.py, score.py, formats/notation.py). What the page does not have: beats found in the music,
// voices, changes of key, spelling by what is around, drums. tests/vectors/notation.json holds both to the same file where
// those do not come in.

import type { Note } from "./edits";
import type { Track } from "./notes";

/** The bars: beats a minute, beats (quarters) a bar, and the second at which a bar begins. */
export interface Grid {
  tempo: number;
  beats: number;
  start: number;
}

/** amtsep.config.Quantisation, as far as it is used, and the learned weights of a key (amtsep.rhythm.key). */
export interface Quantisation {
  chord_s: number;
  spread_s: number;
  spread: number;
  early: number;
  simple_costs: number[];
  switch_cost: number;
  grace_s: number;
  held_share: number;
  held_spread: number;
  end_costs: number[];
  shortest_rest: number;
  /** Of each pitch class from the tonic: its time, its notes, the first and the last bass. */
  key: number[][];
}

const BEAT = 24;
const GRIDS = [1, 2, 4, 3, 8, 6];
const TRIPLE = [3, 6];
const COLLISION_COST = 4;
/** Shares of its written length for which a note may be held, and how they vary from recording to recording. */
const HELD = Array.from({ length: 71 }, (_, i) => 0.4 + i * 0.01);
const HELD_PRIOR = 0.2;
/** Parts of a beat at which a note may end before the next begins. */
const PARTS = [1, 2, 4];
const PARTS_OF_THREE = [1, 3, 6];
const SHORTEST = BEAT / 4;
const VALUES: Record<number, [string, number]> = {
  192: ["breve", 0], 144: ["whole", 1], 96: ["whole", 0], 72: ["half", 1], 48: ["half", 0], 36: ["quarter", 1],
  24: ["quarter", 0], 18: ["eighth", 1], 12: ["eighth", 0], 9: ["16th", 1], 6: ["16th", 0], 3: ["32nd", 0],
};
const LONGEST_FIRST = Object.keys(VALUES).map(Number).sort((a, b) => b - a);
const TRIPLETS: Record<number, string> = { 16: "quarter", 12: "eighth", 8: "eighth", 4: "16th", 2: "32nd" };
const FLAGS: Record<string, number> = { eighth: 1, "16th": 2, "32nd": 3 };
const SCALE = "FCGDAEB";
const NATURAL: Record<string, number> = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const ACCIDENTALS: Record<number, string> = { [-2]: "flat-flat", [-1]: "flat", 0: "natural", 1: "sharp", 2: "double-sharp" };
/** Steps along the line of fifths from the signature: in C from E flat to G sharp. */
const SHARPEST = 8;
const KEYBOARDS = [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 16, 17, 18, 19, 20, 21, 22, 23, 46];
const MIDDLE_C = 60;
const CLEFS: Record<string, string> = {
  treble: "<sign>G</sign><line>2</line>",
  "treble-8": "<sign>G</sign><line>2</line><clef-octave-change>-1</clef-octave-change>",
  bass: "<sign>F</sign><line>4</line>",
  "bass-8": "<sign>F</sign><line>4</line><clef-octave-change>-1</clef-octave-change>",
  alto: "<sign>C</sign><line>3</line>",
};

interface Written {
  note: number;
  pitch: number;
  start: number;
  length: number;
  grace: boolean;
  staff: number;
}

/** A chord of a staff until it ends or the next begins, and the grace notes before it. */
interface Chord {
  start: number;
  end: number;
  notes: Written[];
  graces: Written[];
}

interface Piece {
  start: number;
  length: number;
  kind: string;
  dots: number;
  chord?: Chord;
  from?: boolean;
  to?: boolean;
  tuplet?: string;
  beams?: string[];
  whole?: boolean;
}

/** To the nearest whole number, halves to the even one, as NumPy has it. */
function rint(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

function grouped<T>(values: T[], key: (value: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const value of values) groups.set(key(value), [...(groups.get(key(value)) ?? []), value]);
  return groups;
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
const middle = (values: number[]) => quantile(values, 0.5);

function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** Where the notes of one staff begin, in ticks; which are grace notes; which beats have triplets. */
export function place(notes: Note[], { tempo, start }: Grid, rule: Quantisation): { start: number[]; grace: boolean[]; triple: Set<number> } {
  const order = notes.map((_, i) => i).sort((a, b) => notes[a].onset - notes[b].onset);
  const instants: number[][] = [];
  order.forEach((i, k) => (k && notes[i].onset - notes[order[k - 1]].onset <= rule.chord_s ? instants[instants.length - 1].push(i) : instants.push([i])));
  const at = instants.map((own) => sum(own.map((i) => ((notes[i].onset - start) * tempo) / 60)) / own.length);
  const longest = instants.map((own) => Math.max(...own.map((i) => notes[i].offset - notes[i].onset)));
  // What lies just before a beat belongs to it.
  const beat = at.map((x) => Math.floor(x + rule.early));
  const inside = at.map((x, i) => x - beat[i]);
  const occupied = [...new Set(beat)];
  const spread = Math.hypot((rule.spread_s * tempo) / 60, rule.spread);
  const costs = occupied.map((b) => {
    const x = inside.filter((_, i) => beat[i] === b);
    return GRIDS.map((g, k) => {
      const near = x.map((v) => rint(v * g));
      const errors = x.map((v, i) => Math.min(((v - near[i] / g) / spread) ** 2, 12));
      return rule.simple_costs[k] + 0.5 * sum(errors) + COLLISION_COST * near.filter((v, i) => i && v === near[i - 1]).length;
    });
  });
  const grids = cheapest(costs, rule.switch_cost).map((k) => GRIDS[k]);
  const of = new Map(occupied.map((b, i) => [b, grids[i]]));
  const grid = beat.map((b) => of.get(b)!);
  const heard = [...beat];
  const slot = inside.map((x, i) => rint(x * grid[i]) / grid[i]);
  const small = instants.map(() => false);
  for (let i = 0; i + 1 < instants.length; i++) {
    const same = beat[i] + slot[i] >= beat[i + 1] + slot[i + 1] - 1e-9;
    if (same && longest[i] < rule.grace_s && longest[i] < 0.6 * longest[i + 1]) {
      small[i] = true;
      [beat[i], slot[i]] = [beat[i + 1], slot[i + 1]];
    }
  }
  const halves = (x: number) => Math.abs(x * 2 - Math.round(x * 2)) <= 1e-6;
  const triple = new Set(occupied.filter((b, row) => TRIPLE.includes(grids[row]) && slot.some((x, i) => heard[i] === b && !halves(x))));
  const result = { start: notes.map(() => 0), grace: notes.map(() => false), triple };
  instants.forEach((own, k) =>
    own.forEach((i) => {
      result.start[i] = Math.max(beat[k] * BEAT + rint(slot[k] * BEAT), 0);
      result.grace[i] = small[k];
    }),
  );
  return result;
}

/** Columns of the cheapest path through the rows, pairs and triplets side by side being dear. */
function cheapest(costs: number[][], dear: number): number[] {
  const kind = GRIDS.map((g) => TRIPLE.includes(g));
  const move = (a: number, b: number) => (kind[a] !== kind[b] && GRIDS[a] !== 1 && GRIDS[b] !== 1 ? dear : 0);
  const least = (values: number[]) => values.indexOf(Math.min(...values));
  let score = costs[0] ?? [];
  const back = costs.slice(1).map((row) => {
    const steps = GRIDS.map((_, k) => score.map((s, j) => s + move(j, k)));
    const best = steps.map(least);
    score = row.map((cost, k) => steps[k][best[k]] + cost);
    return best;
  });
  const path = costs.length ? [least(score)] : [];
  for (const best of back.reverse()) path.unshift(best[path[0]]);
  return path;
}

/** Instants of a staff, and how long each sounds: of a chord the middle. */
interface Line {
  instants: number[];
  sounded: number[];
}

function line(starts: number[], sounded: number[]): Line {
  const instants = [...new Set(starts)].sort((a, b) => a - b);
  return { instants, sounded: instants.map((start) => middle(sounded.filter((_, i) => starts[i] === start))) };
}

/** Share of its written length for which the players hold a note: the likeliest, where most notes reach to the next. */
function heldShare(lines: Line[], rule: Quantisation): number {
  const ratios = lines.flatMap(({ instants, sounded }) =>
    instants.slice(1).map((next, k) => Math.log(Math.min(Math.max(sounded[k] / Math.max(next - instants[k], 1), 0.02), 2))),
  );
  const near = (ratio: number, share: number) => Math.exp(-0.5 * ((ratio - Math.log(share)) / rule.held_spread) ** 2);
  let [best, top] = [0, -Infinity];
  for (const share of HELD) {
    const likely = sum(ratios.map((r) => Math.log(0.7 * near(r, share) + 0.2 * near(r, share / 2) + 0.05))) - 0.5 * ((share - rule.held_share) / HELD_PRIOR) ** 2;
    if (likely > top) [best, top] = [share, likely];
  }
  return best;
}

/** Written lengths of the instants of a staff: to the next, or to a simpler place before it and a rest. */
function lengths({ instants, sounded }: Line, bar: number, held: number, rule: Quantisation): Map<number, number> {
  return new Map(
    instants.map((start, k) => {
      // The last fills its bar where it sounds for most of it.
      const last = Math.max((Math.floor(start / bar) + 1) * bar, Math.ceil((start + sounded[k] - 0.3 * BEAT) / BEAT) * BEAT);
      const following = instants[k + 1] ?? last;
      const gap = Math.max(following - start, 1);
      const meant = Math.max(sounded[k], 0.5) / held;
      const far = (length: number) => 0.5 * Math.min(((Math.log(Math.max(length, 1)) - Math.log(meant)) / rule.held_spread) ** 2, 40);
      let [best, out] = [meant > gap ? 0 : far(gap), gap];
      // A beat with an onset at a third has no end at a half or a quarter.
      const three = (start % BEAT) % (BEAT / 4) > 0 || (following % BEAT) % (BEAT / 4) > 0;
      PARTS.forEach((parts, j) => {
        const step = BEAT / (three ? PARTS_OF_THREE[j] : parts);
        for (const turn of [Math.floor, Math.ceil]) {
          const length = rint(turn((start + meant) / step) * step - start);
          const cost = rule.end_costs[j] + far(length);
          if (length >= SHORTEST && gap - length >= rule.shortest_rest && cost < best) [best, out] = [cost, length];
        }
      });
      return [start, out];
    }),
  );
}

/** A keyboard's track that is wide and full is written on two staves. */
function twoStaves(notes: Note[], program: number): boolean {
  if (notes.length < 2 || !KEYBOARDS.includes(program)) return false;
  const pitch = notes.map((n) => n.pitch);
  const [low, high] = [quantile(pitch, 0.04), quantile(pitch, 0.96)];
  let end = notes[0].offset;
  const over = notes.slice(1).filter((n) => [n.onset < end - 0.05, (end = Math.max(end, n.offset))][0]).length;
  return high - low > 19 && low < 57 && high > 62 && over / (notes.length - 1) > 0.1;
}

function clef(notes: Written[], program: number): string {
  const median = middle(notes.map((n) => n.pitch));
  if (program >= 24 && program < 32) return "treble-8";
  if ((program >= 32 && program < 40) || program === 43) return "bass-8";
  if ([42, 57, 58, 70].includes(program) && median < 67) return "bass";
  if (program === 41 && median < 72) return "alto";
  return median >= 59 ? "treble" : "bass";
}

/** Symbols of one staff in one bar; chords in ticks from its beginning, of which a first bar may lack `offset`. */
function pieces(chords: Chord[], from: number, to: number, beats: number, triple: Set<number>, offset: number): Piece[] {
  const length = to - from;
  const own = chords.filter(({ start, end }) => start < to && end > from);
  if (!own.length) return [{ start: 0, length, kind: "", dots: 0, whole: true }];
  const result: Piece[] = [];
  let now = 0;
  for (const chord of own) {
    const [start, end] = [Math.max(chord.start, from) - from, Math.min(chord.end, to) - from];
    if (start > now) result.push(...split(now, start, beats, triple, offset));
    const parts = split(start, end, beats, triple, offset, chord);
    parts.forEach((p, i) => Object.assign(p, { from: i > 0 || chord.start < from, to: i + 1 < parts.length || chord.end > to }));
    result.push(...parts);
    now = end;
  }
  if (now < length) result.push(...split(now, length, beats, triple, offset));
  return beamed(bracketed(result, offset), beats, offset);
}

function split(start: number, end: number, beats: number, triple: Set<number>, offset: number, chord?: Chord): Piece[] {
  const parts: Piece[] = [];
  for (let now = start; now < end; ) {
    const at = now + offset;
    const number = Math.floor(at / BEAT);
    let length: number;
    if (!triple.has(number)) length = longest(at, end - now, beats, triple, !chord);
    else if (at % BEAT === 0 && end - now >= BEAT) {
      const plain = (end + offset) % BEAT === 0 || !triple.has(Math.floor((end + offset) / BEAT));
      length = end - now in VALUES && plain ? end - now : BEAT;
    } else {
      const left = Math.min(end, (number + 1) * BEAT - offset) - now;
      length = [16, 12, 8, 4, 2].find((v) => v <= left) ?? left;
      if (length === 12 && left !== 12) length = 8;
      parts.push({ start: now, length, kind: TRIPLETS[length] ?? "32nd", dots: length === 12 ? 1 : 0, chord, tuplet: "inside" });
      now += length;
      continue;
    }
    const [kind, dots] = VALUES[length] ?? ["32nd", 0];
    parts.push({ start: now, length, kind, dots, chord });
    now += length;
  }
  return parts;
}

/** Longest value, at most `left`, that can be written at a place of a bar without hiding the metre. */
function longest(at: number, left: number, beats: number, triple: Set<number>, rest: boolean): number {
  const bar = beats * BEAT;
  const inside = at % BEAT;
  const beatOf = (tick: number) => Math.floor(tick / BEAT);
  for (const value of LONGEST_FIRST) {
    if (value > left) continue;
    const end = at + value;
    if (beatOf(end) !== beatOf(at) && end % BEAT && triple.has(beatOf(end))) continue;
    const dotted = VALUES[value][1] > 0;
    if (inside + value <= BEAT) {
      const base = dotted ? Math.floor((value * 2) / 3) : value;
      const unit = dotted ? Math.floor(base / 2) : base;
      if (inside % Math.max(Math.min(unit, 12), 3) && value > 3) continue;
      if (inside && dotted && inside % base && rest) continue;
      return value;
    }
    if (inside && rest) continue;
    if (!inside) {
      if (value % BEAT && (value !== 36 || rest)) continue;
      if (beats === 4 && at < bar / 2 && bar / 2 < end) {
        if (at === 0 && !(rest && value === 72)) return value;
        if (at === BEAT && (value === 48 || value === 72) && !rest) return value;
        continue;
      }
      if (beats === 3 && rest && value === 48 && at) continue;
      return value;
    }
    // Syncopation: from the middle of a beat to the middle or the end of the next, within half a bar.
    const half = beats === 4 ? bar / 2 : bar;
    if (inside * 2 === BEAT && (value === 24 || value === 36) && Math.floor(at / half) === Math.floor((end - 1) / half)) return value;
  }
  const some = Math.min(left, BEAT - inside);
  return [24, 12, 6, 3].find((v) => v <= some) ?? some;
}

/** Brackets around the triplets of each beat. */
function bracketed(parts: Piece[], offset: number): Piece[] {
  const groups = grouped(
    parts.filter((p) => p.tuplet),
    (p) => Math.floor((p.start + offset) / BEAT),
  );
  for (const own of groups.values()) {
    if (own.length < 2) continue;
    own[0].tuplet = "start";
    own[own.length - 1].tuplet = "stop";
  }
  return parts;
}

/** Beams over what lies in one beat; of eighths alone, in half a bar. */
function beamed(parts: Piece[], beats: number, offset: number): Piece[] {
  const groups: Piece[][] = [];
  const number = (p: Piece) => Math.floor((p.start + offset) / BEAT);
  parts.forEach((p, i) => {
    if (!p.chord || !(p.kind in FLAGS)) return;
    const before = groups.at(-1);
    const last = before?.at(-1);
    if (before && last && last === parts[i - 1] && number(last) === number(p)) before.push(p);
    else groups.push([p]);
  });
  const pair = (group: Piece[]) => group.length === 2 && group.every((p) => p.kind === "eighth" && !p.tuplet && !p.dots);
  const joined: Piece[][] = [];
  for (const group of groups) {
    const before = joined.at(-1);
    const next = before && parts[parts.indexOf(before.at(-1)!) + 1] === group[0];
    if ([2, 4].includes(beats) && before && next && pair(before) && pair(group) && (before[0].start + offset) % (2 * BEAT) === 0) before.push(...group);
    else joined.push(group);
  }
  for (const group of joined.filter(({ length }) => length > 1)) {
    const levels = group.map((p) => FLAGS[p.kind]);
    group.forEach((p, j) => {
      p.beams = Array.from({ length: levels[j] }, (_, level) => {
        const [before, after] = [levels[j - 1] > level, levels[j + 1] > level];
        if (before && after) return "continue";
        return after ? "begin" : before ? "end" : j ? "backward hook" : "forward hook";
      });
    });
  }
  return parts;
}

/** Places of the notes of one track, by staff. */
function draft(notes: Note[], track: Pick<Track, "program">, grid: Grid, rule: Quantisation) {
  const two = twoStaves(notes, track.program);
  const staffOf = (n: Note) => (two && n.pitch < MIDDLE_C ? 1 : 0);
  return (two ? [0, 1] : [0]).map((staff) => {
    const own = notes.filter((n) => staffOf(n) === staff);
    const { start, grace, triple } = place(own, grid, rule);
    const kept = own.map((_, i) => i).filter((i) => !grace[i]);
    const sounded = kept.map((i) => ((own[i].offset - own[i].onset) * grid.tempo * BEAT) / 60);
    return { own, start, grace, triple, line: line(kept.map((i) => start[i]), sounded) };
  });
}

/** What is written of one track: its notes by staff, and which beats of each staff have triplets. */
function part(drafts: ReturnType<typeof draft>, numbers: Map<Note, number>, track: Pick<Track, "program">, grid: Grid, held: number, rule: Quantisation) {
  const two = drafts.length > 1;
  const staves = drafts.map(({ own, start, grace, triple, line: heard }, staff) => {
    const length = lengths(heard, grid.beats * BEAT, held, rule);
    // One of each pitch at one place.
    const rows = new Map<string, Written>();
    own.forEach((n, i) => {
      const key = `${start[i]} ${grace[i]} ${n.pitch}`;
      if (!rows.has(key)) rows.set(key, { note: numbers.get(n)!, pitch: n.pitch, start: start[i], length: grace[i] ? 0 : length.get(start[i])!, grace: grace[i], staff });
    });
    const written = [...rows.values()].sort((a, b) => a.start - b.start || a.pitch - b.pitch);
    const graces = written.filter((n) => n.grace);
    const chords = [...grouped(written.filter((n) => !n.grace), (n) => n.start)].map(([at, members]) => ({
      start: at, end: at + members[0].length, notes: members, graces: graces.filter((n) => n.start === at),
    }));
    return { written, chords, triple };
  });
  return { staves, clefs: two ? ["treble", "bass"] : [clef(staves[0].written, track.program)] };
}

/** The key signature in sharps (flats negative), by what the pitch classes and the bass are: amtsep.rhythm.key.find_key. */
export function findKey(notes: Note[], weights: number[][]): number {
  if (!notes.length) return 0;
  const length = notes.map((n) => n.offset - n.onset);
  const ranked = [...length].sort((a, b) => a - b);
  const at = 0.95 * (ranked.length - 1);
  const [low, high, t] = [ranked[Math.floor(at)], ranked[Math.ceil(at)], at - Math.floor(at)];
  const longest = low + (high - low) * t;
  const seen = weights.map(() => new Array<number>(12).fill(0));
  notes.forEach((n, i) => {
    seen[0][n.pitch % 12] += Math.min(length[i], longest);
    seen[1][n.pitch % 12] += 1;
  });
  for (const row of seen.slice(0, 2)) {
    const sum = Math.max(row.reduce((a, b) => a + b, 0), 1e-9);
    row.forEach((v, i) => (row[i] = v / sum));
  }
  const begin = Math.min(...notes.map((n) => n.onset));
  const end = Math.max(...notes.map((n) => n.offset));
  const bass = (own: Note[]) => Math.min(...own.map((n) => n.pitch)) % 12;
  seen[2][bass(notes.filter((n) => n.onset <= begin + 0.1))] = 1;
  seen[3][bass(notes.filter((n) => n.offset >= end - 0.3))] = 1;
  const scores = Array.from({ length: 12 }, (_, tonic) => weights.reduce((sum, row, k) => sum + row.reduce((a, w, c) => a + w * seen[k][(c + tonic) % 12], 0), 0));
  const sharps = (7 * scores.indexOf(Math.max(...scores))) % 12;
  return sharps <= 6 ? sharps : sharps - 12;
}

const escaped = (value: string) =>
  value.replace(/[\u0000-\u0008\u000b-\u001f]/g, "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** MusicXML 4.0 of notes sorted by onset, a part a track that plays. */
export function musicxmlFile(notes: Note[], title: string, tracks: Pick<Track, "name" | "program">[], given: Grid, rule: Quantisation): string {
  const bar = given.beats * BEAT;
  const barS = (given.beats * 60) / given.tempo;
  // Bars go back as far as there are notes.
  const early = Math.max(0, Math.ceil((given.start - Math.min(...notes.map((n) => n.onset))) / barS - 1e-9));
  const grid = { ...given, start: given.start - early * barS };
  const numbers = new Map(notes.map((n, i) => [n, i]));
  const playing = tracks.map((track, i) => ({ track, own: notes.filter((n) => (n.track ?? 0) === i) })).filter(({ own }) => own.length);
  const key = findKey(playing.flatMap(({ own }) => own), rule.key);
  const drafts = playing.map(({ track, own }) => draft(own, track, grid, rule));
  // Those who play together hold notes alike.
  const held = heldShare(drafts.flatMap((staves) => staves.map((staff) => staff.line)), rule);
  const parts = playing.map(({ track }, i) => ({ track, ...part(drafts[i], numbers, track, grid, held, rule) }));
  const written = parts.flatMap((p) => p.staves.flatMap((s) => s.written));
  const first = Math.min(...written.map((n) => n.start));
  const bars = Math.ceil(Math.max(...written.map((n) => n.start + n.length)) / bar);
  // Bars before the music begins are left out, and so are the beats before it in its first bar.
  const skip = Math.max(0, Math.min(Math.floor(first / bar), bars - 1));
  const offset = Math.floor((first - skip * bar) / BEAT) * BEAT;
  const names: string[] = [];
  for (const { track } of parts) {
    const base = track.name.trim() || `Track ${names.length + 1}`;
    let name = base;
    for (let k = 2; names.includes(name); k++) name = `${base} ${k}`;
    names.push(name);
  }
  const out = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">',
    '<score-partwise version="4.0">',
    `<work><work-title>${escaped(title || "Transcription")}</work-title></work>`,
    "<identification>",
    "<encoding><software>amtsep</software></encoding>",
    "</identification>",
    "<part-list>",
  ];
  parts.forEach(({ track }, i) => {
    const [id, name] = [`P${i + 1}`, escaped(names[i])];
    const channel = (i % 15) + (i % 15 < 9 ? 1 : 2);
    out.push(
      `<score-part id="${id}"><part-name>${name}</part-name>` +
        `<score-instrument id="${id}-I1"><instrument-name>${name}</instrument-name></score-instrument>` +
        `<midi-instrument id="${id}-I1"><midi-channel>${channel}</midi-channel><midi-program>${track.program + 1}</midi-program></midi-instrument></score-part>`,
    );
  });
  out.push("</part-list>");
  parts.forEach(({ staves, clefs }, i) => {
    out.push(`<part id="P${i + 1}">`);
    for (let b = skip; b < bars; b++) {
      const lacking = b === skip ? offset : 0;
      const [from, to] = [b * bar + lacking, (b + 1) * bar];
      out.push(`<measure number="${b - skip + (offset ? 0 : 1)}"${lacking ? ' implicit="yes"' : ""}>`);
      if (b === skip) {
        const attributes = clefs.map((c, s) => `<clef${clefs.length > 1 ? ` number="${s + 1}"` : ""}>${CLEFS[c]}</clef>`);
        if (clefs.length > 1) attributes.unshift(`<staves>${clefs.length}</staves>`);
        const time = `<time><beats>${grid.beats}</beats><beat-type>4</beat-type></time>`;
        out.push("<attributes>", `<divisions>${BEAT}</divisions>`, `<key><fifths>${key}</fifths></key>`, time, ...attributes, "</attributes>");
        const mark = `<metronome><beat-unit>quarter</beat-unit><per-minute>${rint(grid.tempo)}</per-minute></metronome>`;
        if (!i) out.push(`<direction placement="above"><direction-type>${mark}</direction-type><sound tempo="${grid.tempo.toFixed(2)}"/></direction>`);
      }
      staves.forEach(({ chords, triple }, staff) => {
        if (staff) out.push(`<backup><duration>${to - from}</duration></backup>`);
        const inBar = new Set([...triple].map((n) => n - b * grid.beats));
        const state = new Map<string, number>();
        const tail = clefs.length > 1 ? `<staff>${staff + 1}</staff>` : "";
        for (const piece of pieces(chords, from, to, grid.beats, inBar, lacking)) out.push(...symbol(piece, from, `<voice>${staff * 4 + 1}</voice>`, tail, key, state));
      });
      if (b === bars - 1) out.push('<barline location="right"><bar-style>light-heavy</bar-style></barline>');
      out.push("</measure>");
    }
    out.push("</part>");
  });
  return `${[...out, "</score-partwise>"].join("\n")}\n`;
}

/** A symbol as elements; `state` holds the accidentals that hold in its bar. */
function symbol(piece: Piece, from: number, voice: string, tail: string, key: number, state: Map<string, number>): string[] {
  const out: string[] = [];
  for (const n of (piece.from ? null : piece.chord?.graces) ?? []) {
    const { where, accidental } = written(n.pitch, key, state);
    out.push(`<note id="n${n.note}"><grace slash="yes"/>${where}${voice}<type>eighth</type>${accidental}${tail}</note>`);
  }
  const kind = piece.kind && `<type>${piece.kind}</type>${"<dot/>".repeat(piece.dots)}`;
  const triple = piece.tuplet ? "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>" : "";
  const bracket = piece.tuplet === "start" || piece.tuplet === "stop" ? `<tuplet type="${piece.tuplet}"/>` : "";
  const duration = `<duration>${piece.length}</duration>`;
  if (!piece.chord) {
    const marks = bracket && `<notations>${bracket}</notations>`;
    return [`<note><rest${piece.whole ? ' measure="yes"' : ""}/>${duration}${voice}${kind}${triple}${tail}${marks}</note>`];
  }
  piece.chord.notes.forEach((n, j) => {
    const { where, accidental } = written(n.pitch, key, state);
    const kinds = [piece.from && "stop", piece.to && "start"].filter(Boolean);
    const tied = kinds.map((k) => `<tied type="${k}"/>`).join("");
    const marks = (j ? "" : bracket) + tied;
    const beams = j ? [] : (piece.beams ?? []).map((b, k) => `<beam number="${k + 1}">${b}</beam>`);
    out.push(
      `<note id="n${n.note}${piece.from ? `-${from + piece.start}` : ""}">${j ? "<chord/>" : ""}${where}${duration}${kinds.map((k) => `<tie type="${k}"/>`).join("")}` +
        // A tie carries its accidental over the bar line.
        `${voice}${kind}${piece.from ? "" : accidental}${triple}${tail}${beams.join("")}${marks && `<notations>${marks}</notations>`}</note>`,
    );
  });
  return out;
}

/** A pitch as an element, and what must stand before it by the key and by what stood before it in the bar. */
function written(pitch: number, signature: number, state: Map<string, number>): { where: string; accidental: string } {
  const up = (((7 * pitch - signature) % 12) + 12) % 12;
  const fifth = signature + (up > SHARPEST ? up - 12 : up);
  const step = SCALE[(fifth + 15) % 7];
  const alter = Math.floor((fifth + 1) / 7);
  const octave = Math.floor((pitch - alter - NATURAL[step]) / 12) - 1;
  const key = `${step}${octave}`;
  let accidental = "";
  // Sharps come in the order F C G D A E B, flats in the other.
  const ofKey = Math.floor((signature - SCALE.indexOf(step) + 6) / 7);
  if (alter !== (state.get(key) ?? ofKey)) {
    state.set(key, alter);
    accidental = `<accidental>${ACCIDENTALS[alter]}</accidental>`;
  }
  return { where: `<pitch><step>${step}</step>${alter ? `<alter>${alter}</alter>` : ""}<octave>${octave}</octave></pitch>`, accidental };
}
