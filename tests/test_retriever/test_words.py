"""A search by words: cases that say it, with its sign and side, before those that deny it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.__main__ import main
from retriever.options import SearchOptions
from retriever.ranking.words import OPPOSITE, OTHER_SIDE, SAYS, SILENT, Ask, rate, read_asks
from retriever.search import Retriever
from tests.support.cases import a_case
from tests.support.fakes import ReportEncoder
from tests.support.radiographs import draw_radiograph

DENYING = "No pneumothorax or pleural effusion."
REPORTS = (
    *(f"{DENYING} Sign {number}." for number in range(12)),
    *("The lungs are clear.", "The lungs are clear."),
    *("There is a small left pleural effusion.", "There is a large right pleural effusion."),
    *("Pleural effusion is seen.", "There may be a left pleural effusion."),
    "There are bilateral pleural effusions.",
    "There is a small left pneumothorax.",
    "No acute cardiopulmonary abnormality.",
)


class Wordy(ReportEncoder):
    """Embeds every text beside the first image: nearest to the cases that deny."""

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        images = [draw_radiograph(0, size=(96, 80)) for _ in texts]
        return super().embed_images(images).vectors if texts else np.zeros((0, 64), np.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    lines = []
    for number, text in enumerate(REPORTS):
        image = folder / f"{number}.png"
        pixels = draw_radiograph(0, size=(96, 80)) // 2 + number
        Image.fromarray(pixels.astype(np.uint8)).save(image)
        lines.append(json.dumps({"study_id": f"s{number}", "image": image.name, "findings": text}))
    (folder / "studies.jsonl").write_text("\n".join(lines))
    build(JsonLines(folder / "studies.jsonl"), Wordy(), folder / "index")
    return folder / "index"


@pytest.fixture(scope="module")
def retriever(index: Path) -> Retriever:
    return Retriever.open(index, Wordy())


def said(retriever: Retriever, text: str, k: int = 3, **options: object) -> list[str | None]:
    found = retriever.search(text=text, k=k, **options)
    return [hit.matched_sentence for hit in found.hits]


def test_a_finding_is_found_where_it_is_and_not_where_it_is_denied(retriever: Retriever) -> None:
    assert said(retriever, "pneumothorax", 1) == ["There is a small left pneumothorax."]
    hits = retriever.search(text="effusion", k=6).hits
    assert [hit.case.study_id for hit in hits[4:5]] == ["s17"], "doubt comes after certainty"
    assert {hit.case.study_id for hit in hits[:4]} == {"s14", "s15", "s16", "s18"}
    assert hits[5].matched_sentence is None, "then those that say nothing of it"
    last = retriever.search(text="effusion", k=len(REPORTS)).hits[-12:]
    assert all(DENYING in hit.case.report for hit in last)


def test_the_side_asked_for_comes_first(retriever: Retriever) -> None:
    left = retriever.search(text="left effusion", k=5).hits
    assert {hit.case.study_id for hit in left[:2]} == {"s14", "s18"}
    assert [hit.case.study_id for hit in left[2:]] == ["s17", "s16", "s15"]
    assert said(retriever, "small left effusion", 1) == ["There is a small left pleural effusion."]


def test_a_denial_finds_denials(retriever: Retriever) -> None:
    assert said(retriever, "no pleural effusion", 12) == [DENYING] * 12
    assert said(retriever, "no effusion", 3) == [DENYING] * 3
    sure = retriever.search(text="no effusion", k=len(REPORTS)).hits[-5:]
    assert {hit.case.study_id for hit in sure} == {"s14", "s15", "s16", "s17", "s18"}


def test_a_normal_image_is_found_by_its_words(retriever: Retriever) -> None:
    assert said(retriever, "no acute abnormality", 1) == ["No acute cardiopulmonary abnormality."]


def test_words_without_a_finding_are_searched_by_their_embedding_alone(
    retriever: Retriever,
) -> None:
    found = retriever.search(text="sign seven", k=5)
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True) and not found.notes
    assert not any(hit.matched_sentence for hit in found.hits)


def test_a_finding_that_no_case_has_is_said_to_be_missing(retriever: Retriever) -> None:
    found = retriever.search(text="scoliosis", k=2)
    assert len(found.hits) == 2
    assert found.notes == ("no case says what the text asks for: these are the nearest others",)


def test_the_rules_of_a_search_apply_to_words_too(retriever: Retriever) -> None:
    assert "There is a small left pneumothorax." not in said(
        retriever, "pneumothorax", exclude_study_ids=["s19"]
    )
    only = retriever.search(text="effusion", k=9, labels=["Pneumothorax"]).hits
    assert [hit.case.study_id for hit in only] == ["s19"]
    assert not retriever.search(text="effusion", k=9, min_score=1.0).hits
    distinct = retriever.search(text="no effusion", k=len(REPORTS), distinct_reports=True)
    assert len(distinct.hits) == len(REPORTS) - 1 and len(distinct.excluded_cases) == 1


def test_words_beside_an_image_ask_as_well(retriever: Retriever, index: Path) -> None:
    image = index.parent / "3.png"
    options = SearchOptions(k=1, exclude_near_duplicates=False)
    assert retriever.search(image, options).hits[0].case.study_id == "s3"
    (hit,) = retriever.search(image, options, text="pneumothorax").hits
    assert hit.matched_sentence == "There is a small left pneumothorax."


def test_the_command_marks_the_sentence(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*more: str) -> str:
        command = ["search", str(index), "--text", "pneumothorax", "-k", "1", *more]
        assert main(command, open_retriever=lambda path: Retriever.open(path, Wordy())) == 0
        return capsys.readouterr().out

    assert "**There is a small left pneumothorax.**" in run()
    (hit,) = json.loads(run("--json"))["hits"]
    assert hit["matched_sentence"] == "There is a small left pneumothorax."


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("pneumothorax", [Ask(finding="Pneumothorax")]),
        ("no effusion", [Ask(finding="Pleural Effusion", denied=True)]),
        ("left effusion", [Ask(finding="Pleural Effusion", sides=frozenset({"left"}))]),
        ("Normal chest.", [Ask(finding="No Finding")]),
        ("what is this", []),
    ],
)
def test_a_text_is_read_as_a_report_is(text: str, asks: list[Ask]) -> None:
    assert list(read_asks(text)) == asks


@pytest.mark.parametrize(
    ("text", "report", "points"),
    [
        ("effusion", "Small right effusion.", SAYS),
        ("effusion", "No effusion.", OPPOSITE),
        ("effusion", "No left effusion. Small right effusion.", SAYS),
        ("left effusion", "Small right effusion.", OTHER_SIDE),
        ("left effusion", "No right effusion.", SILENT),
        ("opacity", "There is an infiltrate in the right upper lobe.", SAYS),
        ("nodule", "There is a mass in the right upper lobe.", SILENT),
        ("no effusion", "No effusion on the left. Small right effusion.", OPPOSITE),
        ("no left effusion", "No left effusion. Small right effusion.", SAYS + 1),
        ("effusion and cardiomegaly", "Small effusion. Heart size is normal.", SAYS + OPPOSITE),
    ],
)
def test_points_follow_sign_side_and_kind(text: str, report: str, points: float) -> None:
    assert rate(a_case(1, report), read_asks(text)).points == points
