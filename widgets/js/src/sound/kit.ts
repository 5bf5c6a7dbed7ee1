// A plain drum kit of oscillators and noise, for where there is no soundfont.

import { ROWS, rowOf } from "../drums";
import type { Instrument } from "./synth";

const noises = new WeakMap<BaseAudioContext, AudioBuffer>();

function noise(context: BaseAudioContext): AudioBuffer {
  let buffer = noises.get(context);
  if (!buffer) {
    buffer = new AudioBuffer({ length: context.sampleRate, numberOfChannels: 1, sampleRate: context.sampleRate });
    const data = buffer.getChannelData(0);
    let state = 1;
    for (let i = 0; i < data.length; i++) {
      state = (state * 48271) % 2147483647;
      data[i] = (2 * state) / 2147483647 - 1;
    }
    noises.set(context, buffer);
  }
  return buffer;
}

interface Part {
  /** Falling tone from one frequency to another, or noise over (highpass) a frequency. */
  tone?: [number, number];
  over?: number;
  level: number;
  decay: number;
}

const PARTS: Record<string, Part[]> = {
  kick: [{ tone: [150, 48], level: 0.9, decay: 0.1 }, { over: 1500, level: 0.12, decay: 0.008 }],
  snare: [{ tone: [230, 180], level: 0.35, decay: 0.06 }, { over: 1200, level: 0.45, decay: 0.07 }],
  tom: [{ tone: [170, 105], level: 0.7, decay: 0.14 }],
  hihat: [{ over: 7500, level: 0.35, decay: 0.03 }],
  cymbal: [{ over: 4500, level: 0.35, decay: 0.4 }],
};

export const makeDrum: Instrument = (context, out, tone) => {
  const strength = (tone.velocity / 127) ** 1.5;
  const made = PARTS[ROWS[rowOf(tone.pitch)].name].map((part) => {
    const gain = context.createGain();
    gain.gain.setValueAtTime(part.level * strength, tone.when);
    gain.gain.setTargetAtTime(0, tone.when, part.decay);
    let node: AudioScheduledSourceNode;
    if (part.tone) {
      const oscillator = context.createOscillator();
      oscillator.frequency.setValueAtTime(part.tone[0], tone.when);
      oscillator.frequency.exponentialRampToValueAtTime(part.tone[1], tone.when + 0.08);
      oscillator.connect(gain);
      node = oscillator;
    } else {
      const filter = context.createBiquadFilter();
      filter.type = "highpass";
      filter.frequency.value = part.over ?? 0;
      const source = new AudioBufferSourceNode(context, { buffer: noise(context), loop: true });
      source.connect(filter).connect(gain);
      node = source;
    }
    gain.connect(out);
    node.start(tone.when);
    node.stop(tone.when + 8 * part.decay);
    node.onended = () => gain.disconnect();
    return { node, gain };
  });
  const stop = (at: number) => {
    for (const { node, gain } of made) {
      gain.gain.setTargetAtTime(0, at, 0.008);
      node.stop(at <= tone.when ? tone.when : at + 0.06);
    }
  };
  return { stop, release: () => undefined };
};
