"""The verbs of the citation benchmark, as the command line asks for them."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import replacing, write_text
from evaluation.grounding.corpus import Corpus, Task
from evaluation.grounding.leaderboard import leaderboard
from evaluation.grounding.submission import Submission, read_folder, write_submission
from evaluation.grounding.submitted import check_submission
from evaluation.grounding.systems import of_outputs, trivial_systems
from evaluation.log import append_run, require_first_run, table_values
from evaluation.metrics.bootstrap import check_resamples
from evaluation.outputs.collect import open_retriever
from evaluation.outputs.rows import Outputs
from evaluation.provenance import run_record
from evaluation.reports.references import References
from evaluation.retrieval.studies import read_studies
from evaluation.tables import Table, to_text, without_nan
from generator.assessment.calibration import Calibration
from indexer.cli.progress import progress_bar
from indexer.encoder.weight_files import file_sha256
from indexer.index import Index
from indexer.reports.labeller import LABELLER_VERSION
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source

COLLECTION = "citations"
"""What the test log calls a line of this benchmark."""


def score_folder(arguments: argparse.Namespace) -> int:
    """Print the leaderboard of a folder, and write it with ``--out``.

    Raises UserError for a submission that cannot be scored; nothing is written then.
    """
    check_resamples(arguments.resamples)
    submissions = read_folder(arguments.folder)
    digests = {one.system: file_sha256(path) for path, one in submissions.items()}
    if arguments.split == "test":
        for digest in digests.values():
            require_first_run(arguments.test_log, digest, arguments.again, collection=COLLECTION)
    index = Index.open(arguments.index)
    corpus = Corpus(index.cases)
    task = Task.read(open_source(arguments.source, options_of(arguments)), corpus)
    whole = len(task.studies)
    if arguments.common_studies:
        task, submissions = common_studies(task, submissions)
    checked = {
        one.system: check_submission(one, task, corpus)
        for one in progress_bar(list(submissions.values()), unit="system")
    }
    tables = leaderboard(checked, task, resamples=arguments.resamples)
    about = {
        "source": task.source,
        "split": task.split,
        "studies": len(task.studies),
        "studies_of_split": whole,
        "reports": len(corpus.reports),
        "index_fingerprint": index.manifest.fingerprint,
        "labeller": LABELLER_VERSION,
        "resamples": arguments.resamples,
        "submissions_sha256": digests,
    }
    text = "\n\n".join([_head(about), *map(to_text, tables)])
    ran = run_record(arguments.command, gpu=False)
    figures = without_nan([asdict(table) for table in tables])
    document = json.dumps({"run": ran, "about": about, "tables": figures}, indent=2)
    if arguments.out is not None:
        write_text(arguments.out / "leaderboard.json", document + "\n")
        write_text(arguments.out / "leaderboard.txt", text + "\n")
    if arguments.split == "test":
        for name in digests:
            entry = _log_entry(name, about, tables)
            append_run(arguments.test_log, entry, command=arguments.command, again=arguments.again)
    sys.stdout.write((document if arguments.json else text) + "\n")
    return 0


def common_studies(
    task: Task, submissions: Mapping[Path, Submission]
) -> tuple[Task, dict[Path, Submission]]:
    """The studies that all submissions report on, and their reports on these alone.

    Raises UserError for a split that is scored whole, and where no study is left.
    """
    if task.split == "test":
        raise UserError("'test' is scored whole: use --common-studies with --split val")
    reported = [{one.study_id for one in each.reports} for each in submissions.values()]
    kept = [study for study in task.studies if all(study.study_id in each for each in reported)]
    if not kept:
        raise UserError(f"no study of '{task.split}' is in all submissions: leave some file out")
    left = {study.study_id for study in task.studies} - {study.study_id for study in kept}
    return replace(task, studies=tuple(kept)), {
        path: replace(one, reports=tuple(r for r in one.reports if r.study_id not in left))
        for path, one in submissions.items()
    }


def write_systems(arguments: argparse.Namespace) -> int:
    """Write the submissions of trivial systems, and of stored outputs. Raises UserError."""
    retriever = open_retriever(arguments)
    source = open_source(arguments.source, options_of(arguments))
    corpus = Corpus(retriever.index.cases)
    found = []
    if arguments.outputs is not None:
        outputs = Outputs.read(arguments.outputs)
        references = References.read(source, retriever.index, outputs)
        if references.left:
            raise UserError(
                f"{outputs.path} lacks {references.left} of "
                f"{references.left + len(references.studies)} studies: complete it with "
                "'evaluate model --model'"
            )
        about = outputs.about
        served_with = Calibration.find(retriever.index, about.adapter or about.model)
        found += of_outputs(outputs, references, corpus, calibration=served_with)
    studies, _ = read_studies(
        source, retriever, progress=lambda records: progress_bar(list(records), unit="study")
    )
    calibration = Calibration.find(retriever.index)
    found += trivial_systems(
        retriever, studies, corpus, split=arguments.split, calibration=calibration
    )
    for submission in found:
        sys.stdout.write(f"{write_submission(submission, arguments.out)}\n")
    return 0


def write_corpus(arguments: argparse.Namespace) -> int:
    """Write the indexed reports as JSON Lines, by case."""
    corpus = Corpus(Index.open(arguments.index).cases)
    with replacing(arguments.out) as fresh, fresh.open("w", encoding="utf-8") as stream:
        for key, report in corpus.reports.items():
            stream.write(json.dumps({"case": key, "report": report}) + "\n")
    sys.stdout.write(f"{len(corpus.reports)} reports are in {arguments.out}\n")
    return 0


def _head(about: Mapping[str, Any]) -> str:
    studies = f"{about['studies']} studies"
    if about["studies"] < about["studies_of_split"]:
        studies = f"{about['studies']} of {about['studies_of_split']} studies"
    return (
        f"{studies}, split {about['split']} of {about['source']}; "
        f"{about['reports']} reports to cite, index {about['index_fingerprint'][:12]}\n"
        f"labeller {about['labeller']}; [..] 95 % intervals, patients resampled "
        f"{about['resamples']} times"
    )


def _log_entry(system: str, about: Mapping[str, Any], tables: Sequence[Table]) -> dict[str, Any]:
    """What the test log keeps of one submission; its digest stands for the weights."""
    return {
        **{name: value for name, value in about.items() if name != "submissions_sha256"},
        "weights_sha256": about["submissions_sha256"][system],
        "collection": COLLECTION,
        "system": system,
        "figures": without_nan({one.title: table_values(one)[system] for one in tables}),
    }
