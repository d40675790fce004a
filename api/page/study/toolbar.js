// The tools above a viewer, and what they show of its state.

import { button, make } from "../elements.js";
import { PRESETS } from "./presets.js";

const TOOLS = {
  window: ["Window", "Drag changes window and level"],
  pan: ["Pan", "Drag moves the X-ray"],
  ruler: ["Ruler", "Press at both ends (R)"],
  ratio: ["CTR", "Cardiothoracic ratio by four points (T)"],
};

export class Toolbar {
  constructor(viewer) {
    this.hands = Object.entries(TOOLS).map(([tool, [text, title]]) =>
      button(text, { class: "quiet", "data-tool": tool, title, onclick: () => viewer.use(tool) }),
    );
    this.invert = button("Invert", { class: "quiet invert", title: "Invert (I)", onclick: () => viewer.invert() });
    this.preset = make(
      "select",
      {
        class: "preset",
        "aria-label": "Window preset",
        title: "Window presets from the image's own grey levels (1 to 4), and those of a DICOM file (5)",
        onchange: () => viewer.preset([...PRESETS, ...viewer.windows].find(({ name }) => name === this.preset.value)),
      },
      make("option", { value: "" }, "Preset"),
      ...PRESETS.map(({ name }) => make("option", {}, name)),
    );
    const zoom = (text, name, factor) =>
      button(text, { class: "quiet", "aria-label": name, title: name, onclick: () => viewer.zoom(factor) });
    const slider = (text, name, min, max, change) => {
      const input = make("input", {
        type: "range", min, max, step: 1, "data-slider": name, oninput: () => change(Number(input.value)),
      });
      return { input, label: make("label", {}, text, input) };
    };
    this.fading = slider("Opacity of the map", "opacity", 0, 100, (value) => viewer.fadeTo(value / 100));
    this.width = slider("Window width", "width", 1, 510, (width) => viewer.set({ width }));
    this.level = slider("Window level", "level", 0, 255, (level) => viewer.set({ level }));
    this.unmeasure = button("Remove measurements", { class: "quiet unmeasure", onclick: () => viewer.unmeasure() });
    this.extra = make("span", { class: "tool-row" });
    this.element = make(
      "div",
      { class: "viewer-tools tool-row", role: "group", "aria-label": "Tools of the viewer" },
      ...this.hands,
      zoom("\u2212", "Zoom out", 1 / viewer.step),
      zoom("+", "Zoom in", viewer.step),
      this.preset,
      this.invert,
      button("Reset", { class: "quiet reset", title: "Reset (0)", onclick: () => viewer.reset() }),
      make(
        "details",
        { class: "adjust menu" },
        make("summary", { class: "quiet" }, "Adjust"),
        make(
          "div",
          { class: "menu-list sliders" },
          this.width.label,
          this.level.label,
          this.fading.label,
          this.unmeasure,
        ),
      ),
      button("Full screen", { class: "quiet full", title: "Full screen (F)", onclick: () => viewer.fullScreen() }),
      this.extra,
    );
  }

  /** Offer the windows that the file of the image states. */
  offer(windows) {
    for (const option of this.preset.querySelectorAll(".own")) option.remove();
    this.preset.append(...windows.map(({ name }) => make("option", { class: "own" }, name)));
  }

  /** Show the state of the viewer. */
  update({ tool, state, opacity, chosen }) {
    for (const hand of this.hands) hand.setAttribute("aria-pressed", String(hand.dataset.tool === tool));
    this.invert.setAttribute("aria-pressed", String(state.inverted));
    this.width.input.value = state.width;
    this.level.input.value = state.level;
    this.fading.input.value = Math.round(100 * opacity);
    this.preset.value = chosen;
  }
}
