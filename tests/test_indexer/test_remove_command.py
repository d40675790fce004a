"""``indexer remove``: consent withdrawn, from index and reports, and what is left."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from db.app.backup import back_up
from generator.mllama.adapter_record import AdapterRecord
from indexer.__main__ import main
from indexer.build import add, build
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from indexer.vectors.stored import StoredVectors
from indexer.verify import verify
from indexer.versions import Versions
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.service.services import an_app

PATIENT = "zebrafinch"
WORDS = ("quetzal", "Quetzal")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An index of two versions that hold the patient, and one before them that does not."""
    studies = write_studies(tmp_path / "in", 9)
    lines = [json.loads(line) for line in studies.read_text().splitlines()]
    for number, name in ((4, "qsix"), (5, "qsev")):
        lines[number] |= {"study_id": name, "patient_id": PATIENT}
        lines[number]["findings"] = f"A quetzal feather lies {number} cm over the apex."
    for name, some in (("before", lines[:3]), ("with", lines[:7]), ("all", lines)):
        (tmp_path / "in" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)))
    index = tmp_path / "data" / "index"
    build(JsonLines(tmp_path / "in" / "before.jsonl"), ThumbnailEncoder(), index)
    adapter(tmp_path / "runs" / "blameless", Index.open(index).manifest.fingerprint)
    for name in ("with", "all"):
        add(JsonLines(tmp_path / "in" / f"{name}.jsonl"), ThumbnailEncoder(), index, keep=3)
    return tmp_path


def adapter(folder: Path, fingerprint: str) -> None:
    folder.mkdir(parents=True)
    AdapterRecord(
        base_model="tiny",
        base_sha256="0" * 64,
        prompt_version="p",
        index_fingerprint=fingerprint,
        encoder_sha256=None,
        data_sha256="1" * 64,
        config={},
        packages={},
    ).save(folder)


@contextmanager
def service(root: Path) -> Iterator[TestClient[Any]]:
    retriever: Any = Retriever.open(root / "data" / "index", ThumbnailEncoder())
    app = an_app(root / "data", retriever)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def generation(root: Path) -> str:
    """The id of a report about the patient's own image, which cites him, and was edited."""
    with service(root) as client:
        images = {"images": ("image.png", (root / "in" / "4.png").read_bytes())}
        made = client.post("/reports", files=images, data={"keep_near_duplicates": "true"}).json()
        said = made["statements"][0]["text"]
        assert "quetzal" in said
        remark = {"kind": "edited", "text": f"An edit. {said} Done.", "comment": f"As in {said}"}
        answer = client.post(f"/generations/{made['id']}/feedback", json=remark)
        assert answer.status_code == 201, answer.text
        return str(made["id"])


def grep(places: Iterable[Path], words: Iterable[str]) -> list[str]:
    command = ["grep", "-rlaF", *(part for word in words for part in ("-e", word))]
    found = subprocess.run(
        [*command, *map(str, places)], capture_output=True, text=True, check=False
    )
    return found.stdout.splitlines()


def his_case(index_dir: Path) -> int:
    return next(case.case_id for case in Index.open(index_dir).cases if case.study_id == "qsix")


def remove(root: Path, *more: str) -> int:
    look_in = ("--look-in", str(root / "runs"), "--look-in", str(root / "backups"))
    return main(
        [
            "remove",
            str(root / "data" / "index"),
            "--patient",
            PATIENT,
            *look_in,
            "--keep",
            "3",
            *more,
        ]
    )


def test_a_patient_is_removed_from_index_and_database(
    root: Path, generation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    index, database = root / "data" / "index", root / "data" / "app.sqlite3"
    vector = Index.open(index).vectors.vector(his_case(index))
    assert grep([index], (PATIENT, *WORDS)) and grep([database], WORDS)
    assert remove(root, "--db", str(database), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["removed"]["cases"] == 2 and told["removed"]["rewritten"] == [2, 3]
    assert told["withdrawn"] | {"own": []} == {
        "quotes": 2,
        "statements": 2,
        "generations": 1,
        "own": [],
    }
    assert told["withdrawn"]["own"] == [generation]
    beside = list((root / "data").glob("app.sqlite3*"))
    assert grep([index, *beside], (PATIENT, *WORDS)) == []
    assert verify(index) == []
    for folder in Versions(index).kept():
        kept = Index.open(folder)
        assert {case.patient_id for case in kept.cases}.isdisjoint({PATIENT})
        assert kept.vectors.search(vector, 9)[1][0] < 0.9999
    with service(root) as client:
        images = {"images": ("image.png", (root / "in" / "4.png").read_bytes())}
        search = client.post(
            "/searches", files=images, data={"keep_near_duplicates": "true"}
        ).json()
        assert "quetzal" not in json.dumps(search) and "qsix" not in json.dumps(search)
        stays = client.get(f"/generations/{generation}").json()
        assert stays["statements"][0]["text"] == "withdrawn"
        assert stays["statements"][0]["citations"][0]["quote"] == "withdrawn"
        assert len(stays["statements"]) == 4 and stays["text"].count("withdrawn") == 2
        [remark] = client.get(f"/generations/{generation}/feedback").json()
        assert (remark["text"], remark["comment"]) == (
            "An edit. withdrawn. Done.",
            "As in withdrawn.",
        )


def test_other_files_with_the_patient_are_listed(
    root: Path, generation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    index, database = root / "data" / "index", root / "data" / "app.sqlite3"
    _, *held_by = [kept.fingerprint for kept in Versions(index).kept().values()]
    adapter(root / "runs" / "older", held_by[0])
    adapter(root / "runs" / "newer", held_by[1])
    record = {"about": {"indexes": ["0" * 64, held_by[1]]}}
    (root / "runs" / "outputs.jsonl").write_text("{}\n" * 600_000 + json.dumps(record))
    (root / "runs" / "notes.json").write_text(json.dumps({"about": "f" * 64}))
    back_up(database, root / "data" / "app.backup")
    shutil.copytree(Versions(index).current() or index, root / "data" / "copy")
    StoredVectors.write(root / "backups" / "vectors", Index.open(index))
    build(JsonLines(root / "in" / "before.jsonl"), ThumbnailEncoder(), root / "data" / "other")
    with tarfile.open(root / "backups" / "all.tar.gz", "w:gz") as archive:
        archive.add(root / "in" / "before.jsonl")
    assert remove(root, "--db", str(database)) == 0
    told = capsys.readouterr().out
    assert "2 quotes and 2 statements withdrawn in 1 generations" in told
    assert f"written about these images, and still there: {generation}" in told
    listed = dict(line.strip().split(": ", 1) for line in told.splitlines() if f"{root}/" in line)
    parts = ("made from", "made from", "made from", "a database", "another", "stored", "an archive")
    places = (
        *("runs/older/adapter_record.json", "runs/newer/adapter_record.json"),
        *("runs/outputs.jsonl", "data/app.backup", "data/copy/cases.sqlite"),
        *("backups/vectors/studies.json", "backups/all.tar.gz"),
    )
    assert listed.keys() == {str(root / place) for place in places}
    for place, part in zip(places, parts, strict=True):
        assert listed[str(root / place)].startswith(part), place


def test_removing_a_patient_requires_a_choice_about_the_database(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = root / "data" / "index"
    assert remove(root) == 1
    assert "name the application database with --db, or say --no-db" in capsys.readouterr().err
    assert remove(root, "--db", str(root / "none.sqlite3")) == 1
    assert "none.sqlite3 does not exist" in capsys.readouterr().err
    assert Index.open(index).manifest.version == 3 and grep([index], [PATIENT])
    assert remove(root, "--no-db") == 0
    assert grep([index], (PATIENT, *WORDS)) == []
    assert main(["remove", str(index), "--study", "s0"]) == 0
    assert "earlier versions that are kept still hold it" in capsys.readouterr().out
