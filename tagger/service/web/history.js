// Earlier answers, on this device: when, a small picture, what was said.

import { Store } from "./store.js";

const MOST = 200; // the oldest go first
const answers = new Store("image-tagger", "answers");

// Newest first.
export async function earlier() {
  const entries = await answers.within("readonly", (store) => store.getAll());
  return entries.reverse();
}

// Add an entry, or replace the one with the same `id`; its id.
export async function keep(entry) {
  const id = await answers.within("readwrite", (store) => store.put(entry));
  const ids = await answers.within("readonly", (store) => store.getAllKeys());
  if (ids.length > MOST) {
    const newestTooOld = ids[ids.length - MOST - 1];
    const range = IDBKeyRange.upperBound(newestTooOld);
    await answers.within("readwrite", (store) => store.delete(range));
  }
  return id;
}

export function forget(id) {
  return answers.within("readwrite", (store) => store.delete(id));
}

export function clear() {
  return answers.within("readwrite", (store) => store.clear());
}
