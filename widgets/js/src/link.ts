// The link between the page and the program behind it: notices when it breaks, keeps what the person does meanwhile,
// and brings it back. Where there is no program (the static page) it does nothing.

import { type EditMessage, type Edits, type Note, apply, edit } from "./edits";
import { type Strokes, packStrokes, strokeRows, unpackStrokes } from "./drums";
import type { Hub } from "./hub";
import { type Model, Scope } from "./model";
import { type Notes, pack, unpack } from "./notes";

/** `lost`: it cannot be reached; `silent`: it does not answer; `gone`: it has ended, or was started anew. */
export type Link = "ok" | "silent" | "lost" | "gone";

interface Kernel {
  id: string;
  status: string;
  connectionStatus: string;
  statusChanged: Signal;
  connectionStatusChanged: Signal;
  reconnect(): Promise<void>;
  serverSettings: { baseUrl: string; token?: string };
}

type Slot = (sender: unknown, value: string) => void;

interface Signal {
  connect(slot: Slot): void;
  disconnect(slot: Slot): void;
}

const PING = 4000;
/** A program that reads a recording may be busy for a while. */
const SILENT = 16_000;
const CHECK = 2000;
/** Looks that a connection under way has before it is begun anew, at first; a slow one has twice as many then. */
const PATIENCE = 2;
const AGAIN = "amtsep.again";
const VISITOR = "amtsep.visitor";

export class Keeper {
  state: Link = "ok";
  /** Corrections that are not yet safely kept, in order. */
  private journal: EditMessage[] = [];
  private senders = new Map<number, (message: EditMessage) => void>();
  private turn = 0;
  private kept: { id?: string; turn?: number } = {};
  private heard = performance.now();
  private checking = 0;
  private leaving = false;
  private readonly kernel: Kernel | null;
  private readonly scope: Scope;

  constructor(
    private readonly model: Model,
    private readonly hub: Hub,
  ) {
    this.kernel = (model as any).widget_manager?.kernel ?? null;
    this.scope = new Scope(model);
    if (!this.kernel) return;
    const { kernel } = this;
    this.follow(kernel.statusChanged, (_, status) => {
      if (["dead", "autorestarting", "restarting", "terminating"].includes(status)) this.become("gone");
    });
    this.follow(kernel.connectionStatusChanged, (_, status) => {
      if (status !== "connected") void this.check();
      else this.ping();
    });
    this.scope.message((content) => {
      if (content.do === "pong") this.answered();
    });
    this.scope.watch("kept", (kept) => this.keep(kept ?? {}));
    this.scope.listen(window, "online", () => void this.check());
    // The page's first listener calls this, ahead of Voilà's: see the template.
    const leave = (e: BeforeUnloadEvent) => this.leave(e);
    (window as any).amtsepLeave = leave;
    this.scope.add(() => {
      if ((window as any).amtsepLeave === leave) delete (window as any).amtsepLeave;
    });
    this.scope.listen(window, "pagehide", () => this.goodbye());
    const clock = window.setInterval(() => this.tick(), PING);
    this.scope.add(() => clearInterval(clock));
    this.hello();
  }

  private follow(signal: Signal, slot: Slot): void {
    signal.connect(slot);
    this.scope.add(() => signal.disconnect(slot));
  }

  /** The page shows the session no longer. */
  end(): void {
    this.leaving = true;
    this.scope.end();
  }

  get page(): boolean {
    return document.body.dataset.voila !== undefined;
  }

  get offline(): boolean {
    return this.state === "lost" || this.state === "gone";
  }

  /** Corrections made here that the program does not know of. */
  get pending(): number {
    return this.journal.length;
  }

  // --- is anybody there? ---------------------------------------------------------------------------------------------

  private tick(): void {
    if (this.state === "gone") return;
    this.ping();
    const quiet = performance.now() - this.heard;
    if (this.state === "ok" && quiet > SILENT) {
      this.become("silent");
      void this.check();
    }
  }

  private ping(): void {
    if (this.kernel?.connectionStatus !== "connected") return;
    try {
      this.model.send({ do: "ping" });
    } catch {
      void this.check();
    }
  }

  private answered(): void {
    this.heard = performance.now();
    if (this.state === "silent" || this.state === "lost") this.become("ok");
  }

  /** Ask the server itself whether it still has our program. */
  private async check(): Promise<void> {
    const { kernel } = this;
    if (!kernel || this.checking || this.state === "gone" || this.leaving) return;
    this.checking = window.setTimeout(() => undefined, 0);
    try {
      let looks = 0;
      let patience = PATIENCE;
      for (;;) {
        const found = await this.ask(kernel);
        if (this.leaving || (this.state as Link) === "gone") return;
        if (found === false) return this.become("gone");
        if (found === null || kernel.connectionStatus !== "connected") this.become("lost");
        if (found && kernel.connectionStatus === "connected") {
          this.ping();
          return;
        }
        // Jupyter waits longer after every attempt, up to half a minute: not while the server is known to answer.
        looks = found ? looks + 1 : 0;
        if (found && (kernel.connectionStatus === "disconnected" || looks >= patience)) {
          [looks, patience] = [0, 2 * patience];
          void kernel.reconnect().catch(() => undefined);
        }
        await new Promise((done) => setTimeout(done, CHECK));
      }
    } finally {
      this.checking = 0;
    }
  }

  /** True: it is there; false: it is not; null: nobody answers. */
  private async ask(kernel: Kernel): Promise<boolean | null> {
    const { baseUrl, token } = kernel.serverSettings;
    const headers: Record<string, string> = token ? { Authorization: `token ${token}` } : {};
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 6000);
    try {
      const answer = await fetch(`${baseUrl}api/kernels/${kernel.id}`, { headers, cache: "no-store", redirect: "manual", signal: stop.signal });
      return answer.ok ? true : answer.status >= 500 ? null : false;
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  private become(state: Link): void {
    if (this.state === state) return;
    const before = this.state;
    this.state = state;
    if (before === "lost" && state === "ok") {
      this.replay();
      // What the program has said meanwhile went nowhere.
      this.hub.mixPending = 0;
      this.hub.uploads?.inquire();
      this.hub.emit("anew");
    }
    if (this.offline && before !== "lost" && before !== "gone") this.applyPending();
    this.hub.emit("link");
  }

  // --- corrections ---------------------------------------------------------------------------------------------------

  /** Send a correction, or do it here while there is nobody to send it to. */
  edit(message: EditMessage, send: (message: EditMessage) => void): void {
    if (!this.kernel) return send(message);
    this.turn = Math.max(this.turn + 1, Date.now());
    const own = { ...message, turn: this.turn };
    this.journal.push(own);
    this.senders.set(own.turn, send);
    if (this.offline) {
      this.hub.savedHere = false;
      this.applyHere([own]);
      this.hub.emit("link");
    } else {
      try {
        send(own);
      } catch {
        void this.check();
      }
    }
    return undefined;
  }

  get canUndo(): boolean {
    return this.base !== null && this.journal.length > this.baseLength;
  }

  /** Take back what has been done here, with nobody to ask; false where the program does it. */
  undo(): boolean {
    if (!this.offline) return false;
    if (this.base && this.canUndo) {
      this.journal.pop();
      this.hub.setNotes(this.base.notes);
      this.hub.setStrokes(this.base.strokes);
      this.applyHere(this.journal.slice(this.baseLength));
      this.hub.emit("link");
    }
    return true;
  }

  private base: { notes: Notes; strokes: Strokes } | null = null;
  private baseLength = 0;

  /** The link has just broken: do here what was on its way. */
  private applyPending(): void {
    const applied = this.hub.history.turn ?? 0;
    const missing = this.journal.filter((m) => (m.turn ?? 0) > applied);
    if (missing.length) this.applyHere(missing);
    this.base = { notes: this.hub.notes, strokes: this.hub.strokes };
    this.baseLength = this.journal.length;
  }

  private applyHere(messages: EditMessage[]): void {
    const drums = messages.filter((m) => m.of === "strokes");
    if (drums.length < messages.length) this.hub.setNotes(unpack(pack(this.corrected(rows(this.hub.notes), messages.filter((m) => m.of !== "strokes")))));
    if (drums.length) this.hub.setStrokes(unpackStrokes(packStrokes(this.corrected(strokeRows(this.hub.strokes), drums))));
  }

  private corrected(table: Note[], messages: EditMessage[]): Note[] {
    const decoded = table.filter((note) => !note.hand);
    let edits: Edits = { struck: [], added: table.filter((note) => note.hand) };
    for (const message of messages) edits = edit(edits, apply(decoded, edits), message, this.hub.duration || Infinity);
    return apply(decoded, edits);
  }

  /** The same program is back: what it has heard already it passes over. */
  private replay(): void {
    this.base = null;
    for (const message of this.journal) this.senders.get(message.turn ?? 0)?.(message);
  }

  private keep(kept: { id?: string; turn?: number }): void {
    if (this.kept.id && kept.id !== this.kept.id) this.journal = this.journal.filter((m) => (m.turn ?? 0) > (kept.turn ?? 0));
    this.kept = kept;
    this.journal = this.journal.filter((m) => (m.turn ?? 0) > (kept.turn ?? 0));
    for (const turn of [...this.senders.keys()]) if (turn <= (kept.turn ?? 0)) this.senders.delete(turn);
    const again = read(sessionStorage, AGAIN);
    if (again && kept.id && JSON.parse(again).id === kept.id) drop(AGAIN);
  }

  // --- coming and going ----------------------------------------------------------------------------------------------

  private hello(): void {
    let visitor = read(localStorage, VISITOR);
    if (!visitor) {
      visitor = [...crypto.getRandomValues(new Uint8Array(18))].map((b) => b.toString(16).padStart(2, "0")).join("");
      write(localStorage, VISITOR, visitor);
    }
    this.model.send({ do: "hello", visitor });
    const again = read(sessionStorage, AGAIN);
    if (!again || !this.page) return;
    const { id, edits } = JSON.parse(again);
    if (id) this.model.send({ do: "go_on", id, edits });
    else drop(AGAIN);
  }

  /** A fresh program, from what was kept and what has been done here since. */
  startAgain(): void {
    write(sessionStorage, AGAIN, JSON.stringify({ id: this.kept.id ?? "", edits: this.journal }));
    this.leaving = true;
    location.reload();
  }

  private leave(e: BeforeUnloadEvent): void {
    const unsaved = this.hub.history.unsaved || (this.offline && this.journal.length > 0 && !this.hub.savedHere);
    if (this.leaving || !this.page || !(unsaved || this.hub.uploads?.job || this.hub.recorder)) return;
    e.preventDefault();
    e.returnValue = "";
  }

  /** The page is really closed: its program need not wait for it. */
  private goodbye(): void {
    this.leaving = true;
    if (!this.page || !this.kernel) return;
    const { baseUrl } = this.kernel.serverSettings;
    navigator.sendBeacon(`${baseUrl}voila/api/shutdown/${this.kernel.id}`);
  }
}

/** A note table as one object a note. */
export function rows(notes: Notes): Note[] {
  return Array.from({ length: notes.n }, (_, i) => ({
    onset: notes.onset[i],
    offset: notes.offset[i],
    pitch: notes.pitch[i],
    velocity: notes.velocity[i],
    confidence: notes.confidence[i],
    track: notes.track[i],
    hand: notes.hand[i],
  }));
}

// Private windows may refuse to store anything.
function read(where: Storage, key: string): string | null {
  try {
    return where.getItem(key);
  } catch {
    return null;
  }
}

function write(where: Storage, key: string, value: string): void {
  try {
    where.setItem(key, value);
  } catch {
    // See above.
  }
}

function drop(key: string): void {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // See above.
  }
}
