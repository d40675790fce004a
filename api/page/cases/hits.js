// The retrieved cases as rows, cited or not, each with a thumbnail, its labels and a sentence.

import { bar, button, decimals, make } from "../elements.js";
import { whenAllowed } from "./public_images.js";
import { drawLabels, drawThumbnail, whenSeen } from "./details.js";

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

/** A row; `known` is the case itself where it is at hand, `snippet` what it says. */
export function drawHit(hit, quotes, open, { known = null, snippet = null } = {}) {
  const { number, source, study_id, score, cited } = hit;
  const unseen = (text) => make("span", { class: "visually-hidden" }, text);
  const picture = make("span", { class: "thumbnail" });
  const labels = make("span", { class: "labels" });
  const said = make("span", { class: "snippet" }, snippet ?? (quotes.length > 0 ? make("mark", {}, quotes[0]) : ""));
  const row = button(
    unseen("Prior case "),
    {
      class: "hit",
      "data-number": number,
      "aria-pressed": "false",
      onclick: (event) => open({ ...hit, quotes, place: null }, event.currentTarget),
    },
    picture,
    make("span", { class: "chip" }, String(number)),
    make("span", { class: "study" }, `${source} ${study_id}`),
    bar(score),
    unseen(" similarity "),
    make("span", { class: "number" }, decimals(score)),
    make("span", { class: "cited" }, cited ? "cited" : ""),
    labels,
    said,
  );
  if (hit.case_available) {
    whenSeen(row, hit.case, known, ({ found, thumbnail }) => {
      picture.replaceChildren(drawThumbnail(thumbnail));
      if (thumbnail === null) whenAllowed(found, (image) => picture.replaceChildren(image));
      labels.replaceChildren(...drawLabels(found.labels));
      if (!said.textContent) said.textContent = found.impression || found.findings;
    });
  }
  return row;
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
