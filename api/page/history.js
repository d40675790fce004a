// Earlier generations, page by page: filter by task, open, delete.

import { button, byId, counted, make, say } from "./elements.js";
import { nameOf } from "./report/generation.js";
import { forget, recall } from "./session.js";
import { deleteGeneration, listGenerations } from "./service.js";

const PAGE = 10;
const KINDS = { report: "Reports", ask: "Answers", classify: "Observations", caption: "Captions" };

let before = null; // where the next page begins
let latest = 0;

/** Wire the list: `open(id)` shows an entry, `removed(id)` is called after a deletion, `fail(error)` on errors. */
export function startHistory({ open, removed, fail }) {
  byId("history-task").append(
    ...Object.entries(KINDS).map(([task, name]) => make("option", { value: task }, name)),
  );
  const again = () => fillHistory({ open, removed, fail });
  byId("history-task").addEventListener("change", again);
  byId("history-form").addEventListener("submit", (event) => {
    event.preventDefault();
    again();
  });
  byId("history-more").addEventListener("click", () => more({ open, removed, fail }));
  return again;
}

async function fillHistory(does) {
  before = null;
  byId("history-list").replaceChildren();
  await more(does);
}

async function more(does) {
  const turn = ++latest;
  const list = byId("history-list");
  try {
    const page = await listGenerations({
      limit: PAGE,
      task: byId("history-task").value,
      text: byId("history-text").value.trim(),
      before,
    });
    if (turn !== latest) return;
    before = page.next_before;
    list.append(...page.generations.map((line) => row(line, does)));
    byId("history-more").hidden = before === null;
    byId("history-count").textContent = counted(page.total, "entry", "entries");
    if (page.total === 0) list.replaceChildren(make("li", { class: "muted" }, "Nothing yet."));
  } catch (error) {
    if (turn !== latest) return;
    byId("history-more").hidden = true;
    byId("history-count").textContent = "";
    list.replaceChildren(make("li", { class: "muted" }, error.message));
  }
}

function row(line, does) {
  const words = line.question ? `${line.question} ${line.text}` : line.text || "(empty)";
  const known = recall(line.id);
  const opened = button(make("span", { class: "first" }, words), {
    class: "history-open",
    onclick: () => does.open(line.id),
  });
  if (line.in_distribution === false) {
    opened.append(make("span", { class: "unlike small" }, "X-ray unlike the index"));
  }
  const when = new Date(line.created_at).toLocaleString();
  opened.append(make("span", { class: "muted small" }, [nameOf(line.task), when, known?.name].filter(Boolean).join(" · ")));
  const entry = make("li", { class: "history-entry" }, known?.thumbnail, opened);
  entry.append(deletion(line, entry, does));
  return entry;
}

/** The first press asks, the second deletes. */
function deletion(line, entry, { removed, fail }) {
  const tools = make("div", { class: "tools" });
  const name = `${nameOf(line.task)} of ${new Date(line.created_at).toLocaleString()}`;
  const first = button("Delete", { class: "quiet delete", "aria-label": `Delete the ${name}` });
  const keep = button("Keep", { class: "quiet" });
  const really = button("Delete permanently", { class: "danger really" });
  first.addEventListener("click", () => {
    tools.replaceChildren(really, keep);
    really.focus();
  });
  keep.addEventListener("click", () => {
    tools.replaceChildren(first);
    first.focus();
  });
  really.addEventListener("click", async () => {
    try {
      await deleteGeneration(line.id);
    } catch (error) {
      fail(error);
      return;
    }
    const next = entry.nextElementSibling ?? entry.previousElementSibling;
    (next?.querySelector("button") ?? byId("history-task")).focus();
    entry.remove();
    forget(line.id);
    say("Deleted");
    removed(line.id);
  });
  tools.append(first);
  return tools;
}
