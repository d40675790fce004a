// The cited case beside the X-ray, its quoted sentence marked.

import { button, byId, decimals, make, say } from "../elements.js";
import { addShortcuts } from "../keys.js";
import { getCase, getCaseImage, getCaseRegions } from "../service.js";
import { viewer as own } from "../study/images.js";
import { drawing } from "../study/score_maps.js";
import { Viewer } from "../study/viewer.js";
import { offerImages } from "./public_images.js";
import { act } from "../work.js";

let latest = 0;
let linkedCase = null; // the viewer of the case that is open
let pictures = []; // object URLs of the case that is open

/**
 * Open a case. `cited` has case, number, source, study_id, score, case_available and quotes, and
 * the observations of the sentence that cites it, if one does;
 * `close` and `wrong` are what its buttons do, `wrong` null where no statement cites it.
 */
export async function openCase(cited, { close, wrong }) {
  const turn = ++latest;
  let found = null;
  let failure = "";
  if (cited.case_available) {
    try {
      found = await getCase(cited.case);
    } catch (error) {
      failure = error.message;
    }
  } else {
    failure = "The index now open no longer contains this case; the quoted sentence is kept.";
  }
  if (turn !== latest) return;
  forgetPictures();
  const panel = byId("case");
  const images = found ? make("div", { class: "case-images" }) : null;
  panel.replaceChildren(card(cited, found, failure, images, { close, wrong }));
  panel.hidden = false;
  panel.scrollTop = 0;
  byId("desk").classList.add("with-case");
  byId("case-title").focus({ preventScroll: true });
  showMark(panel);
  if (found) {
    showImages(images, found, cited.observations ?? [], turn).then(() => {
      if (turn === latest) showMark(panel);
    });
  }
}

export function closeCase() {
  latest += 1;
  forgetPictures();
  byId("case").hidden = true;
  byId("case").replaceChildren();
  byId("desk").classList.remove("with-case");
}

function forgetPictures() {
  if (linkedCase) own.unlink(linkedCase);
  linkedCase = null;
  for (const url of pictures) URL.revokeObjectURL(url);
  pictures = [];
}

function showMark(panel) {
  const mark = panel.querySelector("mark");
  if (mark && mark.getBoundingClientRect().bottom > panel.getBoundingClientRect().bottom) {
    panel.scrollTop = mark.offsetTop - panel.clientHeight / 2;
  }
}

function card(cited, found, failure, images, { close, wrong }) {
  const title = make(
    "h2",
    { id: "case-title", tabindex: "-1" },
    make("span", { class: "chip" }, String(cited.number)),
    ` Prior case ${cited.study_id}`,
  );
  return make(
    "div",
    { class: "card" },
    make(
      "div",
      { class: "card-head" },
      title,
      button("Close", { class: "quiet", id: "case-close", onclick: close }),
    ),
    make(
      "div",
      { class: "facts muted" },
      make("span", {}, `similarity ${decimals(cited.score)}`),
      make("span", {}, `source ${cited.source}`),
      found?.public_url ? publicPage(found.public_url) : null,
    ),
    failure ? make("p", { class: "missing-note" }, failure) : null,
    images,
    ...(found ? [report(found, cited.quotes), labels(found)] : [quotes(cited.quotes)]),
    wrong ? button("This case does not support the sentence", { class: "plain wrong", id: "wrong", onclick: wrong }) : null,
  );
}

function publicPage(url) {
  return make("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, "public page");
}

/** The images of the case that the server has; they need the API key, so `src` cannot load them. */
async function showImages(box, found, observations, turn) {
  const images = [];
  for (const image of found.images.filter((one) => one.has_file).slice(0, 4)) {
    const alt = `X-ray ${image.number} of the prior case${image.view_position ? `, ${image.view_position}` : ""}`;
    try {
      const { png, display } = await getCaseImage(found.case, image.number);
      const url = URL.createObjectURL(png);
      if (turn !== latest) {
        URL.revokeObjectURL(url);
        return;
      }
      pictures.push(url);
      images.push({ url, alt, display, number: image.number });
    } catch {
      // the file has moved since the index was built
    }
  }
  if (turn !== latest) return;
  if (images.length === 0) {
    box.append(make("p", { class: "muted" }, "No image of this case is stored on the server."));
    const offer = offerImages(found, (loaded) => {
      if (turn === latest) drawImages(box, loaded);
    });
    if (offer) box.append(offer);
    return;
  }
  const viewer = drawImages(box, images);
  if (observations.length > 0) viewer.toolbar.extra.append(whereButton(viewer, found, observations));
}

function drawImages(box, images) {
  const viewer = new Viewer("X-ray of the prior case");
  box.replaceChildren(viewer.element);
  viewer.show(images);
  viewer.toolbar.extra.append(linkButton(viewer));
  return viewer;
}

/** Links window and zoom of the case to those of the X-ray. */
function linkButton(viewer) {
  const press = button("Link", {
    class: "quiet link",
    "aria-pressed": "false",
    title: "Link window and zoom with the X-ray (L)",
    onclick: () => {
      const linked = press.getAttribute("aria-pressed") === "true";
      if (linked) own.unlink(viewer);
      else own.link(viewer);
      press.setAttribute("aria-pressed", String(!linked));
      say(linked ? "Window and zoom apart" : "Window and zoom linked");
    },
  });
  linkedCase = viewer;
  return press;
}

addShortcuts("Prior case", [
  {
    keys: ["l"],
    says: "Link window and zoom of the prior case with the X-ray",
    does: () => {
      const press = document.querySelector("#case .link");
      press?.click();
      return press !== null;
    },
  },
  { keys: ["Escape"], shown: ["Esc"], says: "Close the prior case", does: () => false },
]);

/** Shows what the scores of these observations rest on in the images of the case. */
function whereButton(viewer, found, observations) {
  const load = async () => {
    const read = viewer.images.map(({ number }) => getCaseRegions(found.case, number, observations));
    return (await Promise.all(read)).flatMap((regions, place) => regions.map((one) => ({ ...one, image: place + 1 })));
  };
  let loaded = null;
  const press = button("Where", {
    class: "where",
    "aria-pressed": "false",
    "aria-label": `Where in the prior case: what the score for ${observations.join(" and ")} rests on`,
    onclick: () =>
      act(async () => {
        const shows = press.getAttribute("aria-pressed") === "true";
        if (!shows) loaded ??= drawing(await load(), null);
        viewer.lay(shows ? [] : loaded);
        press.setAttribute("aria-pressed", String(!shows));
        say(shows ? "Map hidden" : viewer.captions());
      }),
  });
  return press;
}

function report(found, wanted) {
  const parts = [
    ["Indication", found.indication],
    ["Findings", found.findings],
    ["Impression", found.impression],
  ].filter(([, text]) => text);
  const missing = wanted.filter((quote) => !parts.some(([, text]) => text.includes(quote)));
  return make(
    "div",
    { class: "case-report" },
    missing.length > 0
      ? make(
          "p",
          { class: "missing-note" },
          "The report of this case no longer contains the quoted sentence: ",
          ...missing.map((quote) => make("mark", {}, quote)),
        )
      : null,
    ...parts.map(([title, text]) =>
      make("section", {}, make("h3", {}, title), make("p", {}, ...marked(text, wanted))),
    ),
  );
}

function quotes(wanted) {
  return make(
    "div",
    { class: "case-report" },
    make(
      "section",
      {},
      make("h3", {}, "Quoted when the report was written"),
      ...wanted.map((quote) => make("p", {}, make("mark", {}, quote))),
    ),
  );
}

/** A text with every quote in it marked. */
export function marked(text, wanted) {
  const spans = [];
  for (const quote of wanted) {
    if (!quote) continue;
    for (let at = text.indexOf(quote); at >= 0; at = text.indexOf(quote, at + quote.length)) {
      spans.push([at, at + quote.length]);
    }
  }
  spans.sort((a, b) => a[0] - b[0]);
  const pieces = [];
  let reached = 0;
  for (const [start, end] of spans) {
    if (end <= reached) continue;
    const from = Math.max(start, reached);
    pieces.push(text.slice(reached, from), make("mark", {}, text.slice(from, end)));
    reached = end;
  }
  pieces.push(text.slice(reached));
  return pieces;
}

function labels(found) {
  const order = { positive: 0, uncertain: 1, negative: 2 };
  const entries = Object.entries(found.labels).sort((a, b) => order[a[1]] - order[b[1]]);
  if (entries.length === 0) return null;
  return make(
    "section",
    { class: "block" },
    make("h3", {}, "Labels of the report"),
    make(
      "div",
      { class: "labels" },
      ...entries.map(([name, state]) =>
        make("span", { class: `label ${state}` }, `${name}: ${state}`),
      ),
    ),
  );
}
