"""The application database: what it keeps, and how it grows with the program."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from db.app.database import AppDatabase
from db.app.generation import IndexReference
from db.app.generations import GenerationFilter, GenerationStore
from db.app.models import AppBase
from db.app.schema import alembic_config, migrate
from db.engines.engine import open_engine
from db.engines.location import Location
from db.engines.sqlite import open_sqlite
from db.errors import MismatchError, NotFoundError, UserError
from tests.support.databases import Located, counted, run_sql
from tests.support.service.records import a_generation


@contextmanager
def opened(location: Location) -> Iterator[GenerationStore]:
    with AppDatabase.open(location) as database:
        yield database.generations


def test_a_generation_is_read_as_it_was_stored_even_after_a_restart(
    located: Located, tmp_path: Path
) -> None:
    stored, location = a_generation(), located(tmp_path / "new" / "app.sqlite3")
    with opened(location) as store:
        store.add(stored)
        assert store.get(stored.id) == stored
    with opened(location) as store:
        assert store.get(stored.id) == stored


def test_times_are_stored_in_utc(location: Location) -> None:
    local = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    with opened(location) as store:
        given = replace(a_generation(), created_at=local)
        store.add(given)
        kept = store.get(given.id).created_at
    assert kept == local
    assert kept.isoformat() == "2025-12-31T23:00:00+00:00"


def test_an_unknown_id_is_an_error_that_names_it(location: Location) -> None:
    missing = uuid4()
    with opened(location) as store:
        with pytest.raises(NotFoundError, match=str(missing)):
            store.get(missing)
        with pytest.raises(NotFoundError, match=str(missing)):
            store.page(limit=5, before=missing)


def test_pages_start_with_the_newest_and_do_not_shift_when_new_ones_arrive(
    location: Location,
) -> None:
    ids = [UUID(int=number) for number in (5, 3, 4, 1, 2)]
    with opened(location) as store:
        assert store.page(limit=2).generations == ()
        for generation_id in ids:
            store.add(a_generation(generation_id))
        first = store.page(limit=2)
        assert [g.id for g in first.generations] == [ids[4], ids[3]]
        assert (first.total, first.more) == (5, True)
        store.add(a_generation())
        second = store.page(limit=2, before=ids[3])
        assert [g.id for g in second.generations] == [ids[2], ids[1]]
        last = store.page(limit=2, before=ids[1])
        assert [g.id for g in last.generations] == [ids[0]]
        assert not last.more


def test_a_page_takes_as_many_statements_for_ten_generations_as_for_one(location: Location) -> None:
    statements: list[str] = []
    with opened(location) as store:
        for number in range(1, 11):
            store.add(a_generation(UUID(int=number)))
        engine = open_engine(location)
        event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        counts = []
        for limit in (1, 10):
            statements.clear()
            found = GenerationStore(engine).page(limit=limit).generations
            assert len(found) == limit and all(one.hits and one.statements for one in found)
            counts.append(len(statements))
        engine.dispose()
    assert counts[0] == counts[1] > 1


def test_a_generation_is_stored_atomically(location: Location) -> None:
    broken = replace(a_generation(), hits=(a_generation().hits[0],) * 2)
    with opened(location) as store:
        with pytest.raises(IntegrityError):
            store.add(broken)
        assert store.page(limit=5).total == 0
    assert counted(location, "statements") == 0


def test_threads_store_concurrently(location: Location) -> None:
    with opened(location) as store:
        threads = [
            threading.Thread(target=lambda: [store.add(a_generation()) for _ in range(5)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.page(limit=1).total == 40


def test_migrations_give_exactly_the_tables_of_the_models(location: Location) -> None:
    engine = open_engine(location)
    migrate(engine, name="the database")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, AppBase.metadata) == []
    engine.dispose()


def test_the_first_schema_upgrades_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    engine = open_sqlite(path, read_only=False)
    migrate(engine, name="the database", revision="0001")
    engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO generations (id, created_at, task, text, generator, index_fingerprint,"
            " index_source, films_sha256, options, notes, left_out) VALUES (?, ?, 'report',"
            " 'Old.', 'old-0', 'ff', 'drawn', '[]', '{}', '[]', '[]')",
            (str(UUID(int=1)), "2026-01-01 00:00:00.000000"),
        )
    connection.close()
    with opened(path) as store:
        old = store.get(UUID(int=1))
    assert (old.text, old.label_scores, old.hits) == ("Old.", None, ())


def test_generations_without_an_ood_check_stay_readable_beside_new_ones(
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.sqlite3"
    engine = open_sqlite(path, read_only=False)
    migrate(engine, name="the database", revision="0001")
    engine.dispose()
    old_id = UUID(int=1)
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(generations)")]
        assert "ood" not in columns
        connection.execute(
            "INSERT INTO generations (number, id, created_at, task, text, generator,"
            " index_fingerprint, index_source, films_sha256, options, notes, label_scores,"
            " left_out) VALUES (41, ?, '2026-01-01 00:00:00.000000', 'report', 'Old.', 'old-0',"
            " 'ff', 'drawn', '[\"cd\"]', '{\"k\": 3}', '[\"a note\"]', '{\"Edema\": 0.5}', '[]')",
            (str(old_id),),
        )
        connection.execute(
            "INSERT INTO statements (id, generation, position, section, text, labels)"
            " VALUES (7, 41, 0, 'findings', 'Old.', '{}')"
        )
        connection.execute(
            "INSERT INTO citations (statement, position, number, source, study_id,"
            " index_fingerprint, quote, score) VALUES (7, 0, 1, 'drawn', 's1', 'ff', 'Old.', 0.5)"
        )
        connection.execute(
            "INSERT INTO hits (generation, number, source, study_id, score)"
            " VALUES (41, 1, 'drawn', 's1', 0.5)"
        )
    connection.close()
    new = a_generation()
    with opened(path) as store:
        store.add(new)
        old = store.get(old_id)
        assert [g.id for g in store.page(limit=5).generations] == [new.id, old_id]
        assert store.get(new.id) == new
    assert old.ood is None
    assert (old.notes, old.options, old.label_scores) == (("a note",), {"k": 3}, {"Edema": 0.5})
    assert [c.quote for s in old.statements for c in s.citations] == ["Old."]
    assert [hit.study_id for hit in old.hits] == ["s1"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0013",)
        ]
        assert connection.execute("SELECT number FROM generations").fetchall() == [(41,), (42,)]
    connection.close()


def test_a_page_is_filtered(location: Location) -> None:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    first, second, third = (UUID(int=n) for n in (1, 2, 3))
    odd = {
        "created_at": day,
        "created_by": "ward",
        "task": "answer",
        "text": "100 % Cälm",
        "images_sha256": ("00" * 32, "11" * 32),
        "index": IndexReference(fingerprint="99" * 32, source="drawn"),
        "statements": (),
    }
    with opened(location) as store:
        store.add(a_generation(first))
        store.add(replace(a_generation(second), **odd))
        store.add(a_generation(third))
        for wanted, expected in (
            ({}, [third, second, first]),
            ({"task": "answer"}, [second]),
            ({"created_by": "ward"}, [second]),
            ({"since": day}, [second]),
            ({"until": day}, [third, first]),
            ({"index_fingerprint": "99" * 32}, [second]),
            ({"text": "calm"}, [third, first]),
            ({"text": "%"}, [second]),
            ({"text": "'; --"}, []),
            ({"cites": ("drawn", "s/2")}, [third, first]),
            ({"cites": ("other", "s/2")}, []),
            ({"image_sha256": "11" * 32}, [second]),
            ({"image_sha256": "cd" * 32, "task": "report"}, [third, first]),
        ):
            page = store.page(limit=5, wanted=GenerationFilter(**wanted))
            assert [g.id for g in page.generations] == expected, wanted
            assert page.total == len(expected)
        cut = store.page(limit=1, before=third, wanted=GenerationFilter(task="report"))
        assert [g.id for g in cut.generations] == [first]


def test_a_generation_is_deleted_with_its_parts(location: Location) -> None:
    gone, stays = a_generation(), a_generation()
    with opened(location) as store:
        store.add(gone)
        store.add(stays)
        store.delete(gone.id)
        with pytest.raises(NotFoundError):
            store.get(gone.id)
        with pytest.raises(NotFoundError):
            store.delete(gone.id)
        assert store.get(stays.id) == stays
    for table, rows in (("statements", 2), ("citations", 1), ("hits", 2)):
        assert counted(location, table) == rows


def test_a_deleted_generation_is_in_no_file_while_the_database_is_open(tmp_path: Path) -> None:
    words = {"indication": "Fever of Anna Quell", "question": "Is Quell's heart large?"}
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        made = [replace(a_generation(), **words, text=f"Quell {n}. " * 50) for n in range(30)]
        for one in made:
            database.generations.add(one)
        stays = a_generation()
        database.generations.add(stays)
        for one in made:
            database.generations.delete(one.id)
        left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"Quell" not in left
        assert database.generations.get(stays.id) == stays


def test_a_log_that_another_program_reads_is_emptied_later(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    made = replace(a_generation(), indication="Fever of Anna Quell")
    with AppDatabase.open(path) as database:
        database.generations.add(made)
        with closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM generations").fetchone()
            database.generations.delete(made.id)
            assert not database.empty_log()
            assert b"Quell" in (tmp_path / "app.sqlite3-wal").read_bytes()
        assert database.empty_log()
        assert (tmp_path / "app.sqlite3-wal").read_bytes() == b""
        database.generations.add(a_generation())  # and it is used again
        assert (tmp_path / "app.sqlite3-wal").stat().st_size > 0


def test_every_migration_can_be_reversed(location: Location) -> None:
    engine = open_engine(location)
    migrate(engine, name="the database")
    with engine.connect() as connection:
        config = alembic_config(engine.dialect.name)
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    migrate(engine, name="the database")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, AppBase.metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(location: Location) -> None:
    AppDatabase.open(location).close()
    run_sql(location, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MismatchError, match=r"newer version \(schema 9999\)"):
        AppDatabase.open(location)


@pytest.mark.parametrize("kind", ["text", "directory", "under a file"])
def test_a_path_that_cannot_be_a_database_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "app.sqlite3"
    if kind == "text":
        path.write_text("this is no database, only some text that is long enough" * 50)
    elif kind == "directory":
        path.mkdir()
    else:
        path.write_text("x")
        path = path / "app.sqlite3"
    with pytest.raises(UserError, match="cannot be used as the application database"):
        AppDatabase.open(path)
