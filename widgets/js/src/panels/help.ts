// The sheet of keys and gestures.

import { button, h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";

const KEYS: [string, string][] = [
  ["Space", "key_play"],
  ["← →", "key_seek"],
  ["Home  End", "key_ends"],
  ["L", "key_loop"],
  ["M   B   P", "key_metronome"],
  ["+  −  0", "key_zoom"],
  ["Ctrl A", "key_all"],
  ["1 … 8", "key_assign"],
  ["↑ ↓  (Shift)", "key_pitch"],
  ["← →", "key_time"],
  ["Alt ← →", "key_length"],
  ["Alt ↑ ↓", "key_loud"],
  ["Ctrl C X V D", "key_copy"],
  ["A", "key_add"],
  ["D", "key_drums"],
  ["Delete", "key_delete"],
  ["Q", "key_quantise"],
  ["S   J", "key_split"],
  ["Ctrl Z   Ctrl Y", "key_undo"],
  ["Ctrl S", "key_save"],
  ["T", "key_theme"],
];
const HANDS = ["hand_wheel", "hand_touch", "hand_pan", "hand_ruler", "hand_bars", "hand_band", "hand_move", "hand_add", "hand_drums", "hand_double"];

export function openHelp(hub: Hub, host: HTMLElement): void {
  const t = (key: string) => say(hub, key);
  const close = () => {
    sheet.remove();
    delete hub.actions.close;
  };
  if (hub.actions.close) {
    hub.actions.close();
    return;
  }
  const sheet = h(
    "div",
    { class: "amt-sheet", role: "dialog", "aria-modal": "true", "aria-label": t("help"), onclick: (e: MouseEvent) => e.target === sheet && close() },
    h(
      "div",
      { class: "amt-paper" },
      h("header", {}, h("h2", {}, t("help")), button({ icon: "close", label: t("dismiss"), class: "amt-plain", onclick: close })),
      h(
        "div",
        { class: "amt-columns" },
        h("dl", {}, ...KEYS.flatMap(([key, word]) => [h("dt", {}, key), h("dd", {}, t(word))])),
        h(
          "label",
          { class: "amt-check amt-single-keys" },
          h("input", { type: "checkbox", checked: hub.prefs.keys !== "off", onchange: (e: Event) => hub.prefer({ keys: (e.target as HTMLInputElement).checked ? "on" : "off" }) }),
          t("single_keys"),
        ),
        h("ul", {}, ...HANDS.map((word) => h("li", {}, t(word)))),
      ),
      h("p", { class: "amt-about" }, t("about")),
    ),
  );
  host.append(sheet);
  sheet.querySelector("button")?.focus();
  hub.actions.close = () => {
    close();
    return true;
  };
}
