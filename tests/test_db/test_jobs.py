"""Jobs in the database: taken in turn, ended once, images kept no longer than needed."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from db.app.audit_log import NewEntry
from db.app.backup import back_up
from db.app.database import AppDatabase
from db.app.jobs.store import ATTEMPTS
from db.engines.location import Location
from db.errors import ForbiddenError, NotFoundError
from tests.support.databases import run_sql
from tests.support.service.records import a_generation, a_study, accept
from tests.support.service.services import NOW


def test_a_study_is_claimed_once_with_all_its_images(location: Location) -> None:
    with AppDatabase.open(location) as database:
        study = a_study()
        accept(database, [study])
        assert database.jobs.study(study.generation_id) == replace(study, images=())
        assert database.jobs.claim(5) == [replace(study, status="running")]
        assert database.jobs.claim(5) == []
        assert database.jobs.unfinished() == 1
        with pytest.raises(NotFoundError):
            database.jobs.study(uuid4())


def test_owners_take_turns(location: Location) -> None:
    with AppDatabase.open(location) as database:
        many, few = [a_study("many") for _ in range(4)], [a_study("few") for _ in range(2)]
        accept(database, [*many, *few])
        taken = [study.created_by for study in database.jobs.claim(4)]
        assert taken == ["many", "few", "many", "few"]
        assert [s.generation_id for s in database.jobs.claim(9)] == [
            s.generation_id for s in many[2:]
        ]


def test_a_study_ends_once_with_its_generation(location: Location) -> None:
    entry = NewEntry(at=NOW, caller="ward", action="report")
    with AppDatabase.open(location) as database:
        job_id = uuid4()
        done, taken_back, failed = (a_study(job_id=job_id) for _ in range(3))
        accept(database, [done, taken_back, failed])
        database.jobs.claim(3)
        assert database.jobs.finish(a_generation(done.generation_id), audit=entry)
        assert not database.jobs.finish(a_generation(done.generation_id), audit=entry)
        assert database.jobs.cancel(taken_back.generation_id)
        assert not database.jobs.finish(a_generation(taken_back.generation_id), audit=entry)
        assert not database.jobs.cancel(done.generation_id)
        database.jobs.fail(failed.generation_id, "no image")
        database.jobs.fail(done.generation_id, "too late")
        studies = database.jobs.job(job_id)
        assert [s.status for s in studies] == ["done", "cancelled", "failed"]
        assert [s.detail for s in studies] == [None, None, "no image"]
        assert database.jobs.unfinished() == 0
        assert database.generations.page(limit=9).total == 1
        assert database.audit.verify().number == 1


def test_a_study_left_running_is_requeued_as_a_suspect(location: Location) -> None:
    with AppDatabase.open(location) as database:
        one, two, three = studies = [a_study() for _ in range(3)]
        accept(database, studies)
        database.jobs.claim(2)
        assert database.jobs.suspicion() is None and database.jobs.claim_suspect() is None
        database.jobs.release(restarted=True)
        assert database.jobs.unfinished() == 3
        assert [s.generation_id for s in database.jobs.claim(9)] == [three.generation_id]
        assert database.jobs.suspicion() == 1
        assert database.jobs.claim_suspect() == replace(one, status="running")
        database.jobs.release(restarted=True)  # with one and three under way
        alone = [database.jobs.claim_suspect() for _ in range(4)]
        taken = [None if study is None else study.generation_id for study in alone]
        fewest_attempts_first = [two.generation_id, three.generation_id, one.generation_id, None]
        assert taken == fewest_attempts_first


def test_parking_does_not_make_a_study_suspect(location: Location) -> None:
    with AppDatabase.open(location) as database:
        study = a_study()
        accept(database, [study])
        database.jobs.claim(1)
        database.jobs.park(study.generation_id)
        assert database.jobs.suspicion() is None
        assert [s.generation_id for s in database.jobs.claim(9)] == [study.generation_id]


def test_a_study_that_ended_the_server_alone_repeatedly_fails(location: Location) -> None:
    with AppDatabase.open(location) as database:
        study, beside = a_study(), a_study()
        accept(database, [study, beside])
        database.jobs.claim(2)
        database.jobs.release(restarted=True)
        assert (claimed := database.jobs.claim_suspect()) is not None
        database.jobs.cancel(beside.generation_id)
        for attempts in range(2, ATTEMPTS):
            database.jobs.release(restarted=True)
            assert database.jobs.study(claimed.generation_id).status == "queued"
            assert database.jobs.suspicion() == attempts
            assert database.jobs.claim_suspect() is not None
        database.jobs.release(restarted=True)
        assert database.jobs.study(study.generation_id).status == "failed"
        detail = database.jobs.study(study.generation_id).detail
        assert detail == f"the server stopped {ATTEMPTS} times while it worked on it"


def test_an_image_is_overwritten_when_its_study_has_ended(tmp_path: Path) -> None:
    study = a_study()
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        accept(database, [study])
        database.jobs.cancel(study.generation_id)
    kept = (tmp_path / "app.sqlite3").read_bytes()
    assert study.images[0].png[200:264] not in kept


def test_a_killed_process_leaves_no_image_of_an_ended_study_behind_the_next_start(
    tmp_path: Path,
) -> None:
    study, path = a_study(), tmp_path / "app.sqlite3"
    (tmp_path / "left").mkdir()
    with AppDatabase.open(path) as database:
        accept(database, [study])
        database.jobs.claim(1)
        database.jobs.finish(a_generation(study.generation_id))
        for one in (path, tmp_path / "app.sqlite3-wal"):  # as a kill leaves them
            shutil.copy(one, tmp_path / "left")
    assert study.images[0].png[200:264] in everything_in(tmp_path / "left")
    with AppDatabase.open(tmp_path / "left" / "app.sqlite3"):
        assert study.images[0].png[200:264] not in everything_in(tmp_path / "left")


TEXTS = {"indication": "Fever of Anna Quell", "question": "Is Quell's heart large?"}
SEARCH = {"k": 3, "exclude_patient_ids": ["Quell 17"], "exclude_study_ids": ["drawn:Quell 1"]}


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_the_request_of_an_ended_study_is_nowhere(tmp_path: Path, end: str) -> None:
    whole = replace(a_study(), request={**SEARCH, "task": "ask", **TEXTS})
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        accept(database, [whole])
        (claimed,) = database.jobs.claim(1)
        assert claimed.request == whole.request
        if end == "done":
            made = replace(a_generation(whole.generation_id), **TEXTS)
            database.jobs.finish(made)
            assert database.generations.get(whole.generation_id).question == TEXTS["question"]
            database.generations.delete(whole.generation_id)
        elif end == "failed":
            database.jobs.fail(whole.generation_id, "no image")
        else:
            database.jobs.cancel(whole.generation_id)
        ended = database.jobs.study(whole.generation_id)
        assert (ended.status, ended.request) == (end, {"task": "ask"})
        left = everything_in(tmp_path)  # the write-ahead log included
        assert b"Quell" not in left and b"\x89PNG" not in left
    back_up(tmp_path / "app.sqlite3", tmp_path / "backup.sqlite3")
    assert b"Quell" not in everything_in(tmp_path)


@pytest.mark.parametrize(
    ("schema", "stored"), [("0007", {**SEARCH, **TEXTS}), ("0008", SEARCH)], ids=["7", "8"]
)
def test_requests_that_ended_in_an_earlier_version_are_removed(
    tmp_path: Path, schema: str, stored: dict[str, object]
) -> None:
    path = tmp_path / "app.sqlite3"
    request = {**SEARCH, "task": "report", **TEXTS}
    ended, queued = (replace(a_study(), request=request) for _ in range(2))
    with AppDatabase.open(path) as database:
        accept(database, [ended, queued])
        database.jobs.cancel(ended.generation_id)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE job_studies SET options = ? WHERE status = 'cancelled'",
            (json.dumps({"task": "report", **stored}),),
        )
        for column in ("warnings", "technical_notes", "regions", "prior"):  # of 0010 to 0012
            connection.execute(f"ALTER TABLE generations DROP COLUMN {column}")
        connection.execute("ALTER TABLE job_images DROP COLUMN of_prior")
        connection.execute("ALTER TABLE job_studies DROP COLUMN process")  # of version 0013
        connection.execute("DROP TABLE request_counts")
        connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        connection.commit()
    with AppDatabase.open(path) as database:
        assert database.jobs.study(ended.generation_id).request == {"task": "report"}
        assert database.jobs.study(queued.generation_id).request == queued.request


def test_no_study_of_a_revoked_key_is_accepted_or_left_over(location: Location) -> None:
    with AppDatabase.open(location) as database:
        database.keys.add("ward", ["generate"], at=NOW)
        running, waiting = a_study("ward"), a_study("ward")
        accept(database, [running])
        database.jobs.claim(1)
        accept(database, [waiting])
        database.keys.revoke("ward", at=NOW)
        for study in (waiting, running):
            ended = database.jobs.study(study.generation_id)
            assert (ended.status, ended.detail) == ("cancelled", "API key 'ward' revoked")
        assert not database.jobs.finish(a_generation(running.generation_id))
        with pytest.raises(ForbiddenError, match="API key 'ward' revoked"):
            accept(database, [a_study("ward")])
        late = a_study("ward")
        database.jobs.receive(late)
        with pytest.raises(ForbiddenError, match="API key 'ward' revoked"):
            database.jobs.accept(late.job_id, 1)
        database.jobs.discard(late.job_id)
        assert database.jobs.unfinished() == 0


def test_a_start_ends_what_a_key_revoked_by_an_older_version_left(location: Location) -> None:
    with AppDatabase.open(location) as database:
        database.keys.add("ward", ["generate"], at=NOW)
        accept(database, [a_study("ward"), a_study("other")])
        run_sql(location, "UPDATE api_keys SET revoked_at = created_at")
        database.jobs.release(restarted=True)
        assert database.jobs.unfinished() == 1
        assert [study.created_by for study in database.jobs.claim(5)] == ["other"]


def test_work_that_starts_again_keeps_what_still_arrives(tmp_path: Path) -> None:
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        with AppDatabase.open(tmp_path / "app.sqlite3") as earlier:  # which ended
            earlier.jobs.receive(a_study())
        arriving = a_study()
        database.jobs.receive(arriving)
        database.jobs.release(restarted=True)
        assert database.jobs.unfinished() == 1
        database.jobs.accept(arriving.job_id, 1)
        assert [one.generation_id for one in database.jobs.claim(2)] == [arriving.generation_id]
