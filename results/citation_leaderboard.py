"""The leaderboard in docs/citation-benchmark.md, from reports to tables with one command.

python -m results.citation_leaderboard --data-dir OPENI --split-file r2gen_split.json --work DIR
python -m results.citation_leaderboard         # again, from the figures that are committed

The first form indexes the training part with the shipped vectors, has the shipped language model
write its reports of ``val`` with and without retrieval, turns them and the systems without a model
into submissions, and scores these; all of it stays in DIR, and what is there already is not made
again. ``--outputs FILE`` takes reports that a model has written for this index. The figures are
kept in ``results/citation_leaderboard.json``: numbers, what they depend on and the machine, no text
of any study. The tables go between the two marks in docs/citation-benchmark.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_json, write_text
from evaluation.__main__ import main as evaluate
from evaluation.command import OpenRetriever
from evaluation.grounding.__main__ import main as benchmark
from evaluation.outputs.collect import OUTPUTS
from evaluation.outputs.names import WITH_RETRIEVAL, WITHOUT_RETRIEVAL
from evaluation.outputs.rows import Outputs, OutputsHeader
from generator.vision_language import DEFAULT_MODEL, NO_MODEL
from indexer.__main__ import main as index
from results.make_tables import ROOT, between, read_json, run_of, table_rows
from results.tables import machine_line, markdown_of_all

FIGURES = ROOT / "results" / "citation_leaderboard.json"
PAGE = ROOT / "docs" / "citation-benchmark.md"
VECTORS = ROOT / "pretrained" / "openi"
BEGIN, END = "<!-- leaderboard -->", "<!-- leaderboard end -->"
SPLIT = "val"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog="Further options name the data set, as for 'grounded-cxr benchmark'.",
        allow_abbrev=False,
    )
    whole.add_argument("--work", type=Path, metavar="DIR", help="for index, outputs, submissions")
    whole.add_argument("--outputs", type=Path, metavar="FILE", help="a model's, of this index")
    whole.add_argument("--figures", type=Path, default=FIGURES, metavar="FILE")
    whole.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    return whole


def main(argv: Sequence[str] | None = None, *, open_retriever: OpenRetriever | None = None) -> int:
    arguments, source = parser().parse_known_args(argv)
    try:
        if arguments.work is not None:
            figures = measured(arguments.work, source, arguments.outputs, open_retriever)
            write_json(arguments.figures, figures)
        elif source or arguments.outputs:
            raise UserError("name a folder for index, outputs and submissions with --work")
        figures = read_json(arguments.figures)
        page = arguments.page.read_text(encoding="utf-8")
        write_text(arguments.page, between(page, BEGIN, END, f"\n{tables(figures)}\n\n"))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def measured(
    work: Path,
    source: Sequence[str],
    outputs: Path | None = None,
    open_retriever: OpenRetriever | None = None,
) -> dict[str, Any]:
    """Run every step that has not been run; ``source`` are options that name the data set.

    Raises UserError for a step that failed, which has told why.
    """
    if not (work / "index").exists():
        built = ["build", *source, "--vectors", str(VECTORS), "--out", str(work / "index")]
        _check(index(built))
    task = ["--index", str(work / "index"), *source, "--split", SPLIT]
    if outputs is None:
        outputs = work / "model" / OUTPUTS
        asked = ["--tasks", "report", "--conditions", WITH_RETRIEVAL, WITHOUT_RETRIEVAL]
        written = ["model", "--model", DEFAULT_MODEL, *task, *asked, "--out", str(outputs.parent)]
        _check(evaluate(written, open_retriever=open_retriever))
    submissions = work / "submissions"
    systems = ["systems", *task, "--outputs", str(outputs), "--out", str(submissions)]
    _check(benchmark(systems, open_retriever=open_retriever))
    _check(benchmark(["run", str(submissions), *task, "--out", str(work / "scores")]))
    return kept(read_json(work / "scores" / "leaderboard.json"), Outputs.read(outputs).about)


def kept(document: Mapping[str, Any], model: OutputsHeader) -> dict[str, Any]:
    """What of a leaderboard is kept, and of the language model whose reports are in it.

    Raises UserError for a file of another form.
    """
    try:
        return {
            "run": run_of(document["run"]),
            "model": {
                "name": model.model,
                "weights_sha256": model.weights_sha256,
                "prompt_version": model.prompt_version,
                "computed": model.computed,
            },
            "about": document["about"],
            "tables": {table["title"]: table_rows(table) for table in document["tables"]},
        }
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the file holds no leaderboard ({error} is missing): make it with "
            "'grounded-cxr benchmark run FOLDER --out DIR'"
        ) from error


def tables(figures: Mapping[str, Any]) -> str:
    """Markdown: where the figures come from, and every table with a row a system."""
    about, run, model = figures["about"], figures["run"], figures["model"]
    written_by = "no language model"
    if model["name"] != NO_MODEL:
        computed = f", computed on {model['computed']}" if model["computed"] != "here" else ""
        written_by = (
            f"language model `{model['name']}`, weights {model['weights_sha256'][:12]}, "
            f"{model['prompt_version']}{computed}"
        )
    parts = [
        f"**{about['source']} {about['split']}**, {about['studies']} studies, "
        f"{about['reports']} reports to cite; index {about['index_fingerprint'][:12]}, "
        f"`{about['labeller']}`; {written_by}; 95 % intervals of {about['resamples']} resamples; "
        f"{machine_line(run['machine'])}, {run['date'][:10]}"
    ]
    parts += [markdown_of_all(title, rows) for title, rows in figures["tables"].items()]
    parts.append(
        "Written by `python -m results.citation_leaderboard` from "
        "`results/citation_leaderboard.json`."
    )
    return "\n\n".join(parts)


def _check(code: int) -> None:
    if code:
        raise UserError("a step failed, as told above: the leaderboard stays as it was")


if __name__ == "__main__":
    sys.exit(main())
