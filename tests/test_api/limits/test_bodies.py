"""Bodies that arrive at the same time have bounded memory and disk together."""

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from api.pipeline.byte_budget import ByteBudget
from api.uploads import decode_uploads
from db.errors import TooLargeError, UserError
from tests.support.service.clients import a_message, images
from tests.support.service.services import a_png, an_app, serving
from tests.support.service.writers import Gate

FORM = "multipart/form-data; boundary=x"
DICOM = 'multipart/related; type="application/dicom"; boundary=x'
UNKNOWN = "00000000-0000-0000-0000-000000000000"
ROUTES = {
    "/reports": FORM,
    "/searches": FORM,
    "/images": FORM,
    "/batches": FORM,
    f"/generations/{UNKNOWN}/dicom-sr": FORM,
    "/studies": DICOM,
    "/v1/chat/completions": "application/json",
    "/mcp": "application/json",
    f"/generations/{UNKNOWN}/feedback": "application/json",
    "/pacs/searches": "application/json",
}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def a_chat(seed: int = 1) -> dict[str, Any]:
    return {"model": "grounded-cxr", "messages": [a_message(a_png(seed))]}


class Asked(threading.Thread):
    """A request in a thread of its own, and the status of its answer."""

    def __init__(self, address: str, path: str, **sent: Any) -> None:
        super().__init__()
        self.status: int | None = None
        self._ask = lambda: httpx.post(f"{address}{path}", timeout=60, **sent)
        self.start()

    def run(self) -> None:
        self.status = self._ask().status_code


def test_a_body_that_finds_no_memory_waits_for_that_of_another(tmp_path: Path, gate: Gate) -> None:
    app = an_app(tmp_path, backend=gate, max_body_memory_bytes=1_000)
    with serving(app) as address:
        first = Asked(address, "/v1/chat/completions", json=a_chat(1))
        assert gate.reached.wait(60)
        second = Asked(address, "/v1/chat/completions", json=a_chat(2))
        second.join(0.5)
        assert second.is_alive()
        gate.open.set()
        first.join(), second.join()
        assert [first.status, second.status] == [200, 200]


@pytest.mark.parametrize("path", ROUTES)
def test_every_body_that_finds_no_memory_is_a_503(tmp_path: Path, gate: Gate, path: str) -> None:
    app = an_app(
        tmp_path, backend=gate, mcp=True, max_body_memory_bytes=1_000, body_wait_seconds=0.1
    )
    with serving(app) as address:
        first = Asked(address, "/v1/chat/completions", json=a_chat())
        assert gate.reached.wait(60)
        part = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
        headers = {"content-type": ROUTES[path]}
        for more in ({}, {"connection": "close"}):
            answer = httpx.post(
                f"{address}{path}", content=part + b" " * 40_000, headers=headers | more
            )
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
        gate.open.set()
        first.join()
        assert first.status == 200


def test_files_that_find_no_room_on_the_disk_are_a_503(tmp_path: Path, gate: Gate) -> None:
    app = an_app(tmp_path, backend=gate, max_spooled_bytes=1_000, body_wait_seconds=0.1)
    with serving(app) as address:
        first = Asked(address, "/reports", files=images(1))
        assert gate.reached.wait(60)
        answer = httpx.post(f"{address}/reports", files=images(2))
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert httpx.post(f"{address}/searches", files={"text": (None, "clear")}).is_success
        gate.open.set()
        first.join()
        assert first.status == 201
        assert httpx.post(f"{address}/reports", files=images(2)).status_code == 201


def test_files_on_the_disk_take_no_memory(tmp_path: Path, gate: Gate) -> None:
    app = an_app(tmp_path, backend=gate, max_body_memory_bytes=1_000, body_wait_seconds=0.1)
    with serving(app) as address:
        first = Asked(address, "/reports", files=images(1))
        assert gate.reached.wait(60)
        second = Asked(address, "/reports", files=images(2))
        gate.open.set()
        first.join(), second.join()
        assert [first.status, second.status] == [201, 201]


def test_room_is_given_back_after_errors_and_when_clients_leave(tmp_path: Path) -> None:
    app = an_app(
        tmp_path, max_body_memory_bytes=1_000, max_spooled_bytes=1_000, body_wait_seconds=1
    )
    with serving(app) as address:
        url = urlsplit(address)
        assert url.hostname and url.port
        for path, kind in ROUTES.items():
            answer = httpx.post(
                f"{address}{path}", content=b"x" * 20_000, headers={"content-type": kind}
            )
            assert answer.status_code in (400, 404, 405, 413, 422), (path, answer.text)
            with socket.create_connection((url.hostname, url.port)) as leaving:
                head = f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: {kind}\r\n"
                leaving.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode() + b" " * 20_000)
        assert httpx.post(f"{address}/reports", files=images(1)).status_code == 201
        assert httpx.post(f"{address}/v1/chat/completions", json=a_chat()).is_success


def test_one_share_goes_beyond_the_budget_until_all_fits_again() -> None:
    async def use() -> None:
        budget = ByteBudget(100)
        with budget.share() as large:
            await large.take(1_000)  # more than there ever is
            with budget.share() as other:
                with anyio.move_on_after(0.1) as waiting:
                    await other.take(50)
                assert waiting.cancelled_caught and budget.taken == 1_000
                await other.take(0)
                large.give(950)
                await other.take(50)
                assert budget.taken == 100
        assert budget.taken == 0

    anyio.run(use)


def test_shares_that_grow_together_do_not_wait_for_each_other() -> None:
    most = 0

    async def grow(budget: ByteBudget) -> None:
        nonlocal most
        with budget.share() as share:
            for _ in range(10):
                await share.take(10)
                most = max(most, budget.taken)
                await anyio.sleep(0)

    async def use() -> None:
        budget = ByteBudget(150)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(grow, budget)
        assert budget.taken == 0

    anyio.run(use)
    assert 150 <= most <= 250


def test_one_owner_leaves_room_for_others() -> None:
    async def use() -> None:
        budget = ByteBudget(100, shared=True)
        with budget.share("ward") as first, budget.share("ward") as second:
            await first.take(75)
            await second.take(1)  # beyond
            with budget.share("ward") as third, anyio.move_on_after(0.1) as waiting:
                await third.take(1)
            assert waiting.cancelled_caught
            with budget.share("clinic") as other:
                await other.take(24)

    anyio.run(use)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 2**20 - 1, 3 * 2**18, 3 * 2**18 + 1, 2_000_000])
def test_base64_of_any_length_is_decoded(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    first, second = decode_uploads([base64.b64encode(data[:size]).decode(), "YQ=="], limit=2)
    assert first.file.read() == data[:size] and second.file.read() == b"a"


@pytest.mark.parametrize("text", ["?", "YQ", "Y" * (2**20 - 1) + "=" + "YQ==", "YQ==YQ==", "é"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="image 2 is not base64"):
        decode_uploads(["YQ==", text], limit=2)
    with pytest.raises(TooLargeError, match="2 images were sent, one study may have 1"):
        decode_uploads(["YQ==", text], limit=1)
