// Tags as chips, and the field that adds one. `act(kind, values)` carries out what was asked.

const SUGGEST_AFTER = 80; // milliseconds after a key

// The tags of one photo. Confirming or removing one never moves the others.
class Chips {
  constructor({ act, base, isEditable = true }) {
    this.isEditable = isEditable;
    this.act = act;
    this.ranks = new Map(); // by label: where it was first
    this.photo = null;
    this.list = element("ul", { class: "chips", role: "list", "aria-label": "Tags" });
    this.empty = element("p", { class: "none" });
    this.weakList = element("ul", { class: "chips", role: "list", "aria-label": "Not sure enough" });
    this.weakTitle = element("summary");
    this.weak = element("details", { class: "weak" }, this.weakTitle, this.weakList);
    this.field = new TagField(base, "Add a tag", (label) => this.act("tag", { add: [label] }));
    this.field.node.hidden = !isEditable;
    this.node = element(
      "div",
      { class: "tag-editor" },
      this.empty,
      this.list,
      this.field.node,
      this.weak,
    );
  }

  // `details` are a photo's tags as the app describes them; `photo` is its id.
  show(photo, details, explained = null) {
    const earlier = photo === this.photo ? [...this.list.children] : [];
    const widths = new Map(earlier.map((li) => [li.dataset.label, li.offsetWidth]));
    if (photo !== this.photo) {
      this.photo = photo;
      this.ranks.clear();
      this.weak.open = false;
      this.field.clear();
    }
    const chips = [
      ...details.tags.map((tag) => ({ ...tag, state: tag.confirmed ? "confirmed" : "accepted" })),
      ...details.removed.map((tag) => ({ ...tag, state: "removed" })),
    ];
    for (const { label } of chips)
      if (!this.ranks.has(label)) this.ranks.set(label, this.ranks.size);
    chips.sort((a, b) => this.ranks.get(a.label) - this.ranks.get(b.label));
    keepFocus(this.list, () =>
      this.list.replaceChildren(
        ...chips.map((chip) => this.chip(chip, explained)),
      ),
    );
    // A chip with fewer buttons than before keeps its width, so that no other one moves.
    for (const li of this.list.children)
      if (widths.get(li.dataset.label)) li.style.minWidth = `${widths.get(li.dataset.label)}px`;
    this.empty.textContent = details.tags.length ? "" : details.unknown || "No tags";
    this.weak.hidden = !details.weaker.length;
    this.weakTitle.textContent = `Not sure enough (${details.weaker.length})`;
    this.weakTitle.title = "Each tag has a threshold of its own; these are below theirs";
    keepFocus(this.weakList, () =>
      this.weakList.replaceChildren(
        ...details.weaker.map((chip) => this.chip({ ...chip, state: "weaker" }, explained)),
      ),
    );
  }

  chip(tag, explained) {
    const { label, origin, state } = tag;
    const parts = [this.face(tag, explained === label)];
    if (state === "confirmed")
      parts.push(
        element(
          "span",
          { class: "mark", title: origin },
          icon("check"),
          element("span", { class: "visually-hidden" }, "confirmed"),
        ),
      );
    if (this.isEditable) parts.push(...this.actions(label, state));
    return element("li", { class: `chip ${state}`, "data-label": label }, ...parts);
  }

  // The tag's name; a click on it shows why, where a model can say.
  face({ label, score, origin, state, explains }, isExplained) {
    const text = [userText(label), score ? element("small", {}, score) : ""];
    const name = element("span", { class: "name" }, ...text);
    if (state === "removed")
      return element("span", { class: "face", title: origin }, element("s", {}, name));
    if (!explains) return element("span", { class: "face", title: origin }, name);
    return element(
      "button",
      {
        type: "button",
        class: "face",
        title: `${origin}. Click: show why`,
        "aria-pressed": String(isExplained),
        "data-do": `explain ${label}`,
        on: { click: () => this.act("explain", { label: isExplained ? null : label }) },
      },
      name,
    );
  }

  actions(label, state) {
    const add = { add: [label] };
    const remove = { remove: [label] };
    if (state === "removed")
      return [this.action("undo", `Clear your no to ${label}`, "withdraw", { label })];
    if (state === "weaker")
      return [
        this.action("plus", `Add ${label}`, "tag", add),
        this.action("close", `Not ${label}`, "tag", remove),
      ];
    const confirm = this.action("check", `Confirm ${label}`, "tag", add);
    const rest = [this.action("close", `Remove ${label}`, "tag", remove)];
    return state === "accepted" ? [confirm, ...rest] : rest;
  }

  action(name, title, kind, values) {
    return button(name, title, () => this.act(kind, values), { "data-do": title });
  }
}

// Draw a list anew and leave the focus on the same control, or where it was.
function keepFocus(list, draw) {
  const focused = list.getRootNode().activeElement;
  const inside = focused && list.contains(focused) ? focused : null;
  const name = inside?.dataset.do;
  const at = inside ? [...list.children].indexOf(inside.closest("li")) : -1;
  draw();
  if (!inside) return;
  const same = [...list.querySelectorAll("[data-do]")].find((node) => node.dataset.do === name);
  const row = list.children[Math.min(at, list.children.length - 1)];
  (same ?? row?.querySelector("[data-do]"))?.focus();
}

// A field for one tag: Enter, a comma and the button add it. Suggestions come from the app.
class TagField {
  constructor(base, title, onAdd) {
    this.base = base;
    this.onAdd = onAdd;
    this.chosen = -1;
    const id = `tag-field-${(TagField.count = (TagField.count ?? 0) + 1)}`;
    this.input = element("input", {
      type: "text",
      id,
      role: "combobox",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      dir: "auto",
      maxlength: "100",
      placeholder: title,
      "aria-label": title,
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
      "aria-autocomplete": "list",
      enterkeyhint: "done",
    });
    this.options = element("ul", {
      id: `${id}-list`,
      role: "listbox",
      "aria-label": "Suggestions",
      hidden: true,
    });
    this.add = button(null, title, () => this.submit(), { text: "Add", className: "add" });
    this.node = element("div", { class: "tag-field" }, this.input, this.add, this.options);
    this.input.addEventListener("input", () => this.onInput());
    this.input.addEventListener("focus", () => this.suggest());
    this.input.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.node.addEventListener("focusout", (event) => {
      if (!this.node.contains(event.relatedTarget)) this.hide();
    });
    this.options.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus
    this.options.addEventListener("click", (event) => {
      const option = event.target.closest("li");
      if (option) this.submit(option.dataset.label);
    });
  }

  clear() {
    this.input.value = "";
    this.hide();
  }

  hide() {
    clearTimeout(this.timer);
    this.request = null;
    this.chosen = -1;
    this.options.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  onInput() {
    if (this.input.value.includes(",")) {
      const parts = this.input.value.split(",");
      this.input.value = parts.pop();
      for (const part of parts) this.submit(part, true);
    }
    this.suggest();
  }

  onKeyDown(event) {
    const count = this.options.hidden ? 0 : this.options.children.length;
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.submit(this.options.children[this.chosen]?.dataset.label);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.choose(((this.chosen + step + 1 + count + 1) % (count + 1)) - 1);
    } else if (event.key === "Escape" && (count || this.input.value)) {
      event.stopPropagation();
      event.preventDefault();
      if (count) this.hide();
      else this.clear();
    } else if (event.key === "Escape") this.leave(event);
  }

  // From the field of a photo that is open back to the photo; a second Escape closes that.
  leave(event) {
    const photo = this.input.closest("dialog")?.querySelector(".stage");
    if (!photo) return;
    event.stopPropagation();
    event.preventDefault();
    photo.focus();
  }

  choose(index) {
    this.chosen = index;
    [...this.options.children].forEach((option, number) =>
      option.setAttribute("aria-selected", String(number === index)),
    );
    const option = this.options.children[index];
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  submit(label = this.input.value, keepsText = false) {
    const text = label.trim().replace(/\s+/g, " ");
    if (!keepsText) this.clear();
    if (text) this.onAdd(text);
    this.input.focus();
  }

  suggest() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const text = this.input.value.trim();
      const request = (this.request = { text });
      if (!text) return this.hide();
      let tags = [];
      try {
        ({ tags } = await fetchJson(`${this.base}/tags?${new URLSearchParams({ prefix: text })}`));
      } catch {}
      if (this.request === request) this.offer(tags);
    }, SUGGEST_AFTER);
  }

  offer(tags) {
    this.chosen = -1;
    this.options.replaceChildren(
      ...tags.map(({ label, count }, number) =>
        element(
          "li",
          {
            role: "option",
            id: `${this.input.id}-${number}`,
            "aria-selected": "false",
            "data-label": label,
          },
          userText(label),
          count ? element("small", {}, count.toLocaleString("en")) : "",
        ),
      ),
    );
    this.options.hidden = !tags.length;
    this.input.setAttribute("aria-expanded", String(tags.length > 0));
  }
}

// What will be known of a photo once the app has done an action, to show it at once.
function foresee(details, kind, values) {
  const without = (list, labels) => list.filter((tag) => !labels.includes(tag.label));
  if (kind === "rate") return { ...details, rating: values.rating };
  if (kind === "caption") return { ...details, caption: values.caption };
  if (kind === "withdraw") return { ...details, removed: without(details.removed, [values.label]) };
  if (kind !== "tag") return details;
  const [add, remove] = [values.add ?? [], values.remove ?? []];
  const blank = (label) => ({ label, score: "", origin: "", confirmed: true, explains: false });
  const earlier = new Map([...details.weaker, ...details.tags].map((tag) => [tag.label, tag]));
  const added = add.map((label) => ({ ...blank(label), ...earlier.get(label), confirmed: true }));
  return {
    ...details,
    tags: [...added, ...without(details.tags, [...add, ...remove])],
    weaker: without(details.weaker, [...add, ...remove]),
    removed: [...without(details.removed, [...add, ...remove]), ...remove.map(blank)],
  };
}
