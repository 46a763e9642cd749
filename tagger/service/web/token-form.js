// The form for a token. It stays open until the service accepts one.

import { token } from "./service.js";

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/; // the characters that a header can carry
const INVALID =
  "A token has plain characters only: A to Z, a to z, digits and signs such as - and _.";
const SENTENCES = {
  401: "The service refused this token. Check that it is complete, and try again.",
  403: "This token isn’t allowed to do this. Use another.",
};

const form = document.querySelector("#token");
const field = document.querySelector("#token-field");
const message = document.querySelector("#token-message");
const forgetButton = document.querySelector("#forget");

// `tryToken()` sends a request with the new token, and calls one of the two functions below.
export function listenForToken(tryToken) {
  forgetButton.hidden = !token.get();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (PRINTABLE_ASCII.test(text)) {
      token.set(text);
      forgetButton.hidden = false;
      await tryToken();
    } else {
      showError(INVALID);
    }
    if (!form.hidden) field.select();
  });
  forgetButton.addEventListener("click", () => {
    token.forget();
    location.reload();
  });
}

// After status 401 or 403. Without a token the form does not help against a 403.
export function openTokenForm(status) {
  if (token.get()) showError(SENTENCES[status]);
  else if (status === 403) return;
  if (!form.hidden) return; // keep the focus of a person who is typing
  form.hidden = false;
  field.focus();
}

export function closeTokenForm() {
  form.hidden = true;
  field.value = "";
  field.removeAttribute("aria-invalid");
}

export function isTypingToken() {
  return !form.hidden && Boolean(field.value);
}

function showError(sentence) {
  message.textContent = sentence;
  field.setAttribute("aria-invalid", "true");
}
