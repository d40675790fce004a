// A ruler and the cardiothoracic ratio, by points that the reader sets. Nothing is measured by the
// program: a figure is only as good as its points.
//
// Mouse or finger: press at each point. Keys, while one of the tools is chosen: arrows move a
// crosshair (with Shift in small steps), Enter sets a point, Backspace takes the last one back.

import { draw, say } from "../elements.js";

const STEPS = {
  ruler: ["one end", "the other end"],
  ratio: [
    "the heart's border at the image's left",
    "the heart's border at the image's right",
    "the inner chest wall at the image's left",
    "the inner chest wall at the image's right",
  ],
};
const COARSE = 16; // pixels of the image that an arrow key moves the crosshair
const NEAR = 6; // pixels on the screen within which a press is no drag

export const isMeasuring = (tool) => tool in STEPS;

/**
 * Of two points: the length in millimetres where the DICOM header states the size of a pixel, else
 * in pixels, and as a share of the image's width.
 */
export function rulerText([a, b], width, pixel) {
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  const share = `${Math.round((100 * length) / width)} % of the width`;
  if (!pixel?.pixel_mm) return `${Math.round(length)} px, ${share}`;
  const where = pixel.plane === "detector" ? " at the detector" : "";
  return `${(length * pixel.pixel_mm).toFixed(1)} mm${where}, ${share}`;
}

/** Of four points: widths of heart and chest, both taken horizontally. */
export function ratioText([a, b, c, d]) {
  const chest = Math.abs(d[0] - c[0]);
  if (chest < 1) return "Cardiothoracic ratio: the chest has no width";
  return `Cardiothoracic ratio ${(Math.abs(b[0] - a[0]) / chest).toFixed(2)}, by the reader's points`;
}

export class Measurements {
  /** `place` gives how the image lies on the stage, null without one: {middle, fit, zoom, x, y, size}. */
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    this.element = draw("svg", { class: "measurements", "aria-hidden": "true" });
    this.of = new Map(); // image to {ruler: [points], ratio: [points]}
    this.image = null;
    this.cursor = null; // of the keys, in pixels of the image
  }

  show(image) {
    this.image = image;
    this.cursor = null;
    if (image !== null && !this.of.has(image)) this.of.set(image, { ruler: [], ratio: [] });
    this.draw();
  }

  get #points() {
    return this.of.get(this.image) ?? { ruler: [], ratio: [] };
  }

  clear() {
    this.of.set(this.image, { ruler: [], ratio: [] });
    this.cursor = null;
    this.draw();
    say("Measurements removed");
  }

  /** What is measured, or what the next point is. */
  text(tool) {
    const { ruler, ratio } = this.#points;
    const { size, pixel } = this.place() ?? { size: [1, 1] };
    const done = [
      ruler.length === 2 ? `Ruler: ${rulerText(ruler, size[0], pixel)}` : "",
      ratio.length === 4 ? ratioText(ratio) : "",
    ].filter(Boolean);
    const points = this.#points[tool];
    if (points && points.length < STEPS[tool].length) {
      return [...done, `Set point ${points.length + 1} of ${STEPS[tool].length}: ${STEPS[tool][points.length]}`].join(" · ");
    }
    return done.join(" · ");
  }

  /** A place on the screen, in pixels of the image. */
  #at(clientX, clientY) {
    const { middle, fit, zoom, x, y, size } = this.place();
    const along = (client, centre, moved, side) => Math.min(side, Math.max(0, (client - centre - moved) / zoom / fit + side / 2));
    return [along(clientX, middle[0], x, size[0]), along(clientY, middle[1], y, size[1])];
  }

  down(tool, clientX, clientY) {
    if (this.place() === null) return;
    this.pressed = [clientX, clientY];
    this.#set(tool, this.#at(clientX, clientY));
  }

  /** A drag from one end of the ruler sets the other end where it ends. */
  up(tool, clientX, clientY) {
    const from = this.pressed;
    this.pressed = null;
    if (tool !== "ruler" || !from || this.#points.ruler.length !== 1) return;
    if (Math.hypot(clientX - from[0], clientY - from[1]) > NEAR) this.#set(tool, this.#at(clientX, clientY));
  }

  #set(tool, point) {
    const points = this.#points[tool];
    if (points.length === STEPS[tool].length) points.length = 0;
    points.push(point);
    this.draw();
    this.changed();
    say(this.text(tool));
  }

  /** True where a key was meant for the tool. */
  key(tool, event) {
    const { size } = this.place() ?? {};
    if (!size) return false;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow) {
      const step = event.shiftKey ? 1 : COARSE;
      const from = this.cursor ?? [size[0] / 2, size[1] / 2];
      this.cursor = from.map((at, axis) => Math.min(size[axis], Math.max(0, at + step * arrow[axis])));
    } else if (event.key === "Enter") {
      this.#set(tool, this.cursor ?? [size[0] / 2, size[1] / 2]);
    } else if (event.key === "Backspace") {
      this.#points[tool].pop();
    } else return false;
    this.draw();
    this.changed();
    return true;
  }

  /** Draw the points; sizes are those of the screen at every zoom. */
  draw() {
    const place = this.place();
    this.element.replaceChildren();
    if (place === null) return;
    const { fit, zoom, size } = place;
    const unit = 1 / (fit * zoom);
    this.element.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    const line = (a, b) => draw("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], "stroke-width": 2 * unit });
    const dot = (at) => draw("circle", { cx: at[0], cy: at[1], r: 4 * unit, "stroke-width": 1.5 * unit });
    const { ruler, ratio } = this.#points;
    const shapes = [...ruler, ...ratio].map(dot);
    if (ruler.length === 2) shapes.push(line(...ruler));
    for (const [a, b] of [ratio.slice(0, 2), ratio.slice(2, 4)]) {
      if (b) shapes.push(line(a, [b[0], a[1]]), line([b[0], a[1]], b));
    }
    if (this.cursor) {
      const [x, y] = this.cursor;
      const arm = 12 * unit;
      shapes.push(line([x - arm, y], [x + arm, y]), line([x, y - arm], [x, y + arm]));
    }
    this.element.append(...shapes);
  }
}
