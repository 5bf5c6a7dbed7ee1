// Colours. Tracks use the colour-blind-safe set of Okabe and Ito (2008), lightened or darkened a little for the ground
// that they stand on; every track has a pattern and a mark besides, so that colour is never alone.

export const MARKS = ["●", "■", "▲", "◆", "✚", "★", "▼", "◐"] as const;

const DARK = ["#f2b134", "#63c4ff", "#1fc59a", "#f9ee6a", "#ff7f4f", "#e59ad0", "#9aa7ff", "#d8dde6"];
const LIGHT = ["#c77f00", "#0b78b8", "#008560", "#9a8a00", "#c64a00", "#b04d8d", "#4a51c9", "#4b5563"];

export type Theme = "dark" | "light";

export const trackColor = (index: number, theme: Theme): string => {
  const set = theme === "dark" ? DARK : LIGHT;
  return set[((index % set.length) + set.length) % set.length];
};

/** Black or white, whichever stands out more on a colour. */
export const markColor = (color: string): string => {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const v = parseInt(color.slice(at, at + 2), 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (light + 0.05) ** 2 > 0.05 * 1.05 ? "#000000" : "#ffffff";
};

export const trackMark = (index: number): string => MARKS[((index % 8) + 8) % 8];

type Stop = [number, number, number, number];

// Quiet on purpose: the ground of the roll must not compete with the notes on it.
const DARK_MAP: Stop[] = [
  [0, 15, 17, 23],
  [0.35, 22, 27, 46],
  [0.6, 36, 47, 92],
  [0.8, 66, 82, 140],
  [1, 142, 160, 205],
];
const LIGHT_MAP: Stop[] = [
  [0, 255, 255, 255],
  [0.35, 240, 243, 249],
  [0.6, 214, 222, 238],
  [0.8, 168, 181, 212],
  [1, 92, 108, 158],
];

/** 256 colours as packed ABGR words. */
export function colorMap(theme: Theme): Uint32Array {
  const stops = theme === "dark" ? DARK_MAP : LIGHT_MAP;
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const x = i / 255;
    let k = 1;
    while (k < stops.length - 1 && stops[k][0] < x) k++;
    const [a, b] = [stops[k - 1], stops[k]];
    const f = Math.min(1, Math.max(0, (x - a[0]) / (b[0] - a[0])));
    const mix = (j: number) => Math.round((a[j] as number) + f * ((b[j] as number) - (a[j] as number)));
    table[i] = (255 << 24) | (mix(3) << 16) | (mix(2) << 8) | mix(1);
  }
  return table;
}
