// Links to searches: saved ones, and the latest in this browser, which the search box remembers. A
// plain click opens one in this session. Texts reach the page only by textContent and setAttribute.

const MAX_RECENT = 5;
const ICONS = {
  saved: "M6 4h12v16l-6-4-6 4z",
  recent: "M12 7v5l3 2M4 12a8 8 0 1 0 2.500-5.800M4 4v4h4",
};

export default function ({ parentElement, data, setTriggerValue }) {
  const nav = parentElement.querySelector("nav");
  const queries = data.saved.map(([, query]) => query);
  const recent = recall(data.storage).filter((query) => !queries.includes(query));
  const saved = createList("Saved searches", "saved", data.saved, data.query);
  if (data.left_out) saved.push(createText(`and ${data.left_out} more, in the search box`));
  const latest = recent.slice(0, MAX_RECENT).map((query) => [query, query]);
  nav.replaceChildren(...saved, ...createList("Recent searches", "recent", latest, data.query));
  nav.onclick = (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    setTriggerValue("opened", link.dataset.query);
  };
}

function createList(title, kind, rows, current) {
  if (!rows.length) return [];
  const heading = document.createElement("h2");
  heading.textContent = title;
  const list = document.createElement("ul");
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", title);
  list.append(...rows.map(([name, query]) => createItem(name, query, kind, query === current)));
  return [heading, list];
}

function createItem(name, query, kind, isCurrent) {
  const link = document.createElement("a");
  link.href = `search?${new URLSearchParams({ q: query })}`;
  link.dataset.query = query;
  link.title = query;
  if (isCurrent) link.setAttribute("aria-current", "page");
  const text = document.createElement("span");
  text.className = "text";
  text.dir = "auto";
  text.textContent = name;
  link.append(createIcon(ICONS[kind]), text);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

function createIcon(path) {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  icon.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  icon.firstChild.setAttribute("d", path);
  return icon;
}

function createText(text) {
  const line = document.createElement("p");
  line.textContent = text;
  return line;
}

function recall(storage) {
  try {
    const stored = JSON.parse(localStorage.getItem(storage) ?? "[]");
    return Array.isArray(stored) ? stored.filter((query) => typeof query === "string") : [];
  } catch {
    return []; // no storage, or another program's
  }
}
