"""Bodies are read as they arrive, and kept in bounded memory and in one folder."""

import os
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
from litestar.exceptions import ClientException
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from pydicom.uid import DeflatedExplicitVRLittleEndian

from api.form_parts import SpoolWriter, read_form_parts, read_related_parts
from api.pipeline.decoding.messages import DecodingKind
from api.pipeline.decoding.processes import Decoded
from api.spool import Spool
from api.temporary_files import temporary_files
from api.uploads import Upload
from db.app.database import AppDatabase
from db.errors import NotFoundError, TooLargeError
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import HTTP, images, memory_mb, settled
from tests.support.service.records import a_study
from tests.support.service.services import DECODING, a_png, an_app, serving
from tests.support.service.writers import Gate

Client = TestClient[Any]
JSON = {"content-type": "application/json"}
DICOM = 'multipart/related; type="application/dicom"; boundary=x'


def stored_images(folder: Path) -> int:
    with sqlite3.connect(folder / "app.sqlite3") as connection:
        (count,) = connection.execute("SELECT count(*) FROM job_images").fetchone()
    connection.close()
    return int(count)


def related(*parts: bytes) -> bytes:
    heads = [b"--x\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts]
    return b"".join(heads) + b"--x--\r\n"


async def in_chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def ignore(_: int) -> None: ...


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"a preamble\r\n"])
def test_a_body_may_arrive_in_any_pieces(tmp_path: Path, size: int, before: bytes) -> None:
    parts = [b"one", b"", b"two\r\n--not the boundary\r\n-", os.urandom(5000)]
    body = before + related(*parts)
    found = anyio.run(
        lambda: read_related_parts(in_chunks(body, size), "x", SpoolWriter(ignore), most=4)
    )
    assert [part.read() for part in found] == parts
    form = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
        + part
        + b"\r\n"
        for part in parts
    )
    form += b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n12\r\n--x--\r\n'
    fields = anyio.run(
        lambda: read_form_parts(in_chunks(form, size), "x", SpoolWriter(ignore), most=5)
    )
    assert [file.spooled.read() for file in fields["images"]] == parts
    assert fields["k"] == "12"


def test_a_request_has_so_many_parts(tmp_path: Path) -> None:
    def read(body: bytes) -> object:
        writer = SpoolWriter(ignore)
        return anyio.run(lambda: read_related_parts(in_chunks(body, 100), "x", writer, most=3))

    with pytest.raises(TooLargeError, match="more than 3 instances"):
        read(related(*[b""] * 4))
    with pytest.raises(ClientException):
        read(b"x" * 200_000)


def test_files_have_no_name_and_end_with_their_request(tmp_path: Path) -> None:
    folder = tmp_path / "app.sqlite3.tmp"
    with temporary_files(folder):
        file = Spool.open().add(b"data")
        assert not list(folder.iterdir()) and file.read() == b"data"
    descriptor = file.spool.descriptor
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_bomb_among_instances_is_refused_and_the_others_are_accepted(tmp_path: Path) -> None:
    """Deflated to 3,000 times less: 300 MB of empty elements."""
    image = draw_radiograph(1, size=(64, 48))
    data = write_dicom(
        tmp_path / "a.dcm", image, syntax=DeflatedExplicitVRLittleEndian
    ).read_bytes()
    bomb = inflated_more(data, [b"\x09\0\x01\0SH\0\0" * 4_000_000] * 10)
    good = write_dicom(tmp_path / "b.dcm", image).read_bytes()
    before = memory_mb()
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        answer = client.post(
            "/studies", content=related(bomb, good), headers={"content-type": DICOM}
        )
        assert answer.status_code == 202, answer.text
        failed = answer.json()["00081198"]["Value"]
        assert [item["00081197"]["Value"] for item in failed] == [[0xC000]]
        (stored,) = answer.json()["00081199"]["Value"]
        assert settled(client, stored["00081190"]["Value"][0])["status"] == "done"
    assert memory_mb() - before < 100


class Watched:
    """Decodes as always; ``kept`` is how many images were stored each time, ``kinds`` what for."""

    def __init__(self, folder: Path) -> None:
        self.kept: list[int] = []
        self.kinds: list[DecodingKind] = []
        self._folder = folder

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        self.kept.append(stored_images(self._folder))
        self.kinds.append(kind)
        return DECODING.run(kind, upload, cancelled)


def test_the_header_of_an_image_is_not_inflated_in_the_service(tmp_path: Path) -> None:
    """200 MB of padding, deflated to 200 kB."""
    image = draw_radiograph(1, size=(64, 48))
    path = write_dicom(
        tmp_path / "a.dcm",
        image,
        syntax=DeflatedExplicitVRLittleEndian,
        StudyInstanceUID="1.2.3",
        PatientName="Doe^Jane",
    )
    padding = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 200_000_000)
    data = inflated_more(path.read_bytes(), [padding, *[bytes(1_000_000)] * 200])
    before, watched = memory_mb(), Watched(tmp_path)
    app: Any = an_app(tmp_path, decoding=watched)
    with TestClient(app, base_url=HTTP) as client:
        made = client.post("/reports", files={"images": ("a.dcm", data)})
        assert made.status_code == 201, made.text
        address = f"{made.headers['location']}/dicom-sr"
        answer = client.post(address, files={"image": ("a.dcm", data)})
        assert answer.status_code == 200 and b"Doe^Jane" in answer.content
    assert watched.kinds == ["pixels", "pixels", "study"]
    assert memory_mb() - before < 100


def inflated_more(data: bytes, more: Iterable[bytes]) -> bytes:
    """A deflated DICOM file with these bytes at its end."""
    (length,) = struct.unpack_from("<I", data, 140)
    start = 144 + length
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    whole = [zlib.decompress(data[start:], wbits=-zlib.MAX_WBITS), *more]
    return data[:start] + b"".join(map(deflater.compress, whole)) + deflater.flush()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_each_study_of_a_batch_is_stored_before_the_next_is_read(
    tmp_path: Path, gate: Gate
) -> None:
    watched = Watched(tmp_path)
    app: Any = an_app(tmp_path, backend=gate, decoding=watched)
    with TestClient(app, base_url=HTTP) as client:
        data = {"study": ["a", "b", "a", "c"]}
        answer = client.post("/batches", files=images(1, 2, 3, 4), data=data)
        assert answer.status_code == 202
        assert watched.kept == [0, 0, 2, 3]
        gate.open.set()
        settled(client, answer.headers["location"])


def test_each_study_of_an_imaging_system_is_stored_before_the_next_is_read(
    tmp_path: Path, gate: Gate
) -> None:
    image = draw_radiograph(1, size=(64, 48))
    parts = [
        write_dicom(tmp_path / "a.dcm", image, StudyInstanceUID=f"1.2.{n}").read_bytes()
        for n in range(3)
    ]
    watched = Watched(tmp_path)
    app: Any = an_app(tmp_path, backend=gate, decoding=watched)
    with TestClient(app, base_url=HTTP) as client:
        headers = {"content-type": DICOM}
        assert client.post("/studies", content=related(*parts), headers=headers).status_code == 200
        assert watched.kept == [0, 0, 0, 0, 1, 2]
        gate.open.set()


def test_a_batch_may_have_more_parts_than_a_study(tmp_path: Path, gate: Gate) -> None:
    small = a_png(1, size=(40, 40))
    files = [("images", ("a.png", small))] * 250
    with TestClient(an_app(tmp_path, backend=gate), base_url=HTTP) as client:
        data = {"study": [f"study {n // 2}" for n in range(250)]}
        answer = client.post("/batches", files=files, data=data)
        assert answer.status_code == 202, answer.text
        assert len(answer.json()["studies"]) == 125
        gate.open.set()


def test_a_batch_has_so_many_studies_and_images(tmp_path: Path) -> None:
    app: Any = an_app(tmp_path, max_batch_studies=2, max_batch_images=3)
    with TestClient(app, base_url=HTTP) as client:
        for data, word in (({}, "3 studies"), ({"study": ["a"] * 4}, "4 images")):
            count = 3 if not data else 4
            answer = client.post("/batches", files=images(*range(count)), data=data)
            assert answer.status_code == 413 and word in answer.json()["detail"]
    assert stored_images(tmp_path) == 0


def test_what_a_killed_server_had_received_is_removed_at_the_next_start(tmp_path: Path) -> None:
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        whole, cut = a_study(), a_study()
        for study in (whole, cut):
            database.jobs.receive(study)
        assert database.jobs.claim(5) == [] and database.jobs.unfinished() == 2
        with pytest.raises(NotFoundError):
            database.jobs.job(whole.job_id)
        database.jobs.accept(whole.job_id, 1)
        assert [one.status for one in database.jobs.job(whole.job_id)] == ["queued"]
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        database.jobs.release(restarted=True)
        assert database.jobs.unfinished() == 1
    assert stored_images(tmp_path) == len(whole.images)


def test_every_body_is_read_in_time(tmp_path: Path) -> None:
    """Litestar reads a body for as long as its client likes."""
    handlers = {
        f"{route.path} {handler}": handler
        for route in an_app(tmp_path, mcp=True).routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "data" in handler.parsed_fn_signature.parameters
    }
    assert len(handlers) > 10
    hooks = {name: handler.resolve_before_request() for name, handler in handlers.items()}
    assert [name for name, hook in hooks.items() if hook is None] == []


def test_feedback_that_arrives_too_slowly_or_is_too_large_is_refused(tmp_path: Path) -> None:
    with serving(an_app(tmp_path, body_seconds=1)) as address:
        path = f"{address}/generations/{uuid4()}/feedback"
        more = httpx.post(path, content=b" " * 1_000_001, headers=JSON)
        assert more.status_code == 413
        slow = httpx.post(path, content=slowly(b"{}"), headers=JSON, timeout=60)
        assert slow.status_code == 408


def slowly(data: bytes) -> Iterator[bytes]:
    yield data[:1]
    time.sleep(3)
    yield data[1:]


def test_a_form_without_files_is_short(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert client.post("/searches", data={"text": "clear"}).status_code == 200
        answer = client.post("/searches", content=b"text=" + b"x" * 2_000_000, headers=headers)
        assert answer.status_code == 413


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Spool, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "write", full)
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        answer = client.post("/reports", files=images(1))
        assert answer.status_code == 503 and "no room" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0


def test_pixels_in_memory_are_bounded(tmp_path: Path, gate: Gate) -> None:
    """The second study is decoded when the images of the first are no longer needed."""
    watched = Watched(tmp_path)
    app: Any = an_app(tmp_path, backend=gate, decoding=watched, max_pixel_bytes=1_000)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        answers: list[int] = []

        def ask(seed: int) -> None:
            answers.append(client.post("/reports", files=images(seed)).status_code)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in (1, 2)]
        threads[0].start()
        assert gate.reached.wait(60)
        threads[1].start()
        time.sleep(0.5)
        assert len(watched.kept) == 1
        gate.open.set()
        for thread in threads:
            thread.join()
        assert answers == [201, 201] and len(watched.kept) == 2
