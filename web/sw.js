// Keeps the page's files, so that it opens without a network, and isolates the page (two headers), so that the network may
// use several threads wherever it is served from. A file is asked for anew while there is a connection.

const CACHE = "amtsep-web";
const ROOT = new URL("../", self.location.href);

self.addEventListener("install", (event) => {
  const keep = async () => {
    const { files } = await (await fetch(new URL("src/settings.json", self.location.href))).json();
    const cache = await caches.open(CACHE);
    await cache.addAll([...files, "web/"].map((path) => new URL(path, ROOT).href));
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

/** The answer, with the headers that isolate a page. */
function isolated(answer) {
  if (answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const fresh = await fetch(request);
    // Where there is no room to keep it, it is an answer all the same.
    if (fresh.ok && fresh.status === 200) await cache.put(request, fresh.clone()).catch(() => {});
    return isolated(fresh);
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true, ignoreVary: true });
    if (!kept) throw error;
    return isolated(kept);
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(ROOT.href)) event.respondWith(answer(request));
});
