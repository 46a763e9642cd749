// The page: photos come from five sources, each gets a card, and a few at a time are sent.

import { Camera, isSupported as hasCamera } from "./camera.js";
import { Card, PERMANENT } from "./card.js";
import { drawHistory, showHistory } from "./history-list.js";
import { saveEntry } from "./history.js";
import { Library } from "./library.js";
import { PhotoQueue } from "./photo-queue.js";
import { prepare } from "./photo.js";
import { Reconnect } from "./reconnect.js";
import * as service from "./service.js";
import { count, modelTitle } from "./text.js";
import { closeTokenForm, isTypingToken, listenForToken, openTokenForm } from "./token-form.js";
import { checkForUpdate, keepUpdated } from "./update.js";

const MAX_REQUESTS = 3; // at once
const MAX_ANSWERS = 24; // on the page; older ones are in the history
const TOKEN_STATUSES = [401, 403]; // errors that another token may solve
const RETRIED = [service.AWAY, service.CONNECTION_LOST, ...TOKEN_STATUSES];
const UNREADABLE = "This file can’t be read. Choose it again.";
const OFFLINE = "You’re offline. This photo is sent when you’re online again.";
const STOPPED =
  "The service doesn’t answer. This photo is sent when it’s back.";
const ANNOUNCEMENT_TIME = 5_000; // milliseconds that a sentence stays for screen readers

const find = (selector) => document.querySelector(selector);
const answers = find("#answers");
const heatmapSwitch = find("#heatmap");
const narrow = matchMedia("(max-width: 44rem)");
const camera = new Camera(find("#camera video"));
const reconnect = new Reconnect(checkService);
const pending = new PhotoQueue("image-tagger-waiting"); // without an answer
const library = new Library({ onError: onLibraryError, announce });

let modelList = { active: "", models: [] }; // the answer of /models
let cards = []; // newest first
const queue = [];
let requestCount = 0;
let preparing = Promise.resolve(); // one photo at a time: its pixels take much memory

// Photos

function addFiles(files) {
  const added = [...files].map(createCard);
  notify("photos", added.length ? "" : "There’s no photo in it.");
  if (!added.length) return;
  showCards(added);
  for (const card of added) preparing = preparing.then(() => preparePhoto(card));
  scrollToCard(added[0]);
  return added[0];
}

function createCard(file) {
  const save = (card) => library.save(card);
  const card = new Card(file, { retry: (card) => enqueue([card]), remove: discard, save });
  card.mayEdit = library.mayEdit;
  return card;
}

function showCards(added) {
  answers.prepend(...added.map((card) => card.element));
  cards = [...added, ...cards];
}

// A photo is stored on this device before it is sent, so that it survives its tab.
async function preparePhoto(card) {
  if (card.isRemoved) return;
  try {
    card.photo = await prepare(card.file);
  } catch (error) {
    return showError(card, error);
  }
  await storePhoto(card);
  if (card.isRemoved) return;
  card.showPhoto();
  enqueue([card]);
}

async function storePhoto(card) {
  if (card.pending || card.answer || card.isRemoved) return;
  try {
    // The library gets the file itself.
    const original = card.photo.isScaled && library.mayEdit ? await card.readOriginal() : null;
    card.pending = await pending.add({ ...card.photo, original });
    card.storageError = "";
  } catch (error) {
    card.storageError = error.message;
  }
  if (card.isRemoved) await unstorePhoto(card); // it was removed meanwhile
}

async function unstorePhoto(card) {
  if (card.pending) await pending.remove(card.pending);
  card.pending = null;
}

// A pending photo of an earlier visit or of a closed tab.
function restoreCard({ id, key, name, sent, original, isScaled, thumbnail }) {
  const card = createCard({ name });
  card.pending = { id, key };
  card.photo = { name, sent, original, isScaled, thumbnail };
  card.showPhoto();
  showCards([card]);
  enqueue([card]);
}

// A photo of an earlier visit that waits to be added to the library, or to be changed there.
function restoreAddition({ id, key, name, sent, thumbnail, ...stored }) {
  const card = createCard({ name });
  card.addition = { id, key };
  card.photo = { name, sent, thumbnail };
  card.toAdd = sent;
  card.libraryId = stored.libraryId;
  card.entryId = stored.entryId;
  card.savedAnswers = new Map(stored.saved);
  card.editor.answers = new Map(stored.answers);
  card.showPhoto();
  card.showAnswer(stored.answer, stored.kind, false);
  showCards([card]);
  return card;
}

// Remove a card from the page; its request is ignored.
function removeCard(card) {
  card.remove();
  cards = cards.filter((other) => other !== card);
}

// A person removes a card.
async function discard(card) {
  const next = cards[cards.indexOf(card) + 1]?.element ?? find("#history-title");
  removeCard(card);
  next.focus();
  announce("Removed.");
  await Promise.all([unstorePhoto(card), library.discard(card)]);
  await drawHistory();
}

function enqueue(added) {
  const isToSend = (card) => !queue.includes(card) && card.photo?.sent;
  queue.push(...added.filter(isToSend));
  while (requestCount < MAX_REQUESTS && queue.length) {
    requestCount += 1;
    send(queue.shift()).finally(() => {
      requestCount -= 1;
      removeOldCards();
      enqueue([]);
    });
  }
}

async function send(card) {
  if (card.isRemoved) return;
  const attempt = card.startAttempt();
  if (card.pending && !(await pending.has(card.pending))) return removeCard(card); // in another tab
  await storePhoto(card);
  const model = find("#model").value;
  try {
    const answer = await service.predict(card.photo, {
      model: model === modelList.active ? "" : model,
      heatmap: heatmapSwitch.checked,
      onBusy: (seconds) => showBusy(card, seconds),
    });
    if (attempt === card.attempt) await showAnswer(card, answer);
  } catch (error) {
    if (attempt === card.attempt) await showError(card, error);
  }
}

async function showAnswer(card, answer) {
  reconnect.reset();
  await unstorePhoto(card);
  if (card.isRemoved) return;
  const kind = modelList.models.find((model) => model.name === answer.model)?.kind;
  announce(card.showAnswer(answer, kind, heatmapSwitch.checked));
  if (card === cards[0] && !card.entryId) scrollToCard(card);
  notify("service", "");
  const { heatmap: _, ...stored } = answer;
  const { name, thumbnail } = card.photo;
  const entry = { at: Date.now(), name, thumbnail, kind, answer: stored };
  try {
    card.entryId = await saveEntry(card.entryId ? { id: card.entryId, ...entry } : entry);
  } catch {
    return; // no storage: the history's message says so
  }
  await drawHistory();
}

function showBusy(card, seconds) {
  const sentence = `The service is busy. Trying again in ${count(seconds, "second")}.`;
  card.showWaiting("Waiting…", sentence);
  announce(sentence);
  const attempt = card.attempt;
  return () => attempt === card.attempt;
}

async function showError(card, error) {
  const isServiceError = error instanceof service.ServiceError;
  const status = isServiceError ? error.status : null;
  const sentence = isServiceError ? describeError(card, error) : UNREADABLE;
  card.showError(status === service.AWAY ? "Not sent yet" : "No answer", sentence, status);
  announce(`${card.file.name}: ${sentence}`);
  if (TOKEN_STATUSES.includes(status)) openTokenForm(status);
  if (status === service.AWAY) {
    notify("service", error.message);
    reconnect.schedule();
  }
  if (PERMANENT.includes(status)) await unstorePhoto(card);
  await drawHistory();
}

function describeError(card, { message, status }) {
  if (status !== service.AWAY) return message;
  const sentence = navigator.onLine ? STOPPED : OFFLINE;
  if (card.pending) return sentence;
  return `${sentence} ${card.storageError}, so leave this page open until then.`;
}

// On a phone the photo goes to the top of the screen, so that its answer is visible too.
function scrollToCard(card) {
  card.element.scrollIntoView({ block: narrow.matches ? "start" : "nearest" });
}

// Waiting and failed photos stay.
function removeOldCards() {
  const isDone = (card) => card.answer && !card.addition && !card.isSending;
  for (const card of cards.filter(isDone).slice(MAX_ANSWERS)) removeCard(card);
}

// What is deleted from the history leaves the page as well.

function removeAnswer(entryId) {
  for (const card of cards.filter((card) => card.entryId === entryId)) removeCard(card);
}

async function removeAll() {
  for (const card of [...cards]) removeCard(card);
  await Promise.all([pending.clear(), library.clear()]);
}

async function countWaiting() {
  const waiting = await Promise.all([pending.list(), library.list()]);
  return waiting.flat().length;
}

// Messages

// A notice is cleared by its own topic: an answer of the service does not hide what the camera said.
function notify(topic, sentence) {
  const notice = find("#notice");
  if (!sentence && notice.dataset.topic !== topic) return;
  notice.dataset.topic = topic;
  if (notice.textContent !== sentence) notice.textContent = sentence;
  notice.hidden = !sentence;
}

// To screen readers.
function announce(sentence) {
  const line = document.createElement("span");
  line.textContent = `${sentence} `;
  find("#announcements").append(line);
  setTimeout(() => line.remove(), ANNOUNCEMENT_TIME);
}

// Is the service back? If so, send what failed while it was away.
async function checkService() {
  if (await service.isAlive()) {
    checkForUpdate();
    await resume();
  } else {
    notify("service", service.awaySentence());
    reconnect.schedule();
  }
}

async function resume() {
  const error = await updateModels();
  const failed = cards.filter(({ errorStatus }) => RETRIED.includes(errorStatus));
  if (!error) {
    if (!failed.length) reconnect.reset();
    enqueue(failed);
    pending.adopt(restoreCard);
    library.resume(cards, restoreAddition);
  } else if (TOKEN_STATUSES.includes(error.status)) {
    for (const card of failed) card.showError("No answer", error.message, error.status);
  }
}

function onLibraryError(error) {
  if (TOKEN_STATUSES.includes(error.status)) openTokenForm(error.status);
  if (error.status === service.AWAY) {
    notify("service", error.message);
    reconnect.schedule();
  }
}

// Models

// Resolves to the error, if there is one.
async function updateModels() {
  try {
    modelList = await service.loadModels();
  } catch (error) {
    const needsToken = TOKEN_STATUSES.includes(error.status);
    if (needsToken) openTokenForm(error.status);
    else reconnect.schedule();
    notify("service", error.status === 401 ? "" : error.message);
    return error;
  }
  notify("service", "");
  const select = find("#model");
  const { value: chosen } = select;
  select.replaceChildren(...modelList.models.map(({ name }) => new Option(modelTitle(name), name)));
  select.value = chosen;
  if (!select.value) select.value = modelList.active; // there is no such model any more
  find("#models").hidden = modelList.models.length < 2;
  closeTokenForm();
  showModelDescription();
  await library.update();
  for (const card of cards) {
    card.mayEdit = library.mayEdit;
    card.showEditor();
  }
}

function showModelDescription() {
  const model = modelList.models.find(({ name }) => name === find("#model").value);
  find("#about").hidden = !model;
  if (!model) return;
  find("#about summary").textContent = `About ${modelTitle(model.name)}: ${count(model.labels, "label")}`;
  find("#about p").textContent = model.about || "No description.";
}

// The live camera

async function openCamera(opening) {
  find("#camera").hidden = false;
  find("#camera-take").disabled = true;
  notify("camera", "");
  try {
    find("#camera-turn").hidden = !(await opening);
    find("#camera-take").disabled = false;
    find("#camera-take").focus();
  } catch (error) {
    closeCamera();
    notify("camera", error.message);
  }
}

async function takePhoto() {
  const file = await camera.takePhoto();
  closeCamera();
  addFiles([file]).element.focus({ preventScroll: true });
}

function closeCamera() {
  camera.close();
  find("#camera").hidden = true;
  find("#live").focus();
}

// Events

function listen() {
  for (const input of [find("#shoot"), find("#choose")]) {
    input.addEventListener("change", () => {
      addFiles(input.files);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) addFiles(event.clipboardData.files);
  });
  listenForDrops();
  listenForCamera();
  heatmapSwitch.addEventListener("change", () => {
    for (const card of cards) card.showPicture(heatmapSwitch.checked);
    if (heatmapSwitch.checked) enqueue(cards.filter((card) => card.answer && !card.heatmap()));
  });
  find("#model").addEventListener("change", () => {
    showModelDescription();
    enqueue(cards.filter((card) => card.answer));
  });
  listenForToken(resume);
  for (const type of ["online", "offline"]) {
    window.addEventListener(type, () => reconnect.checkNow());
  }
}

function listenForDrops() {
  const drop = find("#drop");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) drop.hidden = false;
  });
  drop.addEventListener("dragleave", () => (drop.hidden = true));
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.hidden = true;
    if (hasFiles(event)) addFiles(event.dataTransfer.files);
  });
}

function listenForCamera() {
  find("#live").hidden = !hasCamera;
  find("#live").addEventListener("click", () => openCamera(camera.open()));
  find("#camera-take").addEventListener("click", takePhoto);
  find("#camera-turn").addEventListener("click", () => openCamera(camera.switchCamera()));
  find("#camera-close").addEventListener("click", closeCamera);
  find("#camera").addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeCamera();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && !find("#camera").hidden) closeCamera();
  });
}

function offerInstallation() {
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
  offerInstallation();
  const historyShown = showHistory({ onDelete: removeAnswer, onClear: removeAll, countWaiting });
  keepUpdated(() => !cards.length && !isTypingToken());
  pending.adopt(restoreCard);
  await Promise.all([historyShown, updateModels()]);
  library.resume(cards, restoreAddition);
}

start();
