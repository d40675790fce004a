// The page: what happens when something is dropped, pressed or opened.

import { hideAlert, showAlert } from "./alert.js";
import { addAnswer, allowAsking, clearAnswers, offerTasks } from "./asking.js";
import { closeCase, openCase } from "./case.js";
import { byId, counted, make, narrow, say } from "./elements.js";
import { copy, offerExports } from "./exports.js";
import { addFilms, askFor, askForView, clearFilms, files, readFilms, showNoFilm } from "./films.js";
import { drawFound } from "./found.js";
import { copyText, drawGeneration, nameOf, TASKS } from "./generation.js";
import { startHistory } from "./history.js";
import { markOpen } from "./hits.js";
import { askForKey, forgetKey } from "./key.js";
import { searchOptions, writingOptions } from "./options.js";
import { startPaper } from "./paper.js";
import { failProgress, finishProgress, hideProgress, stage, startProgress, token } from "./progress.js";
import { accept, closeEditor, editedText, markWrong, openEditor, review, saveEdit } from "./review.js";
import { createSearch, createText, getGeneration, getHealth, getSample, ServiceError } from "./service.js";

const PATHS = { report: "/reports", ask: "/answers", classify: "/classifications", caption: "/captions" };

let limits = { max_images: 8, max_body_bytes: Infinity };
let studies = 0;
let sample = false; // whether the server has a film to try
let shown = null; // the generation on the paper
let opener = null; // the chip or row whose case is open
let running = null; // AbortController of what is under way

const stageText = (name) =>
  ({
    reading: files().length === 1 ? "Reading the film" : `Reading ${files().length} films`,
    retrieving: `Searching ${counted(studies, "prior case", "prior cases")}`,
    writing: "Writing",
    checking: "Checking citations",
  })[name] ?? name;

/** Run one thing at a time; a new one stops the one before. `again` is the whole of it anew. */
async function run(work, again) {
  running?.abort();
  const own = new AbortController();
  running = own;
  hideAlert();
  hideProgress();
  enable();
  try {
    await work(own.signal);
  } catch (error) {
    if (running !== own) return;
    failProgress(error.name === "AbortError" ? "Cancelled" : "Failed");
    showAlert(error, again);
  } finally {
    if (running === own) {
      running = null;
      enable();
    }
  }
}

/** A press that is not part of what is under way. */
async function act(work) {
  hideAlert();
  try {
    await work();
  } catch (error) {
    showAlert(error, () => act(work));
  }
}

function enable() {
  const busy = running !== null;
  byId("write").disabled = busy || files().length === 0;
  byId("with-film").disabled = files().length === 0;
  byId("sample").hidden = !sample || files().length > 0;
  allowAsking(files().length, busy);
}

/** Take films: further views of the study, or another study once there is a report. */
async function take(chosen, signal) {
  const fresh = shown !== null;
  const study = [...(fresh ? [] : files()), ...chosen];
  if (study.length > limits.max_images) {
    throw new ServiceError(`One study may have ${limits.max_images} images: choose its views only.`);
  }
  const bytes = study.reduce((sum, file) => sum + file.size, 0);
  if (bytes > limits.max_body_bytes) {
    const most = Math.floor(limits.max_body_bytes / 2 ** 20);
    throw new ServiceError(`These files are larger than the ${most} MiB that the server takes: choose fewer or smaller ones.`);
  }
  note(chosen.length === 1 ? "Reading the film\u2026" : `Reading ${chosen.length} films\u2026`);
  try {
    const read = await readFilms(chosen, signal);
    if (fresh) {
      clearFilms();
      clearPaper();
    }
    addFilms(read);
    say(`${counted(files().length, "film", "films")} ready`);
  } finally {
    note("");
  }
}

function note(text) {
  byId("film-note").textContent = text;
  byId("film-note").hidden = !text;
  if (text) say(text);
}

function choose(chosen) {
  if (chosen.length === 0) return;
  run(async (signal) => {
    await take(chosen, signal);
    byId("write").disabled = false;
    byId("write").focus({ preventScroll: true });
  }, () => choose(chosen));
}

/** Have the server write, and follow it; `place` is given what was made. */
function write(task, values, place) {
  return run(async (signal) => {
    const started = performance.now();
    const [path, own] = [PATHS[task], running];
    startProgress(byId(task === "report" ? "report-progress" : "asking-progress"), () => own.abort());
    if (task === "report") goToPaper();
    const made = await createText(path, files(), { ...writingOptions(), ...values }, signal, (event, data) => {
      if (event === "stage") stage(stageText(data.stage));
      else token(data.text);
    });
    place(made);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    finishProgress(`${TASKS[task]} written in ${seconds} s`);
    fillHistory();
  }, () => write(task, values, place));
}

const writeReport = () =>
  write("report", {}, (made) => {
    show(made, true);
    history.replaceState(null, "", `#${made.id}`);
    goToPaper();
  });

function ask() {
  const question = byId("question").value.trim();
  if (!question) return;
  write("ask", { question }, (made) => {
    byId("question").value = "";
    addAnswer(made, open);
  });
}

/** Its beginning must be seen: a warning stands there; and the film beside it. */
function goToPaper() {
  showFilm();
  const paper = byId("report");
  paper.focus({ preventScroll: true });
  if (narrow() || paper.getBoundingClientRect().top < 0) paper.scrollIntoView();
}

function showFilm() {
  byId("film-column").scrollTop = 0;
}

function searchByWords() {
  const text = byId("text").value.trim();
  if (!text) return;
  run(async (signal) => {
    const beside = byId("with-film").checked ? files() : [];
    const weight = beside.length > 0 ? byId("text-weight").value : "";
    const own = running;
    startProgress(byId("report-progress"), () => own.abort());
    stage(stageText("retrieving"));
    const found = await createSearch(beside, { ...searchOptions(), text, text_weight: weight }, signal);
    clearPaper();
    if (files().length === 0) clearFilms();
    else askForView();
    drawFound(found, text, open);
    finishProgress(counted(found.hits.length, "prior case", "prior cases"));
    goToPaper();
  }, searchByWords);
}

/** Put a generation on the paper; `ownFilms` where the films at hand are those it was made from. */
function show(made, ownFilms) {
  close();
  shown = made;
  drawGeneration(made, open);
  askFor("Drop the films of another study");
  act(() => review(made));
  offerExports(made, ownFilms, act);
}

function clearPaper() {
  close();
  shown = null;
  review(null);
  clearAnswers();
  startPaper("Report", null, "").append(make("p", { class: "empty muted" }, "No report of this film yet."));
  history.replaceState(null, "", location.pathname);
}

async function open(cited, pressed) {
  if (opener === pressed) {
    close();
    return;
  }
  opener = pressed;
  markOpen(pressed);
  const onPaper = byId("report-body").contains(pressed);
  const wrong = onPaper && cited.place !== null ? () => disown(cited, pressed) : null;
  showFilm();
  await openCase(cited, { close, wrong });
  if (narrow() && opener === pressed) pressed.scrollIntoView({ block: "start" });
  say(`Prior case ${cited.number} opened`);
}

const disown = (cited) =>
  act(async () => {
    await markWrong(cited.place, cited.number);
    byId("wrong").disabled = true;
    byId("wrong").textContent = "Marked as wrong";
  });

function close() {
  closeCase();
  markOpen(null);
  if (opener?.isConnected) opener.focus();
  opener = null;
}

function openStored(id) {
  return run(async () => {
    const stored = await getGeneration(id);
    if (stored.status !== "done") {
      const wait = ["queued", "running"].includes(stored.status) ? 2 : null;
      throw new ServiceError(stored.detail ?? `This ${nameOf(stored.task)} is ${stored.status}.`, { wait });
    }
    showNoFilm("Films are not stored: this was written earlier.");
    clearAnswers();
    show(stored, false);
    history.replaceState(null, "", `#${id}`);
    say(`Earlier ${nameOf(stored.task)} opened`);
    goToPaper();
  }, () => openStored(id));
}

const fillHistory = startHistory({
  open: openStored,
  gone: (id) => {
    if (shown?.id !== id) return;
    clearPaper();
    if (files().length === 0) clearFilms();
  },
  fail: showAlert,
});

async function greet() {
  const health = await getHealth();
  limits = health.limits;
  studies = health.index.studies;
  sample = health.sample;
  byId("words").hidden = !health.search_by_text;
  byId("key-open").hidden = !health.keys_required;
  if (byId("label").length === 1) {
    byId("label").append(...health.findings.map((name) => make("option", {}, name)));
  }
  offerTasks(health.tasks);
  enable();
  byId("index-line").textContent = [
    `${counted(studies, "prior case", "prior cases")} of ${health.index.source}`,
    `encoder ${health.index.encoder}`,
    health.model ? `model ${health.model.adapter ?? health.model.name}` : "no language model",
    `index ${health.index.fingerprint.slice(0, 12)}`,
  ].join(" · ");
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
document.addEventListener("films", enable);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opener && !byId("key-dialog").open) close();
});
byId("words-form").addEventListener("submit", (event) => {
  event.preventDefault();
  searchByWords();
});
byId("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
for (const task of ["classify", "caption"]) {
  byId(task).addEventListener("click", () => write(task, {}, (made) => addAnswer(made, open)));
}
byId("write").addEventListener("click", writeReport);
byId("clear").addEventListener("click", () => {
  running?.abort();
  clearFilms();
  clearPaper();
  hideProgress();
  hideAlert();
  byId("files").focus();
});
byId("sample").addEventListener("click", async () => {
  await run(async (signal) => {
    const film = await getSample();
    await take([film], signal);
  });
  if (files().length > 0 && byId("alert").hidden) writeReport();
});
byId("accept").addEventListener("click", () => act(accept));
byId("edit").addEventListener("click", () => (byId("editor").hidden ? openEditor() : closeEditor()));
byId("edit-cancel").addEventListener("click", () => {
  closeEditor();
  byId("edit").focus();
});
byId("editor").addEventListener("submit", (event) => {
  event.preventDefault();
  act(saveEdit);
});
byId("copy").addEventListener("click", () =>
  act(async () => {
    await copy(copyText(shown, editedText()), byId("copy"));
    say("Copied");
  }),
);
byId("print").addEventListener("click", () => window.print());
byId("key-open").addEventListener("click", async () => {
  forgetKey();
  if (await askForKey("Give another API key.")) fillHistory();
});
window.addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (id && id !== "report" && id !== shown?.id) openStored(id);
});

await act(greet);
fillHistory();
if (location.hash.length > 1 && location.hash !== "#report") openStored(location.hash.slice(1));
