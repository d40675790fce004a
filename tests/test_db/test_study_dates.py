"""The dates of studies in an index: read back, copied, left out with a patient, and none at all."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlalchemy import create_engine, text

from db.index.store import CaseStore
from indexer.sources.jsonl import JsonLines
from indexer.sources.records import StudyRecord, read_date
from tests.support.service.services import a_case

MAY, JUNE = date(2026, 5, 3), date(2026, 6, 1)
CASES = [
    replace(a_case(0), patient_id="p", study_date=JUNE),
    replace(a_case(1), patient_id="p"),
    replace(a_case(2), patient_id="p", study_date=MAY),
]


def stored(path: Path) -> Path:
    with CaseStore.create(path) as store:
        store.add(CASES)
    return path


def test_the_studies_of_a_patient_come_oldest_first(tmp_path: Path) -> None:
    with CaseStore.open(stored(tmp_path / "cases.sqlite")) as store:
        assert [case.study_date for case in store.studies_of("p")] == [None, MAY, JUNE]
        assert store.studies_of("q") == []


def test_dates_are_copied_but_for_cases_that_are_left_out(tmp_path: Path) -> None:
    source = stored(tmp_path / "cases.sqlite")
    with CaseStore.create(tmp_path / "copy.sqlite") as copy:
        copy.copy_from(source, without=[0], shift=10)
        assert [(case.case_id, case.study_date) for case in copy] == [(11, None), (12, MAY)]
    assert b"2026-06-01" not in (tmp_path / "copy.sqlite").read_bytes()


def test_an_index_without_the_table_of_dates_opens_and_is_copied(tmp_path: Path) -> None:
    path = stored(tmp_path / "cases.sqlite")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE study_dates"))
    engine.dispose()
    with CaseStore.open(path) as store, CaseStore.create(tmp_path / "copy.sqlite") as copy:
        assert [case.study_date for case in store] == [None] * 3
        copy.copy_from(path)
        assert copy.count() == 3


def test_a_source_gives_dates_as_iso_8601_and_notes_others(tmp_path: Path) -> None:
    assert read_date("2026-05-03") == read_date("20260503") == read_date(20260503) == MAY
    assert read_date("2026-05-03T10:15:00") == MAY and read_date("3/5/2026") is None
    lines = [
        {"study_id": name, "image": "x.png", "findings": "Clear.", "study_date": given}
        for name, given in (("a", "2026-05-03"), ("b", "May"), ("c", None))
    ]
    path = tmp_path / "studies.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    records = [one for one in JsonLines(path).records() if isinstance(one, StudyRecord)]
    assert [one.study_date for one in records] == [MAY, None, None]
    assert [len(one.notes) for one in records] == [0, 1, 0]
