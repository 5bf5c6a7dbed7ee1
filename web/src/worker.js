// The network, off the page's thread: samples in, posteriors out, chunk by chunk, as amtsep.inference.Transcriber does it.

import * as ort from "../vendor/ort.wasm.bundle.min.mjs";
import { PLAY_RATE, halve } from "./audio.js";
import { conditioning } from "./loudness.js";
import { readMetadata } from "./onnx.js";

const CHUNK_FRAMES = 1292; // 15 s: the result does not depend on it
const DIGITS = 12;
let cancelled = 0;
let loading = null;

async function load({ model, runtime }) {
  const [network, wasm] = await Promise.all([model, runtime].map(fetchBytes));
  ort.env.wasm.wasmBinary = wasm.buffer;
  // Threads need a server that isolates the page (serve.py does, http.server does not).
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  // Threads that spin while they wait for one another take many times as long on a busy computer.
  const extra = { session: { intra_op: { allow_spinning: "0" } } };
  const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"], extra });
  const { amtsep: about } = readMetadata(network);
  // Known by its weights: what a timbre sounds like is known for one network. Without https there is no digest.
  const digest = await crypto.subtle?.digest("SHA-256", network);
  const hash = digest && [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { session, about, hash };
}

/** A file, unpacked if it is gzipped still: some servers say so in a header and the browser has done it, others do not. */
async function fetchBytes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

/** A vector for every pitch and frame, eight bits a number, as amtsep.inference keeps it. */
function keepEmbedding(result, { data, dims }, first, last, halo) {
  const [, rows, width, dim] = dims;
  result.dim = dim;
  result.embedding ??= new Int8Array(rows * result.frames * dim);
  for (let r = 0; r < rows; r++) {
    const from = (r * width + halo) * dim;
    const to = (r * result.frames + first) * dim;
    for (let i = 0; i < (last - first) * dim; i++) result.embedding[to + i] = Math.round(data[from + i] * 127);
  }
}

async function transcribe({ id, samples, levels, loudness }) {
  const { session, about, hash } = await loading;
  const { halo, front_end: front } = about;
  const rate = about.input_rate ?? front.sample_rate;
  const sound = rate === PLAY_RATE ? samples : halve(samples);
  const hop = (front.hop_length * rate) / front.sample_rate;
  const frames = Math.max(1, Math.ceil(sound.length / hop));
  // What a chunk cannot know: how loud the whole is, and the music around it.
  const level = conditioning(sound, hop, hop / rate, front, loudness);
  const result = { frames, hop: hop / rate, duration: sound.length / rate, bins: front.n_bins, perOctave: front.bins_per_octave, model: about.name };
  let rows = 0;
  for (let first = 0; first < frames; first += CHUNK_FRAMES) {
    if (cancelled >= id) return null;
    const last = Math.min(first + CHUNK_FRAMES, frames);
    const width = last - first + 2 * halo;
    const chunk = new Float32Array(width * hop);
    const from = (first - halo) * hop;
    level.fill(chunk, from);
    const out = await session.run({ audio: new ort.Tensor("float32", chunk, [1, chunk.length]) });
    rows = out.onset.dims[1];
    for (const name of ["onset", "frame", "offset"].filter((n) => n in out)) {
      result[name] ??= new Float32Array(rows * frames);
      for (let r = 0; r < rows; r++) {
        const start = r * width + halo;
        result[name].set(out[name].data.subarray(start, start + last - first), r * frames + first);
      }
    }
    if (out.embedding) {
      keepEmbedding(result, out.embedding, first, last, halo);
      // As amtsep.inference calls it: what is fitted to its embedding belongs to these weights.
      const weights = about.weights ?? hash;
      if (weights) result.model = `${about.name} ${weights.slice(0, DIGITS)}`;
    }
    result.spectrogram ??= new Uint8Array(front.n_bins * frames);
    for (let t = first; t < last; t++) {
      const lift = level.lift(t);
      for (let b = 0; b < front.n_bins; b++) {
        const db = out.level.data[b * width + halo + t - first] + lift;
        result.spectrogram[b * frames + t] = Math.min(255, Math.max(0, Math.round((db - levels.floor) / levels.step)));
      }
    }
    for (const tensor of Object.values(out)) tensor.dispose();
    postMessage({ id, done: Math.min((last * hop) / rate, result.duration), total: result.duration });
    // Let a request to stop come in.
    await new Promise((go) => setTimeout(go));
  }
  return result;
}

self.onmessage = async ({ data }) => {
  if (data.do === "cancel") cancelled = data.id;
  else if (data.do === "load") loading = load(data);
  else {
    try {
      const result = await transcribe(data);
      if (!result) postMessage({ id: data.id, cancelled: true });
      else postMessage({ id: data.id, result }, ["onset", "frame", "offset", "spectrogram", "embedding"].flatMap((n) => result[n]?.buffer ?? []));
    } catch (error) {
      postMessage({ id: data.id, error: String(error?.message ?? error) });
    }
  }
};
