// How loud a recording is, moment by moment: amtsep/loudness.py, which says why, held to it by a test. One definition is
// Python's; the numbers come from settings.json.

/** Offset and gain of every hop of a recording, and what applies them; `rule` holds the constants. */
export function conditioning(sound, hop, hopSeconds, front, rule) {
  const count = Math.max(1, Math.ceil(sound.length / hop));
  const sums = new Float64Array(count);
  const squares = new Float64Array(count);
  for (let i = 0; i < sound.length; i++) {
    const k = (i / hop) | 0;
    sums[k] += sound[i];
    squares[k] += sound[i] * sound[i];
  }
  const counts = new Float64Array(count).fill(hop);
  counts[count - 1] = sound.length - (count - 1) * hop || hop;
  const offset = offsetOf(sums, counts, squares, hopSeconds, rule);
  const energy = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    const own = squares[k] / counts[k];
    const around = own - (2 * offset[k] * sums[k]) / counts[k] + offset[k] ** 2;
    energy[k] = Math.min(Math.max(around, 0), own);
  }
  const level =
    front.normalisation === "running"
      ? runningLevel(energy, hopSeconds, front.level_window_s, front.level_floor_db, rule)
      : new Float64Array(count).fill(meanLevel(energy, hopSeconds, rule));
  const gain = level.map((value) => value ** -0.5);
  return {
    offset,
    gain,
    /** Fill `chunk` with the recording from sample `from`, conditioned; what is outside stays as it is. */
    fill(chunk, from) {
      for (let i = Math.max(0, -from); i < chunk.length && from + i < sound.length; i++) {
        const at = (from + i) / hop - 0.5;
        chunk[i] = (sound[from + i] - Math.fround(between(offset, at))) * Math.fround(between(gain, at));
      }
    },
    /** What the gain took away at a frame, in dB. */
    lift: (frame) => -20 * Math.log10(between(gain, frame - 0.5)),
  };
}

/** A curve between its points; beyond the ends it keeps still. */
function between(curve, at) {
  const place = Math.min(Math.max(at, 0), curve.length - 1);
  const k = Math.min(Math.floor(place), Math.max(curve.length - 2, 0));
  return k + 1 < curve.length ? curve[k] + (place - k) * (curve[k + 1] - curve[k]) : curve[k];
}

/** Half to even, as Python rounds. */
function rounded(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
}

/** numpy.hanning(2 * half + 3) without the zeros at its ends. */
function hanning(half) {
  return Float64Array.from({ length: 2 * half + 1 }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (2 * half + 2)));
}

/** `values` under a window, whole at every place; beyond the ends is 0, or the last value if `edge`. */
function smoothed(values, window, edge) {
  const half = window.length >> 1;
  const count = values.length;
  return Float64Array.from({ length: count }, (_, k) => {
    let total = 0;
    for (let j = -half; j <= half; j++) {
      const at = k + j;
      const inside = at >= 0 && at < count;
      if (inside || edge) total += values[inside ? at : at < 0 ? 0 : count - 1] * window[half - j];
    }
    return total;
  });
}

function offsetOf(sums, counts, squares, hopSeconds, rule) {
  const window = hanning(rounded(rule.offset_s / hopSeconds / 2));
  const weights = counts.map((count, k) => (squares[k] > 0 ? count : 0));
  const total = smoothed(weights.map((weight, k) => (sums[k] / counts[k]) * weight), window, false);
  const weight = smoothed(weights, window, false);
  return total.map((value, k) => (weights[k] > 0 ? value / Math.max(weight[k], 1e-6) : 0));
}

function loudest(energy, hopSeconds, rule) {
  const width = Math.max(rounded(rule.short_s / hopSeconds), 1);
  const span = Math.min(width, energy.length);
  let most = 0;
  for (let k = 0; k + span <= energy.length; k++) {
    let total = 0;
    for (let j = 0; j < span; j++) total += energy[k + j];
    most = Math.max(most, total);
  }
  return Math.max(most / width, rule.quietest);
}

function soundingHops(energy, peak, rule) {
  const least = peak * 10 ** (rule.silence_db / 10);
  const found = [];
  for (let k = 0; k < energy.length; k++) if (energy[k] > least) found.push(k);
  return found;
}

function meanLevel(energy, hopSeconds, rule) {
  const sounding = soundingHops(energy, loudest(energy, hopSeconds, rule), rule);
  if (!sounding.length) return rule.quietest;
  const [first, last] = [sounding[0], sounding.at(-1)];
  let total = 0;
  for (let k = first; k <= last; k++) total += energy[k];
  return Math.max(total / (last - first + 1), rule.quietest);
}

function runningLevel(energy, hopSeconds, windowSeconds, floorDb, rule) {
  const peak = loudest(energy, hopSeconds, rule);
  const sounding = soundingHops(energy, peak, rule);
  if (!sounding.length) return new Float64Array(energy.length).fill(peak);
  const reach = rounded(windowSeconds / hopSeconds);
  const short = rounded(rule.short_s / hopSeconds / 2);
  const before = meanDb(energy, sounding, reach, 0);
  const after = meanDb(energy, sounding, 0, reach);
  const here = meanDb(energy, sounding, short, short);
  const floor = 10 * Math.log10(peak) + floorDb;
  const chosen = here.map((value, i) => {
    const nearer = Math.abs(before[i] - value) - Math.abs(after[i] - value);
    const share = 1 / (1 + Math.exp(Math.min(Math.max(nearer / rule.side_db, -50), 50)));
    return Math.max(share * before[i] + (1 - share) * after[i], floor);
  });
  // Through silence the level goes from that before to that after.
  const level = new Float64Array(energy.length);
  let next = 0;
  for (let k = 0; k < level.length; k++) {
    while (next < sounding.length && sounding[next] < k) next++;
    if (next === 0) level[k] = chosen[0];
    else if (next === sounding.length) level[k] = chosen[next - 1];
    else {
      const [a, b] = [sounding[next - 1], sounding[next]];
      level[k] = chosen[next - 1] + ((k - a) / (b - a)) * (chosen[next] - chosen[next - 1]);
    }
  }
  const window = hanning(rounded(rule.smooth_s / hopSeconds / 2));
  const weight = window.reduce((a, b) => a + b, 0);
  return smoothed(level, window.map((value) => value / weight), true).map((value) => 10 ** (value / 10));
}

/** Mean energy, in dB, of the sounding hops from `before` hops before each of these to `after` hops after it. */
function meanDb(energy, sounding, before, after) {
  const total = new Float64Array(sounding.length + 1);
  for (let i = 0; i < sounding.length; i++) total[i + 1] = total[i] + energy[sounding[i]];
  let [first, last] = [0, 0];
  return Float64Array.from(sounding, (at) => {
    while (sounding[first] < at - before) first++;
    while (last < sounding.length && sounding[last] <= at + after) last++;
    return 10 * Math.log10(Math.max((total[last] - total[first]) / (last - first), 1e-30));
  });
}
