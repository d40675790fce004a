"""An index over time: added to, removed from, merged, verified, upgraded."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import faiss
import numpy as np
import pytest

from db.errors import MismatchError, NotFoundError, UserError
from db.index.store import CaseStore
from indexer.build import BuildResult, add, build
from indexer.encoder.weight_files import file_sha256
from indexer.index import Index
from indexer.ingest.batches import ALREADY_INDEXED, CONSENT_WITHDRAWN, REPORT_CHANGED
from indexer.manifest import FORMAT_VERSION, Manifest
from indexer.merge import merge
from indexer.remove import RemovalTarget, find, remove
from indexer.sources.jsonl import JsonLines
from indexer.upgrade import upgrade
from indexer.vectors.exact import ExactVectors, write_exact
from indexer.vectors.options import VectorOptions
from indexer.verify import verify
from indexer.versions import Versions, current_folder
from tests.conftest import ROOT
from tests.support.fakes import ThumbnailEncoder, write_studies


def some(studies: Path, first: int, last: int) -> Path:
    """The lines of studies ``first`` to ``last`` less one, beside their images."""
    path = studies.with_name(f"{first}-{last}.jsonl")
    path.write_text("\n".join(studies.read_text().splitlines()[first:last]) + "\n")
    return path


def made(lines: Path, index_dir: Path, name: str = "local") -> BuildResult:
    return build(JsonLines(lines, name=name), ThumbnailEncoder(), index_dir)


def extended(lines: Path, index_dir: Path, name: str = "local") -> BuildResult:
    return add(JsonLines(lines, name=name), ThumbnailEncoder(), index_dir)


def studies_of(index_dir: Path) -> list[str]:
    index = Index.open(index_dir)
    return [case.study_id for case in index.cases]


def grep(index_dir: Path, words: Iterable[str]) -> list[str]:
    found = []
    for word in words:
        result = subprocess.run(
            ["grep", "-rlaF", word, str(index_dir)], capture_output=True, text=True, check=False
        )
        found += result.stdout.splitlines()
    return found


def as_format_1(index_dir: Path, to: Path) -> None:
    """What the first format wrote of the same cases."""
    index = Index.open(index_dir)
    to.mkdir()
    shutil.copy(index.path / "cases.sqlite", to / "cases.sqlite")
    shutil.copy(index.path / "image_vectors.npy", to / "film_vectors.npy")
    ids, vectors = index.vectors.all()
    flat = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    flat.add_with_ids(vectors, ids)
    faiss.write_index(flat, str(to / "vectors.faiss"))
    old = index.manifest
    values = {
        name: value
        for name, value in asdict(old).items()
        if name in Manifest.__annotations__
        and name
        not in (
            "file_sha256",
            "version",
            "made_by",
            "contents",
            "vector_options",
            "vectors",
            "withdrawn",
            "history",
        )
    }
    values |= {
        "format_version": 1,
        "vectors_sha256": file_sha256(to / "vectors.faiss"),
        "file_bytes": {path.name: path.stat().st_size for path in to.iterdir()},
    }
    (to / "manifest.json").write_text(json.dumps(values))


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    return write_studies(tmp_path / "in", 12, per_patient=2)


def test_adding_in_two_steps_equals_building_at_once(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "whole")
    made(some(studies, 0, 5), tmp_path / "ix")
    built = extended(studies, tmp_path / "ix")
    assert built.added == 7 and {one.reason for one in built.skipped} == {ALREADY_INDEXED}
    one, other = Index.open(tmp_path / "ix"), Index.open(tmp_path / "whole")
    assert one.manifest.version == 2 and one.manifest.made_by == "add"
    assert one.manifest.fingerprint == other.manifest.fingerprint
    assert [c.study_id for c in one.cases] == [c.study_id for c in other.cases]
    assert np.array_equal(one.vectors.all()[1], other.vectors.all()[1])
    assert np.array_equal(one.image_vectors, other.image_vectors)
    assert verify(tmp_path / "ix", pixels=True) == []
    assert [past.version for past in one.manifest.history] == [1]


def test_a_profile_grows_and_shrinks_with_the_images(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", 130)
    made(some(studies, 0, 60), tmp_path / "ix")
    assert Index.open(tmp_path / "ix").manifest.image_quantiles is None
    extended(studies, tmp_path / "ix")
    made(studies, tmp_path / "whole")
    one, other = Index.open(tmp_path / "ix"), Index.open(tmp_path / "whole")
    assert one.manifest.image_quantiles is not None
    assert one.manifest.image_quantiles == other.manifest.image_quantiles
    grown = one.read_profile()
    at_once = other.read_profile()
    assert grown is not None and at_once is not None
    assert np.array_equal(grown.prototypes, at_once.prototypes)
    gone = tuple(f"s{number}" for number in range(40))
    remove(tmp_path / "ix", RemovalTarget(study_ids=gone))
    assert Index.open(tmp_path / "ix").manifest.images == 90
    made(some(studies, 40, 130), tmp_path / "rest")
    rest = Index.open(tmp_path / "rest").manifest
    assert Index.open(tmp_path / "ix").manifest.fingerprint == rest.fingerprint


def test_adding_nothing_new_makes_no_version(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    built = extended(studies, tmp_path / "ix")
    assert built.added == 0 and built.manifest.version == 1
    assert not (tmp_path / "ix" / ".building").exists()


def test_a_study_with_a_changed_report_is_skipped_and_listed(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    studies.write_text(studies.read_text().replace("enlarged", "large", 1))
    built = extended(studies, tmp_path / "ix")
    assert [one.study_id for one in built.skipped if one.reason == REPORT_CHANGED] == ["s0"]
    case = Index.open(tmp_path / "ix").cases.find("local", "s0")
    assert case is not None and "enlarged" in case.findings


def test_another_encoder_or_labeller_cannot_be_added(studies: Path, tmp_path: Path) -> None:
    made(some(studies, 0, 5), tmp_path / "ix")
    with pytest.raises(MismatchError, match="was built with encoder 'thumbnail'"):
        add(JsonLines(studies), ThumbnailEncoder("other", "1" * 64), tmp_path / "ix")
    top = tmp_path / "ix" / "manifest.json"
    for path in (top, current_folder(tmp_path / "ix") / "manifest.json"):
        path.write_text(path.read_text().replace('"rules-', '"older-'))
    with pytest.raises(MismatchError, match="was labelled by 'older-"):
        extended(studies, tmp_path / "ix")


def test_adding_needs_an_index(studies: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not an index"):
        extended(studies, tmp_path / "ix")
    assert not (tmp_path / "ix").exists()


def test_open_versions_stay_usable_and_old_ones_are_pruned(studies: Path, tmp_path: Path) -> None:
    made(some(studies, 0, 3), tmp_path / "ix")
    first = Index.open(tmp_path / "ix")
    extended(some(studies, 3, 5), tmp_path / "ix")
    assert [case.study_id for case in first.cases] == ["s0", "s1", "s2"]
    [old, new] = Versions(tmp_path / "ix").kept()
    assert studies_of(old) == ["s0", "s1", "s2"] and len(studies_of(new)) == 5
    extended(some(studies, 5, 7), tmp_path / "ix")
    assert [one.version for one in Versions(tmp_path / "ix").kept().values()] == [2, 3]
    add(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix", keep=1)
    assert [one.version for one in Versions(tmp_path / "ix").kept().values()] == [4]


def test_a_removed_study_stays_in_the_previous_version_only(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    removed = remove(tmp_path / "ix", RemovalTarget(study_ids=("s3", "s7")))
    assert removed.cases == 2 and removed.rewritten == ()
    assert studies_of(tmp_path / "ix") == [f"s{n}" for n in range(12) if n not in (3, 7)]
    [old, _] = Versions(tmp_path / "ix").kept()
    assert "s3" in studies_of(old)
    assert verify(tmp_path / "ix") == []


def test_a_removed_patient_is_in_no_search_result_and_no_file(
    studies: Path, tmp_path: Path
) -> None:
    lines = studies.read_text().splitlines()
    for number, name in ((4, "qsix"), (5, "qsev")):
        values = json.loads(lines[number]) | {"study_id": name, "patient_id": "zebrafinch"}
        lines[number] = json.dumps(values | {"impression": "Quetzal sign at the left apex."})
    studies.write_text("\n".join(lines))
    made(some(studies, 0, 6), tmp_path / "ix")
    extended(some(studies, 0, 9), tmp_path / "ix")
    extended(studies, tmp_path / "ix")
    index = Index.open(tmp_path / "ix")
    cases = find(tmp_path / "ix", RemovalTarget(patient_id="zebrafinch")).cases
    words = {"zebrafinch", "qsix", "qsev", "Quetzal"} | {
        str(i.path) for c in cases for i in c.images
    }
    words |= {image.pixels_sha256 for case in cases for image in case.images}
    vector = index.vectors.vector(cases[0].case_id)
    assert grep(tmp_path / "ix", words)
    (tmp_path / "ix" / ".building").mkdir()
    (tmp_path / "ix" / ".building" / "left").write_text("zebrafinch")
    removed = remove(tmp_path / "ix", RemovalTarget(patient_id="zebrafinch"), everywhere=True)
    assert removed.cases == 2 and set(removed.rewritten) == {2, 3}
    assert grep(tmp_path / "ix", words) == []
    for folder in Versions(tmp_path / "ix").kept():
        kept = Index.open(folder)
        ids, scores = kept.vectors.search(vector, 12)
        assert scores[0] < 0.9999
        assert not {case.patient_id for case in kept.cases.get(ids.tolist())} & {"zebrafinch"}
    assert [one.version for one in Versions(tmp_path / "ix").kept().values()] == [2, 4]
    assert verify(tmp_path / "ix") == []


def test_a_removed_patient_is_not_added_again(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    remove(tmp_path / "ix", RemovalTarget(patient_id="p2"), everywhere=True)
    built = extended(studies, tmp_path / "ix")
    assert [one.study_id for one in built.skipped if one.reason == CONSENT_WITHDRAWN] == [
        "s4",
        "s5",
    ]
    assert built.added == 0
    again = made(studies, tmp_path / "ix")
    assert again.manifest.skipped == {CONSENT_WITHDRAWN: 2} and again.manifest.studies == 10
    made(studies, tmp_path / "full", name="local")
    merged = merge([tmp_path / "ix", tmp_path / "full"], tmp_path / "both")
    assert merged.withdrawn == 2 and merged.manifest.studies == 10


def test_removing_an_unknown_study_is_an_error(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    for target in (RemovalTarget(patient_id="nobody"), RemovalTarget(study_ids=("none",))):
        with pytest.raises(NotFoundError, match="holds"):
            remove(tmp_path / "ix", target)
        with pytest.raises(NotFoundError, match="no kept version"):
            find(tmp_path / "ix", target)
    with pytest.raises(UserError, match="--patient, or some studies"):
        RemovalTarget()
    with pytest.raises(UserError, match="no study would be left"):
        remove(tmp_path / "ix", RemovalTarget(study_ids=tuple(f"s{n}" for n in range(12))))
    assert Index.open(tmp_path / "ix").manifest.version == 1


def test_an_id_that_two_sources_have_needs_its_source(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    extended(studies, tmp_path / "ix", name="ward")
    with pytest.raises(UserError, match=r"'p1' is an id in local and in ward: .*--source"):
        remove(tmp_path / "ix", RemovalTarget(patient_id="p1"), everywhere=True)
    remove(tmp_path / "ix", RemovalTarget(patient_id="p1", source="ward"), everywhere=True)
    index = Index.open(tmp_path / "ix")
    assert index.manifest.source == "local+ward"
    assert set(index.cases.sources_of(patient_id="p1")) == {"local"}


HOLD = """
import sys, time
from pathlib import Path
from indexer.versions import changing

with changing(Path(sys.argv[1]), "adding to", cure="none"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_every_change_is_refused_while_another_process_holds_the_lock(
    studies: Path, tmp_path: Path
) -> None:
    index = tmp_path / "ix"
    made(some(studies, 0, 6), index)
    made(some(studies, 6, 12), tmp_path / "other")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(index)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        message = rf"process {process.pid} is at work: adding to .*ix, since \d\d:\d\d UTC: wait"
        changes: list[Callable[[], object]] = [
            lambda: made(studies, index),
            lambda: extended(studies, index),
            lambda: remove(index, RemovalTarget(patient_id="p1"), everywhere=True),
            lambda: merge([index, tmp_path / "other"], index),
        ]
        for change in changes:
            with pytest.raises(UserError, match=message):
                change()
        assert Index.open(index).manifest.version == 1 and verify(index) == []
        process.kill()
    assert extended(studies, index).added == 6  # the lock falls with its process


def test_merging_equals_adding(studies: Path, tmp_path: Path) -> None:
    made(some(studies, 0, 7), tmp_path / "a")
    made(some(studies, 5, 12), tmp_path / "b")
    made(studies, tmp_path / "whole")
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert merged.repeated == 2 and merged.manifest.studies == 12
    one, other = Index.open(tmp_path / "both"), Index.open(tmp_path / "whole")
    assert one.manifest.fingerprint == other.manifest.fingerprint
    by_study = {case.study_id: case.case_id for case in other.cases}
    for case in one.cases:
        mine, theirs = one.vectors.vector(case.case_id), by_study[case.study_id]
        assert np.array_equal(mine, other.vectors.vector(theirs))
    assert verify(tmp_path / "both") == []
    assert studies_of(tmp_path / "a") == [f"s{n}" for n in range(7)]


def test_indexes_that_do_not_belong_together_are_not_merged(studies: Path, tmp_path: Path) -> None:
    made(some(studies, 0, 7), tmp_path / "a")
    build(JsonLines(studies), ThumbnailEncoder("other", "1" * 64), tmp_path / "b")
    with pytest.raises(MismatchError, match="was built with encoder"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    studies.write_text(studies.read_text().replace("enlarged", "large", 1))
    made(studies, tmp_path / "c")
    with pytest.raises(UserError, match="study s0 of source 'local' differs between"):
        merge([tmp_path / "a", tmp_path / "c"], tmp_path / "both")
    with pytest.raises(UserError, match="two indexes"):
        merge([tmp_path / "a"], tmp_path / "both")


def test_later_versions_keep_the_requested_index_type(studies: Path, tmp_path: Path) -> None:
    options = VectorOptions(type="ivf")
    build(JsonLines(some(studies, 0, 8)), ThumbnailEncoder(), tmp_path / "ix", options=options)
    assert Index.open(tmp_path / "ix").manifest.vectors.type == "ivf"
    extended(studies, tmp_path / "ix")
    remove(tmp_path / "ix", RemovalTarget(patient_id="p0"), everywhere=True)
    manifest = Index.open(tmp_path / "ix").manifest
    assert manifest.vectors.type == "ivf" and manifest.vector_options == options
    assert verify(tmp_path / "ix") == []


def test_verify_names_what_is_wrong(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    folder = current_folder(tmp_path / "ix")

    def problems(pixels: bool = False) -> str:
        return "\n".join(one.what for one in verify(tmp_path / "ix", pixels=pixels))

    assert problems(pixels=True) == ""
    image = tmp_path / "in" / "3.png"
    whole = image.read_bytes()
    image.write_bytes((tmp_path / "in" / "4.png").read_bytes())
    assert problems() == ""
    assert "image 1 of study s3" in problems(pixels=True) and "no longer" in problems(pixels=True)
    image.unlink()
    assert "image 1 of study s3" in problems() and "not at its indexed path" in problems()
    image.write_bytes(whole)
    path = folder / "vectors.faiss"
    kept = path.read_bytes()
    ids, vectors = ExactVectors.open(path).all()
    write_exact(path, ids, [np.roll(vectors, 1, axis=0)])
    assert "vectors.faiss was changed" in problems()
    assert "not those described by the manifest" in problems()
    write_exact(path, ids, [2 * vectors])
    assert "the vector of case 0 is not of length 1" in problems()
    path.write_bytes(kept)
    assert problems() == ""
    with CaseStore.create(folder / "cases.sqlite") as cases:
        cases.remove_from(11)
    assert "there are 12 vectors and 11 cases" in problems()
    (folder / "image_vectors.npy").unlink()
    assert "image_vectors.npy is missing" in problems()


def test_verify_names_a_damaged_database_and_a_fingerprint_of_other_contents(
    studies: Path, tmp_path: Path
) -> None:
    made(studies, tmp_path / "ix")
    folder = current_folder(tmp_path / "ix")
    stated = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(stated | {"fingerprint": "0" * 64}))
    assert "the fingerprint in the manifest" in "\n".join(p.what for p in verify(tmp_path / "ix"))
    (folder / "manifest.json").write_text(json.dumps(stated))
    assert verify(tmp_path / "ix") == []
    database = bytearray((folder / "cases.sqlite").read_bytes())
    database[4096 + 8 : 4096 + 64] = b"\xff" * 56
    (folder / "cases.sqlite").write_bytes(database)
    told = "\n".join(p.what for p in verify(tmp_path / "ix"))
    assert "cases.sqlite" in told


def test_the_first_format_opens_and_is_upgraded(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "new")
    as_format_1(tmp_path / "new", tmp_path / "old")
    old = Index.open(tmp_path / "old")
    assert old.manifest.format_version == 1 and old.manifest.version == 1
    assert verify(tmp_path / "old") == []
    query = old.vectors.vector(5)
    assert old.vectors.search(query, 1)[0].tolist() == [5]
    manifest = upgrade(tmp_path / "old")
    assert (
        manifest is not None and manifest.format_version == FORMAT_VERSION and manifest.version == 2
    )
    new, same = Index.open(tmp_path / "old"), Index.open(tmp_path / "new")
    assert new.manifest.fingerprint == same.manifest.fingerprint
    assert np.array_equal(new.vectors.all()[1], same.vectors.all()[1])
    assert {path.name for path in (tmp_path / "old").iterdir()} == {
        "manifest.json",
        "versions",
        ".lock",
    }
    [first, _] = Versions(tmp_path / "old").kept()
    assert Index.open(first).manifest.format_version == 1
    assert upgrade(tmp_path / "old") is None
    assert verify(tmp_path / "old") == []


def test_the_first_format_is_changed_like_any_other(studies: Path, tmp_path: Path) -> None:
    made(some(studies, 0, 9), tmp_path / "new")
    as_format_1(tmp_path / "new", tmp_path / "old")
    extended(studies, tmp_path / "old")
    made(studies, tmp_path / "whole")
    whole = Index.open(tmp_path / "whole").manifest
    assert Index.open(tmp_path / "old").manifest.fingerprint == whole.fingerprint
    remove(tmp_path / "old", RemovalTarget(patient_id="p2"), everywhere=True)
    assert grep(tmp_path / "old", ['"p2"', "/4.png"]) == []
    for folder in Versions(tmp_path / "old").kept():
        assert "s4" not in studies_of(folder)


def test_a_newer_format_is_refused(studies: Path, tmp_path: Path) -> None:
    made(studies, tmp_path / "ix")
    folder = current_folder(tmp_path / "ix")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(
        text.replace('"format_version": 4', '"format_version": 9')
    )
    with pytest.raises(MismatchError, match="has index format 9, but this program reads 1 to 4"):
        Index.open(tmp_path / "ix")


def test_other_files_in_the_directory_are_left_alone(studies: Path, tmp_path: Path) -> None:
    made(some(studies, 0, 9), tmp_path / "new")
    as_format_1(tmp_path / "new", tmp_path / "old")
    (tmp_path / "old" / "NOTES.txt").write_text("mine")
    upgrade(tmp_path / "old")
    assert (tmp_path / "old" / "NOTES.txt").read_text() == "mine"
