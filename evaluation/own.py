"""Evaluate on your own data: index one part, report on the other, and write an HTML page.

python -m evaluation own studies.csv --split-by patient:0.2 --out runs/own
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from db.errors import UserError
from evaluation.retrieval.studies import nothing_left
from evaluation.run import REPORT, evaluate_model
from indexer.build import build
from indexer.cli.arguments import encoder_device
from indexer.cli.output import built_lines
from indexer.cli.progress import ImageBar
from indexer.encoder.load import load_encoder
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import StudyRecord
from retriever.search import Retriever

_BY_SUFFIX = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".json": "json",
              ".jsonl": "jsonl"}  # fmt: skip


def evaluate_own(arguments: argparse.Namespace) -> int:
    """Build an index of the train part in ``--out`` and evaluate on the val part.

    Raises UserError for what cannot work; nothing of a new ``--out`` is left then.
    """
    data: Path = arguments.data_dir
    arguments.source = arguments.source or _BY_SUFFIX.get(data.suffix.lower())
    if arguments.source is None:
        raise UserError(f"{data} may be of any kind: name it with --source, such as --source dicom")
    arguments.split = "val"
    options = options_of(arguments)
    held = open_source(arguments.source, options)
    if not any(isinstance(record, StudyRecord) for record in held.records()):
        raise UserError(nothing_left(held))
    arguments.index = arguments.out / "index"
    with _left_as_found(arguments.out):
        train = open_source(arguments.source, replace(options, split="train"))
        encoder = load_encoder(arguments.encoder, device=encoder_device(arguments.device))
        with ImageBar() as bar:
            built = build(train, encoder, arguments.index, progress=bar.start)
        sys.stdout.write("\n".join(built_lines(built, arguments.index)) + "\n\n")
        arguments.open_retriever = partial(_opened, encoder=encoder)
        notes = [f"data: {data.name}", f"train: {built.not_indexed.summary()}"]
        evaluate_model(arguments, notes=notes)
    sys.stdout.write(f"\nthe report is {arguments.out / REPORT}\n")
    return 0


def _opened(path: Path, *, encoder: object, **_: str) -> Retriever:
    return Retriever.open(path, encoder)  # type: ignore[arg-type]


@contextmanager
def _left_as_found(out: Path) -> Iterator[None]:
    """Remove a new folder where a block refuses; what was there before stays."""
    existed = out.exists()
    try:
        yield
    except UserError:
        if not existed:
            shutil.rmtree(out, ignore_errors=True)
        raise
