// A file of reports to review, and the order in which a reader gets them.

/** Parse a file: JSON Lines or a JSON array. Throws an Error whose message is for people. */
export function parseReports(text) {
  const trimmed = text.trim();
  const rows = trimmed.startsWith("[") ? readJson(trimmed, 1) : trimmed.split(/\r?\n/).filter(Boolean).map((line, at) => readJson(line, at + 1));
  if (!Array.isArray(rows) || rows.length === 0) throw new Error("The file has no report: give one JSON object a line.");
  return rows.map((row, place) => {
    const sentences = row.sentences ?? (typeof row.text === "string" ? split(row.text) : null);
    const complete = typeof row.study === "string" && typeof row.system === "string" && Array.isArray(sentences);
    if (!complete || sentences.length === 0 || sentences.some((one) => typeof one !== "string")) {
      throw new Error(`Report ${place + 1} needs "study", "system" and "sentences" or "text".`);
    }
    const { study, system, patient = null, reference = null } = row;
    return { item: place, study, system, patient, reference, sentences };
  });
}

function readJson(text, line) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`Line ${line} is not JSON.`);
  }
}

const split = (text) => text.split(/(?<=[.!?])\s+/).map((one) => one.trim()).filter(Boolean);

export async function sha256(text) {
  if (!crypto.subtle) throw new Error("The review needs https, or a server on this machine.");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((one) => one.toString(16).padStart(2, "0")).join("");
}

/** The reports in an order of the reader's own: the same again for the same name and file. */
export async function shuffled(reports, reader, digest) {
  const keyed = await Promise.all(
    reports.map(async (report) => ({ report, key: await sha256(`${digest}/${reader}/${report.item}`) })),
  );
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ report }) => report);
}
