// The observations of a classification: a probability each, and what it was made from.

import { bar, button, decimals, draw, make } from "../elements.js";
import { whereButton } from "../study/score_maps.js";

const percent = (share) => 100 * Math.min(1, Math.max(0, share));

/** `open(cited, chip)` shows a case that names an observation. */
export function drawObservations(made, open) {
  const sorted = [...made.observations].sort((a, b) => b.probability - a.probability);
  const calibrated = made.calibrated_on
    ? `Calibrated on ${made.calibrated_on}.`
    : "Not calibrated: trust the order, not the values.";
  return make(
    "div",
    { class: "observations" },
    make(
      "p",
      { class: "muted" },
      `Bar: probability. Line below: share of similar cases with the finding, and its 95% interval. ${calibrated}`,
    ),
    make("ul", { class: "scores" }, ...sorted.map((one) => row(one, made, open))),
  );
}

/** The sources of a probability, as text. */
function opinionsOn({ language_model: model, label_head: head, knn, knn_low: low, knn_high: high }) {
  const opinions = [
    model === null ? null : `model ${decimals(model)}`,
    `cases ${decimals(knn)} (${decimals(low)}\u2013${decimals(high)})`,
    head === null ? null : `X-ray ${decimals(head)}`,
  ];
  return opinions.filter(Boolean).join(" · ");
}

/** The probability of an observation, its range, sources and cases, for the assessment. */
export function numbersOfObservation(one, made, open) {
  const range = one.low === null ? "" : ` (${decimals(one.low)}\u2013${decimals(one.high)})`;
  const calibrated = made.calibrated_on ? "" : ", not calibrated";
  return [
    make("strong", {}, one.name),
    make("span", {}, `${one.state}, probability ${decimals(one.probability)}${range}${calibrated}`),
    bar(one.probability),
    make("span", {}, `From ${opinionsOn(one)}`),
    make("span", {}, ...chips(one, made, open)),
  ];
}

function row(one, made, open) {
  const { name, probability, knn, knn_low: low, knn_high: high } = one;
  const buttons = make("span", {}, ...chips(one, made, open));
  const drawn = make(
    "li",
    { class: one.state === "present" ? "score likely" : "score" },
    make("span", { class: "name" }, one.state ? `${name}: ${one.state}` : name),
    make("span", { class: "bars" }, bar(probability), interval(knn, low, high)),
    make("span", { class: "number" }, decimals(probability)),
    make(
      "span",
      { class: "opinions muted" },
      make("span", {}, opinionsOn(one)),
      buttons,
    ),
  );
  const where = whereButton(made, [name], drawn);
  if (where) buttons.append(" ", where);
  return drawn;
}

function interval(knn, low, high) {
  const svg = draw(
    "svg",
    { viewBox: "0 0 100 6", preserveAspectRatio: "none" },
    draw("rect", { class: "interval", x: percent(low), y: 2, width: percent(high) - percent(low), height: 2 }),
    draw("rect", { class: "tick", x: Math.max(0, percent(knn) - 0.5), y: 0, width: 1, height: 6 }),
  );
  return make("span", { class: "vote", "aria-hidden": "true" }, svg);
}

function chips(one, made, open) {
  return one.cases
    .map((number) => made.hits.find((hit) => hit.number === number))
    .filter(Boolean)
    .map((hit) =>
      button(String(hit.number), {
        class: hit.case_available ? "chip" : "chip missing",
        "data-number": hit.number,
        "aria-pressed": "false",
        "aria-label": `Prior case ${hit.number} names ${one.name}: study ${hit.study_id}, similarity ${decimals(hit.score)}`,
        onclick: (event) => open({ ...hit, quotes: quotesOf(made, hit.number, one.name), place: null }, event.currentTarget),
      }),
    );
}

function quotesOf(made, number, name) {
  return made.statements
    .filter((statement) => name in statement.labels)
    .flatMap((statement) => statement.citations)
    .filter((citation) => citation.number === number)
    .map((citation) => citation.quote);
}
