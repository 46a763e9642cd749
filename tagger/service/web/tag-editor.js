// The tags of a photo to correct: chips that a touch takes away and gives back, and a field for more.

import { createElement } from "./elements.js";
import { percent } from "./text.js";

const MAX_TAG = 100; // characters, as in the library

export class TagEditor {
  // `onChange()` is called after each change.
  constructor(element, onChange) {
    this.list = element.querySelector(".chips");
    this.form = element.querySelector(".add-tag");
    this.field = this.form.querySelector("input");
    this.onChange = onChange;
    this.scores = new Map(); // of the model's tags, by label
    this.answers = new Map(); // by label: true if a person says that it belongs to the photo
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.addTyped();
    });
    this.field.addEventListener("input", () => {
      if (this.field.value.includes(",")) this.addTyped();
    });
  }

  // The model's tags; what a person said stays.
  show(tags) {
    this.scores = new Map(tags.map(({ label, score }) => [label, score]));
    this.draw();
  }

  // Typed text that was not added yet counts too: nothing is lost with the next button.
  addTyped() {
    const labels = this.field.value.split(",").map((part) => part.trim().replace(/\s+/g, " "));
    const added = labels.filter((label) => label && label.length <= MAX_TAG);
    this.field.value = "";
    for (const label of added) this.answers.set(this.findLabel(label), true);
    if (!added.length) return;
    this.draw();
    this.onChange();
  }

  // The same tag in another case is that tag.
  findLabel(label) {
    const labels = [...this.scores.keys(), ...this.answers.keys()];
    return labels.find((other) => other.toLowerCase() === label.toLowerCase()) ?? label;
  }

  toggle(label) {
    const isOn = this.isOn(label);
    this.answers.set(label, !isOn);
    this.draw();
    this.onChange();
  }

  isOn(label) {
    return this.answers.get(label) ?? this.scores.has(label);
  }

  draw() {
    const focused = document.activeElement?.dataset.tag;
    const labels = new Set([...this.scores.keys(), ...this.answers.keys()]);
    this.list.replaceChildren(...[...labels].map((label) => this.createChip(label)));
    this.list.hidden = !labels.size;
    const chips = [...this.list.querySelectorAll("button")];
    if (focused !== undefined) chips.find((chip) => chip.dataset.tag === focused)?.focus();
  }

  createChip(label) {
    const item = document.createElement("li");
    const chip = createElement("button", "chip", "");
    chip.type = "button";
    chip.dataset.tag = label;
    chip.setAttribute("aria-pressed", String(this.isOn(label)));
    const name = createElement("span", "name", label);
    name.dir = "auto";
    chip.append(name);
    if (this.answers.get(label)) chip.append(createElement("span", "value", "✓"));
    else if (this.scores.has(label)) {
      chip.append(createElement("span", "value", percent(this.scores.get(label))));
    }
    chip.addEventListener("click", () => this.toggle(label));
    item.append(chip);
    return item;
  }
}
