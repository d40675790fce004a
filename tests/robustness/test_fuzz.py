"""Damaged images and dawdling clients: never a 5xx, never a hang."""

import io
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from PIL import Image
from pydicom.uid import RLELossless

from api.middleware.slow_clients import HeadTimeoutProtocol
from tests.robustness.mutations import mutated
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import a_png, an_app, serving

COUNT = 120
"""tests/robustness/fuzz.py sends thousands."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient[Any]]:
    with TestClient(an_app(tmp_path), base_url="http://127.0.0.1") as client:
        yield client


def some_images(tmp_path: Path) -> list[bytes]:
    pixels = draw_radiograph(1, size=(96, 80))
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG")
    native = write_dicom(tmp_path / "native.dcm", pixels.astype("uint16") * 16)
    packed = write_dicom(tmp_path / "rle.dcm", pixels, syntax=RLELossless)
    return [
        a_png(1, size=(96, 80)),
        jpeg.getvalue(),
        native.read_bytes(),
        packed.read_bytes(),
    ]


def test_damaged_images_are_the_clients_errors(client: TestClient[Any], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    answers: dict[int, int] = {}
    paths = (("/images", "image"), ("/searches", "images"), ("/batches", "images"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, image in enumerate(mutated(some_images(tmp_path / "images"), count=COUNT, seed=7)):
        path, field = paths[number % len(paths)]
        answer = client.post(path, files={field: ("image", image)})
        assert answer.status_code in (200, 202, 400, 413, 422), (number, answer.text)
        answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
    assert answers[422] > COUNT / 10 and answers[200] > COUNT / 10
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 200, f"{grown:.0f} MB"


def test_a_body_that_never_ends_times_out(tmp_path: Path) -> None:
    with serving(an_app(tmp_path, body_seconds=1)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as dawdler:
            dawdler.sendall(
                f"POST /reports HTTP/1.1\r\nHost: {host}:{port}\r\n"
                "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000\r\n\r\n"
                '--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n'.encode()
            )
            assert dawdler.recv(20).startswith(b"HTTP/1.1 408")
        assert httpx.get(f"{address}/health/live").status_code == 200


def test_a_request_head_that_never_ends_times_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeadTimeoutProtocol, "head_seconds", 0.5)
    with serving(an_app(tmp_path)) as address:
        host, port = address.removeprefix("http://").split(":")
        for opening in (b"", b"GET /health HTTP/1.1\r\nX-Slow: "):
            with socket.create_connection((host, int(port)), timeout=60) as dawdler:
                dawdler.sendall(opening)
                assert dawdler.recv(20) == b""
        with httpx.Client(base_url=address) as client:
            for _ in range(3):
                assert client.get("/health").status_code == 200
                time.sleep(0.3)
