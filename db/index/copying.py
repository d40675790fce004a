"""Copy cases from one index to another inside SQLite.

A case that is left out is never written to the new file, so none of its text remains in a free
page, a journal or the slack of a row: this is how a patient is erased from an index.
"""

import os
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Connection

from db.index.image_root import RELATIVE
from db.index.models import CaseRow, ImageRow, LabelRow, SentenceLabelRow, SentenceRow

_OF_CASE = (ImageRow, LabelRow)


def copy_cases(
    target: Connection,
    source: Path,
    *,
    without: Collection[int],
    shift: int,
    roots: tuple[Path | None, Path | None] = (None, None),
) -> None:
    """Copy every case of the file ``source`` except ``without``, with ids raised by ``shift``.

    ``roots`` are the folders that paths of images are relative to, in ``source`` and in ``target``.
    ``target`` must be in autocommit mode; all cases are copied in one transaction.
    """
    run = target.exec_driver_sql
    run("PRAGMA temp_store = MEMORY")
    run("ATTACH DATABASE ? AS base", (str(source.resolve()),))
    try:
        run("BEGIN IMMEDIATE")
        try:
            _copy(target, without, shift, roots)
            run("COMMIT")
        except BaseException:
            if target.connection.in_transaction:  # SQLite ends it itself where the disk is full
                run("ROLLBACK")
            raise
    finally:
        run("DETACH DATABASE base")


def _copy(
    target: Connection,
    without: Collection[int],
    shift: int,
    roots: tuple[Path | None, Path | None],
) -> None:
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
    images, paths = _images(*roots)
    tables = {ImageRow: images, LabelRow: "base.labels"}
    values: dict[type, tuple[str, ...]] = {ImageRow: paths, LabelRow: ()}
    for row in _OF_CASE:
        columns = _columns(row, "id", "case_id")
        run(
            f"INSERT INTO main.{row.__tablename__} (case_id, {columns}) "
            f"SELECT case_id + ?, {columns} FROM {tables[row]} WHERE case_id {kept} ORDER BY id",
            (shift, *values[row]),
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
    [[dated]] = run(
        "SELECT count(*) FROM base.sqlite_master WHERE type = 'table' AND name = 'study_dates'"
    ).fetchall()
    if dated:
        run(
            "INSERT INTO main.study_dates (case_id, date) SELECT case_id + ?, date "
            f"FROM base.study_dates WHERE case_id {kept} ORDER BY case_id",
            (shift,),
        )
    run("DROP TABLE left_out")


def _images(before: Path | None, after: Path | None) -> tuple[str, tuple[str, ...]]:
    """Return a table of the images with paths relative to another root, and its values."""
    if before == after:
        return "base.images", ()
    whole, values = "path", []
    if before is not None:
        whole = (
            f"CASE WHEN substr(path, 1, 2) = '{RELATIVE}' THEN ? || substr(path, 3) ELSE path END"
        )
        values.append(f"{before}{os.sep}")
    stored = "whole"
    if after is not None:
        prefix = f"{after}{os.sep}"
        stored = (
            f"CASE WHEN substr(whole, 1, {len(prefix)}) = ? "
            f"THEN '{RELATIVE}' || substr(whole, {len(prefix) + 1}) ELSE whole END"
        )
        values.insert(0, prefix)
    columns = _columns(ImageRow, "path")
    return (
        f"(SELECT {columns}, {stored} AS path FROM "
        f"(SELECT {columns}, {whole} AS whole FROM base.images))",
        tuple(values),
    )


def _columns(
    row: type[CaseRow | ImageRow | LabelRow | SentenceRow | SentenceLabelRow], *less: str
) -> str:
    return ", ".join(column.name for column in row.__table__.columns if column.name not in less)
