// The gallery: a timeline of photos, the lightbox, the selection. Python does what is asked of it
// in numbered actions, and says in its data which one it has done last.

const galleries = new WeakMap(); // by parent element
const LONG_PRESS = 450; // milliseconds
const MESSAGE_STAYS = 12_000; // milliseconds

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  if (!galleries.has(parentElement)) galleries.set(parentElement, new Gallery(parentElement, data));
  const gallery = galleries.get(parentElement);
  gallery.update(data, setStateValue, setTriggerValue);
  return () => {
    gallery.destroy();
    galleries.delete(parentElement);
  };
}

class Gallery {
  constructor(parent, data) {
    this.root = parent.querySelector(".gallery");
    this.data = data;
    this.host = parent.host ?? parent;
    this.queue = new ActionQueue();
    this.deleted = new Set(); // ids, until the library's new version is here
    this.selection = new Selection(() => this.onSelection());
    this.drawBar(parent);
    this.timeline = new Timeline(this.root.querySelector(".timeline"), {
      thumbnail: (photo) => this.thumbnail(photo),
      onTile: (tile, photo) => this.drawTile(tile, photo),
      onView: (section, top) => this.scrubber.mark(section, top),
    });
    this.scrubber = new Scrubber(this.root.querySelector(".scrubber"), this.timeline);
    this.listen();
    this.dock = element("div", { class: "dock" }); // at the foot of the window
    this.root.append(this.dock);
    this.selectionBar = new SelectionBar(this);
    this.dock.append(this.selectionBar.menu, this.selectionBar.node);
    this.message = new Message({
      onUndo: (values) => this.undo(values),
      onOffer: (number) => this.follow(number),
      onClose: () => this.hideMessage(),
    });
    this.moveMessage(this.dock);
    this.lightbox = new Lightbox(this);
  }

  destroy() {
    this.keepPlace();
    removeEventListener("pagehide", this.onPageHide);
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.source?.stop();
    this.timeline.destroy();
    this.lightbox.destroy();
    this.filters.destroy();
    this.message.hide();
  }

  drawBar(parent) {
    this.bar = parent.querySelector(".bar");
    this.total = parent.querySelector(".total");
    this.selectAll = parent.querySelector(".all input");
    this.selectAllLabel = parent.querySelector(".all span");
    this.size = parent.querySelector(".size input");
    this.keyHelp = parent.querySelector("#key-help");
    this.empty = parent.querySelector(".empty");
    this.undoTool = button("undo", "Undo", () => this.undo(), { className: "tool", disabled: true });
    this.redoTool = button("redo", "Redo", () => this.redo(), { className: "tool", disabled: true });
    parent.querySelector(".filters").before(this.undoTool, this.redoTool);
    this.selectAll.addEventListener("change", () => {
      if (this.selectAll.checked) this.selection.selectAll(this.source);
      else this.selection.clear();
    });
    this.filters = new FilterSheet(parent.querySelector(".filters"));
    this.size.max = SIZES.length - 1;
    this.size.addEventListener("input", () => this.timeline.setSize(Number(this.size.value)));
  }

  // Data from Python

  update(data, setStateValue, setTriggerValue) {
    const isFirst = !this.source;
    const before = this.data;
    Object.assign(this, { data, setStateValue, setTriggerValue });
    this.queue.acknowledge(data.done);
    const isOther = before.query !== data.query || before.sort !== data.sort;
    if (isFirst || isOther || data.photos) this.show(this.createSource(data), isOther);
    else if (before.version !== data.version) this.replace(data);
    if (isOther) this.selection.clear();
    if (data.message && data.message.number !== this.lastMessage) {
      this.lastMessage = data.message.number;
      // Beside a few photos the page says it itself.
      if (!isFirst && (!data.photos || this.lightbox.isOpen)) this.showMessage(data.message);
    }
    for (const [undo, redo] of [
      [this.undoTool, this.redoTool],
      [this.lightbox.undo, this.lightbox.redo],
    ]) {
      this.drawTool(undo, "Undo", data.undo);
      this.drawTool(redo, "Redo", data.redo);
    }
    this.size.value = this.timeline.size;
    this.root.classList.toggle("without-tiles", data.tiles === false);
    if (isFirst) this.openFromUrl();
    if (data.opened && data.opened !== this.lastOpened) this.lightbox.openById(data.opened);
    this.lastOpened = data.opened;
  }

  // A button for what would be done with the change of this title; disabled without one.
  drawTool(tool, verb, title) {
    const hadFocus = this.hasFocus(tool);
    tool.disabled = !title;
    tool.title = title ? `${verb}: ${title}` : verb;
    if (hadFocus && !title) this.focusPhoto(); // a disabled button hears no keys
  }

  createSource(data) {
    if (data.photos) return new ListSource(data.photos);
    const source = new QuerySource(data, {
      onLoad: (first, last) => source === this.source && this.timeline.refresh(first, last),
      onStale: () => this.reload(),
      onError: (error) => this.showMessage({ text: error.message, isError: true }),
    });
    return source;
  }

  // Show a later version of the library once its photos are here: nothing is blank meanwhile, and
  // whatever was added before them, the photo at the top of the window stays there, and the focus
  // stays on its photo.
  async replace(data) {
    this.coming?.stop();
    const source = (this.coming = this.createSource(data));
    const anchor = source.total === this.source.total ? null : this.anchor();
    const position = anchor && (await source.position(anchor.id).catch(() => null));
    const shift = anchor && position !== null ? position - anchor.index : 0;
    const last = Math.max(0, source.total - 1);
    const visible = this.timeline.visible().map((index) => index + shift);
    await Promise.all(visible.map((index) => source.load(Math.min(Math.max(index, 0), last))));
    let active, before;
    do {
      before = this.timeline.active;
      active = await this.findAgain(source, before, before + shift);
    } while (this.coming === source && before !== this.timeline.active); // somebody went on
    if (this.coming !== source) return;
    const top = anchor && this.timeline.distance(anchor.index);
    this.timeline.active = active;
    this.show(source, false);
    if (anchor && position !== null) this.timeline.putAt(position, top);
  }

  // The index in another source of the photo at an index of this one, loaded. `expected` is where
  // it may be, and the answer if it is in the other source no longer.
  async findAgain(source, index, expected) {
    const id = this.source.tile(index)?.id;
    if (id === undefined || (await source.load(expected))?.id === id) return expected;
    const position = await source.position(id).catch(() => null);
    if (position === null) return expected;
    await source.load(position);
    return position;
  }

  // The first photo in the window, unless the timeline begins there.
  anchor() {
    const index = this.timeline.firstVisible();
    const id = index ? this.source.tile(index)?.id : undefined;
    return id === undefined ? null : { index, id };
  }

  show(source, isOther) {
    const { data, source: earlier } = this;
    earlier?.stop();
    if (this.coming !== source) this.coming?.stop();
    this.coming = null;
    this.source = source;
    this.deleted.clear();
    const { total } = source;
    this.total.textContent = data.photos ? "" : countPhotos(total);
    this.bar.hidden = Boolean(data.photos) && !data.selectable;
    for (const part of [".size", ".filters"])
      this.bar.querySelector(part).hidden = Boolean(data.photos);
    this.undoTool.hidden = this.redoTool.hidden = Boolean(data.photos);
    this.selectAllLabel.textContent = `Select all ${total.toLocaleString("en")}`;
    this.bar.querySelector(".all").hidden = !data.selectable || !total;
    this.keyHelp.textContent =
      "Arrow keys go from photo to photo, Enter opens one" +
      (data.selectable ? ", the space bar selects it, F makes it a favourite." : ".");
    this.empty.hidden = total > 0;
    this.empty.textContent = data.empty ?? "";
    if (isOther) this.timeline.active = 0;
    this.timeline.show(this.source, { showsLabels: data.labels });
    this.scrubber.draw(this.source.months);
    if (!earlier) this.restorePlace();
    this.lightbox.sync();
    this.onSelection();
  }

  // The library has changed, and Python does not know yet.
  async reload() {
    const { source } = this;
    const { base, query, sort, version } = this.data;
    const listed = await fetchJson(`${base}/gallery?${new URLSearchParams({ query, sort })}`);
    const { data } = this;
    const isSame = data.query === query && data.sort === sort && data.version === version;
    if (!isSame || source !== this.source) return; // Python has sent others meanwhile
    if (listed.version === source.version) return;
    this.data = { ...this.data, ...listed };
    this.replace(this.data);
  }

  // Actions

  send(action) {
    if (action.kind === "delete") for (const id of action.ids) this.deleted.add(id);
    this.queue.send(action, this.setTriggerValue);
  }

  // An action on the selected photos.
  act(kind, values = {}) {
    this.send({ kind, ids: [...this.selection.ids], ...values });
    if (kind === "delete" || kind === "retag") this.selection.clear();
  }

  // Undo the operation of a message, or what was done last: Python asks first, in a message, if
  // that was not done on this page.
  undo(values = {}) {
    this.hideMessage();
    this.send({ kind: "undo", ids: [], ...values });
  }

  redo() {
    this.hideMessage();
    this.send({ kind: "redo", ids: [] });
  }

  // Whether a key undoes or redoes, which is done then: once if the key is held down.
  undoesByKey(event) {
    const key = event.key.toLowerCase();
    const control = event.ctrlKey || event.metaKey;
    const isUndo = key === (control ? "z" : "u") && !event.shiftKey;
    const isRedo = (key === (control ? "z" : "u") && event.shiftKey) || (control && key === "y");
    if (!isUndo && !isRedo) return false;
    event.preventDefault();
    if (!event.repeat) isRedo ? this.redo() : this.undo();
    return true;
  }

  // Follow one of the links to other pages that Python drew, which Streamlit does without loading
  // the page anew.
  follow(number) {
    document.querySelectorAll(`.st-key-${this.data.key}-offers a`)[number]?.click();
  }

  isDeleted(id) {
    return this.deleted.has(id);
  }

  async selectedLabels() {
    const { base, query, sort, version } = this.data;
    const ids = [...this.selection.ids];
    const parameters = { query, sort, version, ids: ids.length > MAX_LISTED ? "" : ids.join() };
    const { labels } = await fetchJson(`${base}/labels?${new URLSearchParams(parameters)}`);
    return labels;
  }

  // Messages

  showMessage(message) {
    this.message.show(message);
  }

  hideMessage() {
    const hadFocus = this.hasFocus(this.message.node);
    this.message.hide();
    if (hadFocus) this.focusPhoto();
  }

  hasFocus(node) {
    return node.contains(this.root.getRootNode().activeElement);
  }

  focusPhoto() {
    if (this.lightbox.isOpen) this.lightbox.stage.focus();
    else this.timeline.focus(this.timeline.active);
  }

  moveMessage(parent) {
    parent.prepend(this.message.node);
  }

  // Tiles

  thumbnail(photo) {
    return `${this.data.base}/thumbnails/${photo.digest}.jpg`;
  }

  drawTile(tile, photo) {
    const isSelected = this.selection.ids.has(photo.id);
    tile.classList.toggle("selected", isSelected);
    tile.classList.toggle("missing", Boolean(photo.missing));
    const box = tile.querySelector("input");
    box.hidden = !this.data.selectable;
    box.checked = isSelected;
  }

  onSelection() {
    const count = this.selection.ids.size;
    for (const [index, tile] of this.timeline.tiles) {
      const photo = this.source.tile(index);
      if (photo && !photo.isGone) this.drawTile(tile, photo);
    }
    this.root.classList.toggle("selecting", count > 0);
    this.selectAll.checked = count > 0 && count >= this.source.total;
    this.selectAll.indeterminate = count > 0 && count < this.source.total;
    if (this.data.actions) this.selectionBar.update(count);
  }

  openAt(index) {
    const photo = this.source.tile(index);
    if (!photo || photo.isGone) return;
    if (this.data.opens) this.setTriggerValue("opened", photo.id);
    else this.lightbox.open(index);
  }

  // Input

  listen() {
    // Another tab, or a job, may have changed the library meanwhile.
    this.onVisibility = () => {
      const isBack = document.visibilityState === "visible" && this.source && !this.data.photos;
      if (isBack) this.reload().catch(() => {}); // the next look
    };
    document.addEventListener("visibilitychange", this.onVisibility);
    const tiles = this.root.querySelector(".timeline");
    const indexOf = (event) => {
      const tile = event.target.closest("li");
      return tile ? Number(tile.dataset.index) : null;
    };
    tiles.addEventListener("click", (event) => this.onClick(event, indexOf(event)));
    tiles.addEventListener("keydown", (event) => this.onKeyDown(event, indexOf(event)));
    tiles.addEventListener("keyup", (event) => {
      // Firefox clicks a button when the space bar is released.
      if (event.key === " " && event.target.matches("button")) event.preventDefault();
    });
    tiles.addEventListener("focusin", (event) => {
      if (indexOf(event) === null) return;
      this.timeline.active = indexOf(event);
      this.timeline.makeTabStop();
    });
    tiles.addEventListener("touchstart", (event) => this.onTouchStart(event, indexOf(event)), {
      passive: true,
    });
    for (const type of ["touchend", "touchmove", "touchcancel"]) {
      tiles.addEventListener(type, () => clearTimeout(this.press), { passive: true });
    }
    tiles.addEventListener("contextmenu", (event) => {
      if (this.isPressed) event.preventDefault();
    });
  }

  // A long press selects; from then on a tap does, too.
  onTouchStart(event, index) {
    this.isPressed = false;
    clearTimeout(this.press);
    if (index === null || !this.data.selectable) return;
    this.press = setTimeout(() => {
      this.isPressed = true;
      this.selectAt(index, true, false);
      navigator.vibrate?.(10);
    }, LONG_PRESS);
  }

  onClick(event, index) {
    if (index === null) return;
    if (this.isPressed) {
      this.isPressed = false;
      event.preventDefault();
      return;
    }
    const id = this.source.tile(index)?.id;
    const isSelected = this.selection.ids.has(id);
    if (event.target.matches("input")) this.selectAt(index, event.target.checked, event.shiftKey);
    else if (!event.target.closest("button")) return;
    else if (this.data.selectable && (event.shiftKey || event.ctrlKey || event.metaKey)) {
      this.selectAt(index, event.shiftKey || !isSelected, event.shiftKey);
    } else if (this.data.selectable && this.selection.ids.size && event.pointerType === "touch") {
      this.selectAt(index, !isSelected, false);
    } else this.openAt(index);
  }

  onKeyDown(event, index) {
    if (index === null || !event.target.matches("button")) return;
    const target = this.timeline.keyTarget(event.key, index);
    if (target !== null) {
      event.preventDefault();
      event.stopPropagation(); // the page's own shortcuts for the arrow keys
      this.timeline.focus(target);
      if (event.shiftKey && this.data.selectable) {
        this.selection.startAt(this.source, index);
        this.selectAt(target, true, true);
      }
    } else if (event.key === " " && this.data.selectable) {
      event.preventDefault();
      const isSelected = this.selection.ids.has(this.source.tile(index)?.id);
      this.selectAt(index, event.shiftKey || !isSelected, event.shiftKey);
    } else if (event.key === "Escape" && this.selection.ids.size) this.selection.clear();
    else if (this.data.actions) this.onActionKey(event, index);
  }

  onActionKey(event, index) {
    if (event.altKey || this.undoesByKey(event)) return;
    if (event.key.toLowerCase() !== "f" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.repeat) return; // a key that is held down acts once
    if (this.selection.ids.size) this.act("favourite");
    else this.send({ kind: "favourite", ids: [this.source.tile(index)?.id ?? 0] });
  }

  selectAt(index, isSelected, isRange) {
    this.selection.select(this.source, index, isSelected, isRange);
  }

  // The address, and the place in the gallery

  openFromUrl() {
    this.home = homeUrl();
    const id = photoInUrl();
    if (id && this.isLinked()) this.lightbox.openById(id, { isInUrl: true });
  }

  // Whether addresses lead to its photos: only to those of a whole gallery.
  isLinked() {
    return !this.data.photos;
  }

  // Whether the address is still that of this gallery, with or without a photo.
  isOwnUrl() {
    return this.home === homeUrl();
  }

  placeKey() {
    return `image-tagger-place ${this.data.key} ${this.data.query} ${this.data.sort}`;
  }

  keepPlace() {
    if (this.data.photos || !this.source) return;
    const place = { version: this.source.version, index: this.timeline.firstVisible() };
    try {
      if (place.index) sessionStorage.setItem(this.placeKey(), JSON.stringify(place));
      else sessionStorage.removeItem(this.placeKey());
    } catch {}
  }

  restorePlace() {
    if (this.data.photos) return;
    let place = null;
    try {
      place = JSON.parse(sessionStorage.getItem(this.placeKey()));
    } catch {}
    if (place && place.version === this.source.version)
      this.timeline.scrollTo(place.index, "start");
    this.onPageHide ??= () => this.keepPlace();
    addEventListener("pagehide", this.onPageHide);
  }
}

const MAX_LISTED = 1000; // ids in an address

function homeUrl() {
  const url = new URL(location.href);
  for (const name of ["photo", "at"]) url.searchParams.delete(name);
  url.searchParams.sort();
  return url.pathname + url.search;
}

// On a phone, a button that shows the page's filters in a sheet; see style.css.
class FilterSheet {
  constructor(opener) {
    this.opener = opener;
    opener.append(icon("filter"));
    opener.addEventListener("click", () => this.toggle());
    this.onPointerDown = (event) => {
      const isInside = event
        .composedPath()
        .some((node) => node === opener || node.matches?.(SHEET));
      if (!isInside) this.toggle(false);
    };
    this.onKeyDown = (event) => event.key === "Escape" && this.toggle(false);
  }

  toggle(isOpen = !document.documentElement.hasAttribute("data-it-filters")) {
    document.documentElement.toggleAttribute("data-it-filters", isOpen);
    this.opener.setAttribute("aria-expanded", String(isOpen));
    const method = isOpen ? "addEventListener" : "removeEventListener";
    document[method]("pointerdown", this.onPointerDown, true);
    document[method]("keydown", this.onKeyDown);
    if (isOpen) document.querySelector(".st-key-filters input")?.focus();
  }

  destroy() {
    this.toggle(false);
  }
}

// The sheet itself, and Streamlit's lists of options, which lie outside it.
const SHEET = ".st-key-filters, [data-baseweb='popover'], [role='listbox']";

// What was done last, with its undo; or a question whether to undo something.
class Message {
  constructor({ onUndo, onOffer, onClose }) {
    this.onOffer = onOffer;
    this.text = element("span", { dir: "auto" });
    this.undo = button(null, "Undo", () => onUndo(this.values), { text: "Undo" });
    this.undoText = this.undo.querySelector("span");
    this.offers = element("span", { class: "offers" });
    this.close = button("close", "Dismiss", onClose);
    this.node = element(
      "div",
      { class: "message", role: "status", hidden: true },
      this.text,
      this.undo,
      this.offers,
      this.close,
    );
  }

  // `offers` are texts of links, each to more photos like those that were tagged. A question and an
  // error stay until they are dismissed.
  show({ text, operation = null, undo = "", isError = false, isQuestion = false, offers = [] }) {
    this.values = { operation, redo: undo === "Redo" };
    this.text.textContent = text;
    this.undoText.textContent = undo;
    this.undo.hidden = !undo;
    this.offers.replaceChildren(
      ...offers.map((text, number) =>
        button(null, text, () => this.onOffer(number), { text, dir: "auto" }),
      ),
    );
    this.node.classList.toggle("error", isError);
    this.node.hidden = false;
    clearTimeout(this.timer);
    if (!isError && !isQuestion) this.timer = setTimeout(() => this.hide(), MESSAGE_STAYS);
  }

  hide() {
    clearTimeout(this.timer);
    this.node.hidden = true;
  }
}

// Years beside a long timeline: a click goes there.
class Scrubber {
  constructor(root, timeline) {
    this.root = root;
    this.timeline = timeline;
  }

  draw(months) {
    const years = new Map();
    let first = 0;
    for (const [month, count] of months) {
      const year = month.slice(0, 4);
      if (!years.has(year)) years.set(year, first);
      first += count;
    }
    this.root.hidden = years.size < 2;
    this.buttons = [...years].map(([year, index]) => {
      const node = element("button", { type: "button", "data-year": year }, year);
      node.addEventListener("click", () => this.timeline.scrollTo(index, "start"));
      return node;
    });
    this.root.replaceChildren(...this.buttons);
  }

  mark(section) {
    const year = section?.month.slice(0, 4);
    for (const node of this.buttons ?? []) {
      if (node.dataset.year === year) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    }
  }
}
