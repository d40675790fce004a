"""A database is moved to another engine and back, and nothing of it changes."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL

from api.__main__ import main
from db.app.audit_log import NewEntry
from db.app.copying import copy_database
from db.app.database import AppDatabase
from db.app.feedback import Feedback
from db.app.generations import generation_entry
from db.engines.engine import held
from db.engines.location import Location
from db.errors import NotFoundError, UserError
from tests.support.databases import (
    PASSWORD,
    PostgresServer,
    counted,
    drop_audit_triggers,
    run_sql,
)
from tests.support.service.records import a_generation, a_study, accept
from tests.support.service.services import NOW

TABLES = (
    *("generations", "statements", "citations", "hits", "feedback"),
    *("api_keys", "audit_entries", "job_studies", "job_images"),
)


def fill(location: Location) -> tuple[AppDatabase, str]:
    """Something in every table."""
    with AppDatabase.open(location) as database:
        for number in range(3):
            made = replace(a_generation(), text=f"Text {number}, naïve «quoted» \\ ' %")
            database.generations.add(made, audit=generation_entry(made))
            database.feedback.add(
                Feedback(
                    id=uuid4(), generation_id=made.id, created_at=NOW, created_by="w", kind="edited"
                )
            )
        database.generations.delete(made.id)
        key = database.keys.add("ward", ["read"], at=NOW)
        accept(database, [a_study(), a_study()])
    return database, key


def everything(location: Location) -> list[object]:
    with AppDatabase.open(location) as database:
        page = database.generations.page(limit=99)
        return [
            page,
            [database.feedback.of(one.id) for one in page.generations],
            database.keys.list_all(),
            list(database.audit),
            database.audit.verify(),
        ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "app.sqlite3"


def test_a_database_goes_to_postgresql_and_back(
    file: Path, postgresql_server: PostgresServer, tmp_path: Path
) -> None:
    url, back = postgresql_server.empty(), tmp_path / "back" / "app.sqlite3"
    _, key = fill(file)
    copied = copy_database(file, url)
    assert copied.rows == {table: counted(file, table) for table in TABLES}
    assert min(copied.rows.values()) > 0
    assert everything(url) == everything(file)
    assert copy_database(url, back) == copied
    assert everything(back) == everything(file)
    for location in (url, back):  # and it is used on
        with AppDatabase.open(location) as database:
            found = database.keys.find(key)
            assert found is not None and found.name == "ward"
            assert len(database.jobs.claim(5)) == 2
            later = a_generation()
            database.generations.add(later, audit=generation_entry(later))
            newest = database.generations.page(limit=1).generations
            assert newest == (later,) and database.audit.verify().number == copied.head.number + 1


def test_a_target_that_holds_anything_is_left_alone(
    file: Path, postgresql_server: PostgresServer
) -> None:
    url = postgresql_server.fresh()
    fill(file)
    with AppDatabase.open(url) as database:
        database.audit.append(NewEntry(at=NOW, caller="ward", action="report"))
    for source, target in ((file, url), (url, file), (file, file)):
        with pytest.raises(UserError, match=r"holds \w+ already|in use by a running server"):
            copy_database(source, target)
    assert counted(url, "audit_entries") == 1 and counted(url, "generations") == 0


def test_a_refused_copy_leaves_nothing_behind(
    file: Path, postgresql_server: PostgresServer, tmp_path: Path
) -> None:
    url, other = postgresql_server.fresh(), tmp_path / "other.sqlite3"
    with pytest.raises(NotFoundError, match="does not exist"):
        copy_database(file, other)
    fill(file)
    for place in (file, url):
        with held(place), pytest.raises(UserError, match="in use by a running server"):
            copy_database(file, url)
    run_sql(file, f"UPDATE generations SET task = '{'x' * 33}' WHERE number = 2")
    with pytest.raises(
        UserError, match=r"cannot take a row of generations \(value too long.*nothing is copied"
    ):
        copy_database(file, url)
    assert not any(counted(url, table) for table in TABLES)
    drop_audit_triggers(file)
    run_sql(file, "UPDATE audit_entries SET caller = 'nobody'")
    with pytest.raises(UserError, match="audit log was changed"):
        copy_database(file, other)
    assert not other.exists()


def test_the_command_says_what_was_copied_and_no_password(
    file: Path, postgresql_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql_server.fresh()
    fill(file)
    with_password = url.set(password=PASSWORD).render_as_string(hide_password=False)
    assert main(["db", "copy", str(file), with_password]) == 0
    printed = capsys.readouterr().out
    assert "2 generations" in printed and "audit log intact, head 4:" in printed
    assert PASSWORD not in printed and "cxr_" not in printed
    assert main(["keys", "list", "--database", with_password]) == 0
    assert capsys.readouterr().out.startswith("ward\tread\t")
    assert main(["audit", "verify", "--database", with_password]) == 0
    assert isinstance(url, URL) and "head 4:" in capsys.readouterr().out
