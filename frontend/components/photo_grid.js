// A grid of photos. Whatever comes from outside (names, tags, captions) goes into the page by
// textContent and setAttribute alone, so that it stays text.

const grids = new WeakMap(); // by the element each is drawn in
const selections = new Map(); // by key; outlive a grid that leaves the page and comes back

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  if (!grids.has(parentElement)) grids.set(parentElement, new Grid(parentElement));
  grids.get(parentElement).show(data, setStateValue, setTriggerValue);
}

class Grid {
  constructor(root) {
    this.host = root.host;
    this.list = root.querySelector("ul");
    this.bar = root.querySelector(".bar");
    this.all = root.querySelector(".all input");
    this.allText = root.querySelector(".all span");
    this.count = root.querySelector(".count");
    this.keys = root.querySelector("#keys");
    this.tiles = new Map(); // by photo id
    this.ids = []; // in order
    this.selected = new Set();
    this.anchor = null; // where a range of selected photos begins
    this.isNew = true;
    this.all.addEventListener("change", () => {
      this.selected = new Set(this.all.checked ? this.ids : []);
      this.tell();
    });
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.list.addEventListener("keydown", (event) => this.pressed(event));
    this.list.addEventListener("keyup", (event) => {
      // Firefox presses a button when the space bar comes up.
      if (event.key === " " && event.target.matches("button")) event.preventDefault();
    });
    this.list.addEventListener("focusin", (event) => this.reach(event.target.closest("li")));
  }

  show(data, setStateValue, setTriggerValue) {
    this.data = data;
    this.setStateValue = setStateValue;
    this.setTriggerValue = setTriggerValue;
    this.ids = data.photos.map((photo) => photo.id);
    this.recall();
    const turned = this.tiles.size && !this.ids.some((id) => this.tiles.has(id));
    this.place(data.photos);
    // Another page of photos begins at its first one.
    if (turned && this.host.getBoundingClientRect().top < 0) this.host.scrollIntoView();
    this.bar.hidden = !data.selectable;
    this.allText.textContent =
      this.ids.length === 1 ? "Select it" : `Select all ${this.ids.length} on this page`;
    this.keys.textContent =
      "Arrow keys go from photo to photo, Enter opens one" +
      (data.selectable ? ", the space bar selects it." : ".");
    this.mark();
  }

  // What is selected: nothing in a new turn, and only photos that are here.
  recall() {
    const kept = selections.get(this.data.key);
    const ids = kept && kept.turn === this.data.turn && this.data.selectable ? kept.ids : [];
    this.selected = new Set(ids.filter((id) => this.ids.includes(id)));
    if (this.isNew && this.selected.size) this.tell(); // Python forgot when the grid went
    this.isNew = false;
  }

  // Tiles in order, those that were there already kept, with whatever has the focus.
  place(photos) {
    for (const [id, tile] of this.tiles) {
      if (!this.ids.includes(id)) {
        tile.remove();
        this.tiles.delete(id);
      }
    }
    photos.forEach((photo, index) => {
      if (!this.tiles.has(photo.id)) this.tiles.set(photo.id, newTile(photo.id));
      const tile = this.tiles.get(photo.id);
      fill(tile, photo);
      if (this.list.children[index] !== tile) {
        this.list.insertBefore(tile, this.list.children[index] ?? null);
      }
    });
    if (!this.list.querySelector('button[tabindex="0"]')) this.reach(this.list.firstElementChild);
  }

  // One photo at a time is in the tab order; the arrow keys choose which.
  reach(tile) {
    if (!tile) return;
    for (const other of this.tiles.values()) {
      other.querySelector("button").tabIndex = other === tile ? 0 : -1;
    }
  }

  clicked(event) {
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

  pressed(event) {
    const tile = event.target.closest("li");
    if (!tile || !event.target.matches("button")) return;
    const index = this.ids.indexOf(Number(tile.dataset.id));
    const step = this.steps()[event.key];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation(); // the arrows go to another photo, not to another page
      const to = Math.min(Math.max(index + step, 0), this.ids.length - 1);
      this.tiles.get(this.ids[to]).querySelector("button").focus();
      if (event.shiftKey && this.data.selectable) {
        this.anchor ??= this.ids[index];
        this.select(this.ids[to], true, true);
      }
    } else if (event.key === " " && this.data.selectable) {
      event.preventDefault();
      const id = this.ids[index];
      this.select(id, event.shiftKey || !this.selected.has(id), event.shiftKey);
    }
  }

  // How far each key goes.
  steps() {
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

  select(id, on, range) {
    const from = range ? this.ids.indexOf(this.anchor) : -1;
    const to = this.ids.indexOf(id);
    const some = from < 0 ? [id] : this.ids.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const one of some) {
      if (on) this.selected.add(one);
      else this.selected.delete(one);
    }
    if (!range || from < 0) this.anchor = id;
    this.tell();
  }

  tell() {
    this.mark();
    const ids = this.ids.filter((id) => this.selected.has(id));
    const selection = { turn: this.data.turn, ids };
    selections.set(this.data.key, selection);
    this.setStateValue("selected", selection);
  }

  mark() {
    for (const [id, tile] of this.tiles) {
      const on = this.selected.has(id);
      tile.classList.toggle("on", on);
      const box = tile.querySelector("input");
      box.hidden = !this.data.selectable;
      box.checked = on;
    }
    const many = this.selected.size;
    this.all.checked = many > 0 && many === this.ids.length;
    this.all.indeterminate = many > 0 && many < this.ids.length;
    this.count.textContent = many ? `${many} selected` : "";
  }
}

function newTile(id) {
  const tile = element("li");
  tile.dataset.id = id;
  const open = element("button");
  open.type = "button";
  open.tabIndex = -1;
  open.setAttribute("aria-describedby", "keys");
  const image = element("img");
  image.decoding = "async";
  const tag = element("span", "tag");
  tag.dir = "auto";
  const line = element("span", "line");
  line.append(tag, element("span", "more"), element("span", "confirmed"));
  open.append(image, line, element("span", "caption"));
  const box = element("input");
  box.type = "checkbox";
  box.tabIndex = -1; // the space bar does it for the photo in focus
  tile.append(open, box);
  return tile;
}

function fill(tile, photo) {
  const part = (name) => tile.querySelector(name);
  if (part("img").getAttribute("src") !== photo.image) part("img").setAttribute("src", photo.image);
  part("img").setAttribute("alt", photo.name);
  part("button").setAttribute("title", photo.name);
  part("input").setAttribute("aria-label", `Select ${photo.name}`);
  part(".tag").textContent = photo.tag;
  part(".tag").classList.toggle("none", !photo.tagged);
  part(".more").textContent = photo.more ? `+${photo.more}` : "";
  part(".confirmed").textContent = photo.confirmed ? "✓" : "";
  part(".confirmed").setAttribute("title", photo.confirmed ? "You said so" : "");
  part(".caption").textContent = photo.caption;
}

function element(name, className = "") {
  const made = document.createElement(name);
  made.className = className;
  return made;
}
