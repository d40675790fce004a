"""The audit of a data set: what it finds in a small set made for these tests, and in Open-I."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import UserError
from indexer.__main__ import main
from indexer.audit.result import Audit
from indexer.audit.run import audit, write_audit
from indexer.audit.text import IDENTIFIER_PATTERNS, has_comparison, identifier_kinds, words_digest
from indexer.build import build
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from indexer.sources.openi import OpenI
from indexer.sources.records import Record, read_split
from tests.support.dicoms import write_dicom
from tests.support.fakes import ReportEncoder, ThumbnailEncoder
from tests.support.radiographs import draw_radiograph


def write_set(folder: Path, studies: list[dict[str, object]], *, plain: int = 30) -> Path:
    """``studies`` and, for them to stand out from, ``plain`` ordinary ones; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = list(studies)
    for seed in range(plain):
        Image.fromarray(draw_radiograph(seed, size=(128, 104))).save(folder / f"plain{seed}.png")
        lines.append(
            {
                "study_id": f"plain{seed}",
                "patient_id": f"p{seed}",
                "image": f"plain{seed}.png",
                "view_position": "PA",
                "findings": f"Heart number {seed} is of usual size.",
                "impression": "Usual.",
                "split": "train",
            }
        )
    (folder / "s.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return folder / "s.jsonl"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    image = draw_radiograph(100, size=(128, 104))
    Image.fromarray(image).save(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())  # the same file
    Image.fromarray(image).save(folder / "c.bmp")  # the same pixels
    small = Image.fromarray(image).resize((90, 110))
    Image.fromarray((np.asarray(small) * 0.8).astype(np.uint8)).save(folder / "d.jpg")  # near
    (folder / "bad.png").write_bytes(b"no image")
    Image.fromarray((draw_radiograph(101, size=(128, 104)) * 0.08).astype(np.uint8)).save(
        folder / "dark.png"
    )
    Image.fromarray(draw_radiograph(102, size=(600, 40))).save(folder / "narrow.png")
    write_dicom(
        folder / "named.dcm", draw_radiograph(103, size=(128, 104)), BurnedInAnnotation="YES"
    )
    front = {"view_position": "PA", "patient_id": "x"}
    return write_set(
        folder,
        [
            front | {"study_id": "a", "image": "a.png", "findings": "Big heart.", "split": "train"},
            front | {"study_id": "b", "image": "b.png", "findings": "BIG heart", "split": "test"},
            {"study_id": "c", "images": ["c.bmp", "bad.png"], "impression": "Fine."},
            front | {"study_id": "d", "image": "d.jpg", "findings": "Big  heart.", "split": "test"},
            {"study_id": "dark", "image": "dark.png", "labels": {"Edema": "uncertain"}},
            {
                "study_id": "said",
                "image": "narrow.png",
                "comparison": "Image of XXXX.",
                "findings": "Unchanged. Seen by Dr. Quixotic on 1/2/2020 at 10:30.",
            },
            {"study_id": "named", "image": "named.dcm", "findings": "Fine.", "comparison": "None."},
            {"study_id": "mute", "image": "a.png"},
            {"study_id": "blind", "findings": "No image."},
        ],
    )


@pytest.fixture(scope="module")
def found(odd: Path) -> Audit:
    return audit(JsonLines(odd))


def counted(found: Audit, part: str, name: str) -> int:
    return found.count(part, name).count


def test_usable_and_skipped_studies_are_counted(found: Audit) -> None:
    assert counted(found, "studies", "usable") == 37
    assert counted(found, "studies", "no image") == 1
    assert found.count("studies", "report without findings or impression").examples == ("mute",)
    assert counted(found, "studies", "with labels and no report") == 1
    assert counted(found, "studies", "in split test") == 2
    assert counted(found, "studies", "without a patient id") == 4
    assert counted(found, "sections", "comparison") == 2
    assert counted(found, "labels", "Edema: uncertain") == 1
    assert counted(found, "labels", "Edema: unmentioned") == 36
    assert counted(found, "labels", "Edema: negative") == 0


def test_a_study_without_a_readable_image_is_not_usable(tmp_path: Path) -> None:
    Image.fromarray(draw_radiograph(1, size=(64, 64))).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_text("no image")
    lines = [
        {"study_id": study, "images": images, "text": "The lungs are clear."}
        for study, images in (
            ("good", ["a.png"]), ("half", ["a.png", "gone.png"]), ("bad", ["bad.png"]),
            ("gone", ["gone.png"]),
        )
    ]  # fmt: skip
    (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = audit(JsonLines(tmp_path / "s.jsonl"))
    assert counted(found, "studies", "usable") == 2
    assert found.count("studies", "unreadable image").examples == ("bad",)
    assert found.count("studies", "image missing").examples == ("gone",)
    assert counted(found, "images", "missing") == 2
    assert counted(found, "images", "that cannot be read") == 1


def test_charts_show_what_was_counted(found: Audit) -> None:
    bars = {plot.name: {bar.name: bar.count for bar in plot.bars} for plot in found.plots}
    assert bars["Images by view"]["PA"] == 34
    assert sum(bars["Images by mean grey level"].values()) == counted(found, "images", "read")
    assert found.to_json()["plots"] == bars
    assert len(found.sample_images) <= 24


def test_identical_and_near_identical_images_are_counted_separately(found: Audit) -> None:
    same = found.count("images", "byte-identical pairs")
    assert (same.count, same.examples) == (1, ("a.png = b.png",))
    assert counted(found, "images", "pairs of equal pixels") == 3
    near = found.count("images", "near-identical pairs")
    assert near.count == 3
    assert set(near.examples) == {"a.png ~ d.jpg", "b.png ~ d.jpg", "c.bmp ~ d.jpg"}
    unreadable = found.count("images", "that cannot be read")
    assert unreadable.count == 1 and unreadable.examples[0].startswith("c: ")
    assert counted(found, "images", "PA") == 34
    assert found.count("images", "with boxes").examples == ()


def test_repeated_texts_are_counted_within_and_across_splits(found: Audit) -> None:
    assert (
        counted(found, "repeated texts", "studies that share their findings with another study")
        == 2
    )
    across = found.count("splits", "findings of test word for word in train")
    assert (across.count, across.of) == (2, 2)
    assert counted(found, "splits", "patients in more than one split") == 1
    assert counted(found, "splits", "images of equal pixels in more than one split") == 1
    assert counted(found, "splits", "near-identical pairs across splits") == 1


def test_comparisons_and_identifiers_are_counted_but_not_quoted(found: Audit) -> None:
    comparison = "studies with a comparison to an earlier image"
    assert found.count("comparisons", comparison).examples == ("said",)
    assert counted(found, "comparisons", "sentences that refer to an earlier image") == 1
    for kind in ("date", "time of day", "name after a title"):
        name = f"{kind} in findings or impression"
        assert found.count("de-identification", name).examples == ("said",)
    for name in ("PatientName", "PatientBirthDate", "BurnedInAnnotation"):
        assert found.count("de-identification", f"DICOM header: {name}").examples == ("named",)
    text = json.dumps(found.to_json())
    assert "Quixotic" not in text and "1/2/2020" not in text


def test_extreme_images_are_listed_by_measure(found: Audit) -> None:
    reasons = {image.reason: Path(image.path).name for image in reversed(found.extreme_images)}
    assert reasons["very dark"] == "dark.png"
    assert reasons["very narrow"] == "narrow.png"
    assert counted(found, "outliers", "very narrow") == 1
    with pytest.raises(KeyError):
        found.count("outliers", "unusual to the encoder")  # there was no encoder


def test_an_encoder_finds_unusual_images(odd: Path) -> None:
    found = audit(JsonLines(odd), encoder=ThumbnailEncoder())
    assert found.count("outliers", "unusual to the encoder").count >= 1
    assert all(image.thumbnail.startswith(b"\xff\xd8") for image in found.extreme_images)


def test_page_and_json_are_complete_and_escaped(tmp_path: Path) -> None:
    Image.fromarray(draw_radiograph(1, size=(600, 40))).save(tmp_path / "narrow.png")
    odd = {"study_id": "a", "image": "narrow.png", "text": "Ok.", "split": "<script>"}
    path = write_set(tmp_path, [odd])
    found = audit(JsonLines(path), encoder=ReportEncoder())
    write_audit(found, tmp_path / "out")
    page = (tmp_path / "out/audit.html").read_text()
    shown = len(found.extreme_images), len(found.sample_images)
    assert page.count("data:image/jpeg;base64,") == sum(shown) and min(shown) > 0
    assert page.count("<svg ") == len(found.plots) > 0
    assert "http" not in page  # self-contained
    assert "&lt;script&gt;" in page and "<script" not in page and "http" not in page
    values = json.loads((tmp_path / "out/audit.json").read_text())
    assert values["parts"]["images"]["read"]["count"] == 31
    assert "thumbnail" not in values["extreme_images"][0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "audit.html",
        "audit.json",
    ]


def test_a_source_is_compared_with_an_index_or_another_folder(odd: Path, tmp_path: Path) -> None:
    image = draw_radiograph(100, size=(128, 104))
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(image).save(other / "again.png")
    line = {"study_id": "z", "patient_id": "x", "image": "again.png", "findings": "big heart"}
    path = write_set(other, [line], plain=0)
    build(JsonLines(path), ThumbnailEncoder(), tmp_path / "index")
    for against in (JsonLines(path), Index.open(tmp_path / "index")):
        found = audit(JsonLines(odd), against=against)
        assert found.count("against", "patients in both").examples == ("x",)
        assert counted(found, "against", "studies in both") == 0
        assert counted(found, "against", "images of equal pixels in both") == 3
        assert counted(found, "against", "findings word for word in both") == 3
    found = audit(JsonLines(odd), against=JsonLines(path))
    assert counted(found, "against", "near-identical pairs between both") == 1


def test_the_command_writes_the_page_and_prints_the_counts(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--source", "jsonl", "--data-dir", str(odd), "--encoder", "none"]
    out = tmp_path / "audit"
    assert main(["audit", *where, "--out", str(out)]) == 0
    assert "        1  byte-identical pairs" in capsys.readouterr().out
    assert (out / "audit.html").is_file()
    args = ["audit", *where, "--against", str(odd), "--out", str(out), "--json"]
    assert main(args) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["parts"]["against"]["studies in both"]["count"] == 37
    assert main(["audit", *where, "--against", str(tmp_path), "--out", str(out)]) == 1
    assert f"{tmp_path} is a folder" in capsys.readouterr().err


def test_the_command_prints_no_empty_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--source", "jsonl", "--data-dir", str(write_set(tmp_path, []))]
    assert main(["audit", *where, "--encoder", "none", "--out", str(tmp_path / "out")]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines()[1:-1] if line[0] != " "]
    assert titles == ["studies", "images", "sections", "repeated texts"]


def test_a_source_without_a_usable_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"text": "Clear."}')
    with pytest.raises(UserError, match="no usable study: no image"):
        audit(JsonLines(tmp_path / "s.jsonl"))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Seen by Dr. Roe at 3 p.m.", ["time of day", "name after a title"]),
        ("Told Dr. XXXX on ___.", ["mark of a de-identifier"]),
        ("March 3, 2019, again on 3 March 2019 or 2019-03-03", ["date"]),
        ("Call 555-123-4567 or a@b.org", ["telephone number", "e-mail address"]),
        ("MRN: 12345, accession 1234567", ["record or accession number"]),
        ("A 93 year old", ["age of 90 or more"]),
        ("A 5.2 x 3.1 cm mass at T12, 1/2 of the lung, 10 mm", []),
        ("Dr Pepper can be seen in the stomach", ["name after a title"]),
    ],
)
def test_identifiers_are_found_by_kind(text: str, kinds: list[str]) -> None:
    assert list(identifier_kinds(text)) == kinds
    assert set(kinds) <= IDENTIFIER_PATTERNS.keys()


def test_a_comparison_with_none_is_no_comparison() -> None:
    assert [has_comparison(text) for text in ("", "None.", "No prior", "XXXX", "CT of 2019")] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert words_digest("Big heart.") == words_digest(" big\nHEART") != words_digest("A big heart")


class OneInEight:
    """Open-I, of which bench/index/openi_audit.py audits all; with the studies that hold an image
    twice."""

    def __init__(self, source: OpenI) -> None:
        self._source = source
        self.name, self.split, self.licence = source.name, source.split, source.licence

    def records(self) -> Iterator[Record]:
        for record in self._source.records():
            if int(record.study_id) % 8 == 0 or record.study_id in ("1015", "3245"):
                yield record


def test_the_audit_of_open_i_gives_the_known_counts(data_dir: Path) -> None:
    splits = read_split(data_dir / "openi" / "r2gen_split.json")
    found = audit(OneInEight(OpenI(data_dir=data_dir / "openi", splits=splits)))
    assert counted(found, "images", "read") == 934
    assert counted(found, "images", "FRONTAL") == 477
    assert counted(found, "studies", "with a frontal image and a report") == 458
    assert counted(found, "images", "byte-identical pairs") == 3
    assert counted(found, "images", "near-identical pairs") == 0
    assert counted(found, "comparisons", "of these with a frontal image and a report") == 193
    marks = "mark of a de-identifier in findings or impression, frontal studies"
    assert counted(found, "de-identification", marks) == 196
    distinct = found.count("repeated texts", "distinct findings of frontal studies")
    assert (distinct.count, distinct.of) == (346, 401)
    across = found.count("splits", "findings of test word for word in train")
    assert (across.count, across.of) == (23, 69)
    assert counted(found, "splits", "patients in more than one split") == 0
    assert counted(found, "sections", "median words of findings") == 30
