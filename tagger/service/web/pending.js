// Photos without an answer, stored on this device so that none is lost with its tab. Each belongs to
// one tab, which alone sends it; when that tab is closed, another open tab takes it over.

import { Store } from "./store.js";
import { count } from "./text.js";

const MAX_PHOTOS = 20;
const MAX_MB = 50; // of all photos together
const MB = 2 ** 20;
const TAB_TIMEOUT = 90_000; // milliseconds without a heartbeat; only without navigator.locks
const HEARTBEAT = 20_000; // milliseconds
const TAB_KEY = "image-tagger-tab";
const NO_STORAGE = "This browser can’t keep it";
const FULL = `Only ${count(MAX_PHOTOS, "photo")} or ${MAX_MB} MB can wait`;

const photos = new Store("image-tagger-waiting", "photos");
const claimedKeys = new Set(); // of photos that are this tab's, or whose lock it waits for
const ownPhotos = new Map(); // key => { id, release }; release() lets other tabs have the photo
const tab = loadTabId();

// Store a photo from `prepare`. Resolves to { id, key }; throws an Error whose message is a sentence
// without its full stop.
export async function add({ name, sent, thumbnail }) {
  const key = randomKey();
  claimedKeys.add(key);
  const release = navigator.locks ? await acquireLock(key) : () => {};
  let id = null;
  const adding = photos.run("readwrite", (store) => {
    const stored = store.getAll();
    stored.onsuccess = () => {
      const size = stored.result.reduce((sum, photo) => sum + photo.sent.size, sent.size);
      if (stored.result.length >= MAX_PHOTOS || size > MAX_MB * MB) return;
      const photo = { key, name, sent, thumbnail, tab, since: Date.now() };
      store.add(photo).onsuccess = ({ target }) => (id = target.result);
    };
    return stored;
  });
  const reason = await adding.then(() => FULL, () => NO_STORAGE);
  if (id === null) {
    release();
    throw new Error(reason);
  }
  ownPhotos.set(key, { id, release });
  return { id, key };
}

// Call `show(photo)` for each photo without a tab: at once, or when its tab is closed.
export async function adopt(show) {
  for (const photo of await list()) {
    if (claimedKeys.has(photo.key)) continue;
    claimedKeys.add(photo.key);
    (navigator.locks ? waitForLock : claimOrRetry)(photo, show);
  }
}

// Oldest first; empty if the browser has no storage.
export function list() {
  return photos.run("readonly", (store) => store.getAll()).catch(() => []);
}

// False if the photo was removed, in this tab or another.
export function has({ id }) {
  const key = photos.run("readonly", (store) => store.getKey(id));
  return key.then((value) => value !== undefined, () => true);
}

export async function remove({ id, key }) {
  await photos.run("readwrite", (store) => store.delete(id)).catch(() => {});
  ownPhotos.get(key)?.release();
  ownPhotos.delete(key);
}

export async function clear() {
  await photos.run("readwrite", (store) => store.clear()).catch(() => {});
  for (const { release } of ownPhotos.values()) release();
  ownPhotos.clear();
}

// Resolves, once no other tab holds the lock, to a function that releases it.
function acquireLock(key) {
  return new Promise((resolve) => {
    const lock = navigator.locks.request(`image-tagger-${key}`, () => new Promise(resolve));
    lock.catch(() => resolve(() => {}));
  });
}

async function waitForLock(photo, show) {
  const release = await acquireLock(photo.key);
  if (!(await has(photo))) return release();
  ownPhotos.set(photo.key, { id: photo.id, release });
  show(photo);
}

// Over plain HTTP there are no locks: the stored photo names its tab and the last heartbeat.

async function claimOrRetry(photo, show) {
  if (await claim(photo.id)) {
    ownPhotos.set(photo.key, { id: photo.id, release: () => {} });
    show(photo);
  } else {
    claimedKeys.delete(photo.key);
    setTimeout(() => adopt(show), TAB_TIMEOUT);
  }
}

// Make a photo this tab's, or renew its heartbeat; resolves to whether it is this tab's now.
async function claim(id) {
  let isOwn = false;
  const claiming = photos.run("readwrite", (store) => {
    const stored = store.get(id);
    stored.onsuccess = () => {
      const photo = stored.result;
      isOwn = Boolean(photo) && (photo.tab === tab || Date.now() - photo.since > TAB_TIMEOUT);
      if (isOwn) store.put({ ...photo, tab, since: Date.now() });
    };
    return stored;
  });
  return claiming.then(() => isOwn, () => false);
}

if (!navigator.locks) {
  setInterval(() => [...ownPhotos.values()].forEach(({ id }) => claim(id)), HEARTBEAT);
}

// The id survives a reload; a duplicated tab gets a new one.
function loadTabId() {
  const newId = randomKey();
  try {
    const isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
    const id = (isReload ? sessionStorage.getItem(TAB_KEY) : null) ?? newId;
    sessionStorage.setItem(TAB_KEY, id);
    return id;
  } catch {
    return newId;
  }
}

function randomKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
