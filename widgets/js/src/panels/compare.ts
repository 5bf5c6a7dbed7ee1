// Against a reference MIDI: scores that change with the sliders, and the F1 of all other thresholds.

import { button, fill, h } from "../dom";
import type { Hub } from "../hub";
import { networkName, say, shortName } from "../i18n";
import { info } from "../info";
import { type Model, Scope, octets } from "../model";

export function mountCompare(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const picker = h("input", { type: "file", accept: ".mid,.midi", hidden: true, class: "amt-reference-file" });
  const body = h("div", { class: "amt-compare-body" });
  element.append(picker, body);
  scope.listen(picker, "change", () => {
    const file = picker.files?.[0];
    if (file) hub.actions.send?.(file, file.name, true);
    picker.value = "";
  });
  const heat = h("canvas", { class: "amt-heat", width: 240, height: 240, role: "img", "aria-label": t("heat"), title: t("heat_hint") });
  let here = { onset_threshold: 0.5, frame_threshold: 0.3 };

  const percent = (v: number) => (v * 100).toFixed(1);
  /** Networks whose notes can be laid under these, as a reference is. */
  const second = () => {
    const names: string[] = model.get("about")?.networks ?? [];
    if (!names.length) return null;
    const select = h(
      "select",
      {
        class: "amt-select amt-second-network",
        "aria-label": t("second_network"),
        onchange: () => {
          if (select.value) model.send({ do: "network", value: select.value });
          select.value = "";
        },
      },
      h("option", { value: "" }, t("second_network")),
      ...names.map((name) => h("option", { value: name }, networkName(hub, name, model.get("about")?.writers))),
    );
    return select;
  };
  const show = () => {
    const scores = model.get("scores") ?? {};
    const about = model.get("about") ?? {};
    if (!scores.name) {
      fill(
        body,
        h("p", {}, t("compare_hint"), info(hub, "compare")),
        button({ icon: "open", text: t("choose_reference"), class: "amt-choose-reference", onclick: () => picker.click() }),
        model.get("truth") ? button({ icon: "note", text: t("use_truth"), class: "amt-use-truth", onclick: () => model.send({ do: "truth" }) }) : null,
        second(),
      );
      return;
    }
    const row = (label: string, s: { precision: number; recall: number; f1: number } | null) =>
      s ? h("tr", {}, h("th", {}, label), h("td", {}, percent(s.precision)), h("td", {}, percent(s.recall)), h("td", { class: "amt-f1" }, percent(s.f1))) : null;
    const wanted = model.get("heat")?.f1;
    const heatButton = about.written ? null : button({ text: t(model.get("heat")?.working ? "heat_working" : "heat"), class: "amt-small amt-make-heat", disabled: Boolean(model.get("heat")?.working), onclick: () => model.send({ do: "heat" }) });
    fill(
        body,
      h("div", { class: "amt-line amt-reference" }, h("b", { class: "amt-text" }, shortName(scores.name)), button({ icon: "close", label: t("clear_reference"), class: "amt-plain", onclick: () => model.send({ do: "clear" }) })),
      h("table", { class: "amt-scores" }, h("tr", {}, h("th", {}), h("th", {}, t("precision")), h("th", {}, t("recall")), h("th", {}, "F1")), row(t("score_onset"), scores.onset), row(t("score_offset"), scores.offset), row(t("score_frame"), scores.frame), row(t("score_separated"), scores.separated)),
      h("p", { class: "amt-legend" }, t(scores.heard ? "verdict_heard" : "verdict", { ...scores, name: shortName(scores.name) })),
      scores.heard ? h("p", { class: "amt-legend" }, t("neither_is_true")) : null,
      scores.behind ? h("p", { class: "amt-legend amt-behind" }, t("heard_behind", { name: shortName(scores.name) }), " ", button({ text: t("hear_again"), class: "amt-small amt-hear-again", onclick: () => model.send({ do: "network", value: scores.name }) })) : null,
      second(),
      about.open && !scores.heard ? button({ text: t("take_notes"), title: t("hint_take_notes"), class: "amt-small amt-take", onclick: () => model.send({ do: "take" }) }) : null,
      wanted ? h("div", { class: "amt-heat-box" }, heat, h("span", { class: "amt-heat-x" }, t("onset_threshold")), h("span", { class: "amt-heat-y" }, t("frame_threshold"))) : heatButton,
    );
    if (wanted) draw();
  };
  const draw = () => {
    const data = model.get("heat") ?? {};
    if (!data.f1) return;
    const n = data.grid.length;
    const g = heat.getContext("2d") as CanvasRenderingContext2D;
    const size = heat.width / n;
    const low = Math.min(...data.f1.flat());
    const high = Math.max(...data.f1.flat());
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) {
        const v = (data.f1[y][x] - low) / (high - low + 1e-9);
        g.fillStyle = `hsl(${250 - 205 * v} ${50 + 35 * v}% ${18 + 45 * v}%)`;
        g.fillRect(x * size, heat.height - (y + 1) * size, size + 0.5, size + 0.5);
      }
    }
    const step = data.grid[1] - data.grid[0];
    const x = ((here.onset_threshold - data.grid[0]) / step + 0.5) * size;
    const y = heat.height - ((here.frame_threshold - data.grid[0]) / step + 0.5) * size;
    g.strokeStyle = "#fff";
    g.lineWidth = 4;
    g.beginPath();
    g.arc(x, y, 8, 0, 7);
    g.stroke();
    g.strokeStyle = "#000";
    g.lineWidth = 2;
    g.stroke();
    const flat = data.f1.flat();
    const best = flat.indexOf(high);
    g.fillStyle = "#000";
    g.font = "bold 15px system-ui, sans-serif";
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.fillText("★", ((best % n) + 0.5) * size, heat.height - (Math.floor(best / n) + 0.5) * size);
  };
  scope.listen(heat, "click", (e: MouseEvent) => {
    const data = model.get("heat") ?? {};
    const box = heat.getBoundingClientRect();
    const n = data.grid.length;
    const pick = (part: number) => data.grid[Math.min(n - 1, Math.max(0, Math.floor(part * n)))];
    hub.actions.thresholds?.({ onset_threshold: pick((e.clientX - box.left) / box.width), frame_threshold: pick(1 - (e.clientY - box.top) / box.height) });
  });
  scope.watch("scores", show);
  scope.watch("truth", show);
  scope.watch("about", show);
  scope.watch("heat", show);
  scope.add(
    hub.on("threshold-values", (v: any) => {
      here = v;
      draw();
    }),
  );
  const verdict = () => {
    const data = octets(model.get("verdict"));
    const n = hub.notes.n;
    hub.emit("verdict", data.length && data.length >= n ? { hit: data.slice(0, n), missed: data.slice(n) } : null);
  };
  scope.watch("verdict", verdict);
  scope.add(hub.on("notes", verdict));
  return () => scope.end();
}
