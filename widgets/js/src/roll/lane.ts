// The lane of drums under the notes: strokes put in and taken out, moved and made louder, by hand and by keyboard.

import { ROWS, STROKE_S, firstStroke, nearStroke, rowOf } from "../drums";
import type { EditMessage, Note } from "../edits";
import { snapped, stepped } from "../grid";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { clock } from "../notes";
import type { Drag, Point } from "./edit";
import { KEYS, type RollView } from "./view";

/** Strokes of one moment lie no further apart. */
const TOGETHER_S = 0.03;
/** Of a stroke that is put in by hand. */
const VELOCITY = 96;
/** Where the keyboard comes in, if it has not been in the lane before: at the snare. */
const FIRST_ROW = 3;

export type Lane = ReturnType<typeof drumLane>;

export function drumLane(hub: Hub, view: RollView, tell: (message: EditMessage) => void) {
  const { transport } = hub;
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  let lastRow = FIRST_ROW;

  // --- corrections -------------------------------------------------------------------------------------------------

  const chosen = () => [...hub.struck].sort((a, b) => a - b);
  const anchors = (list: number[]) => list.map((i) => [hub.strokes.key[i], hub.strokes.time[i], hub.strokes.hand[i]]);
  const note = (i: number): Note => {
    const { time, key, velocity } = hub.strokes;
    return { onset: time[i], offset: time[i] + STROKE_S, pitch: key[i], velocity: velocity[i], track: 0 };
  };
  const change = (list: number[], by: (stroke: Note, i: number) => Partial<Note>) => {
    const pairs = list.map((i) => {
      const was = note(i);
      const now = { ...was, ...by(was, i) };
      return { i, was, now: { ...now, offset: now.onset + STROKE_S } };
    });
    if (!pairs.some(({ was, now }) => was.pitch !== now.pitch || was.velocity !== now.velocity || Math.abs(was.onset - now.onset) > 0.0005)) return;
    hub.expectedStrokes = pairs.map(({ i, now }) => [now.pitch, now.onset, hub.strokes.hand[i]]);
    tell({ of: "strokes", what: "change", at: anchors(list), notes: pairs.map(({ now }) => now) });
  };
  /** Put in, and selected then. */
  const put = (strokes: Note[]) => {
    const made = strokes.filter((s) => s.onset >= 0 && s.onset < hub.duration).map((s) => ({ ...s, offset: s.onset + STROKE_S, track: 0 }));
    if (!made.length) return;
    hub.expectedStrokes = made.map((s) => [s.pitch, s.onset]);
    tell({ of: "strokes", what: "add", notes: made });
  };
  const add = (row: number, time: number) => {
    const { key } = ROWS[row];
    put([{ onset: Math.max(0, snapped(hub.beats, hub.snap, time)), offset: 0, pitch: key, velocity: VELOCITY }]);
    void transport.auditionDrum(key, VELOCITY);
  };
  const drop = (list: number[]) => {
    if (!list.length) return;
    hub.expectedStrokes = [];
    tell({ of: "strokes", what: "delete", at: anchors(list) });
  };
  /** By so many rows, as far as all of them stay in the lane; one that stays in its row keeps its sound. */
  const rowShift = (list: number[], by: number) => {
    const rows = list.map((i) => rowOf(hub.strokes.key[i]));
    return Math.min(Math.max(by, -Math.min(...rows)), ROWS.length - 1 - Math.max(...rows));
  };
  const shifted = (key: number, by: number) => (by ? ROWS[rowOf(key) + by].key : key);
  const louder = (given: Map<number, number>) => change([...given.keys()], (_, i) => ({ velocity: given.get(i) }));

  // --- by keyboard -------------------------------------------------------------------------------------------------

  /** What is said of a stroke, and of a place without one. */
  const named = (row: number) => t(`drum_${ROWS[row].name}`);
  const describe = (i: number) =>
    t("stroke_said", { drum: named(rowOf(hub.strokes.key[i])), time: clock(hub.strokes.time[i], 2), velocity: Math.round(hub.strokes.velocity[i]) });
  /** What the keyboard is at, in words; nothing where it is not in the lane. */
  const said = (): string => {
    const { struck, drumRow } = hub;
    if (struck.size > 1) return t("n_strokes", { n: struck.size });
    if (struck.size) return describe(chosen()[0]);
    return drumRow < 0 ? "" : t("stroke_none", { drum: named(drumRow), time: clock(transport.position, 2) });
  };
  const pick = (i: number) => {
    if (!transport.playing) {
      transport.seek(hub.strokes.time[i]);
      void transport.auditionDrum(hub.strokes.key[i], hub.strokes.velocity[i]);
    }
    hub.drumRow = lastRow = rowOf(hub.strokes.key[i]);
    view.showTime(hub.strokes.time[i]);
    hub.selectStrokes([i]);
  };
  /** The keyboard goes to a row at a time, and to the stroke that is there. */
  const place = (row: number, time: number) => {
    const i = nearStroke(hub.strokes, time, TOGETHER_S, { row });
    if (i >= 0) return pick(i);
    if (!transport.playing) transport.seek(time);
    hub.drumRow = lastRow = row;
    view.showTime(time);
    hub.selectStrokes([]);
  };
  const now = () => (hub.struck.size ? hub.strokes.time[chosen()[0]] : transport.position);
  /** The next stroke of any drum, or the one before. */
  const along = (step: 1 | -1) => {
    const from = firstStroke(hub.strokes, transport.position - 0.001);
    const i = hub.struck.size ? chosen()[0] + step : step > 0 ? from : from - 1;
    if (i >= 0 && i < hub.strokes.n) pick(i);
  };
  const leave = () => {
    hub.drumRow = -1;
    hub.selectStrokes([]);
  };
  const enter = (row = lastRow) => {
    view.element.focus({ preventScroll: true });
    // From here on the arrows go from stroke to stroke, though the focus may have come by a click.
    hub.pointed = null;
    hub.stepping = true;
    place(row, now());
  };

  return {
    said,
    enter,
    leave,
    louder,
    /** Whether there is a lane to go to. */
    get open() {
      return view.drumHeight > 0;
    },
    /** From stroke to stroke; `edit` begins to change the one that is selected, `up` goes back to the notes. */
    steps(edit: () => void, up: () => void): Record<string, () => void> {
      const { drumRow: row } = hub;
      // By the grid where one is chosen: to places without a stroke, too.
      const grid = (by: 1 | -1) => place(row, stepped(hub.beats, hub.snap, now(), by));
      return {
        ArrowRight: () => along(1),
        ArrowLeft: () => along(-1),
        ArrowUp: () => (row ? place(row - 1, now()) : up()),
        ArrowDown: () => row < ROWS.length - 1 && place(row + 1, now()),
        ...(hub.snap && hub.beats.time.length > 1 ? { "Shift+ArrowRight": () => grid(1), "Shift+ArrowLeft": () => grid(-1) } : {}),
        Enter: () => (hub.struck.size ? edit() : add(row, transport.position)),
        Escape: up,
      };
    },
    /** What keys do with the strokes that are selected. */
    keys(): Record<string, () => void> {
      const table: Record<string, () => void> = {};
      if (hub.clipboard.strokes) {
        const { notes } = hub.clipboard;
        const first = Math.min(...notes.map((s) => s.onset));
        table["Mod+v"] = () => put(notes.map((s) => ({ ...s, onset: s.onset - first + snapped(hub.beats, hub.snap, transport.position) })));
      }
      if (hub.struck.size || hub.drumRow >= 0) table["Mod+a"] = () => hub.selectStrokes(Array.from({ length: hub.strokes.n }, (_, i) => i));
      if (!hub.struck.size) return table;
      const up = (by: number) => () => {
        const rows = rowShift(chosen(), by);
        change(chosen(), (s) => ({ pitch: shifted(s.pitch, rows) }));
      };
      const later = (by: 1 | -1) => () =>
        change(chosen(), (s) => ({ onset: hub.snap && hub.beats.time.length > 1 ? stepped(hub.beats, hub.snap, s.onset, by) : Math.max(0, s.onset + 0.01 * by) }));
      const loud = (by: number) => () => change(chosen(), (s) => ({ velocity: Math.min(127, Math.max(1, s.velocity + by)) }));
      const copy = () => {
        hub.clipboard = { strokes: true, notes: chosen().map(note) };
      };
      return {
        ...table,
        Delete: () => drop(chosen()),
        Backspace: () => drop(chosen()),
        ArrowUp: up(-1),
        ArrowDown: up(1),
        ArrowLeft: later(-1),
        ArrowRight: later(1),
        "Alt+ArrowUp": loud(6),
        "Alt+ArrowDown": loud(-6),
        "Mod+c": copy,
        "Mod+x": () => {
          copy();
          drop(chosen());
        },
        q: () => (hub.beats.time.length < 2 ? hub.actions.grid?.(true) : change(chosen(), (s) => ({ onset: snapped(hub.beats, hub.snap || "4", s.onset) }))),
      };
    },
    /** A stroke is selected and dragged, or strokes are drawn around. */
    press(e: PointerEvent, p: Point, dragging: Drag): void {
      const row = view.drumRow(p.y);
      if (p.x < KEYS) return void transport.auditionDrum(ROWS[row].key);
      const more = e.shiftKey || e.ctrlKey || e.metaKey;
      const hit = view.hitStroke(p.x, p.y);
      const t0 = view.time(p.x);
      if (hit < 0) {
        const before = more ? chosen() : [];
        return dragging(
          e,
          (q) => {
            const [u, other] = [view.time(q.x), view.drumRow(q.y)];
            const rows: [number, number] = [Math.min(row, other), Math.max(row, other)];
            const band = { t0: Math.min(t0, u), t1: Math.max(t0, u), p0: rows[0], p1: rows[1], rows };
            view.band = band;
            const { strokes } = hub;
            const inside: number[] = [];
            for (let i = firstStroke(strokes, band.t0); i < strokes.n && strokes.time[i] <= band.t1; i++) {
              const own = rowOf(strokes.key[i]);
              if (own >= rows[0] && own <= rows[1]) inside.push(i);
            }
            hub.selectStrokes([...before, ...inside]);
          },
          (moved) => {
            view.band = null;
            if (moved) return;
            if (hub.struck.size || hub.selection.size) hub.selectStrokes([]);
            else transport.seek(t0);
          },
        );
      }
      void transport.auditionDrum(hub.strokes.key[hit], hub.strokes.velocity[hit]);
      if (more) return hub.selectStrokes(hub.struck.has(hit) ? chosen().filter((i) => i !== hit) : [...hub.struck, hit]);
      if (!hub.struck.has(hit)) hub.selectStrokes([hit]);
      const held = hub.follow("strokes", hit);
      const time = hub.strokes.time[hit];
      let by = { time: 0, rows: 0 };
      const moved = ({ onset, pitch }: Note) => ({ onset: Math.max(0, onset + by.time), pitch: shifted(pitch, by.rows) });
      return dragging(
        e,
        (q, m) => {
          const list = held()?.list ?? [];
          const free = m.shiftKey ? 0 : view.time(q.x) - t0;
          // The stroke in hand goes to the grid (Alt: freely), those with it keep their distance; Shift keeps the time.
          by = { time: m.altKey || m.shiftKey ? free : snapped(hub.beats, hub.snap, time + free) - time, rows: rowShift(list, view.drumRow(q.y) - row) };
          view.strokeGhosts = new Map();
          for (const i of list) {
            const { onset, pitch } = moved(note(i));
            view.strokeGhosts.set(i, { time: onset, key: pitch });
          }
          view.stale("notes");
        },
        (movedAtAll) => {
          view.strokeGhosts = new Map();
          view.stale("notes");
          const { list } = held() ?? { list: [] };
          if (movedAtAll && list.length && (by.rows || Math.abs(by.time) >= 0.004)) change(list, moved);
        },
      );
    },
    /** A double click puts a stroke in, or takes one out. */
    double(p: Point): void {
      const hit = view.hitStroke(p.x, p.y);
      if (hit >= 0) drop([hit]);
      else add(view.drumRow(p.y), view.time(p.x));
    },
  };
}
