// Notes as files made in the page: standard MIDI and CSV, as amtsep/formats writes them.

import type { Note } from "./edits";
import type { Track } from "./notes";

const TICKS_PER_BEAT = 960;
const TEMPO_US = 500_000; // a beat: 120 a minute, a grid only
const TICKS_PER_S = (TICKS_PER_BEAT * 1e6) / TEMPO_US;
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15];
const DRUMS = 9;

/** Of one pitch, each note ends where the next begins; of those that begin together the longest stays. */
function separate(notes: Note[]) {
  const result: { pitch: number; velocity: number; start: number; end: number }[] = [];
  const last = new Map<number, (typeof result)[0]>();
  for (const note of notes) {
    const before = last.get(note.pitch);
    const start = Math.round(note.onset * TICKS_PER_S);
    const own = { pitch: note.pitch, velocity: note.velocity, start, end: Math.max(start + 1, Math.round(note.offset * TICKS_PER_S)) };
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

/** A standard MIDI file of type 1: a tempo track, one for each track, and one of drums where there are strokes. */
export function midiFile(notes: Note[], title: string, tracks: Pick<Track, "name" | "program">[] = [{ name: "Notes", program: 0 }], strokes: Note[] = []): Uint8Array {
  const end = [0, 0xff, 0x2f, 0];
  const tempo = [0, 0xff, 0x51, 3, ...big(TEMPO_US, 3), 0, 0xff, 0x58, 4, 4, 2, 24, 8];
  const pieces = [chunk("MThd", [0, 1, ...big(tracks.length + 1 + (strokes.length ? 1 : 0), 2), ...big(TICKS_PER_BEAT, 2)]), chunk("MTrk", [...text(3, title), ...tempo, ...end])];
  tracks.forEach((track, index) => {
    const channel = CHANNELS[index % CHANNELS.length];
    const own = separate(notes.filter((n) => tracks.length === 1 || (n.track ?? 0) === index));
    pieces.push(chunk("MTrk", [...text(3, track.name), 0, 0xc0 | channel, track.program, ...body(own, channel), ...end]));
  });
  if (strokes.length) pieces.push(chunk("MTrk", [...text(3, "Drums"), 0, 0xc0 | DRUMS, 0, ...body(separate(strokes), DRUMS), ...end]));
  return Uint8Array.from(pieces.flat());
}

function body(notes: ReturnType<typeof separate>, channel: number): number[] {
  const events = notes.flatMap(({ start, end, pitch, velocity }) => [
    { tick: end, on: 0, bytes: [0x80 | channel, pitch, 0] },
    { tick: start, on: 1, bytes: [0x90 | channel, pitch, velocity] },
  ]);
  // At one tick, endings come before beginnings.
  events.sort((a, b) => a.tick - b.tick || a.on - b.on || a.bytes[1] - b.bytes[1]);
  let now = 0;
  let status = 0;
  return events.flatMap(({ tick, bytes }) => {
    const delta = varint(tick - now);
    now = tick;
    // A kind and channel that hold on are not said again ("running status").
    const said = bytes[0] === status ? bytes.slice(1) : bytes;
    [status] = bytes;
    return [...delta, ...said];
  });
}

function text(kind: number, value: string): number[] {
  const letters = [...new TextEncoder().encode(value)];
  return [0, 0xff, kind, ...varint(letters.length), ...letters];
}

const big = (value: number, bytes: number) => Array.from({ length: bytes }, (_, i) => (value >> (8 * (bytes - 1 - i))) & 255);

const chunk = (name: string, data: number[]) => [...new TextEncoder().encode(name), ...big(data.length, 4), ...data];

/** Seven bits a byte, the highest bit set on all but the last. */
function varint(value: number): number[] {
  const bytes = [value & 127];
  for (let rest = value >> 7; rest; rest >>= 7) bytes.unshift((rest & 127) | 128);
  return bytes;
}

export function csvFile(notes: Note[], tracks: Pick<Track, "name">[] = [{ name: "Notes" }]): string {
  const name = (n: Note) => (tracks[n.track ?? 0] ?? tracks[0]).name;
  const rows = notes.map((n) => [n.onset.toFixed(6), n.offset.toFixed(6), n.pitch, n.velocity, (n.confidence ?? 1).toFixed(6), quoted(name(n))]);
  return [["onset_s", "offset_s", "pitch", "velocity", "confidence", "track"], ...rows].map((r) => `${r.join(",")}\n`).join("");
}

const quoted = (value: string) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
