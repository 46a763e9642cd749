// What the page keeps in this browser's own databases, one for each kind of thing.

export class Store {
  constructor(database, name) {
    this.database = database;
    this.name = name;
  }

  // `work` gets the store and gives a request. Resolves to what that brings once all is on the
  // disk; rejects where a browser keeps nothing.
  async within(mode, work) {
    const database = await this.opened();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(this.name, mode);
      const request = work(transaction.objectStore(this.name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    }).finally(() => database.close());
  }

  opened() {
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
