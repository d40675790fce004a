// A generation of any task: its statements with citation chips, the hits, the excluded cases.

import { shortfall } from "../cases/found.js";
import { counted, decimals, make } from "../elements.js";
import { drawHits } from "../cases/hits.js";
import { drawAssessment } from "./assessment.js";
import { drawObservations } from "./observations.js";
import {
  block,
  drawWarnings,
  isDoubtful,
  lines,
  otherWarnings,
  repeatsWarning,
  startPanel,
  typicality,
  warningText,
} from "./panel.js";
import { drawScores } from "./scores.js";
import { drawLegend, drawStatement, marksOf } from "./statement.js";
import { drawViews } from "./structured.js";

export const TASKS = { report: "Report", ask: "Answer", classify: "Observations", caption: "Caption" };

const SECTIONS = { findings: "Findings", impression: "Impression" };

export const nameOf = (task) => (TASKS[task] ?? task).toLowerCase();

/** The text alone, without hits and notes; `open(cited, opener)` shows a cited case. */
export function drawText(made, open) {
  if (made.task === "classify") return [drawObservations(made, open)];
  const placed = made.statements.map((statement, place) => ({ statement, place }));
  const drawn = (part) => part.map(({ statement, place }) => drawStatement(statement, place, made, open));
  if (placed.length === 0) return [make("p", { class: "empty" }, "Nothing is stated.")];
  if (made.task !== "report") return drawn(placed);
  return Object.entries(SECTIONS)
    .map(([section, title]) => [title, placed.filter(({ statement }) => statement.section === section)])
    .filter(([, part]) => part.length > 0)
    .map(([title, part]) => make("section", { class: "section" }, make("h3", {}, title), ...drawn(part)));
}

/** A whole generation in the report panel. */
export function drawGeneration(made, open) {
  const body = startPanel(TASKS[made.task] ?? made.task, made.ood, `this ${nameOf(made.task)}`);
  body.append(...drawWarnings(made));
  if (made.question) body.append(make("p", { class: "question" }, made.question));
  if (made.indication) {
    body.append(make("p", { class: "muted indication" }, `Indication: ${made.indication}`));
  }
  if (made.prior) body.append(make("p", { class: "muted", id: "compared-with" }, comparedWith(made.prior)));
  const assessment = made.task === "classify" ? null : drawAssessment(made, open);
  if (assessment) body.append(assessment);
  body.append(...drawViews(made, drawText(made, open)));
  if (made.task !== "classify") body.append(drawLegend());
  body.append(...drawNotes(made));
  if (made.hits.length > 0) body.append(block("Prior cases", read(made), least(made.options), drawHits(made, open)));
  if (made.label_scores) body.append(drawScores(made.label_scores));
  if (made.excluded_cases.length > 0) body.append(excludedCases(made.excluded_cases));
  body.append(make("p", { class: "muted meta" }, origin(made)));
}

function comparedWith({ date, case: indexed }) {
  const day = date ? ` of ${date}` : "";
  return `Compared with the patient's own prior study${day}${indexed ? `, indexed as ${indexed}` : ""}.`;
}

export function drawNotes(made) {
  const notes = made.notes.filter((note) => !repeatsWarning(note, made.ood));
  const technical = made.technical_notes.length > 0 ? [technicalNotes(made.technical_notes)] : [];
  return notes.length > 0 ? [block("Notes", lines(notes)), ...technical] : technical;
}

const technicalNotes = (notes) =>
  make("details", { class: "block inner" }, make("summary", {}, "How the image files were read"), lines(notes));

/** The sentences without citation marks, for the editor. */
export const plainText = (made, edits = new Map()) => paragraphs(made, (statement, place) => edits.get(place) ?? statement.text).join("\n\n");

/**
 * The text with its citation marks, for the clipboard; `edited`, if given, replaces it, and `edits`
 * replaces single sentences, by place; `template` are the parts of the structured view.
 */
export function copyText(made, edited = null, edits = new Map(), template = null) {
  const cases = made.hits.filter((hit) => hit.cited).map((hit) => `[${hit.number}] ${hit.source} ${hit.study_id}`);
  const warning = [
    isDoubtful(made.ood) ? warningText(made.ood, `this ${nameOf(made.task)}`) : "",
    ...otherWarnings(made),
  ].filter(Boolean).join("\n");
  const own = template ?? (edited ? [edited] : paragraphs(made, (statement, place) => `${edits.get(place) ?? statement.text} ${marksOf(statement)}`));
  return [warning, made.question, ...own, edited && !template ? "" : cases.join("\n"), made.notice].filter(Boolean).join("\n\n");
}

function paragraphs(made, line) {
  const lines = made.statements.map((statement, place) => ({ section: statement.section, text: line(statement, place) }));
  const joined = (part) => part.map(({ text }) => text).join("\n");
  if (made.task !== "report") return [joined(lines)];
  return Object.entries(SECTIONS)
    .map(([section, title]) => [title, lines.filter((one) => one.section === section)])
    .filter(([, part]) => part.length > 0)
    .map(([title, part]) => `${title.toUpperCase()}\n${joined(part)}`);
}

function read({ options, hits, excluded_cases: excluded, origin: from }) {
  const { k } = options;
  if (typeof k !== "number") return null;
  const limited = from?.model && hits.length < k ? " The language model reads as many as fit its context." : "";
  return make("p", { class: "muted rules" }, `Read for this text: ${shortfall(hits.length, k, excluded.length)}${limited}`);
}

function least(options) {
  const rules = [];
  if (typeof options.min_score === "number") rules.push(`a similarity of at least ${decimals(options.min_score)}`);
  if (typeof options.min_ratio === "number") {
    rules.push(`at least ${decimals(options.min_ratio)} of the best case's similarity`);
  }
  if (rules.length === 0) return null;
  return make("p", { class: "muted rules" }, `Only cases with ${rules.join(" and ")} were used.`);
}

function excludedCases(cases) {
  return make(
    "details",
    { class: "block inner", id: "left-out" },
    make("summary", {}, `${counted(cases.length, "case", "cases")} excluded`),
    lines(cases.map((c) => `${c.source} ${c.study_id} (${decimals(c.score)}): ${c.reason}`)),
  );
}

function origin(made) {
  const now = made.index.current ? "" : " (another index is open now)";
  return [
    made.generator,
    `index ${made.index.fingerprint.slice(0, 12)}${now}`,
    made.ood ? typicality(made.ood) : "not checked for being out of distribution",
    new Date(made.created_at).toLocaleString(),
    made.id,
  ].join(" · ");
}
