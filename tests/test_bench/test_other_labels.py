"""Labels against other references, and the tables of docs/results.md that tell them."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.evaluation.label_references import mesh_labels, reference_table
from db.labels import OBSERVATIONS, Labels
from evaluation.tables import Table
from results.make_tables import read_json
from results.other_labels import BEGIN, END, FIGURES, PAGE, main, tables


def test_terms_say_observations() -> None:
    assert mesh_labels(["normal"]) == {"No Finding": "positive"}
    assert mesh_labels(["Fractures, Bone/ribs/left", "Thickening/pleura/apex"]).keys() == {
        "Fracture",
        "Pleural Other",
    }
    assert mesh_labels(["Thickening/lung", "Mediastinum/enlarged", "Masses"]) == {}
    assert mesh_labels(["Hydropneumothorax/right"]).keys() == {"Pneumothorax", "Pleural Effusion"}


@pytest.fixture(scope="module")
def table() -> Table:
    """Forty studies; the others say an effusion of half of those that ours says."""
    ours: list[Labels] = [{"Pleural Effusion": "positive"} if n < 20 else {} for n in range(40)]
    theirs: list[Labels] = [{"Pleural Effusion": "positive"} if n < 10 else {} for n in range(40)]
    scores = np.zeros((40, len(OBSERVATIONS)))
    scores[:, OBSERVATIONS.index("Pleural Effusion")] = -np.arange(40)
    nothing: list[Labels] = [{"Edema": "positive"}] * 40
    return reference_table(
        {"ours": ours, "theirs": theirs},
        {"head": scores},
        {"system": ours, "edema": nothing},
        patients=[None] * 40,
        resamples=20,
    )


def test_scores_and_calls_are_judged_by_each_reference(table: Table) -> None:
    def value(row: str, column: str) -> float:
        return table.rows[row][column].interval.value

    assert value("AUC of head, 1 findings", "ours") == 1
    assert value("micro-F1 of system", "ours") == 1
    assert value("micro-F1 of system", "theirs") == pytest.approx(2 * 10 / 30)
    assert value("micro-F1 of ours", "theirs") == pytest.approx(2 * 10 / 30)
    assert value("micro-F1 of edema", "ours") == 0  # over the effusion, which alone it has
    assert "ours" not in table.rows["micro-F1 of ours"]


def cell(value: float) -> dict[str, object]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "dropped": 0, "p": None}


def documents() -> tuple[dict[str, object], dict[str, object]]:
    about = {"split": "val of openi", "studies": 9, "index_fingerprint": "f" * 64}
    row = {"AUC of head": {"MeSH": {"interval": cell(0.75)}}}
    first = {
        "about": {**about, "labeller": "rules-9"},
        "tables": [{"rows": row, "notes": ["9 studies; in common: Edema", "more"]}],
    }
    second = {
        "about": {
            "split": "val",
            "images": 5,
            "patients": 4,
            "encoders": {"/away/encoder": "e" * 64},
            "index": {"source": "openi", "fingerprint": "f" * 64, "labeller": "rules-9"},
        },
        "figures": {"mean (3 observations)": {"head": cell(0.625)}},
        "F1": {"micro, 3 findings": {"extractive": cell(0.25)}},
    }
    return first, second


def test_both_tables_are_told_on_the_page_and_again_from_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, kept = tmp_path / "page.md", tmp_path / "kept.json"
    page.write_text(f"Before.\n{BEGIN}\nZebra\n{END}\nAfter.\n")
    for name, document in zip(("references", "nih"), documents(), strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    place = ["--figures", str(kept), "--page", str(page)]
    assert main([*place, "--references", str(tmp_path / "references.json")]) == 0
    assert main([*place, "--nih", str(tmp_path / "nih.json")]) == 0
    text = page.read_text()
    assert "| AUC of head | .750 [.650, .850] |" in text and "Zebra" not in text
    assert "| mean (3 observations) | .625 [.525, .725] |" in text
    assert "| micro, 3 findings | .250 [.150, .350] |" in text
    assert "5 images of 4 patients" in text and "/away" not in kept.read_text()
    page.write_text(text.replace(".750", "lost"))
    assert main(place) == 0 and page.read_text() == text
    for given in ("references", "nih"):
        (tmp_path / "other.json").write_text(json.dumps({"about": {"split": "test of x"}}))
        assert main([*place, f"--{given}", str(tmp_path / "other.json")]) == 1
        assert "the file holds no figures" in (said := capsys.readouterr().err) or "not val" in said


def test_the_committed_page_holds_what_the_committed_figures_give() -> None:
    text = f"\n{tables(read_json(FIGURES))}\n\n" if FIGURES.is_file() else ""
    assert f"{BEGIN}\n{text}{END}" in PAGE.read_text(encoding="utf-8")
