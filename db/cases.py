"""Cases: what an index remembers of each study. The only module that reads or writes their tables.

with CaseStore.create(path) as store:
    store.add([case, ...])
store = CaseStore.open(path)
store.get([3, 1])            # in the order asked for
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, selectinload

from db.errors import NotFoundError
from db.index_models import CaseRow, ImageRow, IndexBase, LabelRow, SentenceRow
from db.labels import Labels, State
from db.session import open_sqlite

ViewPosition = Literal["PA", "AP", "FRONTAL", "LATERAL"]
"""FRONTAL is a frontal view whose direction, PA or AP, the data set does not state."""

Section = Literal["findings", "impression", "labels"]
"""Where a sentence stands. ``labels``: no radiologist wrote it; a data set that publishes labels
and no report says so much, and what it does not say is unmentioned, never negative."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence of a report, with what it says."""

    section: Section
    text: str
    """As in the report: never edited, so that a quotation can be found again. In the section
    ``labels``: a label of the data set, worded by its source."""
    labels: Labels = field(default_factory=dict)
    refers_to_prior: bool = False
    """True where the sentence compares with an earlier film."""


@dataclass(frozen=True, kw_only=True)
class CaseImage:
    """One radiograph of a case. The pixels stay where the data set has them."""

    path: str | None
    """Where the file was at build time; its bare name, or None, when only its vector is known."""
    view_position: ViewPosition | None
    width: int
    height: int
    pixels_sha256: str
    """Of the decoded 8-bit grey pixels and their shape."""
    dhash: int
    """64-bit difference hash of the decoded pixels; see ``indexer.images.difference_hash``."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One indexed study: one report, one or more images, one vector (kept elsewhere)."""

    case_id: int
    """The key of the vector; means nothing outside this very index."""
    source: str
    study_id: str
    patient_id: str | None
    indication: str
    findings: str
    impression: str
    labels: Labels
    sentences: tuple[Sentence, ...]
    images: tuple[CaseImage, ...]

    @property
    def report(self) -> str:
        """Findings and impression as one text; without either, the data set's labels in words."""
        written = "\n\n".join(part for part in (self.findings, self.impression) if part)
        return written or " ".join(s.text for s in self.sentences if s.section == "labels")


class CaseStore:
    """The cases of one index in one SQLite file."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self._engine = open_sqlite(path, read_only=read_only)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the tables where they are missing and open the store for writing."""
        store = cls(path, read_only=False)
        IndexBase.metadata.create_all(store._engine)
        return store

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing store for reading.

        Raises NotFoundError where there is no such file.
        """
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: the index is incomplete, build it again")
        return cls(path, read_only=True)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, cases: Iterable[Case]) -> None:
        """Add cases in one transaction.

        Raises OSError where the disk takes no more; nothing is added then.
        """
        try:
            with Session(self._engine) as session, session.begin():
                session.add_all(_to_row(case) for case in cases)
        except OperationalError as error:
            raise OSError(f"{self._path.name}: {error.orig}") from error

    def remove_from(self, case_id: int) -> None:
        """Forget every case with this id or a higher one (a build that is taken up again)."""
        with Session(self._engine) as session, session.begin():
            for row in session.scalars(select(CaseRow).where(CaseRow.id >= case_id)):
                session.delete(row)

    def count(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(CaseRow)) or 0

    def get(self, case_ids: Sequence[int]) -> list[Case]:
        """The cases with these ids, in this order.

        Raises NotFoundError naming the first id that is not there.
        """
        with Session(self._engine) as session:
            rows = session.scalars(
                select(CaseRow).where(CaseRow.id.in_(case_ids)).options(*_EVERYTHING)
            )
            found = {row.id: _to_case(row) for row in rows}
        for case_id in case_ids:
            if case_id not in found:
                raise NotFoundError(f"no case {case_id} in this index")
        return [found[case_id] for case_id in case_ids]

    def find(self, source: str, study_id: str) -> Case | None:
        """The case of a study, or None."""
        with Session(self._engine) as session:
            row = session.scalars(
                select(CaseRow)
                .where(CaseRow.source == source, CaseRow.study_id == study_id)
                .options(*_EVERYTHING)
            ).first()
            return None if row is None else _to_case(row)

    def ids_of(
        self, *, patient_ids: Iterable[str] = (), study_ids: Iterable[str] = ()
    ) -> frozenset[int]:
        """The ids of all cases of these patients or with these study ids."""
        with Session(self._engine) as session:
            return frozenset(
                session.scalars(
                    select(CaseRow.id).where(
                        CaseRow.patient_id.in_(list(patient_ids))
                        | CaseRow.study_id.in_(list(study_ids))
                    )
                )
            )

    def ids_with_pixels(self, digests: Iterable[str]) -> frozenset[int]:
        """The ids of all cases with an image of these digests (``CaseImage.pixels_sha256``)."""
        with Session(self._engine) as session:
            return frozenset(
                session.scalars(
                    select(ImageRow.case_id).where(ImageRow.pixels_sha256.in_(list(digests)))
                )
            )

    def film_hashes(self) -> list[tuple[int, int]]:
        """Case id and difference hash of every image, by case id and position."""
        with Session(self._engine) as session:
            return [
                (case_id, int(dhash, 16))
                for case_id, dhash in session.execute(
                    select(ImageRow.case_id, ImageRow.dhash).order_by(
                        ImageRow.case_id, ImageRow.position
                    )
                )
            ]

    def label_sets(self) -> dict[int, dict[str, State]]:
        """Every case's labels, by case id (for filters and votes without reading the reports)."""
        with Session(self._engine) as session:
            sets: dict[int, dict[str, State]] = {
                case_id: {} for case_id in session.scalars(select(CaseRow.id))
            }
            for case_id, observation, state in session.execute(
                select(LabelRow.case_id, LabelRow.observation, LabelRow.state)
            ):
                sets[case_id][observation] = state
        return sets

    def __iter__(self) -> Iterator[Case]:
        """All cases by ascending id, a page at a time."""
        last = -1
        while True:
            with Session(self._engine) as session:
                page = [
                    _to_case(row)
                    for row in session.scalars(
                        select(CaseRow)
                        .where(CaseRow.id > last)
                        .order_by(CaseRow.id)
                        .limit(500)
                        .options(*_EVERYTHING)
                    )
                ]
            if not page:
                return
            yield from page
            last = page[-1].case_id


_EVERYTHING = (
    selectinload(CaseRow.images),
    selectinload(CaseRow.sentences).selectinload(SentenceRow.labels),
    selectinload(CaseRow.labels),
)


def _to_row(case: Case) -> CaseRow:
    return CaseRow(
        id=case.case_id,
        source=case.source,
        study_id=case.study_id,
        patient_id=case.patient_id,
        indication=case.indication,
        findings=case.findings,
        impression=case.impression,
        labels=[
            LabelRow(observation=observation, state=state)
            for observation, state in case.labels.items()
        ],
        sentences=[
            SentenceRow.of(
                position=position,
                section=sentence.section,
                text=sentence.text,
                refers_to_prior=sentence.refers_to_prior,
                labels=sentence.labels,
            )
            for position, sentence in enumerate(case.sentences)
        ],
        images=[
            ImageRow(
                position=position,
                path=image.path,
                view_position=image.view_position,
                width=image.width,
                height=image.height,
                pixels_sha256=image.pixels_sha256,
                dhash=f"{image.dhash:016x}",
            )
            for position, image in enumerate(case.images)
        ],
    )


def _to_case(row: CaseRow) -> Case:
    return Case(
        case_id=row.id,
        source=row.source,
        study_id=row.study_id,
        patient_id=row.patient_id,
        indication=row.indication,
        findings=row.findings,
        impression=row.impression,
        labels={label.observation: label.state for label in row.labels},
        sentences=tuple(
            Sentence(
                section=sentence.section,
                text=sentence.text,
                refers_to_prior=sentence.refers_to_prior,
                labels={label.observation: label.state for label in sentence.labels},
            )
            for sentence in row.sentences
        ),
        images=tuple(
            CaseImage(
                path=image.path,
                view_position=image.view_position,
                width=image.width,
                height=image.height,
                pixels_sha256=image.pixels_sha256,
                dhash=int(image.dhash, 16),
            )
            for image in row.images
        ),
    )
