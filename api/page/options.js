// The rules of a search, as the form beside the film has them.

import { byId } from "./elements.js";

const FIELDS = {
  k: "k",
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
    keep_near_duplicates: byId("copies").checked,
  };
}

/** What a text is written from, beside the films. */
export const writingOptions = () => ({ ...searchOptions(), indication: byId("indication").value.trim() });
