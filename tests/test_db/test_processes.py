"""Several processes on one PostgreSQL database: who is there, and who works on what."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from db.app.database import AppDatabase
from db.app.limits.request_counts import RequestCounts
from db.engines.engine import held, writing
from db.engines.location import Location
from db.engines.presence import Presence, SharedPresence, gone, serving
from db.errors import MismatchError, UnavailableError, UserError
from tests.support.databases import PostgresServer, counted, opened_engine, run_sql
from tests.support.service.records import a_generation, a_study, accept


@pytest.fixture
def url(postgresql_server: PostgresServer) -> URL:
    return postgresql_server.fresh()


@pytest.fixture
def processes(url: URL) -> Iterator[tuple[AppDatabase, AppDatabase]]:
    """Two that serve the same database."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(AppDatabase.open(url, presence=stack.enter_context(serving(url))))
            for _ in range(2)
        ]
        yield opened[0], opened[1]


def lose_connection(database: AppDatabase) -> None:
    """The one by which others see its process."""
    presence = database.presence
    assert isinstance(presence, SharedPresence) and presence._connection is not None
    pid = presence._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with database.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 10000)")


def end(database: AppDatabase) -> None:
    """As a killed process does, as far as others can see."""
    lose_connection(database)
    assert isinstance(database.presence, SharedPresence)
    database.presence.close()


def wait_for(work: Callable[[], None]) -> None:
    """Until what another connection held is free: it ends a little after it was closed."""
    for _ in range(600):
        with suppress(UserError):
            return work()
        time.sleep(0.1)
    pytest.fail("it is still held")


def test_a_sqlite_file_is_served_by_one_process_and_the_message_says_what_else_there_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.sqlite3"
    refused = pytest.raises(UserError, match=r"running server: .* in PostgreSQL, which several")
    with serving(path) as presence, refused, serving(path):
        pass
    assert not presence.is_shared
    with serving(path):
        pass


def test_a_copy_waits_for_all_processes_and_they_for_it(url: URL) -> None:
    refused = pytest.raises(UserError, match="in use by a running server")
    with serving(url), serving(url), refused, held(url):
        pass

    def copy() -> None:
        with held(url), pytest.raises(UserError, match="is being copied"), serving(url):
            pass

    wait_for(copy)


def test_a_process_has_ended_when_its_connection_has(
    url: URL, processes: tuple[AppDatabase, AppDatabase]
) -> None:
    one, other = processes
    names = [one.presence.name, other.presence.name, Presence().name]
    with opened_engine(url) as engine:
        with engine.begin() as connection:
            assert gone(connection, names) == {names[2]}
        end(one)
        with engine.begin() as connection:
            assert gone(connection, names) == {names[0], names[2]}


def test_a_process_that_lost_its_connection_comes_back_under_its_name(
    url: URL, processes: tuple[AppDatabase, AppDatabase]
) -> None:
    one, other = processes
    lose_connection(one)
    with other.engine.begin() as connection:
        assert gone(connection, [one.presence.name]) == {one.presence.name}
    end(other)
    with held(url):  # as a copy does, while nobody is seen
        with pytest.raises(UserError, match="is being copied"):
            one.presence.renew()
        with pytest.raises(UnavailableError, match="is lost"):
            one.presence.check()
    wait_for(one.presence.renew)
    one.presence.check()
    with one.engine.begin() as connection:
        assert gone(connection, [one.presence.name]) == set()


def test_a_process_takes_up_what_an_ended_one_was_writing_and_no_more(
    processes: tuple[AppDatabase, AppDatabase],
) -> None:
    one, other = processes
    studies = [a_study() for _ in range(3)]
    accept(one, studies)
    (first,), (second,) = one.jobs.claim(1), other.jobs.claim(1)
    other.jobs.release()
    assert one.jobs.running() == {first.generation_id}
    assert other.jobs.running() == {second.generation_id}
    end(one)
    other.jobs.release()
    assert other.jobs.running() == {second.generation_id} and not one.jobs.running()
    assert other.jobs.suspicion() == 1
    suspect = other.jobs.claim_suspect()
    assert suspect == replace(studies[0], status="running")


def test_a_process_taken_for_ended_stores_nothing_twice(
    processes: tuple[AppDatabase, AppDatabase],
) -> None:
    one, other = processes
    study = a_study()
    accept(one, [study])
    one.jobs.claim(1)
    end(one)  # but it goes on
    other.jobs.release()
    assert not one.jobs.finish(a_generation(study.generation_id))
    assert other.jobs.claim_suspect() is not None
    one.jobs.fail(study.generation_id, "no image")
    one.jobs.park(study.generation_id)
    assert not one.jobs.finish(a_generation(study.generation_id))
    assert other.jobs.finish(a_generation(study.generation_id))
    assert one.generations.page(limit=9).total == 1


def test_a_job_is_accepted_whole_or_not_at_all(processes: tuple[AppDatabase, AppDatabase]) -> None:
    one, other = processes
    first, second = a_study(), a_study()
    one.jobs.receive(first)
    other.jobs.release()
    assert one.jobs.unfinished() == 1
    end(one)
    other.jobs.release()
    assert counted_images(other) == 0
    second = replace(second, job_id=first.job_id)
    one.jobs.receive(second)
    with pytest.raises(UnavailableError, match="send them again"):
        one.jobs.accept(first.job_id, 2)
    assert other.jobs.claim(9) == []


def counted_images(database: AppDatabase) -> int:
    with database.engine.connect() as connection:
        found: int = connection.execute(text("SELECT count(*) FROM job_images")).scalar_one()
    return found


def test_tables_are_not_changed_while_an_earlier_version_serves_them(
    postgresql_server: PostgresServer,
) -> None:
    url = postgresql_server.alone()
    with serving(url) as presence, AppDatabase.open(url, presence=presence):
        run_sql(
            url,
            "UPDATE alembic_version SET version_num = '0012'",
            "ALTER TABLE job_studies DROP COLUMN process",
            "DROP TABLE request_counts",
        )
        with pytest.raises(MismatchError, match="served by an earlier version"):
            AppDatabase.open(url)
    wait_for(lambda: AppDatabase.open(url).close())
    assert counted(url, "request_counts") == 0


def test_the_first_processes_of_a_new_database_lay_out_its_tables(
    postgresql_server: PostgresServer,
) -> None:
    url = postgresql_server.empty()
    with ExitStack() as processes:
        for _ in range(2):
            presence = processes.enter_context(serving(url))
            processes.enter_context(AppDatabase.open(url, presence=presence))
        assert counted(url, "request_counts") == 0
        run_sql(url, "UPDATE alembic_version SET version_num = '0012'")
        with pytest.raises(MismatchError, match="served by an earlier version"):
            AppDatabase.open(url)


def test_what_a_newer_version_changed_meanwhile_is_not_served(
    postgresql_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql_server.alone()
    with serving(url) as presence:
        use = presence.use_tables

        def late() -> None:
            run_sql(url, "UPDATE alembic_version SET version_num = '9999'")
            use()

        monkeypatch.setattr(presence, "use_tables", late)
        with pytest.raises(MismatchError, match="written by a newer version"):
            AppDatabase.open(url, presence=presence)


def test_requests_are_counted_once_by_all(location: Location) -> None:
    now = [1000.0]
    with opened_engine(location) as engine, AppDatabase.open(location):
        counts = RequestCounts(engine, clock=lambda: now[0])
        found: list[int] = []

        def count() -> None:
            found.extend(counts.count("key ward", seconds=60).requests for _ in range(10))

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == list(range(1, 41))
        assert counts.count("key other", seconds=60).until == 1060.0
        now[0] = 1059.9
        counts.prune()
        assert counts.count("key ward", seconds=60).requests == 41
        now[0] = 1060.0
        assert counts.count("key ward", seconds=60).requests == 1
        now[0] = 2000.0
        counts.prune()
        assert counted(location, "request_counts") == 0


def test_a_writer_that_holds_a_count_delays_it_no_longer_than_its_lock_timeout(url: URL) -> None:
    with opened_engine(url) as engine, writing(engine) as session:
        counts = RequestCounts(engine)
        counts.count("key ward", seconds=60)
        session.execute(text("UPDATE request_counts SET count = 7"))
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Exception, match="lock timeout"):
            patch.setattr("db.app.limits.request_counts._LOCK_SECONDS", 0.05)
            counts.count("key ward", seconds=60)
