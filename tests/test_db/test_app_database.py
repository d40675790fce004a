"""Keys, feedback, backup and restore of the application database."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import DatabaseError

from db.app.api_keys import ApiKeyStore
from db.app.audit_log import NewEntry
from db.app.backup import Restored, back_up, restore
from db.app.database import AppDatabase
from db.app.feedback import Feedback
from db.engines.engine import held
from db.engines.location import Location
from db.errors import MismatchError, NotFoundError, UserError
from tests.support.service.records import a_generation

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[AppDatabase]:
    """In a file."""
    with AppDatabase.open(path) as database:
        yield database


@pytest.fixture
def stores(location: Location) -> Iterator[AppDatabase]:
    """On either engine."""
    with AppDatabase.open(location) as database:
        yield database


@pytest.fixture
def keys(stores: AppDatabase) -> ApiKeyStore:
    return stores.keys


def test_a_key_is_accepted_until_it_is_revoked(keys: ApiKeyStore, stores: AppDatabase) -> None:
    key = keys.add("ward", ["read", "generate"], at=NOW)
    other = keys.add("lab", ["admin"], at=NOW)
    found = keys.find(key)
    assert found is not None
    assert (found.name, found.scopes) == ("ward", {"read", "generate"})
    assert [k.name for k in keys.list_all()] == ["ward", "lab"]
    keys.revoke("ward", at=NOW)
    keys.revoke("ward", at=NOW)
    assert keys.find(key) is None
    assert keys.find(other) is not None and keys.any_active()
    keys.revoke("lab", at=NOW)
    assert not keys.any_active()
    assert [entry.action for entry in stores.audit] == [
        "key added",
        "key added",
        "key revoked",
        "key revoked",
    ]


def test_an_almost_correct_key_is_refused(keys: ApiKeyStore) -> None:
    key = keys.add("ward", ["read"], at=NOW)
    last = "A" if key[-1] != "A" else "B"
    for wrong in ("", "cxr_", key[:-1], key + "A", key[:-1] + last, key.upper(), f" {key}"):
        assert keys.find(wrong) is None, wrong
    prefix, _, _ = key.rpartition("_")
    assert keys.find(f"{prefix}_{'A' * 43}") is None


def test_the_secret_of_a_key_is_nowhere_in_the_file(database: AppDatabase, tmp_path: Path) -> None:
    key = database.keys.add("ward", ["read"], at=NOW)
    database.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"ward" in kept
    assert key.split("_", 2)[2].encode() not in kept


@pytest.mark.parametrize(
    ("name", "scopes", "says"),
    [
        ("ward", ["read"], "there was a key 'ward' before"),
        ("", ["read"], "cannot name a key"),
        ("a b", ["read"], "cannot name a key"),
        ("local", ["read"], "cannot name a key"),
        ("x" * 64, ["read"], "cannot name a key"),
        ("lab", ["root"], "unknown scope 'root'"),
        ("lab", [], "needs one or more of read, generate, read-all, pacs, admin"),
    ],
)
def test_an_invalid_key_name_or_scope_is_refused(
    keys: ApiKeyStore, name: str, scopes: list[str], says: str
) -> None:
    keys.add("ward", ["read"], at=NOW)
    with pytest.raises(UserError, match=says):
        keys.add(name, scopes, at=NOW)
    assert len(keys.list_all()) == 1


def test_revoking_an_unknown_key_is_an_error(keys: ApiKeyStore) -> None:
    with pytest.raises(NotFoundError, match="no key 'ward'"):
        keys.revoke("ward", at=NOW)


def a_remark(generation_id: UUID, **parts: object) -> Feedback:
    given = {"kind": "edited", "text": "Better.", "statement": 1, **parts}
    return Feedback(
        id=uuid4(), generation_id=generation_id, created_at=NOW, created_by="ward", **given
    )


def test_feedback_is_deleted_with_its_generation(stores: AppDatabase) -> None:
    generation, other = a_generation(), a_generation()
    stores.generations.add(generation)
    stores.generations.add(other)
    first = a_remark(generation.id)
    second = a_remark(generation.id, kind="wrong_citation", text=None, citation=2, comment="No.")
    entry = NewEntry(at=NOW, caller="ward", action="feedback")
    stores.feedback.add(first, audit=entry)
    stores.feedback.add(second)
    assert stores.feedback.of(generation.id) == [first, second]
    assert stores.feedback.of(other.id) == []
    stores.generations.delete(generation.id)
    for act in (
        lambda: stores.feedback.of(generation.id),
        lambda: stores.feedback.add(a_remark(generation.id), audit=entry),
    ):
        with pytest.raises(NotFoundError, match=str(generation.id)):
            act()
    assert stores.audit.verify().number == 1


def test_a_backup_taken_during_writes_restores_everything(
    database: AppDatabase, path: Path, tmp_path: Path
) -> None:
    generation = a_generation()
    database.generations.add(generation, audit=NewEntry(at=NOW, caller="ward", action="report"))
    key = database.keys.add("ward", ["read"], at=NOW)
    back_up(path, tmp_path / "backup.sqlite3")
    later = a_generation()
    database.generations.add(later)
    database.close()
    kept = restore(tmp_path / "backup.sqlite3", path, at=NOW).kept
    with AppDatabase.open(path) as restored:
        assert restored.generations.get(generation.id) == generation
        assert restored.keys.find(key) is not None
        assert restored.audit.verify().number == 2
        with pytest.raises(NotFoundError):
            restored.generations.get(later.id)
    assert kept == tmp_path / "app.sqlite3.before-restore"
    assert [one.name for one in tmp_path.glob("backup*")] == ["backup.sqlite3"]
    with AppDatabase.open(kept) as before:
        assert before.generations.get(later.id) == later


def test_a_key_that_was_revoked_since_a_backup_stays_revoked(
    database: AppDatabase, path: Path, tmp_path: Path
) -> None:
    lost, stays = (database.keys.add(name, ["read"], at=NOW) for name in ("lost", "stays"))
    back_up(path, tmp_path / "backup.sqlite3")
    database.keys.revoke("lost", at=NOW)
    database.close()
    assert restore(tmp_path / "backup.sqlite3", path, at=NOW).revoked == 1
    with AppDatabase.open(path) as restored:
        assert restored.keys.find(lost) is None and restored.keys.find(stays) is not None
        assert [entry.action for entry in restored.audit][-1] == "key revoked"


def test_what_was_deleted_since_a_backup_does_not_come_back(
    database: AppDatabase, path: Path, tmp_path: Path
) -> None:
    gone, stays = replace(a_generation(), indication="Fever of Anna Quell"), a_generation()
    for one in (gone, stays):
        database.generations.add(one)
    back_up(path, tmp_path / "backup.sqlite3")
    entry = NewEntry(
        at=NOW, caller="w", action="generation deleted", details={"generation": str(gone.id)}
    )
    database.generations.delete(gone.id, audit=entry)
    database.audit.append(NewEntry(at=NOW, caller="indexer", action="erase"))
    database.close()
    done = restore(tmp_path / "backup.sqlite3", path, at=NOW)
    assert (done.deleted, done.erased) == (1, True)
    (tmp_path / "backup.sqlite3").unlink()
    with AppDatabase.open(path) as restored:
        assert [one.id for one in restored.generations.page(limit=9).generations] == [stays.id]
        assert [one.caller for one in restored.audit] == ["restore"] and restored.audit.verify()
        assert b"Quell" not in b"".join(one.read_bytes() for one in tmp_path.iterdir())


def test_a_backup_of_an_older_schema_is_migrated(path: Path, tmp_path: Path) -> None:
    from db.app.schema import migrate
    from db.engines.sqlite import open_sqlite

    engine = open_sqlite(tmp_path / "old.sqlite3", read_only=False)
    migrate(engine, name="old", revision="0001")
    engine.dispose()
    assert restore(tmp_path / "old.sqlite3", path, at=NOW) == Restored(kept=None)
    with AppDatabase.open(path) as database:
        assert database.generations.page(limit=1).total == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "app.sqlite3",
        "app.sqlite3.lock",
        "old.sqlite3",
    ]


def test_a_failed_restore_changes_nothing(
    database: AppDatabase, path: Path, tmp_path: Path
) -> None:
    generation = a_generation()
    database.generations.add(generation, audit=NewEntry(at=NOW, caller="w", action="report"))
    backup = tmp_path / "backup.sqlite3"
    back_up(path, backup)
    with pytest.raises(UserError, match="already exists"):
        back_up(path, backup)
    with held(path), pytest.raises(UserError, match="in use by a running server"):
        restore(backup, path, at=NOW)

    connection = sqlite3.connect(backup)
    connection.execute("DROP TRIGGER audit_entries_no_update")
    connection.execute("UPDATE audit_entries SET caller = 'nobody'")
    connection.commit()
    with pytest.raises(UserError, match="audit log was changed"):
        restore(backup, path, at=NOW)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(MismatchError, match="newer version"):
        restore(backup, path, at=NOW)

    for content in (b"no database", b""):
        other = tmp_path / "other"
        other.write_bytes(content)
        with pytest.raises(UserError):
            restore(other, path, at=NOW)
    with pytest.raises(NotFoundError):
        restore(tmp_path / "nothing", path, at=NOW)
    assert database.generations.get(generation.id) == generation
    assert not list(tmp_path.glob("*.restoring*")) and not list(tmp_path.glob("*.part"))


def test_a_database_is_served_by_one_process(location: Location) -> None:
    in_use = pytest.raises(UserError, match="in use by a running server")
    with held(location), in_use, held(location):
        pass
    with held(location):
        pass


@pytest.fixture
def usual_umask() -> Iterator[None]:
    earlier = os.umask(0o022)
    yield
    os.umask(earlier)


def rights(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_mode & 0o777 for one in folder.rglob("*")}


@pytest.mark.usefixtures("usual_umask")
def test_only_the_owner_can_read_database_and_backups(tmp_path: Path) -> None:
    path = tmp_path / "service" / "app.sqlite3"
    with AppDatabase.open(path) as database:
        database.generations.add(a_generation())
        back_up(path, tmp_path / "backups" / "one.sqlite3")
        found = rights(tmp_path)
    assert {"app.sqlite3-wal", "app.sqlite3-shm"} <= found.keys()
    restore(tmp_path / "backups" / "one.sqlite3", path, at=NOW)
    found |= rights(tmp_path)
    assert "app.sqlite3.before-restore" in found
    assert found.pop("service") == found.pop("backups") == 0o700
    found.pop("app.sqlite3.lock")  # empty
    assert set(found.values()) == {0o600}, found


@pytest.mark.usefixtures("usual_umask")
@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o640, 0o640)])
def test_a_database_that_everyone_can_read_is_closed(path: Path, before: int, after: int) -> None:
    AppDatabase.open(path).close()
    path.chmod(before)
    AppDatabase.open(path).close()
    assert path.stat().st_mode & 0o777 == after


@pytest.mark.usefixtures("usual_umask")
def test_what_is_no_application_database_keeps_its_rights(tmp_path: Path) -> None:
    folder, notes = tmp_path / "folder", tmp_path / "notes.txt"
    folder.mkdir()
    notes.write_text("not a database, but some other file of some length\n" * 40)
    before = rights(tmp_path)
    for path in (folder, notes):
        with pytest.raises(UserError):
            AppDatabase.open(path)
    assert rights(tmp_path) == before


def test_an_error_of_the_database_shows_no_values(stores: AppDatabase) -> None:
    made = a_generation()
    stores.generations.add(made)
    with pytest.raises(DatabaseError) as error:
        stores.generations.add(made)  # its id is unique
    said = f"{error.value} {error.value.orig} {error.value.__cause__}"
    assert "unique" in said.lower()
    for value in (made.id, made.text, made.indication, made.question, made.created_by):
        assert str(value) not in said


def test_a_second_server_through_a_link_is_refused_and_a_restore_keeps_the_link(
    tmp_path: Path,
) -> None:
    folder, path = tmp_path / "real", tmp_path / "real" / "app.sqlite3"
    folder.mkdir()
    (tmp_path / "folder").symlink_to(folder)
    (tmp_path / "link.sqlite3").symlink_to(path)
    with AppDatabase.open(path) as database:
        database.generations.add(a_generation())
    links = (tmp_path / "folder" / "app.sqlite3", tmp_path / "link.sqlite3", path)
    for one in links:
        for other in links:
            with (
                held(one),
                pytest.raises(UserError, match="in use by a running server"),
                held(other),
            ):
                pytest.fail("two servers")
    back_up(path, tmp_path / "backup.sqlite3")
    restore(tmp_path / "backup.sqlite3", tmp_path / "link.sqlite3", at=NOW)
    assert (tmp_path / "link.sqlite3").is_symlink() and not path.is_symlink()
    with AppDatabase.open(tmp_path / "link.sqlite3") as database:
        assert database.generations.page(limit=1).total == 1
        assert not list(tmp_path.glob("link.sqlite3-*"))
