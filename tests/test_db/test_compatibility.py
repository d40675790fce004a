"""A database of an earlier version (schema 5, before fields were renamed) opens with all it holds.

``stores.json`` is what that version read back from it, under the names of then.
"""

import json
import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from litestar.testing import TestClient

from db.app.database import AppDatabase
from db.app.generation import Generation
from db.app.generations import GenerationFilter
from generator.request import GenerationRequest
from tests.conftest import ROOT
from tests.support.service.clients import settled
from tests.support.service.services import FakeRetriever, a_case, an_app

FIXTURE = ROOT / "tests" / "data" / "database_schema5"
READ = json.loads((FIXTURE / "stores.json").read_text(encoding="utf-8"))

OBSERVATION_THEN = {
    "language_model": "model",
    "knn": "vote",
    "knn_low": "vote_low",
    "knn_high": "vote_high",
    "label_head": "film",
}
CHECK_THEN = {
    "image_support": "film_support",
    "citations_added": "found_afterwards",
    "added_by_rule": "added",
    "removed_citations": "removed",
}


NEW_OF_OBSERVATIONS = {"low", "high", "state", "cases_against"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shutil.copyfile(FIXTURE / "app.sqlite3", tmp_path / "app.sqlite3")
    return tmp_path / "app.sqlite3"


def as_read_then(generation: Generation) -> dict[str, Any]:
    """The generation under the names of schema 5."""
    now = json.loads(msgspec.json.encode(generation))
    old = {name: now[name] for name in READ["generations"][now["id"]].keys() & now.keys()}
    old["films_sha256"] = now["images_sha256"]
    old["index_fingerprint"] = now["index"]["fingerprint"]
    old["index_source"] = now["index"]["source"]
    old["verdict"] = now["ood"]
    old["left_out"] = now["excluded_cases"]
    old["observations"] = [
        {
            OBSERVATION_THEN.get(name, name): value
            for name, value in one.items()
            if name not in NEW_OF_OBSERVATIONS
        }
        for one in now["observations"] or ()
    ]
    old["hits"] = [
        {name: hit[name] for name in ("number", "source", "study_id", "score")}
        for hit in now["hits"]
    ]
    cited = ("number", "source", "study_id", "index_fingerprint", "quote", "score")
    checked = ("case_support", "contradiction")
    old["statements"] = [
        {
            **{name: one[name] for name in ("section", "text", "labels")},
            "citations": [{name: c[name] for name in cited} for c in one["citations"]],
            "check": {
                **{name: one[name] for name in checked},
                **{then: one[name] for name, then in CHECK_THEN.items()},
            },
        }
        for one in now["statements"]
    ]
    return old


def same_times(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "created_at": datetime.fromisoformat(values["created_at"])}


def test_every_generation_reads_back_under_the_new_names(path: Path) -> None:
    with AppDatabase.open(path) as database:
        for generation_id, then in READ["generations"].items():
            found = as_read_then(database.generations.get(UUID(generation_id)))
            assert same_times(found) == same_times(then)
        page = database.generations.page(limit=10).generations
        assert [str(one.id) for one in page] == READ["page"]
        for wanted, name in (
            (GenerationFilter(cites=("drawn", "s/2")), "page cites drawn s/2"),
            (GenerationFilter(image_sha256=page[-1].images_sha256[0]), "page of film"),
        ):
            found_ids = database.generations.page(limit=10, wanted=wanted).generations
            assert [str(one.id) for one in found_ids] == READ[name]


def test_feedback_keys_and_audit_log_survive_the_migration(path: Path) -> None:
    with AppDatabase.open(path) as database:
        report = UUID(READ["feedback"][0]["generation_id"])
        found = [msgspec.to_builtins(one) for one in database.feedback.of(report)]
        assert [same_times(one) for one in found] == [same_times(one) for one in READ["feedback"]]
        assert [key.name for key in database.keys.list_all()] == ["ward", "old"]
        ward = database.keys.find(READ["keys_given"]["ward"])
        assert ward is not None and sorted(ward.scopes) == ["generate", "read"]
        assert database.keys.find(READ["keys_given"]["old (revoked)"]) is None
        assert [entry.hash for entry in database.audit] == [one["hash"] for one in READ["audit"]]
        assert asdict(database.audit.verify()) == READ["audit head"]


def test_a_queued_study_keeps_its_request_and_is_written(path: Path) -> None:
    (queued,) = READ["jobs"]["queued"]
    with AppDatabase.open(path) as database:
        (study,) = database.jobs.job(UUID(queued["job_id"]))
        assert (study.status, study.request_id) == ("queued", queued["request_id"])
        assert GenerationRequest.from_json(study.request).options.k == queued["order"]["k"]
        assert database.jobs.unfinished() == READ["unfinished"]
    app = an_app(path.parent, FakeRetriever([a_case(number) for number in range(1, 8)]))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        batch = settled(client, f"/batches/{queued['job_id']}")
        assert [one["status"] for one in batch["studies"]] == ["done"]
        made = client.get(f"/generations/{queued['generation_id']}").json()
    assert len(made["images_sha256"]) == 2 and len(made["hits"]) == queued["order"]["k"]
    assert "lossy" in made["notes"]
