// Blinded review: reports of a file, one by one, graded per sentence and as a whole. The file and the
// ratings stay in this page; the ratings are saved as a file of JSON Lines, which
// `evaluation ratings FILE` reads.

import { button, byId, make, say } from "../elements.js";
import { parseReports, sha256, shuffled } from "./reports.js";

const FORMAT = "grounded-cxr-ratings-1";
const GRADES = { acceptable: "Acceptable", minor: "Minor error", major: "Major error" };

let digest = "";
let order = []; // reports, as this reader gets them
let ratings = []; // of each: {report, sentences, seconds}
let at = 0;
let since = 0; // when the report came on the screen
let saved = true;

byId("setup-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("alert").hidden = true;
  try {
    const text = await byId("reports").files[0].text();
    digest = await sha256(text);
    order = await shuffled(parseReports(text), byId("reader").value.trim(), digest);
  } catch (error) {
    byId("alert").textContent = error.message;
    byId("alert").hidden = false;
    return;
  }
  ratings = order.map(({ sentences }) => ({ report: null, sentences: sentences.map(() => null), seconds: 0 }));
  byId("setup").hidden = true;
  byId("reading").hidden = false;
  show(0);
});

function show(place) {
  pause();
  at = place;
  since = performance.now();
  const { sentences, reference } = order[at];
  byId("reading-title").textContent = `Report ${at + 1} of ${order.length}`;
  byId("sentences").replaceChildren(
    ...sentences.map((text, number) =>
      make("li", { class: "graded-sentence", tabindex: 0, "data-number": number }, make("p", {}, text), choice(`Sentence ${number + 1}`, number)),
    ),
  );
  byId("whole").replaceChildren(make("h3", {}, "The whole report"), choice("The whole report", null));
  byId("whole").tabIndex = 0;
  byId("reference").hidden = !reference;
  byId("reference").open = false;
  byId("reference-text").textContent = reference ?? "";
  byId("back").disabled = at === 0;
  update();
  byId("sentences").firstElementChild.focus();
}

/** The time on the screen counts up to now. */
function pause() {
  if (since > 0 && ratings[at]) ratings[at].seconds += (performance.now() - since) / 1000;
  since = document.hidden ? 0 : performance.now();
}

const gradeOf = (number) => (number === null ? ratings[at].report : ratings[at].sentences[number]);

function choice(name, number) {
  return make(
    "div",
    { class: "grades", role: "group", "aria-label": `${name}: grade` },
    ...Object.entries(GRADES).map(([grade, text]) =>
      button(text, { class: `quiet grade ${grade}`, "data-grade": grade, onclick: () => set(number, grade) }),
    ),
  );
}

function set(number, grade) {
  if (number === null) ratings[at].report = grade;
  else ratings[at].sentences[number] = grade;
  saved = false;
  update();
  say(`${number === null ? "Report" : `Sentence ${number + 1}`}: ${GRADES[grade]}`);
}

function update() {
  for (const group of document.querySelectorAll(".grades")) {
    const sentence = group.closest("[data-number]");
    const grade = gradeOf(sentence ? Number(sentence.dataset.number) : null);
    for (const one of group.children) one.setAttribute("aria-pressed", String(one.dataset.grade === grade));
  }
  byId("next").disabled = !isDone(ratings[at]);
  byId("next").textContent = at + 1 < order.length ? "Next report" : "Finish and save";
}

const isDone = ({ report, sentences }) => report !== null && sentences.every((one) => one !== null);

function next() {
  if (!isDone(ratings[at])) return;
  if (at + 1 < order.length) show(at + 1);
  else save();
}

function save() {
  pause();
  const reader = byId("reader").value.trim();
  const rows = order.flatMap(({ item, study, system, patient }, place) => {
    const { report, sentences, seconds } = ratings[place];
    if (!isDone(ratings[place])) return [];
    const rounded = Math.round(10 * seconds) / 10;
    return [{ format: FORMAT, file_sha256: digest, reader, item, study, system, patient, report, sentences, seconds: rounded, place }];
  });
  const blob = new Blob(rows.map((row) => `${JSON.stringify(row)}\n`), { type: "application/jsonl" });
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: `ratings-${reader.replaceAll(/\W+/g, "-")}.jsonl` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  saved = true;
  say(`${rows.length} ratings saved`);
}

byId("next").addEventListener("click", next);
byId("back").addEventListener("click", () => show(at - 1));
byId("save").addEventListener("click", save);
document.addEventListener("visibilitychange", pause);
window.addEventListener("beforeunload", (event) => {
  if (!saved) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (byId("reading").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const stops = [...document.querySelectorAll(".graded-sentence"), byId("whole")];
  const here = stops.findIndex((one) => one.contains(document.activeElement));
  const key = event.key.toLowerCase();
  const step = { j: 1, k: -1 }[key];
  const grade = Object.keys(GRADES)[Number(key) - 1];
  if (step) stops[Math.min(stops.length - 1, Math.max(0, here + step))].focus();
  else if (grade && here >= 0) {
    const { number } = stops[here].dataset;
    set(number === undefined ? null : Number(number), grade);
    stops[Math.min(stops.length - 1, here + 1)].focus();
  } else if (event.key === "Enter" && !event.target.closest("button, summary, a")) next();
  else if (key === "b" && at > 0) show(at - 1);
  else return;
  event.preventDefault();
});
