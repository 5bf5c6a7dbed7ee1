// Sound in: any file that the browser can decode, to mono at 44,100 Hz; and from there to 22,050 Hz for the network.

export const PLAY_RATE = 44100;
const TAPS = 255; // as amtsep.nets.export.Decimate has them
const BETA = 10;

/** Decode a file; the browser resamples what has another rate. Mono for the network, and both channels to play. */
export async function decodeFile(bytes) {
  const buffer = await new OfflineAudioContext(2, 1, PLAY_RATE).decodeAudioData(bytes);
  const mono = new Float32Array(buffer.length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const channel = buffer.getChannelData(c);
    for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / buffer.numberOfChannels;
  }
  return { mono, stereo: buffer.numberOfChannels === 2 ? buffer : null };
}

/** The right half of a half-band filter, a Kaiser-windowed sinc: the middle, then what lies 1, 3, 5 ... samples off. */
export function halfBand() {
  const half = TAPS >> 1;
  const at = (k) => {
    const x = (Math.PI * k) / 2;
    return (k ? Math.sin(x) / x : 1) * bessel(BETA * Math.sqrt(1 - (k / half) ** 2));
  };
  const filter = [at(0)];
  for (let k = 1; k <= half; k += 2) filter.push(at(k));
  const sum = filter.reduce((total, value, i) => total + (i ? 2 : 1) * value, 0);
  return filter.map((value) => value / sum);
}

/** I0, the modified Bessel function of order zero, by its series. */
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > 1e-17 * sum; k++) sum += term *= (x / 2 / k) ** 2;
  return sum;
}

/** Half the sampling rate: sample n of the result lies on sample 2 n. */
export function halve(samples) {
  const filter = halfBand();
  const half = TAPS >> 1;
  const padded = new Float32Array(samples.length + 2 * half + 1);
  padded.set(samples, half);
  const result = new Float32Array(Math.ceil(samples.length / 2));
  for (let n = 0; n < result.length; n++) {
    const middle = 2 * n + half;
    let sum = filter[0] * padded[middle];
    for (let i = 1, k = 1; i < filter.length; i++, k += 2) sum += filter[i] * (padded[middle - k] + padded[middle + k]);
    result[n] = sum;
  }
  return result;
}
