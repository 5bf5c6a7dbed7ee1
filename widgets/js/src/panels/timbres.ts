// How many timbres, and a row a track.

import { button, fill, h, icon } from "../dom";
import { programs } from "../gm";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { Latest, type Model, Scope } from "../model";
import { trackColor, trackMark } from "../palette";
import { Slider } from "../slider";

interface Row {
  index: number;
  name: string;
  given: boolean;
  program: number;
  color: number;
  count: number;
}

export function mountTimbres(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  let lasting = true;
  const latest = new Latest<number>((value, turn) => model.send({ do: "timbres", value, lasting, turn }));
  scope.message((content) => {
    if (content.do === "done") latest.answer(content.turn);
    if (content.do === "tracked") hub.mixPending = Math.max(0, hub.mixPending - 1);
  });

  const about = () => model.get("about") ?? {};
  const slider = new Slider({
    label: t("timbres"),
    hint: t("hint_timbres"),
    min: 1,
    max: 8,
    step: 1,
    value: 1,
    format: (v) => String(Math.round(v)),
    change: (value, last) => {
      lasting = last;
      latest.send(value);
    },
  });
  const auto = button({ icon: "wand", text: t("auto"), label: t("hint_auto_timbres"), class: "amt-small amt-auto-timbres", "aria-pressed": "false", onclick: () => {
    lasting = true;
    latest.send(0);
  } });
  const sure = h("div", { class: "amt-sure" });
  const list = h("div", { class: "amt-tracks", role: "list" });
  const foot = h("div", { class: "amt-line amt-teach" });
  const method = h("select", { class: "amt-program amt-method", "aria-label": t("method"), title: t("method"), onchange: () => model.send({ do: "method", value: method.value }) });
  for (const m of about().methods ?? []) method.append(h("option", { value: m }, t(`method_${m.replaceAll("-", "_")}`)));
  element.append(h("div", { class: "amt-how-many" }, slider.element, auto), sure, list, foot);

  let drawn = "";
  const set = (row: Row, values: Record<string, unknown>) => {
    hub.mixPending += 1;
    model.send({ do: "track", index: row.index, values });
  };
  const show = () => {
    const rows: Row[] = model.get("rows") ?? [];
    const key = JSON.stringify([rows, hub.prefs, hub.selection.size > 0]);
    if (key === drawn || list.querySelector("input:focus")) {
      updateCounts(rows);
      return;
    }
    drawn = key;
    list.replaceChildren(...rows.map((row) => rowElement(row, rows)));
    fill(
      foot,
      hub.selection.size ? h("span", {}, t("assign_hint", { n: hub.selection.size })) : h("span", {}, t(about().available || !hub.notes.n ? "teach_hint" : "no_embedding")),
      model.get("edited") ? button({ text: t("drop_edits"), class: "amt-small amt-drop", onclick: () => model.send({ do: "drop_edits" }) }) : null,
    );
    mixes();
  };
  const updateCounts = (rows: Row[]) => {
    for (const row of rows) {
      const cell = list.querySelector(`[data-track="${row.index}"] .amt-number`);
      if (cell) cell.textContent = String(row.count);
    }
  };
  const rowElement = (row: Row, rows: Row[]): HTMLElement => {
    const color = trackColor(row.color, hub.prefs.theme);
    const name = h("input", {
      class: "amt-name",
      value: row.given ? row.name : t("timbre_n", { n: row.index + 1 }),
      "aria-label": t("track_name"),
      spellcheck: "false",
      onchange: () => set(row, { name: name.value === t("timbre_n", { n: row.index + 1 }) ? "" : name.value }),
      onkeydown: (e: KeyboardEvent) => {
        e.stopPropagation();
        if (e.key === "Enter" || e.key === "Escape") name.blur();
      },
    });
    name.addEventListener("blur", () => requestAnimationFrame(show));
    const program = h("select", { class: "amt-program", "aria-label": t("gm_sound"), onchange: () => set(row, { program: Number(program.value) }) });
    for (const [family, names] of programs(hub.prefs.language)) {
      const group = h("optgroup", { label: family });
      for (const [number, label] of names) group.append(h("option", { value: String(number) }, label));
      program.append(group);
    }
    program.value = String(row.program);
    const toggle = (what: "mute" | "solo" | "hidden", label: string, content: Node | string) =>
      button(
        {
          class: `amt-toggle amt-${what}`,
          label,
          onclick: () => {
            const value = !hub.mix[row.index]?.[what];
            hub.setMix(row.index, { [what]: value });
            set(row, { [what]: value });
          },
        },
        content,
      );
    const volume = h("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.02",
      class: "amt-range amt-track-volume",
      "aria-label": t("volume"),
      oninput: () => hub.setMix(row.index, { volume: Number(volume.value) }),
      onchange: () => set(row, { volume: Number(volume.value) }),
    });
    const others = rows.filter((r) => r.index !== row.index);
    const merge = h(
      "select",
      { class: "amt-merge", "aria-label": t("merge"), title: t("merge"), onchange: () => {
        const into = merge.value;
        merge.value = "";
        if (into === "save") hub.actions.save?.("midi", row.index);
        else if (into === "select") hub.select([...hub.notes.track.keys()].filter((i) => hub.notes.track[i] === row.index));
        else if (into) model.send({ do: "merge", index: row.index, into: Number(into) });
      } },
      h("option", { value: "" }, "⋯"),
      h("option", { value: "select" }, t("select_track")),
      h("option", { value: "save" }, t("save_track")),
      ...others.map((r) => h("option", { value: String(r.index) }, t("merge_into", { name: r.given ? r.name : t("timbre_n", { n: r.index + 1 }) }))),
    );
    return h(
      "div",
      { class: "amt-track", role: "listitem", "data-track": String(row.index), style: `--track:${color}` },
      button({ class: "amt-swatch", label: t("assign_to", { key: row.index + 1 }), onclick: () => hub.actions.assign?.(row.index) }, trackMark(row.color)),
      name,
      h("span", { class: "amt-number" }, String(row.count)),
      toggle("mute", t("mute"), "M"),
      toggle("solo", t("solo"), "S"),
      toggle("hidden", t("hide"), icon("eye", 15)),
      h("span", { class: "amt-second" }, program, volume, merge),
    );
  };
  const mixes = () => {
    for (const element of list.querySelectorAll<HTMLElement>("[data-track]")) {
      const mix = hub.mix[Number(element.dataset.track)];
      if (!mix) continue;
      for (const what of ["mute", "solo", "hidden"] as const) {
        element.querySelector(`.amt-${what}`)?.setAttribute("aria-pressed", String(mix[what]));
      }
      const volume = element.querySelector<HTMLInputElement>(".amt-track-volume");
      if (volume) volume.value = String(mix.volume);
      element.classList.toggle("amt-quiet", !hub.audible(Number(element.dataset.track)));
    }
  };
  scope.watch("about", (a) => {
    element.classList.toggle("amt-no-timbres", !a?.available);
    slider.set(a?.wanted || a?.found || 1);
    auto.setAttribute("aria-pressed", String(a?.available && !a?.wanted));
    auto.disabled = !a?.available;
    const p: number[] = a?.probability ?? [];
    const top = Math.max(...p, 1e-9);
    drawn = "";
    show();
    method.value = a?.method ?? "";
    sure.hidden = !p.length;
    fill(
      sure,
      ...p.map((v, i) => h("div", { class: i + 1 === a.found ? "amt-best" : "", title: `${i + 1}: ${Math.round(v * 100)} %` }, h("i", { style: `height:${Math.max(3, (v / top) * 22)}px` }), h("span", {}, String(i + 1)))),
      p.length ? h("em", {}, t("sure", { n: a.found, percent: Math.round((p[a.found - 1] ?? 0) * 100) })) : null,
      p.length ? method : null,
    );
  });
  scope.watch("rows", show);
  scope.watch("edited", () => {
    drawn = "";
    show();
  });
  scope.add(hub.on("selection", show));
  scope.add(hub.on("mix", mixes));
  scope.add(hub.on("tracks", mixes));
  return () => scope.end();
}
