// Search box: a combobox with a list of suggestions (ARIA's pattern "editable combobox with list
// autocomplete"). All suggestions are here already, so that typing needs no server. Texts reach the
// page only by textContent and as the field's value.

const MAX_TAGS = 6;
const MAX_WORDS = 3;
const MAX_PARTS = 3; // states and fields
const MAX_RECENT = 6; // listed
const MAX_REMEMBERED = 12;
const MAX_SAVED = 5;
const NAME_WORDS = 3; // words before the caret that may be the beginning of one tag
const WORD_END = /[^\s()"“”„<>=:≤≥]*$/;
const WORD_START = /^[^\s()"“”„<>=:≤≥]*/;
const CARET_KEYS = ["ArrowLeft", "ArrowRight", "Home", "End"];
const KEYWORDS = ["and", "or", "not"];
const KINDS = { recent: "↺", saved: "★", tag: "#", word: "≈", part: "…", clear: "×" };

const boxes = new WeakMap(); // by parent element

export default function ({ parentElement, data, setTriggerValue }) {
  if (!boxes.has(parentElement)) boxes.set(parentElement, new SearchBox(parentElement));
  const box = boxes.get(parentElement);
  box.update(data, setTriggerValue);
  document.addEventListener("keydown", box.onShortcut);
  return () => document.removeEventListener("keydown", box.onShortcut);
}

class SearchBox {
  constructor(root) {
    this.input = root.querySelector("input");
    this.list = root.querySelector("ul");
    this.status = root.querySelector("[role=status]");
    this.clearButton = root.querySelector(".clear");
    this.data = { tags: [], words: [], parts: [], saved: [] };
    this.submitted = null; // the query of the results on the page
    this.options = [];
    this.active = -1; // index of the option that Enter chooses
    this.onShortcut = (event) => this.focusOnSlash(event);
    this.input.addEventListener("input", () => this.open());
    this.input.addEventListener("click", () => this.open());
    this.input.addEventListener("focus", () => this.input.value || this.open());
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.input.addEventListener("keyup", ({ key }) => {
      if (this.isWanted && CARET_KEYS.includes(key)) this.open();
    });
    // A click must not take the focus from the field, which would close the list first.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.onClick(event));
    this.list.addEventListener("pointermove", (event) => this.onMove(event));
    this.clearButton.addEventListener("click", () => {
      this.input.focus();
      this.submit("");
      this.open();
    });
  }

  update(data, setTriggerValue) {
    this.data = data;
    this.setTriggerValue = setTriggerValue;
    this.input.setAttribute("aria-label", data.label);
    this.input.setAttribute("placeholder", data.placeholder);
    // The answer to this box's own search must not overwrite what was typed since.
    if (data.query !== this.submitted) this.input.value = data.query;
    this.submitted = data.query;
    this.showClearButton();
  }

  showClearButton() {
    this.clearButton.hidden = !this.input.value;
  }

  // Choosing

  submit(text) {
    this.submitted = text.trim();
    this.input.value = this.submitted;
    this.close();
    this.showClearButton();
    this.remember(this.submitted);
    this.setTriggerValue("submitted", this.submitted);
  }

  choose(option) {
    if (option.kind === "clear") {
      this.forget();
      this.open();
    } else if (option.kind === "part") {
      const { start, end, text } = option;
      this.input.setRangeText(text, start, end, "end");
      if (text.endsWith(":") || text.endsWith("=")) this.open();
      else this.submit(this.input.value);
    } else if (option.query !== undefined) {
      this.submit(option.query);
    } else {
      this.input.setRangeText(option.text, option.start, option.end, "end");
      this.submit(this.input.value);
    }
  }

  onKeyDown(event) {
    const { key } = event;
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    if (key === "Enter") {
      event.preventDefault();
      if (this.isOpen && this.active >= 0) this.choose(this.options[this.active]);
      else this.submit(this.input.value);
    } else if (key === "Escape") {
      if (this.isOpen) this.close();
      else this.input.value = "";
      this.showClearButton();
    } else if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      if (!this.isOpen) this.open();
      else this.move(key === "ArrowDown" ? 1 : -1);
    } else if (key === "Tab") {
      return this.close();
    } else {
      return;
    }
    event.stopPropagation(); // the page's own shortcuts
  }

  // From the last option on to the text itself, and from there to the first.
  move(step) {
    const count = this.options.length + 1;
    this.setActive(((this.active + 1 + step + count) % count) - 1);
    this.list.children[this.active]?.scrollIntoView({ block: "nearest" });
  }

  setActive(index) {
    this.active = index;
    [...this.list.children].forEach((item, number) => {
      item.classList.toggle("active", number === index);
      item.setAttribute("aria-selected", String(number === index));
    });
    if (index < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", this.list.children[index].id);
  }

  onClick(event) {
    const item = event.target.closest("li");
    if (item) this.choose(this.options[[...this.list.children].indexOf(item)]);
  }

  onMove(event) {
    const item = event.target.closest("li");
    if (item) this.setActive([...this.list.children].indexOf(item));
  }

  focusOnSlash(event) {
    const target = event.composedPath()[0];
    const isTyping = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.input.focus();
    this.input.select();
  }

  // The list

  get isOpen() {
    return !this.list.hidden;
  }

  open() {
    this.isWanted = true; // even if there is nothing to suggest here
    this.showClearButton();
    const text = this.input.value;
    const isNew = text.trim() && text.trim() !== this.submitted;
    this.options = isNew ? this.suggest(text, this.input.selectionStart) : this.listSearches();
    this.list.replaceChildren(...this.options.map(createItem));
    this.list.hidden = !this.options.length;
    this.input.setAttribute("aria-expanded", String(this.isOpen));
    this.setActive(-1);
    this.list.scrollTop = 0;
    const count = this.options.length;
    this.status.textContent = count === 1 ? "1 suggestion" : `${count} suggestions`;
  }

  close() {
    this.isWanted = false;
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.setActive(-1);
    this.status.textContent = "";
  }

  // For an empty field: earlier searches.
  listSearches() {
    const recent = this.recall().slice(0, MAX_RECENT);
    const options = recent.map((query) => ({ kind: "recent", label: query, query }));
    for (const [name, query] of this.data.saved.slice(0, MAX_SAVED)) {
      options.push({ kind: "saved", label: name, hint: name === query ? "" : query, query });
    }
    if (recent.length) options.push({ kind: "clear", label: "Clear recent searches" });
    return options;
  }

  suggest(text, caret) {
    const tags = [];
    const words = [];
    const parts = [];
    for (const token of findTokens(text, caret)) {
      tags.push(...match(this.data.tags, token, "tag"));
      words.push(...match(this.data.words, token, "word"));
      if (token.isWord) parts.push(...match(this.data.parts, token, "part"));
    }
    const typed = fold(text.trim());
    const isSaved = ([name, query]) => fold(name).includes(typed) || fold(query).includes(typed);
    const saved = this.data.saved
      .filter(isSaved)
      .slice(0, 2)
      .map(([name, query]) => ({ kind: "saved", label: name, hint: query, query }));
    const recent = this.recall()
      .filter((query) => fold(query).includes(typed) && fold(query) !== typed)
      .slice(0, 2)
      .map((query) => ({ kind: "recent", label: query, query }));
    return [
      ...unique(tags).slice(0, MAX_TAGS),
      ...unique(words).slice(0, MAX_WORDS),
      ...unique(parts).slice(0, MAX_PARTS),
      ...saved,
      ...recent,
    ];
  }

  // Recent searches, in this browser.

  recall() {
    try {
      const stored = JSON.parse(localStorage.getItem(this.data.storage) ?? "[]");
      return Array.isArray(stored) ? stored.filter((query) => typeof query === "string") : [];
    } catch {
      return []; // no storage, or another program's
    }
  }

  remember(query) {
    if (!query) return;
    const others = this.recall().filter((other) => other !== query);
    this.store([query, ...others].slice(0, MAX_REMEMBERED));
  }

  forget() {
    this.store([]);
  }

  store(queries) {
    try {
      localStorage.setItem(this.data.storage, JSON.stringify(queries));
    } catch {
      return; // no storage: nothing is remembered
    }
  }
}

// The pieces of the text that end at the caret and that a suggestion may replace, longest first:
// of `dog golden re|` they are "dog golden re", "golden re" and "re".
function findTokens(text, caret) {
  const left = text.slice(0, caret);
  const end = caret + WORD_START.exec(text.slice(caret))[0].length;
  const quotes = [...left.matchAll(/["“”„]/g)];
  if (quotes.length % 2) { // inside quotation marks
    const start = quotes.at(-1).index;
    const close = /^["“”]/.test(text.slice(end)) ? 1 : 0;
    return [{ start, end: end + close, prefix: fold(left.slice(start + 1)), isWord: false }];
  }
  let start = caret - WORD_END.exec(left)[0].length;
  if (text[start] === "-") start += 1; // without this tag
  const before = left.slice(0, start);
  if (/[<>=:≤≥]$/.test(before) && !/(^|[\s(-])tag(:|==?)$/i.test(before)) return []; // a value
  const tokens = [{ start, end, prefix: fold(left.slice(start)), isWord: true }];
  for (let count = 1; count < NAME_WORDS; count++) {
    const match = /(^|[\s(-])([^\s()"“”„<>=:≤≥-][^\s()"“”„<>=:≤≥]*) $/.exec(left.slice(0, start));
    if (!match || KEYWORDS.includes(match[2].toLowerCase())) break;
    start -= match[2].length + 1;
    tokens.unshift({ start, end, prefix: fold(left.slice(start)), isWord: false });
  }
  return tokens.filter((token) => token.prefix.trim());
}

// The rows with the token's text at the start of their words, or else of one of these words.
function match(rows, { start, end, prefix }, kind) {
  const first = [];
  const later = [];
  for (const [text, words, hint, count] of rows) {
    const folded = fold(words);
    const option = { kind, label: kind === "part" ? text : words, text, hint, count, start, end };
    if (folded.startsWith(prefix)) first.push(option);
    else if (hasWord(folded, prefix)) later.push(option);
  }
  return [...first, ...later];
}

// Whether a word of the text, other than the first, begins like this.
function hasWord(text, start) {
  for (let at = text.indexOf(start); at >= 0; at = text.indexOf(start, at + 1)) {
    if (at && !/[\p{L}\p{N}]/u.test(text[at - 1])) return true;
  }
  return false;
}

function unique(options) {
  const labels = new Set();
  return options.filter(({ label }) => !labels.has(label) && labels.add(label));
}

function fold(text) {
  return text.normalize("NFC").toLowerCase();
}

function createItem({ kind, label, hint, count }, index) {
  const item = document.createElement("li");
  item.id = `suggestion-${index}`;
  item.setAttribute("role", "option");
  const icon = createPart("kind", KINDS[kind]);
  icon.setAttribute("aria-hidden", "true");
  const text = createPart("text", label);
  text.dir = "auto";
  item.append(icon, text);
  if (hint) item.append(createPart("hint", hint));
  if (count) item.append(createPart("count", count.toLocaleString("en")));
  return item;
}

function createPart(className, text) {
  const part = document.createElement("span");
  part.className = className;
  part.textContent = text;
  return part;
}
