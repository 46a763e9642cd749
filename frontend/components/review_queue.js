// Review queue: thumbnails of the next photos. A key pressed while the server still answers the
// last one waits here, and is dispatched again once the next photo is drawn.

const TIMEOUT = 30_000; // milliseconds after which an unanswered key no longer holds others back
const SAVE = { key: "y", code: "KeyY" }; // what Enter does where nothing has the focus
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
  document.addEventListener("click", onClick);
  if (data.version !== version) {
    version = data.version;
    whenDrawn(replayNext);
  }
  return () => {
    document.removeEventListener("keydown", onKeyDown, true);
    document.removeEventListener("click", onClick);
  };
}

// Until the whole page is drawn, the last photo's buttons are still there and react to keys.
function whenDrawn(callback) {
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
  const isDrawn = state === undefined || state === "notRunning";
  setTimeout(isDrawn ? callback : () => whenDrawn(callback), POLL);
}

function onKeyDown(event) {
  const isEnter = event.key === "Enter" && event.composedPath()[0] === document.body;
  const pressed = isEnter ? SAVE : { key: event.key, code: event.code };
  if (isReplaying || !isButtonKey(pressed) || isTyping(event)) return;
  if (event.repeat) return stop(event); // a key held down answers one photo
  if (sentAt !== null && performance.now() - sentAt < TIMEOUT) {
    stop(event);
    waiting.push(pressed);
  } else if (isEnter) {
    stop(event);
    dispatch(pressed);
  } else {
    sentAt = performance.now();
  }
}

// A tag that was clicked does not keep the focus: Enter saves then, as Y does.
function onClick(event) {
  const isByPointer = event.detail > 0;
  if (isByPointer && event.target.closest?.(".st-key-review-chips button")) document.activeElement?.blur();
}

function isButtonKey({ key }) {
  return keys.includes(key.toUpperCase());
}

function replayNext() {
  sentAt = null;
  const pressed = waiting.shift();
  if (!pressed) return;
  if (!isButtonKey(pressed)) return replayNext(); // no button for it here
  dispatch(pressed);
}

function dispatch(pressed) {
  sentAt = performance.now();
  isReplaying = true;
  for (const type of ["keydown", "keyup"]) {
    document.body.dispatchEvent(new KeyboardEvent(type, { ...pressed, bubbles: true }));
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
