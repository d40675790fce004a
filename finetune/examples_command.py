"""``python -m finetune examples``: from an index to prompts and answers to train on.

python -m finetune examples --index INDEX --model MODEL --out PACK
python -m finetune examples --index BLIND_0 BLIND_1 --folds folds.json \
    --val-index INDEX --data-dir DIR --split-file FILE --model MODEL --out PACK

An index whose encoder has not been trained on the indexed studies is all it takes. Where it was,
as the shipped one on Open-I, name an index for each fold, by an encoder blind to it
(``finetune encoder --folds 2``), and the file that says which study is in which fold.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from db.errors import NotFoundError, UserError
from finetune.example_pack import ExamplePack
from finetune.examples import ExampleOptions, build_pack
from finetune.training_studies import TrainingStudy, gather, gather_split
from generator.context import CountTokens
from indexer.sources.openi import OpenI
from indexer.sources.records import Source, read_split
from retriever.search import Retriever

_log = logging.getLogger(__name__)

VAL_SHARE = 10
"""Every so many-th patient is held out for validation where no val split is named."""


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "examples", help="write retrieval-augmented prompts and answers to train on"
    )
    add_arguments(parser)
    parser.add_argument("--model", required=True, metavar="DIR", help="whose tokens are counted")
    parser.add_argument("--out", type=Path, required=True, metavar="PACK")
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What examples are made from; `pack_of` reads these arguments."""
    parser.add_argument(
        "--index", type=Path, nargs="+", metavar="INDEX", help="studies to train on"
    )
    parser.add_argument("--folds", type=Path, metavar="FILE", help="JSON: study to index number")
    parser.add_argument("--val-index", type=Path, metavar="INDEX", help="searched for val studies")
    parser.add_argument("--data-dir", type=Path, metavar="PATH", help="Open-I, for its val split")
    parser.add_argument("--split-file", type=Path, metavar="FILE", help="JSON: split to study ids")
    parser.add_argument(
        "--passes", type=int, default=ExampleOptions.passes, help="over all studies"
    )
    parser.add_argument("--seed", type=int, default=ExampleOptions.seed)
    parser.add_argument("--side", type=int, default=224, help="pixels of a film on the canvas")


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for arguments that do not fit together."""
    from transformers import AutoTokenizer

    logging.basicConfig(level=logging.INFO, format="%(message)s")

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    pack = pack_of(arguments, lambda text: len(tokenizer(text, add_special_tokens=False).input_ids))
    pack.save(arguments.out)
    _log.info(
        "%d examples to train on and %d to validate with, of %d studies, written to %s",
        len(pack.train),
        len(pack.val),
        pack.canvases,
        arguments.out,
    )
    return 0


def pack_of(arguments: argparse.Namespace, count_tokens: CountTokens) -> ExamplePack:
    """Examples of the index or indexes that the arguments name."""
    options = ExampleOptions(passes=arguments.passes, seed=arguments.seed)
    if not arguments.index:
        raise UserError("name an index with --index")
    retrievers = [Retriever.open(path) for path in arguments.index]
    groups = _groups(retrievers, arguments.folds)
    val: list[TrainingStudy] = []
    if arguments.split_file is not None:
        if arguments.data_dir is None:
            raise UserError("--split-file needs --data-dir with the films of the val split")
        source = OpenI(
            data_dir=arguments.data_dir, splits=read_split(arguments.split_file), keep=("val",)
        )
        val = _val(arguments.val_index, retrievers, source, arguments.side)
    train = [
        study
        for retriever, study_ids in zip(retrievers, groups, strict=True)
        for study in gather(retriever, _shown(study_ids), side=arguments.side)
    ]
    if not val:
        train, val = _held_out(train)
    return build_pack(
        train,
        val,
        options,
        count_tokens=count_tokens,
        about={
            "indexes": [r.index.manifest.fingerprint for r in retrievers],
            "index_fingerprint": retrievers[0].index.manifest.fingerprint,
            "encoder_sha256": retrievers[0].index.manifest.encoder.weights_sha256,
            "source": retrievers[0].index.manifest.source,
            "licence": retrievers[0].index.manifest.licence,
            "side": arguments.side,
        },
    )


def _groups(retrievers: Sequence[Retriever], folds: Path | None) -> list[list[str]]:
    """The studies to be looked up in each index."""
    stored = [[case.study_id for case in retriever.index.cases] for retriever in retrievers]
    if folds is None:
        if len(retrievers) > 1:
            raise UserError("several indexes need --folds, which says which study is whose")
        return stored
    if not folds.is_file():
        raise NotFoundError(f"{folds} does not exist")
    try:
        fold_of = {str(study): int(fold) for study, fold in json.loads(folds.read_text()).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{folds} must be a JSON object of study id to fold number") from error
    return [
        [study_id for study_id in study_ids if fold_of.get(study_id) == fold]
        for fold, study_ids in enumerate(stored)
    ]


def _val(
    val_index: Path | None, retrievers: Sequence[Retriever], source: Source, side: int
) -> list[TrainingStudy]:
    retriever = retrievers[0] if val_index is None else Retriever.open(val_index)
    return list(gather_split(retriever, source, side=side))


def _held_out(
    studies: Sequence[TrainingStudy],
) -> tuple[list[TrainingStudy], list[TrainingStudy]]:
    """By patient; every patient's studies fall on one side."""
    patients = sorted({_patient(study) for study in studies})
    held = set(patients[VAL_SHARE - 1 :: VAL_SHARE])
    return (
        [study for study in studies if _patient(study) not in held],
        [study for study in studies if _patient(study) in held],
    )


def _patient(study: TrainingStudy) -> str:
    return study.case.patient_id or study.case.study_id


def _shown(study_ids: Sequence[str]) -> Iterable[str]:
    return tqdm(study_ids, unit="study", file=sys.stderr)
