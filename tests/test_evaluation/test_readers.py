"""Forms for readers, blind and unchanged, and the figures of filled ones counted by hand."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from db.errors import UserError
from evaluation.__main__ import main
from evaluation.metrics.agreement import kappa_statistic
from evaluation.outputs.names import EXTRACTIVE, NEAREST, RANDOM, SERVED
from evaluation.readers.forms import (
    ANOTHER_CASE,
    AS_SERVED,
    AS_WRITTEN,
    ERRORS,
    KEY,
    PAIRS,
    REPORTS,
    RULES,
)
from evaluation.readers.ratings import rating_tables
from generator.prompts import Prompt
from results import citation_readings
from results.citation_readings import BEGIN, END
from tests.support.evaluations import HELD_OUT, Bench
from tests.support.models.scripted_model import ScriptedModel


def says(prompt: Prompt) -> str:
    return "Findings: The heart is enlarged. [1][2] No pneumothorax. [3] Impression: Effusion. [1]"


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forms of a drawn split, and what the command was."""
    folder = tmp_path_factory.mktemp("readers")
    bench = Bench.make(folder)
    bench.write(ScriptedModel(says), folder / "outputs.jsonl", tasks=("report",))
    assert main(["forms", *task(folder), "--out", str(folder / "forms")]) == 0
    return folder / "forms"


def task(folder: Path) -> list[str]:
    named = ["--outputs", folder / "outputs.jsonl", "--index", folder / "index", "--split", "val"]
    return [*map(str, named), "--source", "jsonl", "--data-dir", str(folder / "studies.jsonl")]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def fill(
    forms: Path,
    folder: Path,
    holds: Callable[[int], bool] = lambda item: True,
    errors: Callable[[int], int] = lambda item: 0,
) -> Path:
    """Fill copies of both forms; items count from 0, all errors are missed findings."""
    folder.mkdir(parents=True)
    for name in (PAIRS, REPORTS):
        some = rows(forms / name)
        for item, row in enumerate(some):
            if name == PAIRS:
                row["holds"] = "Yes" if holds(item) else "no"
                row["why_not"] = "" if holds(item) else "side"
            else:
                row |= dict.fromkeys((*ERRORS, "harmless"), "0")
                row["missed_finding"] = str(errors(item))
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, list(some[0]))
            table.writeheader()
            table.writerows(some)
    return folder


def test_forms_tell_neither_system_nor_check_and_the_key_no_word_of_a_report(
    forms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, reports = rows(forms / PAIRS), rows(forms / REPORTS)
    key = json.loads((forms / KEY).read_text())
    assert len(pairs) == len(key["pairs"]) and len(reports) == len(key["reports"])
    assert len(reports) == 4 * HELD_OUT
    assert key["about"]["systems"] == [SERVED, EXTRACTIVE, NEAREST, RANDOM]
    assert {row["holds"] + row["why_not"] for row in pairs} == {""}
    written = (forms / PAIRS).read_text() + (forms / REPORTS).read_text()
    assert not any(name in written for name in (SERVED, EXTRACTIVE, NEAREST, RANDOM, "[1]"))
    assert "heart" not in (forms / KEY).read_text()
    order = [one["system"] for one in key["reports"]]
    assert order != sorted(order) and len({tuple(order[i : i + 4]) for i in range(0, 8, 4)}) > 1
    for row, known in zip(pairs, key["pairs"], strict=True):
        assert row["sentence"] and row["cited_report"] and isinstance(known["check"], bool)
        assert known["check"] or known["drawn"] != AS_SERVED
    assert {one["drawn"] for one in key["pairs"]} == {AS_WRITTEN, AS_SERVED, ANOTHER_CASE}
    assert "missed_finding" in (forms / RULES).read_text()
    assert main(["forms", *task(forms.parent), "--out", str(forms)]) == 1
    assert "may be filled in" in capsys.readouterr().err


def test_ratings_are_those_counted_by_hand(
    forms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = json.loads((forms / KEY).read_text())
    check = [one["check"] for one in key["pairs"]]
    nearest = [one["system"] == NEAREST for one in key["reports"]]
    first = fill(forms, tmp_path / "a", lambda item: check[item], lambda item: 2 * nearest[item])
    second = fill(forms, tmp_path / "b", lambda item: item % 4 > 0, lambda item: 1)
    said = ["--reader", "A", str(first), "--reader", "B", str(second)]
    told = ["--readers-are", "language models", "--resamples", "20", "--out", str(tmp_path / "out")]
    assert main(["ratings", str(forms), *said, *told]) == 0
    assert "read by A, B (language models), blind" in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "ratings.json").read_text())
    tables = {one["title"]: one["rows"] for one in document["tables"]}

    def value(table: str, row: str, column: str) -> float:
        return float(tables[table][row][column]["interval"]["value"])

    cited = "Sentences and the reports they cite, as read"
    ours, theirs = np.array(check), np.arange(len(check)) % 4 > 0
    assert value(cited, "the check agrees with A", "all") == 1
    assert value(cited, "A agrees with B", "all") == pytest.approx((ours == theirs).mean())
    kappa = cohen_kappa_score(ours, theirs)
    assert value(cited, "kappa of A and B", "all") == pytest.approx(kappa)
    assert value(cited, "kappa of the check and A", "all") == 1
    assert value("Reports, as read", NEAREST, "errors") == 1.5  # 2 by A, 1 by B
    assert value("Reports, as read", SERVED, "missed finding") == 0.5
    assert value("Reports, as read", SERVED, "without error") == 0.5
    assert value("Reports, as read", NEAREST, f"errors, minus {SERVED}") == 1
    share = value("Agreement on reports", "A and B", "both with or without")
    assert share == pytest.approx(np.mean(nearest))


def test_readings_are_kept_without_a_word_and_tabulated_again(
    forms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [fill(forms, tmp_path / name, lambda item: item % 3 > 0) for name in "ab"]
    page, readings = tmp_path / "page.md", tmp_path / "readings.json"
    page.write_text(f"{BEGIN}\n{END}\n")
    kept = ["--page", str(page), "--readings", str(readings), "--resamples", "20"]
    named = ["--forms", str(forms), "--reader", "A", str(said[0]), "--reader", "B", str(said[1])]
    assert citation_readings.main([*named, *kept]) == 1
    assert "what --readers-are" in capsys.readouterr().err
    assert citation_readings.main([*named, "--readers-are", "language models", *kept]) == 0
    first = page.read_text()
    assert "Read by 2 language models" in first and "| kappa of A and B | 1.000 [1.000" in first
    assert "heart" not in readings.read_text() + first
    page.write_text(f"{BEGIN}\n{END}\n")
    assert citation_readings.main(kept) == 0
    assert page.read_text() == first
    readings.write_text("{}")
    assert citation_readings.main(kept) == 1
    assert "holds no readings" in capsys.readouterr().err and page.read_text() == first


@pytest.mark.parametrize("weighted", [False, True])
def test_kappa_is_that_of_scikit_learn(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 60)
    b = np.where(rng.random(60) < 0.6, a, rng.integers(0, 4, 60))
    wanted = cohen_kappa_score(a, b, weights="quadratic" if weighted else None)
    assert kappa_statistic(a, b, categories=4, weighted=weighted).value == pytest.approx(wanted)
    some = rng.random(60) < 0.5
    wanted = cohen_kappa_score(a[some], b[some], weights="quadratic" if weighted else None)
    of_some = kappa_statistic(a, b, categories=4, weighted=weighted, counted=some)
    assert of_some.value == pytest.approx(wanted) and of_some.informative == some.sum()
    assert np.isnan(kappa_statistic([1, 1], [1, 1], categories=2).value)
    with pytest.raises(UserError, match="none of 0 to 1"):
        kappa_statistic([0, 2], [0, 1], categories=2)


@pytest.mark.parametrize(
    ("form", "old", "new", "message"),
    [
        (PAIRS, ",Yes,", ",,", r"pairs.csv, item 1 is not filled in: write yes or no into 'holds'"),
        (PAIRS, ",Yes,", ",perhaps,", "item 1 is not filled in"),
        (PAIRS, ",Yes,", ",no,colour", "item 1 is not filled in"),
        (PAIRS, "holds", "verdict", "must have the columns item, sentence, cited_report, holds"),
        (PAIRS, "heart", "liver", r"has other items than .*: fill in a copy of that form"),
        (REPORTS, ",0\n", ",\n", "reports.csv, item 1 is not filled in: write a number"),
        (REPORTS, ",0\n", ",-1\n", "item 1 is not filled in"),
    ],
)
def test_a_form_that_is_not_filled_in_says_where(
    forms: Path, tmp_path: Path, form: str, old: str, new: str, message: str
) -> None:
    filled = fill(forms, tmp_path / "a")
    text = (filled / form).read_text()
    assert old in text
    (filled / form).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        rating_tables(forms, {"A": filled}, kind="other people", resamples=20)


def test_readers_without_forms_are_refused(
    forms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = ["--readers-are", "radiologists"]
    for given, message in (
        ([str(forms), "--reader", "A", str(tmp_path)], "no reader has a filled pairs.csv or"),
        ([str(tmp_path), "--reader", "A", str(tmp_path)], "key.json is no key of forms"),
        ([str(forms), *["--reader", "A", str(tmp_path)] * 2], "two readers have one name"),
    ):
        assert main(["ratings", *given, *kind]) == 1
        assert message in capsys.readouterr().err
