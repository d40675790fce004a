"""Bodies, images and addresses that no honest client sends."""

import io
import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from PIL import Image

from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import a_png, an_app, serving

SIDE = 60_000
"""Pixels of a bomb's side: 3.6 billion in all."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient[Any]]:
    with TestClient(an_app(tmp_path), base_url="http://127.0.0.1") as client:
        yield client


def a_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def a_png_bomb(_: Path) -> bytes:
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    packed = zlib.compress(b"\0" * 1_000_000)
    chunks = (a_chunk(b"IHDR", head), a_chunk(b"IDAT", packed), a_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def a_jpeg_bomb(_: Path) -> bytes:
    out = io.BytesIO()
    Image.new("L", (64, 48)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    place = data.index(b"\xff\xc0") + 5  # height and width of the frame
    data[place : place + 4] = struct.pack(">HH", SIDE, SIDE)
    return bytes(data)


def a_tiff_bomb(_: Path) -> bytes:
    out = io.BytesIO()
    Image.new("L", (64, 48)).save(out, "TIFF", compression="tiff_adobe_deflate")
    data = out.getvalue()
    for tag, size in ((256, 64), (257, 48), (278, 48)):  # width, height, rows of a strip
        for kind, form in ((3, "<HHIHH"), (4, "<HHII")):
            old = struct.pack(form, *([tag, kind, 1, size] + [0] * (kind == 3)))
            data = data.replace(old, struct.pack("<HHII", tag, 4, 1, SIDE))
    return data


def a_dicom_bomb(folder: Path) -> bytes:
    image = draw_radiograph(1, size=(64, 48))
    return write_dicom(folder / "bomb.dcm", image, Rows=SIDE, Columns=SIDE).read_bytes()


@pytest.mark.parametrize("path", ["/reports", "/batches"])
@pytest.mark.parametrize("bomb", [a_png_bomb, a_jpeg_bomb, a_tiff_bomb, a_dicom_bomb])
def test_a_pixel_bomb_is_refused_by_its_header(
    client: TestClient[Any], tmp_path: Path, bomb: Any, path: str
) -> None:
    image = bomb(tmp_path)
    assert len(image) < 20_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = client.post(path, files={"images": ("image", image)})
    assert answer.status_code == 413 and "pixels" in answer.json()["detail"]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 200, f"{grown:.0f} MB: its pixels take {SIDE * SIDE / 2**20:.0f} MB"


@pytest.mark.filterwarnings("ignore:Unclosed file")  # Litestar leaves it to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", ["/reports", "/studies", "/v1/chat/completions"])
def test_a_body_without_a_length_is_cut_off_at_the_limit(tmp_path: Path, path: str) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
        while sent < 200_000_000:
            sent += 100_000
            yield b"x" * 100_000

    kinds = {
        "/reports": "multipart/form-data; boundary=x",
        "/studies": 'multipart/related; type="application/dicom"; boundary=x',
        "/v1/chat/completions": "application/json",
    }
    with serving(an_app(tmp_path, max_body_bytes=1_000_000)) as address:
        headers = {"content-type": kinds[path]}
        answer = httpx.post(f"{address}{path}", content=endless(), headers=headers, timeout=60)
        assert answer.status_code == 413, answer.text
        assert "too large for this server" in answer.json()["detail"]
        assert httpx.get(f"{address}/health/live").status_code == 200


@pytest.mark.parametrize("way", ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "%2f"])
def test_no_path_leads_out_of_the_page_folder(tmp_path: Path, way: str) -> None:
    """Sent as they stand: httpx would take the dots out of the path."""
    image = tmp_path / "image.png"
    image.write_bytes(a_png(1, size=(64, 64)))
    targets = [
        f"/page/{way}app.py",
        f"/page/report/{way * 2}app.py",
        f"/page/{way * 8}etc/passwd",
        f"/cases/drawn:s1/images/{way * 8}{tmp_path}/image.png",
        f"/cases/drawn:{way * 8}etc%2fpasswd",
        f"/cases/drawn:s1{way}/images/1",
        f"/generations/{way * 3}app.sqlite3",
        f"/{way * 8}etc/passwd",
    ]
    with serving(an_app(tmp_path)) as address, httpx.Client() as client:
        for target in targets:
            url = httpx.URL(address).copy_with(raw_path=target.encode())
            answer = client.send(client.build_request("GET", url))
            assert answer.status_code in (400, 404), (target, answer.status_code)
            assert b"root:" not in answer.content and b"import" not in answer.content
            assert not answer.content.startswith(b"\x89PNG") and b"SQLite" not in answer.content
