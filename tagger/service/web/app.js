// The page: photos come in by five ways, each gets a card, cards are answered a few at a time.

import { askForToken, isTypingToken, listenForToken, tokenIsTaken } from "./access.js";
import { Camera, isThere as hasCamera } from "./camera.js";
import { Card, FOR_GOOD } from "./card.js";
import { keep } from "./history.js";
import { drawHistory, showHistory } from "./list.js";
import { Lookout } from "./lookout.js";
import { prepare } from "./photo.js";
import { keepRenewed, look as lookForRenewal } from "./renewal.js";
import { AWAY, BROKEN_OFF, Refused, isThere, missing, models, tag } from "./service.js";
import { adopt, hold, isHeld, letAllGo, letGo } from "./waiting.js";
import { count } from "./words.js";

const AT_ONCE = 3; // photos under way
const ON_PAGE = 24; // answers; older ones are in the history
const BY_TOKEN = [401, 403]; // statuses that another token may change
const OFFLINE = "You are offline, so it was not sent. It will be when you are online again.";
const STOPPED =
  "The service does not answer: it may have been stopped. The photo is sent when it answers again.";
const SPOKEN = 5_000; // milliseconds that a sentence stays for a screen reader

const find = (selector) => document.querySelector(selector);
const answers = find("#answers");
const heatmap = find("#heatmap");
const narrow = matchMedia("(max-width: 44rem)");
const camera = new Camera(find("#camera video"));
const lookout = new Lookout(look);

let known = { active: "", models: [] }; // what /models said
let cards = []; // newest first
const queue = [];
let working = 0;
let preparing = Promise.resolve(); // one after the other: a photo's pixels take much memory

// Photos

function add(files) {
  const added = [...files].map(cardOf);
  if (!added.length) return notify("There was no photo in it.");
  put(added);
  for (const card of added) preparing = preparing.then(() => prepareFor(card));
  bringIntoView(added[0]);
  return added[0];
}

function cardOf(file) {
  return new Card(file, { again: (card) => ask([card]), remove: discard });
}

function put(added) {
  answers.prepend(...added.map((card) => card.element));
  cards = [...added, ...cards];
}

// Kept on this device before it is sent: whatever happens to the tab, it is not lost.
async function prepareFor(card) {
  if (card.gone) return;
  try {
    card.photo = await prepare(card.file);
  } catch (error) {
    return failed(card, error);
  }
  await holdOn(card);
  if (card.gone) return;
  card.picture();
  ask([card]);
}

async function holdOn(card) {
  if (card.held || card.answer || card.gone) return;
  try {
    card.held = await hold(card.photo);
    card.unheld = "";
  } catch (error) {
    card.unheld = error.message;
  }
  if (card.gone) await release(card); // somebody removed it meanwhile
}

async function release(card) {
  if (card.held) await letGo(card.held);
  card.held = null;
}

// A photo of an earlier visit, or of a tab that was closed.
function bringBack({ id, key, name, sent, thumbnail }) {
  const card = cardOf({ name });
  card.held = { id, key };
  card.photo = { name, sent, thumbnail };
  card.picture();
  put([card]);
  ask([card]);
}

// Off the page, and no answer to it is wanted any more.
function drop(card) {
  card.remove();
  cards = cards.filter((other) => other !== card);
}

async function discard(card) {
  const next = cards[cards.indexOf(card) + 1]?.element ?? find("#history-title");
  drop(card);
  next.focus();
  say("Removed.");
  await release(card);
  await drawHistory();
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
  if (card.gone) return;
  const turn = card.begin();
  if (card.held && !(await isHeld(card.held))) return drop(card); // removed in another tab
  await holdOn(card);
  const model = find("#model").value;
  try {
    const answer = await tag(card.photo, {
      model: model === known.active ? "" : model,
      heatmap: heatmap.checked,
      busy: (wait) => keepWaiting(card, wait),
    });
    if (turn === card.turn) await answered(card, answer);
  } catch (error) {
    if (turn === card.turn) await failed(card, error);
  }
}

async function answered(card, answer) {
  lookout.rest();
  await release(card);
  if (card.gone) return;
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
  const turn = card.turn;
  return () => turn === card.turn;
}

async function failed(card, error) {
  const ours = error instanceof Refused;
  const status = ours ? error.status : null;
  const told = ours ? sentenceFor(card, error) : "This file cannot be read: choose it again.";
  card.fail(status === AWAY ? "Not sent yet" : "No answer", told, status);
  say(`${card.file.name}: ${told}`);
  if (BY_TOKEN.includes(status)) askForToken(status);
  if (status === AWAY) {
    notify(error.message);
    lookout.start();
  }
  if (FOR_GOOD.includes(status)) await release(card);
  await drawHistory();
}

function sentenceFor(card, { message, status }) {
  if (status !== AWAY) return message;
  const told = navigator.onLine ? STOPPED : OFFLINE;
  return card.held ? told : `${told} ${card.unheld}: until then, leave this page open.`;
}

// On a phone the photo at the top of the screen, so that its answer is on it too.
function bringIntoView(card) {
  card.element.scrollIntoView({ block: narrow.matches ? "start" : "nearest" });
}

// Only so many stay on the page; those that wait or failed are not done with.
function tidy() {
  for (const card of cards.filter((card) => card.answer).slice(ON_PAGE)) drop(card);
}

// As on the device, so on the page.

function dropAnswer(entry) {
  for (const card of cards.filter((card) => card.entry === entry)) drop(card);
}

async function dropAll() {
  for (const card of [...cards]) drop(card);
  await letAllGo();
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

// Whether the service is there again, and if so, what waited for it.
async function look() {
  if (await isThere()) {
    lookForRenewal();
    await goOn();
  } else {
    notify(missing());
    lookout.start();
  }
}

async function goOn() {
  const refused = await learnModels();
  const again = cards.filter(({ refused: status }) =>
    [AWAY, BROKEN_OFF, ...BY_TOKEN].includes(status),
  );
  if (!refused) {
    if (!again.length) lookout.rest();
    ask(again);
    adopt(bringBack);
  } else if (BY_TOKEN.includes(refused.status)) {
    for (const card of again) card.fail("No answer", refused.message, refused.status);
  }
}

// Models

// What stood in the way, or undefined.
async function learnModels() {
  try {
    known = await models();
  } catch (error) {
    const isForToken = BY_TOKEN.includes(error.status);
    if (isForToken) askForToken(error.status);
    else lookout.start();
    notify(error.status === 401 ? "" : error.message);
    return error;
  }
  notify("");
  const choice = find("#model");
  const { value: chosen } = choice;
  choice.replaceChildren(...known.models.map(({ name }) => new Option(name, name)));
  choice.value = known.models.some(({ name }) => name === chosen) ? chosen : known.active;
  find("#models").hidden = known.models.length < 2;
  tokenIsTaken();
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
  listenForToken(goOn);
  for (const change of ["online", "offline"]) {
    window.addEventListener(change, () => lookout.go());
  }
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

async function start() {
  listen();
  offerInstalling();
  const shown = showHistory({ onDelete: dropAnswer, onClear: dropAll });
  keepRenewed(() => !cards.length && !isTypingToken());
  adopt(bringBack);
  await Promise.all([shown, learnModels()]);
}

start();
