// One photo on the page and what is said of it. Everything goes in as text, never as HTML.

import { inWords, percent } from "./words.js";

export const FOR_GOOD = [null, 400, 413, 415, 422]; // such a file is refused every time
const template = document.querySelector("#answer");

let made = 0;

export class Card {
  // Its buttons call `again(card)` and `remove(card)`.
  constructor(file, { again, remove }) {
    this.file = file;
    this.photo = null; // as `prepare` gives it
    this.held = null; // as `hold` gives it, while it waits on this device
    this.unheld = ""; // why it is not among them
    this.answer = null;
    this.refused = null; // the status, where the service or the way to it failed
    this.gone = false; // from the page
    this.entry = undefined; // its id in the history
    this.turn = 0; // of asking; what answers an earlier one is passed over
    this.element = template.content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.element.querySelector(selector);
    this.find(".again").addEventListener("click", () => again(this));
    this.find(".remove").addEventListener("click", () => remove(this));
    this.find("figcaption span").textContent = file.name;
    this.name();
    this.wait("Waiting…");
  }

  // For who listens: the file's name and the large word.
  name() {
    const parts = [this.find("figcaption span"), this.find("h2")];
    made += 1;
    for (const [index, part] of parts.entries()) part.id = `answer-${made}-${index}`;
    this.element.setAttribute("aria-labelledby", parts.map((part) => part.id).join(" "));
  }

  begin() {
    this.wait("Looking…");
    return ++this.turn;
  }

  wait(word, told = "") {
    this.element.setAttribute("aria-busy", "true");
    this.refused = null;
    if (this.answer) return; // what was said stays until there is more to say
    this.write(word, told, []);
    this.find(".remove").hidden = false;
  }

  // `status` is that of a Refused, null where the file was not read.
  fail(word, told, status) {
    this.refused = status;
    this.answer = null;
    this.write(word, told, []);
    this.element.removeAttribute("aria-busy");
    this.element.classList.add("failed");
    this.find(".again").hidden = FOR_GOOD.includes(status);
    this.find(".remove").hidden = false;
  }

  // The answer as a sentence, for who listens.
  show(answer, kind, painted) {
    this.answer = answer;
    const [word, said] = inWords(answer, kind);
    this.write(word, said, answer.tags.slice(1));
    this.element.classList.toggle("unknown", answer.unknown);
    this.find(".bars").replaceChildren(...answer.predictions.map(bar));
    this.find(".bars").hidden = !answer.predictions.length;
    this.find(".model").textContent = `Said by ${answer.model}`;
    this.paint(painted);
    this.element.removeAttribute("aria-busy");
    return `${this.file.name}: ${word}. ${said}`;
  }

  write(word, said, tags) {
    this.element.classList.remove("failed", "unknown");
    this.find("h2").textContent = word;
    this.find(".said").textContent = said;
    this.find(".tags").replaceChildren(...tags.map(chip));
    this.find(".tags").hidden = !tags.length;
    this.find(".bars").hidden = true;
    this.find(".model").textContent = "";
    this.find(".again").hidden = true;
    this.find(".remove").hidden = true;
  }

  // The photo, once it is known whether this browser can show it.
  picture() {
    if (!this.photo.thumbnail || this.address) return;
    this.address = URL.createObjectURL(this.photo.sent);
    this.paint(false);
  }

  // The photo as it is, or with what counted painted on it.
  paint(painted) {
    const heatmap = painted && this.heatmap();
    const image = this.find("img");
    const address = heatmap || this.address;
    if (address) image.src = address;
    image.hidden = !address;
    this.find(".blank").hidden = Boolean(address);
    const name = this.file.name || "the photo";
    image.alt = heatmap ? `What counted, painted on ${name}` : this.file.name || "The photo";
    this.find(".brighter").hidden = !heatmap;
  }

  heatmap() {
    const address = this.answer?.heatmap ?? "";
    return address.startsWith("data:image/") ? address : "";
  }

  remove() {
    this.gone = true;
    this.turn += 1;
    this.element.remove();
    if (this.address) URL.revokeObjectURL(this.address);
  }
}

function bar({ label, score }) {
  const line = document.createElement("li");
  const filled = part("span", "filled", "");
  filled.style.inlineSize = `${100 * score}%`;
  const whole = part("span", "bar", "");
  whole.append(filled);
  line.append(named(label), part("span", "value", percent(score)), whole);
  return line;
}

function chip({ label, score }) {
  const tag = document.createElement("li");
  tag.append(named(label), part("span", "value", percent(score)));
  return tag;
}

function named(label) {
  const name = part("span", "name", label);
  name.dir = "auto";
  return name;
}

export function part(kind, name, text) {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}
