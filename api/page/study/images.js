// The images of the current study: chosen files and their previews.

import { byId } from "../elements.js";
import { imageOptions } from "./options.js";
import { previewImage, ServiceError } from "../service.js";
import { Viewer } from "./viewer.js";

export const viewer = new Viewer("X-ray");
let images = []; // {file, url}

byId("viewer").append(viewer.element);

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
  const previews = [];
  for (const file of chosen) previews.push(await previewImage(file, imageOptions(), signal));
  return chosen.map((file, number) => ({ file, url: URL.createObjectURL(previews[number]) }));
}

export function addImages(read) {
  const first = images.length;
  images.push(...read);
  show(first);
}

export function clearImages() {
  for (const image of images) URL.revokeObjectURL(image.url);
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
  viewer.show(images.map(({ file, url }) => ({ url, alt: `X-ray: ${file.name}` })), shown);
  byId("viewer").hidden = byId("clear").hidden = !some;
  document.dispatchEvent(new CustomEvent("images", { detail: images.length }));
  askForView();
}

/** Scroll the image into view within its column. */
export function showImage() {
  byId("image-column").scrollTop = 0;
}

/** Say that the next file dropped joins the current study. */
export function askForView() {
  askFor(images.length > 0 ? "Add another view of this study" : "Drop a chest X-ray here, or choose files");
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
