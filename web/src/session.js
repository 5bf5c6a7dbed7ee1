// The notes of an open recording and a person's work on them: what the dashboard's `Session` is, without its program.
// Everything that can be taken back is one value, `state`, of the form that session files hold; each change makes another.

import {
  Decoder, NONE, NoteEncoder, apply, automatic, edit, group, joined, places, suggestPrograms,
} from "../../widgets/static/amtsep.js";

const view = (index, rule) => ({
  name: "", program: rule.programs[index % rule.programs.length], color: index, volume: 1, mute: false, solo: false, hidden: false,
});

/** Whether a value of a file is a number in its range. */
export const number = (value, low, high) => Number.isFinite(value) && value >= low && value <= high;

export class Session {
  /** `settings` are settings.json, `count` is timbre_count.json, `sounds` is sounds.json, `encoder` is note_encoder.json. */
  constructor(settings, count, sounds, encoder = null) {
    Object.assign(this, { settings, count, sounds, encoder, plain: count });
    this.rule = settings.clustering_rule;
    this.state = this.fresh(settings.decoding);
    this.clear();
  }

  fresh(decoding) {
    return {
      decoding,
      clustering: this.settings.clustering,
      edits: NONE,
      tracks: [view(0, this.rule)],
      taught: [],
      merged: [],
      found: 0,
    };
  }

  clear() {
    Object.assign(this, { done: [], undone: [], kept: null, posteriors: null, decoder: null, decoded: [], track: [], grouping: null, notes: [], last: null });
  }

  /** Another recording, or a session that was kept: `saved` is its state, and `sorted` the tracks that its notes had. */
  open(posteriors, saved = null, sorted = null) {
    const { decoding } = this.state;
    this.clear();
    this.posteriors = posteriors;
    this.decodeAgain(posteriors);
    this.state = saved ?? this.fresh(decoding);
    this.derive(true, sorted);
  }

  decodeAgain(posteriors) {
    const encoder = NoteEncoder.for(this.encoder, posteriors.model ?? "", posteriors.dim ?? 0);
    this.decoder = new Decoder(posteriors, this.settings, encoder);
    this.count = encoder ? encoder.count : this.plain;
  }

  /** The same recording as another network heard it: what was corrected stays. */
  heardAgain(posteriors) {
    const before = this.last?.sorted;
    this.posteriors = posteriors;
    this.decodeAgain(posteriors);
    this.last = null;
    this.derive(true, before);
  }

  /** Notes from posteriors and state; what nothing has changed for stays as it is. */
  derive(thorough = true, sorted = null) {
    if (!this.decoder) return;
    const { state, last } = this;
    const sorting = JSON.stringify([state.clustering, state.taught, state.merged, state.found]);
    const same = last?.decoding === state.decoding;
    if (!same) this.decoded = this.decoder.notes(state.decoding);
    if (!same || last.sorting !== sorting || (thorough && !last.thorough)) {
      const before = sorted ?? last?.sorted ?? null;
      const { track, grouping } = group(this.decoded, state, before, this.grouping, thorough, this.count, this.rule);
      Object.assign(this, { track, grouping });
      if (grouping && thorough) this.state = { ...state, found: grouping.timbres };
      this.last = { decoding: state.decoding, thorough, sorted: this.decoded.map((note, i) => ({ ...note, track: track[i] })) };
    }
    this.last.sorting = JSON.stringify([this.state.clustering, this.state.taught, this.state.merged, this.state.found]);
    const shown = joined(Int32Array.from(this.track), state.merged);
    this.notes = apply(this.decoded.map((note, i) => ({ ...note, track: shown[i] })), state.edits);
    const count = this.notes.reduce((most, note) => Math.max(most, note.track + 1), 1);
    const { tracks } = this.state;
    const more = Array.from({ length: Math.max(0, count - tracks.length) }, (_, i) => view(tracks.length + i, this.rule));
    if (more.length) this.state = { ...this.state, tracks: [...tracks, ...more] };
    this.guesses = null;
  }

  /** A change of the state; the steps of a drag (`lasting` false) are one step to take back. */
  set(changes, lasting = true) {
    const before = this.kept ?? this.state;
    this.state = { ...this.state, ...changes };
    this.derive(lasting);
    this.kept = lasting ? null : before;
    // What changes nothing is no step.
    if (!lasting || JSON.stringify(before) === JSON.stringify(this.state)) return;
    this.done.push(before);
    this.undone = [];
  }

  undo() {
    this.go(this.done, this.undone);
  }

  redo() {
    this.go(this.undone, this.done);
  }

  go(from, to) {
    if (!from.length) return;
    to.push(this.state);
    this.state = from.pop();
    this.kept = null;
    this.derive();
  }

  // --- what a person does ------------------------------------------------------------------------------------------

  thresholds(values, lasting) {
    this.set({ decoding: { ...this.state.decoding, ...values } }, lasting);
  }

  auto() {
    const { decoding, automatic: rule } = this.settings;
    const heights = this.decoder.peaks(this.state.decoding.inferred_onsets).map((p) => p.height);
    const onset = automatic(heights, rule, decoding.onset_threshold);
    this.thresholds({ onset_threshold: onset, frame_threshold: decoding.frame_threshold }, true);
  }

  edit(message) {
    if (message.what === "assign") return this.assign(message);
    const edits = edit(this.state.edits, this.notes, message, this.posteriors?.duration);
    if (edits !== this.state.edits) this.set({ edits });
    return undefined;
  }

  /** Notes into a track: clustering takes them as given and sorts the others again; the number of timbres follows. */
  assign({ at = [], track: wanted }) {
    const { state, rule } = this;
    const meant = this.find(at);
    if (!meant.length || wanted < 0 || wanted >= rule.max_tracks) return;
    const before = new Set(this.notes.map((note) => note.track));
    const gone = new Set(state.merged.map(([from]) => from));
    const numbers = Array.from({ length: rule.max_tracks }, (_, i) => i);
    // Nobody sees the number of a track that was joined: a free one stands for a new track.
    const track = gone.has(wanted) ? (numbers.find((i) => !before.has(i) && !gone.has(i)) ?? Math.max(...before)) : wanted;
    const rest = new Set(this.notes.filter((note) => !meant.includes(note)).map((note) => note.track)).add(track);
    const changed = rest.size !== before.size || [...rest].some((number) => !before.has(number));
    const clustering = this.grouping && changed ? { ...state.clustering, timbres: Math.min(rest.size, rule.max_tracks) } : state.clustering;
    const key = (pitch, onset) => `${pitch} ${onset.toFixed(2)}`;
    const taught = meant.filter((note) => !note.hand).map((note) => [note.pitch, note.onset, track]);
    const fresh = new Set(taught.map(([pitch, onset]) => key(pitch, onset)));
    const kept = state.taught.filter(([pitch, onset]) => !fresh.has(key(pitch, onset)));
    const hands = new Set(meant.map((note) => note.hand).filter(Boolean));
    const added = state.edits.added.map((note) => (hands.has(note.hand) ? { ...note, track } : note));
    const tracks = [...state.tracks];
    while (tracks.length <= track) tracks.push(view(tracks.length, rule));
    this.set({ edits: { ...state.edits, added }, taught: [...kept, ...taught], clustering, tracks });
  }

  /** Notes that (pitch, onset, number) speak of. */
  find(at) {
    const near = (note, [pitch, onset]) => note.pitch === pitch && Math.abs(note.onset - onset) < this.rule.near_s;
    const found = at.map((anchor) => {
      if (anchor[2]) return this.notes.find((note) => note.hand === anchor[2]);
      const close = this.notes.filter((note) => !note.hand && near(note, anchor));
      return close.sort((a, b) => Math.abs(a.onset - anchor[1]) - Math.abs(b.onset - anchor[1]))[0];
    });
    return [...new Set(found.filter(Boolean))];
  }

  /** How many timbres; 0: estimated, negative: estimated, so many at least. */
  timbres(value, lasting) {
    const { clustering, merged } = this.state;
    const most = this.rule.max_tracks - new Set(merged.map(([from]) => from)).size;
    const timbres = value > 0 ? Math.min(value, most) : null;
    // Asked anew, the estimate starts from nothing.
    this.set({ clustering: { ...clustering, timbres, min_timbres: Math.max(1, -value) }, found: 0 }, lasting);
  }

  change(index, values) {
    const tracks = [...this.state.tracks];
    const clean = { ...values };
    if ("name" in clean) clean.name = clean.name.trim().slice(0, 60);
    const { color } = clean;
    if (color !== undefined) {
      // Who has the colour takes the one that becomes free.
      const before = tracks[index].color;
      tracks.forEach((track, i) => {
        if (i !== index && track.color % this.rule.max_tracks === color) tracks[i] = { ...track, color: before };
      });
    }
    tracks[index] = { ...tracks[index], ...clean };
    this.set({ tracks });
  }

  merge(index, into) {
    const { state } = this;
    if (index === into) return;
    const left = new Set(this.notes.map((note) => note.track));
    left.delete(index);
    const clustering = this.grouping ? { ...state.clustering, timbres: Math.max(1, left.size) } : state.clustering;
    const added = state.edits.added.map((note) => (note.track === index ? { ...note, track: into } : note));
    this.set({ merged: [...state.merged, [index, into]], clustering, edits: { ...state.edits, added } });
  }

  dropEdits() {
    const { clustering, merged } = this.state;
    const more = new Set(merged.map(([from]) => from)).size;
    const timbres = clustering.timbres === null ? null : Math.min(clustering.timbres + more, this.rule.max_tracks);
    this.set({ edits: NONE, taught: [], merged: [], clustering: { ...clustering, timbres } });
  }

  // --- what is shown -----------------------------------------------------------------------------------------------

  /** Tracks as the parts know them. */
  tracks() {
    const place = places(this.notes.map((note) => note.track), this.state.tracks.length);
    return this.state.tracks.map(({ name, program, color }, i) => ({
      name: name || `Timbre ${place[i] + 1}`, given: Boolean(name), place: place[i], program, color,
    }));
  }

  /** A row a track that holds notes. */
  rows() {
    const counts = this.state.tracks.map((_, i) => this.notes.filter((note) => note.track === i).length);
    this.guesses ??= this.sounds ? suggestPrograms(this.notes.filter((note) => note.embedding), counts.length, this.sounds, this.rule.least_likeness) : [];
    return this.tracks()
      .map((track, index) => ({ ...track, index, count: counts[index], guess: this.guesses[index] ?? [] }))
      .filter(({ count, index }) => count || (!this.notes.length && !index));
  }

  /** Notes and tracks as files hold them: tracks without notes are left out. */
  content(track = null) {
    const all = this.tracks();
    const used = all.map((_, i) => i).filter((i) => (track === null ? this.notes.some((note) => note.track === i) : i === track));
    const notes = this.notes.filter((note) => used.includes(note.track)).map((note) => ({ ...note, track: used.indexOf(note.track) }));
    return { notes, tracks: used.length ? used.map((i) => all[i]) : [all[0]] };
  }

  /** The state as session files hold it. */
  saved() {
    const { edits, ...rest } = this.state;
    const added = edits.added.map(({ onset, offset, pitch, velocity, track, hand }) => ({ onset, offset, pitch, velocity, track, id: hand }));
    return { beats: [], ...rest, edits: { removed: edits.struck, added } };
  }

  /** The inverse, every value looked at; throws where one cannot be. */
  read({ edits, ...rest }) {
    const { settings, rule } = this;
    const need = (possible) => {
      if (!possible) throw new Error("a value out of its range");
    };
    const known = (defaults, given) => Object.fromEntries(Object.keys(defaults).map((name) => [name, given?.[name] ?? defaults[name]]));
    const state = {
      ...rest,
      decoding: known(settings.decoding, rest.decoding),
      clustering: known(settings.clustering, rest.clustering),
      tracks: rest.tracks.map((track, i) => known(view(i, rule), track)),
      found: rest.found ?? 0,
      edits: { struck: edits.removed, added: edits.added.map(({ id, ...note }) => ({ ...note, hand: id, confidence: 1 })) },
    };
    const { decoding, clustering } = state;
    need(number(decoding.onset_threshold, 0, 1) && number(decoding.frame_threshold, 0, 1) && number(decoding.min_note_length, 0, 60));
    need(clustering.timbres === null || number(clustering.timbres, 1, rule.max_tracks));
    need(number(clustering.max_timbres, 1, rule.max_tracks) && number(clustering.min_timbres, 1, rule.max_tracks));
    need(state.tracks.length >= 1 && state.tracks.length <= rule.max_tracks);
    need(state.tracks.every(({ name, program, color, volume }) => typeof name === "string" && number(program, 0, 127) && number(color, 0, 999) && number(volume, 0, 4)));
    need(state.edits.added.every((n) => n.onset < n.offset && number(n.onset, 0, 1e6) && number(n.pitch, 0, 127) && number(n.velocity, 1, 127) && number(n.track, 0, rule.max_tracks - 1)));
    need(state.edits.struck.every(([pitch, onset]) => number(pitch, 0, 127) && number(onset, 0, 1e6)));
    need(state.taught.every(([pitch, onset, track]) => number(pitch, 0, 127) && number(onset, 0, 1e6) && number(track, 0, rule.max_tracks - 1)));
    need(state.merged.every((pair) => pair.length === 2 && pair.every((track) => number(track, 0, rule.max_tracks - 1))));
    return state;
  }
}
