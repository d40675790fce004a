// The middle column: what it is headed with, and the warning over what is not to be relied on.

import { byId, capital, decimals, make } from "./elements.js";

const HEADLINE = "This image is unlike the films in the index";

export const isDoubtful = (verdict) => verdict?.in_distribution === false;

/** Empty the column for something new, which `what` names; a doubtful one starts with a warning. */
export function startPaper(title, verdict, what) {
  const body = byId("report-body");
  byId("report-title").textContent = title;
  body.replaceChildren();
  body.classList.toggle("doubtful", isDoubtful(verdict));
  if (isDoubtful(verdict)) body.append(drawWarning(verdict, what));
  return body;
}

export function warningText(verdict, what) {
  return `${HEADLINE}: ${verdict.reason}. Do not rely on ${what}.`;
}

export function drawWarning(verdict, what) {
  return make(
    "div",
    { class: "warning", role: "alert" },
    make("strong", {}, `${HEADLINE}. Do not rely on ${what}.`),
    make("p", {}, `${capital(verdict.reason)}.`),
    make("p", { class: "small" }, `${capital(typicality(verdict))}.`),
  );
}

export function typicality(verdict) {
  const { score, threshold } = verdict;
  return `typicality of the film ${decimals(score)}, flagged below ${decimals(threshold)}`;
}

// The warning above the text says it already.
export const repeatsWarning = (note, verdict) => isDoubtful(verdict) && note.endsWith(verdict.reason);

export const block = (title, ...content) => make("section", { class: "block" }, make("h3", {}, title), ...content);
export const lines = (texts) => make("ul", { class: "lines" }, ...texts.map((text) => make("li", {}, text)));
