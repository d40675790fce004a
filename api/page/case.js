// The cited case beside the report, its quoted sentence marked.

import { byId, decimals, make } from "./elements.js";
import { caseImagePath, getCase } from "./service.js";

let latest = 0;

/** Open a case; `cited` has case, number, study_id, score, quotes. */
export async function openCase(cited, close) {
  const turn = ++latest;
  const panel = byId("case");
  let found = null;
  let failure = "";
  if (cited.case_available) {
    try {
      found = await getCase(cited.case);
    } catch (error) {
      failure = error.message;
    }
  } else {
    failure = "The index that is open now does not hold this case any more; the quote is kept.";
  }
  if (turn !== latest) return;
  panel.replaceChildren(card(cited, found, failure, close));
  panel.hidden = false;
  panel.scrollTop = 0;
  byId("desk").classList.add("with-case");
  byId("case-title").focus({ preventScroll: true });
  const mark = panel.querySelector("mark");
  if (mark && mark.getBoundingClientRect().bottom > panel.getBoundingClientRect().bottom) {
    panel.scrollTop = mark.offsetTop - panel.clientHeight / 2;
  }
}

export function closeCase() {
  latest += 1;
  byId("case").hidden = true;
  byId("case").replaceChildren();
  byId("desk").classList.remove("with-case");
}

function card(cited, found, failure, close) {
  return make(
    "div",
    { class: "card" },
    make(
      "div",
      { class: "card-head" },
      make(
        "h2",
        { id: "case-title", tabindex: "-1" },
        make("span", { class: "chip" }, String(cited.number)),
        ` Prior case ${cited.study_id}`,
      ),
      make(
        "button",
        { type: "button", class: "quiet", id: "case-close", onclick: close },
        "Close",
      ),
    ),
    make(
      "div",
      { class: "facts muted" },
      make("span", {}, `similarity ${decimals(cited.score)}`),
      make("span", {}, `source ${cited.source}`),
      found?.public_url
        ? make(
            "a",
            { href: found.public_url, target: "_blank", rel: "noopener noreferrer" },
            "public page",
          )
        : null,
    ),
    failure ? make("p", { class: "gone-note" }, failure) : null,
    ...(found ? [images(found), report(found, cited.quotes), labels(found)] : [quotes(cited.quotes)]),
  );
}

function images(found) {
  const shown = found.images.filter((image) => image.has_file).slice(0, 2);
  const box = make("div", { class: shown.length > 1 ? "case-images pair" : "case-images" });
  const none = () => make("p", { class: "muted" }, "The image of this case is not on this machine.");
  if (shown.length === 0) box.append(none());
  for (const image of shown) {
    const picture = make("img", {
      src: caseImagePath(found.case, image.number),
      alt: `Image ${image.number} of the prior case${image.view_position ? `, ${image.view_position}` : ""}`,
    });
    picture.addEventListener("error", () => {
      picture.remove();
      if (box.childElementCount === 0) box.append(none());
    });
    box.append(picture);
  }
  return box;
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
          { class: "gone-note" },
          "The report of this case no longer holds the quoted sentence: ",
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
