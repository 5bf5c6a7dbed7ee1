// The metadata of an ONNX file: what `amtsep export` says about rate, hop and halo. onnxruntime-web does not hand it out,
// and a protocol buffer is quickly walked: fields of (number, wire type), of which those that hold bytes say their length.

const METADATA_PROPS = 14; // of ModelProto; an entry has its key in field 1, its value in field 2

export function readMetadata(bytes) {
  const found = {};
  for (const [field, entry] of fields(bytes)) {
    if (field !== METADATA_PROPS) continue;
    const [key, value] = [1, 2].map((n) => new TextDecoder().decode(fields(entry).find(([f]) => f === n)?.[1]));
    found[key] = JSON.parse(value);
  }
  return found;
}

/** [number, bytes] of every field that holds bytes. */
function fields(bytes) {
  const result = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128 || at >= bytes.length) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      result.push([Math.floor(tag / 8), bytes.subarray(at, at + length)]);
      at += length;
    } else throw new Error("not an ONNX file");
  }
  return result;
}
