// The page: what happens when something is dropped, pressed or opened.

import { closeCase, openCase } from "./case.js";
import { byId, make } from "./elements.js";
import {
  addFilms,
  askFor,
  askForView,
  clearFilms,
  files,
  readFilms,
  showNoFilm,
} from "./films.js";
import { drawFound } from "./found.js";
import { startPaper } from "./paper.js";
import { drawReport, markOpen, reportText } from "./report.js";
import {
  createReport,
  createSearch,
  getGeneration,
  getHealth,
  getSample,
  listGenerations,
} from "./service.js";

let limit = 8;
let studies = 0;
let report = null;
let opener = null;
let running = null; // AbortController of what is under way

const say = (text) => {
  byId("status").textContent = text;
};

const narrow = () => window.matchMedia("(max-width: 800px)").matches;

function fail(error) {
  if (error.name === "AbortError") return;
  byId("error").textContent = error.message;
  byId("error").hidden = false;
  byId("error").scrollIntoView({ block: "nearest" });
  for (const stage of byId("stages").querySelectorAll(".now")) stage.className = "failed";
}

function stage(text) {
  const list = byId("stages");
  for (const previous of list.querySelectorAll(".now")) previous.className = "done";
  list.append(make("li", { class: "now" }, text));
  list.hidden = false;
  say(text);
}

function finishStages(text) {
  for (const previous of byId("stages").querySelectorAll(".now")) previous.className = "done";
  byId("stages").append(make("li", { class: "done" }, text));
  say(text);
}

/** Run one thing at a time; a new one stops the one before. */
async function run(work) {
  running?.abort();
  const own = new AbortController();
  running = own;
  byId("error").hidden = true;
  byId("stages").replaceChildren();
  byId("stages").hidden = true;
  byId("write").disabled = true;
  try {
    await work(own.signal);
  } catch (error) {
    if (running === own) fail(error);
  } finally {
    if (running === own) {
      running = null;
      byId("write").disabled = files().length === 0;
    }
  }
}

/** Take films: further views of the study, or another study once there is a report. */
async function take(chosen, signal) {
  if (chosen.length + (report ? 0 : files().length) > limit) {
    throw new Error(`One study may have ${limit} images: choose its views only.`);
  }
  stage(chosen.length === 1 ? "Reading the film" : `Reading ${chosen.length} films`);
  const read = await readFilms(chosen, signal);
  if (report) {
    clearFilms();
    clearReport();
  }
  addFilms(read);
  finishStages("Ready to write a report");
}

function choose(chosen) {
  if (chosen.length === 0) return;
  run(async (signal) => {
    await take(chosen, signal);
    byId("write").disabled = false;
    byId("write").focus({ preventScroll: true });
  });
}

function writeReport() {
  return run(async (signal) => {
    const started = performance.now();
    stage(`Searching ${studies.toLocaleString()} prior cases and writing the report`);
    const written = await createReport(files(), options(), signal);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    show(written);
    finishStages(`Report written in ${seconds} s`);
    history.replaceState(null, "", `#${written.id}`);
    fillHistory();
    goToReport();
  });
}

/** Its beginning must be seen: a warning stands there. */
function goToReport() {
  const paper = byId("report");
  paper.focus({ preventScroll: true });
  if (narrow() || paper.getBoundingClientRect().top < 0) paper.scrollIntoView();
}

function searchByWords() {
  const text = byId("text").value.trim();
  if (!text) return;
  run(async (signal) => {
    const beside = byId("with-film").checked ? files() : [];
    const weight = beside.length > 0 ? byId("text-weight").value : "";
    stage(`Searching ${studies.toLocaleString()} prior cases`);
    const wanted = { ...options(), text, text_weight: weight };
    const found = await createSearch(beside, wanted, signal);
    clearReport();
    if (files().length === 0) clearFilms();
    else askForView();
    drawFound(found, text, open);
    finishStages(found.hits.length === 1 ? "1 prior case" : `${found.hits.length} prior cases`);
    goToReport();
  });
}

function options() {
  return {
    k: byId("k").value,
    exclude_patient: byId("exclude-patient").value.trim(),
    exclude_study: byId("exclude-study").value.trim(),
    label: byId("label").value,
    label_filter: byId("label-filter").value,
    min_ratio: byId("min-ratio").value,
    diversity: byId("diversity").value,
    distinct_reports: byId("distinct").checked,
    keep_near_copies: byId("copies").checked,
  };
}

function show(written) {
  close();
  report = written;
  drawReport(report, open);
  askFor("Drop the films of another study");
  byId("copy").hidden = false;
}

function clearReport() {
  close();
  report = null;
  startPaper("Report", null, "").append(
    make("p", { class: "empty muted" }, "No report of this film yet."),
  );
  byId("copy").hidden = true;
  history.replaceState(null, "", location.pathname);
}

async function open(cited, pressed) {
  if (opener === pressed) {
    close();
    return;
  }
  opener = pressed;
  markOpen(pressed);
  await openCase(cited, close);
  if (narrow()) pressed.scrollIntoView({ block: "start" });
  say(`Prior case ${cited.number} opened`);
}

function close() {
  closeCase();
  markOpen(null);
  if (opener?.isConnected) opener.focus();
  opener = null;
}

function openStored(id) {
  return run(async () => {
    const stored = await getGeneration(id);
    showNoFilm("Films are not stored. This is an earlier report.");
    byId("clear").hidden = false;
    show(stored);
    history.replaceState(null, "", `#${id}`);
    say("Earlier report opened");
  });
}

async function fillHistory() {
  try {
    const page = await listGenerations();
    byId("history-list").replaceChildren(
      ...page.generations.map((line) =>
        make(
          "li",
          {},
          make(
            "button",
            { type: "button", onclick: () => openStored(line.id) },
            make("span", { class: "first" }, line.text || "(empty report)"),
            line.in_distribution === false
              ? make("span", { class: "unlike small" }, "image unlike the index")
              : null,
            make("span", { class: "muted small" }, new Date(line.created_at).toLocaleString()),
          ),
        ),
      ),
    );
    if (page.generations.length === 0) {
      byId("history-list").append(make("li", { class: "muted" }, "None yet."));
    }
  } catch (error) {
    byId("history-list").replaceChildren(make("li", { class: "muted" }, error.message));
  }
}

async function greet() {
  try {
    const health = await getHealth();
    limit = health.limits.max_images;
    studies = health.index.studies;
    byId("sample").hidden = !health.sample;
    byId("words").hidden = !health.search_by_text;
    byId("label").append(...health.findings.map((name) => make("option", {}, name)));
    byId("index-line").textContent =
      `${studies.toLocaleString()} prior cases of ${health.index.source} · ` +
      `encoder ${health.index.encoder} · index ${health.index.fingerprint.slice(0, 12)}`;
  } catch (error) {
    fail(error);
  }
}

const drop = byId("drop");
byId("files").addEventListener("change", (event) => {
  const chosen = [...event.target.files];
  event.target.value = "";
  choose(chosen);
});
// A film dropped beside the field must not replace the page.
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => event.preventDefault());
}
document.addEventListener("dragover", () => drop.classList.add("over"));
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, () => drop.classList.remove("over"));
}
document.addEventListener("drop", (event) => choose([...event.dataTransfer.files]));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opener) close();
});
byId("words-form").addEventListener("submit", (event) => {
  event.preventDefault();
  searchByWords();
});
byId("write").addEventListener("click", writeReport);
byId("clear").addEventListener("click", () => {
  running?.abort();
  clearFilms();
  clearReport();
  byId("stages").hidden = true;
  byId("error").hidden = true;
  byId("files").focus();
});
byId("invert").addEventListener("click", (event) => {
  const inverted = byId("viewer").classList.toggle("inverted");
  event.currentTarget.setAttribute("aria-pressed", String(inverted));
});
byId("sample").addEventListener("click", () =>
  run(async (signal) => {
    stage("Fetching the sample film");
    const sample = await getSample();
    clearFilms();
    await take([sample], signal);
  }).then(() => files().length > 0 && byId("error").hidden && writeReport()),
);
byId("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(reportText(report));
    say("Copied");
    byId("copy").textContent = "Copied";
    setTimeout(() => {
      byId("copy").textContent = "Copy text";
    }, 1500);
  } catch {
    fail(new Error("The browser did not allow copying: select the text instead."));
  }
});
window.addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (id && id !== "report" && id !== report?.id) openStored(id);
});

await greet();
fillHistory();
if (location.hash.length > 1 && location.hash !== "#report") openStored(location.hash.slice(1));
