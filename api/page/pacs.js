// Studies of the PACS: search them, report on one, and send its report back.

import { button, byId, counted, make, say } from "./elements.js";
import { writingOptions } from "./study/options.js";
import { reportOnPacs, searchPacs, sendBack } from "./service.js";

/** Wire the fold; `report(study, target)` is called for the study that is pressed, `act` runs a search. */
export function startPacs({ report, act }) {
  byId("pacs-form").addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => fillStudies(report));
  });
}

async function fillStudies(report) {
  const list = byId("pacs-list");
  const press = byId("pacs-search");
  list.replaceChildren();
  byId("pacs-count").textContent = "Searching the PACS\u2026";
  press.disabled = true;
  try {
    const found = await searchPacs(query());
    const more = found.complete ? "" : ", and more that are not listed";
    byId("pacs-count").textContent = `${counted(found.studies.length, "study", "studies")}${more}`;
    list.append(...found.studies.map((study) => row(study, () => report(study, found.target))));
    say(byId("pacs-count").textContent);
  } catch (error) {
    byId("pacs-count").textContent = "";
    throw error;
  } finally {
    press.disabled = false;
  }
}

function query() {
  const [first, last] = ["pacs-from", "pacs-to"].map((id) => byId(id).value.replaceAll("-", ""));
  return {
    date: first || last ? `${first}-${last}` : "",
    modalities: byId("pacs-modality").value.split(" "),
    patient_id: byId("pacs-patient").value.trim(),
  };
}

function row(study, press) {
  const counts = study.instances === null ? "" : counted(study.instances, "image", "images");
  const facts = [day(study.date), study.modalities.join(", "), counts, study.description];
  const opened = button(make("span", { class: "first" }, `Patient ${study.patient_id || "unknown"}`), {
    class: "history-open",
    "aria-label": `Report on the study of patient ${study.patient_id || "unknown"}, ${day(study.date)}`,
    onclick: press,
  });
  opened.append(make("span", { class: "muted small" }, facts.filter(Boolean).join(" · ")));
  return make("li", { class: "history-entry" }, opened);
}

const day = (date) => date.replace(/^(\d{4})(\d{2})(\d{2})$/, "$1-$2-$3");

/** Fetch a study and write its report. */
export function createPacsReport(study, signal) {
  const { k, exclude_patient, exclude_study, accept_as_chest, indication, sensitivity } = writingOptions();
  const wanted = {
    study: study.uid,
    k: Number(k),
    exclude_patient: exclude_patient ? [exclude_patient] : [],
    exclude_study: exclude_study ? [exclude_study] : [],
    accept_as_chest,
    indication,
    sensitivity,
  };
  return reportOnPacs(wanted, signal);
}

export const clearSendBack = () => byId("pacs-send").replaceChildren();

/** Offer to send a report back: the first press shows where to, the second sends it. */
export function offerSendBack(made, study, target, act) {
  const box = byId("pacs-send");
  const first = button("Send back to the PACS", { class: "plain", id: "send-back" });
  const really = button("Send this report", { class: "danger", id: "send-really" });
  const keep = button("Do not send", { class: "plain", id: "send-not" });
  const where = make(
    "p",
    { id: "send-where" },
    `To ${target}, study ${study.uid}: a preliminary, unverified report, for research use only.`,
  );
  first.addEventListener("click", () => {
    box.replaceChildren(where, make("div", { class: "actions" }, really, keep));
    keep.focus();
  });
  keep.addEventListener("click", () => {
    box.replaceChildren(first);
    first.focus();
  });
  really.addEventListener("click", () =>
    act(async () => {
      really.disabled = keep.disabled = true;
      try {
        const sent = await sendBack({ generation: made.id, study: study.uid, target });
        box.replaceChildren(make("p", { class: "muted small", id: "sent" }, `Sent to ${sent.target}.`), first);
        say("Report sent to the PACS");
        first.focus();
      } finally {
        really.disabled = keep.disabled = false;
      }
    }),
  );
  box.replaceChildren(first);
}
