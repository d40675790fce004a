// One statement: its text, its citations as chips, and how well case and X-ray support it.

import { bar, button, decimals, make } from "../elements.js";
import { statedBy, whereButton } from "../study/score_maps.js";
import { edit } from "./sentences.js";

/**
 * `place` is its position in the report `made`, from 0; `open(cited, chip)` shows a cited case.
 */
export function drawStatement(given, place, made, open) {
  const grounded = given.citations.length > 0;
  const classes = ["statement", grounded || given.change ? "" : "unsupported", given.contradiction ? "against" : ""];
  const said = make("span", { class: "said" }, given.text);
  const words = make("p", { class: "words" }, said, " ", ...chips(given, place, open), ...tags(given, grounded));
  const drawn = make(
    "div",
    { class: classes.filter(Boolean).join(" "), "data-place": place, tabindex: -1 },
    words,
    given.contradiction
      ? make("p", { class: "objection" }, make("strong", {}, "The X-ray disagrees: "), given.contradiction)
      : null,
    given.removed_citations?.length > 0
      ? make("p", { class: "removed" }, given.removed_citations.map((one) => `[${one.number}] removed: ${one.reason}`).join("; "))
      : null,
    figures(given),
  );
  const where = whereButton(made, statedBy(given), drawn);
  if (where) words.append(" ", where);
  if (made.task === "report") {
    words.append(
      " ",
      button("Edit", {
        class: "edit-sentence",
        "aria-label": `Edit sentence ${place + 1}`,
        title: "Edit this sentence (E)",
        onclick: () => edit(drawn),
      }),
    );
  }
  return drawn;
}

/** The numbers that a sentence cites, each once, in order. */
export const numbersOf = (given) =>
  [...new Set(given.citations.map((c) => c.number))].sort((a, b) => a - b);

/** Its marks in plain text. */
export const marksOf = (given) =>
  given.citations.length > 0
    ? numbersOf(given).map((n) => `[${n}]`).join("")
    : given.change ? "[compared with the prior study]" : "[image only]";

function chips(given, place, open) {
  return numbersOf(given).map((number) => {
    const citations = given.citations.filter((c) => c.number === number);
    const [first] = citations;
    const cited = { ...first, quotes: citations.map((c) => c.quote), place, observations: statedBy(given) };
    return button(String(number), {
      class: first.case_available ? "chip" : "chip missing",
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
  if (given.change) found.push(compared(given.change));
  else if (!grounded) found.push(make("span", { class: "tag" }, "no prior case supports this"));
  if (given.citations_added) found.push(make("span", { class: "tag mild" }, "citation added"));
  if (given.added_by_rule) found.push(make("span", { class: "tag mild" }, "added by rule"));
  return found.flatMap((one) => [" ", one]);
}

/** Marks a comparison with the patient's own prior study, with the figures it rests on. */
function compared({ probability, prior_probability, quote }) {
  const title = [
    `Probability ${decimals(probability)}, ${decimals(prior_probability)} in the prior study.`,
    quote ? `Its report: \u201c${quote}\u201d` : "",
  ].join(" ");
  return make("span", { class: "tag mild", title }, "compared with the prior study");
}

function figures(given) {
  const shown = [
    ["Cited case", given.case_support, "How closely the wording of the best cited sentence matches, 0 to 1"],
    ["X-ray", given.image_support, "The lowest probability that the encoder gives to what the sentence states, 0 to 1"],
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
        "A number opens the prior case whose report says the same, with the supporting sentence marked.",
        "Compared with the prior study: the assessments of the two studies of this patient differ, or agree, by more than chance. A probability is no size: nothing is said to have grown.",
        "No prior case supports this: the sentence rests on the X-ray alone.",
        "Citation added: the model cited no supporting case, so the citation check added one.",
        "Added by rule: classifier positive, omitted by the model; the cited cases state the finding.",
        "Cited case: how closely the wording of the best cited sentence matches, from 0 to 1.",
        "X-ray: the lowest probability that the encoder, from the X-ray alone, gives to what the sentence states.",
        "The X-ray disagrees: the classifier scores contradict the sentence.",
        "Where: what the encoder's score for the finding rests on, made from the X-ray alone. It is not the outline of a lesion and can be wrong; dashed where the assessment does not call the finding present.",
      ].map((text) => make("li", {}, text)),
    ),
  );
}
