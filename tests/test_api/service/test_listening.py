"""Connections: answered at once, kept for the next request, refused before they bring an image."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from litestar.testing import TestClient

from api.connection_limit import ConnectionLimit, OnceAMinute
from api.middleware.slow_clients import HeadTimeoutProtocol
from api.settings import Settings
from db.app.database import AppDatabase
from tests.support.service.clients import images
from tests.support.service.services import NOW, an_app, serving
from tests.support.service.writers import Gate

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n"
    "Content-Type: multipart/form-data; boundary=x\r\n{more}\r\n"
)


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def head(address: str, *, length: int, more: str = "", path: str = "/reports") -> bytes:
    host = address.removeprefix("http://")
    return HEAD.format(path=path, host=host, length=length, more=more).encode()


def answered(connection: socket.socket) -> bytes:
    """One answer, or what came before the end of the connection."""
    got = b""
    while not (ended := b"\r\n\r\n" in got):
        if not (more := connection.recv(65536)):
            return got
        got += more
    top, _, body = got.partition(b"\r\n\r\n")
    (length,) = (int(line[15:]) for line in top.split(b"\r\n") if line.startswith(b"content-len"))
    while ended and len(body) < length:
        body += connection.recv(65536)
    return top + body


@contextmanager
def a_full_house(tmp_path: Path, **config: Any) -> Iterator[str]:
    """The address of a server whose one place is taken; ``config`` as of ``serving``."""
    gate = Gate()
    with serving(an_app(tmp_path, backend=gate, capacity=1), **config) as address:
        inside = threading.Thread(
            target=lambda: httpx.post(f"{address}/reports", files=images(1), timeout=60)
        )
        inside.start()
        try:
            assert gate.reached.wait(60)
            yield address
        finally:
            gate.open.set()
            inside.join()


def test_an_answer_on_a_kept_connection_does_not_wait_for_an_acknowledgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head and body go out apart; the second waits for the client to acknowledge the first, mostly
    40 ms (RFC 896 and RFC 1122, 4.2.3.2), unless the socket has TCP_NODELAY."""
    at_once = []
    connected = HeadTimeoutProtocol.connection_made

    def connection_made(self: HeadTimeoutProtocol, transport: Any) -> None:
        connected(self, transport)
        accepted = transport.get_extra_info("socket")
        at_once.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(HeadTimeoutProtocol, "connection_made", connection_made)
    with serving(an_app(tmp_path)) as address:
        assert httpx.get(f"{address}/cases/drawn:s1").status_code == 200
    assert at_once and all(at_once)


def test_the_server_keeps_a_connection_longer_than_clients_do(tmp_path: Path) -> None:
    kept = httpx.Limits().keepalive_expiry
    assert kept is not None and Settings().keep_alive_seconds > 2 * kept
    with (
        serving(an_app(tmp_path), keep_alive_seconds=5) as address,
        connect(address) as connection,
    ):
        for _ in range(2):
            connection.sendall(f"GET /health/live HTTP/1.1\r\nHost: {address[7:]}\r\n\r\n".encode())
            assert answered(connection).startswith(b"HTTP/1.1 200")
            time.sleep(0.3)
        assert connection.recv(10) == b""


@pytest.mark.parametrize("path", ["/reports", "/searches", "/batches", "/images", "/studies"])
def test_a_busy_server_refuses_before_an_image_is_sent(tmp_path: Path, path: str) -> None:
    with a_full_house(tmp_path) as address, connect(address) as connection:
        connection.sendall(head(address, length=5_000_000, path=path))
        answer = answered(connection)
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: " in answer


def is_refused(connection: socket.socket, address: str, *, sends: int) -> None:
    """The client, which sends so much of its body of 2 MB all the same."""
    connection.sendall(head(address, length=2_000_000))
    assert answered(connection).startswith(b"HTTP/1.1 503")
    connection.sendall(b"x" * sends)


def is_given_up(connection: socket.socket) -> None:
    assert connection.recv(10) == b""


def test_a_refused_client_may_finish_sending_and_send_another_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeadTimeoutProtocol, "head_seconds", 0.4)
    with a_full_house(tmp_path) as address, connect(address) as connection:
        for _ in range(2):
            is_refused(connection, address, sends=2_000_000)
            time.sleep(0.8)


def test_a_refused_client_that_stops_sending_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeadTimeoutProtocol, "head_seconds", 0.4)
    with a_full_house(tmp_path) as address, connect(address) as connection:
        is_refused(connection, address, sends=1_000_000)
        is_given_up(connection)


def test_a_refused_client_that_sends_no_other_request_is_disconnected(tmp_path: Path) -> None:
    with a_full_house(tmp_path, keep_alive_seconds=1) as address, connect(address) as connection:
        is_refused(connection, address, sends=2_000_000)
        is_given_up(connection)


@pytest.mark.parametrize("more", ["Connection: close\r\n", "Connection: TE, Close\r\n"])
def test_a_client_that_closes_after_the_answer_sees_that_it_was_refused(
    tmp_path: Path, more: str
) -> None:
    with a_full_house(tmp_path) as address, connect(address) as connection:
        connection.sendall(head(address, length=8_000_000, more=more))
        time.sleep(0.2)
        connection.sendall(b"x" * 8_000_000)
        assert answered(connection).startswith(b"HTTP/1.1 503")


def test_a_key_is_looked_up_while_all_other_threads_wait(tmp_path: Path) -> None:
    app = an_app(tmp_path, require_keys=True)
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        key = database.keys.add("ward", ["read"], at=NOW)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        threads = client.blocking_portal.call(current_default_thread_limiter)
        go = threading.Event()

        async def occupy() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(int(threads.total_tokens)):
                    tasks.start_soon(anyio.to_thread.run_sync, go.wait, 60)

        busy = client.blocking_portal.start_task_soon(occupy)
        try:
            while threads.available_tokens:
                time.sleep(0.01)
            wanted = {"authorization": f"Bearer {key}"}
            assert client.get("/health/live", headers=wanted).status_code == 200
            assert client.get("/v1/models", headers=wanted).status_code == 200
            assert not threads.available_tokens, "the answers waited for a thread"
        finally:
            go.set()
            busy.result()


def test_idle_connections_make_room_for_new_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        address = stack.enter_context(serving(an_app(tmp_path), max_connections=16))
        idle = [stack.enter_context(connect(address)) for _ in range(40)]
        for _ in range(3):
            assert httpx.get(f"{address}/health/live").status_code == 200
        assert idle[0].recv(10) == b""
        lines = [one for one in caplog.records if one.name == "api.connection_limit"]
        assert len(lines) == 1 and "16 connections are open" in lines[0].getMessage()


def test_connections_at_work_are_kept_and_new_ones_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        address = stack.enter_context(serving(an_app(tmp_path), max_connections=16))
        busy = [stack.enter_context(connect(address)) for _ in range(16)]
        body = b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n--x--\r\n'
        for one in busy:
            one.sendall(head(address, length=len(body), more="Expect: 100-continue\r\n"))
            assert one.recv(100).startswith(b"HTTP/1.1 100")  # its handler runs
        refused = [stack.enter_context(connect(address)) for _ in range(2)]
        for one in refused:
            assert one.recv(100).startswith(b"HTTP/1.1 503")
        for one in busy:
            one.sendall(body)
            assert answered(one).startswith(b"HTTP/1.1 400")  # it has no image


def test_a_client_that_reads_no_answer_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for more than the buffers of the system take, so that answers wait in the server."""
    monkeypatch.setattr(HeadTimeoutProtocol, "unread_seconds", 3.0)
    ended = threading.Event()
    lost = HeadTimeoutProtocol.connection_lost

    def connection_lost(self: HeadTimeoutProtocol, exc: Exception | None) -> None:
        lost(self, exc)
        ended.set()

    monkeypatch.setattr(HeadTimeoutProtocol, "connection_lost", connection_lost)
    with serving(an_app(tmp_path), keep_alive_seconds=1) as address, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = address.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        wanted = f"GET /schema/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: {host}\r\n\r\n"
        connection.sendall(wanted.encode() * 4)
        assert ended.wait(60)


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_too_many_connections_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    limit = ConnectionLimit(1, clock=clock)
    old, new = Line(idle_since=None), Line(idle_since=None)
    for now in (0.0, 1.0, 2.0, 59.0, 61.0):
        clock.now = now
        assert not limit.admit([old, new], new)
    said = [one.getMessage() for one in caplog.records]
    assert [line.split(" new ones")[0].split()[-1] for line in said] == ["1", "4"]
    record = logging.makeLogRecord({"msg": "socket.accept() out of system resource"})
    once = OnceAMinute(clock=clock)
    assert [once.filter(record), once.filter(record)] == [True, False]
    clock.now += 60
    assert once.filter(record) and once.filter(logging.makeLogRecord({"msg": "another"}))


@dataclass(eq=False)
class Line:
    """A connection that is only counted."""

    idle_since: float | None
    is_closing: bool = False

    def close(self) -> None:
        self.is_closing = True


SERVER = """
import resource, sys, tempfile
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from tests.support.service.services import an_app, serving
with serving(an_app(Path(sys.argv[1]))) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


def test_more_idle_connections_than_descriptors_do_no_harm(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with ExitStack() as stack:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stack.enter_context(errors.open("wb")),
            text=True,
        )
        stack.enter_context(server)
        assert server.stdin and server.stdout
        address = server.stdout.readline().strip()
        for _ in range(400):
            stack.enter_context(connect(address))
        for _ in range(3):
            assert httpx.get(f"{address}/health/live").status_code == 200
        server.stdin.close()
        assert server.wait(60) == 0
    assert len(errors.read_text().splitlines()) < 10
