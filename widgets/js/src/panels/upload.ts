// Sends a file to the program in pieces, in order, as fast as the connection carries them; goes on after a lost piece.

import type { Model } from "../model";

interface Job {
  file: Blob;
  name: string;
  /** Chosen as true notes to compare with, whatever its name. */
  reference: boolean;
  id: string;
  /** Bytes that the program has; bytes that have left the page. */
  arrived: number;
  sent: number;
  /** Bytes in a piece: grows and shrinks with the connection. */
  piece: number;
  pumping: boolean;
  quiet: boolean;
  answered: number;
  timer: number;
}

/** Pieces under way at once. */
const AHEAD = 4;
const SMALLEST = 1 << 15;
const FIRST = 1 << 17;
/** After so many ms without an answer the program is asked how far it is. */
const SILENCE = 8000;

const isNotes = (name: string) => /\.midi?$/i.test(name);

/** The uploads of one page: one at a time; a later recording takes the place of one under way. */
export class Uploads {
  job: Job | null = null;
  changed: () => void = () => undefined;
  failed: (key: string, values: Record<string, unknown>) => void = () => undefined;
  private waiting: { file: Blob; name: string; reference: boolean } | null = null;

  private readonly listener = (content: any) => this.hear(content);

  constructor(private readonly model: Model) {
    model.on("msg:custom", this.listener);
  }

  /** Nobody looks any more. */
  end(): void {
    this.changed = () => undefined;
    this.cancel();
    this.model.off("msg:custom", this.listener);
  }

  private get limits(): { megabytes: number; chunk: number } {
    return { megabytes: 200, chunk: 1 << 20, ...(this.model.get("limits") ?? {}) };
  }

  send(file: Blob, name: string, reference = isNotes(name)): void {
    const { megabytes, chunk } = this.limits;
    if (file.size > megabytes * 1e6) {
      this.failed("too_large", { name, size: (file.size / 1e6).toFixed(0), megabytes });
      return;
    }
    // A reference does not push aside the recording that is on its way.
    if (this.job && reference && !this.job.reference) {
      this.waiting = { file, name, reference };
      return;
    }
    this.stop();
    this.waiting = null;
    this.job = {
      file,
      name,
      reference,
      id: Math.random().toString(36).slice(2) + Date.now().toString(36),
      arrived: 0,
      sent: 0,
      piece: Math.min(FIRST, chunk),
      pumping: false,
      quiet: false,
      answered: performance.now(),
      timer: 0,
    };
    this.begin(this.job);
    this.listen(this.job);
    this.changed();
  }

  cancel(): void {
    if (!this.job) return;
    this.tell({ do: "drop_upload", id: this.job.id });
    this.stop();
  }

  private begin(job: Job): void {
    this.tell({ do: "upload", name: job.name, size: job.file.size, id: job.id, reference: job.reference });
  }

  private stop(): void {
    if (this.job) clearTimeout(this.job.timer);
    this.job = null;
    this.changed();
  }

  /** While the connection is away a message may be refused on this side: the question after a silence mends that. */
  private tell(content: Record<string, unknown>, buffers?: ArrayBuffer[]): void {
    try {
      this.model.send(content, undefined, buffers);
    } catch {
      // The banner says that the program is gone.
    }
  }

  private listen(job: Job): void {
    clearTimeout(job.timer);
    job.timer = window.setTimeout(() => {
      if (job !== this.job) return;
      job.quiet = true;
      this.inquire();
    }, SILENCE);
  }

  /** Asks the program how much it has: its answer says where to go on. */
  inquire(): void {
    const job = this.job;
    if (!job) return;
    if (job.sent) this.tell({ do: "where", id: job.id, sent: job.sent });
    else this.begin(job);
    this.listen(job);
    this.changed();
  }

  /** Sends pieces in order, one loop an upload: reading a piece takes a while, and none may overtake another. */
  private async pump(job: Job): Promise<void> {
    if (job.pumping) return;
    job.pumping = true;
    try {
      while (job === this.job && job.sent < job.file.size && job.sent - job.arrived < AHEAD * job.piece) {
        const at = job.sent;
        const data = await job.file.slice(at, at + job.piece).arrayBuffer();
        if (job !== this.job) return;
        if (job.sent !== at) continue; // The program has asked to go back meanwhile.
        job.sent = at + data.byteLength;
        this.tell({ do: "chunk", id: job.id, at }, [data]);
      }
    } catch {
      if (job !== this.job) return;
      this.cancel();
      this.failed("unreadable", { name: job.name });
    } finally {
      job.pumping = false;
    }
  }

  private hear(content: any): void {
    const job = this.job;
    if (!job || content.id !== job.id) return;
    if (content.do === "refused") {
      this.stop();
      // What the program has said stands on the status line already.
      if (!content.said) this.failed("not_arrived", { name: job.name });
    } else if (content.do === "got") {
      this.adapt(job, content.received);
      job.quiet = false;
      job.arrived = content.received;
      if (content.back || job.sent < job.arrived) job.sent = job.arrived;
      if (job.arrived >= job.file.size) {
        const next = this.waiting;
        this.waiting = null;
        this.stop();
        if (next) this.send(next.file, next.name, next.reference);
        return;
      }
      this.listen(job);
      this.changed();
      void this.pump(job);
    }
  }

  /** Pieces that take between a quarter of a second and a second: few messages on a fast link, a live bar on a slow one. */
  private adapt(job: Job, received: number): void {
    const now = performance.now();
    if (received > job.arrived) {
      const each = ((now - job.answered) * job.piece) / (received - job.arrived);
      if (each < 250) job.piece = Math.min(this.limits.chunk, job.piece * 2);
      else if (each > 1000) job.piece = Math.max(SMALLEST, job.piece >> 1);
    }
    job.answered = now;
  }
}
