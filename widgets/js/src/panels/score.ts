// The score: Verovio engraves MusicXML in a worker; clicks and selections go both ways, the page follows the playhead.

import { h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { type Model, Scope, octets } from "../model";

const METRES = ["2/4", "3/4", "4/4", "5/4", "6/8", "9/8", "12/8", "2/2", "3/8"];

/** Runs in the worker, after Verovio's own text. */
const WORK = `
let toolkit = null, job = null;
const ready = () => {
  toolkit = new verovio.toolkit();
  postMessage({ ready: true });
  if (job) { work(job); job = null; }
};
if (verovio.module.calledRun) ready(); else verovio.module.onRuntimeInitialized = ready;
function work(message) {
  try {
    if (message.xml !== undefined) {
      toolkit.setOptions({ pageWidth: message.width, pageHeight: message.height, scale: message.scale, adjustPageHeight: true,
        footer: "none", header: "auto", breaks: "auto", pageMarginLeft: 40, pageMarginRight: 40, pageMarginTop: 40, pageMarginBottom: 30 });
      if (!toolkit.loadData(message.xml)) throw new Error("not read");
      postMessage({ turn: message.turn, pages: toolkit.getPageCount() });
    }
    if (message.find !== undefined) postMessage({ turn: message.turn, found: toolkit.getPageWithElement(message.find) });
    if (message.page !== undefined) postMessage({ turn: message.turn, page: message.page, svg: toolkit.renderToSVG(message.page) });
  } catch (error) { postMessage({ turn: message.turn, failed: String(error) }); }
}
onmessage = (event) => { if (toolkit) work(event.data); else job = event.data; };
`;

let engine: Promise<Blob> | null = null;
let arrived: ((bytes: Uint8Array) => void) | null = null;

export function mountScore(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const button = (name: string, text: string, call: () => void) =>
    h("button", { type: "button", class: "amt-button", title: say(hub, name), "aria-label": say(hub, name), onclick: call }, text);
  const metre = h("select", { class: "amt-select", title: say(hub, "score_metre"), "aria-label": say(hub, "score_metre") });
  for (const name of METRES) metre.append(h("option", { value: name }, name));
  scope.listen(metre, "change", () => model.send({ do: "beats", edit: "metre", value: metre.value }));
  const transposed = h("input", { type: "checkbox" });
  scope.listen(transposed, "change", () => {
    model.set("transposed", transposed.checked);
    model.save_changes();
  });
  const tidy = h("input", { type: "checkbox" });
  scope.listen(tidy, "change", () => {
    model.set("tidy", tidy.checked);
    model.save_changes();
  });
  scope.watch("tidy", (value) => {
    tidy.checked = Boolean(value);
  });
  const words = h("span", { class: "amt-grow-text", role: "status" });
  const where = h("span", { class: "amt-grow-text" });
  const paper = h("div", { class: "amt-score-page", tabindex: "0", role: "img", "aria-label": say(hub, "tab_score") });
  const wide = button("score_wide", "⤢", () => {
    const on = element.classList.toggle("amt-score-wide");
    wide.title = say(hub, on ? "score_small" : "score_wide");
    engrave();
  });
  element.append(
    h(
      "div",
      { class: "amt-score-bar" },
      words,
      button("score_half", "½×", () => model.send({ do: "beats", edit: "half" })),
      button("score_double", "2×", () => model.send({ do: "beats", edit: "double" })),
      button("score_shift", "|→", () => model.send({ do: "beats", edit: "shift" })),
      metre,
      button("score_tap", say(hub, "tap"), () => hub.actions.tap()),
      button("score_reset", "↺", () => model.send({ do: "beats", edit: "none" })),
    ),
    paper,
    h(
      "div",
      { class: "amt-score-bar" },
      button("score_prev", "◀", () => turnTo(page - 1)),
      button("score_next", "▶", () => turnTo(page + 1)),
      where,
      h("label", { class: "amt-check", title: say(hub, "score_tidy_long") }, tidy, say(hub, "score_tidy")),
      h("label", { class: "amt-check" }, transposed, say(hub, "score_transposed")),
      button("score_svg", "SVG", () => keep()),
      button("score_print", "PDF", () => print()),
      wide,
    ),
  );

  let worker: Worker | null = null;
  let xml = "";
  /** A panel that is built again (for another language) has been given no score yet. */
  let given = false;
  let turn = 0;
  let page = 1;
  let pages = 0;
  let sought = "";

  const say_ = (name: string) => {
    words.textContent = say(hub, name);
  };
  const start = async () => {
    if (worker) return worker;
    engine ??= new Promise<Blob>((resolve) => {
      arrived = (bytes) => resolve(new Blob([bytes as BlobPart, WORK], { type: "text/javascript" }));
      model.send({ do: "engine" });
    });
    const address = URL.createObjectURL(await engine);
    if (worker) return worker;
    worker = new Worker(address);
    worker.onmessage = (event) => answer(event.data);
    return worker;
  };
  const engrave = async () => {
    if (!xml) return;
    const now = ++turn;
    if (!pages) say_("score_wait");
    const ready = await start();
    if (now !== turn) return;
    const width = Math.max(paper.clientWidth, 280);
    const scale = element.classList.contains("amt-score-wide") ? 42 : 30;
    ready.postMessage({
      turn: now, xml, scale, width: Math.round((width * 100) / scale), height: Math.round((width * 1.4 * 100) / scale), page: 1,
    });
  };
  const answer = (message: any) => {
    if (message.turn !== turn) return;
    if (message.failed) return say_("score_failed");
    if (message.pages) {
      pages = message.pages;
      page = Math.min(page, pages);
    }
    if (message.found) turnTo(message.found);
    if (message.svg) {
      page = message.page;
      paper.innerHTML = message.svg;
      where.textContent = say(hub, "score_page", { page, pages });
      about();
      mark();
    }
  };
  const turnTo = (to: number) => {
    if (!worker || to < 1 || to > pages || to === page) return;
    worker.postMessage({ turn, page: to });
  };
  const about = () => {
    const beats = model.get("beats") ?? {};
    if (!beats.metre) return say_("score_none");
    const pitch = beats.tuning ? ` · A = ${Number(beats.tuning).toFixed(1)} Hz` : "";
    words.textContent = say(hub, "score_about", { tempo: Math.round(beats.tempo), metre: beats.metre }) + pitch;
    if (METRES.includes(beats.metre)) metre.value = beats.metre;
  };
  /** Which note of the table an element of the score is, and the other way round. */
  let source: number[] = [];
  const index = (id: string) => source[Number(/^n(\d+)/.exec(id)?.[1] ?? -1)] ?? -1;
  const mark = (now?: Set<number>) => {
    for (const g of paper.querySelectorAll<SVGGElement>("g.note")) {
      const i = index(g.id || (g as any).dataset?.id || "");
      g.classList.toggle("amt-on", hub.selection.has(i));
      if (now) g.classList.toggle("amt-now", now.has(i));
    }
  };
  const seek = (i: number) => {
    const k = source.indexOf(i);
    if (worker && k >= 0 && !paper.querySelector(`#n${k}`)) worker.postMessage({ turn, find: `n${k}` });
  };
  const follow = () => {
    if (!hub.transport.playing || !pages || element.offsetParent === null) return;
    const time = hub.transport.position;
    const { onset, offset, n } = hub.notes;
    const now = new Set<number>();
    let last = -1;
    for (let i = 0; i < n && onset[i] <= time; i++) {
      if (offset[i] > time) now.add(i);
      last = i;
    }
    const key = [...now].join();
    if (key === sought) return;
    sought = key;
    mark(now);
    if (last >= 0) seek(last);
  };
  const clock = window.setInterval(follow, 80);
  scope.add(() => clearInterval(clock));
  scope.listen(paper, "click", (e: MouseEvent) => {
    // The nearest head within a finger's width: staff lines lie over the heads.
    let note: Element | null = null;
    let least = 14 ** 2;
    for (const head of paper.querySelectorAll("g.note .notehead")) {
      const box = head.getBoundingClientRect();
      const away = (box.x + box.width / 2 - e.clientX) ** 2 + (box.y + box.height / 2 - e.clientY) ** 2;
      if (away < least) [note, least] = [head.closest("g.note"), away];
    }
    const i = note ? index(note.id) : -1;
    if (i < 0 || i >= hub.notes.n) return hub.select([]);
    hub.select(e.shiftKey ? [...hub.selection, i] : [i]);
    void hub.transport.audition(hub.notes.pitch[i], hub.notes.track[i], hub.notes.velocity[i]);
  });
  scope.add(
    hub.on("selection", () => {
      mark();
      if (hub.selection.size === 1) seek([...hub.selection][0]);
    }),
  );
  const keep = () => {
    const svg = paper.querySelector("svg");
    if (!svg) return;
    const link = h("a", { href: URL.createObjectURL(new Blob([svg.outerHTML], { type: "image/svg+xml" })), download: `score-${page}.svg` });
    link.click();
  };
  const print = async () => {
    const frame = h("iframe", { style: "position:fixed;width:0;height:0;border:0" });
    document.body.append(frame);
    const inner = frame.contentDocument as Document;
    inner.body.style.margin = "0";
    const sheets: string[] = [];
    const ready = await start();
    for (let p = 1; p <= pages; p++) {
      sheets.push(
        await new Promise<string>((resolve) => {
          const hear = (event: MessageEvent) => {
            if (event.data.page !== p || event.data.turn !== -1) return;
            ready.removeEventListener("message", hear);
            resolve(event.data.svg);
          };
          ready.addEventListener("message", hear);
          ready.postMessage({ turn: -1, page: p });
        }),
      );
    }
    inner.body.innerHTML = sheets.map((s) => `<div style="break-after:page">${s.replace("<svg ", '<svg style="width:100%;height:auto" ')}</div>`).join("");
    frame.contentWindow?.print();
    setTimeout(() => frame.remove(), 60000);
  };
  scope.message((content, buffers) => {
    if (content.do === "engine") arrived?.(octets(buffers[0]).slice());
    if (content.do === "score") {
      given = true;
      source = content.source ?? [];
      xml = new TextDecoder().decode(octets(buffers[0]));
      if (xml) void engrave();
      else {
        paper.replaceChildren();
        pages = 0;
        say_("score_none");
      }
    }
  });
  // What the roll and the player ask for.
  hub.actions.beats = (edit: string, value = "") => model.send({ do: "beats", edit, value });
  hub.actions.grid = (on: boolean) => model.send({ do: "grid", value: on });
  const taps: number[] = [];
  let tapping = 0;
  hub.actions.tap = () => {
    if (!hub.transport.playing) {
      words.textContent = say(hub, "tap_play");
      return;
    }
    taps.push(hub.transport.position);
    words.textContent = say(hub, "tap_count", { n: taps.length });
    clearTimeout(tapping);
    tapping = window.setTimeout(() => {
      const text = taps.splice(0).map((t) => t.toFixed(3)).join(" ");
      if (text.includes(" ")) model.send({ do: "beats", edit: "tap", value: text });
      else about();
    }, 1800);
  };
  scope.add(() => clearTimeout(tapping));
  hub.emit("grid");
  scope.watch("beats", (value) => {
    hub.beats = { time: value?.time ?? [], bar: value?.bar ?? [] };
    if (!taps.length) about();
    hub.emit("beats");
  });
  scope.watch("transposed", (value) => {
    transposed.checked = Boolean(value);
  });
  const seen = () => {
    const under = Boolean(element.closest(".amtsep-side"));
    model.send({ do: "visible", value: !under || hub.tab === "score", empty: !given });
  };
  scope.add(hub.on("tab", seen));
  requestAnimationFrame(seen);
  about();
  return () => {
    worker?.terminate();
    scope.end();
  };
}
