// Keyboard shortcuts: listened to in one place, listed in a dialogue by "?". None works while
// something is typed, and a person can turn all of them off: a letter may mean something else to
// speech input.

import { byId, make, say } from "./elements.js";

const STORE = "single-keys";

const groups = new Map([
  // title to [{keys, shown, says, does}]; in the order of the list
  ["Report", []],
  ["Maps", []],
  ["Prior case", []],
  ["Page", [{ keys: ["?"], says: "Show this list", does: open }]],
  ["X-ray", []],
]);

/** Add shortcuts below a title: `does(event)` returns false where it has nothing to do. */
export function addShortcuts(title, shortcuts) {
  groups.set(title, [...(groups.get(title) ?? []), ...shortcuts]);
}

const typing = (target) => target.closest?.("input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]");
const isOff = () => localStorage.getItem(STORE) === "off";

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  if (isOff() && event.key !== "?") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  for (const { keys, does } of [...groups.values()].flat()) {
    if (keys.includes(key) && does(event) !== false) {
      event.preventDefault();
      return;
    }
  }
}

function fill() {
  byId("keys-list").replaceChildren(
    ...[...groups].map(([title, shortcuts]) =>
      make(
        "section",
        {},
        make("h3", {}, title),
        make(
          "dl",
          {},
          ...shortcuts.map(({ keys, shown, says }) =>
            make(
              "div",
              {},
              make("dt", {}, ...(shown ?? keys.map((key) => key.toUpperCase())).map((key) => make("kbd", {}, key))),
              make("dd", {}, says),
            ),
          ),
        ),
      ),
    ),
  );
}

function open() {
  fill();
  byId("single-keys").checked = !isOff();
  byId("keys-dialog").showModal();
}

document.addEventListener("keydown", pressed);
byId("keys-open").addEventListener("click", open);
byId("keys-close").addEventListener("click", () => byId("keys-dialog").close());
byId("single-keys").addEventListener("change", (event) => {
  localStorage.setItem(STORE, event.target.checked ? "on" : "off");
  say(event.target.checked ? "Shortcuts on" : "Shortcuts off");
});
