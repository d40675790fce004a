"""Writers of one database: in turn within the process, and patient with another one."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from db.app.audit_log import NewEntry
from db.app.database import AppDatabase
from db.engines.sqlite import FairLock, writers
from tests.support.service.services import NOW

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@contextmanager
def another_writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the write lock until a line is sent to it."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def an_entry(caller: str) -> NewEntry:
    return NewEntry(at=NOW, caller=caller, action="report")


def until_in_line(line: FairLock, count: int) -> None:
    until = time.monotonic() + 60
    while line.in_line < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_writers_are_served_in_the_order_of_their_requests(tmp_path: Path) -> None:
    """Of two engines on one file, as of a service and a command within one process."""
    path = tmp_path / "app.sqlite3"
    with (
        AppDatabase.open(path, lock_timeout=60) as one,
        AppDatabase.open(tmp_path / "x" / ".." / path.name, lock_timeout=60) as other,
    ):
        line = writers(path)
        threads = []
        with line.turn(1):
            for number in range(40):
                log = (one, other)[number % 2].audit
                threads.append(threading.Thread(target=log.append, args=(an_entry(str(number)),)))
                threads[-1].start()
                until_in_line(line, number + 2)
        for thread in threads:
            thread.join()
        assert [entry.caller for entry in one.audit] == [str(number) for number in range(40)]
        assert line.in_line == 0


def test_a_writer_that_times_out_leaves_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    with AppDatabase.open(path, lock_timeout=0.05) as database:
        line = writers(path)
        with (
            line.turn(1),
            pytest.raises(OperationalError, match=r"locked: lock not granted within 0\.05 seconds"),
        ):
            database.audit.append(an_entry("late"))
        assert line.in_line == 0
        database.audit.append(an_entry("next"))
        assert [entry.caller for entry in database.audit] == ["next"]


def test_a_writers_turn_ends_even_if_its_work_fails(tmp_path: Path) -> None:
    line = FairLock()
    for _ in range(2):
        with pytest.raises(ValueError, match="spoilt"), line.turn(0.05):
            raise ValueError("spoilt")
    assert line.in_line == 0
    assert writers(tmp_path / "one") is not writers(tmp_path / "two")


def test_a_writer_waits_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    with AppDatabase.open(path, lock_timeout=60) as database, another_writer(path) as process:
        thread = threading.Thread(target=database.audit.append, args=(an_entry("patient"),))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and not list(database.audit)
        let_go(process)
        thread.join(60)
        assert [entry.caller for entry in database.audit] == ["patient"]


def test_the_lock_timeout_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    with AppDatabase.open(path, lock_timeout=0.1) as database, another_writer(path) as process:
        with pytest.raises(OperationalError, match="database is locked"):
            database.audit.append(an_entry("late"))
        with pytest.raises(OperationalError, match="database is locked"):
            database.check(lock_timeout=0.3)
        let_go(process)
        process.wait()
        database.check()


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite3"
    with AppDatabase.open(path, lock_timeout=0.1) as database:
        database.audit.append(an_entry("earlier"))
        with sqlite3.connect(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with writers(path).turn(1):
                assert [entry.caller for entry in database.audit] == ["earlier"]
        connection.close()
