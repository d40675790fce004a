// Files chosen, or dropped anywhere on the page.

import { byId } from "../elements.js";

/** `choose` is called with the files. */
export function listenForFiles(choose) {
  const field = byId("drop");
  byId("files").addEventListener("change", (event) => {
    const chosen = [...event.target.files];
    event.target.value = "";
    choose(chosen);
  });
  // An image dropped beside the field must not replace the page.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }
  document.addEventListener("dragover", () => field.classList.add("over"));
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, () => field.classList.remove("over"));
  }
  document.addEventListener("drop", (event) => choose([...event.dataTransfer.files]));
}
