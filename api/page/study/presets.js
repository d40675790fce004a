// Window presets of a radiograph, from its own grey levels: an X-ray has no Hounsfield units, so a
// preset names the part of the image whose grey levels the window spans.

import { make } from "../elements.js";

const SIDE = 256; // of the copy that is counted, pixels
const BACKGROUND = 4; // grey levels at or below it are air around the body, or masked

/** Name, key, and the shares of the darkest pixels at which the window begins and ends. */
export const PRESETS = [
  { name: "Default", key: "1", from: null, to: null },
  { name: "Lung", key: "2", from: 0.02, to: 0.6 },
  { name: "Mediastinum", key: "3", from: 0.45, to: 0.97 },
  { name: "Bone", key: "4", from: 0.25, to: 0.995 },
];

/** Window and level of a preset for an image that is loaded. */
export function windowOf(preset, picture) {
  const counts = preset.from === null ? null : histogram(picture);
  if (counts === null) return { width: 255, level: 128 };
  const low = quantile(counts, preset.from);
  const high = Math.max(low + 16, quantile(counts, preset.to));
  return { width: high - low, level: (low + high) / 2 };
}

/** Null for an image of another server, whose grey levels a browser does not give. */
function histogram(picture) {
  const scale = Math.min(1, SIDE / Math.max(picture.naturalWidth, picture.naturalHeight));
  const [width, height] = [picture.naturalWidth, picture.naturalHeight].map((side) => Math.max(1, Math.round(scale * side)));
  const pen = make("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0, width, height);
  let data;
  try {
    ({ data } = pen.getImageData(0, 0, width, height));
  } catch {
    return null;
  }
  const counts = new Array(256).fill(0);
  for (let at = 0; at < data.length; at += 4) if (data[at] > BACKGROUND) counts[data[at]] += 1;
  return counts;
}

function quantile(counts, share) {
  const wanted = share * counts.reduce((sum, one) => sum + one, 0);
  let seen = 0;
  for (let level = 0; level < 256; level += 1) {
    seen += counts[level];
    if (seen >= wanted && seen > 0) return level;
  }
  return 255;
}
