"""Models on the studies of val that all have reported on, beside systems without a language model.

python -m results.common_studies --index INDEX --data-dir OPENI --split-file r2gen_split.json \\
    --outputs NAME FILE --outputs NAME FILE --work DIR
python -m results.common_studies               # again, from the figures that are committed

A model that is slow, such as one behind ``openai+http://...`` on a CPU, may have written reports of
some studies alone (``evaluation model --limit``). Its reports, as it wrote them and as they are
served, are scored as in the citation benchmark, together with all others on the same studies. The
figures are kept in ``results/common_studies.json``: numbers, what they depend on and the machine,
no text of any study. The tables go between the two marks in docs/citation-benchmark.md.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_json, write_text
from evaluation.command import OpenRetriever
from evaluation.grounding.__main__ import main as benchmark
from evaluation.grounding.corpus import Corpus
from evaluation.grounding.submission import write_submission
from evaluation.grounding.systems import of_outputs, trivial_systems
from evaluation.outputs.names import SERVED, WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs
from evaluation.reports.references import References
from evaluation.retrieval.studies import read_studies
from generator.assessment.calibration import Calibration
from indexer.sources.arguments import add_split_arguments, options_of
from indexer.sources.catalogue import open_source
from results.make_tables import ROOT, between, read_json, run_of, table_rows
from results.tables import machine_line, markdown_of_all
from retriever.search import Retriever

FIGURES = ROOT / "results" / "common_studies.json"
PAGE = ROOT / "docs" / "citation-benchmark.md"
BEGIN, END = "<!-- common studies -->", "<!-- common studies end -->"
SPLIT = "val"
ENDINGS = {SERVED: ", as served", WITH_RETRIEVAL: ""}
"""Reports of a model that are scored, and what their names end in."""
TABLES = ("Leaderboard", "Copying")
OF_MODEL = ("model", "weights_sha256", "prompt_version", "max_new_tokens", "computed")


def main(argv: Sequence[str] | None = None, *, open_retriever: OpenRetriever | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--index", type=Path, metavar="INDEX", help="of the outputs")
    add_split_arguments(parser)
    parser.add_argument("--outputs", nargs=2, action="append", default=[], metavar=("NAME", "FILE"))
    parser.add_argument("--work", type=Path, metavar="DIR", help="for submissions and scores")
    parser.add_argument("--figures", type=Path, default=FIGURES, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(given)
    arguments.split = SPLIT
    try:
        if arguments.outputs:
            if arguments.index is None or arguments.work is None:
                raise UserError("name the --index of these outputs and a folder with --work")
            figures = measured(arguments, open_retriever or Retriever.open)
            write_json(arguments.figures, figures)
        figures = read_json(arguments.figures)
        page = arguments.page.read_text(encoding="utf-8")
        write_text(arguments.page, between(page, BEGIN, END, f"\n{tables(figures)}\n\n"))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def measured(arguments: argparse.Namespace, open_retriever: OpenRetriever) -> dict[str, Any]:
    """Write all submissions, score them on the studies that all have, and keep the figures.

    Raises UserError for outputs of another index, and for submissions that cannot be scored.
    """
    retriever = open_retriever(arguments.index)
    corpus = Corpus(retriever.index.cases)
    source = open_source(arguments.source, options_of(arguments))
    folder = arguments.work / "submissions"
    shutil.rmtree(folder, ignore_errors=True)
    models: dict[str, Any] = {}
    reported: list[set[str]] = []
    for name, file in arguments.outputs:
        outputs = Outputs.read(Path(file))
        about = outputs.about
        references = References.read(source, retriever.index, outputs)
        served_with = Calibration.find(retriever.index, about.adapter or about.model)
        for one in of_outputs(outputs, references, corpus, calibration=served_with):
            if one.system in ENDINGS:
                renamed = replace(one, system=f"{name}{ENDINGS[one.system]}", about=about.model)
                write_submission(renamed, folder)
        reported.append({study.study_id for study in references.studies})
        models[name] = {key: value for key, value in asdict(about).items() if key in OF_MODEL}
        models[name]["model"] = Path(about.model.partition("#")[2] or about.model).name
    common = set.intersection(*reported)
    studies, _ = read_studies(
        source,
        retriever,
        progress=lambda records: (one for one in records if one.study_id in common),
    )
    for one in trivial_systems(
        retriever, studies, corpus, split=SPLIT, calibration=Calibration.find(retriever.index)
    ):
        write_submission(one, folder)
    task = ["--index", str(arguments.index), "--source", arguments.source, "--split", SPLIT]
    for option in ("data_dir", "split_file"):
        if (value := getattr(arguments, option)) is not None:
            task += [f"--{option.replace('_', '-')}", str(value)]
    scores = arguments.work / "scores"
    if benchmark(["run", str(folder), *task, "--common-studies", "--out", str(scores)]):
        raise UserError("the submissions were not scored, as told above: the figures stay")
    document = read_json(scores / "leaderboard.json")
    return {
        "run": run_of(document["run"]),
        "models": models,
        "about": document["about"],
        "tables": {
            table["title"]: table_rows(table)
            for table in document["tables"]
            if table["title"] in TABLES
        },
    }


def tables(figures: Mapping[str, Any]) -> str:
    """Markdown: where the figures come from, and the tables."""
    about, run = figures["about"], figures["run"]
    models = "; ".join(
        f"{name}: `{one['model']}`, weights {one['weights_sha256'][:12]}, {one['prompt_version']}"
        for name, one in figures["models"].items()
    )
    parts = [
        f"**{about['studies']} of the {about['studies_of_split']} studies of {about['source']} "
        f"{about['split']}**, those that all have reported on; index "
        f"{about['index_fingerprint'][:12]}, `{about['labeller']}`; {models}; 95 % intervals of "
        f"{about['resamples']} resamples; {machine_line(run['machine'])}, {run['date'][:10]}"
    ]
    parts += [markdown_of_all(title, rows) for title, rows in figures["tables"].items()]
    parts.append(
        "Written by `python -m results.common_studies` from `results/common_studies.json`."
    )
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
