// The list of earlier answers, and the ways to delete one or to clear them all.

import { part } from "./card.js";
import { clear, earlier, forget } from "./history.js";
import { held } from "./waiting.js";
import { inWords } from "./words.js";

const STAYS = "Answers stay here, on this device, until you delete them.";
const EMPTY = `Nothing yet. ${STAYS}`;
const KEEPS_NOTHING = "This browser keeps nothing: answers are gone when the page is.";

const section = document.querySelector("#history");
const list = section.querySelector("ul");
const told = section.querySelector("#history-told");
const title = section.querySelector("h2");
const button = section.querySelector("#clear");
const sure = document.querySelector("#sure");
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let addresses = []; // of the pictures that are drawn
let drawings = 0; // asked for; only the last has everything
let deleted = () => {};

// `onDelete(id)` is called for an answer that somebody deletes, `onClear()` for all of them and
// whatever else is kept.
export async function showHistory({ onDelete, onClear }) {
  deleted = onDelete;
  button.addEventListener("click", () => sure.showModal());
  sure.addEventListener("close", async () => {
    if (sure.returnValue !== "clear") return;
    await Promise.all([onClear(), clear().catch(() => {})]);
    await drawHistory();
    title.focus();
  });
  await drawHistory();
}

export async function drawHistory() {
  const drawing = ++drawings;
  const waiting = await held();
  let entries = [];
  let sentence = EMPTY;
  try {
    entries = await earlier();
    if (entries.length) sentence = STAYS;
  } catch {
    sentence = KEEPS_NOTHING;
  }
  if (drawing !== drawings) return;
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [];
  const focused = document.activeElement?.dataset.answer;
  list.replaceChildren(...entries.map(line));
  if (focused) list.querySelector(`[data-answer="${focused}"]`)?.focus();
  button.hidden = !entries.length && !waiting.length;
  told.textContent = sentence;
}

async function remove(id, place) {
  await forget(id);
  deleted(id);
  await drawHistory();
  const buttons = list.querySelectorAll("button");
  (buttons[place] ?? buttons[place - 1] ?? title).focus();
}

function line({ id, at, name, thumbnail, kind, answer }, place) {
  const [word, said] = inWords(answer, kind);
  const item = document.createElement("li");
  const words = part("div", "words", "");
  const label = part("p", "label", word);
  label.dir = "auto";
  const time = part("time", "hint", `${moment.format(at)}, ${answer.model}`);
  time.dateTime = new Date(at).toISOString();
  words.append(label, part("p", "said", said), time);
  const button = part("button", "quiet", "×");
  button.type = "button";
  button.title = "Delete";
  button.dataset.answer = id;
  button.setAttribute("aria-label", `Delete ${word}, ${moment.format(at)}`);
  button.addEventListener("click", () => remove(id, place));
  item.append(picture(thumbnail, name), words, button);
  item.classList.toggle("unknown", answer.unknown);
  return item;
}

function picture(thumbnail, name) {
  if (!thumbnail) return part("span", "blank", "No preview");
  const image = document.createElement("img");
  const address = URL.createObjectURL(thumbnail);
  addresses.push(address);
  image.src = address;
  image.alt = name;
  return image;
}
