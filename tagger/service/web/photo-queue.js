// Photos stored on this device until the service has them, so that none is lost with its tab. Each
// belongs to one tab, which alone sends it; when that tab is closed, another open tab takes it over.

import { Store } from "./store.js";
import { count } from "./text.js";

const MAX_PHOTOS = 20;
const MAX_MB = 50; // of all photos of a queue together
const MB = 2 ** 20;
const TAB_TIMEOUT = 90_000; // milliseconds without a heartbeat; only without navigator.locks
const HEARTBEAT = 20_000; // milliseconds
const TAB_KEY = "image-tagger-tab";
const NO_STORAGE = "This browser can’t keep it";
const FULL = `Only ${count(MAX_PHOTOS, "photo")} or ${MAX_MB} MB can wait`;

const tab = loadTabId();

export class PhotoQueue {
  constructor(database) {
    this.database = database;
    this.photos = new Store(database, "photos");
    this.claimedKeys = new Set(); // of photos that are this tab's, or whose lock it waits for
    this.ownPhotos = new Map(); // key => { id, release }; release() lets other tabs have the photo
    if (!navigator.locks) {
      setInterval(() => [...this.ownPhotos.values()].forEach(({ id }) => this.claim(id)), HEARTBEAT);
    }
  }

  // Store a photo: `sent` is its Blob, or null; other fields are the caller's. Resolves to
  // { id, key }; throws an Error whose message is a sentence without its full stop.
  async add(photo) {
    const key = randomKey();
    this.claimedKeys.add(key);
    const release = navigator.locks ? await this.acquireLock(key) : () => {};
    let id = null;
    const adding = this.photos.run("readwrite", (store) => {
      const stored = store.getAll();
      stored.onsuccess = () => {
        const size = stored.result.reduce((sum, other) => sum + sizeOf(other), sizeOf(photo));
        if (stored.result.length >= MAX_PHOTOS || size > MAX_MB * MB) return;
        const row = { ...photo, key, tab, since: Date.now() };
        store.add(row).onsuccess = ({ target }) => (id = target.result);
      };
      return stored;
    });
    const reason = await adding.then(() => FULL, () => NO_STORAGE);
    if (id === null) {
      release();
      throw new Error(reason);
    }
    this.ownPhotos.set(key, { id, release });
    return { id, key };
  }

  // Replace fields of a stored photo, if it is still there.
  async update({ id }, fields) {
    const updating = this.photos.run("readwrite", (store) => {
      const stored = store.get(id);
      stored.onsuccess = () => stored.result && store.put({ ...stored.result, ...fields });
      return stored;
    });
    await updating.catch(() => {});
  }

  // Call `show(photo)` for each photo without a tab: at once, or when its tab is closed.
  async adopt(show) {
    for (const photo of await this.list()) {
      if (this.claimedKeys.has(photo.key)) continue;
      this.claimedKeys.add(photo.key);
      if (navigator.locks) this.waitForLock(photo, show);
      else this.claimOrRetry(photo, show);
    }
  }

  // Oldest first; empty if the browser has no storage.
  list() {
    return this.photos.run("readonly", (store) => store.getAll()).catch(() => []);
  }

  // False if the photo was removed, in this tab or another.
  has({ id }) {
    const key = this.photos.run("readonly", (store) => store.getKey(id));
    return key.then((value) => value !== undefined, () => true);
  }

  async remove({ id, key }) {
    await this.photos.run("readwrite", (store) => store.delete(id)).catch(() => {});
    this.ownPhotos.get(key)?.release();
    this.ownPhotos.delete(key);
  }

  async clear() {
    await this.photos.run("readwrite", (store) => store.clear()).catch(() => {});
    for (const { release } of this.ownPhotos.values()) release();
    this.ownPhotos.clear();
  }

  // Resolves, once no other tab holds the lock, to a function that releases it.
  acquireLock(key) {
    return new Promise((resolve) => {
      const lock = navigator.locks.request(`image-tagger-${key}`, () => new Promise(resolve));
      lock.catch(() => resolve(() => {}));
    });
  }

  async waitForLock(photo, show) {
    const release = await this.acquireLock(photo.key);
    if (!(await this.has(photo))) return release();
    this.ownPhotos.set(photo.key, { id: photo.id, release });
    show(photo);
  }

  // Over plain HTTP there are no locks: the stored photo names its tab and the last heartbeat.

  async claimOrRetry(photo, show) {
    if (await this.claim(photo.id)) {
      this.ownPhotos.set(photo.key, { id: photo.id, release: () => {} });
      show(photo);
    } else {
      this.claimedKeys.delete(photo.key);
      setTimeout(() => this.adopt(show), TAB_TIMEOUT);
    }
  }

  // Make a photo this tab's, or renew its heartbeat; resolves to whether it is this tab's now.
  async claim(id) {
    let isOwn = false;
    const claiming = this.photos.run("readwrite", (store) => {
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
}

function sizeOf({ sent, original }) {
  return (sent?.size ?? 0) + (original?.size ?? 0);
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
