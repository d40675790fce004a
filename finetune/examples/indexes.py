"""From indexes to studies to train on, and a val split or held-out patients to validate with.

found = gather_indexes([Path("data/index")], side=224)
found.train, found.val
pack = pack_indexes([Path("data/index")], options=ExampleOptions(), side=224, count_tokens=count)
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from db.errors import NotFoundError, UserError
from db.files import parse_json
from finetune.examples.draw import build_pack
from finetune.examples.folder import ExampleFolder
from finetune.examples.options import ExampleOptions
from finetune.examples.studies import TrainingStudy, gather, gather_split
from generator.context.shown_case import CountTokens
from indexer.cli.progress import progress_bar
from indexer.sources.hold_out import HoldOut
from indexer.sources.records import Source
from retriever.near_duplicates import Embed, near_pairs
from retriever.options import Strategy
from retriever.overlap import Overlap
from retriever.search import Retriever

_log = logging.getLogger(__name__)

VAL_SHARE = 10
"""Without a val split, one patient in so many is held out for validation."""


@dataclass(frozen=True, kw_only=True)
class GatheredStudies:
    """Studies with what a search finds for them, those to train on apart from the others."""

    train: Sequence[TrainingStudy]
    val: Sequence[TrainingStudy]
    about: Mapping[str, Any]
    """Indexes, encoder, source, licence, side and strategy, for whatever is made of the studies."""


def pack_indexes(
    indexes: Sequence[Path],
    *,
    options: ExampleOptions,
    side: int,
    count_tokens: CountTokens,
    folds: Path | None = None,
    val_index: Path | None = None,
    val_source: Source | None = None,
    hold_out: HoldOut | None = None,
) -> ExampleFolder:
    """Examples drawn from the studies of `gather_indexes`. Raises UserError as it does."""
    found = gather_indexes(
        indexes,
        side=side,
        strategy=options.strategy,
        folds=folds,
        val_index=val_index,
        val_source=val_source,
        hold_out=hold_out,
    )
    return build_pack(found.train, found.val, options, count_tokens=count_tokens, about=found.about)


def gather_indexes(
    indexes: Sequence[Path],
    *,
    side: int,
    strategy: Strategy = "similar",
    folds: Path | None = None,
    val_index: Path | None = None,
    val_source: Source | None = None,
    hold_out: HoldOut | None = None,
    choose: Callable[[Sequence[str]], Sequence[str]] = lambda study_ids: study_ids,
) -> GatheredStudies:
    """Each study looked up in the index of its fold; ``side`` is pixels of an image on the canvas.

    ``val_index`` is what the adapter will be served with: the pack names it and its encoder.
    Studies of ``val_source``, a split that no index holds, are searched for in ``val_index``, or in
    the first index; without such a split ``hold_out`` says which patients are held out. ``choose``
    picks some of the studies to train on. Raises UserError for what does not fit together, and
    MismatchError for a study to validate with that an index to train on holds, or its patient, or
    one of its images.
    """
    retrievers = [Retriever.open(path) for path in indexes]
    groups = _groups(retrievers, folds)
    searched = retrievers[0] if val_index is None else Retriever.open(val_index)
    if val_source is not None and hold_out is not None:
        raise UserError("name a val split or --hold-out, not both")
    held = frozenset[str]() if val_source is not None else _held_out(retrievers, hold_out)
    chosen = frozenset(choose([one for group in groups for one in group if one not in held]))
    val: list[TrainingStudy] = []
    if val_source is not None:
        overlap = Overlap(retrievers)
        val = list(
            gather_split(searched, val_source, side=side, overlap=overlap, strategy=strategy)
        )
        overlap.warn()
        if not val:
            raise UserError(
                f"source {val_source.name} has no study with images and a report or labels in "
                f"split '{val_source.split}'"
            )

    def gathered(wanted: Collection[str]) -> list[TrainingStudy]:
        studies: list[TrainingStudy] = []
        for retriever, study_ids in zip(retrievers, groups, strict=True):
            some = [study_id for study_id in study_ids if study_id in wanted]
            found = gather(retriever, some, side=side, hidden=held, strategy=strategy)
            studies += progress_bar(found, total=len(some), unit="study")
        return studies

    manifest = searched.index.manifest
    return GatheredStudies(
        train=gathered(chosen),
        val=val or gathered(held),
        about={
            "indexes": [retriever.index.manifest.fingerprint for retriever in retrievers],
            "index_fingerprint": manifest.fingerprint,
            "encoder_sha256": manifest.encoder.weights_sha256,
            "source": manifest.source,
            "licence": manifest.licence,
            "side": side,
            "strategy": strategy,
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
        fold_of = {str(study): int(fold) for study, fold in parse_json(folds.read_text()).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{folds} must be a JSON object of study id to fold number") from error
    return [
        [study_id for study_id in study_ids if fold_of.get(study_id) == fold]
        for fold, study_ids in enumerate(stored)
    ]


def _held_out(retrievers: Sequence[Retriever], hold_out: HoldOut | None) -> frozenset[str]:
    """Studies of the patients that are held out; none is shown in any context either."""
    patients: dict[str, set[str]] = {}
    unknown = 0
    for retriever in retrievers:
        for case in retriever.index.cases:
            patients.setdefault(case.patient_id or case.study_id, set()).add(case.study_id)
            unknown += case.patient_id is None
    if hold_out is None:
        chosen = set(sorted(patients)[VAL_SHARE - 1 :: VAL_SHARE])
    elif hold_out.unit == "image":
        raise UserError("an index is held out by patient: --hold-out patient:0.1")
    else:
        chosen = set(hold_out.draw(patients))
    if chosen and unknown:
        _log.warning(
            "%d studies have no patient id: each is taken for a patient of its own, and may be "
            "held out while others of the patient are trained on",
            unknown,
        )
    held = {study_id for patient in chosen for study_id in patients[patient]}
    patient_of = {study: patient for patient, studies in patients.items() for study in studies}
    for retriever in retrievers:
        for study_id in _alike(retriever, held):
            held |= patients[patient_of[study_id]]
    if len(held) == len(patient_of):
        raise UserError("no patient is left to train on: add studies, or hold out fewer")
    return frozenset(held)


def _alike(retriever: Retriever, held: Collection[str]) -> Iterator[str]:
    """Other studies of an index with a near duplicate of an image that is held out."""
    study_of = {case.case_id: case.study_id for case in retriever.index.cases}
    images = [(study_of[case], dhash) for case, dhash in retriever.index.cases.image_hashes()]
    vectors = retriever.index.image_vectors
    ours = [row for row, (study_id, _) in enumerate(images) if study_id in held]
    others = [row for row, (study_id, _) in enumerate(images) if study_id not in held]

    def embed(rows: Sequence[int]) -> Embed:
        return lambda places: vectors[np.array(rows)[places]].astype(np.float32)

    hashes, other_hashes = ([images[row][1] for row in rows] for rows in (ours, others))
    for _, other in near_pairs(hashes, other_hashes, embed(ours), embed(others)):
        yield images[others[other]][0]
