// What the score of an observation rests on, laid over the X-ray: while a sentence is pointed at or
// focused, and until it is pressed again where it was pressed.

import { button, decimals, say } from "../elements.js";
import { addShortcuts } from "../keys.js";
import { fadeMaps, files, layMaps, viewer } from "./images.js";

const STEP = 0.1;

let pinned = null; // the button that was pressed
let current = null; // the button of the sentence last pointed at or focused

/** Its observations that a statement names as present or possible. */
export const statedBy = (statement) =>
  Object.entries(statement.labels)
    .filter(([name, state]) => state !== "negative" && name !== "No Finding")
    .map(([name]) => name);

/** The maps of some observations in all images of the study. */
const mapsOf = (made, names) => made.regions.filter((one) => names.includes(one.observation));

/** Whether the assessment found an observation. */
const stateOf = (made, name) => made.observations?.find((one) => one.name === name)?.state ?? null;

/** How a viewer draws the maps of some observations. */
export function drawing(regions, made) {
  return regions.map((region) => {
    const state = made ? stateOf(made, region.observation) : null;
    const doubtful = state !== null && state !== "present";
    const figures = [`score ${decimals(region.score)}`, state].filter(Boolean).join(", ");
    const caption =
      region.polygons.length > 0
        ? `What the score for ${region.observation} rests on (${figures}), not the outline of a lesion.`
        : `Nothing in this X-ray raises the score for ${region.observation} (${figures}).`;
    return { ...region, doubtful, caption };
  });
}

/**
 * A button that shows where the scores of these observations come from, null if that is not known;
 * `holder` shows it too while it is pointed at.
 */
export function whereButton(made, names, holder) {
  const regions = mapsOf(made, names);
  if (regions.length === 0 || files().length === 0) return null;
  const press = button("Where", {
    class: "where",
    "aria-pressed": "false",
    "aria-label": `Where: what the score for ${names.join(" and ")} rests on`,
    title: "What the score rests on (O)",
    onclick: () => toggle(press),
  });
  press.maps = drawing(regions, made);
  holder.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "touch") point(press);
  });
  holder.addEventListener("pointerleave", leave);
  holder.addEventListener("focusin", () => point(press));
  holder.addEventListener("focusout", leave);
  return press;
}

/** Forget the maps of a study that is no longer shown. */
export function forgetMaps() {
  pinned = current = null;
  layMaps([]);
}

function point(press) {
  current = press;
  layMaps(press.maps);
}

function leave() {
  layMaps(pinned?.isConnected ? pinned.maps : []);
}

function toggle(press) {
  const before = pinned;
  before?.setAttribute("aria-pressed", "false");
  pinned = before === press ? null : press;
  current = press;
  if (pinned) {
    pinned.setAttribute("aria-pressed", "true");
    layMaps(press.maps);
    say(viewer.captions());
  } else {
    layMaps([]);
    say("Map hidden");
  }
}

/** The map of the sentence or observation that has the focus, or of the one last pointed at. */
function overlay() {
  const holder = document.activeElement?.closest(".statement, .score, .seen");
  const press = holder
    ? holder.querySelector(".where")
    : current?.isConnected
      ? current
      : document.querySelector("#report .where");
  if (press) toggle(press);
  else if (holder) say("There is no map for this sentence");
  else return false;
  return true;
}

addShortcuts("Maps", [
  { keys: ["o"], says: "Show or hide what the score of the sentence rests on", does: overlay },
  { keys: ["[", "]"], says: "Fade the map, or show it more strongly", does: ({ key }) => fadeMaps(key === "]" ? STEP : -STEP) },
]);
