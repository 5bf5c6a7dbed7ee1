// The page: the dashboard's own parts (widgets/static/amtsep.js) around a model that answers here, in the browser. What
// Python's Session does there, `Page` does, with the network in a worker.

import widgets, {
  Decoder, NONE, apply, automatic, csvFile, edit, histogram, midiFile, percentile,
} from "../../widgets/static/amtsep.js";
import { PLAY_RATE, decodeFile } from "./audio.js";
import { PageModel } from "./model.js";

const ROOT = new URL("../../", import.meta.url);
const here = (path) => new URL(path, ROOT).href;
const PANELS = ["source", "roll", "thresholds", "tabs", "export", "player"];
const PICTURE_RANGE_DB = 70;
const LEAST_CONTRAST_DB = 10;
const BINS = 50;

const TEXT = {
  en: {
    unreadable: (name) => `${name} cannot be decoded by this browser; try WAV, MP3, OGG or FLAC.`,
    long: (name, minutes) => `${name} is longer than ${minutes} minutes: cut it, or use the dashboard.`,
    empty: (name) => `${name} holds no sound.`,
    network: (detail) => `The network did not load (${detail}); reload the page.`,
    tagline: "From a recording to notes, in this page",
    midi: "One track, as it was played",
    private: "Everything happens in this page: no recording leaves your computer.",
    more: "Separate timbres, MusicXML and comparison with true notes are in the dashboard.",
  },
  zh: {
    unreadable: (name) => `浏览器无法解码 ${name}，请改用 WAV、MP3、OGG 或 FLAC。`,
    long: (name, minutes) => `${name} 超过 ${minutes} 分钟：请剪短，或使用完整面板。`,
    empty: (name) => `${name} 没有声音。`,
    network: (detail) => `网络未能载入（${detail}），请刷新页面。`,
    tagline: "从录音到音符，就在本页",
    midi: "单轨，保留演奏时值",
    private: "一切都在本页进行：录音不会离开您的电脑。",
    more: "音色分离、MusicXML 和与标准答案的比较，请使用完整面板。",
  },
};
const words = () => TEXT[document.querySelector(".amt")?.lang] ?? TEXT.en;

class Page {
  constructor(settings) {
    this.settings = settings;
    this.values = { ...settings.decoding };
    this.edits = NONE;
    this.undone = [];
    this.done = [];
    this.decoder = null;
    this.notes = [];
    this.name = "";
    this.turn = 0;
    this.version = 0;
    this.upload = null;
    this.model = new PageModel(
      {
        session_id: "web",
        prefs: {},
        demos: settings.demos,
        limits: settings.limits,
        defaults: settings.decoding,
        presets: settings.presets,
        values: this.values,
        tabs: ["export"],
        tracks: { list: [{ name: "Notes", program: 0, color: 0 }] },
        history: {},
        about: {},
        status: {},
        progress: null,
        count: 0,
      },
      (message, buffers) => this[`do_${message.do}`]?.(message, buffers),
    );
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.heard(data);
    this.worker.onerror = (event) => this.fail(words().network(event.message ?? "worker"));
    this.worker.postMessage({ do: "load", model: here("models/light.onnx"), runtime: here("web/vendor/ort.wasm.gz") });
  }

  // --- a recording ---------------------------------------------------------------------------------------------------

  async open(name, bytes) {
    const turn = ++this.turn;
    const stem = name.replace(/\.[^.]*$/, "");
    const { minutes } = this.settings.limits;
    this.model.update({ status: { kind: "busy", key: "opening", values: { name } }, progress: { what: "read", done: 0, total: 0 } });
    let samples;
    try {
      const decoded = await decodeFile(bytes);
      samples = decoded.mono;
      this.stereo = decoded.stereo;
    } catch {
      return turn === this.turn && this.fail(words().unreadable(name));
    }
    if (turn !== this.turn) return undefined;
    if (!samples.length) return this.fail(words().empty(name));
    if (samples.length > minutes * 60 * PLAY_RATE) return this.fail(words().long(name, minutes));
    this.next = { name: stem, title: name, samples, playing: this.stereo };
    this.model.update({ progress: { what: "transcribe", done: 0, total: samples.length / PLAY_RATE } });
    this.worker.postMessage({ do: "transcribe", id: turn, samples, levels: this.settings.levels, loudness: this.settings.loudness });
    return undefined;
  }

  heard({ id, result, error, done, total }) {
    if (id !== this.turn) return;
    if (error) this.fail(words().network(error));
    else if (result) this.show(result);
    else if (total) this.model.update({ progress: { what: "transcribe", done, total } });
  }

  show(posteriors) {
    const { name, title, samples, playing } = this.next;
    Object.assign(this, { name, samples, playing, posteriors, edits: NONE, done: [], undone: [], version: this.version + 1 });
    this.decoder = new Decoder(posteriors, this.settings);
    const { frames, bins, hop, duration, perOctave } = posteriors;
    this.histograms();
    this.model.update({
      picture: picture(posteriors, this.settings.levels),
      about: { name: title, duration, hop, step: 1, bins, frames, per_octave: perOctave },
      sound: { version: this.version, samples: samples.length, rate: PLAY_RATE, name: title, original: Boolean(playing) },
      name,
      progress: null,
    });
    this.decode();
    this.model.update({ status: { kind: "info", key: "opened", values: { name: title, notes: this.notes.length } } });
  }

  fail(text) {
    this.turn += 1;
    this.model.update({ progress: null, status: { kind: "error", text } });
  }

  async do_demo({ id }) {
    this.open(id, await (await fetch(here(`notebooks/demos/${id}`))).arrayBuffer());
  }

  do_upload({ name, size, id }) {
    this.upload = { id, name, size, pieces: [], received: 0 };
    this.model.post({ do: "got", id, received: 0 });
  }

  do_chunk({ id }, [data]) {
    const { upload } = this;
    if (upload?.id !== id) return;
    upload.pieces.push(data);
    upload.received += data.byteLength;
    this.model.post({ do: "got", id, received: upload.received });
    if (upload.received < upload.size) return;
    this.upload = null;
    new Blob(upload.pieces).arrayBuffer().then((bytes) => this.open(upload.name, bytes));
  }

  do_drop_upload() {
    this.upload = null;
  }

  do_cancel() {
    this.worker.postMessage({ do: "cancel", id: this.turn });
    this.turn += 1;
    this.model.update({ progress: null, status: { kind: "info", key: "cancelled" } });
  }

  do_clear_status() {
    this.model.update({ status: {} });
  }

  // --- thresholds and corrections ------------------------------------------------------------------------------------

  decode() {
    this.decoded = this.decoder ? this.decoder.notes(this.values) : [];
    this.publish();
  }

  publish() {
    this.notes = apply(this.decoded, this.edits);
    const columns = ["onset", "offset", "pitch", "velocity", "confidence", "track", "hand"];
    const data = Float32Array.from(columns.flatMap((name) => this.notes.map((note) => note[name] ?? 0)));
    this.model.update({
      notes_data: data,
      count: this.notes.length,
      missed: this.notes.filter((note) => !note.hand && note.confidence < this.values.onset_threshold).length,
      tracks: { list: [{ name: "Notes", program: 0, color: 0 }], sure: this.values.onset_threshold },
      values: this.values,
      history: { undo: this.done.length > 0, redo: this.undone.length > 0, edits: this.edits.added.length + this.edits.struck.length },
    });
  }

  histograms() {
    const heights = this.decoder.peaks(this.values.inferred_onsets).map((p) => p.height);
    this.model.update({ onset_histogram: histogram(heights, BINS), frame_histogram: histogram(this.posteriors.frame, BINS) });
  }

  remember() {
    this.done.push({ values: this.kept ?? this.values, edits: this.edits });
    this.kept = null;
    this.undone = [];
  }

  do_set({ values, lasting, turn }) {
    // The steps of a drag are one step to take back.
    this.kept ??= this.values;
    if (lasting) this.remember();
    const before = this.values.inferred_onsets;
    this.values = { ...this.values, ...values };
    if (this.decoder && before !== this.values.inferred_onsets) this.histograms();
    this.decode();
    this.model.post({ do: "done", turn });
  }

  do_auto() {
    if (!this.decoder) return;
    const { decoding, automatic: rule } = this.settings;
    const heights = this.decoder.peaks(this.values.inferred_onsets).map((p) => p.height);
    const onset = automatic(heights, rule, decoding.onset_threshold);
    this.do_set({ values: { onset_threshold: onset, frame_threshold: decoding.frame_threshold }, lasting: true });
  }

  do_edit(message) {
    const edits = edit(this.edits, this.notes, message);
    if (edits !== this.edits) this.remember();
    this.edits = edits;
    this.publish();
  }

  do_undo() {
    this.swap(this.done, this.undone);
  }

  do_redo() {
    this.swap(this.undone, this.done);
  }

  swap(from, to) {
    if (!from.length) return;
    to.push({ values: this.values, edits: this.edits });
    const { values, edits } = from.pop();
    Object.assign(this, { values, edits, kept: null });
    this.decode();
  }

  // --- pictures, sound, files ----------------------------------------------------------------------------------------

  do_posterior() {
    if (!this.posteriors) return;
    const { frame, frames, hop } = this.posteriors;
    const image = turned(frame, 88, frames, (p) => Math.round(p * 255));
    this.model.post({ do: "posterior", hop, step: 1, bins: 88, frames }, [image]);
  }

  do_sound({ version, start }) {
    if (version !== this.version) return;
    const data = Int16Array.from(this.samples.subarray(start), (x) => Math.round(Math.min(1, Math.max(-1, x)) * 32767));
    this.model.post({ do: "sound", version, start }, [data]);
  }

  /** What was brought, both channels of it. */
  do_original({ version }) {
    if (version === this.version && this.playing) this.model.post({ do: "original", version, buffer: this.playing });
  }

  do_export({ format }) {
    const made = {
      midi: () => [midiFile(this.notes, this.name), ".mid", "audio/midi"],
      csv: () => [csvFile(this.notes), ".csv", "text/csv"],
    }[format]?.();
    if (!made) return;
    const [content, ending, type] = made;
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    this.model.post({ do: "file", name: this.name + ending, type }, [bytes]);
  }
}

/** Rows over time to frames of rows, as bytes. */
function turned(values, rows, frames, byte) {
  const image = new Uint8Array(rows * frames);
  for (let r = 0; r < rows; r++) for (let t = 0; t < frames; t++) image[t * rows + r] = byte(values[r * frames + t]);
  return image;
}

/** The upper 70 dB of the spectrogram, frame after frame. */
function picture({ spectrogram, bins, frames }, { step, floor }) {
  const high = percentile(spectrogram, 0.997);
  // Without contrast there is no sound: silence is shown empty, not as one grey.
  if ((high - percentile(spectrogram, 0)) * step < LEAST_CONTRAST_DB) return new Uint8Array(bins * frames);
  const bottom = high * step + floor - PICTURE_RANGE_DB;
  const table = Array.from({ length: 256 }, (_, i) => {
    return Math.min(255, Math.max(0, Math.floor(((i * step + floor - bottom) / PICTURE_RANGE_DB) * 255)));
  });
  return turned(spectrogram, bins, frames, (level) => table[level]);
}

const settings = await (await fetch(new URL("settings.json", import.meta.url))).json();
const page = new Page(settings);
const note = document.createElement("p");
note.className = "web-note";
/** Words that are not the dashboard's. */
const say = () => {
  note.textContent = `${words().private} ${words().more}`;
  const tagline = document.querySelector(".amt-title span");
  if (tagline && !page.model.get("about").name) tagline.textContent = words().tagline;
  const midi = document.querySelector('[data-format="midi"] span');
  if (midi) midi.textContent = words().midi;
};
for (const panel of PANELS) {
  const host = document.createElement("div");
  document.querySelector(["thresholds", "tabs", "export"].includes(panel) ? ".amtsep-side" : ".amtsep-app").append(host);
  widgets.render({ model: page.model.as(panel), el: host });
  // Another language builds a panel again.
  if (panel === "source" || panel === "export") new MutationObserver(say).observe(host, { childList: true });
}
document.querySelector(".amtsep-side").append(note);
say();
globalThis.amtsepPage = page; // for tests, and for the curious
