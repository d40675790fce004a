// A report as a template of organs, filled from the assessment: each organ with the state of its
// observations and the sentences that word them.

import { button, decimals, make } from "../elements.js";
import { currentEdits, forgetEdits } from "./sentences.js";
import { marksOf } from "./statement.js";

const ORGANS = {
  "Lungs": ["Lung Opacity", "Consolidation", "Pneumonia", "Atelectasis", "Edema", "Lung Lesion"],
  "Pleura": ["Pleural Effusion", "Pneumothorax", "Pleural Other"],
  "Heart and mediastinum": ["Cardiomegaly", "Enlarged Cardiomediastinum"],
  "Bones": ["Fracture"],
  "Devices": ["Support Devices"],
};
const STATES = ["present", "possible", "not assessable", "absent"];

let redraw = () => {}; // after a sentence was edited
let template = false; // whether the template is shown

export const templateShown = () => template && document.querySelector("#report-body .structured") !== null;

document.addEventListener("edits", () => redraw());

/** The text, and for a report with an assessment the buttons to show it as a template. */
export function drawViews(made, text) {
  redraw = () => {};
  if (!canBeStructured(made)) return text;
  forgetEdits();
  const prose = make("div", { class: "prose" }, ...text);
  const filledIn = make("div", { class: "template" });
  const buttons = ["Text", "Template"].map((name) =>
    button(name, { class: "quiet", "data-view": name.toLowerCase(), onclick: () => show(name === "Template") }),
  );
  const show = (asTemplate) => {
    template = asTemplate;
    prose.hidden = template;
    filledIn.hidden = !template;
    filledIn.replaceChildren(...(template ? [drawStructured(made, currentEdits())] : []));
    buttons.forEach((one, place) => one.setAttribute("aria-pressed", String((place === 1) === template)));
  };
  show(template);
  redraw = () => show(template);
  return [make("div", { class: "tool-row view-switch", role: "group", "aria-label": "View of the report" }, ...buttons), prose, filledIn];
}

/** Whether a generation has what the template is filled from. */
const canBeStructured = (made) =>
  made.task === "report" && (made.observations ?? []).some(({ state }) => state !== null);

/** Organs in their order: [{organ, observations, sentences}], then the impression. */
function filled(made, edits) {
  const placed = made.statements.map((statement, place) => ({ statement, text: edits.get(place) ?? statement.text }));
  const findings = placed.filter(({ statement }) => statement.section === "findings");
  const impression = placed.filter(({ statement }) => statement.section === "impression");
  const organs = Object.entries(ORGANS).map(([organ, names]) => ({
    organ,
    observations: (made.observations ?? [])
      .filter(({ name, state }) => names.includes(name) && state !== null)
      .sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || b.probability - a.probability),
    sentences: findings.filter(({ statement }) => names.some((name) => name in statement.labels)),
  }));
  const rest = findings.filter(({ statement }) => !organs.some(({ sentences }) => sentences.some((one) => one.statement === statement)));
  return { organs, rest, impression };
}

const stated = ({ statement, text }) => `${text} ${marksOf(statement)}`;

/** Draw the template; `edits` are edited sentences by place. */
function drawStructured(made, edits) {
  const { organs, rest, impression } = filled(made, edits);
  const row = (title, ...content) => make("div", { class: "organ" }, make("dt", {}, title), make("dd", {}, ...content));
  const sentences = (list) => list.map((one) => make("p", {}, stated(one)));
  return make(
    "dl",
    { class: "structured" },
    row("Procedure", make("p", {}, `Chest X-ray, ${made.images_sha256.length === 1 ? "one image" : `${made.images_sha256.length} images`}`)),
    row("Indication", make("p", { class: made.indication ? "" : "muted" }, made.indication ?? "not given")),
    ...organs.map(({ organ, observations, sentences: said }) =>
      row(
        organ,
        make(
          "div",
          { class: "labels" },
          ...observations.map(({ name, state, probability }) =>
            make("span", { class: `label state-${state.replace(" ", "-")}` }, `${name}: ${state} ${decimals(probability)}`),
          ),
        ),
        ...(said.length > 0 ? sentences(said) : [make("p", { class: "muted" }, "No sentence.")]),
      ),
    ),
    rest.length > 0 ? row("Other", ...sentences(rest)) : null,
    row("Impression", ...(impression.length > 0 ? sentences(impression) : [make("p", { class: "muted" }, "None written.")])),
  );
}

/** The template as lines of text, for the clipboard. */
export function structuredText(made, edits) {
  const { organs, rest, impression } = filled(made, edits);
  const part = (title, lines) => `${title.toUpperCase()}\n${lines.join("\n")}`;
  return [
    ...organs.map(({ organ, observations, sentences }) =>
      part(organ, [
        observations.map(({ name, state }) => `${name}: ${state}`).join("; "),
        ...(sentences.length > 0 ? sentences.map(stated) : ["No sentence."]),
      ]),
    ),
    ...(rest.length > 0 ? [part("Other", rest.map(stated))] : []),
    part("Impression", impression.length > 0 ? impression.map(stated) : ["None written."]),
  ];
}
