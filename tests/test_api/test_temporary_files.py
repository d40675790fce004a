"""Temporary files of the service: in one private folder, emptied by the next start."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

import api.app
from api.temporary_files import temporary_files
from db.errors import UserError
from tests.support.service.clients import LATER, settled
from tests.support.service.services import a_png, an_app, serving
from tests.support.service.writers import Gate

CHILD = "import tempfile; print(tempfile.mkstemp()[1])"


def test_files_of_this_process_and_its_children_are_kept_in_a_private_folder(
    tmp_path: Path,
) -> None:
    folder, before = tmp_path / "service" / "app.sqlite3.tmp", tempfile.gettempdir()
    with temporary_files(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        _, ours = tempfile.mkstemp()
        command = [sys.executable, "-c", CHILD]
        theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert Path(ours).parent == Path(theirs).parent == folder
    assert list(folder.iterdir()) == [] and tempfile.gettempdir() == before
    assert os.environ.get("TMPDIR") != str(folder)


def test_the_next_start_empties_what_a_killed_server_left(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "app.sqlite3.tmp", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("of somebody else")
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "upload").write_text("Doe^Jane")
    (folder / "upload").write_text("Doe^Jane")
    (folder / "link").symlink_to(elsewhere)
    folder.chmod(0o755)
    with temporary_files(folder):
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (elsewhere / "kept").exists()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("of somebody else")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").write_text("a file")
    for name in ("link", "file"):
        with pytest.raises(UserError, match="is not a folder of this user"):
            temporary_files(tmp_path / name).__enter__()
    assert (elsewhere / "kept").exists()
    with pytest.raises(UserError, match="cannot be written"):
        temporary_files(tmp_path / "file" / "app.sqlite3.tmp").__enter__()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_a_large_upload_is_spooled_there_without_a_name(tmp_path: Path) -> None:
    """All of a file but its end."""
    folder = tmp_path / "app.sqlite3.tmp"

    def spooled() -> list[str]:
        links = []
        for one in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                links.append(str(one.readlink()))
        return [link for link in links if link.startswith(f"{folder}/")]

    with temporary_files(folder), serving(an_app(tmp_path)) as address:
        url = httpx.URL(address)
        head = b'--part\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
        data, end = b"Doe^Jane" * 400_000, b"\r\n--part--\r\n"
        length = len(head) + len(data) + len(end)
        with socket.create_connection((url.host, url.port)) as client:
            client.sendall(
                b"POST /reports HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                b"Content-Type: multipart/form-data; boundary=part\r\n"
                b"Content-Length: %d\r\n\r\n" % length
            )
            client.sendall(head + data)
            until = time.monotonic() + 60
            while not (found := spooled()):
                assert time.monotonic() < until
                time.sleep(0.02)
            client.sendall(end)
            assert b" 422 " in client.makefile("rb").read()
        assert all(link.endswith(" (deleted)") for link in found)
        assert list(folder.iterdir()) == []


def test_images_of_ended_studies_leave_the_log_while_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.app, "_LOG_SECONDS", 0.05)
    gate = Gate()
    files: dict[str, Any] = {"images": ("a.png", a_png(1, size=(64, 64)))}

    def images() -> int:
        kept = b"".join(one.read_bytes() for one in tmp_path.glob("app.sqlite3*"))
        return kept.count(b"\x89PNG")

    app = an_app(tmp_path, backend=gate)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        accepted = client.post("/reports", files=files, headers=LATER)
        assert gate.reached.wait(60) and images() > 0
        gate.open.set()
        settled(client, accepted.headers["location"])
        until = time.monotonic() + 60
        while images():
            assert time.monotonic() < until
            time.sleep(0.02)
