// Updates the page: at once if nobody uses it, else the next time it is opened.

const MIN_INTERVAL = 60_000; // milliseconds between reloads, if two versions alternate
const TRIES = 5; // other tabs, or this one's previous page, may take a while to close
const PAUSE = 1_000; // milliseconds between tries
const SETTLE = 1_000; // milliseconds after the page has loaded
const USES = ["pointerdown", "keydown", "click", "dragenter", "paste"];
const workers = navigator.serviceWorker;

// A busy Chromium that is asked to change workers while the page still loads may keep the old one
// for good (observed with Chromium 156).
const settled = new Promise((resolve) => {
  addEventListener("load", () => setTimeout(resolve, SETTLE), { once: true });
});

let registration = null;
let isIdle = () => true;

// `isEmpty()` is whether a reload would lose nothing on the page.
export async function keepUpdated(isEmpty) {
  if (!workers) return; // over plain HTTP
  let isUsed = false;
  for (const use of USES) {
    addEventListener(use, () => (isUsed = true), { capture: true, once: true });
  }
  isIdle = () => !isUsed && isEmpty();
  workers.register("sw.js").catch(() => {}); // without it the page only needs a network
  registration = await workers.ready;
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker.addEventListener("statechange", () => worker.state === "installed" && takeOver());
  });
  document.addEventListener("visibilitychange", () => document.hidden || checkForUpdate());
  takeOver();
  checkForUpdate();
}

// Ask the service for a newer version.
export function checkForUpdate() {
  registration?.update().catch(() => {}); // no answer, or an incomplete page
}

async function takeOver(tries = TRIES) {
  await settled;
  const isRecent = Date.now() - (history.state?.renewed ?? 0) < MIN_INTERVAL;
  if (!registration.waiting || !isIdle() || isRecent) return;
  workers.addEventListener("controllerchange", reload, { once: true });
  registration.waiting.postMessage("take over");
  if (tries > 1) setTimeout(() => takeOver(tries - 1), PAUSE);
}

function reload() {
  if (!isIdle()) return;
  history.replaceState({ renewed: Date.now() }, "");
  location.reload();
}
