// The roll for keyboard and screen reader: from note to note with the arrow keys, each said and heard; Enter edits it.

import { h } from "../dom";
import type { Hub } from "../hub";
import { say, trackName } from "../i18n";
import { type Scope } from "../model";
import { clock, firstAt, pitchName } from "../notes";
import type { Lane } from "./lane";
import type { RollView } from "./view";

export function stepping(hub: Hub, view: RollView, scope: Scope, lane: Lane): void {
  const { element } = view;
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const live = h("div", { class: "amt-unseen", role: "status", "aria-live": "polite" });
  const how = h("div", { class: "amt-unseen", id: `amt-how-${hub.id.slice(0, 8)}` });
  element.setAttribute("role", "application");
  element.setAttribute("aria-describedby", how.id);
  element.append(live, how);

  const summary = () => {
    const { notes } = hub;
    let [low, high] = [127, 0];
    for (let i = 0; i < notes.n; i++) [low, high] = [Math.min(low, notes.pitch[i]), Math.max(high, notes.pitch[i])];
    const drums = hub.strokes.n ? t("roll_drums", { n: hub.strokes.n }) : "";
    const values = { n: notes.n, tracks: hub.shown.length, low: pitchName(low), high: pitchName(high), time: clock(hub.duration, 0) };
    element.setAttribute("aria-label", (notes.n ? t("roll_summary", values) : t("roll_empty")) + drums);
    element.setAttribute("aria-roledescription", t("roll"));
    how.textContent = t("roll_how") + (lane.open ? ` ${t("lane_how")}` : "");
  };
  for (const name of ["notes", "tracks", "strokes", "mix", "prefs", "duration"]) scope.add(hub.on(name, summary));
  summary();

  let said = "";
  const current = (): number => (hub.selection.size ? Math.min(...hub.selection) : -1);
  const describe = (i: number): string => {
    const { notes } = hub;
    return t("note_said", {
      pitch: pitchName(notes.pitch[i]).replace("♯", t("sharp")),
      time: clock(notes.onset[i], 2),
      length: (notes.offset[i] - notes.onset[i]).toFixed(2),
      track: trackName(hub, notes.track[i]),
      velocity: Math.round(notes.velocity[i]),
    });
  };
  const visible = (i: number) => !hub.mix[hub.notes.track[i]]?.hidden;
  const go = (i: number) => {
    if (i < 0 || i >= hub.notes.n) return;
    hub.select([i]);
    view.show(i);
    if (!hub.transport.playing) {
      hub.transport.seek(hub.notes.onset[i]);
      void hub.transport.audition(hub.notes.pitch[i], hub.notes.track[i], hub.notes.velocity[i], 0.3);
    }
  };
  /** The next note in time, or the one before. */
  const along = (step: number) => {
    const { notes } = hub;
    let i = current();
    if (i < 0) {
      i = firstAt(notes, hub.transport.position - 0.001);
      if (step > 0 && i < notes.n && visible(i)) return go(i);
      if (step > 0) i -= 1;
    }
    do i += step;
    while (i >= 0 && i < notes.n && !visible(i));
    return go(i);
  };
  /** Of the notes that sound when this one begins, the nearest over or under it. */
  const across = (step: number) => {
    const { notes } = hub;
    const from = current();
    if (from < 0) return along(1);
    let best = -1;
    for (let i = firstAt(notes, notes.onset[from] - notes.longest - 0.2); i < notes.n && notes.onset[i] < notes.onset[from] + 0.2; i++) {
      const apart = (notes.pitch[i] - notes.pitch[from]) * step;
      if (apart <= 0 || notes.offset[i] < notes.onset[from] || !visible(i)) continue;
      if (best < 0 || apart < (notes.pitch[best] - notes.pitch[from]) * step) best = i;
    }
    // Under the lowest note lies the lane of drums.
    if (best < 0 && step < 0 && lane.open) lane.enter(0);
    else go(best);
  };
  const up = () => {
    lane.leave();
    live.textContent = said = t("editing_off");
  };
  const mode = (editing: boolean) => {
    hub.stepping = !editing;
    live.textContent = t(!editing ? "editing_off" : hub.struck.size ? "strokes_on" : "editing_on");
  };
  scope.listen(element, "focus", () => {
    if (hub.pointed !== element) hub.stepping = true;
  });
  scope.listen(element, "blur", () => {
    hub.stepping = false;
    hub.drumRow = -1;
  });
  scope.listen(element, "pointerdown", () => {
    hub.stepping = false;
    hub.drumRow = -1;
  });
  hub.actions.steps = (): Record<string, () => void> => {
    if (document.activeElement !== element) return {};
    if (!hub.stepping) return hub.pointed === element ? {} : { Enter: () => mode(false), Escape: () => mode(false) };
    if (hub.drumRow >= 0) return lane.steps(() => mode(true), up);
    return {
      ArrowRight: () => along(1),
      ArrowLeft: () => along(-1),
      ArrowUp: () => across(1),
      ArrowDown: () => across(-1),
      Enter: () => current() >= 0 && mode(true),
    };
  };
  // What has changed is said, whether it was stepped to or edited.
  const tell = () => {
    if (document.activeElement !== element) return;
    const { size } = hub.selection;
    const text = size === 1 ? describe(current()) : size ? t("n_selected", { n: size }) : lane.said();
    if (text && text !== said) live.textContent = text;
    said = text;
  };
  scope.add(hub.on("selection", tell));
  scope.add(hub.on("strokes", tell));
  scope.add(hub.on("notes", tell));
}
