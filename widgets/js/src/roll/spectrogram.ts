// The picture under the notes: bytes (bins × frames) in tiles, thinned by maximum for far views.

import { type Theme, colorMap } from "../palette";

const TILE = 1024;

interface Level {
  frames: number;
  step: number;
  data: Uint8Array;
  tiles: (HTMLCanvasElement | null)[];
}

export class Picture {
  private readonly levels: Level[] = [];
  private theme: Theme = "dark";

  /** `data` is frame after frame, `bins` bytes each, lowest first; a frame lasts `seconds`. */
  constructor(
    data: Uint8Array,
    readonly bins: number,
    frames: number,
    readonly seconds: number,
    /** Bins a semitone, and the MIDI pitch of bin 0. */
    readonly perSemitone: number,
    readonly lowest: number,
    /** Seconds that the first frame reaches before zero: half a hop, as frames are centred. */
    readonly shift: number,
  ) {
    this.levels.push({ frames, step: 1, data, tiles: [] });
    while (this.levels[this.levels.length - 1].frames > 2 * TILE) this.levels.push(this.thin());
  }

  private thin(): Level {
    const from = this.levels[this.levels.length - 1];
    const by = 4;
    const frames = Math.ceil(from.frames / by);
    const { bins } = this;
    const data = new Uint8Array(frames * bins);
    for (let f = 0; f < from.frames; f++) {
      const to = Math.floor(f / by) * bins;
      const at = f * bins;
      for (let b = 0; b < bins; b++) if (from.data[at + b] > data[to + b]) data[to + b] = from.data[at + b];
    }
    return { frames, step: from.step * by, data, tiles: [] };
  }

  private tile(level: Level, index: number): HTMLCanvasElement {
    const known = level.tiles[index];
    if (known) return known;
    const from = index * TILE;
    const width = Math.min(TILE, level.frames - from);
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = this.bins;
    const g = canvas.getContext("2d") as CanvasRenderingContext2D;
    const image = g.createImageData(width, this.bins);
    const words = new Uint32Array(image.data.buffer);
    const colors = colorMap(this.theme);
    for (let x = 0; x < width; x++) {
      const at = (from + x) * this.bins;
      for (let b = 0; b < this.bins; b++) words[(this.bins - 1 - b) * width + x] = colors[level.data[at + b]];
    }
    g.putImageData(image, 0, 0);
    level.tiles[index] = canvas;
    return canvas;
  }

  /** Draw the part between two times and two pitches into a box of the canvas. */
  draw(
    g: CanvasRenderingContext2D,
    theme: Theme,
    view: { t0: number; t1: number; p0: number; p1: number },
    box: { x: number; y: number; width: number; height: number },
  ): void {
    if (theme !== this.theme) {
      this.theme = theme;
      for (const level of this.levels) level.tiles = [];
    }
    const perPixel = (view.t1 - view.t0) / this.seconds / box.width;
    let level = this.levels[0];
    for (const l of this.levels) if (l.step <= Math.max(1, perPixel * 1.5)) level = l;
    const frame = this.seconds * level.step;
    // Frame t is centred on its time; joined frames begin where the first of them does.
    const { shift } = this;
    const first = Math.max(0, Math.floor((view.t0 + shift) / frame / TILE));
    const last = Math.min(Math.ceil(level.frames / TILE) - 1, Math.floor((view.t1 + shift) / frame / TILE));
    const xOf = (t: number) => box.x + ((t - view.t0) / (view.t1 - view.t0)) * box.width;
    const yOf = (p: number) => box.y + ((view.p1 - p) / (view.p1 - view.p0)) * box.height;
    const half = 0.5 / this.perSemitone;
    const top = yOf(this.lowest + (this.bins - 1) / this.perSemitone + half);
    const bottom = yOf(this.lowest - half);
    g.save();
    g.beginPath();
    g.rect(box.x, box.y, box.width, box.height);
    g.clip();
    g.imageSmoothingEnabled = true;
    for (let i = first; i <= last; i++) {
      const tile = this.tile(level, i);
      const x0 = xOf(i * TILE * frame - shift);
      const x1 = xOf((i * TILE + tile.width) * frame - shift);
      g.drawImage(tile, x0, top, x1 - x0, bottom - top);
    }
    g.restore();
  }
}
