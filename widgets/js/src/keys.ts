// Keys. They work wherever the focus is in the app, except in a field that takes text; in JupyterLab only while the
// focus is in the app, so that the notebook keeps its own.

import type { Hub } from "./hub";

/** Every part asks for the keys; one listener serves them all. */
export function shortcuts(hub: Hub): () => void {
  hub.keyUsers += 1;
  if (hub.keyUsers === 1) {
    hub.keyHandler = (e: KeyboardEvent) => press(hub, e);
    document.addEventListener("keydown", hub.keyHandler, true);
    hub.pointHandler = (e: Event) => point(hub, e);
    for (const name of POINTING) document.addEventListener(name, hub.pointHandler, true);
  }
  return () => {
    hub.keyUsers -= 1;
    if (hub.keyUsers || !hub.keyHandler || !hub.pointHandler) return;
    document.removeEventListener("keydown", hub.keyHandler, true);
    for (const name of POINTING) document.removeEventListener(name, hub.pointHandler, true);
  };
}

const POINTING = ["pointerdown", "focusout"];

/** Remember what the pointer has given the focus to: there, keys still mean the music and not the control. */
function point(hub: Hub, e: Event): void {
  const target = e.target as HTMLElement;
  if (e.type === "focusout") {
    if (hub.pointed === target) hub.pointed = null;
    return;
  }
  const over = target.closest?.("button, input, summary, label, [tabindex], [role=slider]") ?? null;
  hub.pointed = over instanceof HTMLLabelElement ? over.control : over;
}

/** Whether what happens at an element is meant for a session: a notebook may show several of them. */
export function meantFor(hub: Hub, target: Element): boolean {
  const host = target.closest?.<HTMLElement>(".amt-host") ?? target.closest?.(".amtsep-app")?.querySelector<HTMLElement>(".amt-host");
  if (host?.dataset.session) return host.dataset.session === hub.id;
  return Boolean(target.closest?.(".amt, .amtsep-app") ?? document.querySelector(".amtsep-app.amt-page"));
}

function press(hub: Hub, e: KeyboardEvent): void {
  const target = e.target as HTMLElement;
  if (!meantFor(hub, target)) return;
  const inApp = Boolean(target.closest?.(".amt, .amtsep-app"));
  const page = Boolean(document.querySelector(".amtsep-app.amt-page"));
  if (!inApp && !(page && target === document.body)) return;
  const typing = target.matches("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
  if (typing) return;
  const name = (e.ctrlKey || e.metaKey ? "Mod+" : "") + (e.altKey && e.key.startsWith("Arrow") ? "Alt+" : "") + (e.shiftKey && (e.key.length > 1 || e.ctrlKey || e.metaKey) ? "Shift+" : "") + (e.key.length === 1 ? e.key.toLowerCase() : e.key);
  const pointed = hub.pointed === target;
  // Reached with Tab, a control keeps the keys that work it.
  if (name === " " && !pointed && target.matches("button, summary, input[type=checkbox], [role=radio], [role=tab]")) return;
  // A key that is held down plays or stops once.
  if (name === " " && e.repeat) return e.preventDefault();
  if (hub.prefs.keys === "off" && /^[a-z0-9?+=-]$/.test(name)) return;
  const { transport } = hub;
  const view = hub.actions.roll?.();
  const onControl = target.matches("[role=slider], input[type=range], .amt-menu button, summary");
  const table: Record<string, () => void> = {
    " ": () => transport.toggle(),
    l: () => hub.actions.loop?.(),
    Home: () => transport.seek(0),
    End: () => transport.seek(transport.duration),
    ArrowLeft: () => transport.seek(transport.position - 1),
    ArrowRight: () => transport.seek(transport.position + 1),
    "Shift+ArrowLeft": () => transport.seek(transport.position - 5),
    "Shift+ArrowRight": () => transport.seek(transport.position + 5),
    "+": () => view?.zoomTime(0.8, view.x(transport.position)),
    "=": () => view?.zoomTime(0.8, view.x(transport.position)),
    "-": () => view?.zoomTime(1.25, view.x(transport.position)),
    "0": () => view?.fit(true),
    f: () => hub.actions.follow?.(),
    m: () => hub.actions.metronome?.(),
    b: () => hub.actions.tap?.(),
    p: () => hub.actions.bends?.(),
    h: () => hub.actions.help?.(),
    "?": () => hub.actions.help?.(),
    t: () => hub.prefer({ theme: hub.prefs.theme === "dark" ? "light" : "dark" }),
    Escape: () => (hub.actions.close?.() ? undefined : hub.select([])),
    "Mod+s": () => hub.actions.save?.("midi"),
    "Mod+a": () => hub.select(Array.from({ length: hub.notes.n }, (_, i) => i)),
    ...(hub.actions.keys?.(e) ?? {}),
    ...(hub.actions.steps?.() ?? {}),
  };
  const act = table[name];
  if (!act) return;
  if (onControl && (name.includes("Arrow") || (!pointed && (name === "Home" || name === "End")))) return;
  e.preventDefault();
  e.stopPropagation();
  act();
}
