// Questions about the film, its caption, its classes: each answer an entry beneath the report.

import { byId, make } from "./elements.js";
import { drawNotes, drawText, TASKS } from "./generation.js";
import { drawWarning, isDoubtful } from "./paper.js";

const NO_MODEL =
  "This server answers no questions: it runs without a language model (start it with --model pretrained/generator).";
const NO_FILM = "Choose a film first: questions are about the film at hand, and films are not stored.";

let tasks = [];

/** What the server can do. */
export function offerTasks(served) {
  tasks = served;
  for (const task of ["classify", "caption"]) byId(task).hidden = !tasks.includes(task);
  byId("asking").hidden = !["ask", "classify", "caption"].some((task) => tasks.includes(task));
}

/** Take questions, or say why not. */
export function allowAsking(films, busy) {
  const answers = tasks.includes("ask");
  byId("question").disabled = byId("ask").disabled = !answers || films === 0 || busy;
  for (const task of ["classify", "caption"]) byId(task).disabled = films === 0 || busy;
  const why = films === 0 ? NO_FILM : answers ? "" : NO_MODEL;
  byId("asking-note").textContent = why;
  byId("asking-note").hidden = !why;
}

export function clearAnswers() {
  byId("answers").replaceChildren();
}

/** Add what was made, newest first. */
export function addAnswer(made, open) {
  const entry = make(
    "article",
    { class: isDoubtful(made.ood) ? "answer doubtful" : "answer", "data-task": made.task, tabindex: -1 },
    make("h3", { class: "question" }, made.question ?? TASKS[made.task]),
    isDoubtful(made.ood) ? drawWarning(made.ood, "this answer") : null,
    ...drawText(made, open),
    ...drawNotes(made),
  );
  byId("answers").prepend(entry);
  entry.focus({ preventScroll: true });
  entry.scrollIntoView({ block: "nearest" });
}
