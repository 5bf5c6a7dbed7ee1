// Notes as files: standard MIDI and CSV, as amtsep/formats.py writes them.

const TICKS_PER_BEAT = 960;
const TEMPO_US = 500_000; // a beat: 120 a minute, a grid only
const TICKS_PER_S = (TICKS_PER_BEAT * 1e6) / TEMPO_US;

/** Of one pitch, each note ends where the next begins; of those that begin together the longest stays. */
function separate(notes) {
  const result = [];
  const last = new Map();
  for (const note of notes) {
    const before = last.get(note.pitch);
    const own = { pitch: note.pitch, velocity: note.velocity, start: Math.round(note.onset * TICKS_PER_S) };
    own.end = Math.max(own.start + 1, Math.round(note.offset * TICKS_PER_S));
    if (before && own.start <= before.start) {
      before.end = Math.max(before.end, own.end);
      before.velocity = Math.max(before.velocity, own.velocity);
      continue;
    }
    if (before) before.end = Math.min(before.end, own.start);
    last.set(note.pitch, own);
    result.push(own);
  }
  return result;
}

/** A standard MIDI file of type 1: a tempo track and one of notes. */
export function midiFile(notes, title) {
  const events = separate(notes).flatMap(({ start, end, pitch, velocity }) => [
    { tick: end, on: 0, bytes: [0x80, pitch, 0] },
    { tick: start, on: 1, bytes: [0x90, pitch, velocity] },
  ]);
  // At one tick, endings come before beginnings.
  events.sort((a, b) => a.tick - b.tick || a.on - b.on);
  const text = (kind, value) => {
    const letters = [...new TextEncoder().encode(value)];
    return [0, 0xff, kind, ...varint(letters.length), ...letters];
  };
  let now = 0;
  const body = events.flatMap(({ tick, bytes }) => {
    const delta = varint(tick - now);
    now = tick;
    return [...delta, ...bytes];
  });
  const end = [0, 0xff, 0x2f, 0];
  const tempo = [0, 0xff, 0x51, 3, ...big(TEMPO_US, 3), 0, 0xff, 0x58, 4, 4, 2, 24, 8];
  return Uint8Array.from([
    ...chunk("MThd", [0, 1, 0, 2, ...big(TICKS_PER_BEAT, 2)]),
    ...chunk("MTrk", [...text(3, title), ...tempo, ...end]),
    ...chunk("MTrk", [...text(3, "Notes"), 0, 0xc0, 0, ...body, ...end]),
  ]);
}

const big = (value, bytes) => Array.from({ length: bytes }, (_, i) => (value >> (8 * (bytes - 1 - i))) & 255);

const chunk = (name, data) => [...new TextEncoder().encode(name), ...big(data.length, 4), ...data];

/** Seven bits a byte, the highest bit set on all but the last. */
function varint(value) {
  const bytes = [value & 127];
  while ((value >>= 7)) bytes.unshift((value & 127) | 128);
  return bytes;
}

export function csvFile(notes) {
  const rows = notes.map((n) => [n.onset.toFixed(6), n.offset.toFixed(6), n.pitch, n.velocity, n.confidence.toFixed(6), "Notes"]);
  return [["onset_s", "offset_s", "pitch", "velocity", "confidence", "track"], ...rows].map((r) => `${r.join(",")}\n`).join("");
}
