// The patient's own prior study: chosen or found in the index, shown beside the X-ray with linked
// window and zoom. It belongs to the study that is shown, and goes with it.

import { button, byId, make, say } from "../elements.js";
import { act } from "../work.js";
import { asShown, forgetImages, readImages, viewer } from "./images.js";
import { Viewer } from "./viewer.js";

const before = new Viewer("X-ray of the prior study");
let images = []; // as `readImages` gives them
let linked = true;

const input = (id, type, attributes = {}) => make("input", { id, type, autocomplete: "off", ...attributes });
const field = (text, control, attributes = {}) => make("label", attributes, text, control);

const files = input("prior-files", "file", {
  multiple: true,
  accept: ".dcm,.dicom,.png,.jpg,.jpeg,.tif,.tiff,.bmp,.webp,image/*,application/dicom",
  onchange: () => {
    const chosen = [...files.files];
    files.value = "";
    if (chosen.length > 0) act(() => choose(chosen));
  },
});
const fields = {
  prior_date: input("prior-date", "date"),
  study_date: input("study-date", "date"),
  prior_report: make("textarea", { id: "prior-report", rows: 3, maxlength: 20000 }),
  patient_id: input("prior-patient", "text", { maxlength: 256, placeholder: "patient id" }),
};
const link = button("Window and zoom linked", {
  class: "quiet",
  id: "prior-link",
  "aria-pressed": "true",
  onclick: () => join(!linked),
});
const title = make("p", { class: "muted small", id: "prior-title" }, "Prior study");
const remove = button("Remove the prior study", { class: "quiet", id: "prior-clear", hidden: true, onclick: clearPrior });
const holder = make("div", { id: "prior-viewer", hidden: true }, before.element, make("div", { class: "prior-tools" }, title, link));
const section = make(
  "details",
  { class: "inner", id: "prior" },
  make("summary", {}, "Compare with a prior study"),
  make(
    "div",
    { class: "options" },
    field("X-rays of the prior study", files, { class: "wide" }),
    field("Date of the prior study", fields.prior_date),
    field("Date of this study", fields.study_date),
    field("Report of the prior study (optional)", fields.prior_report, { class: "wide" }),
    field("Or find it in the index by patient", fields.patient_id, { class: "wide" }),
    remove,
  ),
);

byId("write").closest(".actions").before(section);
byId("viewer").after(holder);
viewer.link(before);
for (const name of ["input", "change"]) section.addEventListener(name, entitle);
document.addEventListener("images", ({ detail }) => {
  if (detail === 0) clearPrior();
});

/** What a report is asked for beside its study: files and texts of the prior study. */
export function priorValues() {
  const patient = fields.patient_id.value.trim();
  const study = { study_date: fields.study_date.value };
  if (patient) return { ...study, find_prior: true, patient_id: patient };
  if (images.length === 0) return study;
  return {
    ...study,
    prior_images: images.map(({ file }) => file),
    prior_date: fields.prior_date.value,
    prior_report: fields.prior_report.value.trim(),
  };
}

async function choose(chosen) {
  const read = await readImages(chosen);
  forget();
  images = read;
  draw();
  say("Prior study ready");
}

function draw() {
  before.show(images.map((image) => asShown(image, "X-ray of the prior study")));
  holder.hidden = remove.hidden = images.length === 0;
  entitle();
}

function entitle() {
  const day = fields.prior_date.valueAsDate;
  const shown = day ? ` of ${day.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" })}` : "";
  title.textContent = `Prior study${shown}`;
}

function join(both) {
  linked = both;
  if (both) viewer.link(before);
  else viewer.unlink(before);
  link.setAttribute("aria-pressed", String(both));
  link.textContent = both ? "Window and zoom linked" : "Window and zoom apart";
  say(link.textContent);
}

function forget() {
  forgetImages(images);
  images = [];
}

function clearPrior() {
  forget();
  for (const one of Object.values(fields)) one.value = "";
  draw();
}
