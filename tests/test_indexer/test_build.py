"""Building an index: what is written, what is left out, and what survives an interruption."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from db.errors import MismatchError, NotFoundError, UserError
from db.files import locked
from indexer.build import Progress, build
from indexer.cli.output import built_lines
from indexer.index import Index
from indexer.ingest.batches import STUDIES_PER_BATCH
from indexer.remove import RemovalTarget, remove
from indexer.sources.jsonl import JsonLines
from indexer.sources.own_table import OwnTable
from indexer.versions import current_folder
from tests.support.dicoms import write_dicom
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph
from tests.support.warm_python import WarmPython

COUNT = 3 * STUDIES_PER_BATCH + 5

SLOW_BUILD = """
import sys, time
from pathlib import Path
from indexer.build import Progress, build
from indexer.remove import RemovalTarget, remove
from indexer.sources.jsonl import JsonLines
from indexer.sources.own_table import OwnTable
from tests.support.fakes import ThumbnailEncoder

class Slow(ThumbnailEncoder):
    def embed_images(self, images):
        time.sleep(0.3)
        return super().embed_images(images)

build(JsonLines(Path(sys.argv[1])), Slow(), Path(sys.argv[2]))
"""

BUILD_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from db.errors import UserError
from indexer.build import Progress, build
from indexer.remove import RemovalTarget, remove
from indexer.sources.jsonl import JsonLines
from indexer.sources.own_table import OwnTable
from tests.support.fakes import ThumbnailEncoder

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))  # as if space ran out
try:
    build(JsonLines(Path(sys.argv[1])), ThumbnailEncoder(), Path(sys.argv[2]))
except UserError as error:
    sys.exit(f"error: {error}")
"""


def folder(index_dir: Path) -> Path:
    return current_folder(index_dir)


def files(index_dir: Path) -> set[str]:
    return {path.name for path in folder(index_dir).iterdir()}


def test_an_index_holds_every_study_with_its_report_labels_and_image(tmp_path: Path) -> None:
    built = build(JsonLines(write_studies(tmp_path / "in", 5)), ThumbnailEncoder(), tmp_path / "ix")
    index = Index.open(tmp_path / "ix")
    assert files(tmp_path / "ix") == {
        "manifest.json",
        "vectors.faiss",
        "cases.sqlite",
        "image_vectors.npy",
        "thumbnail_sample.safetensors",
    }
    assert {path.name for path in (tmp_path / "ix").iterdir()} == {
        "build.log",
        "manifest.json",
        "versions",
        ".lock",
    }
    assert built.manifest.studies == index.manifest.studies == index.cases.count() == 5
    case = index.cases.find("local", "s0")
    assert case is not None
    assert case.findings == "The heart is enlarged. The lungs are clear."
    assert case.sentences[0].text == "The heart is enlarged."
    assert case.labels["Cardiomegaly"] == "positive"
    assert case.sentences[0].labels["Cardiomegaly"] == "positive"
    assert case.images[0].path is not None and Path(case.images[0].path).is_file()
    assert (case.images[0].height, case.images[0].width) == (96, 80)


def test_a_killed_build_resumes_and_gives_the_same_bytes(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    studies = write_studies(tmp_path / "in", COUNT)
    build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "whole")
    killed = tmp_path / "killed"
    process = warm_python.start(
        "-c", SLOW_BUILD, str(studies), str(killed), output=tmp_path / "output.txt"
    )
    second_batch = killed / ".building" / "batches" / "batch-000001.npz"
    deadline = time.monotonic() + 60
    while not second_batch.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.end(signal.SIGKILL) == -signal.SIGKILL
    assert second_batch.exists()
    with pytest.raises(NotFoundError, match="is not an index"):
        Index.open(killed)

    built = build(JsonLines(studies), ThumbnailEncoder(), killed)
    assert built.resumed_batches >= 2
    for name in ("vectors.faiss", "image_vectors.npy", "thumbnail_sample.safetensors"):
        whole = folder(tmp_path / "whole") / name
        assert (folder(killed) / name).read_bytes() == whole.read_bytes()
    again, undisturbed = Index.open(killed), Index.open(tmp_path / "whole")
    assert again.manifest.fingerprint == undisturbed.manifest.fingerprint
    assert [c.study_id for c in again.cases] == [f"s{n}" for n in range(COUNT)]


class StopAfter:
    """A bar that interrupts a build after some images."""

    def __init__(self, images: int) -> None:
        self.left = images

    @classmethod
    def of(cls, images: int) -> Progress:
        return lambda _total, _done: cls(images)

    def update(self, n: float | None = 1, /) -> None:
        self.left -= int(n or 0)
        if self.left <= 0:
            raise KeyboardInterrupt


def test_cases_of_an_interrupted_batch_are_not_duplicated(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", COUNT)

    with pytest.raises(KeyboardInterrupt):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix", progress=StopAfter.of(32))
    # As if it had died between the database and the file of its second batch.
    (tmp_path / "ix" / ".building" / "batches" / "batch-000001.npz").unlink()
    built = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    assert built.resumed_batches == 1
    assert [c.study_id for c in Index.open(tmp_path / "ix").cases] == [
        f"s{n}" for n in range(COUNT)
    ]


def test_unfinished_work_on_other_data_is_discarded(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", COUNT)

    with pytest.raises(KeyboardInterrupt):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix", progress=StopAfter.of(16))
    lines = studies.read_text().splitlines()
    lines[0] = lines[0].replace("enlarged", "large")
    studies.write_text("\n".join(lines))
    built = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    assert built.resumed_batches == 0
    case = Index.open(tmp_path / "ix").cases.find("local", "s0")
    assert case is not None and "large" in case.findings


def test_the_old_index_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", 3)
    build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    before = (tmp_path / "ix" / "manifest.json").read_bytes()
    (tmp_path / "in" / "studies.jsonl").write_text("not json\n")
    with pytest.raises(UserError, match="line 1"):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    assert (tmp_path / "ix" / "manifest.json").read_bytes() == before
    assert Index.open(tmp_path / "ix").manifest.studies == 3


def test_studies_without_image_or_report_are_skipped_counted_and_named(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", 2)
    (tmp_path / "in" / "text.png").write_text("no picture")
    extra = [
        {"study_id": "no-image", "text": "Lungs are clear."},
        {"study_id": "no-text", "image": "0.png"},
        {"study_id": "bad-image", "image": "text.png", "text": "Lungs are clear."},
        {"study_id": "missing", "image": "nowhere.png", "text": "Lungs are clear."},
    ]
    with studies.open("a") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in extra)
    built = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    assert built.manifest.studies == 2
    assert built.manifest.skipped == {
        "no image": 1,
        "report without findings or impression": 1,
        "unreadable image": 1,
        "image missing": 1,
    }
    details = {study.study_id: study.detail for study in built.skipped}
    assert set(details) == {"no-image", "no-text", "bad-image", "missing"}
    assert "text.png" in details["bad-image"]
    assert built.not_indexed.summary() == (
        "6 studies: 1 image missing, 1 image unreadable, 2 studies skipped without a readable "
        "image, 1 skipped (no image), 1 skipped (report without findings or impression)"
    )
    log = (tmp_path / "ix" / "build.log").read_text().splitlines()
    assert log[0].startswith("build 2") and log[0].endswith(built.not_indexed.summary())
    assert [line.partition(": ")[0] for line in log[1:]] == [
        "unreadable image",
        "image missing",
        *["study skipped"] * 4,
    ]
    assert "image missing: study missing: " in "\n".join(log) and "nowhere.png" in "\n".join(log)


def test_a_study_keeps_the_images_that_can_be_read(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", 1)
    with studies.open("a") as stream:
        study = {"study_id": "two", "images": ["0.png", "nowhere.png"], "text": "Clear lungs."}
        stream.write(json.dumps(study) + "\n")
    built = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    case = Index.open(tmp_path / "ix").cases.find("local", "two")
    assert case is not None and [Path(str(one.path)).name for one in case.images] == ["0.png"]
    assert built.not_indexed.summary() == "2 studies: 1 image missing"


def test_progress_counts_images_and_goes_on_where_a_build_was_interrupted(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", COUNT)
    with pytest.raises(KeyboardInterrupt):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix", progress=StopAfter.of(32))
    begun: list[tuple[int, int]] = []
    bar = StopAfter(1000)

    def progress(total: int, done: int) -> StopAfter:
        begun.append((total, done))
        return bar

    build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix", progress=progress)
    assert begun == [(COUNT, 32)] and bar.left == 1000 - (COUNT - 32)


def test_repeated_rows_of_a_table_are_counted_and_listed(tmp_path: Path) -> None:
    write_studies(tmp_path / "in", 2)
    rows = ["study_id,image,text", "a,0.png,Clear lungs.", "b,1.png,Large.", "a,0.png,Clear lungs."]
    (tmp_path / "in/t.csv").write_text("\n".join(rows))
    built = build(OwnTable(tmp_path / "in/t.csv"), ThumbnailEncoder(), tmp_path / "ix")
    assert built.not_indexed.summary() == "3 rows, 2 studies: 1 duplicate row"
    assert "t.csv, line 4" in built.log.read_text()
    remove(tmp_path / "ix", RemovalTarget(study_ids=("a",)), everywhere=True)
    assert not built.log.exists()  # it may name the study


def test_a_source_without_an_indexable_study_is_an_error(tmp_path: Path) -> None:
    studies = tmp_path / "studies.jsonl"
    studies.write_text('{"image": "nowhere.png", "text": "Lungs are clear."}\n')
    with pytest.raises(UserError, match=r"none of the 1 studies.*nowhere\.png"):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    assert not (tmp_path / "ix" / "manifest.json").exists()


def test_a_second_build_of_the_same_index_is_refused(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", 2)
    (tmp_path / "ix").mkdir()
    with (
        locked(tmp_path / "ix" / ".lock", "adding to it"),
        pytest.raises(
            UserError, match=r"process \d+ is at work: adding to it, since \d\d:\d\d UTC"
        ),
    ):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")


def test_a_full_disk_keeps_the_old_index_and_finished_batches(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    studies = write_studies(tmp_path / "in", COUNT)
    build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    old = (tmp_path / "ix" / "manifest.json").read_bytes()
    lines = studies.read_text().splitlines()
    studies.write_text("\n".join(line.replace("clear", "quite clear") for line in lines))
    code, said = warm_python.run("-c", BUILD_ON_A_FULL_DISK, str(studies), str(tmp_path / "ix"))
    assert code == 1, said
    assert "cannot be written" in said and "Traceback" not in said
    assert (tmp_path / "ix" / "manifest.json").read_bytes() == old
    built = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "ix")
    assert built.manifest.studies == COUNT


def test_an_index_without_manifest_or_with_a_damaged_part_is_refused(tmp_path: Path) -> None:
    build(JsonLines(write_studies(tmp_path / "in", 3)), ThumbnailEncoder(), tmp_path / "ix")
    for name, error in (
        ("manifest.json", NotFoundError),
        ("vectors.faiss", NotFoundError),
        ("cases.sqlite", NotFoundError),
        ("image_vectors.npy", NotFoundError),
    ):
        broken = tmp_path / f"without-{name}"
        shutil.copytree(folder(tmp_path / "ix"), broken)
        (broken / name).unlink()
        with pytest.raises(error):
            Index.open(broken)
    for name in (
        "manifest.json",
        "vectors.faiss",
        "cases.sqlite",
        "image_vectors.npy",
    ):
        broken = tmp_path / f"damaged-{name}"
        shutil.copytree(folder(tmp_path / "ix"), broken)
        whole = (broken / name).read_bytes()
        (broken / name).write_bytes(whole[: len(whole) // 3])
        with pytest.raises(UserError):
            Index.open(broken)


def test_an_index_and_cases_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    build(JsonLines(write_studies(tmp_path / "a", 3)), ThumbnailEncoder(), tmp_path / "ix3")
    build(JsonLines(write_studies(tmp_path / "b", 4)), ThumbnailEncoder(), tmp_path / "ix4")
    shutil.copy(folder(tmp_path / "ix4") / "cases.sqlite", folder(tmp_path / "ix3"))
    with pytest.raises(MismatchError, match="3 studies"):
        Index.open(tmp_path / "ix3")


def test_an_index_of_another_encoder_is_refused_with_the_cure(tmp_path: Path) -> None:
    build(JsonLines(write_studies(tmp_path / "in", 3)), ThumbnailEncoder(), tmp_path / "ix")
    with pytest.raises(MismatchError, match="--encoder thumbnail"):
        Index.open(tmp_path / "ix").require(ThumbnailEncoder("other", "1" * 64))


def test_equal_content_has_an_equal_fingerprint_wherever_it_is_built(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build(
            JsonLines(write_studies(tmp_path / name / "in", 3)),
            ThumbnailEncoder(),
            tmp_path / name / "ix",
        )
    a, b = (Index.open(tmp_path / name / "ix").manifest for name in ("a", "b"))
    assert a.fingerprint == b.fingerprint
    (tmp_path / "a" / "in" / "1.png").unlink()
    Image.new("L", (90, 90), 7).save(tmp_path / "a" / "in" / "1.png")
    studies = JsonLines(tmp_path / "a" / "in" / "studies.jsonl")
    assert build(studies, ThumbnailEncoder(), tmp_path / "c").manifest.fingerprint != a.fingerprint


def test_a_read_only_directory_is_reported_in_one_sentence(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "in", 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "file" / "ix")
    assert (tmp_path / "file").read_text() == ""


def test_what_was_noted_on_images_is_told_with_the_studies(tmp_path: Path) -> None:
    rows = []
    for number, told in enumerate(("YES", "NO", "YES")):
        pixels = draw_radiograph(number, size=(96, 80))
        write_dicom(tmp_path / f"{number}.dcm", pixels, BurnedInAnnotation=told)
        report = {"study_id": f"s{number}", "image": f"{number}.dcm", "findings": "Clear lungs."}
        rows.append(json.dumps(report))
    (tmp_path / "studies.jsonl").write_text("\n".join(rows))
    built = build(JsonLines(tmp_path / "studies.jsonl"), ThumbnailEncoder(), tmp_path / "index")
    lines = "\n".join(built_lines(built, tmp_path / "index"))
    assert "2 studies: an image: text burned into the image" in lines
    assert "s0, s2" in lines
