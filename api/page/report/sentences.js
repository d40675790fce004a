// Sentence by sentence: move through a report, edit a sentence in its place with its citations
// kept, open the case that it cites.

import { button, byId, make, say } from "../elements.js";
import { addShortcuts } from "../keys.js";

const all = () => [...document.querySelectorAll("#report-body .statement")].filter((one) => one.checkVisibility());

const edits = new Map(); // place to the text as it was last edited
let saving = null; // (place, text) stores an edited sentence

/** `save(place, text)` stores an edited sentence; it throws where that fails. */
export function startSentences({ save }) {
  saving = save;
}

/** The sentence that has the focus, holds it, or is being edited; null if none. */
export const focused = () => document.activeElement?.closest("#report-body .statement") ?? null;

function move(step) {
  const sentences = all();
  if (sentences.length === 0) return false;
  const at = sentences.indexOf(focused());
  const next = at < 0 ? (step > 0 ? 0 : sentences.length - 1) : Math.min(sentences.length - 1, Math.max(0, at + step));
  sentences[next].focus();
  sentences[next].scrollIntoView({ block: "nearest" });
  say(`Sentence ${next + 1} of ${sentences.length}: ${sentences[next].querySelector(".said").textContent}`);
  return true;
}

/** Edit a sentence in its place. */
export function edit(statement) {
  if (statement.querySelector(".sentence-editor")) return;
  const words = statement.querySelector(".words");
  const said = statement.querySelector(".said");
  const field = make("textarea", { rows: 2, maxlength: 20000, "aria-label": "Corrected sentence" });
  field.value = said.textContent;
  const close = () => {
    form.remove();
    words.classList.remove("editing");
    statement.focus();
  };
  const save = async () => {
    const text = field.value.trim().replaceAll(/\s+/g, " ");
    if (text === said.textContent || !text) {
      close();
      say("Sentence unchanged");
      return;
    }
    if (await saving(Number(statement.dataset.place), text)) close();
  };
  const form = make(
    "form",
    {
      class: "sentence-editor",
      onsubmit: (event) => {
        event.preventDefault();
        save();
      },
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey) {
          event.preventDefault();
          save();
        } else if (event.key === "Escape") {
          event.stopPropagation();
          close();
        }
      },
    },
    field,
    make(
      "div",
      { class: "actions" },
      make("button", { type: "submit", class: "primary" }, "Save"),
      button("Cancel", { class: "plain", onclick: close }),
      make("span", { class: "muted small" }, "Enter saves, Esc leaves it as it was. The citations are kept."),
    ),
  );
  words.classList.add("editing");
  words.after(form);
  field.focus();
}

export const currentEdits = () => edits;

export const forgetEdits = () => edits.clear();

/** Show the edited text of a sentence, and what was written first beneath it. */
export function showEdit(place, text, first) {
  const statement = document.querySelector(`#report-body .statement[data-place="${place}"]`);
  if (!statement) return;
  edits.set(place, text);
  statement.querySelector(".said").textContent = text;
  statement.querySelector(".first-text")?.remove();
  statement.classList.toggle("edited-sentence", text !== first);
  if (text === first) return;
  statement.querySelector(".words").after(
    make("p", { class: "first-text small" }, make("span", { class: "tag mild" }, "edited"), " Written: ", make("s", {}, first)),
  );
}

const withFocused = (does) => () => {
  const statement = focused();
  if (!statement) return false;
  does(statement);
  return true;
};

addShortcuts("Report", [
  { keys: ["j"], says: "Next sentence", does: () => move(1) },
  { keys: ["k"], says: "Previous sentence", does: () => move(-1) },
  { keys: ["e"], says: "Edit the sentence, or the whole text", does: () => (focused() ? edit(focused()) : press("edit")) },
  { keys: ["c"], says: "Open the prior case that the sentence cites", does: withFocused((one) => one.querySelector(".chip")?.click()) },
  { keys: ["a"], says: "Accept the report", does: () => press("accept") },
  { keys: ["w"], says: "Write the report", does: () => press("write") },
  { keys: ["s"], says: "Find similar cases", does: () => press("similar") },
  { keys: ["x"], says: "Open the exports", does: () => openExports() },
  { keys: ["q"], says: "Ask a question", does: () => !byId("question").disabled && (byId("question").focus(), true) },
]);

function press(id) {
  const target = byId(id);
  if (target.disabled || !target.checkVisibility()) return false;
  target.click();
  return true;
}

function openExports() {
  if (!byId("export").checkVisibility()) return false;
  byId("export").open = true;
  byId("export-menu").querySelector("button")?.focus();
  return true;
}
