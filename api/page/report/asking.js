// Questions, captions and observations: each answer is an entry below the report.

import { byId, make } from "../elements.js";
import { drawNotes, drawText, TASKS } from "./generation.js";
import { drawWarning, drawWarnings, isDoubtful } from "./panel.js";

const NO_ANSWERS = "This server answers no questions.";
const NO_IMAGE = "Choose an X-ray first: a question needs one, and X-rays are not stored.";

let tasks = [];

/** What the server can do. */
export function offerTasks(served) {
  tasks = served;
  for (const task of ["classify", "caption"]) byId(task).hidden = !tasks.includes(task);
  byId("asking").hidden = !["ask", "classify", "caption"].some((task) => tasks.includes(task));
}

/** Enable the questions, or say why they are disabled. */
export function allowAsking(images, busy) {
  const answers = tasks.includes("ask");
  byId("question").disabled = byId("ask").disabled = !answers || images === 0 || busy;
  for (const task of ["classify", "caption"]) byId(task).disabled = images === 0 || busy;
  const why = images === 0 ? NO_IMAGE : answers ? "" : NO_ANSWERS;
  byId("asking-note").textContent = why;
  byId("asking-note").hidden = !why;
}

export function clearAnswers() {
  byId("answers").replaceChildren();
}

/** Add an answer, newest first. */
export function addAnswer(made, open) {
  const entry = make(
    "article",
    { class: isDoubtful(made.ood) ? "answer doubtful" : "answer", "data-task": made.task, tabindex: -1 },
    make("h3", { class: "question" }, made.question ?? TASKS[made.task]),
    isDoubtful(made.ood) ? drawWarning(made.ood, "this answer") : null,
    ...drawWarnings(made),
    ...drawText(made, open),
    ...drawNotes(made),
  );
  byId("answers").prepend(entry);
  entry.focus({ preventScroll: true });
  entry.scrollIntoView({ block: "nearest" });
}
