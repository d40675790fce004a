"""Store and query the cases of an index.

with CaseStore.create(path) as store:
    store.add([case, ...])
store = CaseStore.open(path)
store.get([3, 1])            # in the order asked for
"""

import datetime
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, inspect, select, tuple_
from sqlalchemy import case as sql_case
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex, CreateTable

from db.engines.rows import copy_tables
from db.engines.sqlite import open_sqlite
from db.errors import NotFoundError, UserError
from db.index.case import KEY, Case, CaseImage, Section, Sentence, ViewPosition, split_case_key
from db.index.copying import copy_cases
from db.index.guard import check_tables, guard
from db.index.models import CaseRow, ImageRow, IndexBase, LabelRow, StudyDateRow
from db.index.rows import read_cases, to_row
from db.labels import OBSERVATIONS, State

__all__ = ["Case", "CaseImage", "CaseStore", "Section", "Sentence", "ViewPosition"]

STATE_CODES: dict[State, int] = {"negative": 1, "uncertain": 2, "positive": 3}
"""States as numbers of `CaseStore.state_table`; 0 is unmentioned."""


class CaseStore:
    """The cases of one index in one SQLite file."""

    def __init__(self, engine: Engine, *, name: str, image_root: Path | None = None) -> None:
        """``engine``: of a database with the tables of an index; ``name``: of its file."""
        self._name = name
        self._image_root = image_root
        self._engine = engine

    @classmethod
    def create(cls, path: Path, *, image_root: Path | None = None) -> Self:
        """Create missing tables and open the store for writing.

        Paths of images below ``image_root`` are stored relative to it.
        """
        store = cls(open_sqlite(path, read_only=False), name=path.name, image_root=image_root)
        with store._full_disk_named():
            store._create_tables()
        return store

    @classmethod
    def open(cls, path: Path, *, image_root: Path | None = None) -> Self:
        """Open an existing store for reading; ``image_root`` completes relative paths of images.

        Raises NotFoundError if there is no such file, and UserError if it is not a database of
        cases, now or when it is read (`db.index.guard`).
        """
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: the index is incomplete, build it again")
        engine = open_sqlite(path, read_only=True, prepare=guard)
        store = cls(engine, name=path.name, image_root=image_root)
        try:
            check_tables(store._engine, path)
        except UserError:
            store.close()
            raise
        return store

    def _create_tables(self) -> None:
        """Create missing tables; their indexes by name, so that equal cases give equal bytes."""
        with self._engine.begin() as connection:
            for table in IndexBase.metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda one: str(one.name)):
                    connection.execute(CreateIndex(index, if_not_exists=True))

    @cached_property
    def _dated(self) -> bool:
        """Whether it has the table of dates."""
        with self._engine.connect() as connection:
            return inspect(connection).has_table(StudyDateRow.__tablename__)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise OSError(f"{self._name}: {error.orig}") from error

    def damage(self) -> str | None:
        """Return the first fault that SQLite finds in the file, or None."""
        try:
            with self._engine.connect() as connection:
                [first, *_] = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalars()
                orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        except UserError as error:
            return str(error.__cause__)
        if orphan is not None:
            return f"a row of table '{orphan[0]}' belongs to no case"
        return None if first == "ok" else str(first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, cases: Iterable[Case]) -> None:
        """Add cases in one transaction.

        Raises OSError if the disk is full; nothing is added then.
        """
        with self._full_disk_named(), Session(self._engine) as session, session.begin():
            session.add_all(to_row(case, self._image_root) for case in cases)

    def copy_from(
        self,
        path: Path,
        *,
        without: Collection[int] = (),
        shift: int = 0,
        image_root: Path | None = None,
    ) -> None:
        """Copy the cases of another store except ``without``, with ids raised by ``shift``.

        ``image_root`` is that of the other store.

        Raises OSError if the disk is full; nothing is copied then.
        """
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._full_disk_named(), autocommit.connect() as connection:
            roots = (image_root, self._image_root)
            copy_cases(connection, path, without=without, shift=shift, roots=roots)

    def copy_to(self, connection: Connection, *, name: str) -> None:
        """Create the tables in another database, called ``name``, and copy every row."""
        IndexBase.metadata.create_all(connection)
        tables = IndexBase.metadata.sorted_tables
        with self._engine.connect() as reading:
            has = inspect(reading).has_table
            copy_tables(reading, connection, filter(lambda one: has(one.name), tables), name=name)

    def remove_from(self, case_id: int) -> None:
        """Delete every case with this id or a higher one, to resume a build."""
        with self._full_disk_named(), Session(self._engine) as session, session.begin():
            session.execute(delete(CaseRow).where(CaseRow.id >= case_id))

    def image_count(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(ImageRow)) or 0

    def count(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(CaseRow)) or 0

    def get(self, case_ids: Sequence[int]) -> list[Case]:
        """Return the cases with these ids, in this order.

        Raises NotFoundError naming the first unknown id.
        """
        with Session(self._engine) as session:
            read = read_cases(session, case_ids, self._image_root, dated=self._dated)
        found = {case.case_id: case for case in read}
        for case_id in case_ids:
            if case_id not in found:
                raise NotFoundError(f"no case {case_id} in this index")
        return [found[case_id] for case_id in case_ids]

    def find(self, source: str, study_id: str) -> Case | None:
        """Return the case of a study, or None."""
        ids = self.find_all(source, [study_id])
        return self.get([ids[study_id]])[0] if ids else None

    def find_all(self, source: str, study_ids: Iterable[str]) -> dict[str, int]:
        """Map study ids to case ids, for the studies in this store."""
        wanted = select(CaseRow.study_id, CaseRow.id).where(
            CaseRow.source == source, CaseRow.study_id.in_(list(study_ids))
        )
        with Session(self._engine) as session:
            return {row.study_id: row.id for row in session.execute(wanted)}

    def study_pages(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield pages of up to 500 studies: a source and a map of study ids to case ids."""
        last = -1
        while True:
            wanted = (
                select(CaseRow.id, CaseRow.source, CaseRow.study_id)
                .where(CaseRow.id > last)
                .order_by(CaseRow.id)
                .limit(500)
            )
            with Session(self._engine) as session:
                rows = session.execute(wanted).all()
            if not rows:
                return
            for source in {row.source for row in rows}:
                yield source, {row.study_id: row.id for row in rows if row.source == source}
            last = rows[-1].id

    def studies_of(self, patient_id: str) -> list[Case]:
        """Return the studies of a patient, whose id is unique only within a source, oldest first;
        those without a date come before all others."""
        cases = self.get(sorted(self.ids_of(patient_ids=[patient_id])))
        return sorted(cases, key=lambda case: (case.study_date or datetime.date.min, case.case_id))

    def sources_of(
        self, *, patient_id: str | None = None, study_id: str | None = None
    ) -> dict[str, list[int]]:
        """Map each source to the case ids of a patient or study; both ids are unique only within a
        source."""
        wanted = select(CaseRow.source, CaseRow.id).order_by(CaseRow.id)
        if patient_id is not None:
            wanted = wanted.where(CaseRow.patient_id == patient_id)
        if study_id is not None:
            wanted = wanted.where(CaseRow.study_id == study_id)
        found: dict[str, list[int]] = {}
        with Session(self._engine) as session:
            for source, case_id in session.execute(wanted):
                found.setdefault(source, []).append(case_id)
        return found

    def next_id(self) -> int:
        """Return the highest case id plus one."""
        with Session(self._engine) as session:
            highest = session.scalar(select(func.max(CaseRow.id)))
        return 0 if highest is None else highest + 1

    def ids_of(
        self, *, patient_ids: Iterable[str] = (), study_ids: Iterable[str] = ()
    ) -> frozenset[int]:
        """Return the ids of all cases of these patients or studies.

        A study is named by its id, or by its key (``source:study_id``).
        """
        study_ids = list(study_ids)
        keys = [split_case_key(one) for one in study_ids if KEY.fullmatch(one)]
        with Session(self._engine) as session:
            return frozenset(
                session.scalars(
                    select(CaseRow.id).where(
                        CaseRow.patient_id.in_(list(patient_ids))
                        | CaseRow.study_id.in_(study_ids)
                        | tuple_(CaseRow.source, CaseRow.study_id).in_(keys)
                    )
                )
            )

    def some_ids(self, what: Literal["patient", "study"], most: int) -> list[str]:
        """Return up to ``most`` different patient or study ids."""
        ids = CaseRow.patient_id if what == "patient" else CaseRow.study_id
        with Session(self._engine) as session:
            return list(session.scalars(select(ids).where(ids.is_not(None)).distinct().limit(most)))

    def ids_with_pixels(self, digests: Iterable[str]) -> frozenset[int]:
        """Return the ids of all cases with one of these images (``CaseImage.pixels_sha256``)."""
        with Session(self._engine) as session:
            return frozenset(
                session.scalars(
                    select(ImageRow.case_id).where(ImageRow.pixels_sha256.in_(list(digests)))
                )
            )

    def image_hashes(self) -> Iterator[tuple[int, int]]:
        """Yield case id and difference hash of every image, in the order of the image vectors: by
        case id and position."""
        with Session(self._engine) as session:
            for case_id, dhash in session.execute(
                select(ImageRow.case_id, ImageRow.dhash)
                .order_by(ImageRow.case_id, ImageRow.position)
                .execution_options(yield_per=10_000)
            ):
                yield case_id, int(dhash, 16)

    def label_sets(self) -> dict[int, dict[str, State]]:
        """Return all labels by case id, for filters and votes, without reading the reports."""
        with Session(self._engine) as session:
            sets: dict[int, dict[str, State]] = {
                case_id: {} for case_id in session.scalars(select(CaseRow.id))
            }
            for case_id, observation, state in session.execute(
                select(LabelRow.case_id, LabelRow.observation, LabelRow.state)
            ):
                sets[case_id][observation] = state
        return sets

    def state_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all case ids, ascending (n,), and the `STATE_CODES` of each observation: (n, 14)
        int8. Takes a few bytes per case, `label_sets` hundreds."""
        places = {name: 1 << (2 * place) for place, name in enumerate(OBSERVATIONS)}
        place = sql_case(places, value=LabelRow.observation, else_=0)
        code = sql_case(STATE_CODES, value=LabelRow.state, else_=0)
        wanted = (
            select(CaseRow.id, func.coalesce(func.sum(place * code), 0))
            .outerjoin(LabelRow, LabelRow.case_id == CaseRow.id)
            .group_by(CaseRow.id)
            .order_by(CaseRow.id)
            .execution_options(yield_per=10_000)
        )
        with Session(self._engine) as session:
            rows = (tuple(row) for row in session.execute(wanted))
            table = np.fromiter(rows, dtype=[("id", np.int64), ("states", np.int64)])
        states = (table["states"][:, None] >> (2 * np.arange(len(OBSERVATIONS)))) & 3
        return table["id"].copy(), states.astype(np.int8)

    def __iter__(self) -> Iterator[Case]:
        """Yield all cases by ascending id, reading a page at a time."""
        last = -1
        while True:
            with Session(self._engine) as session:
                ids = session.scalars(
                    select(CaseRow.id).where(CaseRow.id > last).order_by(CaseRow.id).limit(500)
                ).all()
                page = read_cases(session, ids, self._image_root, dated=self._dated)
            if not page:
                return
            yield from page
            last = ids[-1]
