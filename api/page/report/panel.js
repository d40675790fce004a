// The report panel: its title, and the warning above a text that must not be relied on.

import { byId, capital, decimals, make } from "../elements.js";

const HEADLINE = "This X-ray is unlike those in the index";

export const isDoubtful = (ood) => ood?.in_distribution === false;

/** Empty the panel for something new, which `what` names; a doubtful text starts with a warning. */
export function startPanel(title, ood, what) {
  const body = byId("report-body");
  byId("report-title").textContent = title;
  body.replaceChildren();
  body.classList.toggle("doubtful", isDoubtful(ood));
  if (isDoubtful(ood)) body.append(drawWarning(ood, what));
  return body;
}

export function warningText(ood, what) {
  return `${HEADLINE}: ${ood.reason}. Do not rely on ${what}.`;
}

export function drawWarning(ood, what) {
  return make(
    "div",
    { class: "warning", role: "alert" },
    make("strong", {}, `${HEADLINE}. Do not rely on ${what}.`),
    make("p", {}, `${capital(ood.reason)}.`),
    make("p", { class: "small" }, `${capital(typicality(ood))}.`),
  );
}

/** The warnings but for that of an unlike X-ray, which has a box of its own. */
export const otherWarnings = (made) => made.warnings.filter((line) => !(made.ood && line.includes(made.ood.reason)));

export const drawWarnings = (made) =>
  otherWarnings(made).map((line) => make("p", { class: "warning", role: "alert" }, line));

export function typicality(ood) {
  const { score, threshold } = ood;
  return `typicality of the X-ray ${decimals(score)}, flagged below ${decimals(threshold)}`;
}

// The warning above the text says it already.
export const repeatsWarning = (note, ood) => isDoubtful(ood) && note.endsWith(ood.reason);

export const block = (title, ...content) => make("section", { class: "block" }, make("h3", {}, title), ...content);
export const lines = (texts) => make("ul", { class: "lines" }, ...texts.map((text) => make("li", {}, text)));
