// Links to searches, drawn as tiles, bars or columns. A plain click opens the search in this session;
// with Ctrl or the middle button the browser opens it in another tab. Texts reach the page only by
// textContent and setAttribute.

const DRAW = { tiles: drawTile, bars: drawBar, columns: drawColumn };

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".links");
  const list = document.createElement(data.form === "columns" ? "ol" : "ul");
  list.className = data.form;
  list.setAttribute("role", "list");
  list.replaceChildren(...data.rows.map((row) => createItem(row, DRAW[data.form])));
  root.replaceChildren(list);
  if (data.axis.length) root.append(createAxis(data.axis));
  root.onclick = (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    setTriggerValue("opened", link.dataset.query);
  };
}

function createItem(row, draw) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `search?${new URLSearchParams({ q: row.query })}`;
  link.dataset.query = row.query;
  link.append(...draw(row));
  item.append(link);
  return item;
}

function drawTile({ name, value }) {
  return [createPart("value", value), createPart("name", name)];
}

function drawBar({ name, value, share }) {
  const track = createPart("track", "");
  const fill = createPart("fill", "");
  fill.style.width = `${100 * share}%`;
  track.append(fill);
  const label = createPart("name", name);
  label.dir = "auto";
  return [label, createPart("value", value), track];
}

function drawColumn({ name, value, share }) {
  const fill = createPart("fill", "");
  fill.style.height = `${100 * share}%`;
  fill.title = `${name}: ${value}`;
  return [createPart("hidden", `${name}: ${value}`), fill];
}

function createAxis([first, last]) {
  const axis = createPart("axis", "");
  axis.setAttribute("aria-hidden", "true");
  axis.append(createPart("", first), createPart("", last));
  return axis;
}

function createPart(className, text) {
  const part = document.createElement("span");
  part.className = className;
  part.textContent = text;
  return part;
}
