"""Keys and what they requested: another key sees nothing of it, unless it may read all."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from db.app.database import AppDatabase
from db.app.feedback import Feedback
from db.errors import ForbiddenError
from retriever.results import Retrieval
from tests.support.service.clients import HTTP, LATER, STREAM, a_message, images, settled
from tests.support.service.records import a_generation
from tests.support.service.services import NOW, FakeRetriever, a_case, a_png, an_app, database_at
from tests.support.service.writers import Gate

pytestmark = pytest.mark.usefixtures("each_engine")

Client = TestClient[Any]
UNKNOWN = "00000000-0000-0000-0000-000000000000"
FEEDBACK = {"kind": "accepted"}


def headers(tmp_path: Path, name: str, *scopes: str) -> dict[str, str]:
    """Those of a new key."""
    with AppDatabase.open(database_at(tmp_path)) as database:
        return {"authorization": f"Bearer {database.keys.add(name, scopes, at=NOW)}"}


@pytest.fixture
def app(tmp_path: Path) -> Litestar:
    return an_app(tmp_path, require_keys=True)


@pytest.fixture
def client(app: Litestar) -> Iterator[Client]:
    with TestClient(app, base_url=HTTP) as client:
        yield client


@pytest.fixture
def ward(tmp_path: Path) -> dict[str, str]:
    return headers(tmp_path, "ward", "read", "generate")


@pytest.fixture
def other(tmp_path: Path) -> dict[str, str]:
    return headers(tmp_path, "other", "read", "generate")


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, str]:
    return headers(tmp_path, "reader", "read-all", "generate")


def test_another_key_learns_nothing_of_a_generation_by_any_route(
    app: Litestar, client: Client, ward: dict[str, str], other: dict[str, str], reader: Any
) -> None:
    made = client.post("/reports", files=images(1), headers=ward).json()["id"]
    client.post(f"/generations/{made}/feedback", json=FEEDBACK, headers=ward)
    asked = 0
    for route in app.routes:
        if "{generation_id:uuid}" not in route.path:
            continue
        for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
            is_map = route.path.endswith(("/map", "/dicom-sc"))
            body: dict[str, Any] = {"params": {"observation": "Edema"}} if is_map else {}
            if method == "POST":
                field = "image" if is_map or "dicom" in route.path else "images"
                body = {"files": [(field, file) for _, file in images(1)]}
                body = {"json": FEEDBACK} if "feedback" in route.path else body
                if route.path.endswith("/fhir"):
                    body = {"files": {"subject": (None, "Patient/1")}}
                elif is_map:
                    body["data"] = {"observation": "Edema"}
            answers = [
                client.request(
                    method,
                    re.sub(r"\{\w+:uuid\}", one, route.path),
                    headers=other,
                    **body,
                )
                for one in (made, UNKNOWN)
            ]
            assert [answer.status_code for answer in answers] == [404, 404], (method, route.path)
            mine, none = (answer.json()["detail"] for answer in answers)
            assert mine.replace(made, UNKNOWN) == none
            asked += 1
    assert asked >= 12
    for path in ("", "/feedback", "/fhir", "/pdf", "/dicom-sr"):
        for owner in (ward, reader):
            assert client.get(f"/generations/{made}{path}", headers=owner).status_code == 200


def test_a_list_holds_ones_own_generations_alone(
    client: Client, ward: dict[str, str], other: dict[str, str], reader: dict[str, str]
) -> None:
    for owner, seeds in ((ward, (1, 2)), (other, (3,))):
        for seed in seeds:
            client.post("/reports", files=images(seed), headers=owner)

    def listed(owner: dict[str, str], **query: str) -> Any:
        return client.get("/generations", headers=owner, params=query).json()

    assert listed(ward)["total"] == 2 and listed(other)["total"] == 1
    assert listed(reader)["total"] == 3 and listed(reader, created_by="ward")["total"] == 2
    assert listed(other, created_by="ward") == {"generations": [], "total": 0, "next_before": None}
    newest_of_ward = listed(ward)["generations"][0]["id"]
    query = {"before": newest_of_ward}
    assert client.get("/generations", headers=other, params=query).status_code == 404
    assert len(listed(ward, **query)["generations"]) == 1


def test_jobs_and_batches_belong_to_their_key(tmp_path: Path) -> None:
    gate = Gate()
    with TestClient(an_app(tmp_path, require_keys=True, backend=gate), base_url=HTTP) as client:
        ward = headers(tmp_path, "ward", "read", "generate")
        other = headers(tmp_path, "other", "read", "generate")
        reader = headers(tmp_path, "reader", "read-all")
        batch = client.post("/batches", files=images(1, 2), headers=ward).headers["location"]
        later = client.post("/reports", files=images(3), headers={**ward, **LATER})
        for address in (batch, later.headers["location"]):
            for method in ("GET", "DELETE"):
                assert client.request(method, address, headers=other).status_code == 404
            assert client.get(address, headers=reader).status_code in (200, 202)
        gate.open.set()
        client.headers.update(ward)
        assert settled(client, batch)["done"] == 2
        assert settled(client, later.headers["location"])["status"] == "done"


def test_what_a_revoked_key_has_waiting_ends_and_is_never_stored(tmp_path: Path) -> None:
    gate = Gate()
    app = an_app(tmp_path, require_keys=True, backend=gate, max_batch=1)
    with TestClient(app, base_url=HTTP) as client:
        ward = headers(tmp_path, "ward", "read", "generate")
        other = headers(tmp_path, "other", "read", "generate")
        admin = headers(tmp_path, "admin", "admin")
        batch = client.post("/batches", files=images(1, 2), headers=ward).headers["location"]
        assert gate.reached.wait(60)
        kept = client.post("/batches", files=images(3), headers=other).headers["location"]
        with AppDatabase.open(database_at(tmp_path)) as database:
            database.keys.revoke("ward", at=NOW)
            *_, entry = database.audit
        gate.open.set()
        client.headers.update(admin)
        assert settled(client, kept)["done"] == 1
        studies = settled(client, batch)["studies"]
        assert {(one["status"], one["detail"]) for one in studies} == {
            ("cancelled", "API key 'ward' revoked")
        }
        assert entry.details["cancelled"] == [one["generation"] for one in studies]
        assert client.get("/generations").json()["total"] == 1


REPORT = {"files": images(1)}
ASKED = [
    ("/reports", REPORT, 403),
    ("/classifications", REPORT, 403),
    ("/searches", REPORT, 403),
    ("/reports", {**REPORT, "headers": STREAM}, 200),
    ("/v1/chat/completions", {"json": {"messages": [a_message(a_png(1))]}}, 403),
]


@pytest.mark.parametrize(("path", "sent", "status"), ASKED)
def test_a_key_that_is_revoked_during_a_request_gets_nothing_and_leaves_nothing(
    tmp_path: Path, path: str, sent: dict[str, Any], status: int
) -> None:
    revoked: list[str] = []

    class Revoking(FakeRetriever):
        def search(self, *arguments: Any, **named: Any) -> Retrieval:
            with AppDatabase.open(database_at(tmp_path)) as database:
                database.keys.revoke("ward", at=NOW)
            revoked.append("ward")
            return super().search(*arguments, **named)

    app = an_app(tmp_path, Revoking([a_case(1)]), require_keys=True)
    with TestClient(app, base_url=HTTP) as client:
        ward = headers(tmp_path, "ward", "generate")
        admin = headers(tmp_path, "admin", "admin")
        asked = {**sent, "headers": {**ward, **sent.get("headers", {})}}
        answer = client.post(path, **asked)
        assert revoked and answer.status_code == status
        assert "API key 'ward' revoked" in answer.text and "drawn:s1" not in answer.text
        assert client.get("/generations", headers=admin).json()["total"] == 0
    with AppDatabase.open(database_at(tmp_path)) as database:
        assert not {entry.action for entry in database.audit} & {"report", "classify", "search"}


def test_feedback_of_a_revoked_key_is_not_stored(tmp_path: Path) -> None:
    with AppDatabase.open(database_at(tmp_path)) as database:
        database.keys.add("ward", ["generate"], at=NOW)
        made = replace(a_generation(), created_by="ward")
        database.generations.add(made)
        database.keys.revoke("ward", at=NOW)
        given = Feedback(
            id=uuid4(), generation_id=made.id, created_at=NOW, created_by="ward", kind="accepted"
        )
        with pytest.raises(ForbiddenError, match="'ward' revoked"):
            database.feedback.add(given)
        assert database.feedback.of(made.id) == []


def test_without_keys_everything_is_seen(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path, require_keys=True), base_url=HTTP) as client:
        ward = headers(tmp_path, "ward", "generate")
        made = client.post("/reports", files=images(1), headers=ward).headers["location"]
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        assert client.get(made).json()["created_by"] == "ward"
        assert client.get("/generations").json()["total"] == 1
        assert client.delete(made).status_code == 204
