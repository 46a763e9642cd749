// Review queue: thumbnails of the next photos. A key pressed while the server still answers the
// last one waits here, and is dispatched again once the next photo is drawn.

const TIMEOUT = 30_000; // milliseconds after which an unanswered key no longer holds others back
const POLL = 40; // milliseconds between checks whether the page is drawn

let keys = []; // that have a button on the page
let version = null; // of the page drawn; it changes each time
let sentAt = null; // when the key that is not answered yet was let through
let waiting = [];
let isReplaying = false; // whether the current event is a queued key

export default function ({ parentElement, data }) {
  keys = data.keys;
  draw(parentElement, data);
  document.addEventListener("keydown", onKeyDown, true);
  if (data.version !== version) {
    version = data.version;
    whenDrawn(replayNext);
  }
  return () => document.removeEventListener("keydown", onKeyDown, true);
}

// Until the whole page is drawn, the last photo's buttons are still there and react to keys.
function whenDrawn(callback) {
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
  const isDrawn = state === undefined || state === "notRunning";
  setTimeout(isDrawn ? callback : () => whenDrawn(callback), POLL);
}

function onKeyDown(event) {
  const key = event.key.toUpperCase();
  if (isReplaying || !keys.includes(key) || isTyping(event)) return;
  if (event.repeat) return stop(event); // a key held down answers one photo
  if (sentAt !== null && performance.now() - sentAt < TIMEOUT) {
    stop(event);
    waiting.push({ key: event.key, code: event.code });
  } else {
    sentAt = performance.now();
  }
}

function replayNext() {
  sentAt = null;
  const key = waiting.shift();
  if (!key) return;
  if (!keys.includes(key.key.toUpperCase())) return replayNext(); // no button for it here
  sentAt = performance.now();
  isReplaying = true;
  for (const type of ["keydown", "keyup"]) {
    document.body.dispatchEvent(new KeyboardEvent(type, { ...key, bubbles: true }));
  }
  isReplaying = false;
}

function isTyping(event) {
  const target = event.composedPath()[0];
  const isField =
    target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
  return isField || event.ctrlKey || event.metaKey || event.altKey;
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function draw(root, { base, photos }) {
  root.querySelector("p").hidden = !photos.length;
  root.querySelector("ul").replaceChildren(
    ...photos.map((photo) => {
      const tile = document.createElement("li");
      const image = document.createElement("img");
      image.setAttribute("src", `${base}/thumbnails/${photo.digest}.jpg`);
      image.setAttribute("alt", photo.name);
      const tag = document.createElement("span");
      tag.dir = "auto";
      tag.textContent = photo.tag;
      tile.append(image, tag);
      return tile;
    }),
  );
}
