// A stored report: sentences with chips, the retrieved cases, what was left out.

import { bar, decimals, make } from "./elements.js";
import { isDoubtful, startPaper, warningText } from "./paper.js";

const TITLES = { findings: "Findings", impression: "Impression" };

/** Draw a report; `open(number, case, score, quotes, opener)` is called for a cited case. */
export function drawReport(report, open) {
  const body = startPaper("Report", report.verdict, "this report");
  for (const section of ["findings", "impression"]) {
    const statements = report.statements.filter((s) => s.section === section);
    if (statements.length === 0) continue;
    body.append(
      make(
        "section",
        { class: "section" },
        make("h3", {}, TITLES[section]),
        make("div", { class: "statements" }, ...statements.map((s) => statement(s, open))),
      ),
    );
  }
  if (report.statements.length === 0) {
    body.append(make("p", { class: "empty" }, "The prior cases support no sentence."));
  }
  const notes = report.notes.filter((note) => !repeatsWarning(note, report.verdict));
  if (notes.length > 0) body.append(block("Notes", lines(notes)));
  if (report.hits.length > 0) body.append(block("Prior cases", hits(report, open)));
  if (report.label_scores) body.append(scores(report.label_scores));
  if (report.left_out.length > 0) body.append(leftOut(report.left_out));
  body.append(make("p", { class: "muted meta" }, origin(report)));
}

/** The report as plain text with its citation marks. */
export function reportText(report) {
  const parts = [];
  for (const section of ["findings", "impression"]) {
    const statements = report.statements.filter((s) => s.section === section);
    if (statements.length === 0) continue;
    parts.push(
      `${TITLES[section].toUpperCase()}\n` +
        statements.map((s) => `${s.text} ${marks(s)}`).join("\n"),
    );
  }
  const cases = report.hits
    .filter((hit) => hit.cited)
    .map((hit) => `[${hit.number}] ${hit.source} ${hit.study_id}`);
  const warning = isDoubtful(report.verdict) ? warningText(report.verdict, "this report") : "";
  return [warning, ...parts, cases.join("\n"), report.notice].filter(Boolean).join("\n\n");
}

/** Show which number is open now, everywhere it occurs. */
export function markOpen(opener) {
  for (const element of document.querySelectorAll("[data-number]")) {
    element.setAttribute("aria-pressed", String(element === opener));
  }
  for (const element of document.querySelectorAll(".statement")) {
    element.classList.toggle("open", opener !== null && element.contains(opener));
  }
}

const numbers = (statement) => [...new Set(statement.citations.map((c) => c.number))].sort((a, b) => a - b);

function marks(statement) {
  return statement.grounded ? numbers(statement).map((n) => `[${n}]`).join("") : "[image only]";
}

function statement(given, open) {
  const line = make("p", { class: given.grounded ? "statement" : "statement unsupported" });
  line.append(given.text, " ");
  if (!given.grounded) {
    line.append(make("span", { class: "tag" }, "no prior case supports this"));
    return line;
  }
  for (const number of numbers(given)) {
    const citations = given.citations.filter((c) => c.number === number);
    const first = citations[0];
    const chip = make(
      "button",
      {
        type: "button",
        class: first.case_available ? "chip" : "chip gone",
        "data-number": number,
        "aria-pressed": "false",
        "aria-label": `Prior case ${number}: study ${first.study_id}, similarity ${decimals(first.score)}`,
        title: `Study ${first.study_id}, similarity ${decimals(first.score)}`,
        onclick: (event) =>
          open({ ...first, quotes: citations.map((c) => c.quote) }, event.currentTarget),
      },
      String(number),
    );
    line.append(chip);
  }
  return line;
}

function hits(report, open) {
  const quotes = (number) =>
    report.statements.flatMap((s) => s.citations.filter((c) => c.number === number).map((c) => c.quote));
  return make(
    "div",
    { class: "hits" },
    ...report.hits.map((hit) => hitRow(hit, [...new Set(quotes(hit.number))], open)),
  );
}

export function hitRow(hit, quotes, open) {
  return make(
    "button",
    {
      type: "button",
      class: "hit",
      "data-number": hit.number,
      "aria-pressed": "false",
      "aria-label": `Prior case ${hit.number}: study ${hit.study_id}, similarity ${decimals(hit.score)}${hit.cited ? ", cited" : ""}`,
      onclick: (event) => open({ ...hit, quotes }, event.currentTarget),
    },
    make("span", { class: "chip" }, String(hit.number)),
    make("span", { class: "study" }, `${hit.source} ${hit.study_id}`),
    bar(hit.score),
    make("span", { class: "number" }, decimals(hit.score)),
    make("span", { class: "cited" }, hit.cited ? "cited" : ""),
  );
}

function scores(labelScores) {
  const sorted = Object.entries(labelScores).sort((a, b) => b[1] - a[1]);
  return make(
    "details",
    { class: "block inner", id: "scores" },
    make("summary", {}, "Label scores of the encoder"),
    make(
      "p",
      { class: "muted" },
      "What the encoder makes of the films by itself. Uncalibrated: a score is no probability.",
    ),
    make(
      "div",
      { class: "scores" },
      ...sorted.map(([name, share]) =>
        make(
          "div",
          { class: "score" },
          make("span", {}, name),
          bar(share),
          make("span", { class: "number" }, decimals(share)),
        ),
      ),
    ),
  );
}

function leftOut(cases) {
  const title = cases.length === 1 ? "1 case left out" : `${cases.length} cases left out`;
  return make(
    "details",
    { class: "block inner", id: "left-out" },
    make("summary", {}, title),
    lines(cases.map((c) => `${c.source} ${c.study_id} (${decimals(c.score)}): ${c.reason}`)),
  );
}

function origin(report) {
  const time = new Date(report.created_at).toLocaleString();
  const index = report.index.current
    ? `index ${report.index.fingerprint.slice(0, 12)}`
    : `index ${report.index.fingerprint.slice(0, 12)}, which is not the one open now`;
  const judged = report.verdict ? "" : "likeness of the film to the index not judged · ";
  return `${report.generator} · ${index} · ${judged}${time} · ${report.id}`;
}

// The warning above the report says it already.
const repeatsWarning = (note, verdict) => isDoubtful(verdict) && note.endsWith(verdict.reason);

export const block = (title, ...content) => make("section", { class: "block" }, make("h3", {}, title), ...content);
export const lines = (texts) => make("ul", { class: "lines" }, ...texts.map((text) => make("li", {}, text)));
