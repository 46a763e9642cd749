// Service worker: caches the page's own files for offline use. Answers, models and photos are never
// cached. The service writes PAGE above this line: the URL and digest of every file, and a version
// of them all. Each version is a worker with a cache of its own, which is filled as a whole before
// it is used, so that a page never mixes two versions.

const PREFIX = "image-tagger-"; // other programs of the same origin have caches too
const CACHE = `${PREFIX}${PAGE.version}`;
const DIGESTS = new Map(
  Object.entries(PAGE.files).map(([name, digest]) => [
    new URL(name, self.registration.scope).href,
    digest,
  ]),
);

self.addEventListener("install", (event) => event.waitUntil(fillCache()));

self.addEventListener("activate", (event) => {
  event.waitUntil(deleteOldCaches().then(() => self.clients.claim()));
});

// Sent by an idle page. While other pages are open, this worker waits until they are closed.
self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(takeOver());
});

self.addEventListener("fetch", (event) => {
  const url = event.request.url.split(/[?#]/)[0];
  if (event.request.method === "GET" && DIGESTS.has(url)) {
    event.respondWith(respond(url, event.request));
  }
});

// All files or none: if one is not byte for byte the service's (another version, the login page of
// a network, an answer from elsewhere), the old version stays.
async function fillCache() {
  const requests = [...DIGESTS].map(([url, integrity]) => {
    return new Request(url, { cache: "no-cache", integrity, redirect: "error" });
  });
  try {
    await (await caches.open(CACHE)).addAll(requests);
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

async function deleteOldCaches() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function takeOver() {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const pages = windows.filter((window) => window.url.startsWith(self.registration.scope));
  if (pages.length === 1) await self.skipWaiting();
}

async function respond(url, request) {
  const response = await (await caches.open(CACHE)).match(url);
  return response ?? fetch(request);
}
