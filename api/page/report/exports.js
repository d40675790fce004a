// Exports of a generation: the clipboard, PDF, FHIR and DICOM SR.

import { byId, button, make } from "../elements.js";
import { dicomImage, files } from "../study/images.js";
import { exportGeneration } from "../service.js";

/** Fill the menu for a generation; `act(work)` runs an export and shows its error. */
export async function offerExports(made, ownImages, act) {
  const dicom = ownImages ? await dicomImage() : null;
  const stem = `${made.task}-${made.id.slice(0, 8)}`;
  const entry = (text, extension, fetched) =>
    button(text, {
      class: "quiet",
      onclick: () => {
        byId("export").open = false;
        act(async () => save(await fetched(), `${stem}.${extension}`));
      },
    });
  const entries = [
    entry("PDF", "pdf", () => exportGeneration(made.id, "pdf")),
    ownImages ? entry("PDF with the X-rays", "pdf", () => exportGeneration(made.id, "pdf", files())) : null,
    entry("FHIR R5", "json", () => exportGeneration(made.id, "fhir?release=R5")),
    entry("FHIR R4B", "json", () => exportGeneration(made.id, "fhir?release=R4B")),
    entry("DICOM SR", "dcm", () => exportGeneration(made.id, "dicom-sr")),
    dicom
      ? entry("DICOM SR with the X-ray's patient", "dcm", () => exportGeneration(made.id, "dicom-sr", [dicom], "image"))
      : null,
  ];
  byId("export-menu").replaceChildren(...entries.filter(Boolean));
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Copy text; the button says so for a moment. */
export async function copy(text, press) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    throw new Error("The browser did not allow copying: select the text instead.");
  }
  const before = press.textContent;
  press.textContent = "Copied";
  setTimeout(() => {
    press.textContent = before;
  }, 1500);
}

/** Fold the menu; true where it was open. */
export function closeMenu() {
  const menu = byId("export");
  if (!menu.open) return false;
  menu.open = false;
  menu.querySelector("summary").focus();
  return true;
}

document.addEventListener("click", (event) => {
  if (!byId("export").contains(event.target)) byId("export").open = false;
});
