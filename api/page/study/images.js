// The images of the current study: chosen files and their previews.

import { byId, button, say } from "../elements.js";
import { addShortcuts } from "../keys.js";
import { imageOptions } from "./options.js";
import { previewImage, ServiceError } from "../service.js";
import { PRESETS } from "./presets.js";
import { activeViewer, Viewer } from "./viewer.js";
import { act } from "../work.js";

export const viewer = new Viewer("X-ray");
const beside = new Viewer("Another view of the study", { tools: false });
let images = []; // {file, url, display, windows}, as `readImages` gives them
let hanging = true; // whether two views are shown side by side

byId("viewer").append(viewer.element);
byId("viewer-beside").append(beside.element);
viewer.link(beside, { greys: true });
const pair = button("Two views", {
  class: "quiet pair",
  title: "Two views side by side (V)",
  onclick: () => hang(!hanging),
});
viewer.toolbar.extra.append(pair);
viewer.element.addEventListener("shown", drawBeside);

export const files = () => images.map((image) => image.file);

/** Throw for a study that the server would refuse. */
export function checkLimits(study, { max_images: most, max_body_bytes: bytes }) {
  if (study.length > most) {
    throw new ServiceError(`A study may have at most ${most} images. Choose the views of one study only.`);
  }
  if (study.reduce((sum, file) => sum + file.size, 0) > bytes) {
    const size = (bytes / 2 ** 20).toLocaleString(undefined, { maximumFractionDigits: 1 });
    throw new ServiceError(`These files are larger than the ${size} MiB that the server accepts. Choose fewer or smaller ones.`);
  }
}

/** Read images; if one cannot be read, none is kept and its error is thrown. */
export async function readImages(chosen, signal) {
  const read = [];
  for (const file of chosen) read.push({ file, ...(await previewImage(file, imageOptions(), signal)) });
  return read.map(({ file, png, display }) => ({ file, display, url: URL.createObjectURL(png), windows: new Map() }));
}

/** How a viewer shows an image that was read. */
export const asShown = (image, name) => ({
  url: image.url,
  alt: `${name}: ${image.file.name}`,
  display: image.display,
  byWindow: (number) => byWindow(image, number),
});

/** The address of an image as one of its file's own windows shows it; null where that fails. */
async function byWindow({ file, windows }, number) {
  await act(async () => {
    if (windows.has(number)) return;
    const { png } = await previewImage(file, { ...imageOptions(), window: number });
    windows.set(number, URL.createObjectURL(png));
  });
  return windows.get(number) ?? null;
}

/** Give back the memory of images that were read. */
export function forgetImages(read) {
  for (const { url, windows } of read) for (const one of [url, ...windows.values()]) URL.revokeObjectURL(one);
}

export function addImages(read) {
  const first = images.length;
  images.push(...read);
  show(first);
}

export function clearImages() {
  forgetImages(images);
  images = [];
  show(0);
}

/** Show text in place of an image: a stored generation has none. */
export function showNoImage(text) {
  clearImages();
  viewer.say(text);
  byId("viewer").hidden = false;
  byId("clear").hidden = false;
}

function show(shown) {
  const some = images.length > 0;
  viewer.show(images.map((image) => asShown(image, "X-ray")), shown);
  byId("viewer").hidden = byId("clear").hidden = !some;
  document.dispatchEvent(new CustomEvent("images", { detail: images.length }));
  askForView();
}

/** Show two views side by side, or one. */
function hang(both) {
  hanging = both;
  drawBeside();
  say(both ? "Two views side by side" : "One view");
}

/** The view after the one that is shown. */
function drawBeside() {
  const some = images.length > 1 && viewer.images.length > 1;
  const place = (viewer.shown + 1) % Math.max(1, images.length);
  pair.hidden = !some;
  pair.setAttribute("aria-pressed", String(hanging));
  byId("viewer-beside").hidden = !some || !hanging;
  beside.show(some && hanging ? [{ ...viewer.images[place], place }] : []);
  beside.lay(viewer.maps);
}

function nextView() {
  if (viewer.images.length < 2) return false;
  viewer.show(viewer.images, (viewer.shown + 1) % viewer.images.length);
  say(`View ${viewer.shown + 1} of ${viewer.images.length}`);
  return true;
}

/** Lay maps over every view that is shown; none takes them off. */
export function layMaps(maps) {
  viewer.lay(maps);
  beside.lay(maps);
}

export function fadeMaps(change) {
  viewer.fade(change);
  beside.fade(change);
}

const on = (does) => (event) => {
  const target = activeViewer();
  if (target === null) return false;
  does(target, event);
  return true;
};

addShortcuts("X-ray", [
  { keys: ["i"], says: "Invert", does: on((one) => one.invert()) },
  {
    keys: PRESETS.map(({ key }) => key),
    says: `Window: ${PRESETS.map(({ name }) => name.toLowerCase()).join(", ")}`,
    does: on((one, { key }) => one.preset(PRESETS.find((preset) => preset.key === key))),
  },
  { keys: ["5"], says: "Window: those that the DICOM file states, one after another", does: on((one) => one.nextWindow()) },
  { keys: ["+", "=", "-"], shown: ["+", "\u2212"], says: "Zoom in and out", does: on((one, { key }) => one.zoom(key === "-" ? 1 / one.step : one.step)) },
  { keys: ["0"], says: "Reset window and zoom", does: on((one) => one.reset()) },
  { keys: ["f"], says: "Full screen", does: on((one) => one.fullScreen()) },
  { keys: ["r", "t"], says: "Ruler; cardiothoracic ratio by four points", does: on((one, { key }) => measure(one, key === "r" ? "ruler" : "ratio")) },
  { keys: ["n"], says: "Next view of the study", does: nextView },
  { keys: ["v"], says: "Two views side by side, or one", does: () => images.length > 1 && (hang(!hanging), true) },
]);

function measure(one, tool) {
  one.use(one.tool === tool ? "window" : tool);
  one.stage.focus({ preventScroll: true });
  say(one.measurements.text(one.tool));
}

/** Scroll the image into view within its column. */
export function showImage() {
  byId("image-column").scrollTop = 0;
}

/** Say that the next file dropped joins the current study. */
export function askForView() {
  askFor(images.length > 0 ? "Add a view" : "Drop a chest X-ray here, or choose files");
}

export function askFor(text) {
  byId("drop-text").textContent = text;
}

/** The first image that is a DICOM file, by its magic bytes; null if there is none. */
export async function dicomImage() {
  for (const { file } of images) {
    const magic = await file.slice(128, 132).text();
    if (magic === "DICM") return file;
  }
  return null;
}
