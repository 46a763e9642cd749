// Photos that wait for an answer, on this device, so that none is lost with its tab. Each belongs
// to one tab, which alone sends it; once that is closed or gone, another that is open takes it over.

import { Store } from "./store.js";
import { count } from "./words.js";

const MOST = 20; // photos
const ROOM = 50; // MB for all of them together
const MB = 2 ** 20;
const SILENCE = 90_000; // milliseconds after which a tab is taken to be gone, where there are no locks
const SIGN = 20_000; // milliseconds between the signs of life of one that is not
const TAB = "image-tagger-tab";
const UNKEPT = "This browser does not keep it";
const FULL = `There is room for ${count(MOST, "photo")} or ${ROOM} MB that wait, and no more`;

const photos = new Store("image-tagger-waiting", "photos");
const known = new Set(); // keys of photos that are this tab's or that it stands in line for
const mine = new Map(); // key => { id, free }, where free() lets other tabs have it
const tab = nameOfTab();

// Keep a photo as `prepare` gives it: { id, key }. Throws an Error with a sentence without its end
// where it cannot stay.
export async function hold({ name, sent, thumbnail }) {
  const key = chance();
  known.add(key);
  const free = navigator.locks ? await locked(key) : () => {};
  let id = null;
  const adding = photos.within("readwrite", (store) => {
    const there = store.getAll();
    there.onsuccess = () => {
      const size = there.result.reduce((sum, photo) => sum + photo.sent.size, sent.size);
      if (there.result.length >= MOST || size > ROOM * MB) return;
      const photo = { key, name, sent, thumbnail, tab, since: Date.now() };
      store.add(photo).onsuccess = ({ target }) => (id = target.result);
    };
    return there;
  });
  const why = await adding.then(() => FULL, () => UNKEPT);
  if (id === null) {
    free();
    throw new Error(why);
  }
  mine.set(key, { id, free });
  return { id, key };
}

// Give each photo that no other tab has to `show(photo)`: at once, or when that tab is gone.
export async function adopt(show) {
  for (const photo of await held()) {
    if (known.has(photo.key)) continue;
    known.add(photo.key);
    (navigator.locks ? standInLine : takeOrComeBack)(photo, show);
  }
}

// Oldest first; none where a browser keeps nothing.
export function held() {
  return photos.within("readonly", (store) => store.getAll()).catch(() => []);
}

// Whether nobody has removed it, in this tab or another.
export function isHeld({ id }) {
  const there = photos.within("readonly", (store) => store.getKey(id));
  return there.then((found) => found !== undefined, () => true);
}

export async function letGo({ id, key }) {
  await photos.within("readwrite", (store) => store.delete(id)).catch(() => {});
  mine.get(key)?.free();
  mine.delete(key);
}

export async function letAllGo() {
  await photos.within("readwrite", (store) => store.clear()).catch(() => {});
  for (const { free } of mine.values()) free();
  mine.clear();
}

// Resolves to what frees it, once no other tab has it.
function locked(key) {
  return new Promise((resolve) => {
    const having = navigator.locks.request(`image-tagger-${key}`, () => new Promise(resolve));
    having.catch(() => resolve(() => {}));
  });
}

async function standInLine(photo, show) {
  const free = await locked(photo.key);
  if (!(await isHeld(photo))) return free();
  mine.set(photo.key, { id: photo.id, free });
  show(photo);
}

// Over plain HTTP there are no locks: the photo itself tells whose it is, and since when.

async function takeOrComeBack(photo, show) {
  if (await claim(photo.id)) {
    mine.set(photo.key, { id: photo.id, free: () => {} });
    show(photo);
  } else {
    known.delete(photo.key);
    setTimeout(() => adopt(show), SILENCE);
  }
}

// Whether it is this tab's now.
async function claim(id) {
  let isMine = false;
  const claiming = photos.within("readwrite", (store) => {
    const there = store.get(id);
    there.onsuccess = () => {
      const photo = there.result;
      isMine = Boolean(photo) && (photo.tab === tab || Date.now() - photo.since > SILENCE);
      if (isMine) store.put({ ...photo, tab, since: Date.now() });
    };
    return there;
  });
  return claiming.then(() => isMine, () => false);
}

if (!navigator.locks) setInterval(() => [...mine.values()].forEach(({ id }) => claim(id)), SIGN);

// A tab that is loaded again is still the same; one that was made of another is not.
function nameOfTab() {
  const name = chance();
  try {
    const isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
    const kept = isReload ? sessionStorage.getItem(TAB) : null;
    sessionStorage.setItem(TAB, kept ?? name);
    return kept ?? name;
  } catch {
    return name;
  }
}

function chance() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
