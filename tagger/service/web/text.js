// Answers as text. Names come from the service, so they are only ever shown as text.

// A headline and a sentence. `kind` is the model's: "single" or "multi".
export function describe(answer, kind) {
  if (!answer.unknown) return [answer.label, `${percent(answer.confidence)} sure`];
  return ["Unknown", describeReason(answer, kind)];
}

function describeReason(answer, kind) {
  const [first, second] = answer.predictions.map(
    ({ label, score }) => `${isolate(label)} (${percent(score)})`,
  );
  if (answer.reason === "unfamiliar") {
    const guess = first ? ` Its best guess would be ${first}.` : "";
    return `Unlike every photo that ${isolate(answer.model)} was taught with.${guess}`;
  }
  if (!first) return "No label is likely enough.";
  if (kind === "multi" || !second) return `No label is likely enough; ${first} comes nearest.`;
  return `Between ${first} and ${second}: not sure enough of either.`;
}

// A share in [0, 1], never rounded to 0 or 100 %.
export function percent(share) {
  if (share >= 0.9995) return "over 99.9%";
  return share < 0.0005 ? "under 0.1%" : `${(100 * share).toFixed(1)}%`;
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// The service's details begin in lower case, and call every photo "photo".
export function sentence(detail) {
  const text = detail.replace(/^photo: /, "").trim();
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text && text[0].toUpperCase() + text.slice(1) + end;
}

// Unicode isolates, so that a right-to-left name does not reorder the sentence around it.
function isolate(name) {
  return `\u2068${name}\u2069`;
}
