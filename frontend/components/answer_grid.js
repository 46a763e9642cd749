// Answer grid: photos that are clicked if they are wrong, or in the mode "right" if they are right;
// Enter saves. Names, tags and captions reach the page only by textContent and setAttribute.

const PAUSE = 600; // milliseconds before new photos can be saved: nobody has looked at them sooner

const grids = new WeakMap(); // by parent element
let awaitsNext = false; // answers were saved, and the next photos are not drawn yet

export default function ({ parentElement, data, setTriggerValue }) {
  if (!grids.has(parentElement)) grids.set(parentElement, new AnswerGrid(parentElement));
  const grid = grids.get(parentElement);
  grid.update(data, setTriggerValue);
  return () => grid.detach();
}

class AnswerGrid {
  constructor(root) {
    this.root = root;
    this.list = root.querySelector("ul");
    this.saveButton = root.querySelector(".save");
    this.status = root.querySelector("[role=status]");
    this.clicked = new Set();
    this.ids = [];
    this.queue = new ActionQueue();
    this.onDocumentKey = (event) => this.onEnter(event);
    this.list.addEventListener("click", (event) => this.onClick(event));
    this.list.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.list.addEventListener("focusin", (event) => this.makeTabStop(event.target));
    this.saveButton.addEventListener("click", () => this.saveIfReady());
  }

  update(data, setTriggerValue) {
    this.data = data;
    this.setTriggerValue = setTriggerValue;
    this.queue.acknowledge(data.done); // saved, or refused with a message on the page
    document.removeEventListener("keydown", this.onDocumentKey);
    document.addEventListener("keydown", this.onDocumentKey);
    const ids = data.photos.map((photo) => photo.id);
    const question = `${data.tag}\n${data.mode}`;
    const version = `${question}\n${ids}`;
    if (version !== this.version) {
      const isSame = question === this.question; // photos may be gone; marks on the others stay
      this.clicked = new Set(isSame ? ids.filter((id) => this.clicked.has(id)) : []);
      Object.assign(this, { question, version });
      const takesFocus = this.list.contains(this.root.activeElement) || isOnClickedSwitch();
      this.ids = ids;
      this.readyAt = performance.now() + PAUSE;
      this.list.replaceChildren(...data.photos.map((photo) => this.createTile(photo)));
      this.makeTabStop(this.tiles()[0]);
      if (takesFocus || awaitsNext) this.tiles()[0]?.focus({ preventScroll: true });
      // What was saved, and its Undo, are said at the top of the page, above the next photos.
      if (awaitsNext) document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
      awaitsNext = false;
    } else if (!this.isSaving) {
      awaitsNext = false; // they were refused
    }
    this.root.querySelector("#answer-help").textContent =
      `Space marks a photo as ${data.mode}, the arrow keys move, Enter saves all.`;
    this.root.querySelector(".keys").textContent = "Enter saves · Space marks · arrows move";
    this.draw();
  }

  get isSaving() {
    return this.queue.actions.length > 0;
  }

  detach() {
    document.removeEventListener("keydown", this.onDocumentKey);
  }

  tiles() {
    return [...this.list.querySelectorAll(".tile")];
  }

  createTile(photo) {
    const item = document.createElement("li");
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "tile";
    tile.tabIndex = -1;
    tile.dataset.id = photo.id;
    tile.setAttribute("aria-label", photo.name);
    tile.setAttribute("aria-describedby", "answer-help");
    tile.title = photo.name;
    const image = document.createElement("img");
    image.setAttribute("src", `${this.data.base}/thumbnails/${photo.digest}.jpg`);
    image.setAttribute("alt", "");
    image.decoding = "async";
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.setAttribute("aria-hidden", "true");
    const caption = document.createElement("span");
    caption.className = "caption";
    caption.textContent = photo.caption;
    tile.append(image, mark, caption);
    item.append(tile);
    return item;
  }

  draw() {
    const { mode, tag } = this.data;
    for (const tile of this.tiles()) {
      const isClicked = this.clicked.has(Number(tile.dataset.id));
      tile.setAttribute("aria-pressed", String(isClicked));
      tile.classList.toggle("wrong", isClicked && mode === "wrong");
      tile.classList.toggle("picked", isClicked && mode === "right");
      const mark = isClicked ? (mode === "wrong" ? "✕" : "✓") : mode === "wrong" ? "✓" : "";
      tile.querySelector(".mark").textContent = mark;
    }
    const clicked = this.clicked.size;
    const right = mode === "wrong" ? this.ids.length - clicked : clicked;
    const parts = [];
    if (right || mode === "right") parts.push(`Save ${right} as “${tag}”`);
    if (mode === "wrong" && clicked) parts.push(`${right ? "" : "Save "}${clicked} as not “${tag}”`);
    this.saveButton.textContent = this.isSaving ? "Saving …" : parts.join(", ");
    this.saveButton.disabled = this.isSaving || (mode === "right" && !clicked);
  }

  onClick(event) {
    const tile = event.target.closest(".tile");
    if (tile && !this.isSaving) this.toggle(tile);
  }

  toggle(tile) {
    const id = Number(tile.dataset.id);
    if (!this.clicked.delete(id)) this.clicked.add(id);
    this.readyAt = 0; // somebody has looked
    this.draw();
    this.status.textContent = this.saveButton.textContent;
  }

  onKeyDown(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const tiles = this.tiles();
    const step = this.keySteps(tiles)[event.key];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      const target = Math.min(Math.max(tiles.indexOf(tile) + step, 0), tiles.length - 1);
      tiles[target].focus();
    }
  }

  // By how many photos each key moves.
  keySteps(tiles) {
    const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const forward = getComputedStyle(this.list).direction === "rtl" ? -1 : 1;
    return {
      ArrowLeft: -forward,
      ArrowRight: forward,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -tiles.length,
      End: tiles.length,
    };
  }

  // Enter saves from a photo, or where nothing has the focus that reacts to it itself.
  onEnter(event) {
    if (event.key !== "Enter" || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    const isTile = target.closest?.(".tile") && this.list.contains(target);
    if (!isTile && target !== document.body) return;
    event.preventDefault();
    this.saveIfReady();
  }

  saveIfReady() {
    if (performance.now() > this.readyAt) this.save();
  }

  save() {
    if (this.isSaving || this.saveButton.disabled || !this.ids.length) return;
    const answers = { kind: "answer", ids: this.ids, clicked: [...this.clicked] };
    this.queue.send(answers, this.setTriggerValue);
    awaitsNext = true;
    this.draw();
  }

  // One photo at a time is in the tab order.
  makeTabStop(target) {
    if (!target?.matches?.(".tile")) return;
    for (const tile of this.tiles()) tile.tabIndex = tile === target ? 0 : -1;
  }
}

// Whether the focus is on the switch that brought these photos, after a click. By keyboard one may
// want to go on there.
function isOnClickedSwitch() {
  const active = document.activeElement;
  return Boolean(active?.matches("[role=radiogroup] *")) && !active.matches(":focus-visible");
}
