// An IndexedDB database with one object store.

export class Store {
  constructor(database, name) {
    this.database = database;
    this.name = name;
  }

  // `work` gets the object store and returns a request. Resolves to its result once the transaction
  // is complete; rejects if the browser has no storage.
  async run(mode, work) {
    const database = await this.open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(this.name, mode);
      const request = work(transaction.objectStore(this.name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    }).finally(() => database.close());
  }

  open() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.database, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(this.name, { keyPath: "id", autoIncrement: true });
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }
}
