// Random draws as NumPy's default generator makes them (PCG64, O'Neill 2014), so that a long recording is thinned to the
// same notes here and there.

/** State and increment of the generator, as decimal numbers. */
export interface Stream {
  state: string;
  inc: string;
}

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const BITS_128 = (1n << 128n) - 1n;
const BITS_64 = (1n << 64n) - 1n;
/** A list longer than this is shuffled from its end, where many of it are wanted. */
const LONG = 10_000;
const MANY = 50;

export class Draw {
  private state: bigint;
  private readonly inc: bigint;
  private half: number | null = null;

  constructor(stream: Stream) {
    this.state = BigInt(stream.state);
    this.inc = BigInt(stream.inc);
  }

  private next64(): bigint {
    this.state = (this.state * MULTIPLIER + this.inc) & BITS_128;
    const value = ((this.state >> 64n) ^ this.state) & BITS_64;
    const turn = this.state >> 122n;
    return ((value >> turn) | (value << ((64n - turn) & 63n))) & BITS_64;
  }

  private next32(): number {
    if (this.half !== null) {
      const { half } = this;
      this.half = null;
      return half;
    }
    const both = this.next64();
    this.half = Number(both >> 32n);
    return Number(both & 0xffffffffn);
  }

  /** In [0, 1). */
  random(): number {
    return Number(this.next64() >> 11n) / 2 ** 53;
  }

  /** A whole number from 0 to `most` (Lemire 2019). */
  private upTo(most: number): number {
    if (!most) return 0;
    const count = BigInt(most + 1);
    const least = BigInt(0xffffffff - most) % count;
    for (;;) {
      const product = BigInt(this.next32()) * count;
      if ((product & 0xffffffffn) >= least) return Number(product >> 32n);
    }
  }

  /** `size` of 0 ... n - 1, each once, in no order. */
  some(n: number, size: number): number[] {
    if (n > LONG && size > Math.floor(n / MANY)) {
      const all = Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i >= Math.max(n - size, 1); i--) {
        const j = this.upTo(i);
        [all[i], all[j]] = [all[j], all[i]];
      }
      return all.slice(n - size);
    }
    const found = new Set<number>();
    for (let j = n - size; j < n; j++) {
      const value = this.upTo(j);
      found.add(found.has(value) ? j : value);
    }
    return [...found];
  }

  /** `size` indices, each once, with a chance in proportion to their weight. */
  weighted(weight: ArrayLike<number>, size: number): number[] {
    const left = Float64Array.from(weight);
    const found = new Set<number>();
    while (found.size < size) {
      const draws = Array.from({ length: size - found.size }, () => this.random());
      for (const i of found) left[i] = 0;
      const sums = new Float64Array(left.length);
      left.forEach((w, i) => (sums[i] = (i ? sums[i - 1] : 0) + w));
      const all = sums[sums.length - 1];
      for (const draw of draws) {
        let [low, high] = [0, sums.length];
        while (low < high) {
          const middle = (low + high) >> 1;
          if (sums[middle] / all <= draw) low = middle + 1;
          else high = middle;
        }
        found.add(low);
      }
    }
    return [...found];
  }
}
