// The films of the study at hand: chosen files and their previews.

import { byId } from "./elements.js";
import { previewFilm, ServiceError } from "./service.js";
import { Viewer } from "./viewer.js";

const viewer = new Viewer("Film");
let films = []; // {file, url}

byId("viewer").append(viewer.element);

export const files = () => films.map((film) => film.file);

/** Throws for a study that the server would not take. */
export function checkLimits(study, { max_images: images, max_body_bytes: bytes }) {
  if (study.length > images) {
    throw new ServiceError(`One study may have ${images} images: choose its views only.`);
  }
  if (study.reduce((sum, file) => sum + file.size, 0) > bytes) {
    const most = (bytes / 2 ** 20).toLocaleString(undefined, { maximumFractionDigits: 1 });
    throw new ServiceError(`These films are larger than the ${most} MiB that the server takes: choose fewer or smaller ones.`);
  }
}

/** Read films; where one cannot be read none is kept, and its error is thrown. */
export async function readFilms(chosen, signal) {
  const previews = [];
  for (const file of chosen) previews.push(await previewFilm(file, signal));
  return chosen.map((file, number) => ({ file, url: URL.createObjectURL(previews[number]) }));
}

export function addFilms(read) {
  const first = films.length;
  films.push(...read);
  show(first);
}

export function clearFilms() {
  for (const film of films) URL.revokeObjectURL(film.url);
  films = [];
  show(0);
}

/** In place of a film: a stored text has none. */
export function showNoFilm(text) {
  clearFilms();
  viewer.say(text);
  byId("viewer").hidden = false;
  byId("clear").hidden = false;
}

function show(shown) {
  const some = films.length > 0;
  viewer.show(films.map(({ file, url }) => ({ url, alt: `Film: ${file.name}` })), shown);
  byId("viewer").hidden = byId("clear").hidden = !some;
  document.dispatchEvent(new CustomEvent("films", { detail: films.length }));
  askForView();
}

/** Bring the film into sight, where its column was scrolled. */
export function showFilm() {
  byId("film-column").scrollTop = 0;
}

/** What is dropped next belongs to the study at hand. */
export function askForView() {
  askFor(films.length > 0 ? "Add another view of this study" : "Drop a chest film here, or choose files");
}

export function askFor(text) {
  byId("drop-text").textContent = text;
}

/** The first film that is a DICOM file, by its magic bytes; null where none is. */
export async function dicomFilm() {
  for (const { file } of films) {
    const magic = await file.slice(128, 132).text();
    if (magic === "DICM") return file;
  }
  return null;
}
