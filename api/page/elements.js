// Building the page from text: nothing that a server or a file says is ever parsed as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key === "onclick") element.addEventListener("click", value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A bar for a share from 0 to 1; inline styles are not allowed here, SVG attributes are. */
export function bar(share) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 1");
  svg.setAttribute("preserveAspectRatio", "none");
  const rect = document.createElementNS(space, "rect");
  rect.setAttribute("width", String(100 * Math.min(1, Math.max(0, share))));
  rect.setAttribute("height", "1");
  svg.append(rect);
  return make("span", { class: "bar", "aria-hidden": "true" }, svg);
}

export const decimals = (value) => value.toFixed(2);
