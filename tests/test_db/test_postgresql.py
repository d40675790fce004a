"""What PostgreSQL alone needs: an address without secrets, locks, and errors in one sentence."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import DatabaseError, OperationalError

from db.app.audit_log import NewEntry, append
from db.app.backup import back_up, restore
from db.app.database import AppDatabase
from db.app.erasure import erase
from db.engines.engine import (
    exists,
    open_engine,
    overwrite_free_pages,
    why_unusable,
    writing,
)
from db.engines.location import parse_location, shown
from db.errors import NotFoundError, UserError
from tests.support.databases import (
    GUARDED,
    PASSWORD,
    PostgresServer,
    bytes_of_tables,
    counted,
    opened_engine,
    run_sql,
)
from tests.support.service.records import a_generation, a_study, accept
from tests.support.service.services import NOW

ENTRY = NewEntry(at=NOW, caller="ward", action="report")


@pytest.fixture
def url(postgresql_server: PostgresServer) -> URL:
    return postgresql_server.fresh()


def test_a_location_is_a_path_or_a_url_of_postgresql() -> None:
    assert parse_location("data/app.sqlite3") == Path("data/app.sqlite3")
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        read = parse_location(f"{scheme}://cxr:{PASSWORD}@db.example:5433/reports")
        assert isinstance(read, URL) and read.drivername == "postgresql+psycopg"
        assert (read.host, read.port, read.database) == ("db.example", 5433, "reports")
        assert shown(read) == "postgresql+psycopg://cxr:***@db.example:5433/reports"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"mysql://cxr:{PASSWORD}@db/cxr", "of the kind 'mysql' cannot be used"),
        (f"postgresql+asyncpg://cxr:{PASSWORD}@db/cxr", "'postgresql\\+asyncpg' cannot be used"),
        (f"postgresql://cxr:{PASSWORD}@db", "cannot be read: give it as postgresql"),
        (f"postgresql://cxr:{PASSWORD}@db:port/cxr", "cannot be read: give it as postgresql"),
        (f"postgresql://db/cxr?password={PASSWORD}", "with the password in PGPASSWORD"),
    ],
)
def test_another_url_is_refused_without_repeating_it(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        parse_location(text)
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"username": GUARDED, "password": "Wrong-one"}, "password authentication failed"),
        ({"username": GUARDED, "password": None}, "password"),
        ({"database": "none"}, 'database "none" does not exist'),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, "Connection refused"),
        ({"host": "nowhere.invalid", "query": {}}, "nowhere.invalid"),
    ],
)
def test_a_database_out_of_reach_is_one_sentence_without_the_password(
    url: URL, changes: dict[str, object], says: str
) -> None:
    bad = url.set(**changes)
    for use in (AppDatabase.open, AppDatabase.open_existing, lambda bad: erase(bad, [], at=NOW)):
        with pytest.raises(UserError, match="cannot be used as the application database") as error:
            use(bad)
        said = str(error.value)
        assert says in said and "\n" not in said and "Wrong-one" not in said


def test_the_right_password_opens_it(url: URL) -> None:
    with AppDatabase.open(url.set(username=GUARDED, password=PASSWORD)) as database:
        database.audit.append(ENTRY)
        assert database.audit.verify().number == 1


def test_a_user_without_rights_is_told_so_and_a_reader_of_an_empty_database_changes_nothing(
    postgresql_server: PostgresServer,
) -> None:
    empty = postgresql_server.empty()
    assert not exists(empty)
    with pytest.raises(NotFoundError, match="does not exist"):
        AppDatabase.open_existing(empty)
    with pytest.raises(NotFoundError, match="is not an application database"):
        erase(empty, [], at=NOW)
    assert not exists(empty)
    postgresql_server.run("DROP ROLE IF EXISTS visitor", "CREATE ROLE visitor LOGIN")
    with pytest.raises(UserError, match="permission denied for schema public"):
        AppDatabase.open(empty.set(username="visitor"))


def test_it_is_backed_up_by_its_own_tools(url: URL, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use pg_dump"):
        back_up(url, tmp_path / "backup")
    with pytest.raises(UserError, match="use pg_restore"):
        restore(tmp_path / "backup", url, at=NOW)


def test_a_dump_of_a_database_in_use_restores_everything(
    postgresql_server: PostgresServer, tmp_path: Path
) -> None:
    one, other, dump = postgresql_server.empty(), postgresql_server.empty(), tmp_path / "cxr.dump"
    made = a_generation()
    with AppDatabase.open(one) as database:
        database.generations.add(made, audit=ENTRY)
        postgresql_server.tool("pg_dump", "--format=custom", f"--file={dump}", database=one)
    postgresql_server.tool("pg_restore", "--exit-on-error", str(dump), database=other)
    with AppDatabase.open(other) as database:
        assert database.generations.get(made.id) == made
        database.audit.append(ENTRY)
        assert database.audit.verify().number == 2
    with pytest.raises(DatabaseError, match="append-only"):
        run_sql(other, "TRUNCATE audit_entries")


def test_a_writer_waits_for_the_audit_chain_until_the_lock_timeout(url: URL) -> None:
    engine = open_engine(url)
    with AppDatabase.open(url, lock_timeout=0.05) as database, AppDatabase.open(url) as other:
        with writing(engine) as session:
            append(session, ENTRY)
            with pytest.raises(OperationalError) as error:
                database.audit.append(ENTRY)
            assert why_unusable(error.value) == "database is locked: lock not granted in time"
            patient = threading.Thread(target=other.audit.append, args=(ENTRY,))
            patient.start()
            assert [entry.number for entry in database.audit] == []
        patient.join(60)
        assert database.audit.verify().number == 2
    engine.dispose()


def test_erased_words_outlast_no_transaction_that_could_still_read_them(
    postgresql_server: PostgresServer,
) -> None:
    url = postgresql_server.empty()  # a vacuum minds all transactions of a database
    reads = {"isolation_level": "REPEATABLE READ"}
    with AppDatabase.open(url) as database, opened_engine(url) as engine:
        database.generations.add(replace(a_generation(), text="A quetzal feather."))
        with engine.connect().execution_options(**reads) as reader:
            reader.exec_driver_sql("SELECT count(*) FROM alembic_version")
            run_sql(url, "UPDATE generations SET text = 'withdrawn.'")
            with opened_engine(url, lock_timeout=0.1) as hurried:
                assert not overwrite_free_pages(hurried)
            done: list[bool] = []
            patient = threading.Thread(target=lambda: done.append(overwrite_free_pages(engine)))
            patient.start()
        patient.join(60)
        assert done == [True]
    assert b"quetzal" not in bytes_of_tables(url)


def test_a_study_is_claimed_by_one_of_two_servers_at_a_time(url: URL) -> None:
    studies = [a_study() for _ in range(12)]
    with AppDatabase.open(url) as one, AppDatabase.open(url) as other:
        accept(one, studies)
        taken: list[object] = []
        threads = [
            threading.Thread(
                target=lambda jobs=database.jobs: [
                    taken.extend(study.generation_id for study in jobs.claim(1)) for _ in range(6)
                ]
            )
            for database in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken.extend(study.generation_id for study in one.jobs.claim(12))
        assert sorted(map(str, taken)) == sorted(str(study.generation_id) for study in studies)


def test_a_claim_does_not_wait_for_a_study_that_another_holds(url: URL) -> None:
    first, second = a_study(), a_study()
    engine = open_engine(url)
    with AppDatabase.open(url, lock_timeout=0.05) as database:
        accept(database, [first, second])
        with writing(engine) as session:
            session.connection().exec_driver_sql(
                "SELECT 1 FROM job_studies WHERE number = 1 FOR UPDATE"
            )
            (claimed,) = database.jobs.claim(2)
            assert claimed.generation_id == second.generation_id
            with pytest.raises(OperationalError):
                database.jobs.cancel(first.generation_id)
        assert database.jobs.cancel(first.generation_id)
    engine.dispose()


def test_the_character_nul_is_replaced(url: URL) -> None:
    made = replace(a_generation(), indication="Fever\0 and cough")
    with AppDatabase.open(url) as database:
        database.generations.add(made)
        kept = database.generations.get(made.id)
    assert kept == replace(made, indication="Fever\ufffd and cough")


def test_a_row_is_not_quoted_in_an_error(url: URL) -> None:
    with AppDatabase.open(url) as database:
        database.generations.add(replace(a_generation(), text="Words of Anna Quell"))
    with pytest.raises(DatabaseError) as error:
        run_sql(url, "UPDATE generations SET task = NULL")
    assert "violates not-null constraint" in str(error.value)
    assert "Quell" not in f"{error.value} {error.value.orig} {error.value.orig!r}"


def test_two_servers_that_start_together_lay_out_the_tables_once(
    postgresql_server: PostgresServer,
) -> None:
    empty, errors = postgresql_server.empty(), []

    def start() -> None:
        try:
            AppDatabase.open(empty).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and counted(empty, "alembic_version") == 1


def test_a_server_that_goes_away_is_a_passing_trouble(url: URL) -> None:
    with AppDatabase.open(url) as database:
        database.audit.append(ENTRY)
        with database.engine.connect() as kept:  # the server has connections of other tests too
            pid = kept.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        run_sql(url, f"SELECT pg_terminate_backend({pid})")
        database.audit.append(ENTRY)  # on a new connection
        with database.engine.connect() as fresh:
            assert fresh.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() != pid
        assert database.audit.verify().number == 2
    gone = open_engine(url.set(host="127.0.0.1", port=1, query={}))
    with pytest.raises(OperationalError) as error, writing(gone):
        pass
    assert why_unusable(error.value) == "database server cannot be reached"


def test_a_read_only_database_is_read_and_found_unusable(url: URL) -> None:
    made = a_generation()
    with AppDatabase.open(url) as database:
        database.generations.add(made)
    options = f"{url.query['options']} -cdefault_transaction_read_only=on"
    read_only = AppDatabase(open_engine(url.update_query_dict({"options": options})))
    assert read_only.generations.get(made.id) == made
    for use in (read_only.check, lambda: read_only.audit.append(ENTRY)):
        with pytest.raises(DatabaseError) as error:
            use()
        assert "in a read-only transaction" in str(why_unusable(error.value))
    read_only.close()
