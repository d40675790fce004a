// What mouse, fingers and wheel do to a viewer.
//
// Mouse: drag with the tool (window across, level up and down; or pan), wheel for zoom, drag with
// the right button or Shift to pan, double click to fit. Touch: two fingers zoom and pan.

import { isMeasuring } from "./measurements.js";

const NOTCH = 120; // pixels that a wheel scrolls in one step
const TOO_FINE = 3; // pixels that a finger may move without meaning it

export class Gestures {
  constructor(viewer) {
    this.viewer = viewer;
    this.pointers = new Map();
  }

  listeners() {
    return {
      onpointerdown: (event) => this.#down(event),
      onpointermove: (event) => this.#move(event),
      onpointerup: (event) => this.#up(event),
      onpointercancel: (event) => this.#up(event),
      onwheel: (event) => this.#wheel(event),
      ondblclick: () => {
        if (!isMeasuring(this.viewer.tool)) this.viewer.fit();
      },
      oncontextmenu: (event) => event.preventDefault(),
      ondragstart: (event) => event.preventDefault(),
    };
  }

  #down(event) {
    const { viewer } = this;
    if (!viewer.picture) return;
    const pan = event.button === 1 || event.button === 2 || event.shiftKey || viewer.tool === "pan";
    this.dragging = pan ? "pan" : viewer.tool;
    this.slack = event.pointerType === "touch" ? TOO_FINE : 0;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    viewer.stage.setPointerCapture(event.pointerId);
    if (isMeasuring(this.dragging) && this.pointers.size === 1) viewer.measurements.down(this.dragging, event.clientX, event.clientY);
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [x, y] = [now[0] - before[0], now[1] - before[1]];
    if (Math.hypot(x, y) < this.slack) return;
    this.slack = 0;
    if (this.pointers.size === 2) this.#pinch(event.pointerId, now);
    else if (this.dragging === "pan") this.viewer.pan(x, y);
    else if (this.dragging === "window") this.viewer.window(x, y);
    this.pointers.set(event.pointerId, now);
  }

  #pinch(id, now) {
    const before = this.pointers.get(id);
    const [other] = [...this.pointers].filter(([one]) => one !== id).map(([, at]) => at);
    const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
    const between = this.#fromMiddle((before[0] + other[0]) / 2, (before[1] + other[1]) / 2);
    this.viewer.zoom(apart(now) / apart(before), ...between);
    this.viewer.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  #up(event) {
    if (isMeasuring(this.dragging)) this.viewer.measurements.up(this.dragging, event.clientX, event.clientY);
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0) this.dragging = null;
  }

  #wheel(event) {
    const turned = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 40 * event.deltaY : event.deltaY;
    const { viewer } = this;
    if (!viewer.picture || turned === 0 || (turned > 0 && viewer.state.zoom === 1)) return; // the page scrolls
    event.preventDefault();
    viewer.zoom(viewer.step ** (-turned / NOTCH), ...this.#fromMiddle(event.clientX, event.clientY));
  }

  #fromMiddle(x, y) {
    const box = this.viewer.stage.getBoundingClientRect();
    return [x - box.left - box.width / 2, y - box.top - box.height / 2];
  }
}
