"""Reports that come later: asked for with Prefer, or many in a batch, through stops and kills."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar.testing import TestClient

from api.pipeline.backends import ExtractiveBackend
from api.pipeline.decoding.messages import DecodingKind
from api.pipeline.decoding.processes import Decoded
from api.uploads import Upload
from generator.grounding.report import GroundedReport
from retriever.results import Retrieval
from tests.support.databases import counted
from tests.support.service.clients import HTTP, LATER, images, settled
from tests.support.service.services import (
    DECODING,
    a_digest,
    a_png,
    an_app,
    database_at,
    serving,
    write_report,
)
from tests.support.service.writers import Gate

pytestmark = pytest.mark.usefixtures("each_engine")

Client = TestClient[Any]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def client(tmp_path: Path, gate: Gate) -> Iterator[Client]:
    with TestClient(an_app(tmp_path, backend=gate), base_url=HTTP) as client:
        yield client
        gate.open.set()


def stored_images(tmp_path: Path) -> int:
    return counted(database_at(tmp_path), "job_images")


def test_a_report_can_be_asked_for_now_and_read_later(
    client: Client, gate: Gate, tmp_path: Path
) -> None:
    answer = client.post("/reports", files=images(1), data={"k": "2"}, headers=LATER)
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    address = answer.headers["location"]
    assert address == f"/generations/{answer.json()['id']}"
    pending = client.get(address)
    assert pending.status_code == 202 and pending.headers["retry-after"] == "1"
    assert pending.json()["status"] in ("queued", "running")
    assert stored_images(tmp_path) == 1
    gate.open.set()
    made = settled(client, address)
    assert made["status"] == "done" and made["options"]["k"] == 2 and len(made["hits"]) == 2
    assert made["images_sha256"] == [a_digest(a_png(1, size=(64, 64)))]
    assert client.get("/generations").json()["total"] == 1
    assert stored_images(tmp_path) == 0


def test_a_deferred_report_equals_an_immediate_one(client: Client, gate: Gate) -> None:
    gate.open.set()
    now = client.post("/reports", files=images(1)).json()
    address = client.post("/reports", files=images(1), headers=LATER).headers["location"]
    later = settled(client, address)
    for part in ("statements", "hits", "notes", "options", "origin", "label_scores", "created_by"):
        assert later[part] == now[part]


def test_cancelling_a_pending_report_deletes_its_image(
    client: Client, gate: Gate, tmp_path: Path
) -> None:
    addresses = [
        client.post("/reports", files=images(seed), headers=LATER).headers["location"]
        for seed in (1, 2)
    ]
    assert gate.reached.wait(60)
    for address in addresses:  # one is being written, one waits or is in its batch
        assert client.delete(address).status_code == 204
        cancelled = client.get(address)
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert client.delete(address).status_code == 404
    gate.open.set()
    third = client.post("/reports", files=images(3), headers=LATER).headers["location"]
    settled(client, third)
    assert client.get("/generations").json()["total"] == 1
    assert stored_images(tmp_path) == 0
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir() if "sqlite3" in p.name)
    assert b"Doe" not in kept


def test_a_batch_groups_views_and_answers_in_the_order_sent(client: Client, gate: Gate) -> None:
    answer = client.post(
        "/batches",
        files=images(1, 2, 3, 4),
        data={"study": ["b", "a", "b", "c"], "k": "1"},
    )
    assert answer.status_code == 202, answer.text
    address = answer.headers["location"]
    assert answer.json()["finished"] is False and len(answer.json()["studies"]) == 3
    gate.open.set()
    batch = settled(client, address)
    assert (batch["done"], batch["created_by"]) == (3, "local")
    digests = [
        client.get(f"/generations/{study['generation']}").json()["images_sha256"]
        for study in batch["studies"]
    ]
    one = [a_digest(a_png(seed, size=(64, 64))) for seed in range(5)]
    assert digests == [[one[1], one[3]], [one[2]], [one[4]]]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (["dyspnea"], ["dyspnea", "dyspnea"]),
        (["dyspnea", "fever"], ["dyspnea", "fever"]),
        (["", "fever"], [None, "fever"]),
        ([], [None, None]),
    ],
)
def test_a_batch_keeps_its_indications(
    client: Client, gate: Gate, given: list[str], stored: list[str | None]
) -> None:
    gate.open.set()
    data = {"study": ["b", "a", "b"], "indication": given}
    answer = client.post("/batches", files=images(1, 2, 3), data=data)
    batch = settled(client, answer.headers["location"])
    made = [client.get(f"/generations/{study['generation']}").json() for study in batch["studies"]]
    assert [one["indication"] for one in made] == stored


def test_indications_that_fit_no_study_are_refused(client: Client, tmp_path: Path) -> None:
    data = {"indication": ["fever"] * 2}
    answer = client.post("/batches", files=images(1, 2, 3), data=data)
    assert answer.status_code == 422
    assert "3 studies and 2 fields 'indication'" in answer.json()["detail"]
    assert stored_images(tmp_path) == 0


def test_every_image_is_a_study_by_default(client: Client, gate: Gate) -> None:
    gate.open.set()
    answer = client.post("/batches", files=images(1, 2, 3))
    assert settled(client, answer.headers["location"])["done"] == 3


def test_a_batch_with_an_unreadable_image_is_refused(client: Client, tmp_path: Path) -> None:
    bad = [*images(1), ("images", ("two.png", b"text"))]
    answer = client.post("/batches", files=bad)
    assert answer.status_code == 422 and "two.png" in answer.json()["detail"]
    for data, status in (({"study": ["a"]}, 400), ({"study": ["a"] * 2, "label": "Gout"}, 422)):
        assert client.post("/batches", files=images(1, 2), data=data).status_code == status
    assert (
        client.post("/batches", files=images(*range(9)), data={"study": ["a"] * 9}).status_code
        == 413
    )
    assert stored_images(tmp_path) == 0
    assert client.get(f"/batches/{UUID(int=1)}").status_code == 404


def test_a_batch_can_be_cancelled(client: Client, gate: Gate, tmp_path: Path) -> None:
    address = client.post("/batches", files=images(*range(12))).headers["location"]
    assert gate.reached.wait(60)
    assert client.delete(address).status_code == 204
    gate.open.set()
    batch = settled(client, address)
    assert {study["status"] for study in batch["studies"]} == {"cancelled"}
    assert stored_images(tmp_path) == 0


def test_a_failed_study_says_why_and_the_others_continue(tmp_path: Path) -> None:
    def moody(retrieval: Retrieval) -> GroundedReport:
        if retrieval.images_sha256 == (a_digest(a_png(2, size=(64, 64))),):
            raise RuntimeError("inner secret")
        return write_report(retrieval)

    with TestClient(
        an_app(tmp_path, backend=ExtractiveBackend(moody), max_batch=1), base_url=HTTP
    ) as client:
        address = client.post("/batches", files=images(1, 2, 3)).headers["location"]
        batch = settled(client, address)
        assert [s["status"] for s in batch["studies"]] == ["done", "failed", "done"]
        failed = client.get(f"/generations/{batch['studies'][1]['generation']}").json()
    assert "the server failed" in failed["detail"] and "secret" not in failed["detail"]
    assert stored_images(tmp_path) == 0


def test_too_many_waiting_studies_are_refused_with_retry_after(tmp_path: Path, gate: Gate) -> None:
    app = an_app(tmp_path, backend=gate, max_waiting_studies=3)
    with TestClient(app, base_url=HTTP) as client:
        assert client.post("/batches", files=images(1, 2)).status_code == 202
        answer = client.post("/batches", files=images(3, 4))
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert client.post("/reports", files=images(3), headers=LATER).status_code == 202
        assert client.post("/reports", files=images(4), headers=LATER).status_code == 503
        gate.open.set()


def test_a_busy_server_answers_503_at_once_and_recovers(tmp_path: Path, gate: Gate) -> None:
    with serving(an_app(tmp_path, backend=gate, capacity=2)) as address:
        answers: list[int] = []

        def ask() -> None:
            answers.append(
                httpx.post(f"{address}/reports", files=images(1), timeout=60).status_code
            )

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert gate.reached.wait(60)
        while httpx.get(f"{address}/health/ready").status_code != 503:
            time.sleep(0.02)
        for path in ("/reports", "/searches"):
            answer = httpx.post(f"{address}{path}", files=images(2))
            assert answer.status_code == 503 and 1 <= int(answer.headers["retry-after"]) <= 60
        assert httpx.get(f"{address}/health/live").status_code == 200
        gate.open.set()
        for thread in threads:
            thread.join()
        assert answers == [201, 201]
        assert httpx.get(f"{address}/health/ready").status_code == 200


def test_a_client_that_leaves_takes_its_work_along(tmp_path: Path, gate: Gate) -> None:
    with serving(an_app(tmp_path, backend=gate, capacity=1)) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/reports", files=images(1), timeout=httpx.Timeout(60, read=0.5))
        deadline = time.monotonic() + 60
        while httpx.get(f"{address}/health/ready").status_code == 503:
            assert time.monotonic() < deadline, "the place was not given back"
            time.sleep(0.02)
        gate.open.set()
        assert httpx.post(f"{address}/reports", files=images(2), timeout=60).status_code == 201
        assert httpx.get(f"{address}/generations").json()["total"] == 1


class SlowFirst:
    """Holds the first file that is decoded to be kept."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        if kind == "png" and not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(60)
        return DECODING.run(kind, upload, cancelled)


def test_a_batch_that_takes_long_to_decode_holds_no_other(tmp_path: Path) -> None:
    slow = SlowFirst()
    app = an_app(tmp_path, decoding=slow)
    with (
        serving(app) as address,
        httpx.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(client.post, "/batches", files=images(1, 2))
        assert slow.reached.wait(60)
        assert client.post("/batches", files=images(3)).status_code == 202
        assert client.post("/reports", files=images(4), headers=LATER).status_code == 202
        assert not first.done()
        slow.go.set()
        assert first.result().status_code == 202
