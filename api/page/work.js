// The running request: one at a time, its error shown, a way to cancel it.

import { hideAlert, showAlert } from "./alert.js";
import { failProgress, hideProgress } from "./report/progress.js";

let running = null; // AbortController of what is under way

export const isBusy = () => running !== null;

export const cancel = () => running?.abort();

/** Run `work`; it cancels what runs already. `again` repeats it from the start. */
export async function run(work, again = null) {
  cancel();
  const own = new AbortController();
  running = own;
  hideAlert();
  hideProgress();
  changed();
  try {
    await work(own.signal);
  } catch (error) {
    if (running !== own) return;
    failProgress(error.name === "AbortError" ? "Cancelled" : "Failed");
    showAlert(error, again);
  } finally {
    if (running === own) {
      running = null;
      changed();
    }
  }
}

/** Run `work` beside the running request. */
export async function act(work) {
  hideAlert();
  try {
    await work();
  } catch (error) {
    showAlert(error, () => act(work));
  }
}

const changed = () => document.dispatchEvent(new Event("work"));
