// Adds photos to the service's library and corrects their tags. What the service does not have yet
// waits on this device, and survives its tab.

import { PhotoQueue } from "./photo-queue.js";
import * as service from "./service.js";

const PERMANENT = [400, 413, 415, 422]; // errors of the photo or a tag: sending again is useless
const additions = new PhotoQueue("image-tagger-additions");

export class Library {
  // `onError(error)` is told of errors that a token or the service's return may solve.
  constructor({ onError, announce }) {
    this.onError = onError;
    this.announce = announce;
    this.mayEdit = false;
  }

  // Ask the service whether photos can be added, and for the tags to choose from.
  async update() {
    try {
      const { tags, may_edit: mayEdit } = await service.loadTags();
      this.mayEdit = mayEdit;
      const options = tags.map(({ label }) => new Option(label, label));
      document.querySelector("#tag-list").replaceChildren(...options);
    } catch {
      return; // the page says so for its other requests
    }
  }

  // A person adds a card's photo, or changes its tags after that.
  async save(card) {
    card.showLibraryStatus("saving");
    const before = card.storing ?? Promise.resolve();
    card.storing = before.then(() => this.store(card)); // a second click adds nothing of its own
    await card.storing;
    await this.send(card);
  }

  // Keep on this device what the service does not have yet.
  async store(card) {
    if (card.addition) {
      return additions.update(card.addition, { answers: [...card.editor.answers] });
    }
    const { name, thumbnail, sent } = card.photo;
    const original = card.libraryId ? null : await card.readOriginal();
    const { answer, kind } = card;
    const fields = {
      ...{ name, thumbnail, answer, kind, libraryId: card.libraryId, entryId: card.entryId },
      sent: card.libraryId ? null : (original ?? sent),
      answers: [...card.editor.answers],
      saved: [...card.savedAnswers],
    };
    try {
      card.addition = await additions.add(fields);
      card.additionError = "";
    } catch (error) {
      card.additionError = error.message;
    }
    card.toAdd = fields.sent;
  }

  // One request for a card at a time; changes meanwhile are sent after it.
  async send(card) {
    if (card.isSending) return;
    card.isSending = true;
    card.showLibraryStatus("saving");
    try {
      do await this.sendChanges(card);
      while (!card.isRemoved && changes(card).length);
      await this.discard(card);
      card.showLibraryStatus("saved");
      this.announce(`${card.file.name}: in your library.`);
    } catch (error) {
      await this.showError(card, error);
    } finally {
      card.isSending = false;
    }
  }

  async sendChanges(card) {
    const answers = new Map(card.editor.answers);
    const changed = changes(card);
    const add = changed.filter(([, isRight]) => isRight).map(([label]) => label);
    const remove = changed.filter(([, isRight]) => !isRight).map(([label]) => label);
    if (!card.libraryId) {
      const photo = { sent: card.toAdd, name: card.photo.name };
      card.libraryId = (await service.addPhoto(photo, add, remove)).id;
    } else if (changed.length) {
      await service.editTags(card.libraryId, add, remove);
    }
    card.savedAnswers = answers;
    if (card.addition) {
      const { libraryId } = card;
      await additions.update(card.addition, { libraryId, sent: null, saved: [...answers] });
    }
  }

  async showError(card, error) {
    const { message, status } = error;
    const isPermanent = PERMANENT.includes(status);
    if (isPermanent) await this.discard(card);
    const keepOpen = card.additionError && !isPermanent;
    const sentence = keepOpen ? `${message} ${card.additionError}, so leave this page open.` : message;
    card.showLibraryStatus(isPermanent ? "failed" : "waiting", sentence);
    this.announce(`${card.file.name}: ${sentence}`);
    this.onError(error);
  }

  // The service is back, or there is another token.
  resume(cards, restore) {
    for (const card of cards.filter((card) => card.libraryStatus === "waiting")) this.send(card);
    additions.adopt((stored) => this.send(restore(stored)));
  }

  // Nothing of the card waits any more.
  async discard(card) {
    if (card.addition) await additions.remove(card.addition);
    card.addition = null;
  }

  // The photos that wait.
  list() {
    return additions.list();
  }

  clear() {
    return additions.clear();
  }
}

// The answers that the service does not have yet. Where they were, a tag that a person took back is
// one that does not belong to the photo.
function changes({ editor, savedAnswers }) {
  return [...editor.answers].filter(([label, isRight]) => savedAnswers.get(label) !== isRight);
}
