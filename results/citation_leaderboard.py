"""The leaderboard in docs/citation-benchmark.md, from reports to tables with one command.

python -m results.citation_leaderboard --data-dir OPENI --split-file r2gen_split.json --work DIR
python -m results.citation_leaderboard         # again, from the figures that are committed

The first form indexes the training part with the shipped vectors, has the shipped language model
write its reports of ``val`` with and without retrieval, turns them and the systems without a model
into submissions, and scores these; all of it stays in DIR, and what is there already is not made
again. ``--outputs FILE`` takes reports that a model has written for this index. With ``--another
NAME FILE``, the outputs of another model, such as one behind ``openai+http://...``, which may be of
some studies alone, all systems are scored once more on these studies, with that model. The figures
are kept in ``results/citation_leaderboard.json``: numbers, what they depend on and the machine, no
text of any study. The tables go between the two marks in docs/citation-benchmark.md.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_json, write_text
from evaluation.__main__ import main as evaluate
from evaluation.command import OpenRetriever
from evaluation.grounding.__main__ import main as benchmark
from evaluation.grounding.corpus import Corpus
from evaluation.grounding.submission import write_submission
from evaluation.grounding.systems import of_outputs
from evaluation.outputs.collect import OUTPUTS
from evaluation.outputs.names import SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL
from evaluation.outputs.rows import Outputs, OutputsHeader
from evaluation.reports.references import References
from generator.assessment.calibration import Calibration
from generator.vision_language import DEFAULT_MODEL, NO_MODEL
from indexer.__main__ import main as build_index
from indexer.index import Index
from indexer.sources.arguments import add_split_arguments, options_of
from indexer.sources.catalogue import open_source
from results.make_tables import ROOT, between, read_json, run_of, table_rows
from results.tables import Rows, machine_line, markdown

FIGURES = ROOT / "results" / "citation_leaderboard.json"
PAGE = ROOT / "docs" / "citation-benchmark.md"
VECTORS = ROOT / "pretrained" / "openi"
ANOTHER = {SERVED: ", as served", WITH_RETRIEVAL: ""}
"""Reports of another model that are scored, and what their names end in."""
SHOWN = ("Leaderboard", "Copying")
"""Tables that the page has of the studies of another model."""
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
    whole.add_argument(
        "--another",
        nargs=2,
        metavar=("NAME", "FILE"),
        help="another model's outputs, of this index and of some studies or all",
    )
    whole.add_argument("--figures", type=Path, default=FIGURES, metavar="FILE")
    whole.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    return whole


def main(argv: Sequence[str] | None = None, *, open_retriever: OpenRetriever | None = None) -> int:
    arguments, source = parser().parse_known_args(argv)
    try:
        if arguments.work is not None:
            figures = measured(arguments.work, source, arguments.outputs, open_retriever)
            if arguments.another is not None:
                name, file = arguments.another
                figures["common"] = on_common_studies(arguments.work, source, name, Path(file))
            write_json(arguments.figures, figures)
        elif source or arguments.outputs or arguments.another:
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
        _check(build_index(built))
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


def on_common_studies(work: Path, source: Sequence[str], name: str, file: Path) -> dict[str, Any]:
    """Score another model, ``name``, and the submissions of `measured` on the studies it has.

    Raises UserError for outputs of another index, and for a step that failed.
    """
    folder = work / "common"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(work / "submissions", folder)
    index = Index.open(work / "index")
    outputs = Outputs.read(file)
    task = [*source, "--split", SPLIT]
    parsed = argparse.ArgumentParser()
    add_split_arguments(parsed)
    parsed.add_argument("--split")
    named = parsed.parse_args(task)
    references = References.read(open_source(named.source, options_of(named)), index, outputs)
    calibration = Calibration.find(index, outputs.about.adapter or outputs.about.model)
    for one in of_outputs(outputs, references, Corpus(index.cases), calibration=calibration):
        if one.system in ANOTHER:
            write_submission(replace(one, system=f"{name}{ANOTHER[one.system]}"), folder)
    ran = ["run", str(folder), "--index", str(work / "index"), *task, "--common-studies"]
    _check(benchmark([*ran, "--out", str(work / "common_scores")]))
    return kept(read_json(work / "common_scores" / "leaderboard.json"), outputs.about)


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
    parts = [_head(figures), *_tables(figures["tables"])]
    if "common" in figures:
        common = figures["common"]["tables"]
        shown = {title: common[title] for title in SHOWN if title in common}
        parts += [_head(figures["common"]), *_tables(shown)]
    parts.append(
        "Written by `python -m results.citation_leaderboard` from "
        "`results/citation_leaderboard.json`."
    )
    return "\n\n".join(parts)


def _head(figures: Mapping[str, Any]) -> str:
    about, run, model = figures["about"], figures["run"], figures["model"]
    written_by = "no language model"
    if model["name"] != NO_MODEL:
        computed = f", computed on {model['computed']}" if model["computed"] != "here" else ""
        written_by = (
            f"language model `{model['name']}`, weights {model['weights_sha256'][:12]}, "
            f"{model['prompt_version']}{computed}"
        )
    studies = f"{about['studies']} studies"
    if about["studies"] < about.get("studies_of_split", 0):
        studies = f"on {about['studies']} of the {about['studies_of_split']} studies"
    return (
        f"**{about['source']} {about['split']}**, {studies}, "
        f"{about['reports']} reports to cite; index {about['index_fingerprint'][:12]}, "
        f"`{about['labeller']}`; {written_by}; 95 % intervals of {about['resamples']} resamples; "
        f"{machine_line(run['machine'])}, {run['date'][:10]}"
    )


def _tables(tables: Mapping[str, Rows]) -> list[str]:
    return [
        markdown(
            title, rows, list(dict.fromkeys(column for row in rows.values() for column in row))
        )
        for title, rows in tables.items()
    ]


def _check(code: int) -> None:
    if code:
        raise UserError("a step failed, as told above: the leaderboard stays as it was")


if __name__ == "__main__":
    sys.exit(main())
