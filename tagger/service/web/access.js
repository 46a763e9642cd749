// The form for a token. It stays until the service takes one.

import { token } from "./service.js";

const PLAIN = /^[\x20-\x7e]+$/; // what a request can carry as it is
const ODD =
  "A token has plain characters only: A to Z, a to z, digits and signs such as - and _, " +
  "no letters with accents or of other scripts.";
const SENTENCES = {
  401: "The service refused this token: look whether it is whole, and try again.",
  403: "The service knows this token, but it has not the right that this takes: use another.",
};

const form = document.querySelector("#token");
const field = document.querySelector("#token-field");
const told = document.querySelector("#token-told");
const forgetting = document.querySelector("#forget");

// `use()` asks the service with the new token, and calls one of the two below.
export function listenForToken(use) {
  forgetting.hidden = !token.get();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const typed = field.value.trim();
    if (PLAIN.test(typed)) {
      token.set(typed);
      forgetting.hidden = false;
      await use();
    } else {
      tell(ODD);
    }
    if (!form.hidden) field.select();
  });
  forgetting.addEventListener("click", () => {
    token.forget();
    location.reload();
  });
}

// For a refusal with 401 or 403. Without a token nothing on this page helps against a 403.
export function askForToken(status) {
  if (token.get()) tell(SENTENCES[status]);
  else if (status === 403) return;
  if (!form.hidden) return; // somebody may be typing
  form.hidden = false;
  field.focus();
}

export function tokenIsTaken() {
  form.hidden = true;
  field.value = "";
  field.removeAttribute("aria-invalid");
}

export function isTypingToken() {
  return !form.hidden && Boolean(field.value);
}

function tell(sentence) {
  told.textContent = sentence;
  field.setAttribute("aria-invalid", "true");
}
