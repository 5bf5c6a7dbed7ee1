// The roll as a widget: what comes from Python, and what the hands do.

import { h } from "../dom";
import type { Hub } from "../hub";
import { unpackStrokes } from "../drums";
import type { EditMessage } from "../edits";
import { type Model, Scope, floats, octets } from "../model";
import { nearest, wholeBars } from "../grid";
import { unpack, unpackCurves } from "../notes";
import { KEYS, OVERVIEW, RULER, RollView } from "./view";
import { editing } from "./edit";
import { type Lane, drumLane } from "./lane";
import { stepping } from "./stepping";
import { Picture } from "./spectrogram";

export function mountRoll(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const view = new RollView(hub);
  const slot = h("div", { class: "amt-slot" });
  view.element.tabIndex = 0;
  element.append(view.element, slot);
  hub.actions.roll = () => view;
  hub.actions.slot = () => slot;
  hub.emit("slot");
  let shown = "";
  let fresh = true;

  const feed = () => {
    const about = model.get("about") ?? {};
    hub.duration = about.duration ?? 0;
    hub.emit("duration");
    view.tuning = about.tuning ?? 0;
    const { height } = about;
    if (height) element.parentElement?.style.setProperty("--alone-height", `${height}px`);
  };
  const picture = () => {
    const about = model.get("about") ?? {};
    const data = octets(model.get("picture"));
    view.ground =
      about.frames && data.length === about.frames * about.bins
        ? new Picture(data, about.bins, about.frames, about.hop * about.step, about.per_octave / 12, 21, about.hop / 2)
        : null;
    view.posterior = null;
    if (view.groundKind === "posterior") model.send({ do: "posterior" });
    view.stale();
  };
  scope.watch("about", () => {
    feed();
    picture();
    const key = JSON.stringify(model.get("about"));
    if (key !== shown) {
      shown = key;
      fresh = true;
    }
  });
  scope.watch("picture", picture);
  scope.watch("tracks", (value) => {
    hub.sure = value?.sure ?? 0;
    hub.setTracks(value?.list ?? [], value?.mix);
  });
  scope.watch("kit", (value) => hub.setKit(value ?? {}, true));
  scope.watch("stroke_data", (value) => hub.setStrokes(unpackStrokes(floats(value))));
  scope.watch("notes_data", (value) => hub.setNotes(unpack(floats(value))));
  scope.add(
    hub.on("notes", () => {
      if (fresh) {
        fresh = false;
        view.fit();
        hub.transport.seek(0);
      }
      view.stale("notes");
    }),
  );
  scope.add(hub.on("tracks", () => view.stale("notes")));
  scope.add(hub.on("beats", () => view.stale()));
  scope.add(
    hub.on("strokes", () => {
      view.stale();
      view.stale("notes");
    }),
  );
  let high = 0;
  scope.add(
    hub.on("mix", () => {
      // Drums that come or go change the height of all the rest.
      view.stale(view.drumHeight === high ? "notes" : "all");
      if (view.drumHeight !== high) view.stale("notes");
      high = view.drumHeight;
    }),
  );
  const send = (message: EditMessage) => model.send({ do: "edit", ...message });
  const tell = (message: EditMessage) => (hub.keeper ? hub.keeper.edit(message, send) : send(message));
  const lane = drumLane(hub, view, tell);
  scope.add(hub.on("selection", () => view.stale("notes")));
  scope.add(hub.on("prefs", () => requestAnimationFrame(() => view.restyle())));
  scope.add(hub.on("transport", () => view.stale("notes")));
  scope.add(() => view.end());
  gestures(view, hub, scope, editing(model, hub, view, lane, tell), lane);
  scope.watch("ghost_data", (value) => {
    const data = floats(value);
    const n = data.length / 6;
    view.removed = Array.from({ length: n }, (_, i) => ({ onset: data[i], offset: data[n + i], pitch: data[2 * n + i], track: data[3 * n + i], reason: data[4 * n + i], velocity: data[5 * n + i] }));
    view.stale("notes");
  });
  // Pitch curves of what is on show and a little around it, asked for when it has come to rest.
  let covered: { t0: number; t1: number } | null = null;
  let asked = "";
  const bends = window.setInterval(() => {
    if (!hub.bends || !hub.notes.n) return;
    const { t0, t1 } = view.window;
    if (covered && covered.t0 <= t0 && covered.t1 >= Math.min(t1, hub.duration)) return;
    const key = `${t0}/${t1}`;
    if (key !== asked) {
      asked = key;
      return;
    }
    const spare = Math.min(t1 - t0, 20) / 2;
    covered = { t0: t0 - spare, t1: t1 + spare };
    model.send({ do: "bends", from: covered.t0, to: covered.t1 });
  }, 150);
  scope.add(() => clearInterval(bends));
  scope.add(hub.on("notes", () => (covered = null)));
  scope.add(hub.on("bends", () => view.stale("notes")));
  scope.message((content, buffers) => {
    if (content.do !== "bends") return;
    view.curves = unpackCurves(content.curves, floats(buffers[0]));
    view.stale("notes");
  });
  stepping(hub, view, scope, lane);
  scope.watch("reference_data", (value) => {
    const data = floats(value);
    hub.reference = data.length ? unpack(data) : null;
    hub.emit("reference");
    view.stale("notes");
  });
  scope.add(
    hub.on("verdict", (verdict) => {
      view.verdict = verdict;
      view.stale("notes");
    }),
  );
  scope.watch("history", (value) => {
    hub.history = value ?? {};
    hub.emit("history");
  });
  hub.actions.ground = (kind: string) => {
    view.groundKind = kind;
    if (kind === "posterior" && !view.posterior) model.send({ do: "posterior" });
    view.stale();
    hub.emit("view");
  };
  scope.message((content, buffers) => {
    // After a break of the connection everything is sent again: what was done here meanwhile is part of it.
    if (content.do === "all") hub.setNotes(unpack(floats(model.get("notes_data"))));
    if (content.do !== "posterior") return;
    view.posterior = new Picture(octets(buffers[0]).slice(), content.bins, content.frames, content.hop * content.step, 1, 21, content.hop / 2);
    view.stale();
  });
  requestAnimationFrame(() => {
    view.restyle();
    view.fit();
  });
  return () => scope.end();
}

function gestures(view: RollView, hub: Hub, scope: Scope, edits: ReturnType<typeof editing>, lane: Lane): void {
  const { element } = view;
  const { transport } = hub;
  const local = (e: MouseEvent) => {
    const box = element.getBoundingClientRect();
    return { x: e.clientX - box.left, y: e.clientY - box.top };
  };

  let padUntil = 0;
  scope.listen(
    element,
    "wheel",
    (e: WheelEvent) => {
      e.preventDefault();
      const { x, y } = local(e);
      const unit = e.deltaMode === 1 ? 30 : e.deltaMode === 2 ? 300 : 1;
      const dx = e.deltaX * unit;
      const dy = e.deltaY * unit;
      // Two fingers on a trackpad move the roll as they move, a pinch (which comes with Ctrl) zooms; a wheel comes in
      // large steps without a sideways part.
      const now = performance.now();
      if (!e.ctrlKey && e.deltaMode === 0 && (Math.abs(e.deltaX) > 0 || (e.deltaY % 1 === 0 && Math.abs(e.deltaY) < 40) || e.deltaY % 1 !== 0) && Math.abs(e.deltaY) < 90) padUntil = now + 250;
      if (now < padUntil && !e.ctrlKey && !e.altKey && !e.shiftKey && x >= KEYS) return view.pan(dx, dy);
      if (e.shiftKey) view.pan(dy || dx, 0);
      else if (e.altKey || x < KEYS) {
        if (e.ctrlKey || e.altKey) view.zoomPitch(Math.exp(dy * 0.0015), y);
        else view.pan(0, dy * 0.5);
      } else if (Math.abs(dx) > Math.abs(dy)) view.pan(dx, 0);
      else view.zoomTime(Math.exp(dy * (e.ctrlKey ? 0.01 : 0.0015)), x);
    },
    { passive: false },
  );

  /** Ends what a finger drags, undone, when a second one comes to pinch. */
  let abort: () => void = () => undefined;
  const dragging = ((e: PointerEvent, move: (p: { x: number; y: number }, e: PointerEvent) => void, done?: (moved: boolean) => void) => {
    element.setPointerCapture(e.pointerId);
    const from = local(e);
    let moved = false;
    const onMove = (m: PointerEvent) => {
      if (m.pointerId !== e.pointerId) return;
      const p = local(m);
      if (!moved && Math.hypot(p.x - from.x, p.y - from.y) < 3) return;
      moved = true;
      move(p, m);
    };
    const leave = () => {
      abort = () => undefined;
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerup", onUp);
      element.removeEventListener("pointercancel", onUp);
    };
    const onUp = (u: PointerEvent) => {
      if (u.pointerId !== e.pointerId) return;
      leave();
      done?.(moved);
    };
    abort = () => {
      leave();
      Object.assign(view, { ghosts: [], strokeGhosts: new Map(), velocities: new Map(), band: null });
      view.stale("notes");
    };
    element.addEventListener("pointermove", onMove);
    element.addEventListener("pointerup", onUp);
    element.addEventListener("pointercancel", onUp);
  }) as Parameters<typeof edits.velocities>[1];
  dragging.from = local;

  const overview = (e: PointerEvent) => {
    const jump = (x: number) => {
      const t = ((x - KEYS) / Math.max(1, element.clientWidth - KEYS)) * view.duration;
      const span = view.window.t1 - view.window.t0;
      view.setWindow({ t0: t - span / 2, t1: t + span / 2 });
    };
    jump(local(e).x);
    dragging(e, (p) => jump(p.x));
  };

  /** A bar line or a beat is dragged: other beats go along, as far as the bar lines beside it. */
  const line = (e: PointerEvent, beat: number) => {
    const from = hub.beats.time[beat];
    const kind = hub.beats.bar.includes(beat) ? "line" : "beat";
    dragging(
      e,
      (p, m) => {
        // To an onset nearby, as bar lines are where something begins; Alt: freely.
        const t = Math.max(0, view.time(p.x));
        const reach = ((view.window.t1 - view.window.t0) / view.plot.width) * 6;
        const onset = m.altKey ? t : nearest(Array.from(hub.notes.onset), t);
        view.line = { from, to: Math.abs(onset - t) < reach ? onset : t };
      },
      (moved) => {
        const to = view.line?.to ?? from;
        view.line = null;
        if (moved && Math.abs(to - from) > 0.002) hub.actions.beats?.(kind, `${from} ${to}`);
        else if (!moved) transport.seek(from);
      },
    );
  };

  const ruler = (e: PointerEvent) => {
    const { x, y } = local(e);
    const beat = hub.actions.beats ? view.hitLine(x, y) : -1;
    if (beat >= 0) return line(e, beat);
    // The edges of the loop can be taken again; the other end stays.
    const { loop } = transport;
    const edge = loop.to > loop.from ? (Math.abs(x - view.x(loop.from)) < 6 ? "from" : Math.abs(x - view.x(loop.to)) < 6 ? "to" : "") : "";
    const start = edge ? (edge === "from" ? loop.to : loop.from) : view.time(x);
    dragging(
      e,
      (p, m) => {
        const t = Math.max(0, view.time(p.x));
        transport.loop.from = Math.max(0, Math.min(start, t));
        transport.loop.to = Math.min(view.duration, Math.max(start, t));
        // Whole bars where there are any (Alt: freely).
        if (hub.beats.bar.length > 1 && !m.altKey) Object.assign(transport.loop, wholeBars(hub.beats, transport.loop.from, transport.loop.to));
        transport.loop.to = Math.min(view.duration, transport.loop.to);
        transport.loop.on = false;
        view.stale("notes");
      },
      (moved) => {
        if (moved) transport.setLoop({ on: transport.loop.to - transport.loop.from > 0.05 });
        else transport.seek(edge ? view.time(x) : start);
      },
    );
  };

  const band = (e: PointerEvent) => {
    const from = local(e);
    const [t, p] = [view.time(from.x), view.pitch(from.y)];
    const before = e.shiftKey || e.ctrlKey || e.metaKey ? [...hub.selection] : [];
    dragging(
      e,
      (q) => {
        const [u, v] = [view.time(q.x), view.pitch(q.y)];
        const box = { t0: Math.min(t, u), t1: Math.max(t, u), p0: Math.min(p, v), p1: Math.max(p, v) };
        view.band = box;
        const chosen = new Set(before);
        const { notes } = hub;
        for (let i = 0; i < notes.n && notes.onset[i] <= box.t1; i++) {
          if (notes.offset[i] < box.t0 || notes.pitch[i] + 0.4 < box.p0 || notes.pitch[i] - 0.4 > box.p1) continue;
          if (!hub.mix[notes.track[i]]?.hidden) chosen.add(i);
        }
        hub.select(chosen);
      },
      (moved) => {
        view.band = null;
        if (!moved) {
          if (hub.selection.size) hub.select([]);
          else transport.seek(t);
        }
      },
    );
  };

  // Fingers: two pinch and move, one moves the roll; a tap goes there or selects, and a selected note can be dragged.
  const fingers = new Map<number, { x: number; y: number }>();
  const lift = (e: PointerEvent) => fingers.delete(e.pointerId);
  scope.listen(element, "pointerup", lift);
  scope.listen(element, "pointercancel", lift);
  scope.listen(element, "pointermove", (e: PointerEvent) => {
    const was = fingers.get(e.pointerId);
    if (!was || fingers.size !== 2) return;
    const other = [...fingers].find(([id]) => id !== e.pointerId)?.[1] as { x: number; y: number };
    const is = local(e);
    const [before, after] = [Math.hypot(was.x - other.x, was.y - other.y), Math.hypot(is.x - other.x, is.y - other.y)];
    const middle = { x: (is.x + other.x) / 2, y: (is.y + other.y) / 2 };
    if (before > 8 && after > 8) {
      // Along the line between the fingers: across for time, upright for pitch.
      const across = Math.abs(is.x - other.x) > Math.abs(is.y - other.y);
      if (across) view.zoomTime(before / after, middle.x);
      else view.zoomPitch(before / after, middle.y);
    }
    view.pan((was.x - is.x) / 2, (was.y - is.y) / 2);
    fingers.set(e.pointerId, is);
  });
  const touch = (e: PointerEvent, x: number, y: number): boolean => {
    fingers.set(e.pointerId, { x, y });
    if (fingers.size > 1) {
      abort();
      return true;
    }
    if (x < KEYS || y < RULER || y > element.clientHeight - OVERVIEW || view.inLane(y) || view.inDrums(y)) return false;
    const hit = view.hit(x, y);
    if (hit && hub.selection.has(hit.index)) return false;
    let last = { x, y };
    dragging(
      e,
      (p) => {
        if (fingers.size > 1) return;
        view.pan(last.x - p.x, last.y - p.y);
        last = p;
      },
      (moved) => {
        if (moved || fingers.size > 1) return;
        if (hit) {
          hub.select([hit.index]);
          void transport.audition(hub.notes.pitch[hit.index], hub.notes.track[hit.index], hub.notes.velocity[hit.index], 0.4);
        } else if (hub.selection.size) hub.select([]);
        else transport.seek(view.time(x));
      },
    );
    return true;
  };

  scope.listen(element, "pointerdown", (e: PointerEvent) => {
    const { x, y } = local(e);
    element.focus({ preventScroll: true });
    view.showTip(-1, 0, 0);
    if (e.button === 1 || (e.button === 0 && e.altKey && !view.hit(x, y))) {
      e.preventDefault();
      let last = local(e);
      dragging(e, (p) => {
        view.pan(last.x - p.x, last.y - p.y);
        last = p;
      });
      return;
    }
    if (e.button !== 0) return;
    if (e.pointerType === "touch" && touch(e, x, y)) return;
    if (y > element.clientHeight - OVERVIEW) return overview(e);
    if (y < RULER) return ruler(e);
    if (view.inDrums(y)) return lane.press(e, { x, y }, dragging);
    if (x < KEYS) {
      void transport.audition(Math.round(view.pitch(y)));
      return;
    }
    if (view.inLane(y)) return edits.velocities(e, dragging);
    const hit = view.hit(x, y);
    if (!hit) return band(e);
    const add = e.shiftKey || e.ctrlKey || e.metaKey;
    if (add) {
      const chosen = new Set(hub.selection);
      if (chosen.has(hit.index)) chosen.delete(hit.index);
      else chosen.add(hit.index);
      hub.select(chosen);
    } else if (!hub.selection.has(hit.index)) hub.select([hit.index]);
    if (!add) edits.drag(hit, e, { x, y }, dragging);
  });

  scope.listen(element, "dblclick", (e: MouseEvent) => {
    const { x, y } = local(e);
    if (x >= KEYS && y < RULER && hub.beats.bar.length > 1) {
      const t = view.time(x);
      transport.setLoop({ ...wholeBars(hub.beats, t, t), on: true });
      return;
    }
    if (x >= KEYS && view.inDrums(y)) return lane.double({ x, y });
    if (x < KEYS || y < RULER || y > element.clientHeight - OVERVIEW || view.hit(x, y)) return;
    const ghost = view.hitRemoved(x, y);
    if (ghost) edits.restore(ghost);
    else edits.add({ x, y });
  });

  scope.listen(element, "pointermove", (e: PointerEvent) => {
    if (e.buttons) return;
    const { x, y } = local(e);
    const inside = x >= KEYS && y >= RULER && y < element.clientHeight - OVERVIEW;
    const hit = inside ? view.hit(x, y) : null;
    const onLine = hub.actions.beats && view.hitLine(x, y) >= 0;
    element.style.cursor = hit ? (hit.part !== "body" ? "ew-resize" : "pointer") : onLine ? "ew-resize" : y < RULER ? "text" : "default";
    const stroke = inside ? view.hitStroke(x, y) : -1;
    if (stroke >= 0) {
      element.style.cursor = "pointer";
      return view.showStroke(stroke, x, y);
    }
    const ghost = inside && !hit ? view.hitRemoved(x, y) : null;
    if (ghost) view.showReason(ghost, x, y);
    else view.showTip(hit ? hit.index : -1, x, y);
  });
  scope.listen(element, "pointerleave", () => view.showTip(-1, 0, 0));
}
