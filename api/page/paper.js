// The middle column: what it is headed with, and the warning over what is not to be relied on.

import { byId, decimals, make } from "./elements.js";

const HEADLINE = "This image is unlike the films in the index";

export const isDoubtful = (verdict) => verdict?.in_distribution === false;

/** Empty the column for something new, which `what` names; a doubtful one starts with a warning. */
export function startPaper(title, verdict, what) {
  const body = byId("report-body");
  byId("report-title").textContent = title;
  body.replaceChildren();
  body.classList.toggle("doubtful", isDoubtful(verdict));
  if (isDoubtful(verdict)) body.append(warning(verdict, what));
  return body;
}

export function warningText(verdict, what) {
  return `${HEADLINE}: ${verdict.reason}. Do not rely on ${what}.`;
}

function warning(verdict, what) {
  return make(
    "div",
    { class: "warning", role: "alert" },
    make("strong", {}, `${HEADLINE}. Do not rely on ${what}.`),
    make("p", {}, `${capital(verdict.reason)}.`),
    make(
      "p",
      { class: "small" },
      `Typicality ${decimals(verdict.score)}; an image is flagged below ${decimals(verdict.threshold)}.`,
    ),
  );
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
