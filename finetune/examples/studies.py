"""Studies to train on, each with what a search that does not know it finds.

studies = gather(retriever, study_ids, side=224)        # from an index
studies = gather_split(retriever, source, side=224)     # a split that is not indexed

A label score or a hit of an encoder that was trained on the study is better than any that a new
image will get, and a model taught with such learns to trust them too much. So an index whose
encoder has not seen the study is searched; it may hold the study, which is then excluded, as are
its patient and every case whose report says word for word the same.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from db.errors import MismatchError, UserError
from db.index.store import Case
from db.labels import named
from finetune.examples.folder import encode_canvas
from generator.context.candidates import find_candidates
from generator.study_canvas import frontal_first, study_canvas
from indexer.images.radiograph import Limits, Radiograph, restore_size
from indexer.images.reader import read_radiograph
from indexer.ingest.studies import decode_study, to_case
from indexer.sources.records import Source, StudyRecord
from retriever.case_filter import normalise_report
from retriever.options import SearchOptions, Strategy
from retriever.overlap import Overlap
from retriever.query import Query, image_queries
from retriever.results import Retrieval
from retriever.search import Retriever

_STUDIES_AT_ONCE = 16
_LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingStudy:
    """One study, its report and its retrieval."""

    case: Case
    retrieval: Retrieval
    """Of `generator.context.candidates`, without any case that has the study's own report."""
    canvas: bytes
    """All views on one image, a JPEG file."""


def gather(
    retriever: Retriever,
    study_ids: Iterable[str],
    *,
    side: int,
    hidden: Collection[str] = (),
    strategy: Strategy = "similar",
) -> Iterator[TrainingStudy]:
    """Studies that are cases of the index, in the order given; of every source that has the id.
    ``hidden`` are study ids that no search may find.

    Raises UserError for one that is not, or whose images are no longer where the index was built.
    """
    read = ((case, _images(case)) for case in _cases(retriever, list(dict.fromkeys(study_ids))))
    yield from _search(retriever, read, side, strategy, hidden)


def _cases(retriever: Retriever, study_ids: Sequence[str]) -> Iterator[Case]:
    stored = retriever.index.cases
    for start in range(0, len(study_ids), _LOOKED_UP_AT_ONCE):
        some = study_ids[start : start + _LOOKED_UP_AT_ONCE]
        found: dict[str, list[Case]] = {study_id: [] for study_id in some}
        for case in stored.get(sorted(stored.ids_of(study_ids=some))):
            found[case.study_id].append(case)
        for study_id, cases in found.items():
            if not cases:
                raise UserError(f"study {study_id} is not in {retriever.index.path}")
            yield from cases


def gather_split(
    retriever: Retriever,
    source: Source,
    *,
    side: int,
    overlap: Overlap,
    strategy: Strategy = "similar",
) -> Iterator[TrainingStudy]:
    """Studies of a split that is held out; those without images are passed over.

    Raises MismatchError for a study of which ``overlap`` finds anything.
    """
    yield from _search(retriever, _read_apart(source, overlap), side, strategy)


def _read_apart(source: Source, overlap: Overlap) -> Iterator[tuple[Case, Sequence[Radiograph]]]:
    for record in source.records():
        if not isinstance(record, StudyRecord) or not record.images:
            continue
        found = overlap.find_ids(
            source=source.name, study_id=record.study_id, patient_id=record.patient_id
        )
        images = () if found else decode_study(record, 0, Limits()).images
        found = found or overlap.find_images(images)
        if found:
            raise MismatchError(
                f"study {record.study_id} of the val split is trained on, {found}: build the index "
                "from other splits, or hold patients out with --hold-out patient:0.1"
            )
        yield to_case(record, source.name, 0, images=()), images


def _images(case: Case) -> list[Radiograph]:
    """Read the images of a case and check by their digests that the index was built with them."""
    radiographs = []
    for image in case.images:
        if image.path is None or not Path(image.path).is_file():
            raise UserError(
                f"the image {image.path} of study {case.study_id} is missing: rebuild the index "
                "from the images where they are now"
            )
        radiograph = read_radiograph(Path(image.path))
        if radiograph.pixels.shape != (image.height, image.width):
            radiograph = replace(
                radiograph, pixels=restore_size(radiograph.pixels, image.width, image.height)
            )
        if radiograph.sha256 != image.pixels_sha256:
            raise UserError(
                f"the image {image.path} differs from the indexed image of study {case.study_id}: "
                "rebuild the index"
            )
        radiographs.append(
            replace(radiograph, view_position=image.view_position or radiograph.view_position)
        )
    return radiographs


def _search(
    retriever: Retriever,
    read: Iterable[tuple[Case, Sequence[Radiograph]]],
    side: int,
    strategy: Strategy,
    hidden: Collection[str] = (),
) -> Iterator[TrainingStudy]:
    waiting: list[tuple[Case, Sequence[Radiograph]]] = []

    def together() -> Iterator[TrainingStudy]:
        queries = image_queries(retriever.encoder, [images for _, images in waiting])
        for (case, images), query in zip(waiting, queries, strict=True):
            shown = study_canvas([image.pixels for image in frontal_first(images)], side)
            yield TrainingStudy(
                case=case,
                retrieval=_others(retriever, query, case, strategy, hidden),
                canvas=encode_canvas(shown),
            )

    for case, images in read:
        waiting.append((case, images))
        if len(waiting) == _STUDIES_AT_ONCE:
            yield from together()
            waiting = []
    if waiting:
        yield from together()


def _others(
    retriever: Retriever,
    query: Query,
    case: Case,
    strategy: Strategy,
    hidden: Collection[str],
) -> Retrieval:
    retrieval = find_candidates(
        retriever,
        query,
        SearchOptions(
            strategy=strategy,
            exclude_patient_ids=[case.patient_id] if case.patient_id else [],
            exclude_study_ids=[case.study_id, *hidden],
        ),
        findings=named(case.labels),
    )
    own = normalise_report(case.report)
    hits = [hit for hit in retrieval.hits if normalise_report(hit.case.report) != own]
    return replace(
        retrieval, hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1))
    )
