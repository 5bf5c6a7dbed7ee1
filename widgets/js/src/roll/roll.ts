// The roll as a widget: what comes from Python, and what the hands do.

import { h } from "../dom";
import type { Hub } from "../hub";
import { type Model, Scope, floats, octets } from "../model";
import { unpack } from "../notes";
import { KEYS, OVERVIEW, RULER, RollView } from "./view";
import { editing } from "./edit";
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
  scope.watch("tracks", (value) => hub.setTracks(value?.list ?? [], value?.mix));
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
  scope.add(hub.on("mix", () => view.stale("notes")));
  scope.add(hub.on("selection", () => view.stale("notes")));
  scope.add(hub.on("prefs", () => requestAnimationFrame(() => view.restyle())));
  scope.add(hub.on("transport", () => view.stale("notes")));
  scope.add(() => view.end());
  gestures(view, hub, scope, editing(model, hub, view));
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

function gestures(view: RollView, hub: Hub, scope: Scope, edits: ReturnType<typeof editing>): void {
  const { element } = view;
  const { transport } = hub;
  const local = (e: MouseEvent) => {
    const box = element.getBoundingClientRect();
    return { x: e.clientX - box.left, y: e.clientY - box.top };
  };

  scope.listen(
    element,
    "wheel",
    (e: WheelEvent) => {
      e.preventDefault();
      const { x, y } = local(e);
      const unit = e.deltaMode === 1 ? 30 : e.deltaMode === 2 ? 300 : 1;
      const dx = e.deltaX * unit;
      const dy = e.deltaY * unit;
      if (e.shiftKey) view.pan(dy || dx, 0);
      else if (e.altKey || x < KEYS) {
        if (e.ctrlKey || e.altKey) view.zoomPitch(Math.exp(dy * 0.0015), y);
        else view.pan(0, dy * 0.5);
      } else if (Math.abs(dx) > Math.abs(dy)) view.pan(dx, 0);
      else view.zoomTime(Math.exp(dy * (e.ctrlKey ? 0.01 : 0.0015)), x);
    },
    { passive: false },
  );

  const dragging = (e: PointerEvent, move: (p: { x: number; y: number }, e: PointerEvent) => void, done?: (moved: boolean) => void) => {
    element.setPointerCapture(e.pointerId);
    const from = local(e);
    let moved = false;
    const onMove = (m: PointerEvent) => {
      const p = local(m);
      if (!moved && Math.hypot(p.x - from.x, p.y - from.y) < 3) return;
      moved = true;
      move(p, m);
    };
    const onUp = () => {
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerup", onUp);
      element.removeEventListener("pointercancel", onUp);
      done?.(moved);
    };
    element.addEventListener("pointermove", onMove);
    element.addEventListener("pointerup", onUp);
    element.addEventListener("pointercancel", onUp);
  };

  const overview = (e: PointerEvent) => {
    const jump = (x: number) => {
      const t = ((x - KEYS) / Math.max(1, element.clientWidth - KEYS)) * view.duration;
      const span = view.window.t1 - view.window.t0;
      view.setWindow({ t0: t - span / 2, t1: t + span / 2 });
    };
    jump(local(e).x);
    dragging(e, (p) => jump(p.x));
  };

  const ruler = (e: PointerEvent) => {
    const start = view.time(local(e).x);
    dragging(
      e,
      (p) => {
        const t = Math.max(0, view.time(p.x));
        transport.loop.from = Math.max(0, Math.min(start, t));
        transport.loop.to = Math.min(view.duration, Math.max(start, t));
        transport.loop.on = false;
        view.stale("notes");
      },
      (moved) => {
        if (moved) transport.setLoop({ on: transport.loop.to - transport.loop.from > 0.05 });
        else transport.seek(start);
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
    if (y > element.clientHeight - OVERVIEW) return overview(e);
    if (y < RULER) return ruler(e);
    if (x < KEYS) {
      void transport.audition(Math.round(view.pitch(y)));
      return;
    }
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
    if (x < KEYS || y < RULER || y > element.clientHeight - OVERVIEW || view.hit(x, y)) return;
    edits.add({ x, y });
  });

  scope.listen(element, "pointermove", (e: PointerEvent) => {
    if (e.buttons) return;
    const { x, y } = local(e);
    const inside = x >= KEYS && y >= RULER && y < element.clientHeight - OVERVIEW;
    const hit = inside ? view.hit(x, y) : null;
    element.style.cursor = hit ? (hit.part === "end" ? "ew-resize" : "pointer") : y < RULER ? "text" : "default";
    view.showTip(hit ? hit.index : -1, x, y);
  });
  scope.listen(element, "pointerleave", () => view.showTip(-1, 0, 0));
}
