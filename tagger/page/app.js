// The page: photos come in by five ways, each gets a card, cards are answered a few at a time.

import { Camera, isThere as hasCamera } from "./camera.js";
import { Card } from "./card.js";
import { keep } from "./history.js";
import { drawHistory, showHistory } from "./list.js";
import { prepare } from "./photo.js";
import { Refused, isThere, missing, models, tag, token } from "./service.js";
import { count } from "./words.js";

const AT_ONCE = 3; // photos under way
const ON_PAGE = 24; // answers; older ones are in the history
const UNSENT = "You are offline, so it was not sent. It will be when you are online again.";
const SPOKEN = 5_000; // milliseconds that a sentence stays for a screen reader

const find = (selector) => document.querySelector(selector);
const answers = find("#answers");
const heatmap = find("#heatmap");
const narrow = matchMedia("(max-width: 44rem)");
const camera = new Camera(find("#camera video"));

let known = { active: "", models: [] }; // what /models said
let cards = []; // newest first
const queue = [];
let working = 0;

// Photos

function add(files) {
  const added = [...files].map((file) => new Card(file, (card) => ask([card])));
  if (!added.length) return notify("There was no photo in it.");
  answers.prepend(...added.map((card) => card.element));
  cards = [...added, ...cards];
  ask(added);
  bringIntoView(added[0]);
  return added[0];
}

function ask(some) {
  queue.push(...some.filter((card) => !queue.includes(card)));
  while (working < AT_ONCE && queue.length) {
    working += 1;
    work(queue.shift()).finally(() => {
      working -= 1;
      tidy();
      ask([]);
    });
  }
}

async function work(card) {
  const turn = card.begin();
  try {
    card.photo ??= await prepare(card.file);
    card.picture();
    const model = find("#model").value;
    const answer = await tag(card.photo, {
      model: model === known.active ? "" : model,
      heatmap: heatmap.checked,
      busy: (wait) => keepWaiting(card, wait),
    });
    if (turn === card.turn) await answered(card, answer);
  } catch (error) {
    if (turn === card.turn) failed(card, error);
  }
}

async function answered(card, answer) {
  const kind = known.models.find((model) => model.name === answer.model)?.kind;
  say(card.show(answer, kind, heatmap.checked));
  if (card === cards[0] && !card.entry) bringIntoView(card);
  notify("");
  const { heatmap: _, ...said } = answer;
  const { name, thumbnail } = card.photo;
  const entry = { at: Date.now(), name, thumbnail, kind, answer: said };
  try {
    card.entry = await keep(card.entry ? { id: card.entry, ...entry } : entry);
  } catch {
    return; // a browser that keeps nothing says so below the heading of the list
  }
  await drawHistory();
}

function keepWaiting(card, wait) {
  const told = `The service is busy: trying again in ${count(wait, "second")}.`;
  card.wait("Waiting…", told);
  say(told);
}

function failed(card, error) {
  const ours = error instanceof Refused;
  const told = ours ? error.message : "This file cannot be read: choose it again.";
  const isOffline = ours && error.status === 0 && !navigator.onLine;
  card.fail(isOffline ? UNSENT : told, ours ? error.status : null);
  say(`${card.file.name}: ${isOffline ? UNSENT : told}`);
  if (error.status === 401) askForToken();
  if (isOffline) notify(told);
}

// On a phone the photo at the top of the screen, so that its answer is on it too.
function bringIntoView(card) {
  card.element.scrollIntoView({ block: narrow.matches ? "start" : "nearest" });
}

// Only so many stay on the page; those that wait or failed are not done with.
function tidy() {
  for (const card of cards.filter((card) => card.answer).slice(ON_PAGE)) {
    card.remove();
    cards.splice(cards.indexOf(card), 1);
  }
}

// What the page says by itself

function notify(told) {
  const notice = find("#notice");
  if (notice.textContent !== told) notice.textContent = told;
  notice.hidden = !told;
}

function say(sentence) {
  const line = document.createElement("span");
  line.textContent = `${sentence} `;
  find("#heard").append(line);
  setTimeout(() => line.remove(), SPOKEN);
}

async function comeAndGo() {
  if (!(await isThere())) return notify(missing());
  notify("");
  if (!known.models.length) await learnModels();
  ask(cards.filter((card) => card.refused === 0));
}

// Models and the token

async function learnModels() {
  try {
    known = await models();
  } catch (error) {
    if (error.status === 401) askForToken();
    else notify(error.message);
    return;
  }
  const choice = find("#model");
  choice.replaceChildren(...known.models.map(({ name }) => new Option(name, name)));
  choice.value = known.active;
  find("#models").hidden = known.models.length < 2;
  find("#token").hidden = true;
  tellAbout();
}

function tellAbout() {
  const chosen = known.models.find((model) => model.name === find("#model").value);
  find("#about").hidden = !chosen;
  if (!chosen) return;
  const told = `About ${chosen.name}: ${count(chosen.labels, "label")}`;
  find("#about summary").textContent = told;
  find("#about p").textContent = chosen.about || "Its card does not say what it was taught.";
}

function askForToken() {
  if (token.get()) find("#token-told").textContent = "The service did not accept this token.";
  if (!find("#token").hidden) return; // somebody may be typing
  find("#token").hidden = false;
  find("#token-field").focus();
}

async function useToken(event) {
  event.preventDefault();
  token.set(find("#token-field").value.trim());
  find("#token-field").value = "";
  find("#token").hidden = true;
  find("#forget").hidden = false;
  await learnModels();
  ask(cards.filter((card) => card.refused === 401));
}

function forgetToken() {
  token.forget();
  location.reload();
}

// The live camera

async function openCamera(opening) {
  find("#camera").hidden = false;
  find("#camera-take").disabled = true;
  try {
    find("#camera-turn").hidden = !(await opening);
    find("#camera-take").disabled = false;
    find("#camera-take").focus();
  } catch (error) {
    closeCamera();
    notify(error.message);
  }
}

async function takePhoto() {
  const file = await camera.take();
  closeCamera();
  add([file]).element.focus({ preventScroll: true });
}

function closeCamera() {
  camera.close();
  find("#camera").hidden = true;
  find("#live").focus();
}

// What a person does

function listen() {
  for (const input of [find("#shoot"), find("#choose")]) {
    input.addEventListener("change", () => {
      add(input.files);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) add(event.clipboardData.files);
  });
  listenForDrops();
  listenForCamera();
  heatmap.addEventListener("change", () => {
    for (const card of cards) card.paint(heatmap.checked);
    if (heatmap.checked) ask(cards.filter((card) => card.answer && !card.heatmap()));
  });
  find("#model").addEventListener("change", () => {
    tellAbout();
    ask(cards.filter((card) => card.answer));
  });
  find("#token").addEventListener("submit", useToken);
  find("#forget").addEventListener("click", forgetToken);
  for (const change of ["online", "offline"]) window.addEventListener(change, comeAndGo);
}

function listenForDrops() {
  const drop = find("#drop");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragenter", (event) => {
    if (carriesFiles(event)) drop.hidden = false;
  });
  drop.addEventListener("dragleave", () => (drop.hidden = true));
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.hidden = true;
    if (carriesFiles(event)) add(event.dataTransfer.files);
  });
}

function listenForCamera() {
  find("#live").hidden = !hasCamera;
  find("#live").addEventListener("click", () => openCamera(camera.open()));
  find("#camera-take").addEventListener("click", takePhoto);
  find("#camera-turn").addEventListener("click", () => openCamera(camera.turn()));
  find("#camera-close").addEventListener("click", closeCamera);
  find("#camera").addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeCamera();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && !find("#camera").hidden) closeCamera();
  });
}

function offerInstalling() {
  const button = find("#install");
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    button.hidden = false;
    button.onclick = () => event.prompt();
  });
  window.addEventListener("appinstalled", () => (button.hidden = true));
}

listen();
offerInstalling();
showHistory();
find("#forget").hidden = !token.get();
learnModels();
navigator.serviceWorker?.register("sw.js");
