// Where tiles come from: windows of a query, fetched as they are needed, or a fixed list.

const CHUNK = 120; // photos in one request
const MAX_CHUNKS = 40; // kept in memory
const MAX_REQUESTS = 3; // at a time

class ListSource {
  constructor(photos) {
    this.photos = photos;
    this.total = photos.length;
    this.months = [];
  }

  tile(index) {
    return this.photos[index];
  }

  async ids(from = 0, to = this.total - 1) {
    return this.photos.slice(from, to + 1).map((photo) => photo.id);
  }

  async position(id) {
    const index = this.photos.findIndex((photo) => photo.id === id);
    return index < 0 ? null : index;
  }

  async load(index) {
    return this.photos[index] ?? null;
  }

  want() {}
  stop() {}
}

class QuerySource {
  // `onLoad(first, last)` is called when tiles have arrived, `onStale` if the library changed.
  constructor(data, { onLoad, onStale, onError }) {
    this.base = data.base;
    this.parameters = { query: data.query, sort: data.sort };
    this.version = data.version;
    this.total = data.total;
    this.months = data.months;
    this.onLoad = onLoad;
    this.onStale = onStale;
    this.onError = onError;
    this.chunks = new Map(); // tiles by number of the chunk
    this.requests = new Map(); // under way, by number of the chunk
    this.wanted = []; // chunk numbers, the most urgent first
  }

  url(route, parameters) {
    const all = new URLSearchParams({ ...this.parameters, version: this.version, ...parameters });
    return `${this.base}/${route}?${all}`;
  }

  tile(index) {
    return this.chunks.get(Math.floor(index / CHUNK))?.[index % CHUNK];
  }

  // Fetch the photos from index `first` to `last`, those around `middle` before others. Give up
  // requests for photos elsewhere.
  want(first, last, middle) {
    const numbers = [];
    for (let n = Math.floor(first / CHUNK); n <= Math.floor(last / CHUNK); n++) numbers.push(n);
    const distance = (number) => Math.abs(number - middle / CHUNK + 0.5);
    numbers.sort((a, b) => distance(a) - distance(b));
    for (const [number, { controller, isPinned }] of this.requests) {
      if (!isPinned && !numbers.includes(number)) controller.abort();
    }
    this.wanted = numbers.filter(
      (number) => !this.chunks.has(number) && !this.requests.has(number),
    );
    for (const number of numbers) this.touch(number);
    this.fetchNext();
  }

  // The tile at an index, fetched if need be; null if there is none.
  async load(index) {
    if (index < 0 || index >= this.total) return null;
    const number = Math.floor(index / CHUNK);
    if (!this.chunks.has(number)) {
      const request = this.requests.get(number) ?? this.fetchChunk(number);
      request.isPinned = true;
      await request.promise;
    }
    return this.tile(index) ?? null;
  }

  // Keep the most recently used chunks.
  touch(number) {
    const tiles = this.chunks.get(number);
    if (!tiles) return;
    this.chunks.delete(number);
    this.chunks.set(number, tiles);
  }

  fetchNext() {
    while (this.wanted.length && this.requests.size < MAX_REQUESTS) {
      this.fetchChunk(this.wanted.shift());
    }
  }

  fetchChunk(number) {
    const request = { controller: new AbortController(), isPinned: false };
    this.requests.set(number, request);
    request.promise = this.receiveChunk(number, request.controller.signal).finally(() => {
      this.requests.delete(number);
      this.fetchNext();
    });
    return request;
  }

  async receiveChunk(number, signal) {
    const parameters = { offset: number * CHUNK, limit: CHUNK };
    let window;
    try {
      window = await fetchJson(this.url("window", parameters), signal);
    } catch (error) {
      if (error.name !== "AbortError") this.onError(error);
      return;
    }
    if (window.version !== this.version) return this.onStale();
    const byId = new Map(window.photos.map((photo) => [photo.id, photo]));
    this.chunks.set(
      number,
      window.ids.map((id) => byId.get(id) ?? { id, isGone: true }),
    );
    for (const old of this.chunks.keys()) {
      if (this.chunks.size <= MAX_CHUNKS) break;
      this.chunks.delete(old);
    }
    this.onLoad(number * CHUNK, (number + 1) * CHUNK - 1);
  }

  async ids(from = 0, to = this.total - 1) {
    const { ids } = await fetchJson(this.url("ids", { offset: from, limit: to - from + 1 }));
    return ids;
  }

  async position(id) {
    const { position, version } = await fetchJson(this.url("gallery", { photo: id }));
    return version === this.version ? position : null;
  }

  stop() {
    this.wanted = [];
    for (const { controller } of this.requests.values()) controller.abort();
  }
}
