// Earlier answers, in this browser's own database: when, a small picture, what was said.

const NAME = "image-tagger";
const ANSWERS = "answers";
const MOST = 200; // the oldest go first

// Newest first.
export async function earlier() {
  const entries = await inStore("readonly", (store) => store.getAll());
  return entries.reverse();
}

// Add an entry, or replace the one with the same `id`; its id.
export async function keep(entry) {
  const id = await inStore("readwrite", (store) => store.put(entry));
  const ids = await inStore("readonly", (store) => store.getAllKeys());
  if (ids.length > MOST) {
    const newestTooOld = ids[ids.length - MOST - 1];
    const range = IDBKeyRange.upperBound(newestTooOld);
    await inStore("readwrite", (store) => store.delete(range));
  }
  return id;
}

export function clear() {
  return inStore("readwrite", (store) => store.clear());
}

// Resolves when the transaction is on the disk; rejects where a browser keeps nothing.
async function inStore(mode, work) {
  const database = await opened();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(ANSWERS, mode);
    const request = work(transaction.objectStore(ANSWERS));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  }).finally(() => database.close());
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ANSWERS, { keyPath: "id", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
