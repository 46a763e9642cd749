// Client of the service. Errors are a ServiceError with a sentence for people.

import { sentence } from "./text.js";

const ANSWER_TIMEOUT = 90_000; // milliseconds
const HEALTH_TIMEOUT = 10_000;
const TRIES = 5; // while the service is busy
const MAX_WAIT = 30; // seconds between two tries
const TOP = 5; // predictions per photo
const TOKEN_KEY = "image-tagger-token";

// Statuses for requests without an answer: the service is away, or it is there all the same.
export const AWAY = 0;
export const CONNECTION_LOST = 1;
const LOST = "The connection was lost. The photo may be too large.";
const GATEWAY_ERRORS = [502, 504]; // a proxy's statuses for a service that is away

// For answers without a sentence of their own, such as a proxy's.
const SENTENCES = {
  400: "The service didn’t understand the request.",
  401: "This service needs a token.", // the service's own sentence is for programs
  403: "This service doesn’t allow this device.",
  404: "The service doesn’t have that model.",
  408: "The photo took too long to arrive.",
  413: "This photo is too large for the service.",
  415: "This file is not a photo the service can read.",
  422: "This photo can’t be read.",
  503: "The service is busy. Try again in a moment.",
};

// `status` is the answer's, or AWAY or CONNECTION_LOST.
export class ServiceError extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

export function loadModels() {
  return request("models", {});
}

// The answer for one photo. `onBusy(seconds)` is called before each wait for a busy service, and
// returns a function that says after the wait whether the answer is still needed.
export async function predict(photo, { model, heatmap, onBusy }) {
  const query = new URLSearchParams({ top: TOP });
  if (model) query.set("model", model);
  if (heatmap) query.set("heatmap", "true");
  const body = new FormData();
  body.append("file", photo.sent, photo.name);
  const answer = await request(`predict?${query}`, { method: "POST", body }, onBusy);
  if (Array.isArray(answer?.predictions)) return answer;
  const text = "This page doesn’t understand the answer. Reload the page.";
  throw new ServiceError(text, CONNECTION_LOST);
}

// The library's tags, and whether this client may add photos to it.
export function loadTags() {
  return request("tags", {});
}

// Add a photo to the library, with tags that belong to it and tags that do not.
export function addPhoto(photo, add, remove) {
  const body = new FormData();
  body.append("file", photo.sent, photo.name);
  return request(`library/photos?${tagQuery(add, remove)}`, { method: "POST", body });
}

export function editTags(id, add, remove) {
  return request(`library/photos/${id}/tags?${tagQuery(add, remove)}`, { method: "POST" });
}

function tagQuery(add, remove) {
  const query = new URLSearchParams();
  for (const label of add) query.append("add", label);
  for (const label of remove) query.append("remove", label);
  return query;
}

export async function isAlive() {
  try {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT);
    // A redirect is the login page of a network in between.
    return (await fetch("health", { signal, cache: "no-store", redirect: "error" })).ok;
  } catch {
    return false;
  }
}

// The token is kept for the tab, or for the page if the browser has no storage; it is only sent in
// a header.
let tokenOfPage = null;

export const token = {
  get() {
    try {
      return sessionStorage.getItem(TOKEN_KEY);
    } catch {
      return tokenOfPage;
    }
  },
  set(text) {
    tokenOfPage = text;
    try {
      sessionStorage.setItem(TOKEN_KEY, text);
    } catch {
      return; // kept for the page
    }
  },
  forget() {
    tokenOfPage = null;
    try {
      sessionStorage.removeItem(TOKEN_KEY);
    } catch {
      return; // there is no storage
    }
  },
};

async function request(url, options, onBusy = () => () => true) {
  for (let tries = 1; ; tries++) {
    const sentToken = token.get();
    const response = await send(url, options, sentToken);
    if (response.ok) return parse(response);
    if (response.status !== 503 || tries === TRIES) throw await createError(response, sentToken);
    const retryAfter = Number(response.headers.get("Retry-After"));
    const seconds = Math.min(retryAfter > 0 ? retryAfter : 2 ** tries, MAX_WAIT);
    const isNeeded = onBusy(seconds);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    if (!isNeeded()) throw await createError(response, sentToken);
  }
}

async function send(url, options, sentToken) {
  const headers = { "X-Client": "page" };
  if (sentToken) headers.Authorization = `Bearer ${sentToken}`;
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT);
  try {
    return await fetch(url, { ...options, headers, signal, cache: "no-store" });
  } catch (error) {
    if (!(await isAlive())) throw new ServiceError(awaySentence(), AWAY);
    const late = `No answer within ${ANSWER_TIMEOUT / 1000} seconds.`;
    throw new ServiceError(error.name === "TimeoutError" ? late : LOST, CONNECTION_LOST);
  }
}

export function awaySentence() {
  return navigator.onLine
    ? "The service doesn’t answer."
    : "You’re offline.";
}

async function parse(response) {
  try {
    return await response.json();
  } catch {
    const text = "The answer can’t be read. The connection may have been lost.";
    throw new ServiceError(text, CONNECTION_LOST);
  }
}

async function createError(response, sentToken) {
  const body = await response.json().catch(() => null);
  const status = response.status;
  if (GATEWAY_ERRORS.includes(status) && !(await isAlive())) {
    return new ServiceError(awaySentence(), AWAY);
  }
  if (status === 401 && sentToken) return new ServiceError("The service refused this token.", status);
  const text = SENTENCES[status] ?? `The service failed (${status}).`;
  const detail = typeof body?.detail === "string" ? sentence(body.detail) : "";
  if (status === 401 || !detail) return new ServiceError(text, status);
  return new ServiceError(status === 413 ? `${text} ${detail}` : detail, status);
}
