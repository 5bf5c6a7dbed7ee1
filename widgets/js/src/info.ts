// The "i" beside a control: two plain sentences and a picture; and the tour of the page in three steps.

import { button, h } from "./dom";
import type { Hub } from "./hub";
import { say } from "./i18n";

const box = (x: number, y: number, width: number, style = "") => `<rect x="${x}" y="${y}" width="${width}" height="9" rx="2" ${style}/>`;
const OFF = 'opacity=".3"';
const HOLLOW = 'fill="none" stroke="var(--accent)" stroke-width="1.5"';
const BLUE = 'fill="#63c4ff"';
const line = (d: string, style = "") => `<path d="${d}" fill="none" stroke="var(--text)" stroke-width="1.5" ${style}/>`;
const wave = (y: number, tall: number, from: number, to: number, step: number) => {
  let d = `M${from} ${y}`;
  for (let x = from; x < to; x += step) d += `q${step / 4} ${-tall} ${step / 2} 0t${step / 2} 0`;
  return line(d);
};

/** Drawings of 160 by 56, in the colours of the theme; the fill is that of a note. */
const PICTURES: Record<string, string> = {
  onset_threshold: line("M4 50L26 50L34 14L42 50L72 50L80 34L88 50L118 50L126 20L134 50L156 50") + line("M4 28H156", 'stroke-dasharray="4 3"') + box(34, 3, 26) + box(126, 3, 26),
  frame_threshold: line("M10 50C20 8 30 8 40 12C70 20 90 34 150 46") + line("M4 32H156", 'stroke-dasharray="4 3"') + box(18, 2, 68),
  min_note_length: box(8, 10, 44) + box(66, 24, 6, OFF) + box(86, 10, 30) + box(130, 36, 4, OFF) + line("M62 20L78 38M78 20L62 38M125 31L140 47M140 31L125 47", 'stroke="var(--bad)"'),
  leftover_notes: box(8, 12, 40) + box(64, 24, 44, HOLLOW) + box(122, 12, 30) + line("M64 18V40", 'stroke-dasharray="2 2"'),
  presets: [0, 1, 2].map((i) => line(`M14 ${12 + 16 * i}H146`) + `<circle cx="${[96, 56, 34][i]}" cy="${12 + 16 * i}" r="5"/>`).join(""),
  energy_tolerance: line("M6 12H50C56 12 56 40 62 40H76C82 40 82 14 88 14H150") + line("M4 28H156", 'stroke-dasharray="4 3"') + box(8, 46, 140),
  timbres: box(8, 6, 34) + box(54, 14, 30) + box(98, 8, 44) + box(20, 34, 46, BLUE) + box(80, 42, 34, BLUE) + box(124, 36, 26, BLUE),
  tidy_strength: box(8, 10, 20) + box(31, 10, 30) + line("M28 6V24", 'stroke="var(--bad)"') + box(90, 8, 40) + '<rect x="90" y="32" width="40" height="9" rx="2" fill="none" stroke="var(--text)" stroke-dasharray="3 2"/>',
  ends: line("M8 10C30 10 60 12 90 30C110 42 130 46 152 47") + box(8, 44, 60) + line("M68 4V54", 'stroke-dasharray="3 3"'),
  inferred_onsets: line("M6 46H50C66 46 70 16 90 12H150") + line("M62 4V52", 'stroke-dasharray="3 3"') + box(62, 44, 80),
  pitch_range: line("M6 12H154M6 44H154", 'stroke-dasharray="4 3"') + box(20, 20, 30) + box(64, 30, 40) + box(114, 1, 26, OFF) + box(30, 47, 20, OFF),
  snap: line("M8 4V52M44 4V52M80 4V52M116 4V52M152 4V52", 'opacity=".5"') + box(52, 10, 30, OFF) + box(44, 30, 36),
  drums: [8, 48, 88, 128].map((x, i) => `<rect x="${x}" y="${i % 2 ? 20 : 38}" width="5" height="12"/>`).join("") + [8, 28, 48, 68, 88, 108, 128, 148].map((x) => `<rect x="${x}" y="6" width="4" height="7" opacity=".6"/>`).join("") + line("M4 17H156M4 35H156", 'opacity=".4"'),
  method: '<circle cx="34" cy="20" r="4"/><circle cx="46" cy="28" r="4"/><circle cx="30" cy="34" r="4"/><circle cx="44" cy="14" r="4"/>' + [[110, 30], [124, 22], [118, 42], [134, 36]].map(([x, y]) => `<rect x="${x - 4}" y="${y - 4}" width="8" height="8" ${BLUE}/>`).join("") + line("M80 4V52", 'stroke-dasharray="4 3"'),
  blend: wave(28, 22, 6, 70, 16) + box(92, 12, 28) + box(112, 28, 34) + box(96, 42, 20),
  speed: wave(18, 14, 6, 150, 9) + wave(42, 14, 6, 150, 18),
  ground: '<g fill="var(--text)">' + [6, 14, 22, 30, 38, 46].map((y, i) => `<rect x="${10 + 6 * i}" y="${y}" width="${120 - 14 * i}" height="5" opacity="${0.1 + 0.08 * i}"/>`).join("") + "</g>" + box(40, 30, 60),
  map: '<circle cx="40" cy="16" r="4"/><circle cx="52" cy="24" r="4"/><circle cx="34" cy="28" r="4"/>' + [[104, 30], [118, 26], [112, 42]].map(([x, y]) => `<rect x="${x - 4}" y="${y - 4}" width="8" height="8" ${BLUE}/>`).join("") + line("M24 10C40 -2 70 10 64 30C58 46 22 40 24 10Z", 'stroke-dasharray="4 3"'),
  sorted_by: box(8, 8, 34) + box(50, 8, 26, BLUE) + line("M84 14H112M106 9L112 14L106 19") + box(118, 8, 34, BLUE) + box(8, 34, 34, BLUE) + box(50, 34, 26) + line("M84 40H112M106 35L112 40L106 45") + box(118, 34, 34),
  compare: box(8, 10, 40) + box(60, 24, 36, OFF) + line("M60 24L96 33M96 24L60 33", 'stroke="var(--bad)"') + '<rect x="110" y="38" width="40" height="9" rx="2" fill="none" stroke="var(--text)" stroke-dasharray="3 2"/>',
  volume: '<path d="M14 22h12l14-12v36L26 34H14z" fill="var(--text)"/>' + line("M50 20C56 25 56 31 50 36M60 14C71 23 71 33 60 42") + line("M86 28H150", 'opacity=".5"') + '<circle cx="122" cy="28" r="6"/>',
  tools: box(8, 6, 50) + '<text x="12" y="14" font-size="8" fill="var(--ground)">C4</text>' + box(66, 16, 36) + '<text x="70" y="24" font-size="8" fill="var(--ground)">E4</text>' + line("M4 52H110", 'opacity=".5"') + line("M10 52V36M68 52V42") + line("M120 16V6H130M144 6H154V16M154 30V40H144M130 40H120V30"),
  network: line("M18 28H50M50 28L76 10M50 28L76 46M76 10L110 28M76 46L110 28M110 28H142") + '<circle cx="50" cy="28" r="6"/><circle cx="76" cy="10" r="6"/><circle cx="76" cy="46" r="6"/><circle cx="110" cy="28" r="6"/>',
};

/** A small button that explains; `topic` has words `info_…` and a picture. */
export function info(hub: Hub, topic: string): HTMLElement {
  let card: HTMLElement | null = null;
  /** What is open around the button, to be closed after the explanation. */
  let around: (() => boolean) | undefined;
  const close = () => {
    card?.remove();
    card = null;
    made.setAttribute("aria-expanded", "false");
    if (hub.actions.close !== escape) return;
    if (around) hub.actions.close = around;
    else delete hub.actions.close;
  };
  const escape = () => {
    close();
    made.focus();
    return true;
  };
  const made = button({
    class: "amt-info",
    label: say(hub, "info_about", { what: say(hub, `about_${topic}`) }),
    "aria-expanded": "false",
    onclick: () => {
      if (card) return close();
      around = made.closest(".amt-pop") ? hub.actions.close : undefined;
      if (!around) hub.actions.close?.();
      card = h("div", { class: "amt-card-info", role: "note" }, h("b", {}, say(hub, `about_${topic}`)), h("p", {}, say(hub, `info_${topic}`)));
      const picture = h("div", { class: "amt-picture", "aria-hidden": "true" });
      picture.innerHTML = `<svg viewBox="0 0 160 56" fill="var(--accent)">${PICTURES[topic] ?? ""}</svg>`;
      card.prepend(picture);
      made.after(card);
      made.setAttribute("aria-expanded", "true");
      const at = made.getBoundingClientRect();
      const width = Math.min(300, innerWidth - 16);
      card.style.width = `${width}px`;
      card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
      const tall = card.offsetHeight;
      card.style.top = `${at.bottom + tall + 10 < innerHeight ? at.bottom + 6 : Math.max(8, at.top - tall - 6)}px`;
      hub.actions.close = escape;
    },
    onblur: (e: FocusEvent) => card?.contains(e.relatedTarget as Node) || close(),
  }, "i");
  return made;
}

const STEPS: [string, string][] = [
  [".amt-host-roll", "tour_1"],
  [".amt-host-thresholds", "tour_2"],
  [".amt-host-timbres", "tour_3"],
];

/** Three steps: the roll, the thresholds, the tracks; each is lit while it is explained. */
export function tour(hub: Hub, host: HTMLElement): void {
  const app = host.closest(".amtsep-app");
  if (!app) return;
  let at = 0;
  const text = h("p", {});
  const count = h("span", { class: "amt-dim" });
  const next = button({ text: "", class: "amt-primary amt-tour-next", onclick: () => (at + 1 < STEPS.length ? go(at + 1) : end()) });
  const card = h("div", { class: "amt-tour", role: "dialog", "aria-label": say(hub, "tour") }, text, h("div", { class: "amt-line" }, count, button({ text: say(hub, "dismiss"), class: "amt-link", onclick: () => end() }), next));
  const end = () => {
    app.querySelectorAll(".amt-lit").forEach((e) => e.classList.remove("amt-lit"));
    card.remove();
    if (hub.actions.close === escape) delete hub.actions.close;
  };
  const escape = () => {
    end();
    return true;
  };
  const go = (step: number) => {
    at = step;
    app.querySelectorAll(".amt-lit").forEach((e) => e.classList.remove("amt-lit"));
    const [place, word] = STEPS[at];
    if (place === ".amt-host-roll") hub.sheet = false;
    else {
      hub.tab = hub.size === "small" && place === ".amt-host-thresholds" ? "thresholds" : "timbres";
      hub.sheet = true;
    }
    hub.emit("tab");
    app.querySelector(place)?.classList.add("amt-lit");
    text.textContent = say(hub, word);
    count.textContent = `${at + 1} / ${STEPS.length}`;
    (next.firstElementChild as HTMLElement | null)?.remove();
    next.textContent = say(hub, at + 1 < STEPS.length ? "tour_next" : "tour_end");
    next.focus();
  };
  host.append(card);
  hub.actions.close = escape;
  go(0);
}
