// What anywidget gives the browser half: the part of its interface that is used here.

export interface Model {
  get(name: string): any;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: (ArrayBuffer | ArrayBufferView)[]): void;
  on(event: string, handler: (...args: any[]) => void): void;
  off(event: string, handler: (...args: any[]) => void): void;
}

/** A binary trait as float32: the view may sit at any byte of a larger message, so it is copied where it must be. */
export function floats(value: DataView | ArrayBuffer | Uint8Array | null | undefined): Float32Array {
  if (!value) return new Float32Array(0);
  const bytes = octets(value);
  const copy = bytes.slice(0, bytes.byteLength - (bytes.byteLength % 4));
  return new Float32Array(copy.buffer, copy.byteOffset, copy.byteLength / 4);
}

/** A binary trait as bytes, not copied. */
export function octets(value: DataView | ArrayBuffer | Uint8Array | null | undefined): Uint8Array {
  if (!value) return new Uint8Array(0);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
}

/** Listeners of one mounted part, taken off together. */
export class Scope {
  private ends: (() => void)[] = [];

  constructor(readonly model: Model) {}

  /** Follow a trait; the handler is called at once too. */
  watch(name: string, handler: (value: any) => void): void {
    const call = () => handler(this.model.get(name));
    this.model.on(`change:${name}`, call);
    this.add(() => this.model.off(`change:${name}`, call));
    call();
  }

  /** Messages of the Python half. */
  message(handler: (content: any, buffers: DataView[]) => void): void {
    this.model.on("msg:custom", handler);
    this.add(() => this.model.off("msg:custom", handler));
  }

  listen(target: EventTarget, name: string, handler: (event: any) => void, options?: AddEventListenerOptions): void {
    target.addEventListener(name, handler, options);
    this.add(() => target.removeEventListener(name, handler, options));
  }

  add(end: () => void): void {
    this.ends.push(end);
  }

  end(): void {
    for (const end of this.ends.splice(0).reverse()) end();
  }
}

/**
 * Sends values so that the last one always wins: the next goes out when the Python half has answered the one before,
 * and those in between are left out.
 */
export class Latest<T> {
  private turn = 0;
  private answered = 0;
  private waiting: T | undefined;
  private timer = 0;

  constructor(private readonly deliver: (value: T, turn: number) => void) {}

  get idle(): boolean {
    return this.turn === this.answered && this.waiting === undefined;
  }

  send(value: T): void {
    if (this.turn !== this.answered) {
      this.waiting = value;
      return;
    }
    this.turn += 1;
    clearTimeout(this.timer);
    // An answer that is lost (a kernel that restarted) must not stop the slider for good.
    this.timer = window.setTimeout(() => this.answer(this.turn), 4000);
    this.deliver(value, this.turn);
  }

  answer(turn: number): void {
    if (turn !== this.turn) return;
    clearTimeout(this.timer);
    this.answered = turn;
    const next = this.waiting;
    this.waiting = undefined;
    if (next !== undefined) this.send(next);
  }
}
