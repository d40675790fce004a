// Progress of a request: its stages, the draft as it arrives, and a button to cancel.

import { byId, make, say } from "../elements.js";

const box = () => byId("progress");

/** Begin, in the element `place`; `cancel` is called by the button. */
export function startProgress(place, cancel) {
  place.append(box());
  byId("stages").replaceChildren();
  byId("stages").classList.remove("settled");
  byId("draft-text").textContent = "";
  byId("draft").hidden = true;
  byId("cancel").hidden = false;
  byId("cancel").onclick = cancel;
  box().hidden = false;
}

export function stage(text) {
  settle("done");
  byId("stages").append(make("li", { class: "now" }, text));
  say(text);
}

/** A piece of the text, not yet checked. */
export function token(text) {
  byId("draft").hidden = false;
  byId("draft-text").append(text);
}

export function finishProgress(text) {
  settle("done");
  byId("stages").append(make("li", { class: "done" }, text));
  byId("stages").classList.add("settled");
  end(text);
}

export function failProgress(text) {
  settle("failed");
  byId("stages").append(make("li", { class: "failed" }, text));
  end(text);
}

export function hideProgress() {
  box().hidden = true;
}

function end(text) {
  byId("draft").hidden = true;
  byId("cancel").hidden = true;
  say(text);
}

function settle(how) {
  for (const previous of byId("stages").querySelectorAll(".now")) previous.className = how;
}
