"""Files are decoded in processes of their own: nothing a file does reaches the service."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import numpy as np
import pytest
from litestar.testing import TestClient
from PIL import Image

from api.pacs.address import PASSWORD, TOKEN
from api.pipeline.decoding.messages import DecodingKind
from api.pipeline.decoding.process import LARGE, ORDINARY
from api.pipeline.decoding.processes import Decoded, DecodingProcesses, _Pool
from api.pipeline.scheduler import BusyError, WorkCancelledError
from api.spool import Spool
from api.uploads import Upload
from db.errors import TooLargeError, UserError
from indexer.images.radiograph import PngRadiograph, Radiograph
from indexer.images.reader import read_radiograph
from tests.support.dicoms import slow_dicom
from tests.support.service.clients import HTTP, images
from tests.support.service.services import DECODING, a_digest, a_png, an_app, serving

ONE_SECOND = {"limits": replace(ORDINARY, seconds=1), "large": replace(LARGE, seconds=1)}


@pytest.fixture
def decoding() -> Iterator[DecodingProcesses]:
    with DecodingProcesses(count=1, large=replace(LARGE, seconds=60)) as decoding:
        yield decoding


def upload(data: bytes, name: str = "view.png") -> Upload:
    return Upload(name=name, file=Spool.open().add(data))


def children() -> set[int]:
    """The decoding processes of this one."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.parent.joinpath("cmdline").read_bytes()
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and b"api.pipeline.decoding.worker" in words:
            found.add(int(status.parent.name))
    return found


def started(before: set[int]) -> int:
    """The process that was started since, once it uses the processor for a file."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in children() - before:
            ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11]
            if int(ticks) > 1.5 * os.sysconf("SC_CLK_TCK"):  # its start takes less
                return pid
        time.sleep(0.02)
    raise AssertionError("no file is decoded")


def test_a_process_answers_as_the_reader_does(tmp_path: Path, decoding: DecodingProcesses) -> None:
    data = a_png(1)
    never = threading.Event()
    image = decoding.run("pixels", upload(data), never)
    assert isinstance(image, Radiograph) and image.sha256 == read_radiograph(data).sha256
    kept = decoding.run("png", upload(data), never)
    assert isinstance(kept, PngRadiograph)
    assert read_radiograph(kept.png).sha256 == image.sha256
    with pytest.raises(UserError, match=r"two\.png is not an image"):
        decoding.run("pixels", upload(b"text", "two.png"), never)


def test_processes_start_when_needed_and_are_used_again(tmp_path: Path) -> None:
    before = children()
    with DecodingProcesses(count=2) as decoding:
        assert children() == before
        never = threading.Event()
        for seed in (1, 2):
            decoding.run("pixels", upload(a_png(seed)), never)
        assert len(children() - before) == 1
    assert children() == before


def test_another_process_takes_the_place_of_one_after_many_files(tmp_path: Path) -> None:
    before, never = children(), threading.Event()
    with DecodingProcesses(count=1, limits=replace(ORDINARY, files=2)) as decoding:
        processes = []
        for seed in (1, 2, 3, 4, 5):
            decoding.run("pixels", upload(a_png(seed, size=(64, 64))), never)
            processes.append(children() - before)
        first, none, second, neither, third = processes
        assert none == neither == set() and len(first) == len(second) == len(third) == 1
        assert len(first | second | third) == 3


def test_processor_time_has_a_limit_that_no_decoder_can_catch(tmp_path: Path) -> None:
    before = children()
    with DecodingProcesses(count=1) as decoding:
        decoding.run("pixels", upload(a_png(1)), threading.Event())
        (process,) = children() - before
        limits = Path(f"/proc/{process}/limits").read_text().splitlines()
        _, _, _, soft, hard, _ = next(one for one in limits if "cpu time" in one).split()
        assert int(soft) <= int(hard) < 1_000


def test_a_process_knows_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (TOKEN, PASSWORD, "HF_TOKEN", "SOME_API_KEY"):
        monkeypatch.setenv(name, "a secret")
    before = children()
    with DecodingProcesses(count=1) as decoding:
        decoding.run("pixels", upload(a_png(1)), threading.Event())
        (process,) = children() - before
        assert b"secret" not in Path(f"/proc/{process}/environ").read_bytes()


def test_a_large_file_is_decoded_by_a_process_for_large_ones(tmp_path: Path) -> None:
    before, never = children(), threading.Event()
    path = tmp_path / "large.png"
    Image.fromarray(np.eye(5_000, dtype=np.uint8) * 200).save(path, compress_level=1)
    with DecodingProcesses(count=1) as decoding:
        decoding.run("pixels", upload(a_png(1)), never)
        assert len(children() - before) == 1
        large = decoding.run("pixels", upload(path.read_bytes()), never)
        assert isinstance(large, Radiograph) and large.pixels.shape == (2_500, 2_500)
        assert len(children() - before) == 2


def test_a_file_may_take_so_much_processor_time(tmp_path: Path) -> None:
    never = threading.Event()
    with DecodingProcesses(count=1, **ONE_SECOND) as decoding:
        with pytest.raises(TooLargeError, match=r"view\.png takes more than 1 s"):
            decoding.run("pixels", upload(slow_dicom(tmp_path)), never)
        assert decoding.run("pixels", upload(a_png(1)), never)


def test_a_file_may_take_so_much_memory(tmp_path: Path) -> None:
    pixels = np.zeros((9_000, 9_000), np.uint8)
    pixels[:100] = 200
    path = tmp_path / "large.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    never = threading.Event()
    with DecodingProcesses(count=1, large=replace(LARGE, memory=300 * 2**20)) as decoding:
        with pytest.raises(TooLargeError, match="too much memory"):
            decoding.run("pixels", upload(path.read_bytes()), never)
        assert decoding.run("pixels", upload(a_png(1)), never)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGKILL, BusyError), (signal.SIGSEGV, UserError)]
)
def test_a_process_that_dies_is_replaced(
    tmp_path: Path, decoding: DecodingProcesses, number: int, error: type[UserError]
) -> None:
    before, never = children(), threading.Event()
    ender = threading.Thread(target=lambda: os.kill(started(before), number))
    ender.start()
    with pytest.raises(UserError) as refused:
        decoding.run("pixels", upload(slow_dicom(tmp_path)), never)
    ender.join()
    assert type(refused.value) is error
    assert decoding.run("pixels", upload(a_png(1)), never)


def test_a_process_that_cannot_start_is_a_defect(
    decoding: DecodingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended with 1"):
        decoding.run("pixels", upload(a_png(1)), threading.Event())


def test_cancelled_work_ends_its_process(tmp_path: Path, decoding: DecodingProcesses) -> None:
    before, cancelled = children(), threading.Event()

    def cancel() -> None:
        started(before)
        cancelled.set()

    ender = threading.Thread(target=cancel)
    ender.start()
    with pytest.raises(WorkCancelledError):
        decoding.run("pixels", upload(slow_dicom(tmp_path)), cancelled)
    ender.join()
    assert children() == before


def test_the_first_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    app: Any = an_app(tmp_path)
    texts = [("images", (name, b"text")) for name in ("a.png", "b.png", "c.png")]
    with TestClient(app, base_url=HTTP) as client:
        for files, name in ((texts, "a.png"), ([*images(1), *texts[1:]], "b.png")):
            answer = client.post("/reports", files=files)
            assert answer.status_code == 422 and answer.json()["detail"].startswith(name)


class Paired:
    """Decodes only once two files are decoded at the same time."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2, timeout=60)

    def run(self, kind: DecodingKind, upload: Upload, cancelled: threading.Event) -> Decoded:
        self._both.wait()
        return DECODING.run(kind, upload, cancelled)


def test_two_files_of_a_study_are_decoded_at_the_same_time(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path, decoding=Paired()), base_url=HTTP) as client:
        made = client.post("/reports", files=images(1, 2, 3, 4)).json()
        alone = [a_digest(a_png(seed, size=(64, 64))) for seed in (1, 2, 3, 4)]
        assert made["images_sha256"] == alone


@pytest.mark.parametrize("path", ["/reports", "/batches", "/searches"])
def test_a_client_that_leaves_ends_the_process_of_its_file(
    tmp_path: Path, decoding: DecodingProcesses, path: str
) -> None:
    before = children()
    app = an_app(tmp_path, decoding=decoding)
    with serving(app) as address:
        files = {"images": ("slow.dcm", slow_dicom(tmp_path))}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}{path}", files=files, timeout=httpx.Timeout(60, read=1))
        deadline = time.monotonic() + 60
        while children() != before:
            assert time.monotonic() < deadline, "its file is still decoded"
            time.sleep(0.02)
        assert httpx.post(f"{address}/searches", files=images(1)).status_code == 200


def test_a_file_that_takes_too_long_is_a_413(tmp_path: Path) -> None:
    with DecodingProcesses(count=1, **ONE_SECOND) as decoding:
        app: Any = an_app(tmp_path, decoding=decoding)
        with TestClient(app, base_url=HTTP) as client:
            files = {"images": ("slow.dcm", slow_dicom(tmp_path))}
            answer = client.post("/reports", files=files)
            assert answer.status_code == 413 and "slow.dcm takes" in answer.json()["detail"]
            assert client.post("/reports", files=images(1)).status_code == 201


def test_files_kept_for_later_leave_a_process_to_those_that_someone_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, go = Queue[str](), threading.Event()

    def held(_: object, kind: str, *__: object) -> None:
        running.put(kind)
        assert go.wait(60)

    monkeypatch.setattr(_Pool, "run", held)
    decoding, file = DecodingProcesses(count=2), upload(b"")
    with ThreadPoolExecutor(4) as pool:
        for kind in ("png", "png", "identifiers"):
            pool.submit(decoding.run, kind, file, threading.Event())
        assert running.get(timeout=60) in ("png", "identifiers")
        pool.submit(decoding.run, "pixels", file, threading.Event())
        assert running.get(timeout=60) == "pixels"
        go.set()
