// Images of cases that are not on the server but public at their source. The browser asks that
// source for them, so none is loaded before the reader has been told and has pressed.

import { button, make } from "../elements.js";

let origin = null; // from which the server lets the page load images; null for nowhere
let allowed = false; // whether the reader has pressed, until the page is loaded again
let waiting = []; // what to do then

export const allowPublicImages = (from) => {
  origin = from;
};

/** Addresses of the images of a case at their source, or at what stands in for it. */
function addresses(found) {
  if (origin === null) return [];
  return found.images.filter((one) => one.public_url).map((one) => origin + new URL(one.public_url).pathname);
}

/**
 * What to show in place of the images of a case: what a press does, and the button; null where there
 * are none. `show` gets the loaded images.
 */
export function offerImages(found, show) {
  const urls = addresses(found);
  if (urls.length === 0) return null;
  const host = new URL(origin).host;
  const note = make("p", { class: "muted small", role: "status" });
  const load = async () => {
    note.textContent = `Loading from ${host}\u2026`;
    try {
      const alt = (place) => `X-ray ${place + 1} of the prior case, from ${host}`;
      await Promise.all(urls.map(decoded));
      show(urls.map((url, place) => ({ url, alt: alt(place) })));
    } catch {
      note.textContent = `${host} did not give the images of this case.`;
    }
  };
  const press = button(`Load the public images from ${host}`, {
    class: "plain",
    id: "public-images",
    onclick: () => {
      allowed = true;
      for (const does of waiting.splice(0)) does();
      load();
    },
  });
  if (allowed) {
    load();
    return note;
  }
  note.textContent =
    `Your browser then asks ${host} for the images of the cases you look at: it sees your address and which cases. ` +
    "Nothing of the X-ray is sent. It stays so until the page is loaded again.";
  return make("div", {}, press, note);
}

/** Call `show` with a small image of a case, once the reader has asked for public images. */
export function whenAllowed(found, show) {
  const [url] = addresses(found);
  if (!url) return;
  const does = () => show(make("img", { src: url, alt: "", loading: "lazy" }));
  if (allowed) does();
  else waiting.push(does);
}

async function decoded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
}
