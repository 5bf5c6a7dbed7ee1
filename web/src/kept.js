// What a person does is kept in this browser (IndexedDB), as the dashboard keeps it on its computer: the recording and
// what the network heard of it once, the work on it after every change. Where a browser keeps nothing (a private window,
// no room), the page goes on without. Several tabs may be open: none writes over what another has done, or counts on
// what another has let go.

const MOST = 3;
const STORES = ["recordings", "work"];

const answered = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const finished = (transaction) => new Promise((resolve, reject) => {
  transaction.oncomplete = () => resolve();
  transaction.onabort = transaction.onerror = () => reject(transaction.error);
});

export const newId = () => crypto.getRandomValues(new Uint32Array(2)).join("-");

export class Kept {
  constructor() {
    this.base = this.begun().catch(() => null);
    this.queue = this.base;
    /** When the work under an id was written, as far as this page knows: by itself, or by whom it took it from. */
    this.seen = new Map();
    /** Under which id this page goes on with work that another tab has changed, too. */
    this.apart = new Map();
  }

  async begun() {
    const request = indexedDB.open("amtsep", 1);
    request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name, { keyPath: "id" }));
    return answered(request);
  }

  /** Newest first. */
  async list() {
    const base = await this.base;
    const all = base ? await answered(base.transaction("work").objectStore("work").getAll()) : [];
    return all.sort((a, b) => b.saved - a.saved).map(({ id, name, duration, saved, changes }) => ({ id, name, duration, saved, changes, notes: 0 }));
  }

  /** The work on a recording, and the recording itself where it is `fresh` or not kept yet. One after the other. */
  keep(work, recording, fresh) {
    this.queue = this.queue.then(() => this.write(work, recording, fresh)).catch(() => false);
    return this.queue;
  }

  async write(work, recording, fresh) {
    const base = await this.base;
    if (!base) return false;
    const change = base.transaction(STORES, "readwrite");
    const [recordings, works] = STORES.map((name) => change.objectStore(name));
    let id = this.apart.get(work.id) ?? work.id;
    const there = await answered(works.get(id));
    if (there && there.saved !== this.seen.get(id)) {
      id = newId();
      this.apart.set(work.id, id);
    }
    // Another tab, with three other recordings, may have let this one go.
    if (fresh || (await answered(recordings.getKey(id))) === undefined) recordings.put({ ...recording, id });
    works.put({ ...work, id });
    const others = (await answered(works.getAll())).filter((other) => other.id !== id);
    const old = others.sort((a, b) => b.saved - a.saved).slice(MOST - 1);
    for (const other of old) [recordings, works].forEach((store) => store.delete(other.id));
    await finished(change);
    this.seen.set(id, work.saved);
    return true;
  }

  /** Recording and work in one. */
  async load(id) {
    const base = await this.base;
    const [recording, work] = await Promise.all(STORES.map((name) => answered(base.transaction(name).objectStore(name).get(id))));
    this.seen.set(id, work.saved);
    this.apart.delete(id);
    return { ...recording, ...work };
  }
}
