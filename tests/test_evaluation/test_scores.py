"""All tables of an evaluation, from outputs alone; probabilities and their calibration."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from db.errors import UserError
from db.labels import FINDINGS, OBSERVATIONS, Labels
from evaluation.classification.calibration import fit
from evaluation.classification.plots import reliability, roc_curve, write_plots
from evaluation.classification.scores import (
    ANSWERED,
    COMBINED,
    MEAN,
    POOLED,
    calibration_error,
    class_tables,
    opinions,
)
from evaluation.grounding.judge import agreement_table, read_pairs, write_pairs
from evaluation.metrics.ranking import roc_auc
from evaluation.outputs.names import (
    BASELINES,
    EXTRACTIVE,
    HEAD,
    IMAGE_FINDINGS_WITHHELD,
    IMAGE_ONLY,
    REPORT_QUESTIONS,
    SERVED,
    VOTE,
    WITH_INDICATION,
    WITH_RETRIEVAL,
    WITHOUT_RETRIEVAL,
)
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.systems import (
    called,
    findings_text,
    highest,
    report_labels,
    rows_of,
    served,
)
from evaluation.scores import Scores, score
from evaluation.tables import to_text
from generator.assessment.calibration import Calibration
from generator.prompts import Prompt
from tests.support.evaluations import HELD_OUT, Bench
from tests.support.models.scripted_model import ScriptedModel


def answer(prompt: Prompt) -> str:
    """Copies the first case's findings where there is one."""
    if prompt.task == "ask":
        return "Yes. [1]" if "[1]" in prompt.text else "No."
    if "[1]" not in prompt.text.split("Write the")[0]:
        return "Findings: The lungs are clear. Impression: Normal chest."
    first = prompt.text.split("Findings: ")[1].split(" Impression:")[0]
    return f"Findings: {first} [1] Impression: Cardiomegaly. [2]"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench.make(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def outputs(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    path = tmp_path_factory.mktemp("out") / "outputs.jsonl"
    return bench.write(ScriptedModel(answer), path)


@pytest.fixture(scope="module")
def scores(bench: Bench, outputs: Outputs) -> Scores:
    return scored(bench, outputs)


def scored(bench: Bench, outputs: Outputs) -> Scores:
    return score(
        outputs,
        bench.references(outputs),
        bench.retriever.index.manifest,
        calibration=Calibration(),
        resamples=30,
    )


def test_every_system_is_scored_on_both_subsets(scores: Scores) -> None:
    assert scores.evaluation is not None
    everything, fresh = scores.evaluation.subsets
    assert everything.studies == HELD_OUT and 0 < fresh.studies < HELD_OUT
    written = {SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL, IMAGE_ONLY, WITH_INDICATION, *BASELINES}
    assert set(everything.figures) == written | {HEAD, VOTE}
    assert all(
        {"CIDEr", "ROUGE-L", "BLEU-4"} <= everything.figures[name].keys() for name in written
    )
    assert set(everything.differences) == (written | {HEAD, VOTE}) - {SERVED}
    named = sum(everything.positives[name] for name in FINDINGS)
    right = everything.positives["Cardiomegaly"]  # which the label head sees on every image
    head = everything.figures[HEAD]["label micro-F1"].value
    assert head == pytest.approx(2 * right / (HELD_OUT + named))


def test_a_report_as_served_is_checked_and_names_what_the_model_left_out(
    bench: Bench, tmp_path: Path
) -> None:
    wrote = "Findings: The lungs are clear. [1] The effusion has grown. [1] Impression: Clear. [9]"
    outputs = bench.write(ScriptedModel(lambda _: wrote), tmp_path / "o.jsonl", tasks=("report",))
    references = bench.references(outputs)
    rows = served(
        rows_of(outputs, WITH_RETRIEVAL, references.studies),
        outputs,
        references,
        Calibration(knn=0.0, label_head=1.0),
    )
    assert {row.system for row in rows} == {SERVED}
    for row in rows:
        findings, _, impression = row.text.partition("Impression:")
        assert re.search(r"clear\..* There is cardiomegaly\. \[\d\]", findings), row.text
        assert "grown" not in row.text and "[9]" not in impression
    figures = scored(bench, outputs).evaluation
    assert figures is not None
    found = {name: one["label micro-F1"].value for name, one in figures.subsets[0].figures.items()}
    assert found[SERVED] == found[HEAD]


def test_tables_come_as_text_and_as_json_without_nan(scores: Scores) -> None:
    titles = [table.title for table in scores.tables]
    assert titles[:5] == [
        "Label F1",
        "Label F1, findings not word for word in the index",
        "Grounding",
        "Over-reliance",
        "Over-reliance, cases that name what the image shows withheld",
    ]
    assert titles[-1] == f"Questions: {REPORT_QUESTIONS}"
    text = scores.text()
    assert all(f"== {title} ==" in text for title in titles)
    for name in ("METEOR", "ClinicalBERT similarity", "RadGraph F1", "CheXbert F1"):
        assert f"{name}: not computed" in text
    document = json.loads(json.dumps(scores.document(), allow_nan=False))
    assert document["about"]["weights_sha256"] == "5c" * 32
    assert len(document["tables"]) == len(titles) and document["subsets"]
    entry = json.loads(json.dumps(scores.log_entry(), allow_nan=False))
    assert entry["figures"][WITH_RETRIEVAL]["CIDEr"][0] == pytest.approx(
        document["subsets"][0]["figures"][WITH_RETRIEVAL]["CIDEr"]["value"], abs=1e-4
    )
    assert entry["figures"]["Grounding"]["precision, as written"][WITH_RETRIEVAL][0] >= 0


def test_the_label_table_has_the_five_common_ones_apart(scores: Scores) -> None:
    table = scores.tables[0]
    assert list(table.rows)[:4] == [
        *("micro, 13 findings", "macro, 13 findings", "micro, 5 common", "macro, 5 common")
    ]
    assert "Cardiomegaly (3)" in table.rows and "Edema (0)" not in table.rows
    assert IMAGE_FINDINGS_WITHHELD not in table.columns


def test_grounding_is_that_of_the_systems_that_cite(scores: Scores) -> None:
    grounding = next(table for table in scores.tables if table.title == "Grounding")
    assert grounding.columns == [WITH_RETRIEVAL, WITH_INDICATION, EXTRACTIVE]
    extractive = grounding.rows["precision, as written"][EXTRACTIVE]
    assert extractive.interval.value == 1.0


def test_scores_are_those_of_the_file_alone(bench: Bench, outputs: Outputs, scores: Scores) -> None:
    assert scored(bench, Outputs.read(outputs.path)).text() == scores.text()


def test_a_system_that_did_not_finish_is_not_scored(
    bench: Bench, outputs: Outputs, tmp_path: Path
) -> None:
    path = tmp_path / "outputs.jsonl"
    lines = outputs.path.read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if f'"system": "{IMAGE_ONLY}"' in line)
    path.write_text("\n".join([*lines[:last], *lines[last + 1 :]]) + "\n")
    with pytest.raises(UserError, match=f"'{IMAGE_ONLY}' lacks 1 of {HELD_OUT} reports"):
        scored(bench, Outputs.read(path))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("classes", f"1 of {HELD_OUT} studies are not classified"),
        ("answer", "did not answer the same questions"),
    ],
)
def test_answers_that_are_not_complete_are_not_scored(
    bench: Bench, outputs: Outputs, tmp_path: Path, kind: str, message: str
) -> None:
    path = tmp_path / "outputs.jsonl"
    lines = outputs.path.read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if f'"kind": "{kind}"' in line)
    path.write_text("\n".join([*lines[:last], *lines[last + 1 :]]) + "\n")
    with pytest.raises(UserError, match=message):
        scored(bench, Outputs.read(path))


def test_an_arm_that_answered_nothing_is_not_left_out_silently(
    bench: Bench, outputs: Outputs, tmp_path: Path
) -> None:
    path = tmp_path / "outputs.jsonl"
    kept = [
        line
        for line in outputs.path.read_text().splitlines()
        if not ('"kind": "answer"' in line and f'"system": "{WITHOUT_RETRIEVAL}"' in line)
    ]
    path.write_text("\n".join(kept) + "\n")
    with pytest.raises(UserError, match=f"'{WITHOUT_RETRIEVAL}' has not answered the questions"):
        scored(bench, Outputs.read(path))


def test_outputs_of_a_part_of_the_split_say_so(
    bench: Bench, outputs: Outputs, tmp_path: Path
) -> None:
    part = replace(bench, studies=bench.studies[:6])
    few = part.write(ScriptedModel(answer), tmp_path / "few.jsonl", tasks=("report",))
    found = scored(bench, few)
    assert "without outputs: 6 studies of the split" in found.notes
    assert ANSWERED not in found.sources and HEAD in found.sources  # encoder and votes alone


def test_findings_are_scored_as_text_and_the_whole_report_for_labels() -> None:
    row = ReportRow(
        system=WITH_RETRIEVAL,
        study_id="1",
        text="Findings: The lungs are clear. [1] Impression: Cardiomegaly. [2]",
    )
    assert findings_text(row) == "The lungs are clear."
    assert report_labels(row)["Cardiomegaly"] == "positive"
    assert findings_text(replace(row, text="Impression: Cardiomegaly. [2]")) == "Cardiomegaly."
    assert findings_text(replace(row, text="")) == ""
    assert findings_text(replace(row, text="As it is [1].", labels={})) == "As it is [1]."


def test_the_likeliest_are_called_as_often_as_the_index_names_them() -> None:
    table = np.array([[0.1, 0.9], [0.3, 0.8], [0.2, 0.7], [0.4, 0.6]])
    chosen = highest(table, np.array([0.5, 0.25]))
    assert chosen.tolist() == [[False, True], [True, False], [False, False], [True, False]]
    votes = np.zeros((4, 13))
    votes[0, FINDINGS.index("Edema")] = 1
    shares = np.zeros(13)
    shares[FINDINGS.index("Edema")] = 0.25
    first, *others = called(votes, shares)
    assert first == {"Edema": "positive"}
    assert all(one == {"No Finding": "positive"} for one in others)


def test_calibration_error_is_the_gap_of_probability_and_frequency() -> None:
    truth = np.array([[True], [False], [False], [False]])
    assert calibration_error(truth, np.full((4, 1), 0.25)).value == pytest.approx(0)
    assert calibration_error(truth, np.full((4, 1), 0.75)).value == pytest.approx(0.5)
    apart = np.array([[0.95], [0.05], [0.05], [0.05]])
    assert calibration_error(truth, apart).value == pytest.approx(0.05)
    assert calibration_error(truth, np.array([[1.0], [0.0], [0.0], [0.0]])).value == 0


def test_a_source_that_knows_scores_one(bench: Bench, outputs: Outputs) -> None:
    references = bench.references(outputs)
    sources = opinions(outputs, references, Calibration())
    assert list(sources) == [COMBINED, ANSWERED, VOTE, HEAD]
    assert all(table.shape == (HELD_OUT, 14) for table in sources.values())
    labels: list[Labels] = [{"Edema": "positive"} if n % 2 else {} for n in range(20)]
    truth = np.zeros((20, 14))
    truth[1::2, OBSERVATIONS.index("Edema")] = 1
    shares = truth.mean(axis=0)
    tables = class_tables({"knows": truth}, labels, shares, note="drawn", resamples=20)
    figures = {table.title.split(": ")[1]: table.rows for table in tables}
    for metric in ("AUC-ROC", "AUC-PR", "F1", "accuracy"):
        assert figures[metric][MEAN]["knows"].interval.value == 1
        assert figures[metric]["Edema (10)"]["knows"].interval.value == 1
    assert figures["expected calibration error"][POOLED]["knows"].interval.value == 0
    assert all("drawn" in table.notes for table in tables)


def test_calibration_trusts_the_opinion_that_is_right() -> None:
    random = np.random.default_rng(0)
    truth = random.random((200, 14)) < 0.1
    right = np.where(truth, 0.8, 0.2)
    noise = random.random((200, 14))
    calibration = fit(
        language_model=noise, knn=right, label_head=1 - right * 0.5, truth=truth, name="drawn"
    )
    assert (
        calibration.knn > 0.5
        and 0 <= calibration.language_model < 0.2
        and calibration.label_head == 0
    )
    assert calibration.fitted_on == "drawn" and set(calibration.offsets) == set(OBSERVATIONS)
    combined = np.array(
        [
            [
                calibration.probability(
                    name, language_model=noise[n, c], knn=right[n, c], label_head=None
                )
                for c, name in enumerate(OBSERVATIONS)
            ]
            for n in range(200)
        ]
    )
    assert calibration_error(truth, combined).value < 0.03 < calibration_error(truth, right).value


def test_an_opinion_with_a_negative_weight_is_left_out() -> None:
    random = np.random.default_rng(1)
    truth = random.random((200, 14)) < 0.2
    first, second = (np.clip(truth * 0.4 + random.random((200, 14)) * 0.5, 0, 1) for _ in range(2))
    against = np.clip(1 - truth * 0.6 - random.random((200, 14)) * 0.3, 0, 1)
    three = fit(language_model=first, knn=second, label_head=against, truth=truth, name="drawn")
    two = fit(language_model=first, knn=second, label_head=None, truth=truth, name="drawn")
    assert three.label_head == 0 and three.offsets["Edema"] == pytest.approx(
        two.offsets["Edema"], 0.02
    )
    assert (three.language_model, three.knn) == pytest.approx(
        (two.language_model, two.knn), rel=0.02
    )


def test_offsets_follow_how_often_an_observation_is_there() -> None:
    truth = np.zeros((100, 14), dtype=bool)
    truth[:50, 0] = truth[:5, 1] = True
    flat = np.full((100, 14), 0.5)
    calibration = fit(language_model=flat, knn=flat, label_head=None, truth=truth, name="drawn")
    often, seldom, never = (
        calibration.probability(name, language_model=0.5, knn=0.5, label_head=None)
        for name in OBSERVATIONS[:3]
    )
    assert often == pytest.approx(0.5, abs=0.05) and seldom == pytest.approx(0.05, abs=0.03)
    assert never < 0.02
    with pytest.raises(UserError, match="nothing can be calibrated"):
        fit(language_model=flat, knn=flat, label_head=None, truth=truth & False, name="drawn")


def test_the_roc_curve_holds_the_area(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    truth = random.random(300) < 0.3
    values = np.round(truth * 0.3 + random.random(300), 1)
    wrong, right = roc_curve(truth, values)
    assert (wrong[0], right[0], wrong[-1], right[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(right, wrong) == pytest.approx(roc_auc(truth, values))
    chance, share, count = reliability(truth, np.full(300, 0.3))
    assert chance == pytest.approx([0.3]) and share == pytest.approx([truth.mean()])
    assert count.tolist() == [300]


def test_plots_are_png_files(scores: Scores, bench: Bench, tmp_path: Path) -> None:
    paths = write_plots(scores.sources, [one.labels for one in bench.studies], tmp_path)
    assert [path.name for path in paths] == ["roc.png", "reliability.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_pairs_are_judged_without_the_result_and_read_back(
    bench: Bench, outputs: Outputs, scores: Scores, tmp_path: Path
) -> None:
    references = bench.references(outputs)
    path = tmp_path / "judge.tsv"
    rows = [outputs.reports[WITH_RETRIEVAL][one.study_id] for one in references.studies]
    count = write_pairs(scores.checked[WITH_RETRIEVAL], rows, references, path)
    head, *lines = path.read_text().splitlines()
    assert len(lines) == count > HELD_OUT and "stands" not in head
    with pytest.raises(UserError, match="has no judgement yet"):
        read_pairs(path)
    ood_checks = {
        (report.study_id, one.written.section, one.written.text, number): number in one.supported
        for report in scores.checked[WITH_RETRIEVAL]
        for one in report.sentences
        for number in range(1, one.shown + 1)
    }
    filled, wrong, judged_keys = [head], 0, []
    for place, line in enumerate(lines):
        values = line.split("\t")
        key = (values[1], values[2], values[3], int(values[4]))
        judged_keys.append(key)
        agree = place % 4 > 0
        wrong += not agree
        filled.append(line + ("yes" if ood_checks[key] == agree else "No"))
    path.write_text("\n".join(filled) + "\n")
    table = agreement_table(read_pairs(path), scores.checked[WITH_RETRIEVAL], resamples=20)
    assert table.rows["the check agrees with the reading"]["all"].count == (count - wrong, count)
    check = [ood_checks[key] for key in judged_keys]
    reader = [said == (place % 4 > 0) for place, said in enumerate(check)]
    chance = np.mean(check) * np.mean(reader) + np.mean(~np.array(check)) * np.mean(
        ~np.array(reader)
    )
    agreed = (count - wrong) / count
    kappa = table.rows["kappa"]["all"].interval.value
    assert kappa == pytest.approx((agreed - chance) / (1 - chance)) and "kappa" in to_text(table)


def test_judgements_of_other_outputs_are_refused(scores: Scores, tmp_path: Path) -> None:
    path = tmp_path / "judge.tsv"
    head = "pair\tstudy\tsection\tsentence\tnumber\tcase\treport\tjudgement\n"
    path.write_text(head + "1\tnone\tfindings\tDrawn.\t1\tx\ty\tyes\n")
    with pytest.raises(UserError, match="study none has no such pair"):
        agreement_table(read_pairs(path), scores.checked[WITH_RETRIEVAL])
    path.write_text(head + "1\tnone\tfindings\tDrawn.\t1\tx\ty\tperhaps\n")
    with pytest.raises(UserError, match="line 2: judge with yes or no, not 'perhaps'"):
        read_pairs(path)
    path.write_text("a\tb\n")
    with pytest.raises(UserError, match="must have the columns pair, study"):
        read_pairs(path)
