// Corrections by hand. The browser says what should become of which notes, by (pitch, onset, number); Python keeps the edits over
// the decoded notes and sends the table back.

import type { EditMessage, Note } from "../edits";
import { gridStep, snapped, stepped } from "../grid";
import type { Hub } from "../hub";
import type { Model } from "../model";
import { findNote } from "../notes";
import type { Lane } from "./lane";
import type { Hit, Removed, RollView } from "./view";

export type Point = { x: number; y: number };
export type Drag = ((e: PointerEvent, move: (p: Point, e: PointerEvent) => void, done?: (moved: boolean) => void) => void) & { from(e: PointerEvent): Point };

export function editing(model: Model, hub: Hub, view: RollView, lane: Lane, tell: (message: EditMessage) => void): { drag(hit: Hit, e: PointerEvent, from: Point, dragging: Drag): void; add(p: Point): void; velocities(e: PointerEvent, dragging: Drag): void; restore(ghost: Removed): void } {
  const { transport } = hub;
  const anchors = (list: Iterable<number>) => [...list].map((i) => [hub.notes.pitch[i], hub.notes.onset[i], hub.notes.hand[i]]);
  const note = (i: number) => {
    const { notes } = hub;
    return { onset: notes.onset[i], offset: notes.offset[i], pitch: notes.pitch[i], velocity: notes.velocity[i], track: notes.track[i] };
  };
  const edit = (what: string, list: Iterable<number>, more: Record<string, unknown> = {}) => {
    tell({ what, at: anchors(list), ...more });
  };
  const change = (list: number[], by: (n: ReturnType<typeof note>) => Partial<ReturnType<typeof note>>) => {
    if (!list.length) return;
    const notes = list.map((i) => ({ ...note(i), ...by(note(i)) }));
    hub.expected = notes.map((n, k) => [n.pitch, n.onset, hub.notes.hand[list[k]]]);
    edit("change", list, { notes });
  };
  const chosen = () => [...hub.selection];
  const copy = () => {
    hub.clipboard = { strokes: false, notes: chosen().map(note) };
  };
  /** Notes laid down again, so much later; they are selected then. */
  const put = (notes: Note[], later: number) => {
    const made = notes.map((n) => ({ ...n, onset: n.onset + later, offset: n.offset + later })).filter((n) => n.onset >= 0 && n.onset < hub.duration);
    if (!made.length) return;
    hub.expected = made.map((n) => [n.pitch, n.onset]);
    tell({ what: "add", notes: made });
  };
  const undo = () => hub.keeper?.undo() || model.send({ do: "undo" });
  const redo = () => hub.keeper?.offline || model.send({ do: "redo" });
  hub.actions.undo = undo;
  hub.actions.redo = redo;
  hub.actions.assign = (track: number) => {
    if (hub.selection.size) edit("assign", hub.selection, { track });
  };
  hub.actions.keys = (): Record<string, () => void> => {
    const table: Record<string, () => void> = {
      "Mod+z": undo,
      "Mod+y": redo,
      "Mod+Shift+z": redo,
    };
    const { clipboard } = hub;
    if (clipboard.notes.length && !clipboard.strokes) {
      table["Mod+v"] = () => put(clipboard.notes, snapped(hub.beats, hub.snap, transport.position) - Math.min(...clipboard.notes.map((n) => n.onset)));
    }
    table.a = () => {
      const pitch = Math.round((view.window.p0 + view.window.p1) / 2);
      const onset = snapped(hub.beats, hub.snap, transport.position);
      put([{ onset, offset: onset + 0.4, pitch, velocity: 80, track: hub.shown[0] ?? 0 }], 0);
    };
    if (lane.open) {
      table.d = () => (hub.drumRow < 0 ? lane.enter() : lane.leave());
      Object.assign(table, lane.keys());
    }
    if (!hub.selection.size) return table;
    const loud = (by: number) => () => change(chosen(), (n) => ({ velocity: Math.min(127, Math.max(1, n.velocity + by)) }));
    const length = (by: number) => () => change(chosen(), (n) => ({ offset: Math.max(n.onset + 0.03, n.offset + by) }));
    const pitch = (by: number) => () => change(chosen(), (n) => ({ pitch: Math.min(108, Math.max(21, n.pitch + by)) }));
    const gridded = () => Boolean(hub.snap) && hub.beats.time.length > 1;
    const time = (by: number) => () =>
      change(chosen(), (n) => {
        const shift = gridded() ? stepped(hub.beats, hub.snap, n.onset, by > 0 ? 1 : -1) - n.onset : Math.max(by, -n.onset);
        return { onset: n.onset + shift, offset: n.offset + shift };
      });
    Object.assign(table, {
      Delete: () => edit("delete", hub.selection),
      Backspace: () => edit("delete", hub.selection),
      ArrowUp: pitch(1),
      ArrowDown: pitch(-1),
      "Shift+ArrowUp": pitch(12),
      "Shift+ArrowDown": pitch(-12),
      ArrowLeft: time(-0.01),
      ArrowRight: time(0.01),
      "Alt+ArrowUp": loud(6),
      "Alt+ArrowDown": loud(-6),
      "Alt+ArrowLeft": length(-0.02),
      "Alt+ArrowRight": length(0.02),
      "Mod+c": copy,
      "Mod+x": () => {
        copy();
        edit("delete", hub.selection);
      },
      "Mod+d": () => {
        // Behind the last of them, on the grid where there is one.
        const notes = chosen().map(note);
        const from = Math.min(...notes.map((n) => n.onset));
        const end = Math.max(...notes.map((n) => n.offset));
        put(notes, Math.max(snapped(hub.beats, hub.snap, end), from + 0.05) - from);
      },
      s: () => {
        const at = transport.position;
        // Both halves stay selected, and what is not cut.
        hub.expected = chosen().flatMap((i) => {
          const n = note(i);
          const cut = n.onset + 0.02 < at && at < n.offset - 0.02;
          return cut ? [[n.pitch, n.onset], [n.pitch, at]] : [[n.pitch, n.onset]];
        });
        edit("split", hub.selection, { time: at });
      },
      j: () => edit("join", hub.selection),
      // Onsets to the grid that is chosen; where the beats have not been looked for, that is asked for first.
      q: () => {
        if (hub.beats.time.length < 2) return hub.actions.grid?.(true);
        const grid = hub.snap || "4";
        const list = chosen().filter((i) => Math.abs(snapped(hub.beats, grid, hub.notes.onset[i]) - hub.notes.onset[i]) > 0.0005);
        change(list, (n) => {
          const shift = snapped(hub.beats, grid, n.onset) - n.onset;
          return { onset: n.onset + shift, offset: n.offset + shift };
        });
      },
    });
    for (let k = 1; k <= 8; k++) table[String(k)] = () => hub.actions.assign(trackAt(hub, k - 1));
    return table;
  };

  return {
    drag(hit, e, from, dragging) {
      const held = hub.follow("notes", hit.index);
      const t0 = view.time(from.x);
      const p0 = Math.round(view.pitch(from.y));
      let by = { time: 0, pitch: 0 };
      dragging(
        e,
        (p, m) => {
          const { list, hand } = held() ?? { list: [], hand: -1 };
          if (hand < 0) {
            view.ghosts = [];
            return view.stale("notes");
          }
          by = { time: view.time(p.x) - t0, pitch: hit.part !== "body" ? 0 : Math.round(view.pitch(p.y)) - p0 };
          // Shift keeps the time: only the pitch changes.
          if (m.shiftKey && hit.part === "body") by.time = 0;
          // The note in hand goes to the grid (Alt: freely), those with it keep their distance.
          else if (!m.altKey) {
            const from = hit.part === "end" ? hub.notes.offset[hand] : hub.notes.onset[hand];
            by.time = snapped(hub.beats, hub.snap, from + by.time) - from;
          }
          view.ghosts = list.map((i) => moved(i));
          if (hit.part === "body" && by.pitch !== lastPitch) {
            lastPitch = by.pitch;
            void transport.audition(hub.notes.pitch[hand] + by.pitch, hub.notes.track[hand], hub.notes.velocity[hand], 0.25);
          }
          view.stale("notes");
        },
        (movedAtAll) => {
          view.ghosts = [];
          view.stale("notes");
          const there = held();
          if (!there) return;
          if (!movedAtAll) {
            const { hand } = there;
            void transport.audition(hub.notes.pitch[hand], hub.notes.track[hand], hub.notes.velocity[hand], 0.4);
            return;
          }
          if (!by.pitch && Math.abs(by.time) < 0.004) return;
          change(there.list);
        },
      );
      let lastPitch = 0;
      const moved = (i: number) => {
        const n = note(i);
        if (hit.part === "start") return { index: i, onset: Math.min(n.offset - 0.02, Math.max(0, n.onset + by.time)), offset: n.offset, pitch: n.pitch, track: n.track };
        return hit.part === "end"
          ? { index: i, onset: n.onset, offset: Math.max(n.onset + 0.02, n.offset + by.time), pitch: n.pitch, track: n.track }
          : { index: i, onset: Math.max(0, n.onset + by.time), offset: Math.max(0.02, n.offset + by.time), pitch: Math.min(108, Math.max(21, n.pitch + by.pitch)), track: n.track };
      };
      const change = (which: number[]) => {
        const notes = which.map((i) => ({ ...note(i), ...moved(i) }));
        hub.expected = notes.map((n, k) => [n.pitch, n.onset, hub.notes.hand[which[k]]]);
        edit("change", which, { notes });
      };
    },
    /** In the lane under the notes: the height is the velocity, of the notes that begin where the pointer goes. */
    velocities(e, dragging) {
      let given = new Map<number, number>();
      let { notes: table, strokes } = hub;
      /** A table may come meanwhile, in which the notes have other numbers. */
      const renumber = () => {
        if (hub.strokes !== strokes) given = new Map();
        else if (hub.notes !== table && !hub.struck.size) {
          const again = (i: number) => findNote(hub.notes, table.pitch[i], table.onset[i], table.hand[i]);
          given = new Map([...given].map(([i, value]) => [again(i), value] as const).filter(([i]) => i >= 0));
        }
        [table, strokes] = [hub.notes, hub.strokes];
      };
      const at = (p: Point) => {
        renumber();
        const value = view.velocityAt(p.y);
        for (const i of view.startingAt(p.x)) {
          if (!hub.selection.size || hub.selection.has(i) || !view.startingAt(p.x).some((k) => hub.selection.has(k))) given.set(i, value);
        }
        view.velocities = given;
        view.stale("notes");
      };
      at(dragging.from(e));
      dragging(
        e,
        (p) => at(p),
        () => {
          view.velocities = new Map();
          renumber();
          if (hub.struck.size) return lane.louder(given);
          const list = [...given.keys()];
          if (!list.length) return;
          const notes = list.map((i) => ({ ...note(i), velocity: given.get(i) as number }));
          hub.expected = [...hub.selection].map((i) => [hub.notes.pitch[i], hub.notes.onset[i]]);
          edit("change", list, { notes });
        },
      );
    },
    /** A note that the clean-up took away is put back as it was. */
    restore(ghost) {
      const { onset, offset, pitch, track, velocity } = ghost;
      hub.expected = [[pitch, onset]];
      tell({ what: "add", notes: [{ onset, offset, pitch, velocity, track }] });
    },
    /** A new note where there is none: as long as a sixteenth of the window, in the track of the selection. */
    add(p) {
      const pitch = Math.round(view.pitch(p.y));
      const onset = Math.max(0, snapped(hub.beats, hub.snap, view.time(p.x)));
      const free = Math.min(1, Math.max(0.08, (view.window.t1 - view.window.t0) / 40));
      const length = hub.snap && hub.beats.time.length > 1 ? Math.max(0.03, gridStep(hub.beats, hub.snap, onset)) : free;
      const first = chosen()[0];
      const track = first === undefined ? (hub.shown[0] ?? 0) : hub.notes.track[first];
      const made = { onset, offset: onset + length, pitch, velocity: 80, track };
      hub.expected = [[pitch, onset]];
      tell({ what: "add", notes: [made] });
      void transport.audition(pitch, track, 80, 0.3);
    },
  };
}

/** The track in a place of the list that a person sees; after the last, the lowest number that is free. */
function trackAt(hub: Hub, place: number): number {
  const { shown } = hub;
  if (place < shown.length) return shown[place];
  let free = 0;
  while (shown.includes(free)) free += 1;
  return free;
}
