"""Files and directories that appear whole or not at all, and locks between processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.errors import UserError
from db.files import (
    json_lines,
    locked,
    remove_scraps,
    replacing,
    replacing_directory,
    write_bytes,
    write_json,
    write_text,
)
from tests.conftest import ROOT

HOLDER = """
import sys
from pathlib import Path
from db.files import locked
with locked(Path(sys.argv[1]), "adding to data/index"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "below" / "one.txt"
    write_text(path, "old")
    with replacing(path) as fresh:
        fresh.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names_in(path.parent) == ["one.txt"]


def test_an_exception_leaves_the_old_file_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as fresh:
        fresh.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["one.txt"]


def test_an_exception_leaves_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "one.txt") as fresh:
        fresh.write_text("half")
        raise ZeroDivisionError
    assert names_in(tmp_path) == []


def test_a_directory_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in ("first", "second"):
        with replacing_directory(path) as fresh:
            (fresh / "deep").mkdir()
            (fresh / "deep" / content).write_text(content)
        assert names_in(path / "deep") == [content]
    assert names_in(tmp_path) == ["model"]


def test_an_exception_leaves_the_old_directory(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with replacing_directory(path) as fresh:
        (fresh / "kept").write_text("")
    with pytest.raises(ZeroDivisionError), replacing_directory(path) as fresh:
        (fresh / "half").write_text("")
        raise ZeroDivisionError
    assert names_in(path) == ["kept"]
    assert names_in(tmp_path) == ["model"]


def test_a_failed_rename_leaves_the_old_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    with replacing_directory(path) as fresh:
        (fresh / "kept").write_text("")
    rename = Path.rename

    def failing(source: Path, target: Path) -> Path:
        if source.name.endswith(".tmp"):
            raise OSError("no space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space"), replacing_directory(path) as fresh:
        (fresh / "new").write_text("")
    assert names_in(path) == ["kept"]
    assert names_in(tmp_path) == ["model"]


def test_content_is_synced_before_the_rename_and_the_rename_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def traced_fsync(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def traced_replace(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(Path, "replace", traced_replace)
    write_bytes(tmp_path / "one.bin", b"x")
    assert steps == [f"sync .one.bin.{os.getpid()}.tmp", "rename", f"sync {tmp_path.name}"]


def test_json_keeps_the_order_of_keys_and_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", {"b": 1, "a": [2]})
    text = (tmp_path / "one.json").read_text()
    assert text.endswith("}\n") and list(json.loads(text)) == ["b", "a"]


def test_temporary_files_left_by_a_kill_can_be_removed(tmp_path: Path) -> None:
    write_text(tmp_path / "one.txt", "whole")
    (tmp_path / ".one.txt.4711.tmp").write_text("half")
    (tmp_path / ".two.txt.4711.tmp").write_text("another's")
    remove_scraps(tmp_path / "one.txt")
    assert names_in(tmp_path) == [".two.txt.4711.tmp", "one.txt"]


def test_a_second_process_is_refused_with_the_holder_of_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        message = (
            rf"process {holder.pid} is at work: adding to data/index, since \d\d:\d\d UTC: "
            "wait for it to end, or stop it"
        )
        with pytest.raises(UserError, match=message), locked(path, "removing from data/index"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(path, "removing from data/index"):  # the lock falls with its process
        pass


def test_a_lock_is_free_after_an_exception(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), locked(path, "first"):
        raise ZeroDivisionError
    with (
        locked(path, "second"),
        pytest.raises(UserError, match="second"),
        locked(path, "third"),
    ):
        pass
    assert names_in(tmp_path) == [".lock"]


def test_lines_of_json_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"text": "a\u2028b"}\r\n\n  \n[2]\n'.encode())
    assert list(json_lines(path)) == [
        (f"{path}, line 1", {"text": "a\u2028b"}),
        (f"{path}, line 4", [2]),
    ]


@pytest.mark.parametrize("line", [b"{", b"[" * 100_000])
def test_a_line_that_is_no_json_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"1\n" + line)
    lines = json_lines(path)
    assert next(lines) == (f"{path}, line 1", 1)
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2: invalid JSON"):
        next(lines)


@pytest.mark.parametrize("content", [None, b"\xff\xfe{"])
def test_a_file_of_json_lines_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        list(json_lines(path))
