// The card of a photo and its answer. Everything is inserted as text, never as HTML.

import { createElement } from "./elements.js";
import { TagEditor } from "./tag-editor.js";
import { describe, modelTitle, percent } from "./text.js";

export const PERMANENT = [null, 400, 413, 415, 422]; // errors of the file: sending again is useless
const template = document.querySelector("#answer");

let cardCount = 0;

export class Card {
  // Its buttons call `retry(card)`, `remove(card)` and `save(card)`: add it to the library, or save
  // what a person changed since.
  constructor(file, { retry, remove, save }) {
    this.file = file;
    this.photo = null; // from `prepare`
    this.pending = null; // from `pending.add`, while the photo is stored on this device
    this.storageError = ""; // why it is not
    this.answer = null;
    this.errorStatus = null; // status of a ServiceError
    this.isRemoved = false; // from the page
    this.entryId = undefined; // in the history
    this.attempt = 0; // number of the last request; answers to older ones are ignored
    this.kind = undefined; // of the model that answered
    this.mayEdit = false; // whether it can be added to the library
    this.libraryId = null; // its id there
    this.libraryStatus = null; // "saving", "saved", "waiting" or "failed"
    this.addition = null; // from `PhotoQueue.add`, while it waits to be added or changed there
    this.storing = null; // a promise, of the latest `Library.store`
    this.savedAnswers = new Map(); // the answers about tags that the library has
    this.element = template.content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.element.querySelector(selector);
    this.find(".again").addEventListener("click", () => retry(this));
    this.find(".remove").addEventListener("click", () => remove(this));
    this.find(".add-photo").addEventListener("click", () => {
      this.editor.addTyped();
      save(this);
    });
    this.editor = new TagEditor(this.element, () => {
      if (this.libraryId || this.addition) save(this);
    });
    this.find("figcaption span").textContent = file.name;
    this.labelElement();
    this.showWaiting("Waiting…");
  }

  // For screen readers: the file's name and the headline.
  labelElement() {
    const parts = [this.find("figcaption span"), this.find("h2")];
    cardCount += 1;
    for (const [index, part] of parts.entries()) part.id = `answer-${cardCount}-${index}`;
    this.element.setAttribute("aria-labelledby", parts.map((part) => part.id).join(" "));
  }

  startAttempt() {
    this.showWaiting("Looking…");
    return ++this.attempt;
  }

  showWaiting(headline, sentence = "") {
    this.element.setAttribute("aria-busy", "true");
    this.errorStatus = null;
    if (this.answer) return; // an earlier answer stays until the next one
    this.write(headline, sentence, []);
    this.find(".remove").hidden = false;
  }

  // `status` is that of a ServiceError, null if the file cannot be read.
  showError(headline, sentence, status) {
    this.errorStatus = status;
    this.answer = null;
    this.write(headline, sentence, []);
    this.element.removeAttribute("aria-busy");
    this.element.classList.add("failed");
    this.find(".again").hidden = PERMANENT.includes(status);
    this.find(".remove").hidden = false;
  }

  // Returns the answer as a sentence for screen readers.
  showAnswer(answer, kind, withHeatmap) {
    this.answer = answer;
    this.kind = kind;
    const [headline, sentence] = describe(answer, kind);
    this.write(headline, sentence, answer.tags.slice(1));
    this.element.classList.toggle("unknown", answer.unknown);
    this.find(".bars").replaceChildren(...answer.predictions.map(createBar));
    this.find(".scores").hidden = !answer.predictions.length;
    this.find(".scores").open = !answer.unknown; // weak guesses are folded away
    this.find(".model").textContent = `Model: ${modelTitle(answer.model)}`;
    this.editor.show(answer.tags);
    this.showEditor();
    this.showPicture(withHeatmap);
    this.element.removeAttribute("aria-busy");
    return `${this.file.name}: ${headline}. ${sentence}`;
  }

  write(headline, sentence, tags) {
    this.element.classList.remove("failed", "unknown");
    this.find("h2").textContent = headline;
    this.find(".sentence").textContent = sentence;
    this.find(".tags").replaceChildren(...tags.map(createTag));
    this.find(".tags").hidden = !tags.length;
    this.find(".scores").hidden = true;
    this.find(".library").hidden = true;
    this.find(".model").textContent = "";
    this.find(".again").hidden = true;
    this.find(".remove").hidden = true;
  }

  // The tags to correct and the button that adds the photo, where that is allowed.
  showEditor() {
    const canEdit = Boolean(this.answer) && (this.mayEdit || Boolean(this.addition));
    this.find(".library").hidden = !canEdit;
    this.find(".ask").hidden = !this.answer?.unknown;
    if (canEdit) this.find(".tags").hidden = true; // its chips have them all
  }

  // What has become of adding it, with a `sentence` if it waits or failed.
  showLibraryStatus(status, sentence = "") {
    this.libraryStatus = status;
    const words = { saving: "Saving…", saved: "✓ In your library", waiting: `Not saved yet. ${sentence}` };
    this.find(".library-status").textContent = words[status] ?? sentence;
    const button = this.find(".add-photo");
    button.hidden = status === "saving" || status === "saved";
    button.textContent = status === "waiting" ? "Try again" : "Add to library";
    this.showEditor();
  }

  // The file as it was chosen, or null if it cannot be read any more.
  async readOriginal() {
    if (!(this.file instanceof Blob)) return this.photo.original ?? null;
    try {
      return new Blob([await this.file.arrayBuffer()], { type: this.file.type });
    } catch {
      return null;
    }
  }

  // Show the prepared photo, if this browser can.
  showPhoto() {
    if (!this.photo.thumbnail || this.photoUrl) return;
    this.photoUrl = URL.createObjectURL(this.photo.sent ?? this.photo.thumbnail);
    this.showPicture(false);
  }

  // The photo, or its heatmap.
  showPicture(withHeatmap) {
    const heatmap = withHeatmap && this.heatmap();
    const image = this.find("img");
    const url = heatmap || this.photoUrl;
    if (url) image.src = url;
    image.hidden = !url;
    this.find(".blank").hidden = Boolean(url);
    const name = this.file.name || "the photo";
    image.alt = heatmap ? `Heatmap of ${name}` : this.file.name || "The photo";
    this.find(".brighter").hidden = !heatmap;
  }

  heatmap() {
    const url = this.answer?.heatmap ?? "";
    return url.startsWith("data:image/") ? url : "";
  }

  remove() {
    this.isRemoved = true;
    this.attempt += 1;
    this.element.remove();
    if (this.photoUrl) URL.revokeObjectURL(this.photoUrl);
  }
}

function createBar({ label, score }) {
  const item = document.createElement("li");
  const filled = createElement("span", "filled", "");
  filled.style.inlineSize = `${100 * score}%`;
  const bar = createElement("span", "bar", "");
  bar.append(filled);
  item.append(createName(label), createElement("span", "value", percent(score)), bar);
  return item;
}

function createTag({ label, score }) {
  const item = document.createElement("li");
  item.append(createName(label), createElement("span", "value", percent(score)));
  return item;
}

function createName(label) {
  const name = createElement("span", "name", label);
  name.dir = "auto";
  return name;
}
