// The prior cases that a search by text found.

import { make } from "../elements.js";
import { drawHit } from "./hits.js";
import { block, lines, startPanel } from "../report/panel.js";

/** Draw the answer of a search; `open` is called as by a report. */
export function drawFound(found, text, open) {
  const body = startPanel("Prior cases", found.ood, "these cases");
  const images = found.images_sha256.length > 0 ? "the X-ray and " : "";
  body.append(make("p", { class: "muted" }, `Most similar to ${images}\u201c${text}\u201d`));
  if (found.hits.length === 0) {
    body.append(make("p", { class: "empty" }, "No prior case matches this search."));
  }
  body.append(make("div", { class: "hits" }, ...found.hits.map((hit) => row(hit, open))));
  if (found.notes.length > 0) body.append(block("Notes", lines(found.notes)));
}

function row(hit, open) {
  const { number, score } = hit;
  const { source, study_id, impression, findings } = hit.case;
  const said = hit.matched_sentence;
  const shown = { number, score, source, study_id, case: hit.case.case, case_available: true };
  const preview = said ? make("mark", {}, said) : impression || findings;
  return drawHit({ ...shown, cited: false }, said ? [said] : [], open, preview);
}
