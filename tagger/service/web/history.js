// Earlier answers in this browser's storage: time, thumbnail, answer.

import { Store } from "./store.js";

const MAX_ENTRIES = 200; // the oldest are deleted
const answers = new Store("image-tagger", "answers");

// Newest first.
export async function loadHistory() {
  const entries = await answers.run("readonly", (store) => store.getAll());
  return entries.reverse();
}

// Add an entry, or replace the one with the same `id`. Resolves to its id.
export async function saveEntry(entry) {
  const id = await answers.run("readwrite", (store) => store.put(entry));
  const ids = await answers.run("readonly", (store) => store.getAllKeys());
  if (ids.length > MAX_ENTRIES) {
    const newestToDelete = ids[ids.length - MAX_ENTRIES - 1];
    const range = IDBKeyRange.upperBound(newestToDelete);
    await answers.run("readwrite", (store) => store.delete(range));
  }
  return id;
}

export function deleteEntry(id) {
  return answers.run("readwrite", (store) => store.delete(id));
}

export function clearHistory() {
  return answers.run("readwrite", (store) => store.clear());
}
