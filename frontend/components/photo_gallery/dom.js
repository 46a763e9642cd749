// Elements, icons, numbers, and requests. Names, tags and captions reach the page only by
// textContent and setAttribute, so that they stay text.

const ICONS = {
  back: "M19 12H5m6-6-6 6 6 6",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 13l4.5 4.5L19 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  info: "M12 8h.01M11 12h1v5h1M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18z",
  star: "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.500 9.700l5.900-.8z",
  trash: "M4 7h16M9 7V4h6v3M6.500 7l1 13h9l1-13M10 11v5M14 11v5",
  undo: "M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  tag: "M3 12V4h8l10 10-8 8zM7.500 8.500h.01",
  retag: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  filter: "M4 6h16M7 12h10M10 18h4",
};

function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") node.className = value;
    else if (key === "on")
      for (const [type, call] of Object.entries(value)) node.addEventListener(type, call);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// A button with an icon. `text` is shown beside it; without, `label` is for screen readers and as
// a tooltip.
function button(name, label, onClick, { text = "", className = "", ...rest } = {}) {
  const names = text && text === label ? {} : { "aria-label": label, title: label };
  const node = element("button", {
    type: "button",
    class: className,
    ...names,
    ...rest,
    on: { click: onClick },
  });
  if (name) node.append(icon(name));
  if (text) node.append(element("span", {}, text));
  return node;
}

// A user's text, which may be of a language that is written from right to left.
function userText(text, className = "") {
  return element("span", { class: className, dir: "auto" }, text);
}

function countPhotos(count) {
  return `${count.toLocaleString("en")} ${count === 1 ? "photo" : "photos"}`;
}

// "2024-05" as "May 2024".
function monthTitle(month) {
  const [year, number] = month.split("-").map(Number);
  const date = new Date(Date.UTC(year, number - 1, 1));
  return date.toLocaleDateString("en", { month: "long", year: "numeric", timeZone: "UTC" });
}

async function fetchJson(url, signal) {
  const response = await fetch(url, { signal });
  const content = await response.json();
  if (!response.ok) throw new Error(content.error ?? response.statusText);
  return content;
}

// Whether keys are text for the field that has the focus.
function isTyping(event) {
  const target = event.composedPath()[0];
  return (
    target.isContentEditable ||
    (target.matches?.("input, textarea, select") &&
      !target.matches("[type=checkbox], [type=range]"))
  );
}

// What one device remembers, such as the size of tiles. It may be forbidden to.
function remember(name, value) {
  try {
    localStorage.setItem(`image-tagger-${name}`, value);
  } catch {}
}

function recall(name) {
  try {
    return localStorage.getItem(`image-tagger-${name}`);
  } catch {
    return null;
  }
}
