// Calls to the service. A failure is a ServiceError whose message is for people.
//
// Paths are relative to the page, which a proxy may offer below a prefix.

import { capital } from "./elements.js";
import { askForKey, currentKey, forgetKey } from "./key.js";

const UNREACHABLE = "The server is not responding. Check that it is still running.";
const LOST = "The connection was lost before the answer was complete.";
const NO_KEY = "This server requires an API key. Ask its administrator for one.";
const WRONG_KEY = "The server does not recognise this API key, or it has been revoked. Enter another one.";

export class ServiceError extends Error {
  /** `wait` is the seconds after which to try again; null if that makes no sense. */
  constructor(message, { status = 0, wait = null } = {}) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

/** A successful response; asks for an API key if the server requires one. */
async function call(path, options = {}) {
  for (;;) {
    const key = currentKey();
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServiceError(UNREACHABLE, { wait: 0 });
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
  return new ServiceError(detail ? sentence(detail) : `The server answered ${status} without giving a reason.`, {
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
/** {png, display}: an image, and what its DICOM header says of its size and windows, or null. */
async function picture(path, options) {
  const response = await call(path, options);
  const display = response.headers.get("Image-Display");
  return { png: await response.blob(), display: display && JSON.parse(display) };
}
const casePath = (key) => `cases/${encodeURIComponent(key)}`;
const generationPath = (id) => `generations/${encodeURIComponent(id)}`;

function form(field, files, values = {}) {
  const data = new FormData();
  for (const file of files) data.append(field, file, file.name);
  for (const [name, value] of Object.entries(values)) {
    if (Array.isArray(value)) for (const file of value) data.append(name, file, file.name);
    else if (value !== "" && value !== false) data.append(name, String(value));
  }
  return data;
}

const post = (data, signal) => ({ method: "POST", body: data, signal });

export const getHealth = () => json("health");
export const getGeneration = (id) => json(generationPath(id));
export const deleteGeneration = (id) => call(generationPath(id), { method: "DELETE" });
export const getCase = (key) => json(casePath(key));
export const getCaseImage = (key, number) => picture(`${casePath(key)}/images/${number}`);
export const getCaseRegions = (key, number, names) =>
  json(`${casePath(key)}/images/${number}/regions?${new URLSearchParams(names.map((name) => ["observation", name]))}`);
export const listFeedback = (id) => json(`${generationPath(id)}/feedback`);

export function listGenerations(filters) {
  const wanted = Object.entries(filters).filter(([, value]) => value);
  return json(`generations?${new URLSearchParams(wanted)}`);
}

function postJson(path, values, signal) {
  const headers = { "Content-Type": "application/json" };
  return json(path, { method: "POST", headers, body: JSON.stringify(values), signal });
}

export const sendFeedback = (id, remark) => postJson(`${generationPath(id)}/feedback`, remark);
export const searchPacs = (query) => postJson("pacs/searches", query);
export const reportOnPacs = (wanted, signal) => postJson("pacs/reports", wanted, signal);
export const sendBack = (wanted) => postJson("pacs/send-back", wanted);

/** The image as the search sees it, as PNG; `options.window` chooses one of a DICOM file's own. */
export const previewImage = (file, options, signal) =>
  picture("images", post(form("image", [file], options), signal));

export async function getSample() {
  return new File([await blob("sample")], "sample X-ray");
}

/** An export of a generation; images, if given, are included in it. */
export function exportGeneration(id, format, images = [], field = "images") {
  return blob(`${generationPath(id)}/${format}`, images.length > 0 ? post(form(field, images)) : {});
}

/** What the score of an observation rests on, over an image: `map` is a PNG, `dicom-sc` DICOM. */
export const exportMap = (id, format, image, values) =>
  blob(`${generationPath(id)}/${format}`, post(form("image", [image], values)));

export const createSearch = (files, values, signal) =>
  json("searches", post(form("images", files, values), signal));

const PROGRESS = ["notice", "warning", "stage", "token"];

/** Request a generation; `emit(event, data)` gets each stage and token. Returns the finished generation. */
export async function createText(path, files, values, signal, emit) {
  const headers = { Accept: "text/event-stream" };
  const response = await call(path, { ...post(form("images", files, values), signal), headers });
  for await (const { event, data } of eventsOf(response)) {
    if (event === "problem") {
      const wait = [429, 503].includes(data.status) ? 1 : null;
      throw new ServiceError(sentence(data.detail), { status: data.status, wait });
    }
    if (!PROGRESS.includes(event)) return data;
    emit(event, data);
  }
  throw new ServiceError(LOST, { wait: 0 });
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
      throw new ServiceError(LOST, { wait: 0 });
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
