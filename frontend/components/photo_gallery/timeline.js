// The timeline: months of square tiles. Only those near the window are in the page, so that a
// hundred thousand photos scroll like forty.

const SIZES = [88, 120, 168, 232, 320]; // pixels, about, of a tile's side
const GAP = 4; // pixels between tiles
const HEAD = 44; // pixels, of a month's heading
const OVERSCAN = 0.75; // windows, drawn above and below

class Timeline {
  // `thumbnail(photo)` is a URL. `onTile(tile, photo, index)` completes a tile, `onView(section,
  // top)` is called when another part is in the window.
  constructor(root, { thumbnail, onTile, onView }) {
    this.root = root;
    this.thumbnail = thumbnail;
    this.onTile = onTile;
    this.onView = onView;
    this.tiles = new Map(); // elements by index of the photo
    this.sections = [];
    this.lists = new Map(); // elements of the sections in the page, by index of the section
    this.active = 0; // index of the photo that is a tab stop
    this.size = Number(recall("tile-size") ?? (window.innerWidth < 640 ? 1 : 2));
    this.scroller = findScroller(root.getRootNode().host ?? root);
    this.onScroll = () => this.schedule();
    this.target = this.scroller === document.scrollingElement ? document : this.scroller;
    this.target.addEventListener("scroll", this.onScroll, { passive: true });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root);
    this.observer.observe(this.scroller);
  }

  destroy() {
    this.target.removeEventListener("scroll", this.onScroll);
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }

  show(source, { showsLabels }) {
    const isOther = source !== this.source;
    const isLaidOut = isOther && hasSameMonths(source, this.source);
    const focused = this.root.getRootNode().activeElement?.closest(".timeline li");
    this.source = source;
    this.showsLabels = showsLabels;
    if (isOther && !isLaidOut) {
      this.active = Math.min(this.active, Math.max(0, source.total - 1));
      this.layOut();
    }
    this.update();
    if (isLaidOut) this.refresh();
    if (!isOther || !focused) return;
    if (!isLaidOut || Number(focused.dataset.index) !== this.active) this.keepFocus();
  }

  // The indices of the photos in the window, first and last.
  visible() {
    const { top, bottom } = this.view();
    return this.sections.length ? [this.firstVisible(), this.indexAt(Math.max(top, bottom))] : [0, 0];
  }

  setSize(size) {
    const anchor = this.firstVisible();
    this.size = Math.min(Math.max(size, 0), SIZES.length - 1);
    remember("tile-size", this.size);
    this.layOut();
    this.scrollTo(anchor, "start");
    this.update();
  }

  // Layout

  layOut() {
    this.width = this.root.clientWidth;
    const wanted = Math.min(SIZES[this.size], this.width);
    this.columns = Math.max(1, Math.round((this.width + GAP) / (wanted + GAP)));
    this.side = (this.width - GAP * (this.columns - 1)) / this.columns;
    const months = this.source.months.length ? this.source.months : [["", this.source.total]];
    let top = 0;
    let first = 0;
    this.sections = months.map(([month, count]) => {
      const head = month ? HEAD : 0;
      const height = head + Math.ceil(count / this.columns) * (this.side + GAP);
      const section = { month, count, first, top, head, height };
      top += height;
      first += count;
      return section;
    });
    this.height = top;
    this.root.style.height = `${top}px`;
    for (const list of this.lists.values()) list.remove();
    this.lists.clear();
    this.tiles.clear();
  }

  resize() {
    if (!this.source || this.root.clientWidth === 0) return;
    if (this.root.clientWidth === this.width) return this.schedule();
    const anchor = this.firstVisible();
    this.layOut();
    if (anchor > 0) this.scrollTo(anchor, "start");
    this.update();
  }

  // Index of the section at a height, by bisection.
  sectionAt(y) {
    let low = 0;
    let high = this.sections.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.sections[middle].top <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  sectionOf(index) {
    let low = 0;
    let high = this.sections.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.sections[middle].first <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // Pixels from the top of the timeline to a photo's tile.
  topOf(index) {
    const section = this.sections[this.sectionOf(index)];
    const row = Math.floor((index - section.first) / this.columns);
    return section.top + section.head + row * (this.side + GAP);
  }

  // The part of the timeline in the window, in pixels from its top.
  view() {
    const isPage = this.scroller === document.scrollingElement;
    const frame = isPage
      ? { top: 0, height: window.innerHeight }
      : this.scroller.getBoundingClientRect();
    const top = frame.top - this.root.getBoundingClientRect().top;
    return { top, bottom: top + frame.height };
  }

  firstVisible() {
    if (!this.sections.length) return 0;
    const { top } = this.view();
    if (top <= 0) return 0;
    return this.indexAt(top);
  }

  indexAt(y) {
    const section = this.sections[this.sectionAt(Math.max(0, y))];
    const row = Math.max(0, Math.floor((y - section.top - section.head) / (this.side + GAP)));
    return Math.min(section.first + row * this.columns, section.first + section.count - 1);
  }

  scrollTo(index, where = "nearest") {
    if (!this.source.total) return;
    const { top, bottom } = this.view();
    const y = this.topOf(index);
    const margin = where === "start" ? HEAD : 8;
    if (where === "nearest" && y >= top + 60 && y + this.side <= bottom - 60) return;
    const goal =
      where === "start" || y < top + 60 ? y - margin - 60 : y + this.side - (bottom - top) + 76;
    this.scroller.scrollTop += goal - top;
    this.update();
  }

  // How far a photo's tile is below the top of the window, in pixels.
  distance(index) {
    return this.topOf(index) - this.view().top;
  }

  // Scroll so that a photo's tile is so far below the top of the window.
  putAt(index, distance) {
    this.scroller.scrollTop += this.distance(index) - distance;
    this.update();
  }

  // Drawing

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.update();
    });
  }

  update() {
    if (!this.source || !this.sections.length || !this.width) return;
    const { top, bottom } = this.view();
    const over = (bottom - top) * OVERSCAN;
    const [from, to] = [top - over, bottom + over];
    if (to < 0 || from > this.height || !this.source.total) {
      this.clear();
      return;
    }
    const first = this.sectionAt(Math.max(0, from));
    const last = this.sectionAt(Math.max(0, to));
    const wanted = new Set();
    for (let number = first; number <= last; number++) {
      const section = this.sections[number];
      const pitch = this.side + GAP;
      const y = section.top + section.head;
      const row = Math.max(0, Math.floor((from - y) / pitch));
      const end = Math.max(0, Math.ceil((to - y) / pitch));
      const start = section.first + row * this.columns;
      const stop = Math.min(section.first + section.count, section.first + end * this.columns);
      if (!this.lists.has(number)) this.addSection(number);
      for (let index = start; index < stop; index++) wanted.add(index);
    }
    this.remove(wanted, first, last);
    const middle = this.indexAt((top + bottom) / 2);
    const nearest = [...wanted].sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
    for (const index of nearest) if (!this.tiles.has(index)) this.addTile(index);
    this.makeTabStop();
    if (wanted.size) this.source.want(Math.min(...wanted), Math.max(...wanted), middle);
    this.onView(this.sections[this.sectionAt(Math.max(0, top))], top);
  }

  clear() {
    this.remove(new Set(), 0, -1);
  }

  remove(wanted, first, last) {
    const focused = this.root.getRootNode().activeElement?.closest("li");
    for (const [index, tile] of this.tiles) {
      if (wanted.has(index) || tile === focused) continue;
      tile.querySelector("img").removeAttribute("src"); // the browser gives it up
      tile.remove();
      this.tiles.delete(index);
    }
    for (const [number, list] of this.lists) {
      if ((number >= first && number <= last) || list.contains(focused)) continue;
      list.remove();
      this.lists.delete(number);
    }
  }

  addSection(number) {
    const { month, count, top, height } = this.sections[number];
    const list = element("ul", { role: "list" });
    const section = element("section", { style: `top: ${top}px; height: ${height}px` }, list);
    if (month) {
      const title = monthTitle(month);
      section.setAttribute("aria-label", `${title}, ${countPhotos(count)}`);
      section.prepend(element("h2", {}, title));
    }
    const after = [...this.lists].filter(([other]) => other > number).sort(([a], [b]) => a - b)[0];
    this.root.insertBefore(section, after?.[1] ?? null);
    this.lists.set(number, section);
  }

  addTile(index) {
    const number = this.sectionOf(index);
    const section = this.sections[number];
    const place = index - section.first;
    const pitch = this.side + GAP;
    const x = (place % this.columns) * pitch;
    const y = section.head + Math.floor(place / this.columns) * pitch;
    const tile = createTile();
    tile.style.cssText = `width: ${this.side}px; height: ${this.side}px; inset-inline-start: ${x}px; top: ${y}px`;
    tile.dataset.index = index;
    tile.setAttribute("aria-setsize", this.source.total);
    tile.setAttribute("aria-posinset", index + 1);
    this.tiles.set(index, tile);
    const list = this.lists.get(number).querySelector("ul");
    const next = [...list.children].find((other) => Number(other.dataset.index) > index);
    list.insertBefore(tile, next ?? null);
    this.fill(index);
  }

  // Draw the tiles of these photos again, which have arrived or changed.
  refresh(first = 0, last = Infinity) {
    for (const index of this.tiles.keys()) if (index >= first && index <= last) this.fill(index);
  }

  fill(index) {
    const tile = this.tiles.get(index);
    const photo = this.source.tile(index);
    if (!photo) return;
    tile.hidden = Boolean(photo.isGone);
    if (photo.isGone) return;
    fillTile(tile, photo, this.thumbnail(photo), this.showsLabels);
    this.onTile(tile, photo, index);
  }

  // One photo at a time is in the tab order; the arrow keys move between photos.
  makeTabStop() {
    const stop = this.tiles.has(this.active) ? this.active : Math.min(...this.tiles.keys());
    for (const [index, tile] of this.tiles)
      tile.querySelector("button").tabIndex = index === stop ? 0 : -1;
  }

  focus(index) {
    this.active = Math.min(Math.max(index, 0), this.source.total - 1);
    this.scrollTo(this.active);
    this.update();
    this.makeTabStop();
    this.tiles.get(this.active)?.querySelector("button").focus({ preventScroll: true });
  }

  // Focus the tab stop, which may be far from the window, without scrolling.
  keepFocus() {
    if (!this.source.total) return;
    if (!this.tiles.has(this.active)) {
      const number = this.sectionOf(this.active);
      if (!this.lists.has(number)) this.addSection(number);
      this.addTile(this.active);
    }
    this.makeTabStop();
    this.tiles.get(this.active).querySelector("button").focus({ preventScroll: true });
  }

  // The photo that a key leads to from another; null for other keys.
  keyTarget(key, index) {
    const forward = getComputedStyle(this.root).direction === "rtl" ? -1 : 1;
    const page =
      this.columns *
      Math.max(1, Math.floor((this.view().bottom - this.view().top) / (this.side + GAP)) - 1);
    const steps = {
      ...{ ArrowLeft: -forward, ArrowRight: forward, PageUp: -page, PageDown: page },
      ...{ Home: -index, End: this.source.total - 1 - index },
    };
    if (key in steps) return Math.min(Math.max(index + steps[key], 0), this.source.total - 1);
    if (key === "ArrowUp") return this.rowTarget(index, -1);
    if (key === "ArrowDown") return this.rowTarget(index, 1);
    return null;
  }

  // The photo in the same column of the row above or below, which may be in another month.
  rowTarget(index, step) {
    const number = this.sectionOf(index);
    const section = this.sections[number];
    const column = (index - section.first) % this.columns;
    const row = Math.floor((index - section.first) / this.columns) + step;
    const rows = Math.ceil(section.count / this.columns);
    if (row >= 0 && row < rows)
      return section.first + Math.min(row * this.columns + column, section.count - 1);
    const other = this.sections[number + step];
    if (!other) return index;
    const otherRow = step > 0 ? 0 : Math.ceil(other.count / this.columns) - 1;
    return other.first + Math.min(otherRow * this.columns + column, other.count - 1);
  }
}

// The nearest ancestor that scrolls.
function findScroller(node) {
  for (let parent = node.parentElement; parent; parent = parent.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(parent).overflowY)) return parent;
  }
  return document.scrollingElement;
}

// Whether two sources differ at most in what is known of their photos.
function hasSameMonths(source, other) {
  return source.total === other?.total && String(source.months) === String(other.months);
}

function createTile() {
  const image = element("img", { alt: "", decoding: "async", draggable: "false" });
  const open = element(
    "button",
    { type: "button", "aria-label": "Loading", "aria-describedby": "key-help" },
    image,
    element("span", { class: "label" }),
    element("span", { class: "favourite", hidden: true }, icon("star")),
  );
  // By keyboard: the space bar.
  const box = element("input", { type: "checkbox", "aria-label": "Select", tabindex: "-1" });
  return element("li", {}, open, box);
}

function fillTile(tile, photo, url, showsLabels) {
  const image = tile.querySelector("img");
  tile.dataset.id = photo.id;
  if (image.getAttribute("src") !== url) image.setAttribute("src", url);
  image.setAttribute("alt", photo.name);
  const open = tile.querySelector("button");
  open.setAttribute("title", photo.name);
  const more = photo.more ? `, and ${photo.more} more` : "";
  open.setAttribute(
    "aria-label",
    `${photo.name}, ${[photo.tag, photo.score, photo.caption].filter(Boolean).join(" ")}${more}` +
      (photo.favourite ? ", favourite" : ""),
  );
  open.querySelector(".favourite").hidden = !photo.favourite;
  tile.querySelector("input").setAttribute("aria-label", `Select ${photo.name}`);
  const label = tile.querySelector(".label");
  tile.classList.toggle("labelled", Boolean(showsLabels));
  label.replaceChildren(
    userText(photo.tag, photo.tagged ? "tag" : "tag none"),
    element(
      "span",
      { class: "more" },
      [photo.score, photo.confirmed ? "✓" : "", photo.caption].filter(Boolean).join(" · "),
    ),
  );
}
