// Which cited case is open, and the number that opened it.

import { closeCase, openCase } from "./case.js";
import { byId, narrow, say } from "../elements.js";
import { showImage } from "../study/images.js";
import { markOpen } from "./hits.js";
import { markWrong } from "../report/review.js";
import { act } from "../work.js";

let opener = null; // the chip or row whose case is open

export const isOpen = () => opener !== null;

/** Show a cited case; pressed again, its number closes it. */
export async function open(cited, pressed) {
  if (opener === pressed) {
    close();
    return;
  }
  opener = pressed;
  markOpen(pressed);
  const inReport = byId("report-body").contains(pressed);
  const wrong = inReport && cited.place !== null ? () => disown(cited) : null;
  showImage();
  await openCase(cited, { close, wrong });
  if (narrow() && opener === pressed) pressed.scrollIntoView({ block: "start" });
  say(`Prior case ${cited.number} opened`);
}

export function close() {
  closeCase();
  markOpen(null);
  if (opener?.isConnected) opener.focus();
  opener = null;
}

const disown = (cited) =>
  act(async () => {
    await markWrong(cited.place, cited.number);
    byId("wrong").disabled = true;
    byId("wrong").textContent = "Marked as wrong";
  });
