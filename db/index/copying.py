"""Copy cases from one index to another inside SQLite.

A case that is left out is never written to the new file, so none of its text remains in a free
page, a journal or the slack of a row: this is how a patient is erased from an index.
"""

from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Connection

from db.index.models import CaseRow, ImageRow, LabelRow, SentenceLabelRow, SentenceRow

_OF_CASE = (ImageRow, LabelRow)


def copy_cases(target: Connection, source: Path, *, without: Collection[int], shift: int) -> None:
    """Copy every case of the file ``source`` except ``without``, with ids raised by ``shift``.

    ``target`` must be in autocommit mode; all cases are copied in one transaction.
    """
    run = target.exec_driver_sql
    run("PRAGMA temp_store = MEMORY")
    run("ATTACH DATABASE ? AS base", (str(source.resolve()),))
    try:
        run("BEGIN IMMEDIATE")
        try:
            _copy(target, without, shift)
            run("COMMIT")
        except BaseException:
            if target.connection.in_transaction:  # SQLite ends it itself where the disk is full
                run("ROLLBACK")
            raise
    finally:
        run("DETACH DATABASE base")


def _copy(target: Connection, without: Collection[int], shift: int) -> None:
    run = target.exec_driver_sql
    run("CREATE TEMP TABLE left_out (id INTEGER PRIMARY KEY)")
    if without:
        run("INSERT INTO left_out VALUES (?)", [(case_id,) for case_id in without])
    kept = "NOT IN (SELECT id FROM left_out)"
    columns = _columns(CaseRow, "id")
    run(
        f"INSERT INTO main.cases (id, {columns}) "
        f"SELECT id + ?, {columns} FROM base.cases WHERE id {kept} ORDER BY id",
        (shift,),
    )
    for row in _OF_CASE:
        columns = _columns(row, "id", "case_id")
        run(
            f"INSERT INTO main.{row.__tablename__} (case_id, {columns}) "
            f"SELECT case_id + ?, {columns} FROM base.{row.__tablename__} "
            f"WHERE case_id {kept} ORDER BY id",
            (shift,),
        )
    [[further]] = run("SELECT coalesce(max(id), 0) FROM main.sentences").fetchall()
    columns = _columns(SentenceRow, "id", "case_id")
    run(
        f"INSERT INTO main.sentences (id, case_id, {columns}) "
        f"SELECT id + ?, case_id + ?, {columns} FROM base.sentences "
        f"WHERE case_id {kept} ORDER BY id",
        (further, shift),
    )
    columns = _columns(SentenceLabelRow, "id", "sentence_id")
    run(
        f"INSERT INTO main.sentence_labels (sentence_id, {columns}) "
        f"SELECT sentence_id + ?, {columns} FROM base.sentence_labels WHERE sentence_id IN "
        f"(SELECT id FROM base.sentences WHERE case_id {kept}) ORDER BY id",
        (further,),
    )
    run("DROP TABLE left_out")


def _columns(
    row: type[CaseRow | ImageRow | LabelRow | SentenceRow | SentenceLabelRow], *less: str
) -> str:
    return ", ".join(column.name for column in row.__table__.columns if column.name not in less)
