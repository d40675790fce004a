// The API key: asked for where the server wants one, kept for this tab alone.

import { byId } from "./elements.js";

const STORE = "api-key";

let asking = null; // the promise of the dialogue that is open

export const currentKey = () => sessionStorage.getItem(STORE);

export function forgetKey() {
  sessionStorage.removeItem(STORE);
}

/** True once a key was given; false where the dialogue was left without one. */
export function askForKey(reason) {
  asking ??= ask(reason).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(reason) {
  const dialog = byId("key-dialog");
  const field = byId("key");
  byId("key-reason").textContent = reason;
  field.value = "";
  return new Promise((resolve) => {
    const given = (event) => {
      event.preventDefault();
      const key = field.value.trim();
      if (!key) return;
      sessionStorage.setItem(STORE, key);
      dialog.close("given");
    };
    byId("key-form").addEventListener("submit", given);
    byId("key-cancel").onclick = () => dialog.close("");
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        byId("key-form").removeEventListener("submit", given);
        field.value = "";
        resolve(dialog.returnValue === "given");
      },
      { once: true },
    );
    dialog.showModal();
    field.focus();
  });
}
