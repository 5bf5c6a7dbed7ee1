// The notes by timbre: two dimensions of their embeddings. A lasso here selects in the roll, and the other way round.

import { h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { info } from "../info";
import { type Model, Scope, floats } from "../model";
import { pitchName } from "../notes";
import { trackColor, trackMark } from "../palette";

export function mountMap(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const canvas = h("canvas", { class: "amt-map-canvas", tabindex: "0", role: "img", "aria-label": say(hub, "tab_map") });
  const hint = h("p", { class: "amt-map-hint" });
  element.append(h("div", { class: "amt-map-box" }, canvas, info(hub, "map")), hint);
  let points = new Float32Array(0);
  let lasso: [number, number][] = [];
  let near = -1;
  let stale = 0;

  const place = (i: number, size: { width: number; height: number }): [number, number] => {
    const scale = Math.min(size.width, size.height) / 2 - 16;
    return [size.width / 2 + points[2 * i] * scale * (size.width / Math.min(size.width, size.height)), size.height / 2 - points[2 * i + 1] * scale];
  };
  const draw = () => {
    stale = 0;
    const box = canvas.getBoundingClientRect();
    if (!box.width) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(box.width * ratio);
    canvas.height = Math.round(box.height * ratio);
    const g = canvas.getContext("2d") as CanvasRenderingContext2D;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(element);
    const { notes, tracks, prefs, selection } = hub;
    const n = Math.min(notes.n, points.length / 2);
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.font = "11px system-ui, sans-serif";
    for (let i = 0; i < n; i++) {
      const track = tracks[notes.track[i]];
      if (hub.mix[notes.track[i]]?.hidden) continue;
      const [x, y] = place(i, box);
      g.globalAlpha = selection.size && !selection.has(i) ? 0.28 : 0.85;
      g.fillStyle = trackColor(track?.color ?? 0, prefs.theme);
      g.fillText(trackMark(track?.color ?? 0), x, y);
    }
    g.globalAlpha = 1;
    g.strokeStyle = style.getPropertyValue("--select");
    for (const i of selection) {
      if (i >= n) continue;
      const [x, y] = place(i, box);
      g.beginPath();
      g.arc(x, y, 7, 0, 7);
      g.stroke();
    }
    if (near >= 0 && near < n) {
      const [x, y] = place(near, box);
      g.fillStyle = style.getPropertyValue("--text");
      g.textAlign = x > box.width - 60 ? "right" : "left";
      g.font = "600 12px system-ui, sans-serif";
      g.fillText(pitchName(notes.pitch[near]), x + (x > box.width - 60 ? -10 : 10), y);
    }
    if (lasso.length > 1) {
      g.setLineDash([4, 3]);
      g.beginPath();
      lasso.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
      g.closePath();
      g.stroke();
      g.setLineDash([]);
    }
  };
  const refresh = () => {
    if (!stale) stale = requestAnimationFrame(draw);
  };
  const show = () => {
    const some = points.length > 0;
    canvas.parentElement?.toggleAttribute("hidden", !some);
    hint.textContent = say(hub, some ? "map_hint" : "map_none");
    refresh();
  };
  scope.watch("points", (value) => {
    points = floats(value) as Float32Array<ArrayBuffer>;
    show();
  });
  const seen = () => {
    const under = Boolean(element.closest(".amtsep-side"));
    model.send({ do: "visible", value: !under || hub.tab === "map" });
  };
  scope.add(hub.on("tab", seen));
  requestAnimationFrame(seen);
  for (const name of ["notes", "selection", "tracks", "mix", "prefs", "shown-map"]) scope.add(hub.on(name, refresh));
  const observer = new ResizeObserver(refresh);
  observer.observe(canvas);
  scope.add(() => observer.disconnect());

  const local = (e: PointerEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  };
  const hidden = (i: number): boolean => Boolean(hub.mix[hub.notes.track[i]]?.hidden);
  const closest = ([x, y]: [number, number]): number => {
    const box = canvas.getBoundingClientRect();
    let best = -1;
    let least = 12 * 12;
    for (let i = 0; i < points.length / 2; i++) {
      if (hidden(i)) continue;
      const [px, py] = place(i, box);
      const d = (px - x) ** 2 + (py - y) ** 2;
      if (d < least) [best, least] = [i, d];
    }
    return best;
  };
  scope.listen(canvas, "pointerdown", (e: PointerEvent) => {
    canvas.setPointerCapture(e.pointerId);
    lasso = [local(e)];
  });
  scope.listen(canvas, "pointermove", (e: PointerEvent) => {
    if (lasso.length) lasso.push(local(e));
    else near = closest(local(e));
    refresh();
  });
  scope.listen(canvas, "pointerup", (e: PointerEvent) => {
    const path = lasso;
    lasso = [];
    if (path.length < 6) {
      const i = closest(local(e));
      hub.select(i >= 0 ? [i] : []);
      if (i >= 0) void hub.transport.audition(hub.notes.pitch[i], hub.notes.track[i], hub.notes.velocity[i]);
      return;
    }
    const box = canvas.getBoundingClientRect();
    const chosen = [];
    for (let i = 0; i < points.length / 2; i++) if (!hidden(i) && inside(place(i, box), path)) chosen.push(i);
    hub.select(chosen);
  });
  scope.listen(canvas, "pointerleave", () => {
    near = -1;
    refresh();
  });
  return () => scope.end();
}

function inside([x, y]: [number, number], path: [number, number][]): boolean {
  let odd = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [xi, yi] = path[i];
    const [xj, yj] = path[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}
