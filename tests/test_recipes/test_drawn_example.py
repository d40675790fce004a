"""The drawn example: invented studies that are built, served and reported on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.reports.labeller import label_report
from indexer.reports.sentences import split_sentences
from recipes.drawn_example.browser import has_chromium
from recipes.drawn_example.chest import Finding, draw_chest
from recipes.drawn_example.command import main
from recipes.drawn_example.studies import invent
from tests.conftest import ROOT

LABELS: dict[Finding, str] = {
    "Cardiomegaly": "Cardiomegaly",
    "Right Effusion": "Pleural Effusion",
    "Left Effusion": "Pleural Effusion",
    "Right Opacity": "Lung Opacity",
    "Left Opacity": "Lung Opacity",
    "Edema": "Edema",
    "Nodule": "Lung Lesion",
    "Pacemaker": "Support Devices",
}


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_recipe_reports_on_a_drawn_image_and_takes_a_screenshot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot = tmp_path / "page.png"
    command = ["--studies", "12", "--side", "96", "--model", "none"]
    if has_chromium():
        command += ["--out", str(shot)]
    main(command)
    report = capsys.readouterr().out
    *statements, notice = report[report.index("The ") :].splitlines()
    assert statements and all(line.endswith("]") for line in statements)
    assert "not for clinical use" in notice
    if has_chromium():
        assert size_of(shot) == (1440, 900)


def test_the_screenshot_is_small_enough_for_a_readme() -> None:
    picture = ROOT / "docs" / "assets" / "page.png"
    width, height = size_of(picture)
    assert width >= 1280 and height >= 800
    assert picture.stat().st_size < 400_000


def test_an_invented_report_says_what_is_drawn() -> None:
    studies = invent(20)
    assert {name for study in studies for name in study.shown} == LABELS.keys()
    for study in studies:
        states = label_report(split_sentences(f"{study.findings} {study.impression}"))
        found = {name for name, state in states.items() if state in ("positive", "uncertain")}
        assert {LABELS[name] for name in study.shown} <= found, study
        assert study.shown or states["No Finding"] == "positive", study


@pytest.mark.parametrize("finding", LABELS)
def test_a_finding_brightens_the_drawn_chest(finding: Finding) -> None:
    plain, drawn = (draw_chest(3, shown, side=128).astype(int) for shown in ((), (finding,)))
    assert plain.shape == drawn.shape == (128, 128)
    brighter = (drawn - plain) > 40
    assert 5 < np.count_nonzero(brighter) < 0.25 * brighter.size


def test_one_seed_draws_one_chest() -> None:
    assert np.array_equal(draw_chest(5, side=96), draw_chest(5, side=96))
    assert not np.array_equal(draw_chest(5, side=96), draw_chest(6, side=96))
