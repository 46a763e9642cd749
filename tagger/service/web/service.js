// What the page asks of the service. Whatever it refuses, or no answer at all, is a Refused with
// a sentence for people.

import { sentence } from "./words.js";

const PATIENCE = 90_000; // milliseconds for one answer
const QUICK = 10_000; // milliseconds for being there at all
const TRIES = 5; // of a service that is busy
const LONGEST_WAIT = 30; // seconds
const TOP = 5; // scores of a photo
const TOKEN = "image-tagger-token";

// Where no answer came: nobody is there, or there was somebody all the same.
export const AWAY = 0;
export const BROKEN_OFF = 1;
const BROKE_OFF = "The connection broke off on the way: the photo may be too large.";
const GATEWAYS = [502, 504]; // what a proxy says for a service that is not there

// For answers that bring no sentence of their own, as a proxy's do not.
const SENTENCES = {
  400: "The service did not understand the question.",
  401: "This service asks for a token first.", // its own words for it are for programs
  403: "This service does not let this device in.",
  404: "The service does not know that model.",
  408: "The photo took too long to arrive.",
  413: "This photo is too large for the service.",
  415: "This file is not a photo that the service can read.",
  422: "This photo cannot be read.",
  503: "The service is busy. Try again in a little while.",
};

// `status` is the answer's, or AWAY or BROKEN_OFF.
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

export function models() {
  return ask("models", {});
}

// The answer for one photo. `busy(seconds)` is called before each wait for a busy service; it gives
// a function that says, after it, whether the answer is still wanted.
export async function tag(photo, { model, heatmap, busy }) {
  const query = new URLSearchParams({ top: TOP });
  if (model) query.set("model", model);
  if (heatmap) query.set("heatmap", "true");
  const body = new FormData();
  body.append("file", photo.sent, photo.name);
  const answer = await ask(`predict?${query}`, { method: "POST", body }, busy);
  if (Array.isArray(answer?.predictions)) return answer;
  throw new Refused("The answer is none that this page understands: reload the page.", BROKEN_OFF);
}

export async function isThere() {
  try {
    const signal = AbortSignal.timeout(QUICK);
    // Where a proxy's page to log in answers instead, nobody is there.
    return (await fetch("health", { signal, cache: "no-store", redirect: "error" })).ok;
  } catch {
    return false;
  }
}

// The token lives as long as the tab, or the page where a browser keeps nothing, and goes nowhere
// but into a header.
let held = null;

export const token = {
  get() {
    try {
      return sessionStorage.getItem(TOKEN);
    } catch {
      return held;
    }
  },
  set(text) {
    held = text;
    try {
      sessionStorage.setItem(TOKEN, text);
    } catch {
      return; // held all the same
    }
  },
  forget() {
    held = null;
    try {
      sessionStorage.removeItem(TOKEN);
    } catch {
      return; // there is none
    }
  },
};

async function ask(address, options, busy = () => () => true) {
  for (let tried = 1; ; tried++) {
    const sent = token.get();
    const answer = await reach(address, options, sent);
    if (answer.ok) return read(answer);
    if (answer.status !== 503 || tried === TRIES) throw await refusal(answer, sent);
    const asked = Number(answer.headers.get("Retry-After"));
    const seconds = Math.min(asked > 0 ? asked : 2 ** tried, LONGEST_WAIT);
    const isWanted = busy(seconds);
    await new Promise((wake) => setTimeout(wake, 1000 * seconds));
    if (!isWanted()) throw await refusal(answer, sent);
  }
}

async function reach(address, options, sent) {
  const headers = { "X-Client": "page" };
  if (sent) headers.Authorization = `Bearer ${sent}`;
  const signal = AbortSignal.timeout(PATIENCE);
  try {
    return await fetch(address, { ...options, headers, signal, cache: "no-store" });
  } catch (error) {
    if (!(await isThere())) throw new Refused(missing(), AWAY);
    const isLate = error.name === "TimeoutError";
    const late = `No answer came within ${PATIENCE / 1000} seconds.`;
    throw new Refused(isLate ? late : BROKE_OFF, BROKEN_OFF);
  }
}

export function missing() {
  return navigator.onLine
    ? "The service does not answer: it may have been stopped."
    : "You are offline: the service cannot be reached.";
}

async function read(answer) {
  try {
    return await answer.json();
  } catch {
    throw new Refused("The answer cannot be read: it may have broken off on its way.", BROKEN_OFF);
  }
}

async function refusal(answer, sent) {
  const told = await answer.json().catch(() => null);
  const status = answer.status;
  if (GATEWAYS.includes(status) && !(await isThere())) return new Refused(missing(), AWAY);
  if (status === 401 && sent) return new Refused("The service refused this token.", status);
  const ours = SENTENCES[status] ?? `The service failed (${status}).`;
  const own = typeof told?.detail === "string" ? sentence(told.detail) : "";
  if (status === 401 || !own) return new Refused(ours, status);
  return new Refused(status === 413 ? `${ours} ${own}` : own, status);
}
