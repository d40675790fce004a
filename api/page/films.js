// The films of the study at hand: chosen files, their previews, which one is shown.

import { byId, make } from "./elements.js";
import { previewFilm } from "./service.js";

let films = []; // {file, url}
let shown = 0;

export const files = () => films.map((film) => film.file);

/** Read films; where one cannot be read none is kept, and its error is thrown. */
export async function readFilms(chosen, signal) {
  const previews = [];
  for (const file of chosen) previews.push(await previewFilm(file, signal));
  return chosen.map((file, number) => ({ file, url: URL.createObjectURL(previews[number]) }));
}

export function addFilms(read) {
  shown = films.length;
  films.push(...read);
  draw();
}

export function clearFilms() {
  for (const film of films) URL.revokeObjectURL(film.url);
  films = [];
  shown = 0;
  draw();
}

/** In place of a film: a stored report has none. */
export function showNoFilm(text) {
  clearFilms();
  byId("viewer").replaceChildren(make("p", {}, text));
  byId("viewer").hidden = false;
}

function draw() {
  const some = films.length > 0;
  const viewer = byId("viewer");
  viewer.hidden = !some;
  viewer.replaceChildren();
  if (some) {
    const name = films[shown].file.name;
    viewer.append(make("img", { src: films[shown].url, alt: `Film: ${name}` }));
  }
  byId("thumbs").hidden = films.length < 2;
  byId("thumbs").replaceChildren(
    ...films.map((film, number) =>
      make(
        "button",
        {
          type: "button",
          class: "thumb",
          "aria-pressed": String(number === shown),
          "aria-label": `View ${number + 1}: ${film.file.name}`,
          onclick: () => {
            shown = number;
            draw();
          },
        },
        make("img", { src: film.url, alt: "" }),
      ),
    ),
  );
  byId("invert").hidden = byId("clear").hidden = !some;
  byId("write").disabled = byId("with-film").disabled = !some;
  askForView();
}

/** What is dropped next belongs to the study at hand. */
export function askForView() {
  const some = films.length > 0;
  askFor(some ? "Add another view of this study" : "Drop a chest film here, or choose files");
}

export function askFor(text) {
  byId("drop-text").textContent = text;
}
