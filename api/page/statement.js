// One statement: its text, the cases it cites as chips, and what speaks for and against it.

import { bar, button, decimals, make } from "./elements.js";

/** `place` is its position in the report, from 0; `open(cited, chip)` shows a cited case. */
export function drawStatement(given, place, open) {
  const grounded = given.citations.length > 0;
  const classes = ["statement", grounded ? "" : "unsupported", given.contradiction ? "against" : ""];
  return make(
    "div",
    { class: classes.filter(Boolean).join(" "), "data-place": place },
    make("p", { class: "words" }, given.text, " ", ...chips(given, place, open), ...tags(given, grounded)),
    given.contradiction
      ? make("p", { class: "objection" }, make("strong", {}, "Against the film: "), given.contradiction)
      : null,
    given.removed?.length > 0
      ? make("p", { class: "removed" }, given.removed.map((one) => `[${one.number}] taken out: ${one.reason}`).join("; "))
      : null,
    figures(given),
  );
}

/** The numbers that a sentence cites, each once, in order. */
export const numbersOf = (given) =>
  [...new Set(given.citations.map((c) => c.number))].sort((a, b) => a - b);

/** Its marks in plain text. */
export const marksOf = (given) =>
  given.citations.length > 0 ? numbersOf(given).map((n) => `[${n}]`).join("") : "[image only]";

function chips(given, place, open) {
  return numbersOf(given).map((number) => {
    const citations = given.citations.filter((c) => c.number === number);
    const [first] = citations;
    const cited = { ...first, quotes: citations.map((c) => c.quote), place };
    return button(String(number), {
      class: first.case_available ? "chip" : "chip gone",
      "data-number": number,
      "aria-pressed": "false",
      "aria-label": `Prior case ${number}: study ${first.study_id}, similarity ${decimals(first.score)}`,
      title: `Study ${first.study_id}, similarity ${decimals(first.score)}`,
      onclick: (event) => open(cited, event.currentTarget),
    });
  });
}

function tags(given, grounded) {
  const found = [];
  if (!grounded) found.push(make("span", { class: "tag" }, "no prior case supports this"));
  if (given.found_afterwards) found.push(make("span", { class: "tag mild" }, "found afterwards"));
  if (given.added) found.push(make("span", { class: "tag mild" }, "added by rule"));
  return found.flatMap((one) => [" ", one]);
}

function figures(given) {
  const shown = [
    ["Cited case", given.case_support, "How near the best cited sentence is in wording, 0 to 1"],
    ["Film", given.image_support, "The least probability that the encoder gives to what is said, 0 to 1"],
  ].filter(([, value]) => value !== null && value !== undefined);
  if (shown.length === 0) return null;
  return make(
    "p",
    { class: "support" },
    ...shown.map(([name, value, title]) =>
      make(
        "span",
        { class: "figure", title },
        make("span", {}, `${name} `),
        bar(value),
        make("span", { class: "number" }, ` ${decimals(value)}`),
      ),
    ),
  );
}

/** What the marks of statements mean. */
export function drawLegend() {
  return make(
    "details",
    { class: "inner legend" },
    make("summary", {}, "How to read this"),
    make(
      "ul",
      { class: "lines" },
      ...[
        "A number opens the prior case whose report says the same; the sentence it rests on is marked there.",
        "No prior case supports this: the sentence rests on the film alone.",
        "Found afterwards: the model cited no case that says this; its citations were looked for once it had written.",
        "Added by rule: the model left this out; the film's scores speak for it, and the cited cases name it.",
        "Cited case: how near the best cited sentence is in wording, from 0 to 1.",
        "Film: the least probability that the encoder, which sees the film alone, gives to what is said.",
        "Against the film: the encoder sees the contrary.",
      ].map((text) => make("li", {}, text)),
    ),
  );
}
