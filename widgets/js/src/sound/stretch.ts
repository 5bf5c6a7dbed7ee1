// Speed with the pitch kept: waveform-similarity overlap-add (Verhelst and Roelands 1993). Grains of the recording are
// laid at a steady pace on the audio clock; each is taken from near where the speed asks for it, from the place where
// its wave best continues the grain before.

const GRAIN_S = 0.08;
const SEARCH_S = 0.014;

export class Stretcher {
  private next = 0;
  private position = 0;
  private rate = 1;
  private last = -1;
  private live: { node: AudioBufferSourceNode; gain: GainNode; end: number }[] = [];
  private readonly window: Float32Array;

  constructor(
    private readonly samples: Float32Array,
    private readonly sampleRate: number,
  ) {
    this.window = new Float32Array(64);
    for (let i = 0; i < 64; i++) this.window[i] = Math.sin((Math.PI * i) / 63) ** 2;
  }

  reset(position: number, when: number, rate: number): void {
    this.position = position;
    this.next = when;
    this.rate = rate;
    this.last = -1;
  }

  /** Lay grains until a context time. */
  run(context: BaseAudioContext, buffer: AudioBuffer, out: AudioNode, until: number): void {
    const hop = GRAIN_S / 2;
    while (this.next < until) {
      // The middle of the grain, where it is loudest, is to sound when the notes of that moment do.
      const wanted = Math.max(0, Math.round((this.position - (GRAIN_S / 2) * (1 - this.rate)) * this.sampleRate));
      const start = this.last < 0 ? wanted : this.best(wanted, this.last + Math.round(hop * this.sampleRate));
      if (start >= this.samples.length) return;
      const gain = context.createGain();
      gain.gain.value = 0;
      const when = Math.max(this.next, context.currentTime + 0.001);
      gain.gain.setValueCurveAtTime(this.window, when, GRAIN_S);
      const node = new AudioBufferSourceNode(context, { buffer });
      node.connect(gain).connect(out);
      node.start(when, Math.max(0, start) / this.sampleRate, GRAIN_S);
      const grain = { node, gain, end: when + GRAIN_S };
      node.onended = () => {
        gain.disconnect();
        this.live.splice(this.live.indexOf(grain), 1);
      };
      this.live.push(grain);
      this.last = Math.max(0, start);
      this.next += hop;
      this.position += hop * this.rate;
    }
  }

  stop(when: number): void {
    for (const { node } of this.live.slice()) node.stop(when + 0.02);
  }

  /** Where near `wanted` the samples look most like those at `target`, the natural continuation. */
  private best(wanted: number, target: number): number {
    const x = this.samples;
    const reach = Math.round(SEARCH_S * this.sampleRate);
    const length = Math.round((GRAIN_S / 2) * this.sampleRate);
    if (target + length >= x.length || wanted + reach + length >= x.length) return wanted;
    // Of places that fit alike (periods of a steady tone, silence) the nearest, lest the recording run ahead.
    const far = 0.1 / reach;
    const score = (start: number, stride: number): number => {
      let dot = 0;
      let energy = 1e-9;
      for (let i = 0; i < length; i += stride) {
        const v = x[start + i];
        dot += v * x[target + i];
        energy += v * v;
      }
      return dot / Math.sqrt(energy);
    };
    const search = (from: number, to: number, step: number, stride: number): number => {
      let best = wanted;
      let top = -Infinity;
      for (let s = Math.max(0, from); s <= to; s += step) {
        const value = score(s, stride) - far * Math.abs(s - wanted);
        if (value > top) [best, top] = [s, value];
      }
      return best;
    };
    const coarse = search(wanted - reach, wanted + reach, 3, 4);
    return search(coarse - 3, coarse + 3, 1, 1);
  }
}
