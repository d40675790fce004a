// A review of a generation: accept it, edit it, mark a citation as wrong. Stored as feedback.

import { byId, make, say } from "../elements.js";
import { plainText } from "./generation.js";
import { forgetEdits, showEdit } from "./sentences.js";
import { listFeedback, sendFeedback } from "../service.js";

let made = null;
let remarks = [];

/** Start the review of a generation and show its earlier feedback; null ends it. */
export async function review(generation) {
  made = generation;
  remarks = [];
  forgetEdits();
  closeEditor();
  byId("review").hidden = made === null;
  drawRemarks();
  if (made === null) return;
  const found = await listFeedback(generation.id);
  if (made !== generation) return;
  remarks = found;
  drawRemarks();
}

/** The text as it was last edited, or null. */
export const editedText = () => remarks.findLast(isWholeEdit)?.text ?? null;

/** The sentences as they were last edited, by place. */
export const editedSentences = () =>
  new Map(remarks.filter((one) => one.kind === "edited" && one.statement !== null).map((one) => [one.statement, one.text]));

/** Store an edited sentence. */
export async function saveSentence(statement, text) {
  await send({ kind: "edited", statement, text });
  say("Sentence saved");
}

const isWholeEdit = (remark) => remark.kind === "edited" && remark.statement === null;

export async function accept() {
  await send({ kind: "accepted" });
  say("Accepted");
}

export async function markWrong(statement, citation) {
  await send({ kind: "wrong_citation", statement, citation });
  say(`Citation ${citation} marked as wrong`);
}

async function send(remark) {
  const about = made;
  const stored = await sendFeedback(about.id, remark);
  if (made !== about) return;
  remarks.push(stored);
  drawRemarks();
}

export function openEditor() {
  byId("edit-text").value = editedText() ?? plainText(made, editedSentences());
  byId("editor").hidden = false;
  byId("edit").setAttribute("aria-expanded", "true");
  byId("edit-text").focus();
}

export function closeEditor() {
  byId("editor").hidden = true;
  byId("edit").setAttribute("aria-expanded", "false");
}

export async function saveEdit() {
  const text = byId("edit-text").value.trim();
  if (!text) throw new Error("The edited text is empty: write something or cancel.");
  await send({ kind: "edited", text });
  closeEditor();
  byId("edit").focus();
  say("Edited text saved");
}

/** Show the feedback, and mark wrong citations at their numbers. */
function drawRemarks() {
  const edited = remarks.findLast(isWholeEdit);
  byId("remarks").replaceChildren(
    ...(edited ? [editedBlock(edited)] : []),
    ...remarks.filter((remark) => !isWholeEdit(remark)).map((remark) => make("p", { class: "remark" }, describe(remark))),
  );
  for (const [place, text] of editedSentences()) showEdit(place, text, made.statements[place].text);
  document.dispatchEvent(new Event("edits"));
  for (const chip of document.querySelectorAll("#report-body .statement .chip")) {
    const place = Number(chip.closest(".statement").dataset.place);
    const wrong = remarks.some(
      (r) => r.kind === "wrong_citation" && r.statement === place && r.citation === Number(chip.dataset.number),
    );
    if (wrong && !chip.classList.contains("wrong")) {
      chip.classList.add("wrong");
      chip.setAttribute("aria-label", `${chip.getAttribute("aria-label")}, marked as wrong`);
    }
  }
}

function editedBlock(remark) {
  return make(
    "section",
    { class: "edited" },
    make("h3", {}, "Edited text"),
    make("p", { class: "edited-text" }, remark.text),
    make("p", { class: "muted small" }, `${who(remark)}. The generated text below is unchanged.`),
  );
}

function describe(remark) {
  const what = {
    accepted: "Accepted",
    edited: `Sentence ${remark.statement + 1} edited: ${remark.text}`,
    wrong_citation: `Citation [${remark.citation}] does not support sentence ${remark.statement + 1}`,
  }[remark.kind];
  return `${what} · ${who(remark)}`;
}

const who = (remark) => `${remark.created_by}, ${new Date(remark.created_at).toLocaleString()}`;
