// The service, as the page calls it. A failure is an Error whose message is for a person.

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: check that it is still running.");
  }
  if (!response.ok) throw new Error(await reason(response));
  return response;
}

async function reason(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // not a problem document
  }
  if (!detail) return `The server answered ${response.status} without a reason.`;
  return detail;
}

const json = async (path, options) => (await call(path, options)).json();
const casePath = (key) => `/cases/${encodeURIComponent(key)}`;

export const getHealth = () => json("/health");
export const getGeneration = (id) => json(`/generations/${encodeURIComponent(id)}`);
export const listGenerations = () => json("/generations?limit=10");
export const getCase = (key) => json(casePath(key));
export const caseImagePath = (key, number) => `${casePath(key)}/images/${number}`;

/** The film as the search sees it, as PNG blob. */
export async function previewFilm(file, signal) {
  const form = new FormData();
  form.append("image", file, file.name);
  return (await call("/films", { method: "POST", body: form, signal })).blob();
}

export async function getSample() {
  const blob = await (await call("/sample")).blob();
  return new File([blob], "sample film");
}

export const createReport = (files, options, signal) => post("/reports", files, options, signal);
export const createSearch = (files, options, signal) => post("/searches", files, options, signal);

function post(path, files, options, signal) {
  const form = new FormData();
  for (const file of files) form.append("images", file, file.name);
  for (const [name, value] of Object.entries(options)) {
    if (value !== "" && value !== false) form.append(name, String(value));
  }
  return json(path, { method: "POST", body: form, signal });
}
