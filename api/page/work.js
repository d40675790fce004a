// What is under way: one piece of work at a time, its failures shown, a way to stop it.

import { hideAlert, showAlert } from "./alert.js";
import { failProgress, hideProgress } from "./progress.js";

let running = null; // AbortController of what is under way

export const isBusy = () => running !== null;

export const cancel = () => running?.abort();

/** Run one thing at a time; a new one stops the one before. `again` is the whole of it anew. */
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

/** Do something beside what is under way. */
export async function act(work) {
  hideAlert();
  try {
    await work();
  } catch (error) {
    showAlert(error, () => act(work));
  }
}

const changed = () => document.dispatchEvent(new Event("work"));
