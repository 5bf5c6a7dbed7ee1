// The transport: one clock for the recording and the notes.
//
// Position is a function of the audio clock: a list of spans, each a piece of context time that maps linearly to
// recording time. The scheduler lays spans a little ahead of now and starts sound for them at exact times; a seek, a
// loop or a change of speed begins a new span. Recording and notes therefore cannot drift apart.

import type { Hub } from "../hub";
import { firstStroke, ringing } from "../drums";
import { firstAt } from "../notes";
import { type Soundfont } from "./soundfont";
import { type Instrument, type Voice, makeBuiltIn } from "./synth";
import { Stretcher } from "./stretch";

interface Span {
  /** Context time at which it begins and (once known) ends. */
  from: number;
  to: number;
  /** Position in seconds at its beginning. */
  at: number;
  rate: number;
}

interface Sounding {
  voice: Voice;
  onset: number;
  offset: number;
  pitch: number;
  track: number;
  starts: number;
}

const AHEAD_S = 0.18;
const TICK_MS = 30;
const GRAIN_AHEAD_S = 0.25;

export class Transport {
  playing = false;
  /** Play has been asked for before the sound was there. */
  wanted = false;
  rate = 1;
  loop: { from: number; to: number; on: boolean } = { from: 0, to: 0, on: false };
  /** 0 = recording alone, 1 = transcription alone. */
  blend = 0.5;
  split = false;
  volume = 0.9;
  /** Whether a click marks the beats, and how many have been laid: for tests. */
  metronome = false;
  clicks = 0;
  /** How many strokes of drums have been laid: for tests. */
  struck = 0;

  context: AudioContext | null = null;
  analyser: AnalyserNode | null = null;
  recording: AudioBuffer | null = null;
  soundfont: Soundfont | null = null;
  private pcm: Float32Array | null = null;
  private rest = 0;
  private shown: number | undefined;
  private expected = 0;
  private loaded = 0;
  private spans: Span[] = [];
  private timer = 0;
  private master!: GainNode;
  private recordingGain!: GainNode;
  private recordingPan!: StereoPannerNode;
  private notesGain!: GainNode;
  private notesPan!: StereoPannerNode;
  private trackGains: GainNode[] = [];
  /** What plays of the recording; at the seam of a loop two pieces, the next one being laid before the last has ended. */
  private sources: { node: AudioBufferSourceNode; gain: GainNode }[] = [];
  private stretcher: Stretcher | null = null;
  private sounding: Sounding[] = [];
  private scheduledTo = 0;
  private clickedTo = 0;
  private kitGain!: GainNode;
  private struckTo = 0;
  private ringing: { voice: Voice; until: number }[] = [];
  private clicking: OscillatorNode[] = [];
  private instrument: Instrument = makeBuiltIn;

  constructor(private readonly hub: Hub) {
    hub.on("notes", () => this.notesChanged());
    hub.on("tracks", () => this.mixChanged());
    hub.on("mix", () => this.mixChanged());
  }

  // --- the graph ---------------------------------------------------------------------------------------------------

  /** Made at the first gesture: browsers allow no sound before one. */
  ready(): AudioContext {
    if (this.context) return this.context;
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    this.master = context.createGain();
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 2048;
    const limit = context.createDynamicsCompressor();
    limit.threshold.value = -6;
    limit.ratio.value = 12;
    limit.attack.value = 0.003;
    limit.release.value = 0.15;
    this.master.connect(limit).connect(this.analyser).connect(context.destination);
    this.recordingGain = context.createGain();
    this.recordingPan = context.createStereoPanner();
    this.recordingGain.connect(this.recordingPan).connect(this.master);
    this.notesGain = context.createGain();
    this.notesPan = context.createStereoPanner();
    this.notesGain.connect(this.notesPan).connect(this.master);
    this.kitGain = context.createGain();
    this.kitGain.connect(this.notesGain);
    this.applyBlend();
    this.mixChanged();
    return context;
  }

  /** A recording is open, by its number: a loop is a place of one, and may lie behind the end of the next. */
  show(version: number | undefined): void {
    if (version === this.shown) return;
    this.shown = version;
    this.setLoop({ from: 0, to: 0, on: false });
  }

  /** Another recording is open; its sound comes later. Play waits for it instead of playing the one before. */
  expect(recording: number | undefined): void {
    if (!recording || recording === this.expected) return;
    this.expected = recording;
    if (this.loading) this.pause();
    this.hub.emit("transport");
  }

  get loading(): boolean {
    return this.expected !== this.loaded && !this.hub.keeper?.offline;
  }

  setRecording(pcm: Float32Array<ArrayBuffer> | null, rate: number, recording?: number): void {
    this.pause();
    if (recording) this.loaded = recording;
    this.recording = null;
    this.pcm = pcm;
    this.stretcher = null;
    if (pcm && pcm.length) {
      const buffer = new AudioBuffer({ length: pcm.length, numberOfChannels: 1, sampleRate: rate });
      buffer.copyToChannel(pcm, 0);
      this.recording = buffer;
      this.stretcher = new Stretcher(pcm, rate);
    }
    this.hub.emit("transport");
    if (this.wanted && pcm && !this.loading) {
      this.wanted = false;
      void this.play();
    }
  }

  /** The same recording as it was brought: stereo and full band take the place of what the network heard. */
  setOriginal(buffer: AudioBuffer): void {
    if (!this.pcm) return;
    this.recording = buffer;
    const span = this.spans[this.spans.length - 1];
    const when = (this.context?.currentTime ?? 0) + 0.02;
    const source = this.sources[this.sources.length - 1];
    if (this.playing && source && span && span.rate === 1 && span.from < when && when < span.to - 0.05) {
      const { node, gain } = source;
      gain.gain.cancelScheduledValues(when);
      gain.gain.setTargetAtTime(0, when, 0.002);
      node.stop(when + 0.02);
      this.startRecording(when, this.at(when), span.at + (span.to - span.from));
    }
    this.hub.emit("transport");
  }

  /** Nobody listens any more: the recording and the way to the loudspeakers are given back. */
  end(): void {
    this.setRecording(null, 1);
    this.soundfont = null;
    this.instrument = makeBuiltIn;
    void this.context?.close();
    this.context = this.analyser = null;
    this.trackGains = [];
  }

  get samples(): Float32Array | null {
    return this.pcm;
  }

  setBlend(blend: number, split = this.split): void {
    this.blend = blend;
    this.split = split;
    this.applyBlend();
    this.hub.emit("transport");
  }

  setVolume(volume: number): void {
    this.volume = volume;
    this.applyBlend();
    this.hub.emit("transport");
  }

  private applyBlend(): void {
    if (!this.context) return;
    const now = this.context.currentTime;
    const set = (param: AudioParam, value: number) => param.setTargetAtTime(value, now, 0.015);
    // Equal power, so that the middle is as loud as the ends.
    set(this.recordingGain.gain, Math.cos((this.blend * Math.PI) / 2));
    set(this.notesGain.gain, Math.sin((this.blend * Math.PI) / 2));
    set(this.recordingPan.pan, this.split ? -1 : 0);
    set(this.notesPan.pan, this.split ? 1 : 0);
    set(this.master.gain, this.volume);
  }

  private mixChanged(): void {
    if (!this.context) return;
    const now = this.context.currentTime;
    for (let i = 0; i < Math.max(1, this.hub.tracks.length); i++) {
      const node = this.trackNode(i);
      const mix = this.hub.mix[i];
      node.gain.setTargetAtTime(this.hub.audible(i) ? (mix?.volume ?? 1) : 0, now, 0.015);
    }
    this.kitGain.gain.setTargetAtTime(this.hub.kitAudible ? this.hub.kit.volume : 0, now, 0.015);
  }

  private trackNode(track: number): GainNode {
    const context = this.context as AudioContext;
    while (this.trackGains.length <= track) {
      const gain = context.createGain();
      gain.connect(this.notesGain);
      this.trackGains.push(gain);
    }
    return this.trackGains[track];
  }

  setSoundfont(soundfont: Soundfont | null): void {
    this.soundfont = soundfont;
    this.instrument = soundfont ? soundfont.instrument : makeBuiltIn;
    this.hub.emit("transport");
  }

  // --- position ----------------------------------------------------------------------------------------------------

  get duration(): number {
    return Math.max(this.hub.duration, this.hub.notes.n ? this.hub.notes.onset[this.hub.notes.n - 1] : 0);
  }

  /** Seconds into the recording of what is being heard. */
  get position(): number {
    if (!this.playing || !this.context) return this.rest;
    const latency = this.context.outputLatency || 0;
    return this.at(this.context.currentTime - latency);
  }

  private at(time: number): number {
    let span = this.spans[0];
    for (const s of this.spans) if (s.from <= time) span = s;
    if (!span) return this.rest;
    const inside = Math.min(Math.max(time, span.from), span.to);
    return Math.min(span.at + (inside - span.from) * span.rate, this.duration);
  }

  // --- commands ----------------------------------------------------------------------------------------------------

  toggle(): void {
    if (this.wanted) {
      this.wanted = false;
      this.hub.emit("transport");
    } else if (this.playing) this.pause();
    else void this.play();
  }

  async play(): Promise<void> {
    if (this.playing) return;
    if (!this.loading && !this.duration) return;
    const context = this.ready();
    if (this.loading) {
      this.wanted = true;
      this.hub.emit("transport");
    }
    if (context.state !== "running") await context.resume();
    if (this.wanted || this.playing || this.loading) return;
    if (this.rest >= this.duration - 0.01) this.rest = 0;
    if (this.loop.on && (this.rest < this.loop.from || this.rest >= this.loop.to)) this.rest = this.loop.from;
    this.playing = true;
    this.begin(this.rest);
    this.timer = window.setInterval(() => this.schedule(), TICK_MS);
    this.hub.emit("transport");
  }

  pause(): void {
    if (!this.playing) return;
    this.rest = this.position;
    this.playing = false;
    clearInterval(this.timer);
    this.silence();
    this.spans = [];
    this.hub.emit("transport");
  }

  seek(position: number): void {
    this.rest = Math.min(Math.max(0, position), this.duration);
    if (this.playing) {
      this.silence();
      this.begin(this.rest);
    }
    this.hub.emit("seek");
  }

  setRate(rate: number): void {
    const position = this.position;
    this.rate = Math.min(2, Math.max(0.25, rate));
    if (this.playing) {
      this.silence();
      this.begin(position);
    }
    this.hub.emit("transport");
  }

  setLoop(loop: Partial<Transport["loop"]>): void {
    const position = this.position;
    Object.assign(this.loop, loop);
    if (this.loop.to - this.loop.from < 0.05) this.loop.on = false;
    if (this.playing) {
      this.silence();
      const inside = !this.loop.on || (position >= this.loop.from && position < this.loop.to);
      this.begin(inside ? position : this.loop.from);
    }
    this.hub.emit("transport");
  }

  // --- scheduling --------------------------------------------------------------------------------------------------

  private begin(position: number): void {
    const context = this.context as AudioContext;
    this.spans = [];
    this.layspan(context.currentTime + 0.03, position);
    this.schedule();
  }

  private layspan(from: number, at: number): void {
    const end = this.loop.on && at < this.loop.to ? this.loop.to : this.duration;
    this.spans.push({ from, at, rate: this.rate, to: from + (end - at) / this.rate });
    if (this.spans.length > 8) this.spans.shift();
    this.scheduledTo = at;
    this.clickedTo = this.struckTo = at - 1e-4;
    this.stretcher?.reset(at, from, this.rate);
    if (this.recording && this.rate === 1) this.startRecording(from, at, end);
  }

  private startRecording(when: number, offset: number, end: number): void {
    const context = this.context as AudioContext;
    if (!this.recording || offset >= this.recording.duration) return;
    const node = new AudioBufferSourceNode(context, { buffer: this.recording });
    const gain = new GainNode(context, { gain: 0 });
    const stop = when + (end - offset);
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(1, when + 0.004);
    gain.gain.setValueAtTime(1, Math.max(when + 0.004, stop - 0.004));
    gain.gain.linearRampToValueAtTime(0, Math.max(when + 0.008, stop));
    node.connect(gain).connect(this.recordingGain);
    node.start(when, offset);
    node.stop(stop + 0.01);
    const own = { node, gain };
    node.onended = () => {
      gain.disconnect();
      this.sources = this.sources.filter((other) => other !== own);
    };
    this.sources.push(own);
  }

  private schedule(): void {
    const context = this.context as AudioContext;
    const now = context.currentTime;
    // A page in the background is woken rarely: look further ahead there.
    const ahead = document.hidden ? 1.5 : AHEAD_S;
    let span = this.spans[this.spans.length - 1];
    while (span && span.to <= now + ahead) {
      this.scheduleNotes(span, span.to);
      this.scheduleClicks(span, span.to);
      this.scheduleStrokes(span, span.to);
      this.grains(span, span.to);
      if (this.loop.on && span.at < this.loop.to) {
        this.layspan(span.to, this.loop.from);
        span = this.spans[this.spans.length - 1];
      } else {
        // The loop was taken away or moved while it played: on from where it ended.
        const end = span.at + (span.to - span.from) * span.rate;
        if (end < this.duration - 0.01) {
          this.layspan(span.to, end);
          span = this.spans[this.spans.length - 1];
          continue;
        }
        if (span.to <= now) {
          this.pause();
          this.rest = this.duration;
          this.hub.emit("transport");
        }
        return;
      }
    }
    if (!span) return;
    this.scheduleNotes(span, now + ahead);
    this.scheduleClicks(span, now + ahead);
    this.scheduleStrokes(span, now + ahead);
    this.grains(span, now + Math.max(ahead, GRAIN_AHEAD_S));
    this.sounding = this.sounding.filter((s) => s.starts + (s.offset - s.onset) / this.rate + 0.2 > now);
  }

  private grains(span: Span, until: number): void {
    if (span.rate === 1 || !this.recording) return;
    this.stretcher?.run(this.context as AudioContext, this.recording, this.recordingGain, Math.min(until, span.to));
  }

  private scheduleNotes(span: Span, until: number): void {
    const notes = this.hub.notes;
    const to = span.at + (Math.min(until, span.to) - span.from) * span.rate;
    const first = this.scheduledTo === span.at ? firstAt(notes, span.at - 0.001) : firstAt(notes, this.scheduledTo);
    for (let i = first; i < notes.n && notes.onset[i] < to; i++) {
      this.start(i, span.from + (notes.onset[i] - span.at) / span.rate, false);
    }
    // Notes that have begun before the place where playing begins sound on from there.
    if (this.scheduledTo === span.at) {
      for (let i = firstAt(notes, span.at - notes.longest); i < first; i++) {
        if (notes.offset[i] > span.at + 0.05) this.start(i, span.from, true);
      }
    }
    this.scheduledTo = Math.max(this.scheduledTo, to, span.at + 1e-6);
  }

  setMetronome(on: boolean): void {
    this.metronome = on;
    const span = this.spans[this.spans.length - 1];
    if (this.playing && this.context && span) this.clickedTo = Math.max(span.at, this.at(this.context.currentTime + 0.02));
    if (!on) this.hush();
    this.hub.emit("transport");
  }

  private scheduleClicks(span: Span, until: number): void {
    const to = span.at + (Math.min(until, span.to) - span.from) * span.rate;
    const from = this.clickedTo;
    this.clickedTo = Math.max(from, to);
    if (!this.metronome) return;
    const { time, bar } = this.hub.beats;
    const starts = new Set(bar);
    for (let i = 0; i < time.length; i++) {
      if (time[i] >= from && time[i] < to) this.click(span.from + (time[i] - span.at) / span.rate, starts.has(i));
    }
  }

  private scheduleStrokes(span: Span, until: number): void {
    const to = span.at + (Math.min(until, span.to) - span.from) * span.rate;
    const from = this.struckTo;
    this.struckTo = Math.max(from, to);
    const { strokes } = this.hub;
    const now = (this.context as AudioContext).currentTime;
    this.ringing = this.ringing.filter((r) => r.until > now);
    for (let i = firstStroke(strokes, from); i < strokes.n && strokes.time[i] < to; i++) {
      this.strike(strokes.key[i], strokes.velocity[i], span.from + (strokes.time[i] - span.at) / span.rate);
    }
  }

  private strike(key: number, velocity: number, when: number): void {
    const context = this.context as AudioContext;
    const at = Math.max(when, context.currentTime);
    const voice = this.instrument(context, this.kitGain, { when: at, duration: ringing(key), pitch: key, velocity, program: 0, late: false, drum: true });
    this.ringing.push({ voice, until: at + ringing(key) + 0.5 });
    this.struck += 1;
  }

  /** Sound one stroke at once. */
  async auditionDrum(key: number, velocity = 96): Promise<void> {
    const context = this.ready();
    if (context.state !== "running") await context.resume();
    this.strike(key, velocity, context.currentTime + 0.01);
  }

  private click(when: number, first: boolean): void {
    const context = this.context as AudioContext;
    const node = context.createOscillator();
    const gain = context.createGain();
    const at = Math.max(when, context.currentTime);
    node.frequency.value = first ? 2093 : 1397;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(first ? 0.5 : 0.32, at + 0.001);
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.05);
    node.connect(gain).connect(this.master);
    node.start(at);
    node.stop(at + 0.06);
    node.onended = () => {
      gain.disconnect();
      this.clicking = this.clicking.filter((other) => other !== node);
    };
    this.clicking.push(node);
    this.clicks += 1;
  }

  private hush(): void {
    for (const node of this.clicking) node.stop();
    this.clicking = [];
  }

  private start(i: number, when: number, late: boolean): void {
    const notes = this.hub.notes;
    const context = this.context as AudioContext;
    const track = notes.track[i];
    const span = this.spans[this.spans.length - 1];
    const from = late ? span.at + (when - span.from) * span.rate : notes.onset[i];
    // In a loop each pass has voices of its own.
    const last = this.loop.on ? span.at + (span.to - span.from) * span.rate : Infinity;
    const voice = this.instrument(context, this.trackNode(track), {
      when: Math.max(when, context.currentTime),
      duration: Math.max(0.03, (Math.min(notes.offset[i], last) - from) / span.rate),
      pitch: notes.pitch[i],
      velocity: notes.velocity[i],
      program: this.hub.tracks[track]?.program ?? 0,
      late,
    });
    this.sounding.push({
      voice,
      onset: notes.onset[i],
      offset: notes.offset[i],
      pitch: notes.pitch[i],
      track,
      starts: when,
    });
  }

  /** Stop everything that sounds or is about to, without a click. */
  private silence(): void {
    const now = this.context?.currentTime ?? 0;
    for (const s of this.sounding) s.voice.stop(now);
    this.sounding = [];
    for (const { node, gain } of this.sources) {
      gain.gain.cancelScheduledValues(now);
      gain.gain.setTargetAtTime(0, now, 0.004);
      node.stop(now + 0.03);
    }
    this.sources = [];
    this.stretcher?.stop(now);
    for (const { voice } of this.ringing) voice.stop(now);
    this.ringing = [];
    this.hush();
  }

  /** While playing, a new note table replaces the old one without a gap: what is in both sounds on. */
  private notesChanged(): void {
    if (!this.playing || !this.context) return;
    const notes = this.hub.notes;
    const now = this.context.currentTime;
    const kept: Sounding[] = [];
    const known = new Set<string>();
    const key = (pitch: number, track: number, onset: number) => `${pitch}|${track}|${Math.round(onset * 50)}`;
    for (const s of this.sounding) {
      const i = this.find(s.pitch, s.track, s.onset);
      if (i < 0) {
        s.voice.stop(now);
        continue;
      }
      if (Math.abs(notes.offset[i] - s.offset) > 0.02) {
        // Its length has changed: end it at its new end, or with the pass of a loop.
        const pass = this.spans[this.spans.length - 1];
        const last = this.loop.on && pass ? pass.to : Infinity;
        const end = Math.min(last, s.starts + (notes.offset[i] - s.onset) / this.rate);
        s.voice.release(Math.max(now, end));
        s.offset = notes.offset[i];
      }
      known.add(key(s.pitch, s.track, s.onset));
      kept.push(s);
    }
    this.sounding = kept;
    const span = this.spans[this.spans.length - 1];
    if (!span || now < span.from) return;
    // New notes that should already sound, up to where the scheduler has come.
    for (let i = firstAt(notes, this.at(now) - notes.longest); i < notes.n && notes.onset[i] < this.scheduledTo; i++) {
      if (notes.offset[i] < this.at(now) + 0.08) continue;
      if (known.has(key(notes.pitch[i], notes.track[i], notes.onset[i]))) continue;
      const begins = span.from + (notes.onset[i] - span.at) / span.rate;
      this.start(i, Math.max(now + 0.005, begins), begins < now);
    }
  }

  private find(pitch: number, track: number, onset: number): number {
    const notes = this.hub.notes;
    for (let i = firstAt(notes, onset - 0.03); i < notes.n && notes.onset[i] < onset + 0.03; i++) {
      if (notes.pitch[i] === pitch && notes.track[i] === track) return i;
    }
    return -1;
  }

  /** Sound one pitch at once: what a piano key does. */
  async audition(pitch: number, track = 0, velocity = 90, duration = 0.5, program = -1): Promise<void> {
    const context = this.ready();
    if (context.state !== "running") await context.resume();
    this.instrument(context, this.trackNode(track), {
      when: context.currentTime + 0.01,
      duration,
      pitch,
      velocity,
      program: program >= 0 ? program : (this.hub.tracks[track]?.program ?? 0),
      late: false,
    });
  }

  /** Root mean square of what comes out now: for meters and tests. */
  level(): number {
    if (!this.analyser) return 0;
    const data = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(data);
    let sum = 0;
    for (const x of data) sum += x * x;
    return Math.sqrt(sum / data.length);
  }

  /** The transcription alone as samples, faster than real time. */
  async render(sampleRate = 44100): Promise<AudioBuffer> {
    const notes = this.hub.notes;
    let end = this.hub.duration;
    for (let i = 0; i < notes.n; i++) end = Math.max(end, notes.offset[i]);
    const context = new OfflineAudioContext(2, Math.max(1, Math.ceil((end + 0.8) * sampleRate)), sampleRate);
    const out = context.createGain();
    out.gain.value = 0.8;
    const limit = context.createDynamicsCompressor();
    limit.threshold.value = -6;
    limit.ratio.value = 12;
    out.connect(limit).connect(context.destination);
    const tracks = this.hub.tracks.map((_, i) => {
      const gain = context.createGain();
      gain.gain.value = this.hub.audible(i) ? (this.hub.mix[i]?.volume ?? 1) : 0;
      gain.connect(out);
      return gain;
    });
    for (let i = 0; i < notes.n; i++) {
      this.instrument(context, tracks[notes.track[i]] ?? out, {
        when: notes.onset[i],
        duration: notes.offset[i] - notes.onset[i],
        pitch: notes.pitch[i],
        velocity: notes.velocity[i],
        program: this.hub.tracks[notes.track[i]]?.program ?? 0,
        late: false,
      });
    }
    const kit = context.createGain();
    kit.gain.value = this.hub.kitAudible ? this.hub.kit.volume : 0;
    kit.connect(out);
    const { strokes } = this.hub;
    for (let i = 0; i < strokes.n; i++) {
      this.instrument(context, kit, { when: strokes.time[i], duration: ringing(strokes.key[i]), pitch: strokes.key[i], velocity: strokes.velocity[i], program: 0, late: false, drum: true });
    }
    return context.startRendering();
  }
}
