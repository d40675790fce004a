"""Indexes that a stranger made: one sentence, and no work without end."""

import errno
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from api.__main__ import main as api
from db.app.backup import back_up
from db.app.database import AppDatabase
from db.engines.sqlite import open_sqlite
from db.errors import UserError
from db.files import parse_json
from db.index.guard import LEAST_STEPS, guard
from db.index.store import CaseStore
from indexer.__main__ import main as indexer
from indexer.build import build
from indexer.encoder.folder import read_config
from indexer.encoder.weight_files import CONFIG
from indexer.index import CASES, Index
from indexer.manifest import MANIFEST
from indexer.sources.jsonl import JsonLines
from indexer.versions import current_folder
from tests.conftest import ROOT
from tests.support.fakes import ThumbnailEncoder, write_studies

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
COUNTING = ENDLESS.replace("FROM n)", "FROM n WHERE x < {})")
DEEP = "[" * 200_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(JsonLines(write_studies(folder / "in", 5)), ThumbnailEncoder(), folder / "ix")
    return folder / "ix"


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "ix")
    return tmp_path / "ix"


def restated(index: Path, **values: Any) -> None:
    """Change a manifest; its sizes are those of the files, as a stranger would write them."""
    folder = current_folder(index)
    manifest = json.loads((folder / MANIFEST).read_text())
    sizes = {name: (folder / name).stat().st_size for name in manifest["file_bytes"]}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "file_bytes": sizes, **values}))


def the_error(capsys: pytest.CaptureFixture[str], index: Path) -> str:
    assert indexer(["info", str(index)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


def test_a_file_that_is_no_database_is_one_sentence(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (current_folder(index) / CASES).write_bytes(b"some text, and much of it. " * 400)
    restated(index)
    assert "is not the database of an index (file is not a database)" in the_error(capsys, index)
    assert indexer(["verify", str(index)]) == 1
    assert "file is not a database" in "".join(capsys.readouterr())


def test_a_database_that_is_damaged_further_down_is_one_sentence(index: Path) -> None:
    path = current_folder(index) / CASES
    pages = bytearray(path.read_bytes())
    for start in range(4096 * 2, len(pages), 4096):
        pages[start : start + 64] = b"\xff" * 64
    path.write_bytes(pages)
    with pytest.raises(UserError, match=r"is not the database of an index \(.*malformed"):
        list(CaseStore.open(path))


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (f"DROP TABLE cases; CREATE VIEW cases AS {ENDLESS}", "it has the view 'cases'"),
        ("CREATE VIEW other AS SELECT 1", "it has the view 'other'"),
        ("DROP TABLE labels", "it has no table 'labels'"),
        (
            "DROP TABLE labels; CREATE VIRTUAL TABLE labels USING fts5(case_id)",
            "'labels' is a virtual table",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON cases BEGIN DELETE FROM cases; END",
            "it has the trigger 't'",
        ),
        (
            "ALTER TABLE cases ADD COLUMN more TEXT AS (hex(zeroblob(id + 1000000000)))",
            "table 'cases' has computed columns",
        ),
    ],
)
def test_a_database_that_computes_is_refused(
    index: Path, statements: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(current_folder(index) / CASES)) as connection:
        connection.executescript(f"PRAGMA foreign_keys = OFF; {statements};")
    restated(index)
    assert says in the_error(capsys, index)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    CaseStore.create(tmp_path / CASES).close()
    engine = open_sqlite(tmp_path / CASES, read_only=True, prepare=guard)
    yield engine
    engine.dispose()


def test_a_query_without_end_is_stopped(engine: Engine) -> None:
    with engine.connect() as connection:
        for _ in range(2):
            with pytest.raises(UserError, match="a query of it does not end"):
                connection.exec_driver_sql(ENDLESS).all()
        assert connection.exec_driver_sql("SELECT count(*) FROM cases").scalar() == 0


def test_each_query_has_the_steps_that_the_file_can_need(engine: Engine) -> None:
    steps = LEAST_STEPS // 30  # of which each takes about 15
    with engine.connect() as connection:
        for _ in range(4):
            assert connection.exec_driver_sql(COUNTING.format(steps)).scalar() == steps


def test_a_nested_manifest_is_one_sentence(
    index: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for path in (index / MANIFEST, current_folder(index) / MANIFEST):
        kept = path.read_text()
        path.write_text(DEEP)
        assert "manifest.json cannot be read (nested too deeply)" in the_error(capsys, index)
        path.write_text(kept)
    (tmp_path / CONFIG).write_text(DEEP)
    with pytest.raises(UserError, match="nested too deeply"):
        read_config(tmp_path)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(DEEP)


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [[1]], {"a": {"b": []}}, True])
def test_a_manifest_with_values_of_another_type_is_refused(index: Path, value: Any) -> None:
    manifest = json.loads((current_folder(index) / MANIFEST).read_text())
    index = current_folder(index)
    for name in manifest:
        (index / MANIFEST).write_text(json.dumps({**manifest, name: value}))
        try:
            Index.open(index)
        except UserError as error:
            assert str(index) in str(error)


@pytest.mark.parametrize("folder", ["/etc", "../other", "versions/../../other", ".", 7])
def test_a_version_outside_the_index_is_refused(
    index: Path, folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(current_folder(index), index.parent / "other")
    manifest = json.loads((index / MANIFEST).read_text())
    (index / MANIFEST).write_text(json.dumps({**manifest, "folder": folder}))
    says = "outside the index" if folder != 7 else "not an index"
    assert says in the_error(capsys, index)


UNWRITABLE = Path("/sys")
"""Where nobody, not even root, can make a file."""


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is of Linux")
def test_a_read_only_disk_is_one_sentence(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = str(UNWRITABLE / "app.sqlite3")
    for argv in (
        ["serve", str(index), "--database", database],
        ["keys", "add", "ward", "--database", database],
        ["restore", str(tmp_path / "backup.sqlite3"), "--database", database],
        ["backup", database, "--database", str(tmp_path / "app.sqlite3")],
        ["backup", str(UNWRITABLE / "new" / "b"), "--database", str(tmp_path / "app.sqlite3")],
    ):
        AppDatabase.open(tmp_path / "app.sqlite3").close()
        if not (tmp_path / "backup.sqlite3").exists():
            back_up(tmp_path / "app.sqlite3", tmp_path / "backup.sqlite3")
        assert api(argv) == 1, argv
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1, argv


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_no_command_ends_with_a_traceback_because_of_the_disk(number: int) -> None:
    code = (
        "from indexer.cli.parser import run\n"
        f"def main(): raise OSError({number}, 'no', 'data/place')\n"
        "run(main)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: data/place cannot be used (no): ")
    assert ran.stderr.count("\n") == 1
