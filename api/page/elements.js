// Building the page from text: nothing that a server or a file says is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text, `onclick` and its like listen. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(text, attributes, ...children) {
  return make("button", { type: "button", ...attributes }, text, ...children);
}

/** A bar for a share from 0 to 1. */
export function bar(share) {
  const width = 100 * Math.min(1, Math.max(0, share));
  const rect = draw("rect", { width, height: 6 });
  const svg = draw("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, rect);
  return make("span", { class: "bar", "aria-hidden": "true" }, svg);
}

export const decimals = (value) => value.toFixed(2);
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const counted = (count, one, many) => (count === 1 ? `1 ${one}` : `${count.toLocaleString()} ${many}`);

/** Announce to screen readers only. */
export const say = (text) => {
  byId("status").textContent = text;
};

export const narrow = () => window.matchMedia("(max-width: 900px)").matches;
