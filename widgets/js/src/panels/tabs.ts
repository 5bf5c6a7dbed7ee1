// Chooses which of the parts under it shows; the others keep their state.

import { h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import type { Model } from "../model";

const TABS = ["timbres", "score", "map", "compare", "export"];

export function mountTabs(_model: Model, element: HTMLElement, hub: Hub): () => void {
  if (!hub.tab) hub.tab = TABS[0];
  const buttons = TABS.map((name) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        "data-tab": name,
        onclick: () => {
          hub.tab = name;
          hub.emit("tab");
        },
        onkeydown: (e: KeyboardEvent) => {
          const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
          if (!step) return;
          e.preventDefault();
          e.stopPropagation();
          const next = buttons[(buttons.findIndex((b) => b.dataset.tab === name) + step + TABS.length) % TABS.length];
          next.focus();
          next.click();
        },
      },
      say(hub, `tab_${name}`),
    ),
  );
  element.setAttribute("role", "tablist");
  element.append(...buttons);
  const show = () => {
    for (const b of buttons) {
      b.setAttribute("aria-selected", String(b.dataset.tab === hub.tab));
      b.tabIndex = b.dataset.tab === hub.tab ? 0 : -1;
    }
  };
  show();
  return hub.on("tab", show);
}

/** A part that stands under tabs hides while another is chosen; alone in a notebook it always shows. */
export function followTab(hub: Hub, name: string, element: HTMLElement): () => void {
  const show = () => {
    const under = element.closest(".amtsep-side");
    const hidden = Boolean(under && TABS.includes(name) && hub.tab && hub.tab !== name);
    element.style.display = hidden ? "none" : "";
    if (!hidden) hub.emit(`shown-${name}`);
  };
  requestAnimationFrame(show);
  return hub.on("tab", show);
}
