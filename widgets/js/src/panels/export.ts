// Every format as a button; the bytes come from Python, sound and picture from the browser itself.

import { h, save } from "../dom";
import { strokeRows } from "../drums";
import { csvFile, midiFile } from "../files";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { rows } from "../link";
import { type Model, Scope, floats, octets } from "../model";
import type { Grid } from "../notation";
import { type Curve, unpackCurves } from "../notes";
import { wavBytes } from "../sound/wav";

/** Taps further apart than this begin anew. */
const TAPPING_MS = 2500;
const METRES = [2, 3, 4];
const FORMATS = ["midi", "musicxml", "csv", "json", "wav", "png", "posteriors", "session"];
/** What stands for the drums where a track is asked for by its number. */
const DRUMS = "drums";
/** Notes are at rest when nothing has changed for so long. */
const REST_MS = 400;

export function mountExport(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  // The static page makes fewer of them.
  const formats: string[] | undefined = model.get("formats");
  const done = h("p", { class: "amt-saved", role: "status" });
  const name = () => model.get("name") || "notes";
  const finish = (bytes: BlobPart, file: string, type: string) => {
    save(bytes, file, type);
    done.textContent = t("saved", { name: file });
  };
  /** A file of the page's own notes: all of them, or of one track. */
  const own = (format: "midi" | "csv", track?: number | typeof DRUMS): Uint8Array | string => {
    const all = rows(hub.notes);
    const which = track === DRUMS ? [] : [...all.keys()].filter((i) => track === undefined || all[i].track === track);
    const notes = which.map((i) => all[i]);
    const strokes = track === undefined || track === DRUMS ? strokeRows(hub.strokes) : [];
    // In a file of one track that track is the first.
    const tracks = track === undefined ? hub.tracks : track === DRUMS ? [] : [hub.tracks[track]];
    if (typeof track === "number") for (const note of notes) note.track = 0;
    const bends = bent() ? curvesOf(notes, hub.curves) : undefined;
    return format === "csv" ? csvFile(notes, tracks, strokes, bends) : midiFile(notes, name(), tracks, strokes, bends);
  };
  /** Whether the page can write the bends that are asked for. */
  const bent = () => bends.checked && hub.curves.length > 0;
  const ask = async (format: string, track?: number | typeof DRUMS) => {
    if (format === "wav") {
      done.textContent = t("rendering");
      finish(wavBytes(await hub.transport.render()), `${name()} - notes.wav`, "audio/wav");
    } else if (hub.keeper?.offline && (format === "midi" || format === "csv")) {
      // From the page's own notes: the program that makes the files is not there.
      const stem = track === undefined ? name() : `${name()} - ${track === DRUMS ? "Drums" : hub.tracks[track].name}`;
      finish(own(format, track) as BlobPart, stem + (format === "csv" ? ".csv" : ".mid"), format === "csv" ? "text/csv" : "audio/midi");
      if (bends.checked && !bent()) done.textContent += ` ${t("without_bends")}`;
      hub.savedHere = true;
    } else if (format === "png") finish(await hub.actions.roll().png(), `${name()}.png`, "image/png");
    else if (hub.keeper?.offline) done.textContent = t("needs_program");
    else {
      done.textContent = t("making");
      model.send({ do: "export", format, track });
    }
  };
  hub.actions.save = ask;
  /** A MIDI file dragged out to the desktop or a sequencer, where the browser can (Chromium): the page's own notes. */
  const carry = (e: DragEvent) => {
    if (!(hub.notes.n || hub.strokes.n) || !e.dataTransfer) return e.preventDefault();
    const file = `${name()}.mid`;
    const url = URL.createObjectURL(new Blob([own("midi") as BlobPart], { type: "audio/midi" }));
    e.dataTransfer.setData("DownloadURL", `audio/midi:${file}:${url}`);
    e.dataTransfer.effectAllowed = "copy";
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    return undefined;
  };
  // The program finds the pitch curves. Where they are wanted the page has them, too: a file that is dragged out cannot
  // wait, and the program may be away when one is made.
  let waiting = 0;
  let [asked, stale] = [false, false];
  const gather = () => {
    clearTimeout(waiting);
    stale = asked;
    if (!bends.checked || asked) return;
    waiting = window.setTimeout(() => {
      if (hub.keeper?.offline) return;
      asked = true;
      model.send({ do: "curves" });
    }, REST_MS);
  };
  const bends = h("input", {
    type: "checkbox",
    onchange: () => {
      model.set("bends", bends.checked);
      model.save_changes();
    },
  });
  scope.watch("bends", (value) => {
    bends.checked = Boolean(value);
    gather();
  });
  scope.add(hub.on("notes", gather));
  scope.add(() => clearTimeout(waiting));
  const options = h("div", { class: "amt-line" }, h("label", { class: "amt-check amt-export-bends", title: t("hint_export_bends") }, bends, t("export_bends")));
  options.hidden = model.get("bends") === undefined;
  // Where no beats are found, the person says where they are.
  const grid = model.get("grid") ? gridLine(model, scope, hub, (text) => (done.textContent = text)) : null;
  element.append(
    ...(grid ? [grid] : []),
    options,
    h(
      "div",
      { class: "amt-formats" },
      ...(formats ?? FORMATS).map((f) =>
        h("button", { type: "button", class: "amt-format", "data-format": f, draggable: f === "midi" ? "true" : undefined, ondragstart: f === "midi" ? carry : undefined, onclick: () => ask(f) }, h("b", {}, t(`format_${f}`)), h("span", {}, t(`hint_${f}`), f === "midi" ? ` ${t("drag_out")}` : "")),
      ),
    ),
    done,
  );
  scope.message((content, buffers) => {
    if (content.do === "file") finish(octets(buffers[0]).slice(), content.name, content.type);
    if (content.do === "no_file") done.textContent = "";
    if (content.do !== "curves") return;
    asked = false;
    hub.curves = unpackCurves(content.curves, floats(buffers[0]));
    if (stale) gather();
  });
  return () => scope.end();
}

/** The curve of each note; null for one that has none, or has been moved since it was found. */
function curvesOf(notes: { pitch: number; onset: number }[], curves: Curve[]): (Curve | null)[] {
  const place = (pitch: number, onset: number) => `${pitch} ${Math.fround(onset)}`;
  const known = new Map(curves.map((curve) => [place(curve.pitch, curve.onset), curve]));
  return notes.map((note) => known.get(place(note.pitch, note.onset)) ?? null);
}

/** Tempo, time signature and a bar line of the notation, typed or tapped while the music plays. */
function gridLine(model: Model, scope: Scope, hub: Hub, tell: (text: string) => void): HTMLElement {
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const number = (label: string, values: Record<string, unknown>) => h("input", { type: "number", class: "amt-input", "aria-label": label, onchange: () => keep(), ...values });
  const tempo = number(t("grid_tempo"), { min: "10", max: "960", step: "any" });
  const start = number(t("grid_start"), { min: "0", step: "any", placeholder: t("grid_first") });
  const metre = h("select", { class: "amt-select", "aria-label": t("score_metre"), onchange: () => keep() }, ...METRES.map((n) => h("option", { value: String(n) }, `${n}/4`)));
  const keep = () => {
    if (!tempo.checkValidity() || !tempo.value) tempo.value = String(model.get("grid").tempo);
    if (!start.checkValidity()) start.value = "";
    model.set("grid", { tempo: Number(tempo.value), beats: Number(metre.value), start: start.value === "" ? null : Number(start.value) });
    model.save_changes();
  };
  scope.watch("grid", (grid: Omit<Grid, "start"> & { start: number | null }) => {
    tempo.value = String(grid.tempo);
    metre.value = String(grid.beats);
    start.value = grid.start === null ? "" : String(grid.start);
  });
  let taps: number[] = [];
  let last = 0;
  const tap = () => {
    if (!hub.transport.playing) return tell(t("tap_play"));
    const now = performance.now();
    if (now - last > TAPPING_MS) taps = [];
    last = now;
    taps.push(hub.transport.position);
    tell(t("tap_count", { n: taps.length }));
    const n = taps.length;
    if (n < 4) return undefined;
    // A straight line through the taps; the first of them is the first of a bar.
    const middle = (n - 1) / 2;
    const mean = taps.reduce((a, b) => a + b, 0) / n;
    const period = taps.reduce((a, x, i) => a + (i - middle) * (x - mean), 0) / taps.reduce((a, _, i) => a + (i - middle) ** 2, 0);
    if (!(period > 60 / 960 && period < 6)) return undefined;
    tempo.value = (60 / period).toFixed(1);
    start.value = Math.max(0, mean - middle * period).toFixed(2);
    keep();
    return undefined;
  };
  hub.actions.tap = tap;
  scope.add(() => {
    if (hub.actions.tap === tap) delete hub.actions.tap;
  });
  return h(
    "div",
    { class: "amt-line amt-grid", role: "group", "aria-label": "MusicXML" },
    h("span", {}, "MusicXML"),
    h("label", { title: t("grid_tempo") }, "♩ = ", tempo),
    metre,
    h("button", { type: "button", class: "amt-button amt-small", title: t("grid_tap"), onclick: tap }, t("tap")),
    h("label", {}, `${t("grid_start")} `, start),
  );
}
