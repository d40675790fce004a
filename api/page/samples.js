// X-rays that the project has drawn, to try the page with: no patient's.

import { byId, button, make } from "./elements.js";

const SAMPLES = {
  normal: "Normal chest",
  effusion: "Pleural effusion",
  nodule: "Nodule",
  hand: "Not a chest",
};

/** `take(file)` gets the sample that is pressed. */
export function offerSamples(take) {
  byId("samples-list").append(
    ...Object.entries(SAMPLES).map(([name, text]) => {
      const address = `page/samples/${name}.jpg`;
      return make(
        "li",
        {},
        button(
          make("img", { src: address, alt: "", width: 120, height: 120 }),
          { class: "sample-image", "data-sample": name, onclick: () => take(() => fetched(address, `${name}.jpg`)) },
          make("span", {}, text),
        ),
      );
    }),
  );
}

async function fetched(address, name) {
  const response = await fetch(address);
  if (!response.ok) throw new Error("The sample could not be loaded.");
  return new File([await response.blob()], name, { type: "image/jpeg" });
}
