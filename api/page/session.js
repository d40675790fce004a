// What this page remembers of the studies it reported on: a thumbnail and the name of the session.
// In memory alone: gone when the page is reloaded or closed, never sent, never written to disk.

import { byId, make } from "./elements.js";
import { viewer } from "./study/images.js";

const SIDE = 44; // of a thumbnail, pixels

const remembered = new Map(); // id of a generation to {thumbnail, name}

/** Remember the image that is shown as that of a generation. */
export function remember(id) {
  const picture = viewer.picture;
  const name = byId("session-name").value.trim();
  remembered.set(id, { thumbnail: picture?.naturalWidth ? small(picture) : null, name });
}

export const forget = (id) => remembered.delete(id);

function small(picture) {
  const scale = SIDE / Math.max(picture.naturalWidth, picture.naturalHeight);
  const [width, height] = [picture.naturalWidth, picture.naturalHeight].map((side) => Math.max(1, Math.round(scale * side)));
  const canvas = make("canvas", { width, height, class: "history-thumbnail", "aria-hidden": "true" });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  return canvas;
}

/** The thumbnail of a generation as an element of its own, and its session's name; null if unknown. */
export function recall(id) {
  const found = remembered.get(id);
  if (!found) return null;
  const { thumbnail, name } = found;
  if (!thumbnail) return { thumbnail: null, name };
  const copy = thumbnail.cloneNode();
  copy.getContext("2d").drawImage(thumbnail, 0, 0);
  return { thumbnail: copy, name };
}
