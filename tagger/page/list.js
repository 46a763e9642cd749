// The list of earlier answers, and the way to clear it.

import { part } from "./card.js";
import { clear, earlier } from "./history.js";
import { inWords } from "./words.js";

const EMPTY = "Nothing yet. Answers stay here, on this device, until you clear them.";
const KEEPS_NOTHING = "This browser keeps nothing: answers are gone when the page is.";

const section = document.querySelector("#history");
const told = section.querySelector("#history-told");
const button = section.querySelector("#clear");
const sure = document.querySelector("#sure");
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let addresses = []; // of the pictures that are drawn
let drawings = 0; // asked for; only the last has everything

export async function showHistory() {
  button.addEventListener("click", () => sure.showModal());
  sure.addEventListener("close", async () => {
    if (sure.returnValue !== "clear") return;
    await clear();
    await drawHistory();
    section.querySelector("h2").focus();
  });
  await drawHistory();
}

export async function drawHistory() {
  const drawing = ++drawings;
  let entries = [];
  let sentence = EMPTY;
  try {
    entries = await earlier();
  } catch {
    sentence = KEEPS_NOTHING;
  }
  if (drawing !== drawings) return;
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [];
  section.querySelector("ul").replaceChildren(...entries.map(line));
  button.hidden = !entries.length;
  told.textContent = sentence;
  told.hidden = entries.length > 0;
}

function line({ at, name, thumbnail, kind, answer }) {
  const [word, said] = inWords(answer, kind);
  const item = document.createElement("li");
  const words = part("div", "words", "");
  const label = part("p", "label", word);
  label.dir = "auto";
  const time = part("time", "hint", `${moment.format(at)}, ${answer.model}`);
  time.dateTime = new Date(at).toISOString();
  words.append(label, part("p", "said", said), time);
  item.append(picture(thumbnail, name), words);
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
