// The one module behind every widget: `panel` says which face it shows.

import { hub as hubOf } from "./hub";
import type { Hub } from "./hub";
import { shortcuts } from "./keys";
import { say } from "./i18n";
import { followSize } from "./layout";
import type { Model } from "./model";
import { mountCompare } from "./panels/compare";
import { mountExport } from "./panels/export";
import { mountMap } from "./panels/map";
import { mountPlayer } from "./panels/player";
import { mountScore } from "./panels/score";
import { mountSource } from "./panels/source";
import { followTab, mountTabs } from "./panels/tabs";
import { mountThresholds } from "./panels/thresholds";
import { mountTimbres } from "./panels/timbres";
import { mountRoll } from "./roll/roll";

type Mount = (model: Model, element: HTMLElement, hub: Hub) => () => void;

const PANELS: Record<string, Mount> = {
  roll: mountRoll,
  player: mountPlayer,
  source: mountSource,
  thresholds: mountThresholds,
  export: mountExport,
  tabs: mountTabs,
  timbres: mountTimbres,
  map: mountMap,
  compare: mountCompare,
  score: mountScore,
};

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const panel: string = model.get("panel");
  const hub = hubOf(model.get("session_id"));
  const leave = hub.hold();
  hub.begin(model.get("prefs") ?? {});
  el.classList.add("amt-host", `amt-host-${panel}`);
  el.dataset.session = hub.id;
  let end: () => void = () => undefined;
  let language = "";
  const mount = () => {
    const restore = language ? held(el) : undefined;
    if (language) end();
    language = hub.prefs.language;
    const root = document.createElement("section");
    root.className = `amt amt-${panel}`;
    root.dataset.theme = hub.prefs.theme;
    root.lang = language;
    root.setAttribute("aria-label", say(hub, `panel_${panel}`));
    el.replaceChildren(root);
    end = PANELS[panel](model, root, hub);
    restore?.();
  };
  mount();
  const off = hub.on("prefs", () => {
    (el.firstElementChild as HTMLElement).dataset.theme = hub.prefs.theme;
    // The roll has no words of its own and keeps its window; the others are built again for another language. Uploads,
    // a recording from the microphone and what waits to be kept belong to the hub, and go on.
    if (panel !== "roll" && language !== hub.prefs.language) mount();
    paintPage(el, hub);
  });
  const again = hub.on("anew", () => model.send({ do: "anew" }));
  const release = shortcuts(hub);
  const untab = followTab(hub, panel, el);
  requestAnimationFrame(() => paintPage(el, hub));
  return () => {
    off();
    again();
    release();
    untab();
    end();
    leave();
  };
}

/** What is open in a panel, how far it is scrolled and where the focus is: to be put back when it has been built again. */
function held(element: HTMLElement): () => void {
  const folds = () => [...element.querySelectorAll("details")];
  const stops = () => [...element.querySelectorAll<HTMLElement>("button, input, select, summary, [tabindex]")];
  const open = folds().map((fold) => fold.open);
  const focus = stops().indexOf(document.activeElement as HTMLElement);
  const scroller = element.closest(".amtsep-side");
  const top = scroller?.scrollTop ?? 0;
  return () => {
    folds().forEach((fold, i) => (fold.open = open[i] ?? false));
    if (scroller) scroller.scrollTop = top;
    if (focus >= 0) stops()[focus]?.focus({ preventScroll: true });
  };
}

/** In Voilà the app is the page; in JupyterLab it is a cell's output. */
function paintPage(el: HTMLElement, hub: Hub): void {
  const app = el.closest<HTMLElement>(".amtsep-app");
  if (!app) return;
  app.dataset.theme = hub.prefs.theme;
  app.dataset.projector = hub.prefs.projector;
  followSize(app, hub);
  const inLab = document.body.dataset.voila === undefined;
  app.classList.toggle("amt-page", !inLab);
  if (!inLab) {
    document.title = "amtsep";
    document.documentElement.style.background = getComputedStyle(app).getPropertyValue("--ground");
  }
}

export default { render };
// For the static page, which has no Python to decode, keep notes and make files.
export { Hub, hub } from "./hub";
export { shortcuts } from "./keys";
export { pack, unpack } from "./notes";
export { NoteEncoder } from "./clustering/encoder";
export { Decoder, automatic, histogram, percentile } from "./decode";
export { cluster } from "./clustering/cluster";
export { estimateTimbres } from "./clustering/count";
export { Draw } from "./clustering/draw";
export { group, joined, places, suggestPrograms } from "./clustering/group";
export { wordIn } from "./i18n";
export { NONE, apply, edit } from "./edits";
export { csvFile, midiFile } from "./files";
export { musicxmlFile, place } from "./notation";
