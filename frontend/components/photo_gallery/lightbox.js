// The lightbox: one photo, as large as the window allows. Its neighbours are loaded beforehand.

const MAX_PICTURES = 6; // decoded, in memory
const MAX_DETAILS = 24;
const MAX_ENLARGED = 4; // times, of a small photo
const SWIPE = 48; // pixels
const STARS = 5; // of a favourite

class Lightbox {
  // `gallery` has the source of photos, sends actions to the app and shows messages.
  constructor(gallery) {
    this.gallery = gallery;
    this.pictures = new Map(); // by URL
    this.details = new Map(); // promises by photo id
    this.photo = null;
    this.index = null; // of the photo in the source; null if it is not in it
    this.isLoose = false; // whether the photo has left the source: the next one is at its index
    this.isOpen = false;
    this.draw();
    this.onPopState = (event) => this.followHistory(event);
    window.addEventListener("popstate", this.onPopState, true);
    this.onResize = () => this.isOpen && this.fit();
    window.addEventListener("resize", this.onResize);
  }

  destroy() {
    window.removeEventListener("popstate", this.onPopState, true);
    window.removeEventListener("resize", this.onResize);
    if (this.isOpen) this.dialog.close();
  }

  draw() {
    this.place = element("span", { class: "place" });
    this.name = userText("", "name");
    const { actions } = this.gallery.data;
    this.favourite = button("star", "Favourite", () => this.rate(STARS), {
      title: `Favourite: ${STARS} stars`,
      className: "tool star",
      "aria-keyshortcuts": "F",
      "aria-pressed": "false",
      hidden: !actions,
    });
    this.undo = button("undo", "Undo", () => this.gallery.undo(), {
      className: "tool",
      "aria-keyshortcuts": "U",
      disabled: true,
      hidden: !actions,
    });
    this.redo = button("redo", "Redo", () => this.gallery.redo(), {
      className: "tool",
      "aria-keyshortcuts": "Shift+U",
      disabled: true,
      hidden: !actions,
    });
    this.info = button("info", "Details", () => this.togglePanel(), {
      className: "tool",
      "aria-keyshortcuts": "I",
    });
    const tools = [
      button("back", "Close", () => this.close(), {
        className: "tool",
        "aria-keyshortcuts": "Escape",
      }),
      element("span", { class: "about" }, this.place, this.name),
      this.favourite,
      this.undo,
      this.redo,
      button("trash", "Delete", () => this.delete(), {
        className: "tool",
        "aria-keyshortcuts": "Delete",
        hidden: !actions,
      }),
      this.info,
    ];
    this.thumbnail = element("img", { class: "thumbnail", alt: "" });
    this.large = element("img", { class: "large", alt: "" });
    this.problem = element("p", { class: "problem", role: "status", hidden: true });
    this.picture = element("div", { class: "picture" }, this.thumbnail, this.large);
    this.previous = button("previous", "Previous photo", () => this.step(-1), {
      className: "turn previous",
    });
    this.next = button("next", "Next photo", () => this.step(1), { className: "turn next" });
    this.bar = element("header", {}, ...tools);
    this.stage = element(
      "div",
      { class: "stage", tabindex: "-1" },
      this.bar,
      this.picture,
      this.previous,
      this.next,
      this.problem,
    );
    this.panel = new Panel(this.gallery, this);
    this.dialog = element(
      "dialog",
      { class: "lightbox", "aria-label": "Photo" },
      this.stage,
      this.panel.node,
    );
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    this.dialog.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.stage.addEventListener("touchstart", (event) => this.onTouchStart(event), {
      passive: true,
    });
    this.stage.addEventListener("touchend", (event) => this.onTouchEnd(event));
    this.gallery.root.append(this.dialog);
  }

  // Opening and closing

  // Open the photo at an index of the source; `isInUrl` if the address names it already.
  async open(index, { isInUrl = false } = {}) {
    const photo = await this.gallery.source.load(index);
    if (photo && !photo.isGone) this.enter(photo, index, isInUrl);
  }

  // Open a photo by id, wherever it is.
  async openById(id, { isInUrl = false } = {}) {
    let photo;
    try {
      photo = await this.loadDetails(id);
    } catch (error) {
      if (isInUrl) this.writeUrl(null, "replaceState");
      this.gallery.showMessage({ text: error.message, isError: true });
      if (this.isOpen) this.leave();
      return;
    }
    const index = await this.gallery.source.position(id).catch(() => null);
    this.enter(photo, index, isInUrl);
  }

  enter(photo, index, isInUrl) {
    if (!isInUrl) this.writeUrl(photo.id, this.isOpen ? "replaceState" : "pushState");
    if (!this.isOpen) {
      this.isOpen = true;
      this.gallery.home = homeUrl();
      this.panel.setOpen(recall("details") !== "hidden" && window.innerWidth > 640);
      this.dialog.showModal();
      this.stage.focus();
      this.gallery.moveMessage(this.stage);
    }
    this.show(photo, index);
  }

  // Close it, in the browser's history as well.
  close() {
    if (!this.isOpen) return;
    if (history.state?.imageTaggerPhoto)
      history.back(); // and `followHistory` leaves
    else {
      this.writeUrl(null, "replaceState");
      this.leave();
    }
  }

  leave() {
    this.isOpen = false;
    this.dialog.close();
    this.gallery.moveMessage(this.gallery.dock);
    this.gallery.hideMessage();
    if (this.index !== null)
      this.gallery.timeline.focus(Math.min(this.index, this.gallery.source.total - 1));
  }

  // The browser's Back and Forward. Streamlit would draw the whole page anew, so it does not hear
  // of those that only open or close a photo.
  followHistory(event) {
    const id = this.gallery.isLinked() ? photoInUrl() : null;
    if (!this.gallery.isOwnUrl() || (!id && !this.isOpen)) return;
    event.stopImmediatePropagation();
    if (id) this.openById(id, { isInUrl: true });
    else this.leave();
  }

  // Name another photo or none in the address, if the gallery is one that addresses lead to;
  // `method` is one of `history`, whose state says whether Back closes the photo.
  writeUrl(photo, method) {
    const url = new URL(location.href);
    if (this.gallery.isLinked()) {
      url.searchParams.delete("at");
      url.searchParams.delete("photo");
      if (photo !== null) url.searchParams.set("photo", photo);
    }
    const isOwn = method === "pushState" || Boolean(history.state?.imageTaggerPhoto);
    history[method]({ ...history.state, imageTaggerPhoto: photo !== null && isOwn }, "", url);
  }

  // Showing

  async step(by) {
    if (this.index === null) return;
    const photo = await this.findNeighbour(by);
    if (!photo) return;
    this.direction = by;
    this.gallery.hideMessage();
    this.writeUrl(photo.photo.id, "replaceState");
    this.show(photo.photo, photo.index);
  }

  // The next photo in a direction, past those that were deleted.
  async findNeighbour(by) {
    let index = this.index + (this.isLoose && by > 0 ? 0 : by);
    for (; index >= 0 && index < this.gallery.source.total; index += by) {
      const photo = this.gallery.source.tile(index) ?? (await this.gallery.source.load(index));
      if (photo && !photo.isGone && !this.gallery.isDeleted(photo.id)) return { photo, index };
    }
    return null;
  }

  show(photo, index) {
    this.photo = photo;
    this.index = index;
    this.isLoose = false;
    this.dialog.dataset.photo = photo.id;
    this.dialog.dataset.ready = "";
    this.explained = null;
    this.name.textContent = photo.name;
    this.thumbnail.src = this.gallery.thumbnail(photo);
    this.thumbnail.hidden = false;
    this.large.hidden = true;
    this.problem.hidden = true;
    this.drawPlace();
    this.fit();
    this.drawPicture(photo);
    this.drawDetails(photo.id);
  }

  drawPlace() {
    const { total } = this.gallery.source;
    const known = this.index !== null && !this.isLoose;
    this.place.textContent = known
      ? `${(this.index + 1).toLocaleString("en")} of ${total.toLocaleString("en")}`
      : "";
    this.previous.hidden = this.index === null || this.index <= 0;
    this.next.hidden = this.index === null || this.index + (this.isLoose ? 0 : 1) >= total;
  }

  pictureUrl(photo) {
    const wanted = Math.max(window.innerWidth, window.innerHeight) * window.devicePixelRatio;
    const { sides, base } = this.gallery.data;
    const side = sides.find((limit) => limit >= wanted) ?? sides[sides.length - 1];
    return `${base}/photos/${photo.digest}.jpg?side=${side}`;
  }

  load(url) {
    const loaded = this.pictures.get(url) ?? loadPicture(url);
    this.pictures.delete(url);
    this.pictures.set(url, loaded);
    for (const old of this.pictures.keys()) {
      if (this.pictures.size <= MAX_PICTURES) break;
      this.pictures.delete(old);
    }
    return loaded;
  }

  async drawPicture(photo, url = this.pictureUrl(photo)) {
    const picture = this.load(url);
    if (!picture.isReady) await picture.promise;
    if (this.photo !== photo) return;
    if (picture.error) {
      this.pictures.delete(url);
      this.problem.textContent = `Original missing: ${picture.error}`;
      this.problem.hidden = false;
    } else {
      this.large.src = url;
      this.large.alt = photo.name;
      this.large.hidden = false;
      this.thumbnail.hidden = true;
    }
    this.dialog.dataset.ready = photo.id;
    this.preload();
  }

  async preload() {
    const { index } = this;
    if (index === null) return;
    const by = this.direction ?? 1;
    for (const step of [by, -by, 2 * by]) {
      const photo = await this.gallery.source.load(index + step);
      if (this.index !== index || !this.isOpen) return;
      if (!photo || photo.isGone) continue;
      this.loadDetails(photo.id).catch(() => {});
      await this.load(this.pictureUrl(photo)).promise;
      if (this.index !== index || !this.isOpen) return;
    }
  }

  // As large as the stage allows, unless the photo is tiny.
  fit() {
    const { width, height } = this.photo;
    const room = this.picture.getBoundingClientRect();
    const scale = Math.min(room.width / width, room.height / height, MAX_ENLARGED);
    for (const image of [this.thumbnail, this.large]) {
      image.style.width = `${Math.round(width * scale)}px`;
      image.style.height = `${Math.round(height * scale)}px`;
    }
  }

  // Details

  loadDetails(id) {
    if (!this.details.has(id)) {
      const promise = fetchJson(`${this.gallery.data.base}/details/${id}`);
      promise.catch(() => this.details.delete(id));
      this.details.set(id, promise);
      for (const old of this.details.keys()) {
        if (this.details.size <= MAX_DETAILS) break;
        this.details.delete(old);
      }
    }
    return this.details.get(id);
  }

  async drawDetails(id) {
    let details;
    try {
      details = await this.loadDetails(id);
    } catch (error) {
      return;
    }
    if (this.photo?.id !== id) return;
    this.known = details;
    this.showKnown();
  }

  showKnown() {
    this.favourite.setAttribute("aria-pressed", String(this.known.rating === STARS));
    this.panel.show(this.known, this.explained);
  }

  togglePanel() {
    this.panel.setOpen(!this.panel.isOpen);
    remember("details", this.panel.isOpen ? "open" : "hidden");
    this.fit();
  }

  // The library has changed: where is the photo now, and what is known about it?
  async sync() {
    this.details.clear();
    if (!this.isOpen) return;
    const { photo } = this;
    this.drawDetails(photo.id);
    const index = await this.gallery.source.position(photo.id).catch(() => null);
    if (this.photo !== photo) return;
    if (index !== null) [this.index, this.isLoose] = [index, false];
    else if (this.index !== null) this.isLoose = true;
    this.drawPlace();
  }

  // Actions

  act(kind, values = {}) {
    if (kind === "explain") return this.explain(values.label);
    const ids = [this.photo.id];
    if (this.known?.id === this.photo.id) {
      this.known = foresee(this.known, kind, values);
      this.showKnown();
    }
    this.gallery.send({ kind, ids, ...values });
  }

  async explain(label) {
    this.explained = label;
    this.panel.show(this.known, label);
    const { photo } = this;
    if (label === null) return this.drawPicture(photo);
    const url = `${this.gallery.data.base}/heatmaps/${photo.id}.jpg?${new URLSearchParams({ tag: label })}`;
    const picture = this.load(url);
    await picture.promise;
    if (this.photo !== photo || this.explained !== label) return;
    if (picture.error) {
      this.explained = null;
      this.pictures.delete(url);
      this.gallery.showMessage({ text: `No heatmap: ${picture.error}`, isError: true });
      this.panel.show(this.known, null);
    } else this.drawPicture(photo, url);
  }

  // Give the photo so many stars, or none if it has them already.
  rate(rating) {
    if (this.known?.id !== this.photo.id) return;
    this.act("rate", { rating: this.known.rating === rating ? 0 : rating });
  }

  async delete() {
    const { photo } = this;
    const neighbour = (await this.findNeighbour(1)) ?? (await this.findNeighbour(-1));
    this.gallery.send({ kind: "delete", ids: [photo.id] });
    if (!neighbour) return this.close();
    this.writeUrl(neighbour.photo.id, "replaceState");
    this.show(neighbour.photo, neighbour.index);
  }

  // Input

  onKeyDown(event) {
    event.stopPropagation(); // the page's own shortcuts
    if (isTyping(event) || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { actions } = this.gallery.data;
    if (actions && this.gallery.undoesByKey(event)) return;
    if (event.ctrlKey || event.metaKey) return;
    if (key === "ArrowLeft") this.run(event, () => this.step(-1));
    else if (key === "ArrowRight") this.run(event, () => this.step(1));
    else if (key === "i") this.run(event, () => this.togglePanel());
    else if (actions) this.onActionKey(event, key);
  }

  onActionKey(event, key) {
    if (event.repeat) return event.preventDefault(); // a key that is held down acts once
    if (key === "Delete") this.run(event, () => this.delete());
    else if (/^[0-5]$/.test(key)) this.run(event, () => this.act("rate", { rating: Number(key) }));
    else if (key === "f") this.run(event, () => this.rate(STARS));
    else if (key === "t") {
      this.run(event, () => {
        if (!this.panel.isOpen) this.togglePanel();
        this.panel.focusField();
      });
    }
  }

  run(event, action) {
    event.preventDefault();
    action();
  }

  onTouchStart(event) {
    this.touch =
      event.touches.length === 1
        ? { x: event.touches[0].clientX, y: event.touches[0].clientY }
        : null;
  }

  onTouchEnd(event) {
    if (!this.touch || event.touches.length) return;
    const x = event.changedTouches[0].clientX - this.touch.x;
    const y = event.changedTouches[0].clientY - this.touch.y;
    this.touch = null;
    if (Math.abs(x) > Math.max(SWIPE, 1.5 * Math.abs(y))) this.step(x < 0 ? 1 : -1);
    else if (Math.abs(y) > Math.max(SWIPE, 1.5 * Math.abs(x))) {
      if (y < 0 && !this.panel.isOpen) this.togglePanel();
      else if (y > 0 && this.panel.isOpen) this.togglePanel();
      else if (y > 0) this.close();
    }
  }
}

// A picture that is fetched and decoded; `isReady` once that is done, `error` if it failed.
function loadPicture(url) {
  const picture = { image: new Image(), isReady: false, error: "" };
  picture.image.src = url;
  picture.promise = picture.image
    .decode()
    .catch(async () => {
      picture.error = await fetchJson(url).then(
        () => "it cannot be shown",
        (error) => error.message,
      );
    })
    .finally(() => (picture.isReady = true));
  return picture;
}

function photoInUrl() {
  const text = new URLSearchParams(location.search).get("photo");
  return text && /^[0-9]{1,9}$/.test(text) ? Number(text) : null;
}
