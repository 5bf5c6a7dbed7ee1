// A player of SoundFont 2 files on plain Web Audio nodes, so that notes start at exact times and no worklet (which pages
// without https may not have) is needed. After the SoundFont Technical Specification 2.04; what transcribed notes need:
// key and velocity ranges, tuning, loops, volume envelope, filter, pan, attenuation.

import { type Instrument, type Voice, hold, makeBuiltIn } from "./synth";

export interface Soundfont {
  name: string;
  instrument: Instrument;
}

const enum Gen {
  StartOffset = 0,
  EndOffset = 1,
  LoopStartOffset = 2,
  LoopEndOffset = 3,
  StartCoarse = 4,
  FilterCutoff = 8,
  EndCoarse = 12,
  Pan = 17,
  Attack = 34,
  Hold = 35,
  Decay = 36,
  Sustain = 37,
  Release = 38,
  Instrument = 41,
  KeyRange = 43,
  VelocityRange = 44,
  LoopStartCoarse = 45,
  Attenuation = 48,
  LoopEndCoarse = 50,
  CoarseTune = 51,
  FineTune = 52,
  SampleId = 53,
  SampleModes = 54,
  ScaleTuning = 56,
  RootKey = 58,
}

/** Where kits are. */
const DRUM_BANK = 128;

/** Where no generator says otherwise. */
const DEFAULTS: Record<number, number> = {
  [Gen.FilterCutoff]: 13500,
  [Gen.Attack]: -12000,
  [Gen.Hold]: -12000,
  [Gen.Decay]: -12000,
  [Gen.Release]: -12000,
  [Gen.ScaleTuning]: 100,
  [Gen.RootKey]: -1,
};

/** Of these the preset's values do not add to the instrument's. */
const NOT_ADDED = new Set<number>([
  Gen.StartOffset, Gen.EndOffset, Gen.LoopStartOffset, Gen.LoopEndOffset, Gen.StartCoarse, Gen.EndCoarse,
  Gen.LoopStartCoarse, Gen.LoopEndCoarse, Gen.KeyRange, Gen.VelocityRange, Gen.SampleId, Gen.SampleModes, Gen.RootKey,
  Gen.Instrument,
]);

interface Zone {
  values: Map<number, number>;
  keys: [number, number];
  velocities: [number, number];
}

interface Sample {
  start: number;
  end: number;
  loopStart: number;
  loopEnd: number;
  rate: number;
  pitch: number;
  correction: number;
}

interface Region {
  keys: [number, number];
  velocities: [number, number];
  sample: Sample;
  get(gen: number): number;
}

const seconds = (timecents: number): number => 2 ** (timecents / 1200);

export function readSoundfont(data: Uint8Array): Soundfont {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const tag = (at: number) => String.fromCharCode(...data.subarray(at, at + 4));
  if (tag(0) !== "RIFF" || tag(8) !== "sfbk") throw new Error("not a SoundFont 2 file");
  const chunks = new Map<string, { at: number; size: number }>();
  const walk = (from: number, to: number) => {
    for (let at = from; at + 8 <= to; ) {
      const size = view.getUint32(at + 4, true);
      if (tag(at) === "LIST") walk(at + 12, Math.min(to, at + 8 + size));
      else chunks.set(tag(at), { at: at + 8, size });
      at += 8 + size + (size & 1);
    }
  };
  walk(12, data.byteLength);
  const part = (name: string) => chunks.get(name) ?? { at: 0, size: 0 };
  const records = <T>(name: string, size: number, read: (at: number) => T): T[] => {
    const { at, size: total } = part(name);
    return Array.from({ length: Math.floor(total / size) }, (_, i) => read(at + i * size));
  };
  const presets = records("phdr", 38, (at) => ({
    program: view.getUint16(at + 20, true),
    bank: view.getUint16(at + 22, true),
    bag: view.getUint16(at + 24, true),
  }));
  const instruments = records("inst", 22, (at) => view.getUint16(at + 20, true));
  const presetBags = records("pbag", 4, (at) => view.getUint16(at, true));
  const instrumentBags = records("ibag", 4, (at) => view.getUint16(at, true));
  const samples: Sample[] = records("shdr", 46, (at) => ({
    start: view.getUint32(at + 20, true),
    end: view.getUint32(at + 24, true),
    loopStart: view.getUint32(at + 28, true),
    loopEnd: view.getUint32(at + 32, true),
    rate: view.getUint32(at + 36, true),
    pitch: view.getUint8(at + 40),
    correction: view.getInt8(at + 41),
  }));
  const pcm = part("smpl");

  const zone = (chunk: string, from: number, to: number): Zone => {
    const made: Zone = { values: new Map(), keys: [0, 127], velocities: [0, 127] };
    for (let i = from; i < to; i++) {
      const at = part(chunk).at + i * 4;
      const gen = view.getUint16(at, true);
      if (gen === Gen.KeyRange) made.keys = [data[at + 2], data[at + 3]];
      else if (gen === Gen.VelocityRange) made.velocities = [data[at + 2], data[at + 3]];
      else made.values.set(gen, view.getInt16(at + 2, true));
    }
    return made;
  };
  const zones = (chunk: string, bags: number[], from: number, to: number, end: Gen): { all: Zone | null; list: Zone[] } => {
    const list = [];
    for (let b = from; b < to; b++) list.push(zone(chunk, bags[b], bags[b + 1]));
    const global = list.length && !list[0].values.has(end) ? (list.shift() as Zone) : null;
    return { all: global, list: list.filter((z) => z.values.has(end)) };
  };
  const both = (a: [number, number], b: [number, number]): [number, number] => [Math.max(a[0], b[0]), Math.min(a[1], b[1])];

  const regionsOf = (program: number, bank: number): Region[] => {
    const index = presets.findIndex((p, i) => i < presets.length - 1 && p.bank === bank && p.program === program);
    if (index < 0) return [];
    const found: Region[] = [];
    const outer = zones("pgen", presetBags, presets[index].bag, presets[index + 1].bag, Gen.Instrument);
    for (const preset of outer.list) {
      const number = preset.values.get(Gen.Instrument) as number;
      const inner = zones("igen", instrumentBags, instruments[number], instruments[number + 1], Gen.SampleId);
      for (const z of inner.list) {
        const sample = samples[z.values.get(Gen.SampleId) as number];
        if (!sample || sample.end <= sample.start) continue;
        found.push({
          keys: both(preset.keys, z.keys),
          velocities: both(preset.velocities, z.velocities),
          sample,
          get(gen) {
            const base = z.values.get(gen) ?? inner.all?.values.get(gen) ?? DEFAULTS[gen] ?? 0;
            if (NOT_ADDED.has(gen)) return base;
            return base + (preset.values.get(gen) ?? outer.all?.values.get(gen) ?? 0);
          },
        });
      }
    }
    return found;
  };
  const cache = new Map<number, Region[]>();
  const regions = (program: number, bank: number): Region[] => {
    const key = bank * 128 + program;
    let known = cache.get(key);
    if (!known) cache.set(key, (known = regionsOf(program, bank)));
    return known;
  };
  const buffers = new Map<Sample, AudioBuffer>();
  const bufferOf = (sample: Sample): AudioBuffer => {
    let buffer = buffers.get(sample);
    if (!buffer) {
      const n = Math.max(2, sample.end - sample.start);
      buffer = new AudioBuffer({ length: n, numberOfChannels: 1, sampleRate: Math.min(96000, Math.max(3000, sample.rate)) });
      const out = buffer.getChannelData(0);
      for (let i = 0; i < n; i++) {
        const at = pcm.at + 2 * (sample.start + i);
        out[i] = at + 1 < data.byteLength ? view.getInt16(at, true) / 32768 : 0;
      }
      buffers.set(sample, buffer);
    }
    return buffer;
  };

  const instrument: Instrument = (context, out, tone) => {
    const velocity = Math.min(127, Math.max(1, Math.round(tone.velocity)));
    const inside = (r: [number, number], v: number) => v >= r[0] && v <= r[1];
    const list = regions(tone.drum ? 0 : tone.program, tone.drum ? DRUM_BANK : 0).filter((r) => inside(r.keys, tone.pitch) && inside(r.velocities, velocity));
    if (!list.length) return makeBuiltIn(context, out, tone);
    const voices: Voice[] = list.slice(0, 4).map((region) => {
      const { sample } = region;
      const buffer = bufferOf(sample);
      const source = new AudioBufferSourceNode(context, { buffer });
      const root = region.get(Gen.RootKey) >= 0 ? region.get(Gen.RootKey) : sample.pitch;
      const cents =
        (tone.pitch - root) * region.get(Gen.ScaleTuning) +
        region.get(Gen.CoarseTune) * 100 +
        region.get(Gen.FineTune) +
        sample.correction;
      source.playbackRate.value = 2 ** (cents / 1200);
      const mode = region.get(Gen.SampleModes) & 3;
      if (mode === 1 || mode === 3) {
        const from = sample.loopStart - sample.start + region.get(Gen.LoopStartOffset) + 32768 * region.get(Gen.LoopStartCoarse);
        const to = sample.loopEnd - sample.start + region.get(Gen.LoopEndOffset) + 32768 * region.get(Gen.LoopEndCoarse);
        if (to > from + 1) {
          source.loop = true;
          source.loopStart = from / buffer.sampleRate;
          source.loopEnd = to / buffer.sampleRate;
        }
      }
      // From nothing: a voice that is stopped before it has begun is not heard.
      const envelope = new GainNode(context, { gain: 0 });
      const attenuation = 10 ** ((-0.4 * region.get(Gen.Attenuation)) / 200);
      const level = 0.55 * attenuation * (velocity / 127) ** 1.7;
      const attack = Math.max(tone.late ? 0.03 : 0.002, Math.min(2, seconds(region.get(Gen.Attack))));
      const holding = Math.min(5, seconds(region.get(Gen.Hold)));
      const decay = Math.max(0.01, Math.min(30, seconds(region.get(Gen.Decay))));
      const sustain = level * 10 ** (-Math.max(0, region.get(Gen.Sustain)) / 200);
      const release = Math.max(0.03, Math.min(1.2, seconds(region.get(Gen.Release))));
      const { when } = tone;
      envelope.gain.setValueAtTime(0, when);
      envelope.gain.linearRampToValueAtTime(level, when + attack);
      // The decay is linear in dB over 100 dB: as an exponential, a ninth of its time to fall to 1/e.
      envelope.gain.setTargetAtTime(sustain, when + attack + holding, decay / 9);
      const end = when + Math.max(attack, tone.duration);
      hold(envelope.gain, end);
      envelope.gain.setTargetAtTime(0, end, release / 5);
      let last: AudioNode = source;
      const cutoff = region.get(Gen.FilterCutoff);
      if (cutoff < 13400) {
        const filter = context.createBiquadFilter();
        filter.type = "lowpass";
        filter.frequency.value = Math.min(context.sampleRate / 2 - 100, 8.176 * 2 ** (cutoff / 1200));
        filter.Q.value = 0;
        last = last.connect(filter);
      }
      last = last.connect(envelope);
      const pan = region.get(Gen.Pan);
      if (pan) {
        const panner = context.createStereoPanner();
        panner.pan.value = Math.max(-1, Math.min(1, pan / 500));
        last = last.connect(panner);
      }
      last.connect(out);
      const tail = last;
      source.start(when, 0);
      source.stop(end + release * 1.6);
      source.onended = () => tail.disconnect();
      return {
        stop(at) {
          hold(envelope.gain, at);
          envelope.gain.setTargetAtTime(0, at, 0.012);
          source.stop(Math.max(at, when) + 0.08);
        },
        release(at) {
          hold(envelope.gain, at);
          envelope.gain.setTargetAtTime(0, at, release / 5);
          source.stop(Math.max(at, when) + release * 1.6);
        },
      };
    });
    return {
      stop: (at) => voices.forEach((v) => v.stop(at)),
      release: (at) => voices.forEach((v) => v.release(at)),
    };
  };
  const { at, size } = part("INAM");
  const name = new TextDecoder().decode(data.subarray(at, at + size)).split("\0")[0];
  return { name, instrument };
}
