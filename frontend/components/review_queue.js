// The photos that come next, and the keys pressed before they are drawn: a key that would fall
// between two photos waits, and is pressed again for the one it was meant for.

const WAITS = 30_000; // milliseconds after which a page that does not answer is given up
const DRAWN = 40; // milliseconds between looks, and until what has come is on the page

let keys = []; // that mean something on the page
let turn = null; // of what is drawn; another one each time the page is drawn
let since = null; // when the key was let through that is not answered yet
let waiting = [];
let again = false; // whether the key at hand is one that waited

export default function ({ parentElement, data }) {
  keys = data.keys;
  draw(parentElement, data.photos);
  document.addEventListener("keydown", pressed, true);
  if (data.turn !== turn) {
    turn = data.turn;
    onceDrawn(next);
  }
  return () => document.removeEventListener("keydown", pressed, true);
}

// Until the page is drawn to its end the last photo's buttons are there too, and hear keys.
function onceDrawn(then) {
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
  const isDrawn = state === undefined || state === "notRunning";
  setTimeout(isDrawn ? then : () => onceDrawn(then), DRAWN);
}

function pressed(event) {
  const key = event.key.toUpperCase();
  if (again || !keys.includes(key) || isTyping(event)) return;
  if (event.repeat) return stop(event); // a key held down answers one photo
  if (since !== null && performance.now() - since < WAITS) {
    stop(event);
    waiting.push({ key: event.key, code: event.code });
  } else {
    since = performance.now();
  }
}

function next() {
  since = null;
  const key = waiting.shift();
  if (!key) return;
  if (!keys.includes(key.key.toUpperCase())) return next(); // it means nothing here
  since = performance.now();
  again = true;
  for (const kind of ["keydown", "keyup"]) {
    document.body.dispatchEvent(new KeyboardEvent(kind, { ...key, bubbles: true }));
  }
  again = false;
}

function isTyping(event) {
  const at = event.composedPath()[0];
  const field = at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName);
  return field || event.ctrlKey || event.metaKey || event.altKey;
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function draw(root, photos) {
  root.querySelector("p").hidden = !photos.length;
  root.querySelector("ul").replaceChildren(
    ...photos.map((photo) => {
      const tile = document.createElement("li");
      const image = document.createElement("img");
      image.setAttribute("src", photo.image);
      image.setAttribute("alt", photo.name);
      const tag = document.createElement("span");
      tag.dir = "auto";
      tag.textContent = photo.tag;
      tile.append(image, tag);
      return tile;
    }),
  );
}
