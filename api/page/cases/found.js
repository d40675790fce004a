// The prior cases that a search without a report found, beneath the report that is shown.

import { byId, counted, make } from "../elements.js";
import { drawHit } from "./hits.js";
import { block, drawWarning, isDoubtful, lines } from "../report/panel.js";

/** Draw the answer of a search; `asked` is how many cases it was to find, `open` as by a report. */
export function drawFound(found, { text, asked }, open) {
  const body = byId("found-body");
  const images = found.images_sha256.length > 0;
  const what = text ? `${images ? "the X-ray and " : ""}\u201c${text}\u201d` : "the X-ray";
  const rows = found.hits.map((hit) => row(hit, open));
  body.replaceChildren(
    ...[
      isDoubtful(found.ood) ? drawWarning(found.ood, "these cases") : null,
      make("p", { class: "muted" }, `Most similar to ${what}. ${shortfall(found.hits.length, asked, found.excluded_cases.length)}`),
      rows.length === 0 ? make("p", { class: "empty" }, "No prior case matches this search.") : null,
      make("div", { class: "hits" }, ...rows),
      found.notes.length > 0 ? block("Notes", lines(found.notes)) : null,
    ].filter(Boolean),
  );
  byId("found").hidden = false;
}

export function clearFound() {
  byId("found").hidden = true;
  byId("found-body").replaceChildren();
}

/** How many cases there are, and why there are fewer than asked for. */
export function shortfall(shown, asked, excluded) {
  if (!asked || shown >= asked) return `${counted(shown, "case", "cases")}.`;
  const left = excluded > 0 ? `${counted(excluded, "case was", "cases were")} excluded, and ` : "";
  return `${shown} of the ${asked} asked for: ${left}the index has no more that fit the search options.`;
}

function row(hit, open) {
  const { number, score } = hit;
  const { source, study_id, impression, findings } = hit.case;
  const said = hit.matched_sentence;
  const shown = { number, score, source, study_id, case: hit.case.case, case_available: true };
  const snippet = said ? make("mark", {}, said) : impression || findings;
  return drawHit({ ...shown, cited: false }, said ? [said] : [], open, { known: hit.case, snippet });
}
