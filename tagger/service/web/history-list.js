// The list of earlier answers, with buttons to delete one and to clear all.

import { createElement } from "./elements.js";
import { clearHistory, deleteEntry, loadHistory } from "./history.js";
import { describe, modelTitle } from "./text.js";

const STAYS = "Answers are kept on this device until you delete them.";
const EMPTY = `Nothing yet. ${STAYS}`;
const NO_STORAGE = "This browser can’t keep answers: they are gone when you close the page.";

const section = document.querySelector("#history");
const list = section.querySelector("ul");
const message = section.querySelector("#history-message");
const title = section.querySelector("h2");
const clearButton = section.querySelector("#clear");
const dialog = document.querySelector("#confirm-clear");
const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let thumbnailUrls = [];
let drawCount = 0; // only the last drawing is shown
let onDeleted = () => {};
let waitingCount = async () => 0;

// `onDelete(id)` is called when a person deletes an answer, `onClear()` when they clear the list;
// `countWaiting()` resolves to the number of photos that clearing would delete as well.
export async function showHistory({ onDelete, onClear, countWaiting }) {
  onDeleted = onDelete;
  waitingCount = countWaiting;
  clearButton.addEventListener("click", () => dialog.showModal());
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "clear") return;
    await Promise.all([onClear(), clearHistory().catch(() => {})]);
    await drawHistory();
    title.focus();
  });
  await drawHistory();
}

export async function drawHistory() {
  const drawing = ++drawCount;
  const waiting = await waitingCount();
  let entries = [];
  let sentence = EMPTY;
  try {
    entries = await loadHistory();
    if (entries.length) sentence = STAYS;
  } catch {
    sentence = NO_STORAGE;
  }
  if (drawing !== drawCount) return;
  for (const url of thumbnailUrls) URL.revokeObjectURL(url);
  thumbnailUrls = [];
  const focused = document.activeElement?.dataset.answer;
  list.replaceChildren(...entries.map(createItem));
  if (focused) list.querySelector(`[data-answer="${focused}"]`)?.focus();
  clearButton.hidden = !entries.length && !waiting;
  message.textContent = sentence;
}

async function remove(id, index) {
  await deleteEntry(id);
  onDeleted(id);
  await drawHistory();
  const buttons = list.querySelectorAll("button");
  (buttons[index] ?? buttons[index - 1] ?? title).focus();
}

function createItem({ id, at, name, thumbnail, kind, answer }, index) {
  const [headline, sentence] = describe(answer, kind);
  const item = document.createElement("li");
  const words = createElement("div", "words", "");
  const label = createElement("p", "label", headline);
  label.dir = "auto";
  const time = createElement("time", "hint", `${timeFormat.format(at)}, ${modelTitle(answer.model)}`);
  time.dateTime = new Date(at).toISOString();
  words.append(label, createElement("p", "sentence", sentence), time);
  const button = createElement("button", "quiet", "×");
  button.type = "button";
  button.title = "Delete";
  button.dataset.answer = id;
  button.setAttribute("aria-label", `Delete ${headline}, ${timeFormat.format(at)}`);
  button.addEventListener("click", () => remove(id, index));
  item.append(createThumbnail(thumbnail, name), words, button);
  item.classList.toggle("unknown", answer.unknown);
  return item;
}

function createThumbnail(thumbnail, name) {
  if (!thumbnail) return createElement("span", "blank", "No preview");
  const image = document.createElement("img");
  const url = URL.createObjectURL(thumbnail);
  thumbnailUrls.push(url);
  image.src = url;
  image.alt = name;
  return image;
}
