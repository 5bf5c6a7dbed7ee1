// Chooses which of the parts under it shows; the others keep their state.

import { h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import type { Model } from "../model";

const TABS = ["timbres", "score", "map", "compare", "export"];
/** On a small page the thresholds are a panel like the others. */
const FIRST = "thresholds";

const idOf = (hub: Hub, what: "tab" | "panel", name: string) => `amt-${what}-${hub.id.slice(0, 8)}-${name}`;

export function mountTabs(model: Model, element: HTMLElement, hub: Hub): () => void {
  // The static page has fewer of them.
  const tabs: string[] = model.get("tabs") ?? TABS;
  if (!hub.tab) {
    hub.tab = tabs[0];
    // Panels that came before the tabs hide now.
    hub.emit("tab");
  }
  const names = [FIRST, ...tabs];
  const small = () => hub.size === "small";
  const choose = (name: string) => {
    // A second tap on the open panel's name closes the sheet.
    hub.sheet = !(small() && hub.sheet && hub.tab === name);
    hub.tab = name;
    hub.emit("tab");
  };
  const buttons = names.map((name) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: idOf(hub, "tab", name),
        "aria-controls": idOf(hub, "panel", name),
        "data-tab": name,
        class: name === FIRST ? "amt-only-small" : "",
        onclick: () => choose(name),
        onkeydown: (e: KeyboardEvent) => {
          const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
          if (!step) return;
          e.preventDefault();
          e.stopPropagation();
          const there = buttons.filter((b) => small() || b.dataset.tab !== FIRST);
          const next = there[(there.findIndex((b) => b.dataset.tab === name) + step + there.length) % there.length];
          next.focus();
          hub.sheet = false;
          choose(next.dataset.tab ?? "");
        },
      },
      say(hub, `tab_${name}`),
    ),
  );
  element.setAttribute("role", "tablist");
  element.setAttribute("aria-label", say(hub, "panels"));
  element.append(...buttons);
  const show = () => {
    if (!small() && hub.tab === FIRST) {
      hub.tab = tabs[0];
      return hub.emit("tab");
    }
    for (const b of buttons) {
      const on = b.dataset.tab === hub.tab && (!small() || hub.sheet);
      b.setAttribute("aria-selected", String(on));
      b.tabIndex = on || (b.dataset.tab === hub.tab && !on) ? 0 : -1;
    }
    element.closest(".amtsep-app")?.classList.toggle("amt-sheet-open", hub.sheet);
  };
  show();
  const offs = [hub.on("tab", show), hub.on("size", () => hub.emit("tab"))];
  return () => offs.forEach((off) => off());
}

/** So long, some five seconds, a panel may take to come to its place. */
const SETTLE_FRAMES = 300;

/** A part that stands under tabs hides while another is chosen; alone in a notebook it always shows. */
export function followTab(hub: Hub, name: string, element: HTMLElement): () => void {
  const show = () => {
    const under = element.closest(".amtsep-side");
    const chosen = name === FIRST ? hub.size === "small" : TABS.includes(name);
    const hidden = Boolean(under && chosen && hub.tab && hub.tab !== name);
    if (under && (chosen || TABS.includes(name))) {
      element.id = idOf(hub, "panel", name);
      element.setAttribute("role", "tabpanel");
      element.setAttribute("aria-labelledby", idOf(hub, "tab", name));
    } else element.removeAttribute("role");
    element.style.display = hidden ? "none" : "";
    if (!hidden) hub.emit(`shown-${name}`);
  };
  // Where it stands is known once it is on the page, and beside the others, which may each take more than a frame; a
  // panel that stands alone is shown meanwhile.
  let frame = 0;
  let shown = false;
  const settle = (left: number) => {
    const placed = Boolean(element.closest(".amtsep-side"));
    if (element.isConnected && (placed || !shown)) {
      show();
      shown = true;
    }
    if (!placed && left) frame = requestAnimationFrame(() => settle(element.isConnected ? left - 1 : left));
  };
  if (TABS.includes(name)) element.style.display = "none";
  settle(SETTLE_FRAMES);
  const off = hub.on("tab", show);
  return () => {
    cancelAnimationFrame(frame);
    off();
  };
}
