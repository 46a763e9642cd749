// Brings a new version of the page: at once where nobody has begun to use this one, and else the
// next time that it is opened.

const AGAIN_AFTER = 60_000; // milliseconds; two services behind one address would take turns
const TRIES = 5; // the tab that was here before, or another, may take a while to go
const PAUSE = 1_000; // milliseconds between them
const SETTLING = 1_000; // milliseconds after the page has loaded
const BEGINNINGS = ["pointerdown", "keydown", "click", "dragenter", "paste"];
const workers = navigator.serviceWorker;

// A moment after all of the page has come. A busy Chromium that is asked to change workers sooner
// may keep the older one, whatever is asked later (seen with Chromium 156).
const settled = new Promise((resolve) => {
  addEventListener("load", () => setTimeout(resolve, SETTLING), { once: true });
});

let registration = null;
let isIdle = () => true;

// `idle()` is whether nothing is on the page that a reload would lose.
export async function keepRenewed(idle) {
  if (!workers) return; // over plain HTTP
  let touched = false;
  for (const beginning of BEGINNINGS) {
    addEventListener(beginning, () => (touched = true), { capture: true, once: true });
  }
  isIdle = () => !touched && idle();
  workers.register("sw.js").catch(() => {}); // without it the page needs a network, no more
  registration = await workers.ready;
  registration.addEventListener("updatefound", () => {
    const found = registration.installing;
    found.addEventListener("statechange", () => found.state === "installed" && takeOver());
  });
  document.addEventListener("visibilitychange", () => document.hidden || look());
  takeOver();
  look();
}

// Ask the service whether it has another version.
export function look() {
  registration?.update().catch(() => {}); // it does not answer, or not with a whole page
}

async function takeOver(left = TRIES) {
  await settled;
  const isJustRenewed = Date.now() - (history.state?.renewed ?? 0) < AGAIN_AFTER;
  if (!registration.waiting || !isIdle() || isJustRenewed) return;
  workers.addEventListener("controllerchange", renew, { once: true });
  registration.waiting.postMessage("take over");
  if (left > 1) setTimeout(() => takeOver(left - 1), PAUSE);
}

function renew() {
  if (!isIdle()) return;
  history.replaceState({ renewed: Date.now() }, "");
  location.reload();
}
