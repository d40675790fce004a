"""python -m api serve: it starts, or says in one sentence why not."""

import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from api.__main__ import main
from api.settings import Settings
from db.errors import NotFoundError, UserError
from indexer.build import build
from indexer.encoder.load import load_encoder
from indexer.sources.jsonl import JsonLines
from tests.support.fakes import write_studies
from tests.support.service.services import a_png, free_port
from tests.support.warm_python import WarmPython


def the_error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["serve", *argv]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_an_address_that_others_could_reach_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str
) -> None:
    error = the_error(capsys, str(tmp_path), "--host", host)
    assert "can be reached by other machines" in error and "--host 127.0.0.1" in error


def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, *argv: str) -> str:
    assert main([*argv, "--database", str(tmp_path / "app.sqlite3")]) == 0
    return capsys.readouterr().out


def test_a_public_address_is_served_only_while_a_key_is_active(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    database = ["--database", str(tmp_path / "app.sqlite3")]
    outside = [str(tmp_path / "none"), "--host", "0.0.0.0", "--port", str(free_port()), *database]
    assert "no API key is active" in the_error(capsys, *outside)
    key = command(capsys, tmp_path, "keys", "add", "ward", "--scope", "read")
    assert key.startswith("cxr_") and key.count("\n") == 1
    assert "is not an index" in the_error(capsys, *outside)
    listed = command(capsys, tmp_path, "keys", "list")
    assert listed.startswith("ward\tread\tcreated ") and listed.endswith("active\n")
    assert key.strip() not in listed
    command(capsys, tmp_path, "keys", "revoke", "ward")
    assert "revoked" in command(capsys, tmp_path, "keys", "list")
    assert "no API key is active" in the_error(capsys, *outside)


def test_the_audit_log_is_verified_and_a_backup_restored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command(capsys, tmp_path, "keys", "add", "ward")
    backup = str(tmp_path / "backup.sqlite3")
    command(capsys, tmp_path, "backup", backup)
    head = command(capsys, tmp_path, "audit", "verify").strip().rpartition(" ")[2]
    assert head.startswith("1:")
    command(capsys, tmp_path, "keys", "add", "lab")
    assert "head 2:" in command(capsys, tmp_path, "audit", "verify", "--head", head)
    assert "before-restore" in command(capsys, tmp_path, "restore", backup)
    assert "lab" not in command(capsys, tmp_path, "keys", "list")
    argv = ["audit", "verify", "--database", str(tmp_path / "app.sqlite3"), "--head"]
    assert main([*argv, f"2:{'0' * 64}"]) == 1
    assert "does not lead through entry 2" in capsys.readouterr().err
    assert main([*argv, "nonsense"]) == 1


@pytest.mark.parametrize(
    "verb", [("keys", "list"), ("keys", "revoke", "ward"), ("audit", "verify")]
)
def test_a_missing_database_is_named_and_not_created(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: tuple[str, ...]
) -> None:
    database = tmp_path / "typo.sqlite3"
    assert main([*verb, "--database", str(database)]) == 1
    assert f"{database} does not exist" in capsys.readouterr().err
    assert not database.exists()


def test_a_missing_index_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = the_error(capsys, "nowhere", "--port", str(free_port()))
    assert "nowhere is not an index" in error
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_loaded_is_named_and_leaves_no_database(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = tmp_path / "index"
    build(JsonLines(write_studies(tmp_path / "studies", 2)), load_encoder("imagenet"), index)
    model = f"openai+http://127.0.0.1:{free_port()}/v1#none"
    error = the_error(capsys, str(index), "--port", str(free_port()), "--model", model)
    assert "cannot be reached" in error
    assert not list(tmp_path.rglob("*.sqlite3"))


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        error = the_error(capsys, str(tmp_path), "--port", port)
    assert f"port {port} of 127.0.0.1 cannot be used" in error and "--port" in error


def test_a_missing_sample_image_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "no.dcm does not exist" in the_error(capsys, str(tmp_path), "--sample", "no.dcm")


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    for port in (0, -1, 70000):
        with pytest.raises(UserError, match=f"port {port} does not exist"):
            Settings(port=port)
    with pytest.raises(UserError, match="at least 1"):
        Settings(max_images=0)
    with pytest.raises(NotFoundError):
        Settings(sample_path=tmp_path)
    for host in ("localhost", "127.0.0.1", "::1"):
        assert Settings(host=host).host == host


def test_the_command_serves_an_index_and_shuts_down_cleanly(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    index_dir = tmp_path / "index"
    build(JsonLines(write_studies(tmp_path / "studies", 8)), load_encoder("imagenet"), index_dir)
    port, out, err = free_port(), tmp_path / "out.txt", tmp_path / "err.txt"
    options = ("--port", str(port), "--model", "none")
    database = ("--database", str(tmp_path / "kept" / "app.sqlite3"))
    process = warm_python.start(
        "-m", "api", "serve", str(index_dir), *options, *database, output=out, errors=err
    )
    while not out.exists() or not (line := out.read_text()).endswith("\n"):
        assert process.poll() is None, err.read_text()
        time.sleep(0.02)
    assert line == (f"8 prior cases of local: http://127.0.0.1:{port} (stop with Ctrl+C)\n")
    address = f"http://127.0.0.1:{port}"
    answer = httpx.post(
        f"{address}/reports", files={"images": ("image.png", a_png(77))}, timeout=60
    )
    assert answer.status_code == 201
    assert answer.json()["generator"].startswith("extractive-")
    assert any(s["grounded"] for s in answer.json()["statements"])
    if sys.platform == "linux":
        folder = tmp_path / "kept" / "app.sqlite3.tmp"
        assert folder.stat().st_mode & 0o777 == 0o700
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        started_with = [Path(f"/proc/{one}/environ").read_bytes() for one in children]
        decoders = [one for one in started_with if f"TMPDIR={folder}".encode() in one]
        assert decoders and len(decoders) == len(started_with)
    assert process.end(signal.SIGINT) == 0, err.read_text()
    assert "Traceback" not in err.read_text()
    assert (tmp_path / "kept" / "app.sqlite3").is_file()
