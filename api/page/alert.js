// What went wrong, in one place that stays in sight, with a way to try again.

import { byId, button, make } from "./elements.js";

let ticking = 0;

export function hideAlert() {
  clearInterval(ticking);
  byId("alert").hidden = true;
  byId("alert").replaceChildren();
}

/** Show an error; `again` is called by "Try again", which waits as long as the server said. */
export function showAlert(error, again = null) {
  if (error.name === "AbortError") return;
  hideAlert();
  const box = byId("alert");
  const tools = make("div", { class: "tools" });
  if (again && error.wait !== null && error.wait !== undefined) tools.append(retry(error.wait, again));
  tools.append(button("Dismiss", { class: "quiet", id: "dismiss", onclick: hideAlert }));
  box.append(make("p", { id: "error", role: "alert" }, error.message), tools);
  box.hidden = false;
}

function retry(seconds, again) {
  const press = button("Try again", {
    class: "plain",
    id: "again",
    onclick: () => {
      hideAlert();
      again();
    },
  });
  const until = performance.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    press.disabled = left > 0;
    press.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left <= 0) clearInterval(ticking);
  };
  ticking = setInterval(tick, 500);
  tick();
  return press;
}
