// Keeps the page itself for when there is no network. Answers, models and photos are never kept.
// PAGE, above, is written by the service: the address and digest of every file of the page, and
// one version of it all. Another version is another worker with a cache of its own, filled as a
// whole before it is used, so that no page is made of two versions.

const OURS = "image-tagger-"; // other programs of the same origin have caches too
const CACHE = `${OURS}${PAGE.version}`;
const FILES = new Map(
  Object.entries(PAGE.files).map(([name, digest]) => [
    new URL(name, self.registration.scope).href,
    digest,
  ]),
);

self.addEventListener("install", (event) => event.waitUntil(fill()));

self.addEventListener("activate", (event) => {
  event.waitUntil(throwOldAway().then(() => self.clients.claim()));
});

// A page that nobody has begun to use asks for it. With others open it waits until they are gone.
self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(takeOver());
});

self.addEventListener("fetch", (event) => {
  const address = event.request.url.split(/[?#]/)[0];
  if (event.request.method === "GET" && FILES.has(address)) {
    event.respondWith(file(address, event.request));
  }
});

// All of it or nothing: whatever is not, byte for byte, what the service has (another version, a
// proxy's page to log in, an answer from elsewhere) is refused, and the old version stays.
async function fill() {
  const asked = [...FILES].map(([address, integrity]) => {
    return new Request(address, { cache: "no-cache", integrity, redirect: "error" });
  });
  try {
    await (await caches.open(CACHE)).addAll(asked);
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

async function throwOldAway() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(OURS) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function takeOver() {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const ours = windows.filter((one) => one.url.startsWith(self.registration.scope));
  if (ours.length === 1) await self.skipWaiting();
}

async function file(address, request) {
  const kept = await (await caches.open(CACHE)).match(address);
  return kept ?? fetch(request);
}
