// A session as one file, as the dashboard writes and reads it (widgets/state/session_file.py): the recording, what the
// network said of it, and a person's work.

import { npy, npyText, readNpy, unzip, zip } from "./archive.js";

/** As widgets/state/session_file.py: since version 2 the energy tolerance is in seconds, before it was in frames. */
const VERSION = 2;
const FRAME_S = 256 / 22050;
const MOST_BYTES = 2 ** 31;
const MOST_ORIGINAL = 400 * 2 ** 20;
const PITCHES = 88;
const SHARES = ["onset", "frame", "offset"];
/** What the dashboard knows and this page does not show: it goes along from file to file. */
const OTHERS = ["drums", "stereo", "stereo_hop_s", "tuning"].map((name) => `${name}.npy`);
const REFERENCE = "reference.json";

/**
 * `{name, state, sorted, posteriors, sound, original, reference, grid}` to bytes; `sound` is {samples, rate}, `original`
 * the file brought, `reference` what `readSession` found of one.
 */
export async function writeSession({ name, state, sorted, posteriors, sound, original, reference = null, grid = null }) {
  const peak = sound.samples.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
  const about = {
    amtsep_session: VERSION,
    name,
    gain: peak,
    state,
    reference_name: reference?.name ?? "",
    reference_heard: Boolean(reference?.heard),
    reference_settings: reference?.settings ?? null,
    ...(grid && { grid }),
    posteriors: "",
    turn: 0,
    sorted: sorted && [sorted.map((n) => n.pitch), sorted.map((n) => Math.round(n.onset * 1e4) / 1e4), sorted.map((n) => n.track)],
  };
  const members = {
    "session.json": new TextEncoder().encode(JSON.stringify(about)),
    "audio.wav": wav24(sound.samples, peak, sound.rate),
    "posteriors.npz": await zip(arrays(posteriors), () => true),
  };
  if (reference) members[REFERENCE] = reference.notes;
  if (original && original.length <= MOST_ORIGINAL) members.original = original;
  return zip(members);
}

function arrays({ spectrogram, embedding, dim, frames, bins, perOctave, hop, duration, model, others, ...shares }) {
  const members = { "format_version.npy": npy(BigInt64Array.of(1n), []) };
  for (const name of SHARES.filter((share) => shares[share])) {
    members[`${name}.npy`] = npy(Uint16Array.from(shares[name], (x) => Math.round(Math.min(1, Math.max(0, x)) * 65535)), [PITCHES, frames]);
  }
  members["spectrogram.npy"] = npy(spectrogram, [bins, frames]);
  members["hop_s.npy"] = npy(Float64Array.of(hop), []);
  members["duration_s.npy"] = npy(Float64Array.of(duration), []);
  members["bins_per_octave.npy"] = npy(BigInt64Array.of(BigInt(perOctave)), []);
  members["model.npy"] = npyText(model);
  members["tuning.npy"] = npy(Float64Array.of(0), []);
  if (embedding) members["embedding.npy"] = npy(embedding, [PITCHES, frames, dim]);
  return { ...members, ...others };
}

/** What `writeSession`, or the dashboard, wrote; throws where the file is none, or holds what cannot be. */
export async function readSession(bytes) {
  const members = await unzip(bytes, MOST_BYTES);
  const about = JSON.parse(new TextDecoder().decode(members["session.json"]));
  if (!(about.amtsep_session <= VERSION)) throw new Error("newer");
  const { decoding } = about.state;
  if (about.amtsep_session < 2) decoding.energy_tolerance = Math.round(decoding.energy_tolerance * FRAME_S * 100) / 100;
  const network = await unzip(members["posteriors.npz"], MOST_BYTES);
  const read = (name) => readNpy(network[`${name}.npy`]);
  const [, frames] = read("onset").shape;
  const others = Object.fromEntries(OTHERS.filter((name) => network[name]).map((name) => [name, network[name]]));
  const posteriors = { frames, model: read("model").text, others };
  for (const name of SHARES.filter((share) => share !== "offset" || network["offset.npy"])) {
    const { shape, values } = read(name);
    if (!(values instanceof Uint16Array) || shape[0] !== PITCHES || shape[1] !== frames) throw new Error(name);
    posteriors[name] = Float32Array.from(values, (x) => Math.fround(x / 65535));
  }
  const { shape, values } = read("spectrogram");
  if (shape[1] !== frames) throw new Error("spectrogram");
  const [hop, duration] = ["hop_s", "duration_s"].map((name) => read(name).values[0]);
  if (!(hop > 1e-4 && hop < 1 && duration >= 0 && Math.abs(frames * hop - duration) <= 1 + hop)) throw new Error("time");
  Object.assign(posteriors, { spectrogram: values, bins: shape[0], perOctave: Number(read("bins_per_octave").values[0]), hop, duration });
  if (network["embedding.npy"]) {
    const heard = read("embedding");
    if (heard.shape[0] !== PITCHES || heard.shape[1] !== frames || !(heard.values instanceof Int8Array)) throw new Error("embedding");
    Object.assign(posteriors, { embedding: heard.values, dim: heard.shape[2] });
  }
  const sorted = about.sorted?.[0].map((pitch, i) => ({ pitch, onset: about.sorted[1][i], offset: about.sorted[1][i] + 0.05, track: about.sorted[2][i] })) ?? null;
  const sound = members["audio.wav"] ?? members["audio.flac"];
  if (!sound) throw new Error("sound");
  const notes = members[REFERENCE];
  const reference = notes
    ? { notes, name: String(about.reference_name), heard: Boolean(about.reference_heard), settings: about.reference_settings ?? null }
    : null;
  return { name: String(about.name), state: about.state, sorted, posteriors, sound, original: members.original ?? null, reference, grid: about.grid };
}

/** Mono, 24 bit, turned down by `gain`. */
function wav24(samples, gain, rate) {
  const out = new Uint8Array(44 + 3 * samples.length);
  const view = new DataView(out.buffer);
  out.set(new TextEncoder().encode("RIFF____WAVEfmt ____"));
  out.set(new TextEncoder().encode("data"), 36);
  [[4, 36 + 3 * samples.length], [16, 16], [24, rate], [28, 3 * rate], [40, 3 * samples.length]].forEach(([at, value]) => view.setUint32(at, value, true));
  [[20, 1], [22, 1], [32, 3], [34, 24]].forEach(([at, value]) => view.setUint16(at, value, true));
  samples.forEach((x, i) => {
    const value = Math.round((x / gain) * 8388607);
    out.set([value & 255, (value >> 8) & 255, (value >> 16) & 255], 44 + 3 * i);
  });
  return out;
}
