"""The audit log: it tells everything in order, and that nobody changed it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from db.app.audit_log import START, Head, NewEntry, append
from db.app.database import AppDatabase
from db.engines.engine import open_engine, writing
from db.engines.location import Location
from db.errors import UserError
from tests.support.databases import drop_audit_triggers, run_sql

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def an_entry(number: int) -> NewEntry:
    return NewEntry(
        at=NOW,
        caller="ward",
        action="report",
        details={"cited": [f"drawn:s{number}"], "k": number},
        request_id=f"r{number}",
    )


@pytest.fixture
def database(location: Location) -> Iterator[AppDatabase]:
    with AppDatabase.open(location) as database:
        yield database


def change(location: Location, *statements: str) -> None:
    """As somebody would who drops the triggers."""
    drop_audit_triggers(location)
    run_sql(location, *statements)


def test_entries_read_back_in_order_and_the_log_is_intact(database: AppDatabase) -> None:
    assert database.audit.verify().number == 0
    for number in range(1, 4):
        database.audit.append(an_entry(number))
    entries = list(database.audit)
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert entries[1].details == {"cited": ["drawn:s2"], "k": 2}
    assert (entries[1].at, entries[1].caller, entries[1].request_id) == (NOW, "ward", "r2")
    assert database.audit.verify() == Head(number=3, hash=entries[2].hash)


def test_a_long_log_is_read_to_its_end(database: AppDatabase, location: Location) -> None:
    engine = open_engine(location)
    with writing(engine) as session:
        append(session, *map(an_entry, range(1, 503)))
    engine.dispose()
    assert database.audit.verify().number == len(list(database.audit)) == 502


@pytest.mark.parametrize(
    "verb", ["UPDATE audit_entries SET caller = 'x'", "DELETE FROM audit_entries"]
)
def test_the_database_itself_refuses_to_change_an_entry(
    database: AppDatabase, location: Location, verb: str
) -> None:
    database.audit.append(an_entry(1))
    with pytest.raises(IntegrityError, match="append-only"):
        run_sql(location, verb)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE audit_entries SET caller = 'other' WHERE number = 2", "entry 2 does not fit"),
        ("UPDATE audit_entries SET details = '{}' WHERE number = 3", "entry 3 does not fit"),
        ("UPDATE audit_entries SET at = '2020' WHERE number = 1", "entry 1 does not fit"),
        ("UPDATE audit_entries SET request_id = NULL WHERE number = 1", "entry 1 does not fit"),
        ("DELETE FROM audit_entries WHERE number = 2", "entry 2 is missing"),
        ("DELETE FROM audit_entries WHERE number = 1", "entry 1 is missing"),
    ],
)
def test_a_changed_entry_is_named(
    database: AppDatabase, location: Location, statement: str, says: str
) -> None:
    for number in range(1, 4):
        database.audit.append(an_entry(number))
    change(location, statement)
    with pytest.raises(UserError, match=says):
        database.audit.verify()


def test_a_shortened_or_rewritten_log_does_not_match_a_recorded_head(
    database: AppDatabase, location: Location
) -> None:
    for number in range(1, 4):
        database.audit.append(an_entry(number))
    noted = database.audit.verify()
    database.audit.append(an_entry(4))
    assert database.audit.verify(noted).number == 4
    change(location, "DELETE FROM audit_entries WHERE number > 2")
    assert database.audit.verify().number == 2
    with pytest.raises(UserError, match="does not lead through entry 3"):
        database.audit.verify(noted)
    database.audit.append(an_entry(5))
    with pytest.raises(UserError, match="does not lead through entry 3"):
        database.audit.verify(noted)


def test_an_entry_rewritten_with_its_hash_breaks_the_rest_of_the_chain(
    database: AppDatabase, location: Location
) -> None:
    for number in range(1, 4):
        database.audit.append(an_entry(number))
    parts = ["1", NOW.isoformat(timespec="microseconds"), "other", "r1", "report"]
    details = next(iter(database.audit)).details
    text = json.dumps(dict(details), sort_keys=True, ensure_ascii=False)
    forged = hashlib.sha256(json.dumps([*parts, text, START]).encode()).hexdigest()
    change(
        location,
        f"UPDATE audit_entries SET caller = 'other', hash = '{forged}' WHERE number = 1",
        f"UPDATE audit_entries SET previous_hash = '{forged}' WHERE number = 2",
    )
    with pytest.raises(UserError, match="entry 2 does not fit"):
        database.audit.verify()


def test_two_processes_and_many_threads_write_one_chain(
    database: AppDatabase, location: Location
) -> None:
    with AppDatabase.open(location) as other:
        threads = [
            threading.Thread(target=lambda log=log: [log.append(an_entry(1)) for _ in range(10)])
            for log in (database.audit, other.audit) * 3
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert database.audit.verify().number == 60
