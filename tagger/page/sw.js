// Keeps the page itself for when there is no network. Answers, models and photos are never kept:
// only the files named here are. The service's own come first, so that page and service agree.

const OURS = "image-tagger-"; // other programs of the same origin have caches too
const CACHE = `${OURS}1`; // another number when the list changes; the old one is thrown away
const PATIENCE = 3_000; // milliseconds that the network has for a file that is kept
const FILES = [
  "./",
  "manifest.webmanifest",
  "page/app.js",
  "page/camera.js",
  "page/card.js",
  "page/history.js",
  "page/icon-192.png",
  "page/icon-512.png",
  "page/icon-maskable.png",
  "page/icon.svg",
  "page/list.js",
  "page/photo.js",
  "page/service.js",
  "page/style.css",
  "page/words.js",
].map((name) => new URL(name, self.registration.scope).href);

self.addEventListener("install", (event) => {
  const fresh = FILES.map((address) => new Request(address, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  event.waitUntil(throwOldAway().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const address = event.request.url.split(/[?#]/)[0];
  if (event.request.method === "GET" && FILES.includes(address)) {
    event.respondWith(file(address));
  }
});

async function throwOldAway() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(OURS) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function file(address) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(address);
  try {
    const signal = kept ? AbortSignal.timeout(PATIENCE) : undefined;
    const answer = await fetch(address, { signal, cache: "no-cache" });
    if (!answer.ok && kept) return kept;
    if (answer.ok) await cache.put(address, answer.clone());
    return answer;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
