// The images of one study on a dark background: window and level, zoom, pan, inversion.
//
// Mouse: drag for window (across) and level (up and down), wheel for zoom, drag with the right
// button or Shift to pan, double click to fit. Touch: two fingers zoom and pan. Keys: see HELP.

import { button, draw, make } from "../elements.js";
import { drawMaps, OPACITY } from "./overlay.js";

const HELP =
  "Plus and minus zoom, arrow keys pan, Shift with arrow keys changes window and level, " +
  "I inverts, 0 resets.";
const FIT = { zoom: 1, x: 0, y: 0 };
const PLAIN = { width: 255, level: 128, inverted: false };
const MOST = 12;
const STEP = 1.25;
const NOTCH = 120; // pixels that a wheel scrolls in one step
const TOO_FINE = 3; // pixels that a finger may move without meaning it

let made = 0;

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

export class Viewer {
  /** `name` is what assistive technology calls the viewer. */
  constructor(name) {
    this.number = ++made;
    this.images = []; // {url, alt}
    this.shown = 0;
    this.state = { ...FIT, ...PLAIN };
    this.maps = []; // of the observations that are pointed at, in all images
    this.opacity = OPACITY;
    this.tool = window.matchMedia("(pointer: coarse)").matches ? "pan" : "window";
    this.pointers = new Map();
    this.partners = new Set(); // viewers that share window, level, zoom and place
    this.element = this.#build(name);
    this.#apply();
  }

  /** Show these images, the one at `shown` first. */
  show(images, shown = 0) {
    this.images = images;
    this.shown = shown;
    this.state = { ...FIT, ...PLAIN };
    this.#draw();
  }

  /** Let another viewer follow this one, and this one follow it. */
  link(other) {
    this.partners.add(other);
    other.partners.add(this);
    this.#share(this.state);
  }

  unlink(other) {
    this.partners.delete(other);
    other.partners.delete(this);
  }

  #share(change) {
    for (const partner of this.partners) {
      Object.assign(partner.state, change);
      partner.#apply();
    }
  }

  /** Lay maps over the image: regions, each with its caption; none takes them off. */
  lay(maps) {
    this.maps = maps;
    this.#overlay();
    this.#apply();
  }

  /** Change the opacity of the maps. */
  fade(change) {
    this.#fadeTo(this.opacity + change);
  }

  #fadeTo(opacity) {
    this.opacity = clamp(opacity, 0, 1);
    this.#apply();
  }

  /** What the maps over the image show, as text. */
  captions() {
    return this.#shownMaps().map((one) => one.caption).join(" ");
  }

  #shownMaps() {
    return this.maps.filter((one) => one.image === this.shown + 1);
  }

  #overlay() {
    this.map?.remove();
    const maps = this.picture ? this.#shownMaps() : [];
    this.map = maps.length > 0 ? drawMaps(maps) : null;
    if (this.map) this.stage.append(this.map);
    this.caption.textContent = this.captions();
    this.caption.hidden = !this.map;
  }

  /** Show text in place of an image. */
  say(text) {
    this.images = [];
    this.#draw();
    this.stage.append(make("p", {}, text));
  }

  #build(name) {
    const help = `viewer-help-${this.number}`;
    this.transfer = ["R", "G", "B"].map((channel) => draw(`feFunc${channel}`, { type: "linear" }));
    const filter = draw(
      "filter",
      { id: `window-${this.number}`, "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 },
      draw("feComponentTransfer", {}, ...this.transfer),
    );
    this.stage = make("div", {
      class: "stage",
      tabindex: 0,
      role: "group",
      "aria-label": name,
      "aria-describedby": help,
      onkeydown: (event) => this.#key(event),
      onpointerdown: (event) => this.#down(event),
      onpointermove: (event) => this.#move(event),
      onpointerup: (event) => this.#up(event),
      onpointercancel: (event) => this.#up(event),
      onwheel: (event) => this.#wheel(event),
      ondblclick: () => this.#set(FIT),
      oncontextmenu: (event) => event.preventDefault(),
      ondragstart: (event) => event.preventDefault(),
    });
    this.readout = make("span", { class: "readout", "aria-hidden": "true" });
    this.caption = make("p", { class: "map-caption", hidden: true });
    this.fading = this.#slider("Opacity of the map", "opacity", 0, 100, (value) => this.#fadeTo(value / 100));
    this.width = this.#slider("Window width", "width", 1, 510);
    this.level = this.#slider("Window level", "level", 0, 255);
    this.tools = this.#toolbar();
    this.thumbs = make("div", { class: "thumbs", role: "group", "aria-label": "Views of the study" });
    return make(
      "div",
      { class: "viewer" },
      draw("svg", { class: "filters", "aria-hidden": "true", focusable: "false" }, filter),
      make("p", { class: "visually-hidden", id: help }, HELP),
      make("div", { class: "frame" }, this.stage, this.readout, this.caption),
      this.tools,
      this.thumbs,
    );
  }

  #toolbar() {
    this.hands = Object.entries({ window: "Window", pan: "Pan" }).map(([tool, text]) =>
      button(text, {
        class: "quiet",
        "data-tool": tool,
        title: tool === "window" ? "Drag changes window and level" : "Drag moves the X-ray",
        onclick: () => {
          this.tool = tool;
          this.#apply();
        },
      }),
    );
    this.invert = button("Invert", {
      class: "quiet invert",
      onclick: () => this.#set({ inverted: !this.state.inverted }),
    });
    const zoom = (text, name, factor) =>
      button(text, { class: "quiet", "aria-label": name, title: name, onclick: () => this.#zoom(factor) });
    return make(
      "div",
      { class: "viewer-tools" },
      make(
        "div",
        { class: "tool-row", role: "group", "aria-label": "Tools of the viewer" },
        ...this.hands,
        zoom("\u2212", "Zoom out", 1 / STEP),
        zoom("+", "Zoom in", STEP),
        this.invert,
        button("Reset", { class: "quiet reset", onclick: () => this.#set({ ...FIT, ...PLAIN }) }),
      ),
      make(
        "details",
        { class: "adjust" },
        make("summary", {}, "Window, level and opacity"),
        make("div", { class: "sliders" }, this.width.label, this.level.label, this.fading.label),
      ),
    );
  }

  #slider(text, name, min, max, change = (value) => this.#set({ [name]: value })) {
    const input = make("input", {
      type: "range",
      min,
      max,
      step: 1,
      "data-slider": name,
      oninput: () => change(Number(input.value)),
    });
    return { input, label: make("label", {}, text, input) };
  }

  #draw() {
    const some = this.images.length > 0;
    this.stage.replaceChildren();
    this.picture = this.map = null;
    if (some) {
      const { url, alt } = this.images[this.shown];
      this.picture = make("img", { src: url, alt, draggable: "false" });
      this.stage.append(this.picture);
    }
    this.tools.hidden = this.readout.hidden = !some;
    this.thumbs.hidden = this.images.length < 2;
    this.thumbs.replaceChildren(...this.images.map((image, number) => this.#thumb(image, number)));
    this.#overlay();
    this.#apply();
  }

  #thumb(image, number) {
    return button(
      make("img", { src: image.url, alt: "" }),
      {
        class: "thumb",
        "aria-pressed": String(number === this.shown),
        "aria-label": `View ${number + 1}: ${image.alt}`,
        onclick: () => {
          this.show(this.images, number);
          this.thumbs.children[number].focus();
        },
      },
    );
  }

  #set(change) {
    Object.assign(this.state, change);
    this.#share(change);
    this.#apply();
  }

  #apply() {
    const { width, level, inverted, zoom } = this.state;
    const slope = 255 / width;
    const intercept = 0.5 - level / width;
    for (const one of this.transfer) {
      one.setAttribute("slope", inverted ? -slope : slope);
      one.setAttribute("intercept", inverted ? 1 - intercept : intercept);
    }
    if (this.picture) {
      const [x, y] = this.#held();
      const plain = width === PLAIN.width && level === PLAIN.level && !inverted;
      this.picture.style.filter = plain ? "none" : `url(#window-${this.number})`;
      this.picture.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
      if (this.map) {
        this.map.style.transform = this.picture.style.transform;
        this.map.style.opacity = this.opacity;
      }
    }
    for (const hand of this.hands) {
      hand.setAttribute("aria-pressed", String(hand.dataset.tool === this.tool));
    }
    this.invert.setAttribute("aria-pressed", String(inverted));
    this.width.input.value = width;
    this.level.input.value = level;
    this.fading.input.value = Math.round(100 * this.opacity);
    this.readout.textContent = `W ${Math.round(width)}  L ${Math.round(level)}  ${Math.round(100 * zoom)} %`;
    this.stage.dataset.tool = this.tool;
    // An image that fits lets the finger scroll the page.
    this.stage.classList.toggle("free", this.tool === "pan" && zoom === 1);
  }

  /** The offset, limited so that the image does not leave the stage. */
  #held() {
    const { picture, stage, state } = this;
    const room = (size, box) => Math.max(0, (size * state.zoom - box) / 2);
    const across = room(picture.offsetWidth, stage.clientWidth);
    const along = room(picture.offsetHeight, stage.clientHeight);
    state.x = clamp(state.x, -across, across);
    state.y = clamp(state.y, -along, along);
    return [state.x, state.y];
  }

  /** Zoom about a point, given from the middle of the stage. */
  #zoom(factor, x = 0, y = 0) {
    const zoom = clamp(this.state.zoom * factor, 1, MOST);
    const ratio = zoom / this.state.zoom;
    this.#set({ zoom, x: x - (x - this.state.x) * ratio, y: y - (y - this.state.y) * ratio });
  }

  #pan(x, y) {
    this.#set({ x: this.state.x + x, y: this.state.y + y });
  }

  #window(across, along) {
    const width = clamp(this.state.width + across, 1, 510);
    this.#set({ width, level: clamp(this.state.level + along, 0, 255) });
  }

  #fromMiddle(x, y) {
    const box = this.stage.getBoundingClientRect();
    return [x - box.left - box.width / 2, y - box.top - box.height / 2];
  }

  #down(event) {
    if (!this.picture) return;
    const pan = event.button === 1 || event.button === 2 || event.shiftKey || this.tool === "pan";
    this.dragging = pan ? "pan" : "window";
    this.slack = event.pointerType === "touch" ? TOO_FINE : 0;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.stage.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [x, y] = [now[0] - before[0], now[1] - before[1]];
    if (Math.hypot(x, y) < this.slack) return;
    this.slack = 0;
    if (this.pointers.size === 2) this.#pinch(event.pointerId, now);
    else if (this.dragging === "pan") this.#pan(x, y);
    else this.#window(x, y);
    this.pointers.set(event.pointerId, now);
  }

  #pinch(id, now) {
    const before = this.pointers.get(id);
    const [other] = [...this.pointers].filter(([one]) => one !== id).map(([, at]) => at);
    const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
    const between = this.#fromMiddle((before[0] + other[0]) / 2, (before[1] + other[1]) / 2);
    this.#zoom(apart(now) / apart(before), ...between);
    this.#pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
  }

  #wheel(event) {
    const turned = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 40 * event.deltaY : event.deltaY;
    if (!this.picture || turned === 0 || (turned > 0 && this.state.zoom === 1)) return; // the page scrolls
    event.preventDefault();
    this.#zoom(STEP ** (-turned / NOTCH), ...this.#fromMiddle(event.clientX, event.clientY));
  }

  #key(event) {
    if (!this.picture || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    if (arrow && event.shiftKey) this.#window(8 * arrow[0], 8 * arrow[1]);
    else if (arrow && this.state.zoom > 1) this.#pan(-40 * arrow[0], -40 * arrow[1]);
    else if (event.key === "+" || event.key === "=") this.#zoom(STEP);
    else if (event.key === "-") this.#zoom(1 / STEP);
    else if (event.key.toLowerCase() === "i") this.#set({ inverted: !this.state.inverted });
    else if (event.key === "0") this.#set({ ...FIT, ...PLAIN });
    else return;
    event.preventDefault();
  }
}
