// Which photos are selected, and the bar of what can be done with them.

class Selection {
  constructor(onChange) {
    this.ids = new Set();
    this.anchor = null; // the photo where a range starts, and its index when it was selected
    this.onChange = onChange;
  }

  clear() {
    if (!this.ids.size) return;
    this.ids.clear();
    this.anchor = null;
    this.onChange();
  }

  async selectAll(source) {
    this.ids = new Set(await source.ids());
    this.onChange();
  }

  // Start a range at an index, unless it starts elsewhere.
  startAt(source, index) {
    this.anchor ??= { id: source.tile(index)?.id, index };
  }

  // The index of the photo where a range starts; null if it is gone.
  async findStart(source) {
    const { id, index } = this.anchor;
    if (id === undefined || source.tile(index)?.id === id) return index;
    return source.position(id).catch(() => null);
  }

  // Select or not the photo at an index; with `isRange` all from the last one on.
  async select(source, index, isSelected, isRange) {
    const start = isRange && this.anchor !== null ? await this.findStart(source) : null;
    const from = start ?? index;
    const [first, last] = [Math.min(from, index), Math.max(from, index)];
    const ids = first === last ? [source.tile(index)?.id] : await source.ids(first, last);
    for (const id of ids) {
      if (id === undefined) continue;
      if (isSelected) this.ids.add(id);
      else this.ids.delete(id);
    }
    if (!isRange || start === null) this.anchor = null;
    this.startAt(source, index);
    this.onChange();
  }
}

class SelectionBar {
  constructor(gallery) {
    this.gallery = gallery;
    this.count = element("span", { class: "count" });
    this.menu = element("div", { class: "menu", hidden: true });
    const tools = [
      button("close", "Clear the selection", () => gallery.selection.clear(), {
        className: "tool",
      }),
      this.count,
      this.tool("tag", "Add tags", () => this.offerAdding()),
      this.tool("minus", "Remove tags", () => this.offerRemoving()),
      this.tool("check", "Confirm tags", () => gallery.act("confirm")),
      this.tool("star", "Favourite", () => gallery.act("favourite")),
      this.tool("retag", "Re-tag", () => this.offerRetagging()),
      this.tool("trash", "Delete", () => gallery.act("delete")),
    ];
    this.node = element(
      "div",
      { class: "selection-bar", role: "toolbar", "aria-label": "Selected photos", hidden: true },
      ...tools,
    );
    for (const part of [this.menu, this.node])
      part.addEventListener("keydown", (event) => this.onKeyDown(event));
  }

  tool(name, title, onClick) {
    return button(name, title, onClick, { text: title, className: "tool" });
  }

  onKeyDown(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (this.menu.hidden) this.gallery.selection.clear();
    else this.closeMenu();
  }

  update(count) {
    this.node.hidden = !count;
    this.count.textContent = `${count.toLocaleString("en")} selected`;
    if (!count) this.closeMenu();
    else if (this.refresh) this.refresh();
  }

  openMenu(name, ...children) {
    this.menu.replaceChildren(...children);
    this.menu.hidden = false;
    this.opened = name;
  }

  closeMenu() {
    this.menu.hidden = true;
    this.opened = this.refresh = null;
  }

  // Whether the menu was open: the same button closes it.
  toggles(name) {
    if (this.opened !== name) return false;
    this.closeMenu();
    return true;
  }

  offerAdding() {
    if (this.toggles("add")) return;
    const field = new TagField(this.gallery.data.base, "Tags to add", (label) =>
      this.gallery.act("tag", { add: [label] }),
    );
    this.openMenu("add", field.node);
    field.input.focus();
  }

  async offerRemoving() {
    if (this.toggles("remove")) return;
    this.refresh = async () => {
      const labels = await this.gallery.selectedLabels();
      const chips = labels.map(({ label, count }) =>
        button(
          "close",
          `Remove ${label} from ${countPhotos(count)}`,
          () => this.gallery.act("tag", { remove: [label] }),
          {
            text: `${label} · ${count.toLocaleString("en")}`,
            className: "chip-button",
            dir: "auto",
          },
        ),
      );
      if (this.opened !== "remove") return;
      this.menu.replaceChildren(
        chips.length
          ? element("div", { class: "chips" }, ...chips)
          : element("p", {}, "These photos have no tags."),
      );
    };
    this.openMenu("remove", element("p", {}, "Loading …"));
    await this.refresh();
    this.menu.querySelector("button")?.focus();
  }

  offerRetagging() {
    if (this.toggles("retag")) return;
    const { models, model } = this.gallery.data;
    const choice = element(
      "select",
      { "aria-label": "Model" },
      ...models.map(([value, title]) =>
        element("option", { value, selected: value === model }, title),
      ),
    );
    const start = button(
      "retag",
      "Re-tag",
      () => this.gallery.act("retag", { model: choice.value }),
      { text: "Re-tag", className: "add" },
    );
    this.openMenu(
      "retag",
      element("div", { class: "row" }, choice, start),
      element("p", {}, "Your own tags are kept."),
    );
    choice.focus();
  }
}
