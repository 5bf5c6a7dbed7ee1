// Embeddings of whole notes: amtsep/clustering/encoder.py, which says what and why; held to it by
// tests/vectors/clustering.json.

import type { CountModel } from "./count";

interface Packed {
  shape: number[];
  /** What one of the 16-bit numbers in `data` (base 64) is worth. */
  step: number;
  data: string;
}

/** What is in amtsep/clustering/note_encoder.json. */
export interface EncoderFile {
  /** First digits of the SHA-256 of the networks that it was fitted to. */
  networks: string[];
  /** Weight of the network's own embedding beside what comes out. */
  own: number;
  layers: [Packed, Packed][];
  /** Weights of the number of timbres that were fitted to what comes out. */
  count: CountModel;
}

interface Layer {
  rows: number;
  columns: number;
  matrix: Float32Array;
  bias: Float32Array;
}

const [BEFORE, ATTACK, LATE] = [2, 8, 10];
const CENTRES = Array.from({ length: 12 }, (_, i) => 24 + 7 * i);
const WIDTH = 4;

/** Frames of the attack and of the rest of a note that sounds from `first` to before `last`. */
export function stretches(first: number, last: number): [number, number][] {
  const begin = Math.max(first - BEFORE, 0);
  return [
    [begin, Math.max(Math.min(first + ATTACK, last), begin + 1)],
    [first + Math.min(LATE, Math.floor((last - first) / 2)), last],
  ];
}

export class NoteEncoder {
  private constructor(
    private readonly layers: Layer[],
    private readonly own: number,
    readonly count: CountModel,
  ) {}

  /** The encoder for what a network says (its name and version, numbers a note), null where none was fitted. */
  static for(file: EncoderFile | null, model: string, dim: number): NoteEncoder | null {
    if (!file?.networks.includes(model.slice(model.lastIndexOf(" ") + 1))) return null;
    const layers = file.layers.map(([matrix, bias]) => {
      const [rows, columns] = matrix.shape;
      return { rows, columns, matrix: unpack(matrix), bias: unpack(bias) };
    });
    return layers[0].rows === 3 + CENTRES.length + 3 * dim ? new NoteEncoder(layers, file.own, file.count) : null;
  }

  /** Unit vector of a note; `pooled` are those of the whole, the attack and the rest. The first stands in it, too. */
  encode(pitch: number, pooled: Float32Array[]): Float32Array {
    const high = (pitch - 64) / 12;
    const registers = CENTRES.map((centre) => Math.exp(-0.5 * ((pitch - centre) / WIDTH) ** 2));
    const [first, ...inner] = this.layers;
    const last = inner.pop() as Layer;
    let x = times(Float64Array.of(high, high ** 2 / 3, high ** 3 / 9, ...registers, ...pooled.flatMap((part) => [...part])), first);
    for (let i = 0; i < inner.length; i += 2) {
      const lifted = times(times(unitVariance(x), inner[i]).map((value) => Math.max(value, 0)), inner[i + 1]);
      x = x.map((value, j) => value + lifted[j]);
    }
    const found = times(unitVariance(x), last);
    const { own } = this;
    const length = (Math.sqrt(found.reduce((total, value) => total + value * value, 0)) + 1e-9) * Math.sqrt(1 + own);
    const kept = Math.sqrt(own / (1 + own));
    return Float32Array.of(...found.map((value) => value / length), ...pooled[0].map((value) => value * kept));
  }
}

function unpack({ shape, step, data }: Packed): Float32Array {
  const text = atob(data);
  const size = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from({ length: size }, (_, i) => {
    const value = text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8);
    return (value < 32768 ? value : value - 65536) * step;
  });
}

function times(x: Float64Array, { rows, columns, matrix, bias }: Layer): Float64Array {
  const found = Float64Array.from(bias);
  for (let i = 0; i < rows; i++) {
    const value = x[i];
    if (value) for (let j = 0, at = i * columns; j < columns; j++, at++) found[j] += value * matrix[at];
  }
  return found;
}

/** With mean zero and variance one. */
function unitVariance(x: Float64Array): Float64Array {
  const mean = x.reduce((total, value) => total + value, 0) / x.length;
  const spread = Math.sqrt(x.reduce((total, value) => total + (value - mean) ** 2, 0) / x.length + 1e-5);
  return x.map((value) => (value - mean) / spread);
}
