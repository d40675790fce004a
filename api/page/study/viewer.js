// The images of one study on a dark background: window and level, zoom, pan, inversion, presets,
// measurements, maps. Mouse and touch: see gestures.js. Keys on the stage: see HELP.

import { draw, button, make, say } from "../elements.js";
import { Gestures } from "./gestures.js";
import { isMeasuring, Measurements } from "./measurements.js";
import { drawMaps, OPACITY } from "./overlay.js";
import { PRESETS, windowOf } from "./presets.js";
import { Toolbar } from "./toolbar.js";

const HELP =
  "Plus and minus zoom, arrow keys pan, Shift with arrow keys changes window and level, " +
  "I inverts, 1 to 5 choose a window, 0 resets. With ruler or ratio, arrow keys move a crosshair and Enter sets a point.";
const FIT = { zoom: 1, x: 0, y: 0 };
const PLAIN = { width: 255, level: 128, inverted: false };
const MOST = 12;
const GREYS = ["width", "level", "inverted"];

let made = 0;
let active = null; // the viewer that was pointed at or focused last

/** The viewer that keys change, if its image is on the page. */
export const activeViewer = () => (active?.element.isConnected && active.picture ? active : null);

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

export class Viewer {
  /** `name` is what assistive technology calls the viewer; `tools` false leaves out its toolbar. */
  constructor(name, { tools = true } = {}) {
    this.number = ++made;
    this.step = 1.25; // of zoom
    this.images = []; // {url, alt, display, byWindow}: the last two of a DICOM file
    this.shown = 0;
    this.state = { ...FIT, ...PLAIN };
    this.maps = []; // of the observations that are pointed at, in all images
    this.opacity = OPACITY;
    this.chosen = ""; // name of the preset
    this.tool = window.matchMedia("(pointer: coarse)").matches ? "pan" : "window";
    this.renderings = 0; // begun of the image by windows of its file
    this.partners = new Map(); // viewer to what of the state it shares
    this.element = this.#build(name, tools);
    new ResizeObserver(() => this.#apply()).observe(this.stage);
    this.#apply();
  }

  /** Show these images, the one at `shown` first. */
  show(images, shown = 0) {
    this.images = images;
    this.shown = shown;
    this.state = { ...FIT, ...PLAIN };
    this.chosen = "";
    this.#draw();
    this.element.dispatchEvent(new CustomEvent("shown", { detail: shown }));
  }

  /** Let another viewer follow this one, and this one follow it; only in grey levels with `greys`. */
  link(other, { greys = false } = {}) {
    const names = greys ? GREYS : [...GREYS, ...Object.keys(FIT)];
    this.partners.set(other, names);
    other.partners.set(this, names);
    this.#share(this.state);
  }

  unlink(other) {
    this.partners.delete(other);
    other.partners.delete(this);
  }

  /** Lay maps over the image: regions, each with its caption; none takes them off. */
  lay(maps) {
    this.maps = maps;
    this.#overlay();
    this.#apply();
  }

  /** Change the opacity of the maps. */
  fade(change) {
    this.fadeTo(this.opacity + change);
  }

  fadeTo(opacity) {
    this.opacity = clamp(opacity, 0, 1);
    this.#apply();
  }

  /** What the maps over the image show, as text. */
  captions() {
    return this.#shownMaps().map((one) => one.caption).join(" ");
  }

  /** Show text in place of an image. */
  say(text) {
    this.images = [];
    this.#draw();
    this.stage.append(make("p", {}, text));
  }

  use(tool) {
    this.tool = tool;
    for (const partner of this.partners.keys()) {
      partner.tool = tool;
      partner.#apply();
    }
    this.#apply();
  }

  set(change) {
    Object.assign(this.state, change);
    if ("width" in change || "level" in change) this.chosen = "";
    this.#share(change);
    this.#apply();
  }

  invert() {
    this.set({ inverted: !this.state.inverted });
  }

  /** Choose a window: a preset, or one of the file's own, which has a `number`. */
  preset(preset) {
    if (!preset || !this.picture?.naturalWidth) return;
    if (preset.number || this.rendered) this.#render(preset);
    else this.#window(preset);
  }

  /** The windows that the DICOM file of the image states: {name, number}. */
  get windows() {
    const { display, byWindow } = this.images[this.shown] ?? {};
    return byWindow ? (display?.windows ?? []).map(({ name }, place) => ({ name: `File: ${name}`, number: place + 1 })) : [];
  }

  nextWindow() {
    const { windows } = this;
    if (windows.length > 0) this.preset(windows[this.rendered % windows.length]);
    else say("This image states no window of its own");
  }

  /** Show the image by a window of its file, or as it was read. */
  async #render(preset) {
    const { picture } = this;
    const image = this.images[this.shown];
    const turn = ++this.renderings;
    const url = preset.number ? await image.byWindow(preset.number) : image.url;
    if (url === null || picture !== this.picture || turn !== this.renderings) return;
    picture.src = url;
    await picture.decode();
    if (picture !== this.picture || turn !== this.renderings) return;
    this.rendered = preset.number ?? 0;
    this.#window(preset);
  }

  #window(preset) {
    this.set(preset.number ? { width: PLAIN.width, level: PLAIN.level } : windowOf(preset, this.picture));
    this.chosen = preset.name;
    this.#apply();
    if (preset.number) say(`Window of the file: ${preset.name}`);
  }

  fit() {
    this.set(FIT);
  }

  reset() {
    this.set({ ...FIT, ...PLAIN });
    if (this.rendered) this.#render(PRESETS[0]);
  }

  unmeasure() {
    this.measurements.clear();
    this.#apply();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else (this.element.closest(".views") ?? this.element).requestFullscreen?.();
  }

  /** Zoom about a point, given from the middle of the stage. */
  zoom(factor, x = 0, y = 0) {
    const zoom = clamp(this.state.zoom * factor, 1, MOST);
    const ratio = zoom / this.state.zoom;
    this.set({ zoom, x: x - (x - this.state.x) * ratio, y: y - (y - this.state.y) * ratio });
  }

  pan(x, y) {
    this.set({ x: this.state.x + x, y: this.state.y + y });
  }

  window(across, along) {
    const width = clamp(this.state.width + across, 1, 510);
    this.set({ width, level: clamp(this.state.level + along, 0, 255) });
  }

  #share(change) {
    for (const [partner, names] of this.partners) {
      const scale = partner.stage.clientHeight / (this.stage.clientHeight || 1) || 1;
      for (const name of names.filter((one) => one in change)) {
        partner.state[name] = ["x", "y"].includes(name) ? scale * this.state[name] : this.state[name];
      }
      partner.chosen = "";
      partner.#apply();
    }
  }

  #shownMaps() {
    return this.maps.filter((one) => one.image === (this.images[this.shown]?.place ?? this.shown) + 1);
  }

  #overlay() {
    this.map?.remove();
    const maps = this.picture ? this.#shownMaps() : [];
    this.map = maps.length > 0 ? drawMaps(maps) : null;
    if (this.map) this.picture.after(this.map);
    this.caption.textContent = this.captions();
    this.caption.hidden = !this.map;
  }

  #build(name, tools) {
    const help = `viewer-help-${this.number}`;
    this.transfer = ["R", "G", "B"].map((channel) => draw(`feFunc${channel}`, { type: "linear" }));
    const filter = draw(
      "filter",
      { id: `window-${this.number}`, "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 },
      draw("feComponentTransfer", {}, ...this.transfer),
    );
    const activate = () => {
      active = this;
    };
    this.stage = make("div", {
      class: "stage",
      tabindex: 0,
      role: "group",
      "aria-label": name,
      "aria-describedby": help,
      onkeydown: (event) => this.#key(event),
      ...new Gestures(this).listeners(),
    });
    this.readout = make("span", { class: "readout", "aria-hidden": "true" });
    this.measured = make("p", { class: "measured", hidden: true });
    this.caption = make("p", { class: "map-caption", hidden: true });
    this.measurements = new Measurements(() => this.#place(), () => this.#apply());
    this.toolbar = tools ? new Toolbar(this) : null;
    this.thumbs = make("div", { class: "thumbs", role: "group", "aria-label": "Views of the study" });
    return make(
      "div",
      { class: "viewer", onpointerdown: activate, onfocusin: activate },
      draw("svg", { class: "filters", "aria-hidden": "true", focusable: "false" }, filter),
      make("p", { class: "visually-hidden", id: help }, HELP),
      this.toolbar?.element,
      make("div", { class: "frame" }, this.stage, this.readout, this.caption, this.measured, this.thumbs),
    );
  }

  #draw() {
    const some = this.images.length > 0;
    this.stage.replaceChildren();
    this.picture = this.map = null;
    this.rendered = 0; // the number of the file's window that is shown
    if (some) {
      const { url, alt } = this.images[this.shown];
      this.picture = make("img", { src: url, alt, draggable: "false", onload: () => this.#apply() });
      this.stage.append(this.picture, this.measurements.element);
      active ??= this;
    }
    this.measurements.show(some ? this.images[this.shown].url : null);
    if (this.toolbar) this.toolbar.element.hidden = !some;
    this.toolbar?.offer(this.windows);
    this.readout.hidden = !some;
    this.thumbs.hidden = this.images.length < 2 || this.toolbar === null;
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
      const transform = `translate(${x}px, ${y}px) scale(${zoom})`;
      for (const one of [this.picture, this.map, this.measurements.element]) {
        if (one) one.style.transform = transform;
      }
      if (this.map) this.map.style.opacity = this.opacity;
      this.measurements.draw();
    }
    this.toolbar?.update(this);
    this.readout.textContent = `W ${Math.round(width)}  L ${Math.round(level)}  ${Math.round(100 * zoom)} %`;
    this.measured.textContent = this.picture ? this.measurements.text(this.tool) : "";
    this.measured.hidden = !this.measured.textContent;
    this.stage.dataset.tool = this.tool;
    // An image that fits lets the finger scroll the page.
    this.stage.classList.toggle("free", this.tool === "pan" && zoom === 1);
  }

  /** How the image lies on the stage, null before it is loaded. */
  #place() {
    const { picture, stage, state } = this;
    if (!picture?.naturalWidth || !stage.clientHeight) return null;
    const size = [picture.naturalWidth, picture.naturalHeight];
    const box = stage.getBoundingClientRect();
    return {
      size,
      pixel: this.images[this.shown].display ?? null,
      fit: Math.min(stage.clientWidth / size[0], stage.clientHeight / size[1]),
      middle: [box.left + box.width / 2, box.top + box.height / 2],
      zoom: state.zoom,
      x: state.x,
      y: state.y,
    };
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

  #key(event) {
    if (!this.picture || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    if (isMeasuring(this.tool) && this.measurements.key(this.tool, event)) {
      event.preventDefault();
      return;
    }
    if (arrow && event.shiftKey) this.window(8 * arrow[0], 8 * arrow[1]);
    else if (arrow && this.state.zoom > 1) this.pan(-40 * arrow[0], -40 * arrow[1]);
    else return;
    event.preventDefault();
  }
}
