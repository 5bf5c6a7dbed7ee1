// What a person does is kept in this browser (IndexedDB), as the dashboard keeps it on its computer: the recording and
// what the network heard of it once, the work on it after every change. Where a browser keeps nothing (a private window,
// no room), the page goes on without.

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

export class Kept {
  constructor() {
    this.base = this.begun().catch(() => null);
    this.queue = this.base;
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

  /** The work on a recording; the recording itself where it is not kept yet. One after the other. */
  keep(work, recording) {
    this.queue = this.queue.then(() => this.write(work, recording)).catch(() => false);
    return this.queue;
  }

  async write(work, recording) {
    const base = await this.base;
    if (!base) return false;
    const change = base.transaction(STORES, "readwrite");
    const [recordings, works] = STORES.map((name) => change.objectStore(name));
    if (recording) recordings.put({ ...recording, id: work.id });
    works.put(work);
    const old = (await answered(works.getAll())).sort((a, b) => b.saved - a.saved).slice(MOST);
    for (const { id } of old) [recordings, works].forEach((store) => store.delete(id));
    await finished(change);
    return true;
  }

  /** Recording and work in one. */
  async load(id) {
    const base = await this.base;
    const [recording, work] = await Promise.all(STORES.map((name) => answered(base.transaction(name).objectStore(name).get(id))));
    return { ...recording, ...work };
  }
}
