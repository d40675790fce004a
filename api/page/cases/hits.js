// The retrieved cases as rows, cited or not.

import { bar, button, decimals, make } from "../elements.js";

/** The hits of a stored text; a cited one opens with the sentences that are quoted of it. */
export function drawHits(made, open) {
  const citations = made.statements.flatMap((sentence) => sentence.citations);
  return make(
    "div",
    { class: "hits" },
    ...made.hits.map((hit) => {
      const quotes = citations.filter((c) => c.number === hit.number).map((c) => c.quote);
      return drawHit(hit, [...new Set(quotes)], open);
    }),
  );
}

export function drawHit(hit, quotes, open, snippet = null) {
  const { number, source, study_id, score, cited } = hit;
  const unseen = (text) => make("span", { class: "visually-hidden" }, text);
  return button(
    unseen("Prior case "),
    {
      class: "hit",
      "data-number": number,
      "aria-pressed": "false",
      onclick: (event) => open({ ...hit, quotes, place: null }, event.currentTarget),
    },
    make("span", { class: "chip" }, String(number)),
    make("span", { class: "study" }, `${source} ${study_id}`),
    bar(score),
    unseen(" similarity "),
    make("span", { class: "number" }, decimals(score)),
    make("span", { class: "cited" }, cited ? "cited" : ""),
    snippet ? make("span", { class: "snippet" }, snippet) : null,
  );
}

/** Show which case is open now; `opener` is the chip or row that opened it, or null. */
export function markOpen(opener) {
  for (const element of document.querySelectorAll("[data-number]")) {
    element.setAttribute("aria-pressed", String(element === opener));
  }
  for (const element of document.querySelectorAll(".statement")) {
    element.classList.toggle("open", opener !== null && element.contains(opener));
  }
}
