// Folder picker: a tree as the ARIA Authoring Practices describe one. Names reach the page only by
// textContent, so that they stay text.

const trees = new WeakMap(); // by parent element

export default function ({ parentElement, data, setStateValue }) {
  if (!trees.has(parentElement)) trees.set(parentElement, new Tree(parentElement));
  trees.get(parentElement).update(data, setStateValue);
}

class Tree {
  constructor(root) {
    this.tree = root.querySelector(".tree");
    this.rows = new Map(); // by key: one path may be there twice
    this.keys = []; // in order
    this.opened = new Set(); // paths
    this.selected = null; // a key
    this.active = null; // the key of the row in the tab order
    this.typed = "";
    this.tree.addEventListener("click", (event) => this.onClick(event));
    this.tree.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.tree.addEventListener("focusin", (event) => {
      const row = event.target.closest(".row");
      if (row) this.makeTabStop(row.dataset.key);
    });
  }

  update(data, setStateValue) {
    this.setStateValue = setStateValue;
    this.tree.setAttribute("aria-busy", "false");
    const rows = [];
    this.nodes = new Map();
    const above = [];
    for (const node of data.nodes) {
      above.length = node.level - 1;
      if (node.more) {
        rows.push(createMore(node));
        continue;
      }
      node.key = [...above, node.path].join("\n");
      above.push(node.path);
      node.parent = above.length > 1 ? above.slice(0, -1).join("\n") : null;
      this.nodes.set(node.key, node);
      if (node.open) this.opened.add(node.path);
      const row = this.rows.get(node.key) ?? createRow(node.key);
      this.rows.set(node.key, row);
      fillRow(row, node, node.key === this.selected);
      rows.push(row);
    }
    for (const key of this.rows.keys()) if (!this.nodes.has(key)) this.rows.delete(key);
    this.keys = [...this.nodes.keys()];
    // Rows that stay keep the focus.
    for (const child of [...this.tree.children]) if (!rows.includes(child)) child.remove();
    rows.forEach((row, index) => {
      if (this.tree.children[index] !== row) {
        this.tree.insertBefore(row, this.tree.children[index] ?? null);
      }
    });
    if (!this.nodes.has(this.active)) this.makeTabStop(this.keys[0]);
  }

  onClick(event) {
    const row = event.target.closest(".row");
    if (!row?.dataset.key) return;
    const node = this.nodes.get(row.dataset.key);
    if (event.target.closest(".arrow") && node.folders) this.toggle(node);
    else {
      this.select(node);
      if (node.folders && !node.open) this.toggle(node); // whoever clicks a name wants to go on
    }
    row.focus();
  }

  onKeyDown(event) {
    const key = event.target.closest(".row")?.dataset.key;
    if (!key || event.ctrlKey || event.altKey || event.metaKey) return;
    const node = this.nodes.get(key);
    const index = this.keys.indexOf(key);
    const right = getComputedStyle(this.tree).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const left = right === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
    if (event.key === "ArrowDown") this.focus(this.keys[index + 1]);
    else if (event.key === "ArrowUp") this.focus(this.keys[index - 1]);
    else if (event.key === "Home") this.focus(this.keys[0]);
    else if (event.key === "End") this.focus(this.keys.at(-1));
    else if (event.key === right) {
      if (node.open) this.focus(this.keys[index + 1]);
      else if (node.folders) this.toggle(node);
    } else if (event.key === left) {
      if (node.open) this.toggle(node);
      else if (node.parent) this.focus(node.parent);
    } else if (event.key === "Enter" || (event.key === " " && !this.typed)) this.select(node);
    else if (event.key.length === 1) this.findByName(event.key, index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The next folder whose name begins with what is typed.
  findByName(letter, index) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.typed = ""), 800);
    this.typed += letter.toLowerCase();
    const start = this.typed.length > 1 ? index : index + 1;
    const order = [...this.keys.slice(start), ...this.keys.slice(0, start)];
    this.focus(
      order.find((key) => this.nodes.get(key).name.toLowerCase().startsWith(this.typed)),
    );
  }

  toggle(node) {
    if (this.opened.has(node.path)) this.opened.delete(node.path);
    else this.opened.add(node.path);
    this.tree.setAttribute("aria-busy", "true");
    this.setStateValue("opened", [...this.opened]);
  }

  select(node) {
    if (node.reason) return; // it cannot be opened
    this.selected = node.key;
    for (const [key, row] of this.rows) row.setAttribute("aria-selected", key === node.key);
    this.setStateValue("selected", node.path);
  }

  focus(key) {
    this.rows.get(key)?.focus();
  }

  makeTabStop(key) {
    this.active = key;
    for (const [other, row] of this.rows) row.tabIndex = other === key ? 0 : -1;
  }
}

function createRow(key) {
  const row = createElement("div", "row");
  row.dataset.key = key;
  row.tabIndex = -1;
  row.setAttribute("role", "treeitem");
  const arrow = createElement("span", "arrow");
  arrow.setAttribute("aria-hidden", "true");
  const name = createElement("span", "name");
  name.dir = "auto";
  row.append(arrow, name, createElement("span", "note"));
  return row;
}

function fillRow(row, node, isSelected) {
  row.style.setProperty("--level", node.level);
  row.setAttribute("aria-level", node.level);
  row.setAttribute("aria-posinset", node.position);
  row.setAttribute("aria-setsize", node.siblings);
  row.setAttribute("aria-selected", isSelected);
  if (node.folders) row.setAttribute("aria-expanded", node.open);
  else row.removeAttribute("aria-expanded");
  row.classList.toggle("closed-off", Boolean(node.reason));
  if (node.reason) row.setAttribute("aria-disabled", "true");
  else row.removeAttribute("aria-disabled");
  row.querySelector(".name").textContent = node.name;
  const photos = node.photos === 1 ? "1 photo" : `${node.photos.toLocaleString("en")} photos`;
  row.querySelector(".note").textContent = node.reason || (node.photos ? photos : "");
}

function createMore(node) {
  const row = createElement("div", "row more");
  row.setAttribute("role", "presentation");
  row.style.setProperty("--level", node.level);
  row.textContent = `and ${node.more.toLocaleString("en")} more folders: type the path below`;
  return row;
}

function createElement(name, className) {
  const element = document.createElement(name);
  element.className = className;
  return element;
}
