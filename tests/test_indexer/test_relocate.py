"""An index and its images in another place."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from db.errors import UserError
from db.index.image_root import common_root, full_path, stored_path
from indexer.__main__ import main
from indexer.build import add, build
from indexer.index import Index
from indexer.manifest import Manifest
from indexer.merge import merge
from indexer.relocate import relocate
from indexer.sources.jsonl import JsonLines
from indexer.verify import verify
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph

NAMES = ("a/1.png", "b/2.png")


def write(folder: Path, *names: str, start: int = 0) -> JsonLines:
    """Studies with an image each, named ``s0`` and so on."""
    lines = []
    for number, name in enumerate(names, start=start):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_radiograph(number, size=(64, 64))).save(folder / name)
        lines.append(
            {"study_id": f"s{number}", "image": name, "text": f"Heart size is normal in {number}."}
        )
    (folder / "studies.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return JsonLines(folder / "studies.jsonl")


def paths(index_dir: Path) -> list[str]:
    index = Index.open(index_dir)
    found = [str(image.path) for case in index.cases for image in case.images]
    index.close()
    return found


def test_an_index_is_moved_with_its_images(tmp_path: Path) -> None:
    source = write(tmp_path / "old/xrays", *NAMES)
    build(source, ThumbnailEncoder(), tmp_path / "old/ix")
    assert paths(tmp_path / "old/ix") == [
        str(tmp_path / f"old/xrays/{n}") for n in ("a/1.png", "b/2.png")
    ]
    (tmp_path / "old").rename(tmp_path / "new")
    assert len(verify(tmp_path / "new/ix")) == 2
    moved = relocate(tmp_path / "new/ix", tmp_path / "new/xrays")
    assert (moved.images, moved.missing) == (2, 0)
    assert paths(tmp_path / "new/ix") == [
        str(tmp_path / f"new/xrays/{n}") for n in ("a/1.png", "b/2.png")
    ]
    assert verify(tmp_path / "new/ix", pixels=True) == []


def test_the_stored_paths_hold_no_folder_of_the_machine(tmp_path: Path) -> None:
    build(write(tmp_path / "in", "a/1.png", "b/2.png"), ThumbnailEncoder(), tmp_path / "ix")
    [cases] = (tmp_path / "ix").rglob("cases.sqlite")
    with sqlite3.connect(cases) as database:
        rows = database.execute("SELECT path FROM images ORDER BY id").fetchall()
    assert rows == [("./a/1.png",), ("./b/2.png",)]


def test_every_kept_version_is_relocated_and_a_folder_above_will_do(tmp_path: Path) -> None:
    first = write(tmp_path / "old/x/one", "1.png", "2.png")
    build(first, ThumbnailEncoder(), tmp_path / "ix")
    add(write(tmp_path / "old/x/two", "3.png", start=2), ThumbnailEncoder(), tmp_path / "ix")
    assert Manifest.read(tmp_path / "ix").image_root == str(tmp_path / "old/x")
    (tmp_path / "old").rename(tmp_path / "new")
    moved = relocate(tmp_path / "ix", tmp_path / "new")  # holds x, as old did
    assert moved.root == tmp_path / "new/x" and moved.missing == 0
    assert all(Path(path).is_file() for path in paths(tmp_path / "ix"))


def test_a_wrong_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    build(write(tmp_path / "in", "1.png", "2.png"), ThumbnailEncoder(), tmp_path / "ix")
    before = (tmp_path / "ix/manifest.json").read_bytes()
    with pytest.raises(UserError, match=r"none of the images: expected, .*elsewhere/1\.png; the"):
        relocate(tmp_path / "ix", tmp_path / "elsewhere")
    assert (tmp_path / "ix/manifest.json").read_bytes() == before


def test_merged_indexes_share_the_folder_above_their_images(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        source = write(tmp_path / name, f"{name}.png", f"more/{name}.png", start=2 * number)
        build(source, ThumbnailEncoder(), tmp_path / f"ix-{name}")
    merge([tmp_path / "ix-one", tmp_path / "ix-two"], tmp_path / "both")
    assert Manifest.read(tmp_path / "both").image_root == str(tmp_path)
    assert all(Path(path).is_file() for path in paths(tmp_path / "both"))
    assert verify(tmp_path / "both", pixels=True) == []


def test_an_index_of_format_3_keeps_its_paths_until_it_is_relocated(tmp_path: Path) -> None:
    build(write(tmp_path / "in", "1.png", "2.png"), ThumbnailEncoder(), tmp_path / "ix")
    [cases] = (tmp_path / "ix").rglob("cases.sqlite")
    with sqlite3.connect(cases) as database:
        database.execute("UPDATE images SET path = ? || substr(path, 2)", (str(tmp_path / "in"),))
    for path in (tmp_path / "ix").rglob("manifest.json"):
        values = json.loads(path.read_text())
        del values["image_root"]
        values["file_bytes"].pop("cases.sqlite")
        path.write_text(json.dumps({**values, "format_version": 3}))
    assert paths(tmp_path / "ix") == [str(tmp_path / "in/1.png"), str(tmp_path / "in/2.png")]
    shutil.copytree(tmp_path / "in", tmp_path / "there")
    moved = relocate(tmp_path / "ix", tmp_path / "there")
    assert moved.before == str(tmp_path / "in")
    assert paths(tmp_path / "ix") == [str(tmp_path / "there/1.png"), str(tmp_path / "there/2.png")]


def test_the_command_says_how_many_images_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(write(tmp_path / "in", "1.png", "2.png"), ThumbnailEncoder(), tmp_path / "ix")
    (tmp_path / "in/2.png").unlink()
    (tmp_path / "in").rename(tmp_path / "out")
    assert main(["relocate", str(tmp_path / "ix"), "--root", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert f"are in {tmp_path / 'out'}, no longer in {tmp_path / 'in'}" in printed
    assert "1 of 2 images found there" in printed


def test_a_root_is_a_folder_below_the_top_of_the_file_system() -> None:
    assert common_root([Path("/a/b/c"), Path("/a/b/d")]) == Path("/a/b")
    assert common_root([Path("/a/b"), Path("/c")]) is None and common_root([]) is None
    assert stored_path("/a/b/1.png", Path("/a")) == "./b/1.png"
    assert full_path("./b/1.png", Path("/c")) == "/c/b/1.png"
    for path in ("/other/1.png", "1.png", None):  # outside the root, a bare name, no image
        assert stored_path(path, Path("/a")) == path == full_path(path, Path("/c"))
