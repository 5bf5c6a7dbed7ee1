// How many timbres, and a row a track.

import { button, fill, h, opensIntoView } from "../dom";
import { programs } from "../gm";
import type { Hub } from "../hub";
import { say, shortName, sounds, unnamed } from "../i18n";
import { info } from "../info";
import { Latest, type Model, Scope } from "../model";
import { kitElement } from "./kit";
import { type Mixer, mixer } from "./mixer";
import { MARKS, markColor, trackColor, trackMark } from "../palette";
import { Slider } from "../slider";

interface Row {
  index: number;
  /** In the list: what it is called where nobody has named it, and the key that assigns to it. */
  place: number;
  name: string;
  given: boolean;
  program: number;
  /** Whether a network meant that sound. */
  instrument?: boolean;
  color: number;
  count: number;
  /** General MIDI sounds that it may be. */
  guess?: number[];
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
    aside: info(hub, "timbres"),
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
  // The first choice: the number found, one instrument, or a band (the number found, of two and more).
  const KINDS: [string, number, string][] = [
    ["auto", 0, "amt-auto-timbres"],
    ["one", 1, "amt-one-timbre"],
    ["band", -2, "amt-band"],
  ];
  const choose = (value: number) => {
    lasting = true;
    latest.send(value);
  };
  const kinds = KINDS.map(([name, value, kind]) =>
    button({
      text: t(`kind_${name}`),
      title: t(`hint_kind_${name}`),
      role: "radio",
      "aria-checked": "false",
      class: `amt-small ${kind}`,
      onclick: () => choose(value),
      onkeydown: (e: KeyboardEvent) => {
        const step = ["ArrowRight", "ArrowDown"].includes(e.key) ? 1 : ["ArrowLeft", "ArrowUp"].includes(e.key) ? -1 : 0;
        if (!step) return;
        e.preventDefault();
        e.stopPropagation();
        const next = (KINDS.findIndex(([n]) => n === name) + step + KINDS.length) % KINDS.length;
        kinds[next].focus();
        choose(KINDS[next][1]);
      },
    }),
  );
  // Of notes that a network or a file wrote: the tracks that they came in, or by what is heard under them.
  const ways: HTMLButtonElement[] = ["writer", "sound"].map((value) =>
    button({
      text: t(`by_${value}`),
      title: t(`hint_by_${value}`),
      role: "radio",
      "aria-checked": "false",
      class: `amt-small amt-by-${value}`,
      onclick: () => model.send({ do: "sort", value }),
      onkeydown: (e: KeyboardEvent) => {
        const other = ways.find((way) => way !== e.currentTarget);
        if (!e.key.startsWith("Arrow") || !other || other.disabled) return;
        e.preventDefault();
        e.stopPropagation();
        other.focus();
        other.click();
      },
    }),
  );
  const sorting = h("div", { class: "amt-line amt-sorting" }, h("div", { class: "amt-kinds", role: "radiogroup", "aria-label": t("sorted_by") }, ...ways), info(hub, "sorted_by"));
  const sure = h("div", { class: "amt-sure" });
  const list = h("div", { class: "amt-tracks", role: "list" });
  const foot = h("div", { class: "amt-line amt-teach" });
  const method = h("select", { class: "amt-select amt-method", onchange: () => model.send({ do: "method", value: method.value }) });
  for (const m of about().methods ?? []) method.append(h("option", { value: m }, t(`method_${m.replaceAll("-", "_")}`)));
  const how = h("details", { class: "amt-fold" }, h("summary", {}, t("more")), h("label", { class: "amt-line" }, h("span", {}, t("method")), method), info(hub, "method"));
  opensIntoView(how);
  element.append(sorting, h("div", { class: "amt-kinds", role: "radiogroup", "aria-label": t("kinds") }, ...kinds), h("div", { class: "amt-how-many" }, slider.element), sure, list, kitElement(model, scope, hub), foot, how);

  let drawn = "";
  const mixers = new Map<number, Mixer>();
  const set = (row: Row, values: Record<string, unknown>) => {
    hub.mixPending += 1;
    model.send({ do: "track", index: row.index, values });
  };
  const show = () => {
    const rows: Row[] = model.get("rows") ?? [];
    const key = JSON.stringify([rows, hub.prefs, hub.selection.size > 0]);
    // Neither a name that is being typed nor the colours that are being looked at are taken from under the hand.
    if (key === drawn || list.querySelector("input:focus, .amt-colours")) {
      updateCounts(rows);
      return;
    }
    drawn = key;
    list.replaceChildren(...rows.map((row) => rowElement(row, rows)));
    fill(
      foot,
      hub.selection.size ? h("span", {}, t("assign_hint", { n: hub.selection.size })) : h("span", {}, t(hint(), { name: shortName(about().writer) })),
      about().available && about().by_hand ? button({ text: t("sort_by_hand"), title: t("hint_sort_by_hand"), class: "amt-small amt-sort-by-hand", onclick: () => model.send({ do: "sort_hand_made" }) }) : null,
      model.get("edited") ? button({ text: t("drop_edits"), class: "amt-small amt-drop", onclick: () => model.send({ do: "drop_edits" }) }) : null,
    );
    mixes();
  };
  const hint = () => {
    if (!hub.duration) return "teach_hint";
    if (!about().heard) return "nothing_heard";
    if (!about().available) return "no_embedding";
    return about().writer && about().sorted_by === "writer" ? "came_in_tracks" : "teach_hint";
  };
  const called = (row: Row) => (row.given ? row.name : unnamed(hub, row));
  /** The mark of a track: puts the selected notes there, or, with none selected, chooses another colour. */
  const swatch = (row: Row, color: string) => {
    const label = hub.selection.size ? t("assign_to", { key: row.place + 1, name: called(row) }) : t("recolour", { name: called(row) });
    const made = button({ class: "amt-swatch", label, style: `color:${markColor(color)}` }, trackMark(row.color));
    made.addEventListener("click", () => {
      if (hub.selection.size) return hub.actions.assign?.(row.index);
      return colours(row, made);
    });
    return made;
  };
  const colours = (row: Row, beside: HTMLElement) => {
    list.querySelector(".amt-colours")?.remove();
    let open = true;
    const close = (back = false) => {
      if (!open) return;
      open = false;
      sheet.remove();
      show();
      if (back) (list.querySelector(`[data-track="${row.index}"] .amt-swatch`) as HTMLElement | null)?.focus();
    };
    const sheet = h(
      "div",
      {
        class: "amt-colours",
        role: "group",
        "aria-label": t("recolour", { name: called(row) }),
        onkeydown: (e: KeyboardEvent) => {
          const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
          if (e.key === "Escape") close(true);
          else if (step) {
            const all = [...sheet.querySelectorAll("button")];
            all[(all.indexOf(document.activeElement as HTMLButtonElement) + step + all.length) % all.length].focus();
          } else return;
          e.preventDefault();
          e.stopPropagation();
        },
      },
      ...MARKS.map((mark, i) => {
        const shade = trackColor(i, hub.prefs.theme);
        return button(
          {
            class: "amt-swatch",
            label: t(`colour_${i}`),
            "aria-pressed": String(row.color % MARKS.length === i),
            "data-colour": String(i),
            style: `background:${shade};border-color:${shade};color:${markColor(shade)}`,
            onclick: () => {
              set(row, { color: i });
              close(true);
            },
          },
          mark,
        );
      }),
    );
    beside.closest(".amt-track")?.append(sheet);
    (sheet.querySelector("[aria-pressed=true]") as HTMLElement | null)?.focus();
    sheet.addEventListener("focusout", (e) => {
      if (!sheet.contains(e.relatedTarget as Node)) close();
    });
  };
  const updateCounts = (rows: Row[]) => {
    for (const row of rows) {
      const cell = list.querySelector(`[data-track="${row.index}"] .amt-number`);
      if (cell) cell.textContent = String(row.count);
    }
  };
  const rowElement = (row: Row, rows: Row[]): HTMLElement => {
    const color = trackColor(row.color, hub.prefs.theme);
    const mine = { name: called(row) };
    const name = h("input", {
      class: "amt-name",
      value: called(row),
      "aria-label": t("track_name", { name: called(row) }),
      spellcheck: "false",
      onchange: () => set(row, { name: name.value === unnamed(hub, row) ? "" : name.value }),
      onkeydown: (e: KeyboardEvent) => {
        e.stopPropagation();
        if (e.key === "Enter" || e.key === "Escape") name.blur();
      },
    });
    name.addEventListener("blur", () => requestAnimationFrame(show));
    const program = h("select", { class: "amt-program", "aria-label": t("gm_sound", mine), onchange: () => {
      const chosen = program.selectedOptions[0];
      // A guess that is taken names the track, too.
      const name = chosen?.dataset.guess && !row.given ? { name: chosen.dataset.guess } : {};
      set(row, { program: Number(program.value), ...name });
    } });
    const families = programs(sounds(hub.prefs.language));
    const label = (number: number) => families.flatMap(([, names]) => names).find(([n]) => n === number)?.[1] ?? "";
    if (row.guess?.length) {
      const group = h("optgroup", { label: t("guess") });
      for (const number of row.guess) group.append(h("option", { value: String(number), "data-guess": label(number) }, t("guess_of", { name: label(number) })));
      program.append(group);
    }
    for (const [family, names] of families) {
      const group = h("optgroup", { label: family });
      for (const [number, label] of names) group.append(h("option", { value: String(number) }, label));
      program.append(group);
    }
    const own = [...program.options].filter((o) => !o.dataset.guess && o.value === String(row.program))[0];
    if (own) own.selected = true;
    const mix = mixer(hub, called(row), () => hub.mix[row.index], (values) => hub.setMix(row.index, values), (values) => set(row, values));
    mixers.set(row.index, mix);
    const others = rows.filter((r) => r.index !== row.index);
    const merge = h(
      "select",
      { class: "amt-merge", "aria-label": t("merge", mine), title: t("merge", mine), onchange: () => {
        const into = merge.value;
        merge.value = "";
        if (into === "save") hub.actions.save?.("midi", row.index);
        else if (into === "select") hub.select([...hub.notes.track.keys()].filter((i) => hub.notes.track[i] === row.index));
        else if (into) model.send({ do: "merge", index: row.index, into: Number(into) });
      } },
      h("option", { value: "" }, "⋯"),
      h("option", { value: "select" }, t("select_track")),
      h("option", { value: "save" }, t("save_track")),
      ...others.map((r) => h("option", { value: String(r.index) }, t("merge_into", { name: called(r) }))),
    );
    return h(
      "div",
      { class: "amt-track", role: "listitem", "data-track": String(row.index), style: `--track:${color}` },
      swatch(row, color),
      name,
      h("span", { class: "amt-number" }, String(row.count)),
      ...mix.buttons,
      h("span", { class: "amt-second" }, program, mix.volume, merge),
      row.guess?.length && !row.given
        ? button({
            class: "amt-link amt-guess",
            label: t("guess_take", { name: label(row.guess[0]), track: called(row) }),
            onclick: () => set(row, { program: row.guess?.[0], name: label(row.guess?.[0] ?? 0) }),
          }, t("guess_of", { name: label(row.guess[0]) }))
        : null,
    );
  };
  const mixes = () => {
    for (const element of list.querySelectorAll<HTMLElement>("[data-track]")) {
      const mix = hub.mix[Number(element.dataset.track)];
      if (!mix) continue;
      mixers.get(Number(element.dataset.track))?.show(mix);
      element.classList.toggle("amt-quiet", !hub.audible(Number(element.dataset.track)));
    }
  };
  scope.watch("about", (a) => {
    element.classList.toggle("amt-no-timbres", !a?.available);
    slider.set(a?.wanted || a?.shown || 1);
    const kind = a?.wanted === 1 ? "one" : a?.wanted || a?.at_least > 1 ? "band" : "auto";
    const came = Boolean(a?.writer) && a.sorted_by === "writer";
    const free = Boolean(a?.available) && !came;
    slider.rest(came);
    sorting.hidden = !a?.writer;
    ways.forEach((made, i) => {
      made.setAttribute("aria-checked", String(came === !i));
      made.tabIndex = came === !i ? 0 : -1;
    });
    ways[1].disabled = !a?.available;
    kinds.forEach((made, i) => {
      const on = free && KINDS[i][0] === kind;
      made.setAttribute("aria-checked", String(on));
      made.tabIndex = on || (!free && !i) ? 0 : -1;
      made.disabled = !free;
    });
    const p: number[] = a?.probability ?? [];
    const top = Math.max(...p, 1e-9);
    drawn = "";
    show();
    method.value = a?.method ?? "";
    how.hidden = !p.length || !(a.methods?.length > 1);
    sure.hidden = !p.length || !a?.heard;
    fill(
      sure,
      ...p.map((v, i) => h("div", { class: i + 1 === a.found ? "amt-best" : "", title: `${i + 1}: ${Math.round(v * 100)} %` }, h("i", { style: `height:${Math.max(3, (v / top) * 22)}px` }), h("span", {}, String(i + 1)))),
      p.length ? h("em", {}, t(a.wanted ? "sure_given" : "sure", { n: a.found, percent: Math.round((p[a.found - 1] ?? 0) * 100) })) : null,
    );
  });
  scope.watch("rows", show);
  scope.watch("edited", () => {
    drawn = "";
    show();
  });
  scope.add(hub.on("selection", show));
  scope.add(hub.on("prefs", show));
  scope.add(hub.on("mix", mixes));
  scope.add(hub.on("tracks", mixes));
  return () => scope.end();
}
