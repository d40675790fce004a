// A canvas with the maps of one image, as large as that image but for a limit.

import { make } from "../elements.js";

export const OPACITY = 0.6;

const COLOUR = [255, 140, 0];
const OUTLINE = [255, 214, 160];
const SIDE = 640; // of the canvas, pixels

const drawn = new WeakMap(); // the first map to {maps, canvas}: a sentence is pointed at again and again

/** Draw maps of the same image: their strongest at each place, and the outline of each. */
export function drawMaps(maps) {
  const known = drawn.get(maps[0]);
  const same = known?.maps.length === maps.length && known.maps.every((one, place) => one === maps[place]);
  if (same && !known.canvas.isConnected) return known.canvas;
  const canvas = draw(maps);
  drawn.set(maps[0], { maps, canvas });
  return canvas;
}

function draw(maps) {
  const [{ width, height }] = maps;
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const canvas = make("canvas", {
    class: "map",
    width: Math.round(scale * width),
    height: Math.round(scale * height),
    "aria-hidden": "true",
  });
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(heat(maps.map((one) => one.map)), 0, 0, canvas.width, canvas.height);
  pen.strokeStyle = `rgb(${OUTLINE})`;
  pen.lineWidth = Math.max(1, canvas.height / 300);
  for (const { polygons, doubtful } of maps) {
    pen.setLineDash(doubtful ? [4 * pen.lineWidth, 3 * pen.lineWidth] : []);
    for (const polygon of polygons) {
      pen.beginPath();
      for (const [x, y] of polygon) pen.lineTo(scale * x, scale * y);
      pen.closePath();
      pen.stroke();
    }
  }
  return canvas;
}

/** One pixel per cell, its alpha the highest value of the maps there. */
function heat(maps) {
  const [first] = maps;
  const [rows, columns] = [first.length, first[0].length];
  const pixels = new ImageData(columns, rows);
  first.forEach((row, y) =>
    row.forEach((_, x) => {
      const value = Math.max(...maps.map((map) => map[y][x]));
      pixels.data.set([...COLOUR, Math.round(2.55 * value)], 4 * (y * columns + x));
    }),
  );
  const canvas = make("canvas", { width: columns, height: rows });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
