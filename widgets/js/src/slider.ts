// A slider that shows what it acts on: the histogram behind it, the part that passes lit.

import { h } from "./dom";

export interface SliderOptions {
  label: string;
  hint?: string;
  /** Beside the label: the button that explains. */
  aside?: HTMLElement;
  min: number;
  max: number;
  step: number;
  value: number;
  start?: number;
  histogram?: boolean;
  /** Which side of the line passes. */
  passes?: "over" | "under" | "none";
  format(value: number): string;
  /** `lasting` is false for the steps of a drag. */
  change(value: number, lasting: boolean): void;
}

export class Slider {
  readonly element: HTMLElement;
  private readonly track: HTMLElement;
  private readonly output: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private bars: Float32Array = new Float32Array(0);
  private value: number;
  dragging = false;
  private resting = false;

  constructor(private readonly options: SliderOptions) {
    this.value = options.value;
    this.output = h("output", { class: "amt-value" });
    this.canvas = h("canvas", { class: "amt-histogram", "aria-hidden": "true" });
    this.track = h(
      "div",
      {
        class: `amt-slider${options.histogram ? " amt-tall" : ""}`,
        role: "slider",
        tabindex: "0",
        "aria-label": options.label,
        "aria-valuemin": String(options.min),
        "aria-valuemax": String(options.max),
        title: options.hint,
      },
      h("div", { class: "amt-rail" }),
      this.canvas,
      h("div", { class: "amt-handle" }),
    );
    this.element = h(
      "div",
      { class: "amt-field" },
      h("div", { class: "amt-label" }, h("span", { title: options.hint }, options.label), options.aside ?? null, this.output),
      this.track,
    );
    this.track.addEventListener("pointerdown", (e) => this.down(e));
    this.track.addEventListener("keydown", (e) => this.key(e));
    this.track.addEventListener("dblclick", () => this.take(options.start ?? this.value, true));
    new ResizeObserver(() => this.draw()).observe(this.track);
    this.show();
  }

  set(value: number): void {
    if (this.dragging || value === this.value) return;
    this.value = value;
    this.show();
  }

  /** Whether it rests: seen, and not to be moved, for it acts on nothing now. */
  rest(resting: boolean): void {
    this.resting = resting;
    this.element.classList.toggle("amt-resting", resting);
    this.track.setAttribute("aria-disabled", String(resting));
    this.track.tabIndex = resting ? -1 : 0;
  }

  setHistogram(bars: Float32Array): void {
    this.bars = bars;
    this.draw();
  }

  private take(value: number, lasting: boolean): void {
    if (this.resting) return;
    const { min, max, step } = this.options;
    const rounded = Math.min(max, Math.max(min, Math.round(value / step) * step));
    const clean = Number(rounded.toFixed(6));
    if (clean === this.value && !lasting) return;
    this.value = clean;
    this.show();
    this.options.change(clean, lasting);
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0 || this.resting) return;
    event.preventDefault();
    this.track.focus({ preventScroll: true });
    this.track.setPointerCapture(event.pointerId);
    this.dragging = true;
    const at = (e: PointerEvent) => {
      const box = this.track.getBoundingClientRect();
      const { min, max } = this.options;
      return min + ((e.clientX - box.left) / Math.max(1, box.width)) * (max - min);
    };
    const move = (e: PointerEvent) => this.take(at(e), false);
    const up = (e: PointerEvent) => {
      this.track.removeEventListener("pointermove", move);
      this.track.removeEventListener("pointerup", up);
      this.track.removeEventListener("pointercancel", up);
      this.dragging = false;
      this.take(e.type === "pointercancel" ? this.value : at(e), true);
    };
    this.track.addEventListener("pointermove", move);
    this.track.addEventListener("pointerup", up);
    this.track.addEventListener("pointercancel", up);
    move(event);
  }

  private key(event: KeyboardEvent): void {
    const { min, max, step } = this.options;
    const big = (max - min) / 10;
    const moves: Record<string, number> = {
      ArrowRight: this.value + step,
      ArrowUp: this.value + step,
      ArrowLeft: this.value - step,
      ArrowDown: this.value - step,
      PageUp: this.value + big,
      PageDown: this.value - big,
      Home: min,
      End: max,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    this.take(moves[event.key], true);
  }

  private show(): void {
    const { min, max, format } = this.options;
    const part = (this.value - min) / (max - min);
    this.track.style.setProperty("--at", String(Math.min(1, Math.max(0, part))));
    this.track.setAttribute("aria-valuenow", String(this.value));
    this.track.setAttribute("aria-valuetext", format(this.value));
    this.output.textContent = format(this.value);
    this.draw();
  }

  /** Anew, in the colours that the page has now. */
  draw(): void {
    if (!this.options.histogram) return;
    const box = this.track.getBoundingClientRect();
    if (!box.width) return;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(box.width * ratio);
    const height = Math.round(box.height * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const g = this.canvas.getContext("2d") as CanvasRenderingContext2D;
    g.clearRect(0, 0, width, height);
    const n = this.bars.length;
    if (!n) return;
    const style = getComputedStyle(this.track);
    const on = style.getPropertyValue("--accent");
    const off = style.getPropertyValue("--dim");
    // The lowest bins hold the noise floor, thousands of times the rest: a square root of a clipped count keeps all legible.
    const sorted = [...this.bars].sort((a, b) => a - b);
    const top = Math.max(1, sorted[Math.floor(n * 0.94)]) * 1.15;
    const { min, max, passes } = this.options;
    for (let i = 0; i < n; i++) {
      const x0 = ((i / n - min) / (max - min)) * width;
      const x1 = (((i + 1) / n - min) / (max - min)) * width;
      if (x1 < 0 || x0 > width) continue;
      const middle = (i + 0.5) / n;
      const lit = passes === "none" || (passes === "under" ? middle < this.value : middle >= this.value);
      const tall = Math.min(1, Math.sqrt(this.bars[i] / top)) * (height - 4 * ratio);
      g.fillStyle = lit ? on : off;
      g.fillRect(x0 + 0.5 * ratio, height - tall, Math.max(1, x1 - x0 - ratio), tall);
    }
  }
}
