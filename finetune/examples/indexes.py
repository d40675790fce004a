"""From indexes to examples to train on, and a val split or held-out patients to validate with.

pack = pack_indexes([Path("data/index")], options=ExampleOptions(), side=224, count_tokens=count)
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from db.errors import MismatchError, NotFoundError, UserError
from finetune.examples.draw import build_pack
from finetune.examples.folder import ExampleFolder
from finetune.examples.options import ExampleOptions
from finetune.examples.studies import TrainingStudy, gather, gather_split
from generator.context.shown_case import CountTokens
from indexer.cli.progress import progress_bar
from indexer.sources.records import Source
from retriever.search import Retriever

VAL_SHARE = 10
"""Without a val split, one patient in so many is held out for validation."""


def pack_indexes(
    indexes: Sequence[Path],
    *,
    options: ExampleOptions,
    side: int,
    count_tokens: CountTokens,
    folds: Path | None = None,
    val_index: Path | None = None,
    val_source: Source | None = None,
) -> ExampleFolder:
    """Each study looked up in the index of its fold; ``side`` is pixels of an image on the canvas.

    ``val_index`` is what the adapter will be served with: the pack names it and its encoder.
    Studies of ``val_source``, a split that no index holds, are searched for in ``val_index``, or in
    the first index. Raises UserError for what does not fit together.
    """
    retrievers = [Retriever.open(path) for path in indexes]
    groups = _groups(retrievers, folds)
    searched = retrievers[0] if val_index is None else Retriever.open(val_index)
    val: list[TrainingStudy] = []
    if val_source is not None:
        val = list(gather_split(searched, val_source, side=side))
        if not val:
            raise UserError(
                f"source {val_source.name} has no study with images and a report or labels in "
                f"split '{val_source.split}'"
            )
    _check_apart(val, retrievers)
    held = frozenset[str]() if val else _held_out(retrievers)

    def gathered(wanted: Callable[[str], bool]) -> list[TrainingStudy]:
        studies: list[TrainingStudy] = []
        for retriever, study_ids in zip(retrievers, groups, strict=True):
            some = [study_id for study_id in study_ids if wanted(study_id)]
            found = gather(retriever, some, side=side, hidden=held)
            studies += progress_bar(found, total=len(some), unit="study")
        return studies

    train = gathered(lambda study_id: study_id not in held)
    val = val or gathered(lambda study_id: study_id in held)
    manifest = searched.index.manifest
    return build_pack(
        train,
        val,
        options,
        count_tokens=count_tokens,
        about={
            "indexes": [retriever.index.manifest.fingerprint for retriever in retrievers],
            "index_fingerprint": manifest.fingerprint,
            "encoder_sha256": manifest.encoder.weights_sha256,
            "source": manifest.source,
            "licence": manifest.licence,
            "side": side,
        },
    )


def _groups(retrievers: Sequence[Retriever], folds: Path | None) -> list[list[str]]:
    """The studies to be looked up in each index."""
    stored = [[case.study_id for case in retriever.index.cases] for retriever in retrievers]
    if folds is None:
        if len(retrievers) > 1:
            raise UserError("several indexes need --folds, which assigns each study to an index")
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


def _check_apart(val: Sequence[TrainingStudy], retrievers: Sequence[Retriever]) -> None:
    """Raises MismatchError where a study to validate with is one to train on."""
    for study in val:
        own = study.case
        if any(r.index.cases.find(own.source, own.study_id) is not None for r in retrievers):
            raise MismatchError(
                f"study {own.study_id} of the val split is in an index to train on: build that "
                "from other splits"
            )


def _held_out(retrievers: Sequence[Retriever]) -> frozenset[str]:
    """Studies of every so many-th patient; none is shown in any context either."""
    patients: dict[str, set[str]] = {}
    for retriever in retrievers:
        for case in retriever.index.cases:
            patients.setdefault(case.patient_id or case.study_id, set()).add(case.study_id)
    held = sorted(patients)[VAL_SHARE - 1 :: VAL_SHARE]
    return frozenset(study_id for patient in held for study_id in patients[patient])
