"""The citation benchmark: measures counted by hand, broken submissions, and the whole command."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.errors import UserError
from evaluation.grounding.__main__ import main
from evaluation.grounding.benchmark import common_studies
from evaluation.grounding.claims import check_claim, claims_of, evidence_of
from evaluation.grounding.corpus import Corpus, Task
from evaluation.grounding.leaderboard import leaderboard
from evaluation.grounding.submission import (
    FORMAT,
    Passage,
    Submission,
    SubmittedReport,
    read_folder,
    read_submission,
    write_submission,
)
from evaluation.grounding.submitted import check_submission
from evaluation.grounding.systems import OWN_REPORT
from evaluation.layout import WIDTH
from evaluation.outputs.names import SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL
from evaluation.outputs.rows import Outputs
from evaluation.tables import Table
from generator.prompts import Prompt
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.conftest import ROOT
from tests.support.cases import a_case
from tests.support.evaluations import HELD_OUT, Bench, write_split
from tests.support.fakes import ReportEncoder
from tests.support.models.scripted_model import ScriptedModel

INDEXED = (
    a_case(1, "The heart is enlarged. No pleural effusion.", "Cardiomegaly."),
    a_case(2, "There is a small left pleural effusion. The heart is normal in size."),
    a_case(3, "Possible right lower lobe pneumonia."),
)
STUDIES = (
    a_case(11, "The heart is enlarged. Left pleural effusion."),
    a_case(12, "No acute abnormality."),
    a_case(13, "Right lower lobe pneumonia."),
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(INDEXED)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(source="drawn", split="val", studies=STUDIES)


def a_submission(
    reports: Mapping[str, tuple[list[Any], list[list[int]], list[Any]]], system: str = "drawn"
) -> Submission:
    """Study to sentences, citations and cited texts; the other studies have empty reports."""
    return Submission(
        format=FORMAT,
        system=system,
        split="val",
        reports=tuple(
            SubmittedReport(
                study_id=study.study_id,
                sentences=tuple(given[0]),
                citations=tuple(map(tuple, given[1])),
                cited_texts=tuple(given[2]),
            )
            for study in STUDIES
            for given in [reports.get(study.study_id, ([], [], []))]
        ),
    )


def counts(
    submission: Submission, task: Task, corpus: Corpus
) -> Callable[[str, str], tuple[int, int] | None]:
    """Numerator and denominator of a measure, by table and column."""
    board = leaderboard({"drawn": check_submission(submission, task, corpus)}, task, resamples=20)
    tables: dict[str, Table] = {one.title: one for one in board}
    return lambda title, measure: tables[title].rows["drawn"][measure].count


@pytest.mark.parametrize(
    ("sentence", "texts", "parts", "holds"),
    [
        ("Large left effusion.", ["Small left effusion."], {"side": True, "degree": False}, False),
        ("Left effusion.", ["Small left effusion."], {"side": True}, True),
        ("Left effusion.", ["Right effusion."], {"finding": True, "side": False}, False),
        ("Right basilar opacity.", ["Right apical opacity."], {"place": False}, False),
        (
            "Right lower lobe pneumonia.",
            ["Possible right lower lobe pneumonia."],
            {"finding": True, "side": True, "place": True, "certainty": False},
            False,
        ),
        ("Old rib fracture.", ["Rib fracture."], {"finding": True, "time": False}, False),
        ("New left effusion.", ["New left effusion."], {"side": True, "time": False}, False),
        ("Left effusion.", ["No effusion."], {"finding": False, "side": False}, False),
        ("Left effusion.", ["Clear lungs.", "Left effusion."], {"finding": True}, True),
        ("No left effusion.", ["No effusion."], {}, True),
        ("No effusion.", ["No left effusion."], {}, False),
        ("Left effusion.", [], {"finding": False, "certainty": False}, False),
    ],
)
def test_a_finding_is_checked_attribute_by_attribute(
    sentence: str, texts: list[str], parts: dict[str, bool], holds: bool
) -> None:
    (claim,) = claims_of(sentence)
    found = check_claim(claim, [evidence_of(text) for text in texts])
    assert found.holds == holds
    assert {name: found.parts.get(name) for name in parts} == parts


def test_findings_of_one_sentence_may_rest_on_different_texts(task: Task, corpus: Corpus) -> None:
    both = "Cardiomegaly and a left pleural effusion."
    texts = [Passage(case="drawn:s1"), Passage(case="drawn:s2")]
    count = counts(a_submission({"s11": ([both], [[1, 2]], texts)}), task, corpus)
    assert count("Leaderboard", "findings grounded") == (2, 2)
    assert count("Leaderboard", "citations hold") == (0, 2)  # neither says all of it


def test_measures_are_those_counted_by_hand(task: Task, corpus: Corpus) -> None:
    count = counts(
        a_submission(
            {
                "s11": (
                    ["The heart is enlarged.", "Left pleural effusion.", "No pneumothorax."],
                    [[1], [1], []],
                    [Passage(case="drawn:s1", end=22), Passage(case="drawn:s2")],
                ),
                "s13": (
                    ["Right lower lobe pneumonia.", "Cardiomegaly."],
                    [[1], [9]],
                    [Passage(case="drawn:s3"), "The heart is enlarged, as no report says."],
                ),
            }
        ),
        task,
        corpus,
    )
    # stated: heart, effusion, pneumonia, heart; only the first holds, [9] is a citation of nothing
    assert count("Leaderboard", "findings grounded") == (1, 4)
    assert count("Leaderboard", "findings cited") == (4, 4)
    assert count("Leaderboard", "citations hold") == (1, 4)
    assert count("Support by attribute", "all") == (1, 4)
    assert count("Support by attribute", "finding") == (2, 4)  # the heart, and the pneumonia
    assert count("Support by attribute", "certainty") == (1, 4)
    assert count("Support by attribute", "side") == (1, 2)
    assert count("Support by attribute", "place") == (1, 1)
    assert count("Support by attribute", "denials") == (0, 0)
    # exchanged: the effusion finds its case, the heart loses it
    assert count("Controls", "numbers exchanged") == (1, 4)
    assert count("Controls", "another study's texts") == (0, 4)
    # "the heart is enlarged" and "cardiomegaly" are in the index
    assert count("Copying", "verbatim") == (2, 5)
    assert count("Copying", "texts not indexed") == (1, 4)
    # the cited texts name pneumonia and cardiomegaly of s13, of which its report has one
    assert count("Copying", "over-reliance") == (1, 1)
    assert count("Copying", "own findings") == (0, 0)


def test_a_finding_counts_as_grounded_only_where_it_is_right_and_supported(
    task: Task, corpus: Corpus
) -> None:
    texts = [Passage(case="drawn:s1")]
    right = a_submission({"s11": (["The heart is enlarged."], [[1]], texts)})
    unsupported = a_submission({"s11": (["The heart is enlarged."], [[]], texts)}, "uncited")
    wrong = a_submission({"s12": (["The heart is enlarged."], [[1]], texts)}, "wrong")
    board = leaderboard(
        {one.system: check_submission(one, task, corpus) for one in (unsupported, wrong, right)},
        task,
        resamples=20,
    )[0]
    values = {
        name: [board.rows[name][measure].interval.value for measure in ("grounded F1", "label F1")]
        for name in board.rows
    }
    assert list(values) == ["drawn", "uncited", "wrong"]  # the best first
    assert values["drawn"] == [0.5, 0.5]  # one of three findings, none wrong
    assert values["uncited"] == [0.0, 0.5]
    assert values["wrong"] == [0.0, 0.0]


def test_a_passage_is_the_words_it_names(corpus: Corpus) -> None:
    assert corpus.resolve(Passage(case="drawn:s1", start=4, end=9), "here") == "heart"
    assert corpus.resolve(Passage(case="drawn:s1"), "here") == INDEXED[0].report
    assert corpus.passage("drawn:s1", "Cardiomegaly.") == Passage(case="drawn:s1", start=45, end=58)
    assert corpus.passage("drawn:s1", "Clear lungs.") == "Clear lungs."


def test_only_whole_sentences_of_one_report_are_cited(corpus: Corpus) -> None:
    assert corpus.has_text("the HEART is enlarged. No pleural effusion.")
    assert corpus.has_text("No pleural effusion. Cardiomegaly.")
    assert not corpus.has_text("Pleural effusion.")  # the report denies it
    assert not corpus.has_text("Cardiomegaly. There is a small left pleural effusion.")
    assert not corpus.has_text("Cardiomegaly. The heart is enlarged.")
    cut = Passage(case="drawn:s1", start=26, end=42)
    assert corpus.resolve(cut, "here") == "pleural effusion"
    assert corpus.resolve(corpus.whole_sentences(cut), "here") == "No pleural effusion."


def test_a_part_of_a_denial_supports_no_finding(task: Task, corpus: Corpus) -> None:
    for text in (Passage(case="drawn:s1", start=26, end=42), "pleural effusion"):
        count = counts(a_submission({"s11": (["Effusion."], [[1]], [text])}), task, corpus)
        assert count("Leaderboard", "findings grounded") == (0, 1)


WHOLE: dict[str, Any] = {
    "format": FORMAT,
    "system": "by hand",
    "split": "val",
    "reports": [
        {
            "study_id": study.study_id,
            "sentences": ["The heart is enlarged."],
            "citations": [[1]],
            "cited_texts": [{"case": "drawn:s1", "start": 0, "end": 22}],
        }
        for study in STUDIES
    ],
}


def changed(place: str, value: object) -> str:
    """The whole submission with one value changed, or taken out."""
    document = json.loads(json.dumps(WHOLE))
    *path, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    inner = document
    for step in path:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{'system': 1}", "is no submission: .*docs/citation-benchmark.md has the form"),
        ("[]", "is no submission: Expected 'object', got 'array'"),
        (changed("system", None), "missing required field 'system'"),
        (changed("system", ""), "at 'system'"),
        (changed("format", "alce"), "has format 'alce', not 'citations-1'"),
        (changed("split", "test"), "reports on split 'test', not 'val'"),
        (changed("reports.2", None), "lacks 1 of 3 studies, such as s13: give each a report"),
        (changed("reports.2.study_id", "s99"), "study s99, which is none of the 3 studies"),
        (changed("reports.2.study_id", "s12"), "study s12 is there twice: leave one report"),
        (changed("reports.0.study_id", 11), "Expected 'str', got 'int' at 'reports.0..study_id'"),
        (changed("reports.0.citations", []), "study s11 has 1 sentences and 0 lists of citations"),
        (changed("reports.0.citations.0.0", 0), "at 'reports.0..citations.0..0.'"),
        (changed("reports.0.citations.0.0", "1"), "Expected 'int', got 'str'"),
        (changed("reports.0.sentences.0", 7), "Expected 'str | object', got 'int'"),
        (changed("reports.0.sentences.0", " "), "sentence 1 of study s11 is empty: leave it out"),
        (changed("reports.0.sentences.0", "big " * 400), "has 1600 characters: split it"),
        (changed("reports.0.cited_texts.0.case", "drawn:s7"), "names case drawn:s7, which the in"),
        (changed("reports.0.cited_texts.0.end", 999), "characters 0 to 999 of case drawn:s1"),
        (changed("reports.0.cited_texts.0.start", 22), "characters 22 to 22 of case drawn:s1"),
    ],
)
def test_a_broken_submission_gets_one_sentence(
    text: str, message: str, task: Task, corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(UserError, match=message.replace("|", r"\|")) as raised:
        check_submission(read_submission(tmp_path / "broken.json"), task, corpus)
    assert "\n" not in str(raised.value) and "broken.json" in f"{raised.value}broken.json"


def test_a_submission_that_follows_the_page_is_scored(
    task: Task, corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "by_hand.json").write_text(json.dumps(WHOLE))
    reports = check_submission(read_submission(tmp_path / "by_hand.json"), task, corpus)
    assert [one.standing for one in reports] == [1, 1, 1]


def test_the_example_of_the_page_is_a_submission_and_is_scored(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "citation-benchmark.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "by_hand.json").write_text(example)
    submission = read_submission(tmp_path / "by_hand.json")
    [line] = re.findall(r"^```text\n(\{.*\})\n```", page, re.MULTILINE)
    findings, _, impression = json.loads(line)["report"].partition("\n\n")
    cited = replace(a_case(4, findings, impression), source="openi", study_id="4")
    assert Corpus([cited]).reports["openi:4"] == json.loads(line)["report"]
    assert Corpus([cited]).resolve(Passage(case="openi:4", start=23, end=45), "") == (
        "No pneumothorax today."
    )
    study = replace(a_case(17, "The heart is enlarged."), source="openi", study_id="17")
    task = Task(source="openi", split="val", studies=(study,))
    [scored] = check_submission(submission, task, Corpus([cited]))
    assert (scored.sentences, scored.citations, scored.standing) == (2, 2, 2)
    assert scored.verbatim == 1 and scored.outside == 0


def test_a_folder_needs_a_submission_and_no_two_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no submission: put one JSON file per system"):
        read_folder(tmp_path)
    path = write_submission(a_submission({}, "Nearest case, k = 1"), tmp_path)
    assert path.name == "nearest_case_k_1.json"
    (tmp_path / "second.json").write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="are both of system 'Nearest case, k = 1': rename one"):
        read_folder(tmp_path)


def test_common_studies_are_those_of_all_submissions(task: Task) -> None:
    whole = a_submission({}, "whole")
    part = replace(a_submission({}, "part"), reports=whole.reports[1:])
    kept, found = common_studies(task, {Path("a"): whole, Path("b"): part})
    assert [study.study_id for study in kept.studies] == ["s12", "s13"]
    assert found[Path("a")].reports == found[Path("b")].reports == whole.reports[1:]
    with pytest.raises(UserError, match="no study of 'val' is in all submissions"):
        common_studies(task, {Path("a"): part, Path("b"): replace(part, reports=())})
    with pytest.raises(UserError, match="'test' is scored whole"):
        common_studies(replace(task, split="test"), {Path("a"): whole})


def test_a_split_that_is_indexed_is_refused(tmp_path: Path) -> None:
    source = JsonLines(write_split(tmp_path), split="val")
    build(JsonLines(tmp_path / "studies.jsonl"), ReportEncoder(), tmp_path / "index")
    retriever = Retriever.open(tmp_path / "index", ReportEncoder())
    with pytest.raises(UserError, match="is indexed: score with an index that leaves this split"):
        Task.read(source, Corpus(retriever.index.cases))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def bench(root: Path) -> Bench:
    return Bench.make(root)


@pytest.fixture(scope="module")
def outputs(bench: Bench, root: Path) -> Outputs:
    """A model that cites a case that was shown, one that was not, and nothing."""

    def says(prompt: Prompt) -> str:
        return "Findings: The heart is enlarged. [1][2] No pneumothorax. [9] Impression: Effusion."

    return bench.write(ScriptedModel(says), root / "outputs.jsonl", tasks=("report",))


def run(root: Path, verb: str, *more: object, split: str = "val") -> int:
    data = ["--source", "jsonl", "--data-dir", root / "studies.jsonl", "--split", split]
    return main(
        [verb, *map(str, [*more, "--index", root / "index", *data])],
        open_retriever=lambda path: Retriever.open(path, ReportEncoder({"Cardiomegaly": 0.8})),
    )


@pytest.mark.usefixtures("bench")
def test_trivial_systems_are_written_and_scored(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "submissions"
    assert run(root, "systems", "--out", folder) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8
    copied = read_submission(folder / "nearest_case.json")
    assert len(copied.reports) == HELD_OUT
    assert all(isinstance(one, Passage) for report in copied.reports for one in report.sentences)
    scored = ("--resamples", 20, "--out", tmp_path / "out")
    assert run(root, "run", folder, *scored) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= WIDTH
    assert printed == (tmp_path / "out" / "leaderboard.txt").read_text()
    document = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    tables = {one["title"]: one["rows"] for one in document["tables"]}
    verbatim = {
        name: row["verbatim"]["interval"]["value"] for name, row in tables["Copying"].items()
    }
    assert verbatim["nearest case"] == verbatim["random case"] == 1
    hold = {
        n: row["citations hold"]["interval"]["value"] for n, row in tables["Leaderboard"].items()
    }
    assert hold["nearest case"] == hold["extractive"] == 1 > hold["extractive, cites at random"]
    assert hold[OWN_REPORT] == hold["label head in fixed words"] == 1
    found = tables["Leaderboard"][OWN_REPORT]
    assert found["label F1"]["interval"]["value"] == 1 >= found["grounded F1"]["interval"]["value"]


def test_stored_outputs_of_a_model_are_submitted_as_written_served_and_citing_at_random(
    root: Path, outputs: Outputs, tmp_path: Path
) -> None:
    folder = tmp_path / "submissions"
    assert run(root, "systems", "--outputs", outputs.path, "--out", folder) == 0
    found = {one.system: one for one in read_folder(folder).values()}
    assert len(found) == 12
    rows = outputs.reports[WITH_RETRIEVAL]
    for report in found[WITH_RETRIEVAL].reports:
        assert report.citations == ((1, 2), (9,), ())
        shown = [f"local:{name.split('/')[1]}" for name in rows[report.study_id].context]
        assert report.cited_texts == tuple(Passage(case=key) for key in shown)
    for report in found[f"{WITH_RETRIEVAL}, cites at random"].reports:
        assert [len(one) for one in report.citations] == [2, 1, 0]
        assert all(number <= len(report.cited_texts) for one in report.citations for number in one)
    drawn = {one.citations for one in found[f"{WITH_RETRIEVAL}, cites at random"].reports}
    assert len(drawn) > 1
    for report in found[WITHOUT_RETRIEVAL].reports:
        assert not report.cited_texts and report.citations == ((1, 2), (9,), ())
    served = [number for one in found[SERVED].reports for some in one.citations for number in some]
    assert served and 9 not in served


def test_outputs_of_some_studies_are_no_submission(
    root: Path, outputs: Outputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [json.loads(line) for line in outputs.path.read_text().splitlines()]
    some = tmp_path / "some.jsonl"
    some.write_text("".join(json.dumps(row) + "\n" for row in kept if row.get("study_id") != "s24"))
    assert run(root, "systems", "--outputs", some, "--out", tmp_path / "submissions") == 1
    assert f"lacks 1 of {HELD_OUT} studies: complete it" in capsys.readouterr().err
    assert not (tmp_path / "submissions").exists()


@pytest.mark.usefixtures("bench")
def test_the_same_submission_is_scored_on_test_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    assert run(root, "systems", "--out", tmp_path / "of_test", split="test") == 0
    scored = (tmp_path / "of_test", "--resamples", 20, "--test-log", log)
    assert run(root, "run", *scored, split="test") == 0
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(entries) == 8 and {one["collection"] for one in entries} == {"citations"}
    capsys.readouterr()
    assert run(root, "run", *scored, split="test") == 1
    assert "give a reason with --again" in capsys.readouterr().err
    assert run(root, "run", *scored, "--again", "a drawn reason", split="test") == 0


@pytest.mark.usefixtures("bench")
def test_the_corpus_is_written_as_passages_count(root: Path, tmp_path: Path) -> None:
    assert main(["corpus", "--index", str(root / "index"), "--out", str(tmp_path / "c.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    cases = list(Retriever.open(root / "index", ReportEncoder()).index.cases)
    assert [row["report"] for row in rows] == [case.report for case in cases]
    assert rows[0]["case"] == f"local:{cases[0].study_id}"


@pytest.mark.parametrize("findings", ["Clear lungs.  No\n effusion.", "1. Clear lungs 2. No mass"])
def test_a_whole_report_is_cited_whatever_its_white_space(findings: str) -> None:
    corpus = Corpus([a_case(4, findings, "Normal  chest.")])
    whole = corpus.whole_sentences(Passage(case="drawn:s4"))
    assert corpus.resolve(whole, "here") == corpus.reports["drawn:s4"]
    assert corpus.has_text(corpus.reports["drawn:s4"])
