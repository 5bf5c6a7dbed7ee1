// The built-in synthesiser: plain additive tones shaped by family of instrument, ready at once and always there. It
// plays while a soundfont is on its way, and where there is none.

import { makeDrum } from "./kit";

export interface Tone {
  when: number;
  duration: number;
  pitch: number;
  velocity: number;
  program: number;
  /** Joined in the middle: a soft attack instead of the instrument's. */
  late: boolean;
  /** A stroke of a drum: `pitch` is a General MIDI drum sound. */
  drum?: boolean;
}

export interface Voice {
  /** End now, without a click. */
  stop(when: number): void;
  /** Let go of the key at a time (the end planned before is forgotten). */
  release(when: number): void;
}

export type Instrument = (context: BaseAudioContext, out: AudioNode, tone: Tone) => Voice;

interface Shape {
  harmonics: number[];
  attack: number;
  /** Time constant of the fall while the key is down; 0 = sustained. */
  decay: number;
  release: number;
  vibrato: number;
  level: number;
}

const SHAPES: Record<string, Shape> = {
  piano: { harmonics: [1, 0.55, 0.32, 0.2, 0.12, 0.08, 0.05, 0.03], attack: 0.003, decay: 1.3, release: 0.09, vibrato: 0, level: 0.3 },
  pluck: { harmonics: [1, 0.7, 0.45, 0.35, 0.2, 0.15, 0.1, 0.07, 0.05], attack: 0.002, decay: 0.7, release: 0.07, vibrato: 0, level: 0.3 },
  organ: { harmonics: [1, 0.6, 0.4, 0.3, 0, 0.2, 0, 0.15], attack: 0.012, decay: 0, release: 0.06, vibrato: 0, level: 0.17 },
  bow: { harmonics: [1, 0.62, 0.5, 0.38, 0.3, 0.22, 0.16, 0.12, 0.09, 0.06], attack: 0.05, decay: 0, release: 0.1, vibrato: 5, level: 0.17 },
  brass: { harmonics: [1, 0.8, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.06], attack: 0.03, decay: 0, release: 0.07, vibrato: 0, level: 0.16 },
  reed: { harmonics: [1, 0.08, 0.6, 0.1, 0.4, 0.1, 0.22, 0.06, 0.1], attack: 0.025, decay: 0, release: 0.06, vibrato: 2, level: 0.2 },
  flute: { harmonics: [1, 0.3, 0.1, 0.04, 0.02], attack: 0.04, decay: 0, release: 0.08, vibrato: 4, level: 0.26 },
  bell: { harmonics: [1, 0, 0, 0.5, 0, 0, 0, 0, 0.2], attack: 0.001, decay: 0.9, release: 0.3, vibrato: 0, level: 0.3 },
};

const FAMILIES = [
  "piano", "bell", "organ", "pluck", "pluck", "bow", "bow", "brass", "reed", "flute", "organ", "bow", "organ", "pluck",
  "bell", "flute",
];

const waves = new WeakMap<BaseAudioContext, Map<string, PeriodicWave>>();

function wave(context: BaseAudioContext, name: string): PeriodicWave {
  let all = waves.get(context);
  if (!all) waves.set(context, (all = new Map()));
  let found = all.get(name);
  if (!found) {
    const { harmonics } = SHAPES[name];
    const imag = new Float32Array(harmonics.length + 1);
    imag.set(harmonics, 1);
    found = context.createPeriodicWave(new Float32Array(imag.length), imag);
    all.set(name, found);
  }
  return found;
}

export const makeBuiltIn: Instrument = (context, out, tone) => {
  if (tone.drum) return makeDrum(context, out, tone);
  const name = FAMILIES[(tone.program >> 3) & 15];
  const shape = SHAPES[name];
  const oscillator = context.createOscillator();
  // From nothing: a voice that is stopped before it has begun is not heard.
  const envelope = new GainNode(context, { gain: 0 });
  const { when } = tone;
  const attack = tone.late ? 0.03 : shape.attack;
  // Higher notes fall faster, as strings do.
  const decay = shape.decay * 2 ** ((60 - tone.pitch) / 24);
  const level = shape.level * (tone.velocity / 127) ** 1.5 + 0.01;
  oscillator.setPeriodicWave(wave(context, name));
  oscillator.frequency.value = 440 * 2 ** ((tone.pitch - 69) / 12);
  const filter = context.createBiquadFilter();
  filter.type = "lowpass";
  filter.frequency.value = Math.min(12000, oscillator.frequency.value * (3 + 7 * (tone.velocity / 127)));
  envelope.gain.setValueAtTime(0, when);
  envelope.gain.linearRampToValueAtTime(level, when + attack);
  if (decay > 0) envelope.gain.setTargetAtTime(level * 0.04, when + attack, decay);
  if (shape.vibrato && tone.duration > 0.35) {
    const lfo = context.createOscillator();
    const depth = context.createGain();
    lfo.frequency.value = 5.3;
    depth.gain.setValueAtTime(0, when + 0.2);
    depth.gain.linearRampToValueAtTime(shape.vibrato, when + 0.6);
    lfo.connect(depth).connect(oscillator.detune);
    lfo.start(when);
    lfo.stop(when + tone.duration + 1);
  }
  oscillator.connect(filter).connect(envelope).connect(out);
  oscillator.start(when);
  const end = Math.max(when + attack, when + tone.duration);
  hold(envelope.gain, end);
  envelope.gain.setTargetAtTime(0, end, shape.release / 3);
  oscillator.stop(end + shape.release * 2);
  oscillator.onended = () => envelope.disconnect();
  return {
    stop(at) {
      hold(envelope.gain, at);
      envelope.gain.setTargetAtTime(0, at, 0.012);
      oscillator.stop(Math.max(at, when) + 0.08);
    },
    release(at) {
      hold(envelope.gain, at);
      envelope.gain.setTargetAtTime(0, at, shape.release / 3);
      oscillator.stop(Math.max(at, when) + shape.release * 2);
    },
  };
};

/** Keep the value that an automation has reached at a time; browsers without cancelAndHoldAtTime just cut there. */
export function hold(param: AudioParam, at: number): void {
  if (param.cancelAndHoldAtTime) param.cancelAndHoldAtTime(at);
  else param.cancelScheduledValues(at);
}
