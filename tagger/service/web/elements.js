// Elements with a class and text. Everything is inserted as text, never as HTML.

export function createElement(tagName, className, text) {
  const element = document.createElement(tagName);
  element.className = className;
  element.textContent = text;
  return element;
}
