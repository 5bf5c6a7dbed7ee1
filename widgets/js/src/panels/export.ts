// Every format as a button; the bytes come from Python, sound and picture from the browser itself.

import { h, save } from "../dom";
import { STROKE_S } from "../drums";
import type { Note } from "../edits";
import { csvFile, midiFile } from "../files";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { rows } from "../link";
import { type Model, Scope, octets } from "../model";
import { wavBytes } from "../sound/wav";

const FORMATS = ["midi", "musicxml", "csv", "json", "wav", "png", "posteriors", "session"];

/** Strokes of drums as notes. */
const struck = ({ strokes }: Hub): Note[] =>
  Array.from({ length: strokes.n }, (_, i) => ({ onset: strokes.time[i], offset: strokes.time[i] + STROKE_S, pitch: strokes.key[i], velocity: strokes.velocity[i] }));

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
  const ask = async (format: string, track?: number) => {
    if (format === "wav") {
      done.textContent = t("rendering");
      finish(wavBytes(await hub.transport.render()), `${name()} - notes.wav`, "audio/wav");
    } else if (hub.keeper?.offline && (format === "midi" || format === "csv")) {
      // From the page's own notes: the program that makes the files is not there.
      const own = rows(hub.notes).filter((n) => track === undefined || n.track === track);
      const stem = track === undefined ? name() : `${name()} - ${hub.tracks[track].name}`;
      if (format === "csv") finish(csvFile(own, hub.tracks), `${stem}.csv`, "text/csv");
      else if (track === undefined) finish(midiFile(own, name(), hub.tracks, struck(hub)) as BlobPart, `${stem}.mid`, "audio/midi");
      else finish(midiFile(own, name(), [hub.tracks[track]]) as BlobPart, `${stem}.mid`, "audio/midi");
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
    if (!hub.notes.n || !e.dataTransfer) return e.preventDefault();
    const file = `${name()}.mid`;
    const url = URL.createObjectURL(new Blob([midiFile(rows(hub.notes), name(), hub.tracks, struck(hub)) as BlobPart], { type: "audio/midi" }));
    e.dataTransfer.setData("DownloadURL", `audio/midi:${file}:${url}`);
    e.dataTransfer.effectAllowed = "copy";
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    return undefined;
  };
  // Where there is a program: it finds the pitch curves.
  const bends = h("input", {
    type: "checkbox",
    onchange: () => {
      model.set("bends", bends.checked);
      model.save_changes();
    },
  });
  scope.watch("bends", (value) => (bends.checked = Boolean(value)));
  const options = h("div", { class: "amt-line" }, h("label", { class: "amt-check amt-export-bends", title: t("hint_export_bends") }, bends, t("export_bends")));
  options.hidden = model.get("bends") === undefined;
  element.append(
    h(
      "div",
      { class: "amt-formats" },
      ...(formats ?? FORMATS).map((f) =>
        h("button", { type: "button", class: "amt-format", "data-format": f, draggable: f === "midi" ? "true" : undefined, ondragstart: f === "midi" ? carry : undefined, onclick: () => ask(f) }, h("b", {}, t(`format_${f}`)), h("span", {}, t(`hint_${f}`), f === "midi" ? ` ${t("drag_out")}` : "")),
      ),
    ),
    options,
    done,
  );
  scope.message((content, buffers) => {
    if (content.do === "file") finish(octets(buffers[0]).slice(), content.name, content.type);
    if (content.do === "no_file") done.textContent = "";
  });
  return () => scope.end();
}
