// The label scores of the encoder as bars.

import { bar, decimals, make } from "../elements.js";

const UNCALIBRATED =
  "What the encoder predicts from the X-ray alone. Uncalibrated: a score is not a probability.";

/** Folded away; the highest score first. */
export function drawScores(labelScores) {
  const sorted = Object.entries(labelScores).sort((a, b) => b[1] - a[1]);
  return make(
    "details",
    { class: "block inner scores-block" },
    make("summary", {}, "Label scores of the encoder"),
    make("p", { class: "muted" }, UNCALIBRATED),
    make(
      "ul",
      { class: "scores" },
      ...sorted.map(([name, share]) =>
        make(
          "li",
          { class: "score" },
          make("span", { class: "name" }, name),
          bar(share),
          make("span", { class: "number" }, decimals(share)),
        ),
      ),
    ),
  );
}
