// Zip archives and NumPy arrays, as far as a session file needs them: members stored or deflated, arrays of plain numbers.

const LOCAL = 0x04034b50;
const ENTRY = 0x02014b50;
const END = 0x06054b50;
const DEFLATED = 8;
/** 1 January 1980, the first day that an archive knows: the same work is the same file. */
const DAY = 33;

const packed = async (bytes, Stream) =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new Stream("deflate-raw"))).arrayBuffer());

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) value = TABLE[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

/** Little-endian fields, given as pairs of bytes and value. */
function fields(...pairs) {
  const out = new Uint8Array(pairs.reduce((total, [size]) => total + size, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += size;
  }
  return out;
}

/** An archive of {name: bytes}; those that `deflate` names are packed. */
export async function zip(members, deflate = () => false) {
  const pieces = [];
  const list = [];
  let at = 0;
  const put = (piece) => {
    pieces.push(piece);
    at += piece.length;
  };
  for (const [name, bytes] of Object.entries(members)) {
    const called = new TextEncoder().encode(name);
    const small = deflate(name);
    const data = small ? await packed(bytes, CompressionStream) : bytes;
    const about = [[2, 20], [2, 0x800], [2, small ? DEFLATED : 0], [2, 0], [2, DAY], [4, crc32(bytes)], [4, data.length], [4, bytes.length], [2, called.length], [2, 0]];
    list.push(fields([4, ENTRY], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), called);
    put(fields([4, LOCAL], ...about));
    put(called);
    put(data);
  }
  const begin = at;
  list.forEach(put);
  const count = list.length / 2;
  put(fields([4, END], [2, 0], [2, 0], [2, count], [2, count], [4, at - begin], [4, begin], [2, 0]));
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** {name: bytes} of an archive; `most` is what its members may unpack to. Throws where it is none. */
export async function unzip(bytes, most) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Error("no archive");
  const members = {};
  let total = 0;
  let at = view.getUint32(end + 16, true);
  for (let i = view.getUint16(end + 10, true); i > 0; i--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("damaged");
    const method = view.getUint16(at + 10, true);
    const [sum, size, whole] = [16, 20, 24].map((o) => view.getUint32(at + o, true));
    const lengths = [28, 30, 32].map((o) => view.getUint16(at + o, true));
    const from = view.getUint32(at + 42, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + lengths[0]));
    const begin = from + 30 + view.getUint16(from + 26, true) + view.getUint16(from + 28, true);
    if ((total += whole) > most || begin + size > bytes.length) throw new Error("too large");
    const raw = bytes.subarray(begin, begin + size);
    const data = method === DEFLATED ? await packed(raw, DecompressionStream) : raw;
    if (data.length !== whole || crc32(data) !== sum) throw new Error("damaged");
    members[name] = data;
    at += 46 + lengths[0] + lengths[1] + lengths[2];
  }
  return members;
}

const KINDS = { "|u1": Uint8Array, "|i1": Int8Array, "<u2": Uint16Array, "<i8": BigInt64Array, "<f8": Float64Array };

/** A NumPy array file (.npy) of a typed array; `shape` empty for one number. */
export function npy(values, shape) {
  const kind = Object.keys(KINDS).find((name) => values instanceof KINDS[name]);
  return npyOf(kind, new Uint8Array(values.buffer, values.byteOffset, values.byteLength), shape);
}

/** The same of a text. */
export function npyText(text) {
  const letters = [...text];
  return npyOf(`<U${letters.length}`, new Uint8Array(Uint32Array.from(letters, (c) => c.codePointAt(0)).buffer), []);
}

function npyOf(kind, data, shape) {
  const about = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const head = about.padEnd(Math.ceil((about.length + 11) / 64) * 64 - 11) + "\n";
  const out = new Uint8Array(10 + head.length + data.length);
  out.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, head.length & 255, head.length >> 8]);
  out.set(new TextEncoder().encode(head), 10);
  out.set(data, 10 + head.length);
  return out;
}

/** {shape, values} of such a file; a text is no values but `text`. */
export function readNpy(bytes) {
  const length = bytes[6] === 1 ? bytes[8] | (bytes[9] << 8) : new DataView(bytes.buffer, bytes.byteOffset + 8, 4).getUint32(0, true);
  const begin = (bytes[6] === 1 ? 10 : 12) + length;
  const head = new TextDecoder().decode(bytes.subarray(begin - length, begin));
  const kind = /'descr': '([^']+)'/.exec(head)?.[1] ?? "";
  if (/'fortran_order': True/.test(head)) throw new Error("not in rows");
  const shape = (/'shape': \(([^)]*)\)/.exec(head)?.[1] ?? "").split(",").filter((part) => part.trim()).map(Number);
  const data = bytes.slice(begin);
  if (kind.startsWith("<U")) return { shape, text: String.fromCodePoint(...new Uint32Array(data.buffer)).replaceAll("\0", "") };
  const Kind = KINDS[kind];
  const count = shape.reduce((a, b) => a * b, 1);
  if (!Kind || data.length !== count * Kind.BYTES_PER_ELEMENT) throw new Error(`an array of ${kind}`);
  return { shape, values: new Kind(data.buffer) };
}
