// Photo grid: opening, selecting, keyboard navigation. Names, tags and captions reach the page only
// by textContent and setAttribute, so that they stay text.

const grids = new WeakMap(); // by parent element
const selections = new Map(); // by key; they survive while the grid is off the page

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  if (!grids.has(parentElement)) grids.set(parentElement, new Grid(parentElement));
  grids.get(parentElement).update(data, setStateValue, setTriggerValue);
}

class Grid {
  constructor(root) {
    this.host = root.host;
    this.list = root.querySelector("ul");
    this.bar = root.querySelector(".bar");
    this.selectAll = root.querySelector(".all input");
    this.selectAllLabel = root.querySelector(".all span");
    this.count = root.querySelector(".count");
    this.keyHelp = root.querySelector("#key-help");
    this.tiles = new Map(); // by photo id
    this.ids = []; // in order
    this.selected = new Set();
    this.anchor = null; // where a range selection starts
    this.isNew = true;
    this.selectAll.addEventListener("change", () => {
      this.selected = new Set(this.selectAll.checked ? this.ids : []);
      this.reportSelection();
    });
    this.list.addEventListener("click", (event) => this.onClick(event));
    this.list.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.list.addEventListener("keyup", (event) => {
      // Firefox clicks a button when the space bar is released.
      if (event.key === " " && event.target.matches("button")) event.preventDefault();
    });
    this.list.addEventListener("focusin", (event) => this.makeTabStop(event.target.closest("li")));
  }

  update(data, setStateValue, setTriggerValue) {
    this.data = data;
    this.setStateValue = setStateValue;
    this.setTriggerValue = setTriggerValue;
    this.ids = data.photos.map((photo) => photo.id);
    this.restoreSelection();
    const isOtherPage = this.tiles.size && !this.ids.some((id) => this.tiles.has(id));
    this.drawTiles(data.photos);
    if (isOtherPage && this.host.getBoundingClientRect().top < 0) this.host.scrollIntoView();
    this.bar.hidden = !data.selectable;
    this.selectAllLabel.textContent =
      this.ids.length === 1 ? "Select it" : `Select all ${this.ids.length} on this page`;
    this.keyHelp.textContent =
      "Arrow keys go from photo to photo, Enter opens one" +
      (data.selectable ? ", the space bar selects it." : ".");
    this.drawSelection();
  }

  // The stored selection: empty for a new version, and only photos of this grid.
  restoreSelection() {
    const stored = selections.get(this.data.key);
    const isCurrent = stored?.version === this.data.version && this.data.selectable;
    this.selected = new Set(isCurrent ? stored.ids.filter((id) => this.ids.includes(id)) : []);
    if (this.isNew && this.selected.size) this.reportSelection(); // Python has dropped its copy
    this.isNew = false;
  }

  // Keeps existing tiles, and with them the focus.
  drawTiles(photos) {
    for (const [id, tile] of this.tiles) {
      if (!this.ids.includes(id)) {
        tile.remove();
        this.tiles.delete(id);
      }
    }
    photos.forEach((photo, index) => {
      if (!this.tiles.has(photo.id)) this.tiles.set(photo.id, createTile(photo.id));
      const tile = this.tiles.get(photo.id);
      fillTile(tile, photo);
      if (this.list.children[index] !== tile) {
        this.list.insertBefore(tile, this.list.children[index] ?? null);
      }
    });
    if (!this.list.querySelector('button[tabindex="0"]')) {
      this.makeTabStop(this.list.firstElementChild);
    }
  }

  // One photo at a time is in the tab order; the arrow keys move between photos.
  makeTabStop(tile) {
    if (!tile) return;
    for (const other of this.tiles.values()) {
      other.querySelector("button").tabIndex = other === tile ? 0 : -1;
    }
  }

  onClick(event) {
    const tile = event.target.closest("li");
    if (!tile) return;
    const id = Number(tile.dataset.id);
    if (event.target.matches("input")) {
      this.select(id, event.target.checked, event.shiftKey);
    } else if (event.target.closest("button")) {
      if (this.data.selectable && (event.shiftKey || event.ctrlKey || event.metaKey)) {
        this.select(id, event.shiftKey || !this.selected.has(id), event.shiftKey);
      } else {
        this.setTriggerValue("opened", id);
      }
    }
  }

  onKeyDown(event) {
    const tile = event.target.closest("li");
    if (!tile || !event.target.matches("button")) return;
    const index = this.ids.indexOf(Number(tile.dataset.id));
    const step = this.keySteps()[event.key];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation(); // the page's own shortcuts for the arrow keys
      const target = Math.min(Math.max(index + step, 0), this.ids.length - 1);
      this.tiles.get(this.ids[target]).querySelector("button").focus();
      if (event.shiftKey && this.data.selectable) {
        this.anchor ??= this.ids[index];
        this.select(this.ids[target], true, true);
      }
    } else if (event.key === " " && this.data.selectable) {
      event.preventDefault();
      const id = this.ids[index];
      this.select(id, event.shiftKey || !this.selected.has(id), event.shiftKey);
    }
  }

  // By how many photos each key moves.
  keySteps() {
    const top = this.list.firstElementChild.offsetTop;
    const columns = [...this.list.children].filter((tile) => tile.offsetTop === top).length;
    const forward = getComputedStyle(this.list).direction === "rtl" ? -1 : 1;
    return {
      ArrowLeft: -forward,
      ArrowRight: forward,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -this.ids.length,
      End: this.ids.length,
    };
  }

  select(id, isSelected, isRange) {
    const from = isRange ? this.ids.indexOf(this.anchor) : -1;
    const to = this.ids.indexOf(id);
    const ids = from < 0 ? [id] : this.ids.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const id of ids) {
      if (isSelected) this.selected.add(id);
      else this.selected.delete(id);
    }
    if (!isRange || from < 0) this.anchor = id;
    this.reportSelection();
  }

  reportSelection() {
    this.drawSelection();
    const ids = this.ids.filter((id) => this.selected.has(id));
    const selection = { version: this.data.version, ids };
    selections.set(this.data.key, selection);
    this.setStateValue("selected", selection);
  }

  drawSelection() {
    for (const [id, tile] of this.tiles) {
      const isSelected = this.selected.has(id);
      tile.classList.toggle("selected", isSelected);
      const box = tile.querySelector("input");
      box.hidden = !this.data.selectable;
      box.checked = isSelected;
    }
    const count = this.selected.size;
    this.selectAll.checked = count > 0 && count === this.ids.length;
    this.selectAll.indeterminate = count > 0 && count < this.ids.length;
    this.count.textContent = count ? `${count} selected` : "";
  }
}

function createTile(id) {
  const tile = createElement("li");
  tile.dataset.id = id;
  const button = createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.setAttribute("aria-describedby", "key-help");
  const image = createElement("img");
  image.decoding = "async";
  const tag = createElement("span", "tag");
  tag.dir = "auto";
  const line = createElement("span", "line");
  line.append(tag, createElement("span", "more"), createElement("span", "confirmed"));
  button.append(image, line, createElement("span", "caption"));
  const box = createElement("input");
  box.type = "checkbox";
  box.tabIndex = -1; // by keyboard, the space bar selects the focused photo
  tile.append(button, box);
  return tile;
}

function fillTile(tile, photo) {
  const part = (selector) => tile.querySelector(selector);
  if (part("img").getAttribute("src") !== photo.image) part("img").setAttribute("src", photo.image);
  part("img").setAttribute("alt", photo.name);
  part("button").setAttribute("title", photo.name);
  part("input").setAttribute("aria-label", `Select ${photo.name}`);
  part(".tag").textContent = photo.tag;
  part(".tag").classList.toggle("missing", !photo.tagged);
  part(".more").textContent = photo.more ? `+${photo.more}` : "";
  part(".confirmed").textContent = photo.confirmed ? "✓" : "";
  part(".confirmed").setAttribute("title", photo.confirmed ? "Added by you" : "");
  part(".caption").textContent = photo.caption;
}

function createElement(name, className = "") {
  const element = document.createElement(name);
  element.className = className;
  return element;
}
