// The search options, read from their form.

import { byId } from "../elements.js";

const FIELDS = {
  k: "k",
  strategy: "strategy",
  exclude_patient: "exclude-patient",
  exclude_study: "exclude-study",
  label: "label",
  label_filter: "label-filter",
  min_score: "min-score",
  min_ratio: "min-ratio",
  diversity: "diversity",
};

export function searchOptions() {
  const found = Object.entries(FIELDS).map(([name, id]) => [name, byId(id).value.trim()]);
  return {
    ...Object.fromEntries(found),
    distinct_reports: byId("distinct").checked,
    keep_near_duplicates: byId("near-duplicates").checked,
    ...imageOptions(),
  };
}

/** How an image is read. */
export const imageOptions = () => ({ accept_as_chest: byId("accept-as-chest").checked });

/** The search options beside a text, which says itself which findings are wanted. */
export const wordOptions = () => ({ ...searchOptions(), strategy: "" });

/** The search options, the indication and how readily a finding is called. */
export const writingOptions = () => ({
  ...searchOptions(),
  indication: byId("indication").value.trim(),
  sensitivity: byId("sensitivity").value,
});
