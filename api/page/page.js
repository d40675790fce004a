// The entry point: what happens when something is dropped, pressed or opened.

import { hideAlert, showAlert } from "./alert.js";
import { addAnswer, allowAsking, clearAnswers, offerTasks } from "./report/asking.js";
import { close, isOpen, open } from "./cases/cited.js";
import { listenForFiles } from "./study/drop.js";
import { byId, counted, make, narrow, say } from "./elements.js";
import { closeMenu, copy, offerExports } from "./report/exports.js";
import {
  addImages,
  askFor,
  checkLimits,
  clearImages,
  files,
  readImages,
  showImage,
  showNoImage,
} from "./study/images.js";
import { clearFound, drawFound } from "./cases/found.js";
import { allowPublicImages } from "./cases/public_images.js";
import { copyText, drawGeneration, nameOf, TASKS } from "./report/generation.js";
import { startHistory } from "./history.js";
import { askForKey, forgetKey } from "./key.js";
import { searchOptions, wordOptions, writingOptions } from "./study/options.js";
import { priorValues } from "./study/prior.js";
import { forgetMaps } from "./study/score_maps.js";
import { clearSendBack, createPacsReport, offerSendBack, startPacs } from "./pacs.js";
import { startPanel } from "./report/panel.js";
import { offerSamples } from "./samples.js";
import { remember } from "./session.js";
import { structuredText, templateShown } from "./report/structured.js";
import { finishProgress, hideProgress, stage, startProgress, token } from "./report/progress.js";
import {
  accept,
  closeEditor,
  editedSentences,
  editedText,
  openEditor,
  review,
  saveEdit,
  saveSentence,
} from "./report/review.js";
import { startSentences } from "./report/sentences.js";
import { createSearch, createText, getGeneration, getHealth, getSample, ServiceError } from "./service.js";
import { act, cancel, isBusy, run } from "./work.js";

const PATHS = { report: "reports", ask: "answers", classify: "classifications", caption: "captions" };

let limits = { max_images: 8, max_body_bytes: Infinity };
let studies = 0;
let sample = false; // whether the server offers a sample X-ray
let shown = null; // the generation in the report panel

const stageText = (name) =>
  ({
    reading: files().length === 1 ? "Reading the X-ray" : `Reading ${files().length} X-rays`,
    retrieving: `Searching ${counted(studies, "prior case", "prior cases")}`,
    writing: "Writing",
    checking: "Checking citations",
  })[name] ?? name;

function enable() {
  const busy = isBusy();
  byId("write").disabled = byId("similar").disabled = busy || files().length === 0;
  byId("with-image").disabled = files().length === 0;
  byId("sample").hidden = !sample || files().length > 0;
  byId("samples").hidden = files().length > 0 || shown !== null || busy;
  allowAsking(files().length, busy);
}

/** Add images: further views of the study, or another study once there is a report. */
async function take(chosen, signal) {
  const fresh = shown !== null;
  checkLimits([...(fresh ? [] : files()), ...chosen], limits);
  note(chosen.length === 1 ? "Reading the X-ray\u2026" : `Reading ${chosen.length} X-rays\u2026`);
  try {
    const read = await readImages(chosen, signal);
    if (fresh) {
      clearImages();
      clearPanel();
    }
    addImages(read);
    say(`${counted(files().length, "X-ray", "X-rays")} ready`);
  } finally {
    note("");
  }
}

function note(text) {
  byId("image-note").textContent = text;
  byId("image-note").hidden = !text;
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

/** Request a generation and show its progress; `place` gets the result. */
function write(task, values, place) {
  return run(async (signal) => {
    const started = performance.now();
    startProgress(byId(task === "report" ? "report-progress" : "asking-progress"), cancel);
    if (task === "report") goToReport();
    const made = await createText(PATHS[task], files(), { ...writingOptions(), ...values }, signal, (event, data) => {
      if (event === "stage") stage(stageText(data.stage));
      else if (event === "token") token(data.text);
    });
    place(made);
    remember(made.id);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    finishProgress(`${TASKS[task]} written in ${seconds} s`);
    fillHistory();
  }, () => write(task, values, place));
}

const writeReport = () =>
  write("report", priorValues(), (made) => {
    show(made, true);
    history.replaceState(null, "", `#${made.id}`);
    goToReport();
  });

function ask() {
  const question = byId("question").value.trim();
  if (!question) return;
  write("ask", { question }, (made) => {
    byId("question").value = "";
    addAnswer(made, open);
  });
}

/** Scroll to the start of the report, where a warning stands, and to the image beside it. */
function goToReport() {
  showImage();
  const report = byId("report");
  report.focus({ preventScroll: true });
  report.scrollTop = 0;
  if (narrow() || report.getBoundingClientRect().top < 0) report.scrollIntoView();
}

/** Search without writing: a report that is shown stays. */
function search(images, values, text, again) {
  run(async (signal) => {
    if (!byId("found").contains(document.querySelector("[data-number][aria-pressed=true]"))) clearFound();
    else close();
    byId("found").hidden = false;
    startProgress(byId("found-progress"), cancel);
    stage(stageText("retrieving"));
    goTo(byId("found"));
    const found = await createSearch(images, values, signal);
    drawFound(found, { text, asked: Number(values.k) }, open);
    finishProgress(counted(found.hits.length, "prior case", "prior cases"));
    goTo(byId("found"));
  }, again);
}

function searchByWords() {
  const text = byId("text").value.trim();
  if (!text) return;
  const beside = byId("with-image").checked ? files() : [];
  const weight = beside.length > 0 ? byId("text-weight").value : "";
  search(beside, { ...wordOptions(), text, text_weight: weight }, text, searchByWords);
}

const findSimilar = () => search(files(), searchOptions(), null, findSimilar);

function goTo(place) {
  place.focus({ preventScroll: true });
  place.scrollIntoView();
}

/** Show a generation; `ownImages` if it was made from the current images. */
function show(made, ownImages) {
  close();
  forgetMaps();
  clearSendBack();
  shown = made;
  drawGeneration(made, open);
  askFor("Another study");
  act(() => review(made));
  offerExports(made, ownImages, act);
}

function clearPanel() {
  close();
  forgetMaps();
  clearSendBack();
  shown = null;
  review(null);
  clearAnswers();
  clearFound();
  startPanel("Report", null, "").append(make("p", { class: "empty muted" }, "No report on this X-ray yet."));
  history.replaceState(null, "", location.pathname);
}

function openStored(id) {
  return run(async () => {
    const stored = await getGeneration(id);
    if (stored.status !== "done") {
      const wait = ["queued", "running"].includes(stored.status) ? 2 : null;
      throw new ServiceError(stored.detail ?? `This ${nameOf(stored.task)} is ${stored.status}.`, { wait });
    }
    showNoImage("X-rays are not stored; this was written earlier.");
    clearAnswers();
    show(stored, false);
    history.replaceState(null, "", `#${id}`);
    say(`Earlier ${nameOf(stored.task)} opened`);
    goToReport();
  }, () => openStored(id));
}

/** Fetch a study of the PACS and report on it; only then can the report be sent back. */
function reportOnStudy(study, target) {
  return run(async (signal) => {
    startProgress(byId("report-progress"), cancel);
    stage("Fetching the study and writing about it");
    goToReport();
    const made = await createPacsReport(study, signal);
    showNoImage("X-rays that the PACS sent are not stored.");
    clearAnswers();
    show(made, false);
    offerSendBack(made, study, target, act);
    history.replaceState(null, "", `#${made.id}`);
    finishProgress("Report on a study of the PACS written");
    fillHistory();
    goToReport();
  }, () => reportOnStudy(study, target));
}

startPacs({ report: reportOnStudy, act });

const fillHistory = startHistory({
  open: openStored,
  removed: (id) => {
    if (shown?.id !== id) return;
    clearPanel();
    if (files().length === 0) clearImages();
  },
  fail: showAlert,
});

/** The name of a model, without the folder that it lies in. */
const lastPart = (name) => name.replace(/[\\/]+$/, "").split(/[\\/]/).at(-1);

async function greet() {
  const health = await getHealth();
  limits = health.limits;
  studies = health.index.studies;
  sample = health.sample;
  allowPublicImages(health.public_images);
  byId("words").hidden = !health.search_by_text;
  byId("pacs").hidden = !health.pacs;
  byId("key-open").hidden = !health.keys_required;
  if (byId("label").length === 1) {
    byId("label").append(...health.findings.map((name) => make("option", {}, name)));
  }
  offerTasks(health.tasks);
  enable();
  byId("index-line").textContent = [
    `${counted(studies, "prior case", "prior cases")} from ${health.index.source}`,
    health.model ? `model ${lastPart(health.model.adapter ?? health.model.name)}` : "no language model",
  ].join(" · ");
}

listenForFiles(choose);
startSentences({
  save: async (place, text) => {
    let saved = false;
    await act(async () => {
      await saveSentence(place, text);
      saved = true;
    });
    return saved;
  },
});
for (const name of ["images", "work"]) document.addEventListener(name, enable);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (!closeMenu() && isOpen()) close();
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
byId("similar").addEventListener("click", findSimilar);
byId("found-close").addEventListener("click", () => {
  if (byId("found").contains(document.querySelector("[data-number][aria-pressed=true]"))) close();
  clearFound();
  byId("report").focus({ preventScroll: true });
});
byId("clear").addEventListener("click", () => {
  cancel();
  clearImages();
  clearPanel();
  hideProgress();
  hideAlert();
  byId("files").focus();
});
/** Report on an X-ray that the server or the page has; `load` fetches it. */
async function trySample(load) {
  await run(async (signal) => {
    const image = await load();
    await take([image], signal);
  });
  if (files().length > 0 && byId("alert").hidden) writeReport();
}

byId("sample").addEventListener("click", () => trySample(getSample));
offerSamples(trySample);
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
    const template = templateShown() ? structuredText(shown, editedSentences()) : null;
    await copy(copyText(shown, editedText(), editedSentences(), template), byId("copy"));
    say("Copied");
  }),
);
byId("print").addEventListener("click", () => window.print());
byId("key-open").addEventListener("click", async () => {
  forgetKey();
  if (await askForKey("Enter another API key.")) fillHistory();
});
window.addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (id && id !== "report" && id !== shown?.id) openStored(id);
});

await act(greet);
fillHistory();
if (location.hash.length > 1 && location.hash !== "#report") openStored(location.hash.slice(1));
