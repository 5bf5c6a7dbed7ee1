// The piano roll: three canvases (ground, notes, what moves), so that a playhead costs next to nothing and a slider
// step repaints the notes alone.

import type { Hub } from "../hub";
import { ROWS, firstStroke, nearStroke, rowOf } from "../drums";
import { type Curve, clock, firstAt, isBlack, pitchName } from "../notes";
import { type Theme, markColor, trackColor, trackMark } from "../palette";
import { h } from "../dom";
import { say, trackName } from "../i18n";
import type { Picture } from "./spectrogram";

export const KEYS = 50;
export const RULER = 24;
export const OVERVIEW = 38;
export const LANE = 64;
/** Height of a row of the drum lane. */
const DRUM_ROW = 14;
const LOWEST = 20.5;
const HIGHEST = 108.5;

export interface Window {
  t0: number;
  t1: number;
  p0: number;
  p1: number;
}

export interface Hit {
  index: number;
  part: "body" | "start" | "end";
}

/** What the clean-up took away: a note, or (reason 0) the end of one. */
export interface Removed {
  onset: number;
  offset: number;
  pitch: number;
  track: number;
  reason: number;
  velocity: number;
}

/** Part of the plot between two places, in pixels of the page. */
interface Strip {
  from: number;
  to: number;
}

export class RollView {
  readonly element: HTMLElement;
  readonly window: Window = { t0: 0, t1: 10, p0: 33, p1: 96 };
  ground: Picture | null = null;
  posterior: Picture | null = null;
  groundKind = "spectrogram";
  opacity = 1;
  follow = true;
  /** Whether the velocities are shown under the notes, and the names of the notes in them. */
  lane = false;
  names = false;
  /** Velocities that are being drawn. */
  velocities = new Map<number, number>();
  hover = -1;
  /** What is being drawn around: of the notes, or (`rows`) of the lane of drums. */
  band: { t0: number; t1: number; p0: number; p1: number; rows?: [number, number] } | null = null;
  /** A note being drawn, moved or stretched: shown in place of the real one. */
  ghosts: { index: number; onset: number; offset: number; pitch: number; track: number }[] = [];
  /** Strokes that are being moved, by their place in the table. */
  strokeGhosts = new Map<number, { time: number; key: number }>();
  removed: Removed[] = [];
  curves: Curve[] = [];
  /** A bar line in hand: where it was and where it is, in seconds. */
  line: { from: number; to: number } | null = null;
  /** Frequency of A4 in the recording, in Hz. */
  tuning = 0;
  /** -1 extra, 1 hit by note; misses are drawn from the reference. */
  verdict: { hit: Uint8Array; missed: Uint8Array } | null = null;
  private readonly canvases: HTMLCanvasElement[];
  private readonly tip: HTMLElement;
  private dirty = { ground: true, notes: true };
  /** Where the window began when the layers were painted. */
  private paintedAt = 0;
  private frame = 0;
  private running = true;
  private size = { width: 0, height: 0, ratio: 1 };
  private patterns = new Map<string, CanvasPattern>();
  private overview: HTMLCanvasElement = document.createElement("canvas");
  private overviewStale = true;
  private styleOf: Record<string, string> = {};
  /** Times of the last draws, for the measurements. */
  readonly stats = { draws: 0, lastNotesDrawn: 0, drawMs: 0 };
  private lastPosition = -1;

  constructor(readonly hub: Hub) {
    this.canvases = ["ground", "notes", "over"].map((name) => h("canvas", { class: `amt-layer amt-layer-${name}` }));
    this.tip = h("div", { class: "amt-tip", role: "tooltip" });
    this.element = h("div", { class: "amt-canvas" }, ...this.canvases, this.tip);
    new ResizeObserver(() => this.resize()).observe(this.element);
    const step = () => {
      if (!this.running) return;
      this.paint();
      this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  end(): void {
    this.running = false;
    cancelAnimationFrame(this.frame);
  }

  // --- geometry ----------------------------------------------------------------------------------------------------

  get plot(): { x: number; y: number; width: number; height: number } {
    return {
      x: KEYS,
      y: RULER,
      width: Math.max(10, this.size.width - KEYS),
      height: Math.max(10, this.size.height - RULER - OVERVIEW - (this.lane ? LANE : 0) - this.drumHeight),
    };
  }

  /** Of the lane of drums under the notes; 0 where there are none, or they are hidden. */
  get drumHeight(): number {
    const { strokes, kit } = this.hub;
    return (strokes.n || kit.lane) && !kit.hidden ? ROWS.length * DRUM_ROW + 5 : 0;
  }

  x(time: number): number {
    const { t0, t1 } = this.window;
    return this.plot.x + ((time - t0) / (t1 - t0)) * this.plot.width;
  }

  y(pitch: number): number {
    const { p0, p1 } = this.window;
    return this.plot.y + ((p1 - pitch) / (p1 - p0)) * this.plot.height;
  }

  time(x: number): number {
    const { t0, t1 } = this.window;
    return t0 + ((x - this.plot.x) / this.plot.width) * (t1 - t0);
  }

  pitch(y: number): number {
    const { p0, p1 } = this.window;
    return p1 - ((y - this.plot.y) / this.plot.height) * (p1 - p0);
  }

  get duration(): number {
    return Math.max(this.hub.duration, 1);
  }

  /** Larger type and thicker lines, for a projector. */
  private get scale(): number {
    return this.hub.prefs.projector === "on" ? 1.5 : 1;
  }

  setWindow(change: Partial<Window>): void {
    const w = { ...this.window, ...change };
    let span = Math.min(Math.max(w.t1 - w.t0, 0.05), this.duration * 1.02 + 0.5);
    const most = this.duration + Math.max(0.3, 0.02 * this.duration);
    if (!(span > 0)) span = 1;
    const pitches = Math.min(Math.max(w.p1 - w.p0, 7), HIGHEST - LOWEST);
    const p0 = Math.min(Math.max(w.p0, LOWEST), HIGHEST - pitches);
    const old = this.window;
    const near = (a: number, b: number) => Math.abs(a - b) < 1e-6 * span;
    const onlyTime = near(span, old.t1 - old.t0) && near(p0, old.p0) && near(p0 + pitches, old.p1);
    if (onlyTime) span = old.t1 - old.t0;
    // Whole pixels from the beginning, so that a shift in time can move what is painted.
    const pixel = span / (this.plot.width * this.size.ratio);
    const t0 = Math.round(Math.min(Math.max(w.t0, 0), Math.max(0, most - span)) / pixel) * pixel;
    if (onlyTime) Object.assign(old, { t0, t1: t0 + span });
    else {
      Object.assign(old, { t0, t1: t0 + span, p0, p1: p0 + pitches });
      this.stale();
    }
  }

  zoomTime(factor: number, x: number): void {
    const t = this.time(x);
    const { t0, t1 } = this.window;
    this.setWindow({ t0: t - (t - t0) * factor, t1: t + (t1 - t) * factor });
  }

  zoomPitch(factor: number, y: number): void {
    const p = this.pitch(y);
    const { p0, p1 } = this.window;
    this.setWindow({ p0: p - (p - p0) * factor, p1: p + (p1 - p) * factor });
  }

  pan(dx: number, dy: number): void {
    const { t0, t1, p0, p1 } = this.window;
    const dt = (dx / this.plot.width) * (t1 - t0);
    const dp = (dy / this.plot.height) * (p1 - p0);
    this.setWindow({ t0: t0 + dt, t1: t1 + dt, p0: p0 - dp, p1: p1 - dp });
  }

  /** Everything in time (up to a readable stretch of a long recording, unless `all`), and the pitches that occur. */
  fit(all = false): void {
    const { notes } = this.hub;
    let low = 127;
    let high = 0;
    for (let i = 0; i < notes.n; i++) {
      low = Math.min(low, notes.pitch[i]);
      high = Math.max(high, notes.pitch[i]);
    }
    if (low > high) [low, high] = [40, 84];
    const spare = Math.max(0, 30 - (high - low)) / 2;
    const t1 = all ? this.duration : Math.min(this.duration, 60);
    this.setWindow({ t0: 0, t1, p0: low - 3.5 - spare, p1: high + 3.5 + spare });
  }

  /** Move the window so that a note can be seen. */
  show(i: number): void {
    const { notes } = this.hub;
    this.showTime(notes.onset[i]);
    const { p0, p1 } = this.window;
    const rows = p1 - p0;
    if (notes.pitch[i] < p0 + 1 || notes.pitch[i] > p1 - 1) this.setWindow({ p0: notes.pitch[i] - rows / 2, p1: notes.pitch[i] + rows / 2 });
  }

  showTime(time: number): void {
    const { t0, t1 } = this.window;
    const span = t1 - t0;
    if (time < t0 + 0.03 * span || time > t1 - 0.1 * span) this.setWindow({ t0: time - 0.2 * span, t1: time + 0.8 * span });
  }

  inLane(y: number): boolean {
    return this.lane && y > this.plot.y + this.plot.height + this.drumHeight && y < this.size.height - OVERVIEW;
  }

  inDrums(y: number): boolean {
    const top = this.plot.y + this.plot.height;
    return y > top && y <= top + this.drumHeight;
  }

  /** The row of the drum lane at a place. */
  drumRow(y: number): number {
    return Math.min(ROWS.length - 1, Math.max(0, Math.floor((y - this.plot.y - this.plot.height - 3) / DRUM_ROW)));
  }

  /** Index of the stroke at a place, or -1. */
  hitStroke(x: number, y: number): number {
    if (!this.inDrums(y) || x < KEYS) return -1;
    return nearStroke(this.hub.strokes, this.time(x), this.time(x + 6) - this.time(x), { row: this.drumRow(y) });
  }

  /** Top of a row of the drum lane. */
  private rowTop(row: number): number {
    return this.plot.y + this.plot.height + 3 + row * DRUM_ROW;
  }

  velocityAt(y: number): number {
    const bottom = this.size.height - OVERVIEW - 3;
    return Math.round(Math.min(127, Math.max(1, ((bottom - y) / (LANE - 8)) * 127)));
  }

  /** Notes, or where strokes are selected those, whose stems in the lane lie at a place. */
  startingAt(x: number): number[] {
    const { strokes, struck } = this.hub;
    if (struck.size) {
      const first = firstStroke(strokes, this.time(x - 5));
      return [...struck].filter((i) => i >= first && strokes.time[i] < this.time(x + 5));
    }
    const { notes, mix } = this.hub;
    const found = [];
    for (let i = firstAt(notes, this.time(x - 5)); i < notes.n && notes.onset[i] < this.time(x + 5); i++) {
      if (!mix[notes.track[i]]?.hidden) found.push(i);
    }
    return found;
  }

  /** The names of the notes in them, where there is room. */
  private paintNames(g: CanvasRenderingContext2D, groups: [number, number[]][], tall: number, perSecond: number, marked: boolean): void {
    const { notes, tracks, prefs } = this.hub;
    const spare = marked ? 16 : 4;
    g.font = `600 ${Math.min(12, tall - 1)}px ${FONT}`;
    g.textBaseline = "middle";
    g.textAlign = "left";
    for (const [key, list] of groups) {
      g.fillStyle = key & 1 ? this.styleOf.text : markColor(trackColor(tracks[key >> 4]?.color ?? 0, prefs.theme));
      for (const i of list) {
        const room = (notes.offset[i] - notes.onset[i]) * perSecond - spare;
        if (room > 24) g.fillText(pitchName(notes.pitch[i]), this.x(notes.onset[i]) + spare, this.y(notes.pitch[i]) + 0.5);
      }
    }
  }

  private paintLane(g: CanvasRenderingContext2D, from: number, to: number, colors: string[]): void {
    const { notes, mix, selection, strokes, struck } = this.hub;
    const bottom = this.size.height - OVERVIEW - 3;
    const stem = (time: number, velocity: number, color: string) => {
      const x = Math.round(this.x(time));
      const tall = (velocity / 127) * (LANE - 8);
      g.fillStyle = color;
      g.fillRect(x, bottom - tall, 2, tall);
      g.fillRect(x - 2, bottom - tall - 2, 6, 4);
    };
    if (struck.size) {
      for (const i of struck) if (strokes.time[i] >= from && strokes.time[i] < to) stem(strokes.time[i], this.velocities.get(i) ?? strokes.velocity[i], this.styleOf.select);
      return;
    }
    for (let i = firstAt(notes, from); i < notes.n && notes.onset[i] < to; i++) {
      if (mix[notes.track[i]]?.hidden) continue;
      stem(notes.onset[i], this.velocities.get(i) ?? notes.velocity[i], selection.has(i) ? this.styleOf.select : (colors[notes.track[i]] ?? colors[0]));
    }
  }

  /** The lane of drums: a row a kind, the louder a stroke the taller and the fuller. */
  private paintDrums(g: CanvasRenderingContext2D, from: number, to: number): void {
    const { strokes, struck, prefs } = this.hub;
    const top = this.plot.y + this.plot.height;
    const { styleOf: c } = this;
    g.fillStyle = c.panel;
    g.fillRect(KEYS, top, this.size.width, this.drumHeight);
    g.fillStyle = c.line;
    g.fillRect(0, top, this.size.width, 1);
    g.globalAlpha = 0.6;
    for (let row = 1; row < ROWS.length; row++) g.fillRect(KEYS, top + 2 + row * DRUM_ROW, this.size.width, 1);
    const { time, bar } = this.hub.beats;
    for (const beat of bar) if (time[beat] >= from && time[beat] <= to) g.fillRect(Math.round(this.x(time[beat])), top, 1, this.drumHeight);
    const quiet = this.hub.kitAudible ? 1 : 0.3;
    g.fillStyle = drumColor(prefs.theme);
    const box = (time: number, key: number, velocity: number, chosen: boolean) => {
      const strength = velocity / 127;
      const tall = 3 + (DRUM_ROW - 5) * strength;
      const x = Math.round(this.x(time)) - 1;
      const middle = this.rowTop(rowOf(key) + 0.5);
      g.globalAlpha = quiet * (0.35 + 0.65 * strength);
      g.fillRect(x, middle - tall / 2, 4, tall);
      if (!chosen) return;
      g.globalAlpha = 1;
      g.strokeStyle = c.select;
      g.lineWidth = 2;
      g.strokeRect(x - 2, middle - DRUM_ROW / 2 + 1, 8, DRUM_ROW - 2);
    };
    for (let i = firstStroke(strokes, from); i < strokes.n && strokes.time[i] < to; i++) {
      if (!this.strokeGhosts.has(i)) box(strokes.time[i], strokes.key[i], this.velocities.size && struck.has(i) ? (this.velocities.get(i) ?? strokes.velocity[i]) : strokes.velocity[i], struck.has(i));
    }
    for (const [i, { time, key }] of this.strokeGhosts) box(time, key, strokes.velocity[i], true);
    g.globalAlpha = 1;
  }

  /** Names of the rows, lit for a moment after a stroke. */
  private paintDrumNames(g: CanvasRenderingContext2D, position: number): void {
    const top = this.plot.y + this.plot.height;
    const { styleOf: c, hub } = this;
    const lit = new Set<number>();
    if (hub.transport.playing && hub.kitAudible) {
      for (let i = firstStroke(hub.strokes, position - 0.1); i < hub.strokes.n && hub.strokes.time[i] <= position; i++) lit.add(rowOf(hub.strokes.key[i]));
    }
    g.fillStyle = c.panel;
    g.fillRect(0, top + 1, KEYS, this.drumHeight - 1);
    g.font = `10px ${FONT}`;
    g.textAlign = "right";
    g.textBaseline = "middle";
    ROWS.forEach(({ name }, row) => {
      g.fillStyle = row === hub.drumRow ? c.select : lit.has(row) ? c.accent : c.dim;
      g.fillText(say(hub, `drum_${name}`), KEYS - 5, this.rowTop(row + 0.5));
    });
    if (hub.drumRow < 0 || hub.struck.size) return;
    // Where the keyboard would put one in.
    g.strokeStyle = c.select;
    g.lineWidth = 1.5;
    g.setLineDash([2, 2]);
    g.strokeRect(Math.round(this.x(position)) - 4, this.rowTop(hub.drumRow) + 1, 10, DRUM_ROW - 2);
    g.setLineDash([]);
  }

  hit(x: number, y: number): Hit | null {
    if (y > this.plot.y + this.plot.height) return null;
    const { notes, mix } = this.hub;
    const t = this.time(x);
    const slack = ((this.window.t1 - this.window.t0) / this.plot.width) * 4;
    const p = this.pitch(y);
    let best: Hit | null = null;
    let inside = false;
    for (let i = firstAt(notes, t - notes.longest - slack); i < notes.n && notes.onset[i] <= t + slack; i++) {
      if (notes.offset[i] < t - slack || Math.abs(notes.pitch[i] - p) > 0.5) continue;
      if (mix[notes.track[i]]?.hidden) continue;
      // A note under the pointer counts over one that is only near it.
      const within = notes.onset[i] <= t && t <= notes.offset[i];
      if (inside && !within) continue;
      inside ||= within;
      const wide = this.x(notes.offset[i]) - this.x(notes.onset[i]) > 14;
      const atEnd = wide && Math.abs(this.x(notes.offset[i]) - x) < 5;
      const atStart = wide && this.x(notes.offset[i]) - this.x(notes.onset[i]) > 22 && Math.abs(this.x(notes.onset[i]) - x) < 5;
      best = { index: i, part: atEnd ? "end" : atStart ? "start" : "body" };
    }
    return best;
  }

  /** What the clean-up took away under a place; ends of notes that are still there do not count. */
  hitRemoved(x: number, y: number): Removed | null {
    const t = this.time(x);
    const p = this.pitch(y);
    return this.removed.find((r) => r.reason > 0 && r.onset <= t && t <= Math.max(r.offset, r.onset + 0.03) && Math.abs(r.pitch - p) <= 0.5) ?? null;
  }

  /** Index of the beat whose line in the ruler is under a place: bar lines, and beats where they are drawn. */
  hitLine(x: number, y: number): number {
    const { time, bar } = this.hub.beats;
    if (y < RULER - 14 || y > RULER || x < KEYS) return -1;
    let best = -1;
    const starts = new Set(bar);
    for (let i = 0; i < time.length; i++) {
      if (!starts.has(i) && this.crowded()) continue;
      const away = Math.abs(this.x(time[i]) - x);
      if (away < 5 && (best < 0 || away < Math.abs(this.x(time[best]) - x))) best = i;
    }
    return best;
  }

  /** Whether single beats are too close to be drawn. */
  private crowded(): boolean {
    const { time } = this.hub.beats;
    const period = (time[time.length - 1] - time[0]) / Math.max(time.length - 1, 1);
    return (period * this.plot.width) / (this.window.t1 - this.window.t0) < 9;
  }

  // --- painting ----------------------------------------------------------------------------------------------------

  stale(what: "all" | "notes" = "all"): void {
    this.dirty.notes = true;
    if (what === "all") this.dirty.ground = true;
    if (what === "notes") this.overviewStale = true;
  }

  restyle(): void {
    const style = getComputedStyle(this.element);
    for (const name of ["ground", "panel", "line", "faint", "text", "dim", "accent", "key-white", "key-black", "select", "bad", "playhead"]) {
      this.styleOf[name] = style.getPropertyValue(`--${name}`).trim() || "#888";
    }
    this.patterns.clear();
    this.overviewStale = true;
    this.stale();
  }

  private resize(): void {
    const box = this.element.getBoundingClientRect();
    const ratio = Math.min(2, devicePixelRatio || 1);
    if (!box.width || !box.height) return;
    this.size = { width: box.width, height: box.height, ratio };
    for (const canvas of this.canvases) {
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(box.height * ratio);
    }
    this.overviewStale = true;
    this.restyle();
    this.paint();
  }

  private context(layer: number): CanvasRenderingContext2D {
    const g = this.canvases[layer].getContext("2d") as CanvasRenderingContext2D;
    g.setTransform(this.size.ratio, 0, 0, this.size.ratio, 0, 0);
    return g;
  }

  private paint(): void {
    if (!this.size.width) return;
    const { transport } = this.hub;
    if (transport.playing && this.follow) this.chase(transport.position);
    const { t0, t1 } = this.window;
    const { ratio } = this.size;
    const shift = Math.round(((t0 - this.paintedAt) / (t1 - t0)) * this.plot.width * ratio);
    this.paintedAt = t0;
    if (Math.abs(shift) > 0.7 * this.canvases[0].width || (shift && !Number.isInteger(KEYS * ratio))) this.dirty.ground = this.dirty.notes = true;
    if (this.dirty.ground) this.paintGround();
    else if (shift) this.paintGround(this.scroll(0, shift));
    this.dirty.ground = false;
    if (this.dirty.notes || shift) {
      const before = performance.now();
      if (this.dirty.notes) this.paintNotes();
      else this.paintNotes(this.scroll(1, shift));
      this.dirty.notes = false;
      this.stats.draws += 1;
      this.stats.drawMs = performance.now() - before;
      this.stats.lastNotesDrawn = performance.now();
      this.lastPosition = -1;
    }
    this.paintOver();
  }

  /** Move a painted layer by whole pixels to the left; returns the strip that is to be painted anew. */
  private scroll(layer: number, shift: number): Strip {
    const canvas = this.canvases[layer];
    const g = canvas.getContext("2d") as CanvasRenderingContext2D;
    const { ratio, width } = this.size;
    const left = KEYS * ratio;
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.save();
    g.beginPath();
    g.rect(left, 0, canvas.width - left, canvas.height);
    g.clip();
    g.globalCompositeOperation = "copy";
    g.drawImage(canvas, -shift, 0);
    g.restore();
    // A pixel more, for edges that fall between two.
    return shift > 0 ? { from: (canvas.width - shift - 1) / ratio, to: width + 1 } : { from: KEYS, to: (left - shift + 1) / ratio };
  }

  private chase(position: number): void {
    const { t0, t1 } = this.window;
    const span = t1 - t0;
    if (span >= this.duration) return;
    // A page at a time, turned a little before the edge.
    if (position > t0 + span * 0.96 || position < t0) this.setWindow({ t0: position - span * 0.04, t1: position + span * 0.96 });
  }

  /** All of it, or only a strip between two places. */
  private paintGround(strip?: Strip): void {
    const g = this.context(0);
    const { plot, window: w, styleOf: c } = this;
    const { width, height } = this.size;
    g.save();
    if (strip) {
      g.beginPath();
      g.rect(strip.from, 0, strip.to - strip.from, height);
      g.clip();
    }
    g.fillStyle = c.ground;
    g.fillRect(0, 0, width, height);
    const row = plot.height / (w.p1 - w.p0);
    // Rows of the black keys, a shade darker.
    g.fillStyle = c.faint;
    for (let p = Math.ceil(w.p0 - 0.5); p <= w.p1 + 0.5; p++) {
      if (isBlack(p)) g.fillRect(plot.x, this.y(p + 0.5), plot.width, row);
    }
    const picture = this.groundKind === "posterior" ? this.posterior : this.groundKind === "none" ? null : this.ground;
    if (picture && this.opacity > 0) {
      g.globalAlpha = this.opacity;
      picture.draw(g, this.hub.prefs.theme, w, plot);
      g.globalAlpha = 1;
    }
    g.strokeStyle = c.line;
    g.lineWidth = 1;
    g.beginPath();
    for (let p = Math.ceil(w.p0 - 0.5); p <= w.p1 + 0.5; p++) {
      if (p % 12 !== 0) continue;
      const y = Math.round(this.y(p - 0.5)) + 0.5;
      g.moveTo(plot.x, y);
      g.lineTo(width, y);
    }
    const step = tickStep((w.t1 - w.t0) / plot.width);
    const { time, bar } = this.hub.beats;
    if (!bar.length) {
      for (let k = Math.ceil(w.t0 / step); k * step <= w.t1; k++) {
        const x = Math.round(this.x(k * step)) + 0.5;
        g.moveTo(x, plot.y);
        g.lineTo(x, plot.y + plot.height);
      }
    }
    g.stroke();
    if (bar.length) this.paintBars(g, time, bar);
    g.restore();
    // Ruler.
    g.fillStyle = c.panel;
    g.fillRect(0, 0, width, RULER);
    g.fillStyle = c.dim;
    g.font = `${Math.round(11 * this.scale)}px ${FONT}`;
    g.textBaseline = "middle";
    g.textAlign = "left";
    const digits = step < 1 ? (step < 0.1 ? 2 : 1) : 0;
    for (let k = Math.ceil(w.t0 / step); k * step <= w.t1; k++) {
      const x = this.x(k * step);
      if (x > width - 24) break;
      g.fillRect(Math.round(x), RULER - 6, 1, 6);
      g.fillText(clock(k * step, digits), x + 4, this.hub.beats.bar.length ? 6 : RULER / 2);
    }
    this.paintBarNumbers(g, width);
    if (this.tuning) {
      // In the corner over the keys: what A is.
      g.fillStyle = c.dim;
      g.textAlign = "center";
      g.font = `10px ${FONT}`;
      g.fillText(`A ${this.tuning.toFixed(0)} Hz`, KEYS / 2, RULER / 2);
    }
  }

  /** Bar lines, and beats where there is room for them. */
  private paintBars(g: CanvasRenderingContext2D, time: number[], bar: number[]): void {
    const { plot, window: w, styleOf: c } = this;
    const starts = new Set(bar);
    const crowded = this.crowded();
    for (let i = 0; i < time.length; i++) {
      if (time[i] < w.t0 || time[i] > w.t1 || (crowded && !starts.has(i))) continue;
      const x = Math.round(this.x(time[i])) + 0.5;
      g.strokeStyle = starts.has(i) ? c.dim : c.line;
      g.beginPath();
      g.moveTo(x, plot.y);
      g.lineTo(x, plot.y + plot.height);
      g.stroke();
    }
  }

  /** Numbers of the bars along the lower edge of the ruler, as many as there is room for. */
  private paintBarNumbers(g: CanvasRenderingContext2D, width: number): void {
    const { time, bar } = this.hub.beats;
    g.font = `600 ${Math.round(9 * Math.min(1.25, this.scale))}px ${FONT}`;
    g.textAlign = "center";
    let last = -Infinity;
    bar.forEach((beat, k) => {
      const x = this.x(time[beat]);
      if (x < KEYS || x > width - 8 || x - last < 26) return;
      g.fillRect(Math.round(x), RULER - 4, 1, 4);
      g.fillText(String(k + 1), x, RULER - 8);
      last = x;
    });
    if (this.crowded()) return;
    for (const t of time) {
      const x = this.x(t);
      if (x >= KEYS && x <= width) g.fillRect(Math.round(x), RULER - 2, 1, 2);
    }
  }

  private paintKeys(g: CanvasRenderingContext2D, sounding: Map<number, string>): void {
    const { plot, window: w, styleOf: c } = this;
    const row = plot.height / (w.p1 - w.p0);
    g.save();
    g.beginPath();
    g.rect(0, plot.y, KEYS, plot.height);
    g.clip();
    g.fillStyle = c["key-white"];
    g.fillRect(0, plot.y, KEYS - 1, plot.height);
    const low = Math.floor(w.p0 - 1);
    const high = Math.ceil(w.p1 + 1);
    for (let p = low; p <= high; p++) {
      const top = this.y(p + 0.5);
      const lit = sounding.get(p);
      if (isBlack(p)) continue;
      if (lit) {
        g.fillStyle = lit;
        g.fillRect(0, top, KEYS - 1, row);
      }
      // A line under B and E, where two white keys touch; between others it runs through the black key's middle.
      const next = isBlack(p - 1) ? this.y(p - 1) : this.y(p - 0.5);
      g.fillStyle = c.line;
      g.fillRect(0, Math.round(next), KEYS - 1, 1);
      if (p % 12 === 0 ? row > 4 : this.names && row > 9) {
        g.fillStyle = lit ? "#000" : "#5b6270";
        g.font = `${Math.min(11 * this.scale, Math.max(9, row * 1.1))}px ${FONT}`;
        g.textAlign = "right";
        g.textBaseline = "middle";
        g.fillText(pitchName(p), KEYS - 5, this.y(p));
      }
    }
    for (let p = low; p <= high; p++) {
      if (!isBlack(p)) continue;
      g.fillStyle = sounding.get(p) ?? c["key-black"];
      g.fillRect(0, this.y(p + 0.5), KEYS * 0.58, row);
    }
    g.restore();
    g.fillStyle = c.line;
    g.fillRect(KEYS - 1, plot.y, 1, plot.height);
  }

  private pattern(g: CanvasRenderingContext2D, color: number, theme: Theme): CanvasPattern | null {
    const kind = ((color % 8) + 8) % 8;
    if (kind === 0) return null;
    const key = `${kind}${theme}`;
    const known = this.patterns.get(key);
    if (known) return known;
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const t = tile.getContext("2d") as CanvasRenderingContext2D;
    t.strokeStyle = t.fillStyle = theme === "dark" ? "rgba(0,0,0,.38)" : "rgba(255,255,255,.5)";
    t.lineWidth = 1.6;
    t.beginPath();
    if (kind === 1) for (const x of [-8, 0, 8]) line(t, x, 8, x + 8, 0);
    if (kind === 2) for (const x of [-8, 0, 8]) line(t, x, 0, x + 8, 8);
    if (kind === 3) line(t, 0, 4, 8, 4);
    if (kind === 4) line(t, 4, 0, 4, 8);
    if (kind === 5) {
      t.arc(2, 2, 1.3, 0, 7);
      t.moveTo(7.300, 6);
      t.arc(6, 6, 1.3, 0, 7);
      t.fill();
    }
    if (kind === 6) {
      line(t, 0, 4, 8, 4);
      line(t, 4, 0, 4, 8);
    }
    if (kind === 7) for (const x of [-8, -4, 0, 4, 8]) line(t, x, 8, x + 8, 0);
    t.stroke();
    const made = g.createPattern(tile, "repeat") as CanvasPattern;
    this.patterns.set(key, made);
    return made;
  }

  /** All of them, or those in a strip between two places. */
  private paintNotes(strip?: Strip): void {
    const g = this.context(1);
    const { plot, window: w, styleOf: c, hub } = this;
    const { notes, tracks, mix } = hub;
    const { theme } = hub.prefs;
    const left = strip?.from ?? plot.x;
    const right = strip?.to ?? this.size.width;
    g.clearRect(strip ? left : 0, 0, right - (strip ? left : 0), this.size.height);
    g.save();
    g.beginPath();
    g.rect(left, plot.y, right - left, plot.height);
    g.clip();
    // What reaches into it: the smallest boxes and outlines stand out a few pixels over their notes.
    const from = this.time(left - 8);
    const to = this.time(right + 8);
    const row = plot.height / (w.p1 - w.p0);
    const tall = Math.max(2, row - (row > 7 ? 2 : row > 4 ? 1 : 0));
    const perSecond = plot.width / (w.t1 - w.t0);
    const first = firstAt(notes, from - notes.longest);
    const moving = new Set(this.ghosts.map((ghost) => ghost.index));
    const colors = tracks.map((t) => trackColor(t.color, theme));
    if (!colors.length) colors.push(trackColor(0, theme));
    const judged = this.verdict && hub.reference && this.verdict.hit.length === notes.n ? this.verdict : null;
    const anySolo = hub.soloed;
    const round = Math.min(3, tall / 3);
    // Grouped by colour and strength: state changes of the canvas cost more than rectangles.
    const groups = new Map<number, number[]>();
    for (let i = first; i < notes.n && notes.onset[i] < to; i++) {
      if (notes.offset[i] < from || moving.has(i)) continue;
      const pitch = notes.pitch[i];
      if (pitch < w.p0 - 1 || pitch > w.p1 + 1) continue;
      const track = notes.track[i];
      if (mix[track]?.hidden) continue;
      const extra = judged && !judged.hit[i];
      const quiet = extra || mix[track]?.mute || (anySolo && !mix[track]?.solo) ? 1 : 0;
      const strength = Math.min(3, Math.floor(notes.velocity[i] / 32));
      const key = track * 16 + strength * 4 + quiet * 2 + (hub.missed(i) ? 1 : 0);
      const list = groups.get(key);
      if (list) list.push(i);
      else groups.set(key, [i]);
    }
    // In one order whatever comes first, so that strips painted at different times fit together.
    const ordered = [...groups].sort((a, b) => a[0] - b[0]);
    const anchor = new DOMMatrix([1, 0, 0, 1, (plot.x - w.t0 * perSecond) % 8, 0]);
    for (const [key, list] of ordered) {
      const track = key >> 4;
      const strength = (key >> 2) & 3;
      const quiet = key & 2;
      // What was found without its start is outlined.
      const hollow = Boolean(key & 1) && tall >= 4;
      const full = quiet ? 0.26 : 0.62 + 0.38 * (strength / 3);
      g.globalAlpha = hollow ? 0.3 * full : full;
      const color = colors[track] ?? colors[0];
      g.fillStyle = color;
      const pattern = tall >= 5 && tracks.length > 1 ? this.pattern(g, tracks[track]?.color ?? 0, theme) : null;
      pattern?.setTransform(anchor);
      // Rounded boxes share a path; small ones are drawn one by one, and where many fall on the same spot, once.
      const rounded = round > 1;
      const path = new Path2D();
      const filled = new Float32Array(128).fill(-1);
      for (const i of list) {
        const x = this.x(notes.onset[i]);
        const width = Math.max(2, (notes.offset[i] - notes.onset[i]) * perSecond - 1);
        const pitch = notes.pitch[i];
        const y = this.y(pitch) - tall / 2;
        if (rounded && width > 6) path.roundRect(x, y, width, tall, round);
        else if (x + width > filled[pitch] + 0.4) {
          g.fillRect(x, y, width, tall);
          filled[pitch] = x + width;
        }
      }
      if (rounded) {
        g.fill(path);
        if (pattern) {
          g.fillStyle = pattern;
          g.fill(path);
        }
        if (hollow) {
          g.globalAlpha = full;
          g.strokeStyle = color;
          g.lineWidth = 1.5;
          g.stroke(path);
        }
      }
    }
    g.globalAlpha = 1;
    // Onsets: a bright edge, and the mark of the track where there is room.
    if (perSecond > 25) {
      g.fillStyle = theme === "dark" ? "rgba(255,255,255,.75)" : "rgba(0,0,0,.55)";
      for (const list of groups.values()) {
        for (const i of list) g.fillRect(this.x(notes.onset[i]), this.y(notes.pitch[i]) - tall / 2, 1.5, tall);
      }
    }
    if (tracks.length > 1 && tall >= 9) {
      g.fillStyle = theme === "dark" ? "rgba(0,0,0,.8)" : "rgba(255,255,255,.95)";
      g.font = `${Math.min(11, tall - 1)}px ${FONT}`;
      g.textBaseline = "middle";
      g.textAlign = "left";
      for (const [key, list] of groups) {
        if (key & 1) continue;
        const mark = trackMark(tracks[key >> 4]?.color ?? 0);
        for (const i of list) {
          if ((notes.offset[i] - notes.onset[i]) * perSecond > 18) g.fillText(mark, this.x(notes.onset[i]) + 3.5, this.y(notes.pitch[i]) + 0.5);
        }
      }
    }
    if (this.names && tall >= 10) this.paintNames(g, ordered, tall, perSecond, tracks.length > 1);
    if (this.verdict && hub.reference) this.paintVerdict(g, groups, tall, perSecond, from, to);
    if (this.removed.length) this.paintRemoved(g, colors, tall, from, to);
    if (hub.bends && this.curves.length && row >= 4) this.paintCurves(g, from, to);
    const outline = (i: number, color: string, thick: number) => {
      g.strokeStyle = color;
      g.lineWidth = thick;
      const x = this.x(notes.onset[i]);
      const width = Math.max(2, (notes.offset[i] - notes.onset[i]) * perSecond - 1);
      g.beginPath();
      g.roundRect(x - 1, this.y(notes.pitch[i]) - tall / 2 - 1, width + 2, tall + 2, round + 1);
      g.stroke();
    };
    for (const i of hub.selection) {
      if (i < notes.n && !moving.has(i) && notes.offset[i] > from && notes.onset[i] < to) outline(i, c.select, 2);
    }
    for (const ghost of this.ghosts) {
      const x = this.x(ghost.onset);
      const width = Math.max(3, (ghost.offset - ghost.onset) * perSecond - 1);
      g.globalAlpha = 0.9;
      g.fillStyle = colors[ghost.track] ?? colors[0];
      g.strokeStyle = c.select;
      g.lineWidth = 2;
      g.beginPath();
      g.roundRect(x, this.y(ghost.pitch) - tall / 2, width, tall, round);
      g.fill();
      g.stroke();
      g.globalAlpha = 1;
    }
    g.restore();
    if (this.drumHeight) {
      g.save();
      g.beginPath();
      g.rect(left, plot.y + plot.height, right - left, this.drumHeight);
      g.clip();
      this.paintDrums(g, from, to);
      g.restore();
    }
    if (this.lane) {
      const top = plot.y + plot.height + this.drumHeight;
      g.save();
      g.beginPath();
      g.rect(left, top, right - left, LANE);
      g.clip();
      g.fillStyle = c.panel;
      g.fillRect(left, top, right - left, LANE);
      g.fillStyle = c.line;
      g.fillRect(left, top, right - left, 1);
      this.paintLane(g, from, to, colors);
      g.restore();
    }
    this.paintOverview(g);
  }

  /** What the clean-up took away, as dashed ghosts. */
  private paintRemoved(g: CanvasRenderingContext2D, colors: string[], tall: number, from: number, to: number): void {
    g.save();
    g.setLineDash([2, 2]);
    g.lineWidth = 1;
    for (const r of this.removed) {
      if (r.offset < from || r.onset > to || this.hub.mix[r.track]?.hidden) continue;
      const x = this.x(r.onset);
      const width = Math.max(3, this.x(r.offset) - x - 1);
      g.strokeStyle = g.fillStyle = colors[r.track] ?? colors[0];
      g.globalAlpha = 0.18;
      g.fillRect(x, this.y(r.pitch) - tall / 2, width, tall);
      g.globalAlpha = 0.9;
      g.strokeRect(x + 0.5, this.y(r.pitch) - tall / 2 + 0.5, width, tall - 1);
    }
    g.restore();
  }

  /** Pitch curves over their notes, a semitone as high as a row. */
  private paintCurves(g: CanvasRenderingContext2D, from: number, to: number): void {
    const path = new Path2D();
    for (const { pitch, time, cents } of this.curves) {
      const n = time.length;
      if (!n || time[n - 1] < from || time[0] > to) continue;
      for (let i = 0; i < n; i++) {
        const [x, y] = [this.x(time[i]), this.y(pitch + cents[i] / 100)];
        if (i) path.lineTo(x, y);
        else path.moveTo(x, y);
      }
    }
    g.lineJoin = "round";
    g.strokeStyle = "rgba(0,0,0,.75)";
    g.lineWidth = 3.5;
    g.stroke(path);
    g.strokeStyle = "#fff";
    g.lineWidth = 1.6;
    g.stroke(path);
  }

  /** Against a reference: extras struck through, misses as hollow boxes; hits stay as they are. */
  private paintVerdict(g: CanvasRenderingContext2D, groups: Map<number, number[]>, tall: number, perSecond: number, from: number, to: number): void {
    const verdict = this.verdict as NonNullable<RollView["verdict"]>;
    const { notes, reference } = this.hub;
    const { styleOf: c } = this;
    if (!reference || verdict.hit.length !== notes.n) return;
    g.strokeStyle = c.bad;
    g.lineWidth = 1.5;
    g.beginPath();
    for (const list of groups.values()) {
      for (const i of list) {
        if (verdict.hit[i]) continue;
        const x0 = this.x(notes.onset[i]);
        const x1 = Math.max(x0 + 5, this.x(notes.offset[i]));
        const y = this.y(notes.pitch[i]);
        g.moveTo(x0, y + tall / 2);
        g.lineTo(x1, y - tall / 2);
        g.moveTo(x0, y - tall / 2);
        g.lineTo(x1, y + tall / 2);
      }
    }
    g.stroke();
    g.setLineDash([3, 2]);
    g.strokeStyle = c.text;
    g.beginPath();
    for (let i = firstAt(reference, from - reference.longest); i < reference.n && reference.onset[i] < to; i++) {
      if (!verdict.missed[i]) continue;
      g.rect(this.x(reference.onset[i]), this.y(reference.pitch[i]) - tall / 2, Math.max(3, (reference.offset[i] - reference.onset[i]) * perSecond - 1), tall);
    }
    g.stroke();
    g.setLineDash([]);
  }

  private paintOverview(g: CanvasRenderingContext2D): void {
    const { width, height, ratio } = this.size;
    const { styleOf: c } = this;
    const top = height - OVERVIEW;
    if (this.overviewStale) {
      this.overview.width = Math.round((width - KEYS) * ratio);
      this.overview.height = Math.round(OVERVIEW * ratio);
      const o = this.overview.getContext("2d") as CanvasRenderingContext2D;
      o.setTransform(ratio, 0, 0, ratio, 0, 0);
      const { notes, tracks } = this.hub;
      const colors = tracks.map((t) => trackColor(t.color, this.hub.prefs.theme));
      const scale = (width - KEYS) / this.duration;
      let low = 127;
      let high = 0;
      for (let i = 0; i < notes.n; i++) {
        low = Math.min(low, notes.pitch[i]);
        high = Math.max(high, notes.pitch[i]);
      }
      const tall = (OVERVIEW - 10) / Math.max(12, high - low + 1);
      o.globalAlpha = 0.85;
      for (let i = 0; i < notes.n; i++) {
        if (this.hub.mix[notes.track[i]]?.hidden) continue;
        o.fillStyle = colors[notes.track[i]] ?? trackColor(0, this.hub.prefs.theme);
        o.fillRect(notes.onset[i] * scale, 4 + (high - notes.pitch[i]) * tall, Math.max(1, (notes.offset[i] - notes.onset[i]) * scale), Math.max(1.5, tall));
      }
      if (this.drumHeight) {
        o.fillStyle = drumColor(this.hub.prefs.theme);
        for (const time of this.hub.strokes.time) o.fillRect(time * scale, OVERVIEW - 5, 1, 4);
      }
      this.overviewStale = false;
    }
    g.fillStyle = c.panel;
    g.fillRect(0, top, width, OVERVIEW);
    g.fillStyle = c.line;
    g.fillRect(0, top, width, 1);
    if (this.overview.width) g.drawImage(this.overview, KEYS, top, width - KEYS, OVERVIEW);
    const scale = (width - KEYS) / this.duration;
    const x0 = KEYS + this.window.t0 * scale;
    const x1 = Math.min(width, KEYS + this.window.t1 * scale);
    g.fillStyle = c.select;
    g.globalAlpha = 0.1;
    g.fillRect(x0, top + 1, x1 - x0, OVERVIEW - 1);
    g.globalAlpha = 0.7;
    g.strokeStyle = c.select;
    g.lineWidth = 1.5;
    g.strokeRect(x0 + 0.75, top + 1.75, Math.max(4, x1 - x0 - 1.5), OVERVIEW - 2.5);
    g.globalAlpha = 1;
  }

  private paintOver(): void {
    const { transport } = this.hub;
    const position = transport.position;
    const stamp = position + (this.band ? this.band.t0 + this.band.p1 * 7 + this.band.t1 * 3 : 0) + transport.loop.from * 3 + transport.loop.to * 5 + (transport.loop.on ? 1 : 0) + this.hover * 11 + (this.line ? this.line.to * 13 + 1 : 0) + this.hub.drumRow * 17;
    if (stamp === this.lastPosition && !transport.playing) return;
    this.lastPosition = stamp;
    const g = this.context(2);
    const { plot, styleOf: c, hub } = this;
    const { notes } = hub;
    g.clearRect(0, 0, this.size.width, this.size.height);
    const { loop } = transport;
    if (loop.to > loop.from) {
      const x0 = Math.max(plot.x, this.x(loop.from));
      const x1 = this.x(loop.to);
      if (x1 > plot.x) {
        g.fillStyle = loop.on ? c.accent : c.dim;
        g.globalAlpha = loop.on ? 0.5 : 0.3;
        g.fillRect(x0, 0, x1 - x0, 5);
        g.globalAlpha = loop.on ? 0.1 : 0.05;
        g.fillRect(x0, 5, x1 - x0, plot.y + plot.height - 5);
        g.globalAlpha = 1;
      }
    }
    const sounding = new Map<number, string>();
    if (transport.playing || position > 0) {
      for (let i = firstAt(notes, position - notes.longest); i < notes.n && notes.onset[i] <= position; i++) {
        if (notes.offset[i] < position || !hub.audible(notes.track[i]) || hub.mix[notes.track[i]]?.hidden) continue;
        sounding.set(notes.pitch[i], trackColor(hub.tracks[notes.track[i]]?.color ?? 0, hub.prefs.theme));
      }
    }
    this.paintKeys(g, sounding);
    if (this.drumHeight) this.paintDrumNames(g, position);
    if (this.band) {
      const x0 = this.x(this.band.t0);
      const x1 = this.x(this.band.t1);
      const { rows } = this.band;
      const y0 = rows ? this.rowTop(rows[0]) : this.y(this.band.p1);
      const y1 = rows ? this.rowTop(rows[1] + 1) : this.y(this.band.p0);
      g.fillStyle = c.select;
      g.globalAlpha = 0.12;
      g.fillRect(x0, y0, x1 - x0, y1 - y0);
      g.globalAlpha = 0.9;
      g.strokeStyle = c.select;
      g.setLineDash([4, 3]);
      g.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0);
      g.setLineDash([]);
      g.globalAlpha = 1;
    }
    if (this.hover >= 0 && this.hover < notes.n) {
      const i = this.hover;
      const row = plot.height / (this.window.p1 - this.window.p0);
      g.strokeStyle = c.text;
      g.lineWidth = 1.5;
      g.strokeRect(this.x(notes.onset[i]) - 1, this.y(notes.pitch[i] + 0.5), this.x(notes.offset[i]) - this.x(notes.onset[i]) + 2, row);
    }
    if (this.line) {
      g.fillStyle = c.accent;
      g.fillRect(Math.round(this.x(this.line.to)) - 1, 0, 2, plot.y + plot.height);
    }
    const x = this.x(position);
    if (x >= plot.x && x <= this.size.width) {
      g.fillStyle = c.playhead;
      g.fillRect(Math.round(x) - 1, RULER - 2, 2 * this.scale, plot.height + 2 + this.drumHeight);
      g.beginPath();
      g.moveTo(x - 6, RULER - 11);
      g.lineTo(x + 6, RULER - 11);
      g.lineTo(x, RULER);
      g.fill();
    }
    const scale = (this.size.width - KEYS) / this.duration;
    g.fillStyle = c.playhead;
    g.fillRect(KEYS + position * scale - 0.75, this.size.height - OVERVIEW + 1, 1.5, OVERVIEW - 1);
  }

  // --- the tip -----------------------------------------------------------------------------------------------------

  showTip(index: number, x: number, y: number): void {
    if (index !== this.hover) {
      this.hover = index;
      this.tip.classList.toggle("amt-on", index >= 0);
      this.tip.dataset.of = "";
      if (index >= 0) {
        const { notes, tracks, prefs } = this.hub;
        const track = tracks[notes.track[index]];
        const color = trackColor(track?.color ?? 0, prefs.theme);
        this.tip.replaceChildren(
          h("b", {}, pitchName(notes.pitch[index])),
          h("span", { style: `color:${color}` }, `${trackMark(track?.color ?? 0)} ${trackName(this.hub, notes.track[index])}`),
          h("span", {}, `${clock(notes.onset[index], 2)} – ${clock(notes.offset[index], 2)}`),
          h("span", {}, `${say(this.hub, "velocity")} ${Math.round(notes.velocity[index])} · ${say(this.hub, "confidence")} ${Math.round(notes.confidence[index] * 100)} %`),
        );
      }
    }
    if (index >= 0) {
      const left = Math.min(x + 14, this.size.width - this.tip.offsetWidth - 6);
      const above = y > this.size.height / 2;
      this.tip.style.transform = `translate(${left}px, ${above ? y - this.tip.offsetHeight - 12 : y + 16}px)`;
    }
  }

  /** What a stroke of a drum is. */
  showStroke(index: number, x: number, y: number): void {
    const { strokes } = this.hub;
    const key = `stroke${strokes.time[index]}/${strokes.key[index]}`;
    if (this.tip.dataset.of !== key) {
      this.tip.dataset.of = key;
      this.tip.replaceChildren(
        h("b", {}, say(this.hub, `drum_${ROWS[rowOf(strokes.key[index])].name}`)),
        h("span", {}, clock(strokes.time[index], 2)),
        h("span", {}, `${say(this.hub, "velocity")} ${Math.round(strokes.velocity[index])} · ${say(this.hub, "confidence")} ${Math.round(strokes.confidence[index] * 100)} %`),
        h("span", {}, say(this.hub, "stroke_edit")),
      );
    }
    this.tip.classList.add("amt-on");
    const left = Math.min(x + 14, this.size.width - this.tip.offsetWidth - 6);
    this.tip.style.transform = `translate(${left}px, ${y - this.tip.offsetHeight - 12}px)`;
    this.hover = -2;
  }

  /** Why a note is a ghost. */
  showReason(ghost: Removed, x: number, y: number): void {
    const key = `ghost${ghost.onset}/${ghost.pitch}`;
    if (this.tip.dataset.of !== key) {
      this.tip.dataset.of = key;
      this.tip.replaceChildren(h("b", {}, pitchName(ghost.pitch)), h("span", {}, say(this.hub, `ghost_${ghost.reason}`)), h("span", {}, say(this.hub, "ghost_back")));
    }
    this.tip.classList.add("amt-on");
    const left = Math.min(x + 14, this.size.width - this.tip.offsetWidth - 6);
    this.tip.style.transform = `translate(${left}px, ${y > this.size.height / 2 ? y - this.tip.offsetHeight - 12 : y + 16}px)`;
    this.hover = -2;
  }

  /** The visible roll as one picture. */
  async png(): Promise<Blob> {
    this.lastPosition = -1;
    this.stale();
    this.paint();
    const out = document.createElement("canvas");
    out.width = this.canvases[0].width;
    out.height = this.canvases[0].height;
    const g = out.getContext("2d") as CanvasRenderingContext2D;
    for (const canvas of this.canvases) g.drawImage(canvas, 0, 0);
    return new Promise((resolve, reject) => out.toBlob((b) => (b ? resolve(b) : reject(new Error("no picture"))), "image/png"));
  }
}

const drumColor = (theme: Theme) => (theme === "dark" ? "#e8d5b0" : "#6b4a12");

export const FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif';

function line(g: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  g.moveTo(x0, y0);
  g.lineTo(x1, y1);
}

/** Seconds between ticks for a scale of so many seconds a pixel. */
export function tickStep(secondsPerPixel: number): number {
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
  return steps.find((s) => s / secondsPerPixel >= 70) ?? 3600;
}
