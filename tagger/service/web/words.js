// Answers in words. Names come from the service, so they are shown as text and nothing else.

// A large word, and a sentence below it. `kind` is the model's: "single" or "multi".
export function inWords(answer, kind) {
  if (!answer.unknown) return [answer.label, `${percent(answer.confidence)} sure`];
  return ["Unknown", reason(answer, kind)];
}

function reason(answer, kind) {
  const [first, second] = answer.predictions.map(
    ({ label, score }) => `${isolated(label)} (${percent(score)})`,
  );
  if (answer.reason === "unfamiliar") {
    const guess = first ? ` Its best guess would be ${first}.` : "";
    return `Unlike every photo that ${isolated(answer.model)} was taught with.${guess}`;
  }
  if (!first) return "No label is likely enough.";
  if (kind === "multi" || !second) return `No label is likely enough; ${first} comes nearest.`;
  return `Between ${first} and ${second}: not sure enough of either.`;
}

// A share in [0, 1], never rounded to a certainty that nobody has.
export function percent(share) {
  if (share >= 0.9995) return "over 99.9%";
  return share < 0.0005 ? "under 0.1%" : `${(100 * share).toFixed(1)}%`;
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// The service's own words: they begin small, and name every photo "photo".
export function sentence(told) {
  const text = told.replace(/^photo: /, "").trim();
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text && text[0].toUpperCase() + text.slice(1) + end;
}

// A name inside a sentence: one that runs from right to left turns nothing but itself.
function isolated(name) {
  return `\u2068${name}\u2069`;
}
