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
    const closest = first ? ` Closest: ${first}.` : "";
    return `Doesn’t look like anything ${isolate(modelTitle(answer.model))} was trained on.${closest}`;
  }
  if (!first) return "Not sure enough to tag.";
  if (kind === "multi" || !second) return `Not sure enough to tag. Closest: ${first}.`;
  return `Can’t decide between ${first} and ${second}.`;
}

// A share in [0, 1] as a whole percentage, never rounded to certainty.
export function percent(share) {
  return 0 < share && share < 0.005 ? "<1%" : `${Math.round(100 * Math.min(share, 0.99))}%`;
}

// The bundled models' names, as in the app; others as their owner wrote them.
const TITLES = { everyday: "Everyday", pets: "Pets", cifar10: "CIFAR-10", imagenet: "ImageNet" };

export function modelTitle(name) {
  return Object.hasOwn(TITLES, name) ? TITLES[name] : name;
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
