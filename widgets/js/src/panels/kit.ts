// The drums under the tracks: whether they are listened for, from which height a stroke counts, how they sound and show.

import { h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { info } from "../info";
import { Latest, type Model, type Scope } from "../model";
import { Slider } from "../slider";
import { mixer } from "./mixer";

const KINDS = ["auto", "on", "off"];

export function kitElement(model: Model, scope: Scope, hub: Hub): HTMLElement {
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const name = t("drums");
  const set = (values: Record<string, unknown>) => {
    hub.mixPending += 1;
    model.send({ do: "kit", values });
  };
  let lasting = true;
  const latest = new Latest<number>((threshold, turn) => model.send({ do: "kit", values: { threshold }, lasting, turn }));
  scope.message((content) => {
    if (content.do === "kit_done") latest.answer(content.turn);
  });
  const when = h(
    "select",
    { class: "amt-select amt-drums-when", "aria-label": name, title: t("hint_drums"), onchange: () => set({ when: when.value }) },
    ...KINDS.map((kind) => h("option", { value: kind }, t(`drums_${kind}`))),
  );
  const number = h("span", { class: "amt-number" });
  const mix = mixer(hub, name, () => hub.kit, (values) => hub.setKit(values), set);
  const threshold = new Slider({
    label: t("drum_threshold"),
    hint: t("hint_drum_threshold"),
    min: 0.05,
    max: 0.95,
    step: 0.01,
    value: 0.5,
    start: Number(model.get("kit")?.start ?? 0.5),
    format: (v) => v.toFixed(2),
    change: (value, last) => {
      lasting = last;
      latest.send(value);
    },
  });
  const none = h("span", { class: "amt-dim" });
  const more = h(
    "select",
    {
      class: "amt-merge",
      "aria-label": t("merge", { name }),
      title: t("merge", { name }),
      onchange: () => {
        const wanted = more.value;
        more.value = "";
        if (wanted === "save") hub.actions.save?.("midi", "drums");
        else if (wanted) hub.selectStrokes(Array.from({ length: hub.strokes.n }, (_, i) => i));
      },
    },
    h("option", { value: "" }, "⋯"),
    h("option", { value: "select" }, t("select_strokes")),
    h("option", { value: "save" }, t("save_track")),
  );
  const element = h(
    "div",
    { class: "amt-track amt-kit", role: "group", "aria-label": name },
    h("span", { class: "amt-kit-mark", "aria-hidden": "true" }),
    h("span", { class: "amt-line amt-kit-name" }, h("b", {}, name), info(hub, "drums")),
    number,
    ...mix.buttons,
    h("span", { class: "amt-second" }, when, mix.volume, more),
    none,
    threshold.element,
  );
  const mixes = () => {
    mix.show(hub.kit);
    element.classList.toggle("amt-quiet", !hub.kitAudible);
  };
  scope.watch("kit", (kit) => {
    // The static page hears no drums.
    element.hidden = !kit?.when;
    when.value = kit?.when ?? "off";
    const on = Boolean(kit?.listened) && kit?.when !== "off";
    const there = on && kit.count > 0;
    number.textContent = there ? String(kit.count) : "";
    for (const made of [...mix.buttons, mix.volume, more]) made.hidden = !there;
    // A network that writes its strokes leaves no threshold to set.
    threshold.element.hidden = kit?.written || (!there && !(on && kit.when === "on"));
    none.hidden = there || !on;
    none.textContent = t("no_drums");
    if (latest.idle) threshold.set(Number(kit?.threshold ?? 0.5));
  });
  scope.add(hub.on("mix", mixes));
  scope.add(hub.on("tracks", mixes));
  mixes();
  return element;
}
