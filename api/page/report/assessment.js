// The assessment above a report: what it sees, what is possible and what cannot be judged, the
// numbers behind a press. What no sentence words is said here.

import { button, make } from "../elements.js";
import { whereButton } from "../study/score_maps.js";
import { numbersOfObservation } from "./observations.js";

const GROUPS = [
  ["present", "Sees"],
  ["possible", "Possible"],
  ["not assessable", "Not assessable"],
];

/** Null for a generation that was stored without its assessment. */
export function drawAssessment(made, open) {
  const observations = (made.observations ?? []).filter(({ name, state }) => state !== null && name !== "No Finding");
  if (observations.length === 0) return null;
  const worded = new Set(
    made.statements.flatMap(({ labels }) =>
      Object.entries(labels).filter(([, state]) => state !== "negative").map(([name]) => name),
    ),
  );
  const numbers = make("div", { class: "seen-numbers", id: "seen-numbers", hidden: true });
  const groups = GROUPS.map(([state, title]) => {
    const found = observations.filter((one) => one.state === state).sort((a, b) => b.probability - a.probability);
    if (found.length === 0 && state !== "present") return null;
    return make(
      "div",
      { class: "seen-group" },
      make("h3", {}, title),
      make(
        "div",
        {},
        found.length === 0 ? make("span", { class: "muted" }, "nothing") : null,
        ...found.map((one) => chip(one, made, numbers, state !== "not assessable" && !worded.has(one.name), open)),
      ),
    );
  });
  const absent = observations.filter((one) => one.state === "absent").map(({ name }) => name);
  return make(
    "section",
    { class: "assessment", "aria-label": "Assessment" },
    ...groups,
    absent.length > 0
      ? make(
          "details",
          { class: "inner absent" },
          make("summary", {}, `Absent: ${absent.length} of ${observations.length}`),
          make("p", { class: "muted small" }, absent.join(", ")),
        )
      : null,
    numbers,
  );
}

function chip(one, made, numbers, unworded, open) {
  const { name, state } = one;
  const holder = make("span", { class: "seen" });
  const press = button(name, {
    class: `label state-${state.replace(" ", "-")}`,
    "aria-expanded": "false",
    "aria-controls": "seen-numbers",
    title: "Show its numbers",
    onclick: () => {
      const shows = press.getAttribute("aria-expanded") === "true";
      for (const other of numbers.parentElement.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
      press.setAttribute("aria-expanded", String(!shows));
      numbers.hidden = shows;
      numbers.replaceChildren(...(shows ? [] : numbersOfObservation(one, made, open)));
    },
  });
  holder.append(press);
  const where = whereButton(made, [name], holder);
  if (where) holder.append(where);
  if (unworded) holder.append(make("span", { class: "tag" }, "no sentence says so"));
  return holder;
}
