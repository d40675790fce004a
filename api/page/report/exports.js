// Exports of a generation: the clipboard, PDF, FHIR, DICOM SR, and maps of what is stated.

import { byId, button, make } from "../elements.js";
import { dicomImage, files } from "../study/images.js";
import { imageOptions } from "../study/options.js";
import { statedBy } from "../study/score_maps.js";
import { exportGeneration, exportMap } from "../service.js";

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
  const mapped = ownImages && made.regions.length > 0 ? [...new Set(made.statements.flatMap(statedBy))] : [];
  const maps = mapped.flatMap((observation) => {
    const values = { observation, ...imageOptions() };
    return [
      entry(`Where: ${observation}, PNG`, "png", () => exportMap(made.id, "map", files()[0], values)),
      dicom
        ? entry(`Where: ${observation}, DICOM SC`, "dcm", () => exportMap(made.id, "dicom-sc", dicom, values))
        : null,
    ];
  });
  byId("export-menu").replaceChildren(...[...entries, ...maps].filter(Boolean));
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
