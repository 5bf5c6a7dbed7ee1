// Sliders of the decoding. Each step goes to Python; the next only when that one has been answered.

import { button, h, opensIntoView } from "../dom";
import type { Hub } from "../hub";
import { networkName, say, shortName } from "../i18n";
import { info } from "../info";
import { Latest, type Model, Scope, floats } from "../model";
import { pitchName } from "../notes";
import { Slider } from "../slider";

type Values = Record<string, number | boolean>;

const EXPLAINED = new Set(["onset_threshold", "frame_threshold", "min_note_length", "energy_tolerance", "tidy_strength"]);
/** What a preset sets, in short. */
const sets = (v: Values) => `${Number(v.onset_threshold).toFixed(2)} / ${Number(v.frame_threshold).toFixed(2)} / ${Math.round(1000 * Number(v.min_note_length))} ms`;

export function mountThresholds(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const defaults: Values = model.get("defaults") ?? {};
  let wanted: Values = {};
  let lasting = false;
  const latest = new Latest<null>((_, turn) => {
    model.send({ do: "set", values: wanted, lasting, turn });
    wanted = {};
    lasting = false;
  });
  const change = (values: Values, last: boolean) => {
    Object.assign(wanted, values);
    lasting ||= last;
    hub.emit("threshold", values);
    latest.send(null);
  };
  scope.message((content) => {
    if (content.do === "done") latest.answer(content.turn);
    if (latest.idle) show();
  });

  const current: Values = { ...(model.get("values") ?? {}) };
  const slider = (name: string, options: { min: number; max: number; step: number; histogram?: boolean; format: (v: number) => string; passes?: "over" | "none" }) =>
    new Slider({
      label: t(name),
      hint: t(`hint_${name}`),
      aside: EXPLAINED.has(name) ? info(hub, name) : undefined,
      value: Number(current[name]),
      start: Number(defaults[name]),
      change: (value, last) => change({ [name]: value }, last),
      ...options,
    });
  const sliders: Record<string, Slider> = {
    onset_threshold: slider("onset_threshold", { min: 0.05, max: 0.95, step: 0.01, histogram: true, format: (v) => v.toFixed(2) }),
    frame_threshold: slider("frame_threshold", { min: 0.05, max: 0.95, step: 0.01, histogram: true, format: (v) => v.toFixed(2) }),
    min_note_length: slider("min_note_length", { min: 0.01, max: 0.5, step: 0.01, format: (v) => `${Math.round(v * 1000)} ms` }),
  };
  const presets: Record<string, Values> = model.get("presets") ?? {};
  const preset = h(
    "select",
    { class: "amt-select amt-preset", "aria-label": t("preset"), title: t("preset"), onchange: () => preset.value && change({ ...presets[preset.value], min_pitch: current.min_pitch, max_pitch: current.max_pitch }, true) },
    h("option", { value: "", hidden: true }, t("preset_own")),
    ...Object.keys(presets).map((name) => h("option", { value: name, title: sets(presets[name]) }, `${t(`preset_${name}`)}  ·  ${sets(presets[name])}`)),
  );
  // The list shows what each sets; closed there is room for a name.
  const chosen = h("span", { class: "amt-preset-name", "aria-hidden": "true" });
  hub.actions.thresholds = (values: Values) => change(values, true);
  const count = h("b", { class: "amt-count" });
  const auto = button({ icon: "wand", text: t("auto"), label: t("hint_auto"), class: "amt-small amt-auto", onclick: () => model.send({ do: "auto" }) });
  const reset = button({ text: t("reset"), class: "amt-small amt-reset", onclick: () => change(defaults, true) });
  const rest = h("p", { class: "amt-rest", role: "note" });
  element.append(
    h("h2", { class: "amt-unseen" }, t("thresholds")),
    rest,
    h("div", { class: "amt-presets" }, h("span", { class: "amt-preset-box" }, preset, chosen), auto, reset, info(hub, "presets")),
    sliders.onset_threshold.element,
  );

  const energy = slider("energy_tolerance", { min: 0, max: 0.5, step: 0.01, format: (v) => `${Math.round(v * 1000)} ms` });
  sliders.energy_tolerance = energy;
  const check = (name: string, rests = false) => {
    const box: HTMLInputElement = h("input", { type: "checkbox", onchange: () => change({ [name]: box.checked }, true) });
    scope.add(hub.on("threshold-values", (v: Values) => (box.checked = Boolean(v[name]))));
    box.checked = Boolean(current[name]);
    if (rests) resting.push(box);
    return h("label", { class: "amt-check", title: t(`hint_${name}`) }, box, t(name));
  };
  /** What does nothing to notes that a network or a file wrote. */
  const resting: (HTMLInputElement | HTMLSelectElement | HTMLButtonElement)[] = [];
  const pitches = (name: string, other: string, low: boolean) => {
    const select = h("select", {
      class: "amt-select",
      "aria-label": t("pitch_range"),
      onchange: () => {
        const value = Number(select.value);
        const bound = Number((model.get("values") ?? {})[other]);
        change({ [name]: value, [other]: low ? Math.max(value, bound) : Math.min(value, bound) }, true);
      },
    });
    for (let p = 21; p <= 108; p++) select.append(h("option", { value: String(p) }, pitchName(p)));
    select.value = String(current[name]);
    scope.add(hub.on("threshold-values", (v: Values) => (select.value = String(v[name]))));
    resting.push(select);
    return select;
  };
  // The clean-up: where there is no program (the static page) there is none.
  const tidy = "tidy_strength" in defaults ? slider("tidy_strength", { min: 0, max: 1, step: 0.05, format: (v) => (v ? `${Math.round(100 * v)} %` : t("tidy_off")) }) : null;
  if (tidy) {
    sliders.tidy_strength = tidy;
    element.append(tidy.element);
  }
  const rules = Object.keys(defaults).filter((name) => name.startsWith("tidy_") && name !== "tidy_strength");
  const ends = h(
    "select",
    { class: "amt-select amt-ends", "aria-label": t("ends"), title: t("hint_ends"), onchange: () => change({ ends: ends.value as unknown as number }, true) },
    ...["auto", "sound", "key"].map((name) => h("option", { value: name }, t(`ends_${name}`))),
  );
  scope.add(hub.on("threshold-values", (v: Values) => (ends.value = String(v.ends ?? "auto"))));
  const network = h("select", { class: "amt-select amt-network", onchange: () => model.send({ do: "model", value: network.value }) });
  const networks = h("div", { class: "amt-line amt-networks" }, h("label", { class: "amt-line" }, h("span", {}, t("network")), network), info(hub, "network"));
  scope.watch("network", (value) => {
    const names: string[] = value?.models ?? [];
    networks.hidden = !names.length;
    const brought = value?.brought ? [h("option", { value: "", disabled: true }, t("network_brought", { name: shortName(value.brought) }))] : [];
    network.replaceChildren(...brought, ...names.map((name) => h("option", { value: name }, networkName(hub, name, value?.writers))));
    network.value = value?.name ?? "";
  });
  const more = h(
    "details",
    { class: "amt-fold" },
    h("summary", {}, t("more"), count),
    energy.element,
    h(
      "div",
      { class: "amt-line" },
      h("span", {}, t("pitch_range")),
      pitches("min_pitch", "max_pitch", true),
      h("span", {}, "–"),
      pitches("max_pitch", "min_pitch", false),
      info(hub, "pitch_range"),
    ),
    h("div", { class: "amt-line" }, check("inferred_onsets", true), info(hub, "inferred_onsets")),
    networks,
    tidy ? h("div", { class: "amt-line" }, h("span", {}, t("ends")), ends, info(hub, "ends")) : null,
    rules.length ? h("div", { class: "amt-rules" }, h("span", {}, t("tidy_rules")), ...rules.map((name) => check(name))) : null,
  );
  opensIntoView(more);
  const split = h("div", { class: "amt-kinds-of-notes" });
  element.append(
    h("div", { class: "amt-line amt-found" }, split, h("span", { class: "amt-one-line" }, check("leftover_notes", true), info(hub, "leftover_notes"))),
    sliders.frame_threshold.element,
    sliders.min_note_length.element,
    more,
  );
  /** What the bars are about, and what they are not: notes without a start are counted apart. */
  const counts = () => {
    const [n, missed] = [Number(model.get("count") ?? 0), Number(model.get("missed") ?? 0)];
    count.textContent = n === 1 ? t("one_note") : t("notes_count", { n });
    if (model.get("resting")?.by) return split.replaceChildren(h("span", { class: "amt-solid" }, count.textContent ?? ""));
    split.replaceChildren(
      h("span", { class: "amt-solid" }, t("with_start", { n: n - missed })),
      missed ? h("span", { class: "amt-hollow" }, t("without_start", { n: missed })) : "",
    );
  };

  const show = () => {
    const values: Values = model.get("values") ?? {};
    if (!latest.idle) return;
    for (const [name, s] of Object.entries(sliders)) s.set(Number(values[name]));
    Object.assign(current, values);
    preset.value = Object.keys(presets).find((name) => Object.entries(presets[name]).every(([k, v]) => k.endsWith("pitch") || values[k] === v)) ?? "";
    chosen.textContent = t(`preset_${preset.value || "own"}`);
    hub.emit("threshold-values", values);
  };
  scope.watch("values", show);
  // Once the page has its new colours.
  scope.add(hub.on("prefs", () => requestAnimationFrame(() => Object.values(sliders).forEach((s) => s.draw()))));
  scope.watch("onset_histogram", (v) => sliders.onset_threshold.setHistogram(floats(v)));
  scope.watch("frame_histogram", (v) => sliders.frame_threshold.setHistogram(floats(v)));
  scope.watch("count", counts);
  scope.watch("missed", counts);
  resting.push(preset, auto, reset, ends);
  scope.watch("resting", (value) => {
    const on = Boolean(value?.by);
    rest.hidden = !on;
    rest.textContent = on ? t(value.network ? "resting_network" : "resting_file", { name: shortName(value.by) }) : "";
    for (const control of resting) control.disabled = on;
    for (const [name, s] of Object.entries(sliders)) if (name !== "tidy_strength") s.rest(on);
    counts();
  });
  return () => scope.end();
}
