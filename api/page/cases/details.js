// What a row shows of a case beside its score: a thumbnail, the labels, a sentence. Read when the row
// comes in sight; kept for this page alone.

import { make } from "../elements.js";
import { getCase, getCaseImage } from "../service.js";

const SIDE = 112; // of a thumbnail, pixels
const MOST = 200; // cases that are kept

const kept = new Map(); // case to {found, thumbnail}

const watching = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watching.unobserve(target);
    target.dispatchEvent(new Event("seen"));
  }
}, { rootMargin: "100px" });

/** Call `fill({found, thumbnail})` once `row` is in sight; `known` is the case where it is at hand. */
export function whenSeen(row, key, known, fill) {
  row.addEventListener("seen", async () => {
    try {
      fill(await detailsOf(key, known));
    } catch {
      // the row stays as it is: the case can still be opened, and says then what is wrong
    }
  }, { once: true });
  watching.observe(row);
}

function detailsOf(key, known) {
  if (!kept.has(key)) {
    if (kept.size >= MOST) kept.delete(kept.keys().next().value);
    const reading = read(key, known);
    kept.set(key, reading);
    reading.catch(() => kept.delete(key));
  }
  return kept.get(key);
}

async function read(key, known) {
  const found = known ?? (await getCase(key));
  const image = found.images.find((one) => one.has_file);
  let thumbnail = null;
  if (image) {
    try {
      thumbnail = await small((await getCaseImage(key, image.number)).png);
    } catch {
      // the file has moved since the index was built
    }
  }
  return { found, thumbnail };
}

/** A small copy of an image, as a canvas to copy from. */
async function small(blob) {
  const whole = await createImageBitmap(blob, { resizeHeight: SIDE, resizeQuality: "medium" });
  const canvas = make("canvas", { width: whole.width, height: whole.height });
  canvas.getContext("2d").drawImage(whole, 0, 0);
  whole.close();
  return canvas;
}

/** Its thumbnail as an element of its own. */
export function drawThumbnail(thumbnail) {
  if (thumbnail === null) return make("span", { class: "no-thumbnail muted" }, "no image here");
  const copy = make("canvas", { width: thumbnail.width, height: thumbnail.height, "aria-hidden": "true" });
  copy.getContext("2d").drawImage(thumbnail, 0, 0);
  return copy;
}

/** The labels of a case that are not negative, those first that are positive. */
export function drawLabels(labels) {
  const named = Object.entries(labels).filter(([, state]) => state !== "negative");
  named.sort(([, a], [, b]) => (a === b ? 0 : a === "positive" ? -1 : 1));
  return named.map(([name, state]) => make("span", { class: `label ${state}` }, state === "positive" ? name : `${name}?`));
}
