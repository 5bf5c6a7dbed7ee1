// The page: the dashboard's own parts (widgets/static/amtsep.js) around a model that answers here, in the browser: the
// network in a worker, the notes and a person's work on them in `Session`.

import widgets, { csvFile, histogram, hub, midiFile, musicxmlFile, percentile, wordIn } from "../../widgets/static/amtsep.js";
import { PLAY_RATE, decodeFile, halve } from "./audio.js";
import { Kept, newId } from "./kept.js";
import { PageModel } from "./model.js";
import { readSession, writeSession } from "./saved.js";
import { Session, number } from "./session.js";

const ROOT = new URL("../../", import.meta.url);
const here = (path) => new URL(path, ROOT).href;
const PANELS = ["source", "roll", "thresholds", "tabs", "timbres", "export", "player"];
const SIDE = ["thresholds", "tabs", "timbres", "export"];
const FORMATS = ["midi", "musicxml", "csv", "wav", "png", "session"];
/** Networks, the one that a page begins with first. */
const MODELS = ["base", "light"];
/** Of the notation, until a person sets it: the tempo that a MIDI file has. */
const GRID = { tempo: 120, beats: 4, start: null };
/** The grid of a file, with what ships in place of whatever can be none. */
const gridOf = (given) => {
  const { tempo, beats, start } = given ?? GRID;
  return {
    tempo: number(tempo, 10, 960) ? tempo : GRID.tempo,
    beats: Number.isInteger(beats) && number(beats, 1, 32) ? beats : GRID.beats,
    start: number(start, 0, 1e6) ? start : GRID.start,
  };
};
/** After a change, until it is kept. */
const QUIET_MS = 250;
const ENDING = ".amtsep";
const SESSION = "web";
const PICTURE_RANGE_DB = 70;
const LEAST_CONTRAST_DB = 10;
const BINS = 50;

/** Words of this page, in the language that its parts have. */
const say = (key, values) => spoken(`web_${key}`, values);
const spoken = (key, values) => wordIn(document.querySelector(".amt")?.lang ?? "en", key, values);

class Page {
  constructor(settings, count, sounds, encoder) {
    this.settings = settings;
    this.sounds = sounds;
    this.session = new Session(settings, count, null, encoder);
    this.name = "";
    this.kept = new Kept();
    this.turn = 0;
    this.version = 0;
    this.upload = null;
    this.network = MODELS[0];
    this.model = new PageModel(
      {
        session_id: SESSION,
        prefs: {},
        demos: settings.demos,
        limits: settings.limits,
        defaults: settings.decoding,
        presets: settings.presets,
        values: this.session.state.decoding,
        network: { name: this.network, models: MODELS },
        tabs: ["timbres", "export"],
        formats: FORMATS,
        grid: GRID,
        tracks: { list: this.session.tracks() },
        rows: [],
        edited: false,
        "timbres.about": {},
        history: {},
        about: {},
        status: {},
        progress: null,
        count: 0,
        recent: [],
      },
      (message, buffers) => this[`do_${message.do}`]?.(message, buffers),
    );
    this.model.changed = (name) => name === "grid" && this.session.posteriors && this.keepSoon();
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.heard(data);
    this.worker.onerror = (event) => this.fail(say("network", { detail: event.message ?? "worker" }));
    // What is not kept yet goes in before the page does.
    addEventListener("visibilitychange", () => document.hidden && this.keepNow());
    this.load();
    this.publish();
    this.do_list();
  }

  load() {
    this.worker.postMessage({ do: "load", model: here(`models/${this.network}.onnx`), runtime: here("web/vendor/ort.wasm.gz") });
  }

  get notes() {
    return this.session.notes;
  }

  get values() {
    return this.session.state.decoding;
  }

  // --- a recording ---------------------------------------------------------------------------------------------------

  /**
   * `bring` hands out the bytes, or ({kept}) a session that was kept; `missing` is what is said where it cannot. From here
   * on, before either has come, whatever was on its way is given up: what a person has asked for last is what opens.
   */
  async open(name, bring, missing) {
    this.worker.postMessage({ do: "cancel", id: this.turn });
    const turn = ++this.turn;
    this.stage = "read";
    const { minutes } = this.settings.limits;
    this.model.update({ status: { kind: "busy", key: "opening", values: { name } }, progress: { what: "read", done: 0, total: 0 } });
    let bytes;
    try {
      bytes = await bring();
    } catch {
      return turn === this.turn && this.fail(missing);
    }
    if (turn !== this.turn) return undefined;
    const kept = bytes.kept ?? (name.toLowerCase().endsWith(ENDING) ? await this.read(bytes) : undefined);
    if (turn !== this.turn) return undefined;
    if (kept === null || kept === "newer") return this.fail(say(kept ?? "damaged", { name }));
    const called = kept?.name ?? name;
    const brought = kept ? (kept.original ?? kept.sound) : new Uint8Array(bytes);
    let decoded;
    try {
      // Decoding takes the bytes away; a session file wants them.
      decoded = await decodeFile(brought.slice().buffer);
    } catch {
      return turn === this.turn && this.fail(say(kept ? "damaged" : "unreadable", { name }));
    }
    if (turn !== this.turn) return undefined;
    const { mono: samples, stereo } = decoded;
    if (!samples.length) return this.fail(say("empty", { name }));
    if (samples.length > minutes * 60 * PLAY_RATE) return this.fail(say("long", { name, minutes }));
    this.next = { name: called.replace(/\.[^.]*$/, ""), title: called, samples, playing: stereo, brought: kept && !kept.original ? null : brought, sound: brought };
    if (kept) this.show(kept.posteriors, kept);
    else this.listen();
    return undefined;
  }

  /** What a session file holds, null where it is none, or "newer" where it holds what only the dashboard shows. */
  async read(bytes) {
    try {
      const kept = await readSession(new Uint8Array(bytes));
      return { ...kept, state: this.session.read(kept.state) };
    } catch (error) {
      return error.message === "newer" ? "newer" : null;
    }
  }

  listen() {
    const { samples } = this.next;
    this.stage = "listen";
    this.model.update({ progress: { what: "transcribe", done: 0, total: samples.length / PLAY_RATE } });
    this.worker.postMessage({ do: "transcribe", id: this.turn, samples, levels: this.settings.levels, loudness: this.settings.loudness });
  }

  heard({ id, result, error, done, total }) {
    if (id !== this.turn) return;
    if (error) this.fail(say("network", { detail: error }));
    else if (result) this.show(result);
    else if (total) this.model.update({ progress: { what: "transcribe", done, total } });
  }

  show(posteriors, kept = null) {
    this.stage = "";
    this.keepNow();
    const { session } = this;
    // What a timbre sounds like is known for the weights that the name ends with (see amtsep.inference.versioned).
    const weights = (posteriors.model ?? "").split(" ").pop();
    session.sounds = this.sounds.networks.includes(weights) ? this.sounds.sounds : null;
    if (this.next.again) session.heardAgain({ ...posteriors, others: session.posteriors.others });
    else {
      this.reference = kept?.reference ?? null;
      const { name, title, samples, playing, brought, sound } = this.next;
      Object.assign(this, { name, title, samples, playing, brought, sound, version: this.version + 1 });
      this.id = kept?.id ?? newId();
      // What comes out of the keep is in it.
      this.written = kept?.id ? posteriors : null;
      const heardBy = (posteriors.model ?? "").split(" ")[0];
      if (MODELS.includes(heardBy) && heardBy !== this.network) this.choose(heardBy);
      this.model.update({ grid: gridOf(kept?.grid) });
      session.open(posteriors, kept?.state, kept?.sorted);
    }
    const { frames, bins, hop, duration, perOctave } = posteriors;
    this.histograms();
    this.model.update({
      picture: picture(posteriors, this.settings.levels),
      about: { name: this.title, duration, hop, step: 1, bins, frames, per_octave: perOctave },
      sound: { version: this.version, samples: this.samples.length, rate: PLAY_RATE, name: this.title, original: Boolean(this.playing) },
      name: this.name,
      progress: null,
    });
    this.publish();
    this.model.update({ status: { kind: "info", key: "opened", values: { name: this.title, notes: this.notes.length } } });
  }

  fail(text) {
    this.goBack();
    this.turn += 1;
    this.model.update({ progress: null, status: { kind: "error", text } });
  }

  do_demo({ id }) {
    const bring = async () => {
      const answer = await fetch(here(`notebooks/demos/${id}`));
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.arrayBuffer();
    };
    this.open(id, bring, spoken("not_arrived", { name: id }));
  }

  do_upload({ name, size, id }) {
    if (!size) {
      this.model.post({ do: "refused", id, said: true });
      this.fail(say("empty", { name }));
      return;
    }
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
    this.open(upload.name, () => new Blob(upload.pieces).arrayBuffer(), say("unreadable", { name: upload.name }));
  }

  do_drop_upload() {
    this.upload = null;
  }

  do_cancel() {
    this.goBack();
    this.worker.postMessage({ do: "cancel", id: this.turn });
    this.turn += 1;
    this.model.update({ progress: null, status: { kind: "info", key: "cancelled" } });
  }

  do_clear_status() {
    this.model.update({ status: {} });
  }

  /** Another network: it is loaded, and listens to what is open. */
  do_model({ value }) {
    if (!MODELS.includes(value) || value === this.network) return;
    const before = this.network;
    this.choose(value);
    // A recording that is being read is heard by the new network as soon as it has been; one that is being heard, anew.
    if (this.stage === "read") return;
    if (this.stage !== "listen") {
      if (!this.session.posteriors) return;
      this.next = { samples: this.samples, again: true, before };
    }
    this.worker.postMessage({ do: "cancel", id: this.turn });
    this.turn += 1;
    this.listen();
  }

  choose(network) {
    this.network = network;
    this.model.update({ network: { name: network, models: MODELS } });
    this.load();
  }

  /** What is heard again is given up: the notes are those of the network before. */
  goBack() {
    if (this.stage === "listen" && this.next.again) this.choose(this.next.before);
    this.stage = "";
  }

  // --- what is kept in this browser ----------------------------------------------------------------------------------

  async do_list() {
    this.model.update({ recent: await this.kept.list().catch(() => []) });
  }

  do_go_on({ id }) {
    const bring = async () => {
      this.keepNow();
      await this.kept.queue;
      const { state, sound, brought, ...rest } = await this.kept.load(id);
      return { kept: { ...rest, sound, original: brought ? sound : null, state: this.session.read(state) } };
    };
    const { name = "" } = this.model.get("recent").find((entry) => entry.id === id) ?? {};
    this.open(name, bring, say("not_kept"));
  }

  /** Soon: the steps of a drag are not kept one by one. */
  keepSoon() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.keepNow(), QUIET_MS);
  }

  keepNow() {
    if (!this.keeping) return;
    clearTimeout(this.keeping);
    this.keeping = 0;
    const { session, id, title, sound, brought } = this;
    const { posteriors, state } = session;
    const changes = state.edits.added.length + state.edits.struck.length + state.taught.length;
    const work = {
      id, name: title, duration: posteriors.duration, saved: Date.now() / 1000, changes,
      state: session.saved(), sorted: session.grouping && session.last.sorted.map(({ pitch, onset, offset, track }) => ({ pitch, onset, offset, track })),
      grid: this.model.get("grid"),
    };
    const fresh = this.written !== posteriors;
    this.written = posteriors;
    this.kept.keep(work, { posteriors, sound, brought: Boolean(brought), reference: this.reference }, fresh).then((done) => {
      if (!done && fresh && this.written === posteriors) this.written = null;
      // For tests, and for the curious.
      this.keptState = done ? state : null;
    });
  }

  // --- thresholds, corrections, tracks -------------------------------------------------------------------------------

  publish() {
    const { session } = this;
    // Nothing is kept of a recording that nobody has worked on.
    if (session.posteriors && session.done.length + session.undone.length) this.keepSoon();
    const { state, notes, grouping, posteriors } = session;
    const columns = ["onset", "offset", "pitch", "velocity", "confidence", "track", "hand"];
    const data = Float32Array.from(columns.flatMap((name) => notes.map((note) => note[name] ?? 0)));
    const mix = state.tracks.map(({ volume, mute, solo, hidden }) => ({ volume, mute, solo, hidden }));
    const { clustering } = state;
    this.model.update({
      tracks: { list: session.tracks(), sure: state.decoding.onset_threshold, mix },
      notes_data: data,
      count: notes.length,
      missed: notes.filter((note) => !note.hand && note.confidence < state.decoding.onset_threshold).length,
      values: state.decoding,
      rows: session.rows(),
      edited: Boolean(state.edits.added.length + state.edits.struck.length + state.taught.length + state.merged.length),
      "timbres.about": {
        available: Boolean(posteriors?.embedding),
        heard: notes.length > 0,
        wanted: clustering.timbres ?? 0,
        at_least: clustering.min_timbres,
        found: grouping?.timbres ?? 1,
        shown: grouping?.tracks ?? 1,
        probability: grouping?.probability ?? [],
      },
      history: { undo: session.done.length > 0, redo: session.undone.length > 0, edits: state.edits.added.length + state.edits.struck.length + state.taught.length },
    });
  }

  histograms() {
    const { decoder, posteriors, state } = this.session;
    const heights = decoder.peaks(state.decoding.inferred_onsets).map((p) => p.height);
    this.model.update({ onset_histogram: histogram(heights, BINS), frame_histogram: histogram(posteriors.frame, BINS) });
  }

  do_set({ values, lasting, turn }) {
    const before = this.values.inferred_onsets;
    this.session.thresholds(values, lasting);
    if (this.session.decoder && before !== this.values.inferred_onsets) this.histograms();
    this.publish();
    this.model.post({ do: "done", turn });
  }

  do_auto() {
    if (this.session.decoder) this.session.auto();
    this.publish();
  }

  do_edit(message) {
    this.session.edit(message);
    this.publish();
  }

  do_undo() {
    this.session.undo();
    this.publish();
  }

  do_redo() {
    this.session.redo();
    this.publish();
  }

  do_timbres({ value, lasting, turn }) {
    this.session.timbres(value, lasting);
    this.publish();
    this.model.post({ do: "done", turn });
  }

  do_track({ index, values }) {
    this.session.change(index, values);
    this.publish();
    this.model.post({ do: "tracked" });
  }

  do_merge({ index, into }) {
    this.session.merge(index, into);
    this.publish();
  }

  do_drop_edits() {
    this.session.dropEdits();
    this.publish();
  }

  // --- pictures, sound, files ----------------------------------------------------------------------------------------

  do_posterior() {
    const { posteriors } = this.session;
    if (!posteriors) return;
    const { frame, frames, hop } = posteriors;
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

  async do_export({ format, track = null }) {
    const { session } = this;
    if (!session.posteriors) {
      this.model.post({ do: "no_file" });
      return;
    }
    const { notes, tracks } = session.content(track);
    if (format === "musicxml" && !notes.length) {
      this.model.post({ do: "no_file" });
      this.model.update({ status: { kind: "error", text: say("no_notes") } });
      return;
    }
    const stem = track === null ? this.name : `${this.name} - ${tracks[0].name}`;
    const made = {
      midi: () => [midiFile(notes, this.name, tracks), ".mid", "audio/midi"],
      musicxml: () => [new TextEncoder().encode(this.notation(notes, tracks)), ".musicxml", "application/vnd.recordare.musicxml+xml"],
      csv: () => [new TextEncoder().encode(csvFile(notes, tracks)), ".csv", "text/csv"],
      session: async () => [await this.saved(), ENDING, "application/zip"],
    }[format];
    if (!made) return;
    const [bytes, ending, type] = await made();
    this.model.post({ do: "file", name: stem + ending, type }, [bytes]);
  }

  /** Notation on the grid of the Save panel; a bar begins with the first note where nothing else is said. */
  notation(notes, tracks) {
    const { start, ...grid } = this.model.get("grid");
    return musicxmlFile(notes, this.name, tracks, { ...grid, start: start ?? Math.min(...notes.map((n) => n.onset)) }, this.settings.quantisation);
  }

  saved() {
    const { session } = this;
    return writeSession({
      name: this.title,
      state: session.saved(),
      sorted: session.grouping && session.last.sorted,
      posteriors: session.posteriors,
      sound: { samples: halve(this.samples), rate: PLAY_RATE / 2 },
      original: this.brought,
      reference: this.reference,
      grid: this.model.get("grid"),
    });
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

const learned = ["timbre_count", "sounds", "note_encoder"].map((name) => here(`amtsep/clustering/${name}.json`));
const [settings, ...weights] = await Promise.all(
  [import.meta.resolve("./settings.json"), ...learned].map(async (url) => (await fetch(url)).json()),
);
const page = new Page(settings, ...weights);
const [note, saveNote] = [0, 1].map(() => Object.assign(document.createElement("p"), { className: "web-note" }));
saveNote.classList.add("web-note-save");
/** Words that are not the dashboard's. */
const label = () => {
  for (const element of [note, saveNote]) element.textContent = `${say("private")} ${say("more")}`;
  const tagline = document.querySelector(".amt-title span");
  if (tagline && !page.model.get("about").name) tagline.textContent = say("tagline");
  for (const format of ["midi", "musicxml"]) {
    const hint = document.querySelector(`[data-format="${format}"] span`);
    if (hint) hint.textContent = say(format);
  }
};
for (const panel of PANELS) {
  const host = document.createElement("div");
  document.querySelector(SIDE.includes(panel) ? ".amtsep-side" : ".amtsep-app").append(host);
  widgets.render({ model: page.model.as(panel), el: host });
  // Another language builds a panel again.
  if (panel === "source" || panel === "export") new MutationObserver(label).observe(host, { childList: true });
}
document.querySelector(".amtsep-side").append(note);
// Once something is open its room is the tracks'; the Save panel says it still.
document.querySelector(".amt-host-export").after(saveNote);
const place = () => (note.hidden = Boolean(page.model.get("about").name));
page.model.as("source").on("change:about", place);
label();
globalThis.amtsepPage = page; // for tests, and for the curious

// What the microphone hears is nowhere but in this page until it is stopped: nobody closes it without being asked.
addEventListener("beforeunload", (event) => hub(SESSION).recorder && event.preventDefault());

// The page's files are kept for when there is no network; a page that is isolated may use several threads, and where the
// server does not say so, what keeps the files does, from the next load on.
if ("serviceWorker" in navigator) {
  const idle = () => !page.turn && !page.upload && !hub(SESSION).recorder && !page.model.get("status")?.kind;
  navigator.serviceWorker.register(new URL("../sw.js", import.meta.url)).catch(() => undefined);
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (!crossOriginIsolated && idle() && !sessionStorage.getItem("amtsep.isolated")) {
      sessionStorage.setItem("amtsep.isolated", "tried");
      location.reload();
    }
  });
}
