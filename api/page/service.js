// The service, as the page calls it. A failure is a ServiceError whose message is for a person.

import { capital } from "./elements.js";
import { askForKey, currentKey, forgetKey } from "./key.js";

const GONE = "The server does not answer: check that it is still running.";
const BROKEN = "The connection broke before the answer was complete, and nothing of it can be shown.";
const NO_KEY = "This server wants an API key: ask whoever runs it for one.";
const WRONG_KEY = "The server does not know this API key, or it was revoked: give another.";

export class ServiceError extends Error {
  /** `wait` is the seconds after which it makes sense to try again; null where it makes none. */
  constructor(message, { status = 0, wait = null } = {}) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

/** The answer of the server, once it is a good one; asks for a key where one is wanted. */
async function call(path, options = {}) {
  for (;;) {
    const key = currentKey();
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServiceError(GONE, { wait: 0 });
    }
    if (response.ok) return response;
    if (response.status !== 401) throw await failure(response);
    if (key && key === currentKey()) forgetKey();
    if (!currentKey() && !(await askForKey(key ? WRONG_KEY : NO_KEY))) {
      throw new ServiceError(NO_KEY, { status: 401, wait: 0 });
    }
  }
}

async function failure(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // not a problem document
  }
  const { status } = response;
  const again = Number(response.headers.get("Retry-After") || NaN);
  const wait = [429, 503].includes(status) ? (Number.isNaN(again) ? 1 : again) : null;
  return new ServiceError(detail ? sentence(detail) : `The server answered ${status} without a reason.`, {
    status,
    wait,
  });
}

/** A detail as a sentence; one that begins with the name of a file keeps it. */
const sentence = (detail) => {
  const text = /^[a-z']+ /.test(detail) && !/\w\.\w/.test(detail) ? capital(detail) : detail;
  return /[.!?]$/.test(text) ? text : `${text}.`;
};

const json = async (path, options) => (await call(path, options)).json();
const blob = async (path, options) => (await call(path, options)).blob();
const casePath = (key) => `/cases/${encodeURIComponent(key)}`;
const generationPath = (id) => `/generations/${encodeURIComponent(id)}`;

function form(field, files, values = {}) {
  const data = new FormData();
  for (const file of files) data.append(field, file, file.name);
  for (const [name, value] of Object.entries(values)) {
    if (value !== "" && value !== false) data.append(name, String(value));
  }
  return data;
}

const post = (data, signal) => ({ method: "POST", body: data, signal });

export const getHealth = () => json("/health");
export const getGeneration = (id) => json(generationPath(id));
export const deleteGeneration = (id) => call(generationPath(id), { method: "DELETE" });
export const getCase = (key) => json(casePath(key));
export const getCaseImage = (key, number) => blob(`${casePath(key)}/images/${number}`);
export const listFeedback = (id) => json(`${generationPath(id)}/feedback`);

export function listGenerations(filters) {
  const wanted = Object.entries(filters).filter(([, value]) => value);
  return json(`/generations?${new URLSearchParams(wanted)}`);
}

export function sendFeedback(id, remark) {
  const headers = { "Content-Type": "application/json" };
  return json(`${generationPath(id)}/feedback`, { method: "POST", headers, body: JSON.stringify(remark) });
}

/** The film as the search sees it, as PNG. */
export const previewFilm = (file, signal) => blob("/images", post(form("image", [file]), signal));

export async function getSample() {
  return new File([await blob("/sample")], "sample film");
}

/** A file of the report; with films these go into it. */
export function exportGeneration(id, format, films = [], field = "images") {
  return blob(`${generationPath(id)}/${format}`, films.length > 0 ? post(form(field, films)) : {});
}

export const createSearch = (files, values, signal) =>
  json("/searches", post(form("images", files, values), signal));

/** Have a text made in steps: `tell(event, data)` hears of each; the last one's data is returned. */
export async function createText(path, files, values, signal, tell) {
  const headers = { Accept: "text/event-stream" };
  const response = await call(path, { ...post(form("images", files, values), signal), headers });
  for await (const { event, data } of eventsOf(response)) {
    if (event === "problem") {
      const wait = [429, 503].includes(data.status) ? 1 : null;
      throw new ServiceError(sentence(data.detail), { status: data.status, wait });
    }
    if (event !== "stage" && event !== "token") return data;
    tell(event, data);
  }
  throw new ServiceError(BROKEN, { wait: 0 });
}

/** Server-sent events, as the HTML standard defines them, as far as this service uses them. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServiceError(BROKEN, { wait: 0 });
    }
    if (piece.done) return;
    const blocks = (rest + piece.value).split(/\r\n\r\n|\n\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const found = parse(block);
      if (found) yield found;
    }
  }
}

function parse(block) {
  let event = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
  return data.length > 0 ? { event, data: JSON.parse(data.join("\n")) } : null;
}
