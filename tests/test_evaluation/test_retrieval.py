"""Evaluation: figures that can be worked out by hand, and a test split that is met once."""

import json
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from db.errors import UserError
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, Labels, positives
from evaluation.__main__ import main
from evaluation.layout import WIDTH
from evaluation.metrics.bootstrap import mean_of
from evaluation.provenance import provenance
from evaluation.reports.systems import label_table
from evaluation.retrieval.report import to_document, to_table, write_plots
from evaluation.retrieval.scores import LEAST_POSITIVES, Evaluation, evaluate, restrict, title
from evaluation.retrieval.shown_cases import NAMED, STRATEGIES, shown_cases_table
from evaluation.retrieval.studies import EvaluationStudy, embed, read_studies
from evaluation.retrieval.systems import System, compare, label_head, nearest_case, searched
from indexer.build import build
from indexer.images.radiograph import Radiograph
from indexer.reports.labeller import LABELLER_VERSION
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph

INDEXED, HELD_OUT = 60, 24


class TextTower(ReportEncoder):
    """A text is embedded at the mean of the images whose report it is, so own reports are found."""

    def __init__(self, path: Path) -> None:
        super().__init__({"Cardiomegaly": 0.8})
        self._vectors: dict[str, list[np.ndarray]] = {}
        for line in map(json.loads, path.read_text().splitlines()):
            report = f"{line['findings']} {line['impression']}"
            image = np.asarray(Image.open(path.parent / line["image"]))
            self._vectors.setdefault(report, []).append(self.embed_images([image]).vectors[0])

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.spec.dim), np.float32)
        means = np.stack([np.mean(self._vectors[text], axis=0) for text in texts])
        return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def studies_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 studies to index; 24 with a lateral image too, each of val and test, to evaluate on."""
    path = write_studies(tmp_path_factory.mktemp("evaluate"), INDEXED + 2 * HELD_OUT)
    lines = []
    for number, line in enumerate(map(json.loads, path.read_text().splitlines())):
        line["split"] = "train"
        if number >= INDEXED:
            lateral = path.parent / f"{number}-lateral.png"
            Image.fromarray(draw_radiograph(number, size=(96, 80), view="LATERAL")).save(lateral)
            line["split"] = "val" if number < INDEXED + HELD_OUT else "test"
            line["images"] = [
                {"path": line.pop("image"), "view_position": "PA"},
                {"path": lateral.name, "view_position": "LATERAL"},
            ]
        if number % 3 == 2:
            line["findings"] += " The bones are intact."
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def retriever(studies_path: Path) -> Retriever:
    index_dir = studies_path.parent / "index"
    build(JsonLines(studies_path, split="train"), ThumbnailEncoder(), index_dir)
    return Retriever.open(index_dir, ThumbnailEncoder())


@pytest.fixture(scope="module")
def val(studies_path: Path, retriever: Retriever) -> list[EvaluationStudy]:
    studies, without = read_studies(JsonLines(studies_path, split="val"), retriever)
    assert not without.skipped and not without.dropped
    return studies


@pytest.fixture(scope="module")
def evaluation(retriever: Retriever, val: list[EvaluationStudy]) -> Evaluation:
    return evaluate(val, compare(retriever, val, baseline=None), resamples=200)


def study(number: int, findings: str, labels: Labels, *, in_index: bool = False) -> EvaluationStudy:
    return EvaluationStudy(
        study_id=f"s{number}",
        patient_id=None,
        images=(),
        findings=findings,
        report=findings,
        labels=labels,
        in_index=in_index,
    )


def test_studies_come_with_both_views_and_the_frontal_ones_apart(
    val: list[EvaluationStudy], retriever: Retriever
) -> None:
    assert len(val) == HELD_OUT
    assert {len(one.images) for one in val} == {2} and {len(one.frontal) for one in val} == {1}
    assert all(one.frontal[0] is one.images[0] for one in val)
    both, frontal = val[0].decode(), val[0].decode("frontal")
    assert [one.view_position for one in both] == ["PA", "LATERAL"]
    assert [one.sha256 for one in frontal] == [both[0].sha256]
    indexed = {case.findings for case in retriever.index.cases}
    assert all(one.in_index == (one.findings in indexed) for one in val)


def test_a_split_that_is_indexed_is_refused(studies_path: Path, retriever: Retriever) -> None:
    with pytest.raises(UserError, match=r"not held out: \w+ \w+ has s0 in split 'train'"):
        read_studies(JsonLines(studies_path, split="train"), retriever)


def test_an_image_that_is_indexed_under_another_patient_is_refused_with_the_cure(
    studies_path: Path, retriever: Retriever, tmp_path: Path
) -> None:
    first, *_ = map(json.loads, studies_path.read_text().splitlines())
    first |= {"study_id": "copy", "patient_id": "someone", "split": "val"}
    first["image"] = str(studies_path.parent / first["image"])
    (tmp_path / "studies.jsonl").write_text(json.dumps(first) + "\n")
    with pytest.raises(UserError, match=r"study copy .* give both studies the id of one patient"):
        read_studies(JsonLines(tmp_path / "studies.jsonl", split="val"), retriever)


def test_images_are_decoded_where_they_are_used_and_let_go(
    val: list[EvaluationStudy], retriever: Retriever
) -> None:
    assert not [one for one in val if isinstance(one.images[0], Radiograph)]
    queries = embed(retriever.encoder, val, "both")
    first = weakref.ref(next(queries).images[0])
    assert len(list(queries)) == len(val) - 1
    assert first() is None


def test_missing_images_are_skipped_and_counted_as_a_build_does(
    studies_path: Path, retriever: Retriever, tmp_path: Path
) -> None:
    held = [one for one in map(json.loads, studies_path.read_text().splitlines())
            if one["split"] == "val"]  # fmt: skip
    for one in held:
        for image in one["images"]:
            image["path"] = str(studies_path.parent / image["path"])
    held[0]["images"][0]["path"] = "not-there.png"  # its lateral image is left
    for image in held[1]["images"]:
        image["path"] = "nor-there.png"
    held[2].pop("findings")
    held[2]["impression"] = "Normal chest."
    path = tmp_path / "studies.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in held))
    studies, left_out = read_studies(JsonLines(path, split="val"), retriever)
    assert len(studies) == HELD_OUT - 2 and len(studies[0].images) == 1
    assert left_out.summary() == (
        f"{HELD_OUT} studies: 3 images missing, 1 study skipped without a readable image, "
        "1 skipped (report without findings)"
    )


def test_another_study_of_an_indexed_patient_is_refused(
    studies_path: Path, retriever: Retriever, tmp_path: Path
) -> None:
    line = json.loads(studies_path.read_text().splitlines()[0])
    line |= {"study_id": "new", "image": str(studies_path.parent / line["image"])}
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps(line))
    with pytest.raises(
        UserError,
        match=r"patient p0 has new in split 'all' and s0 in the index: evaluate on patients",
    ):
        read_studies(JsonLines(path), retriever)


def test_studies_of_one_patient_are_resampled_together_in_every_figure() -> None:
    """Two patients of ten studies each: right on all of the one and on none of the other."""
    studies = [
        replace(study(number, "Words.", {"Edema": "positive"}), patient_id=f"p{number // 10}")
        for number in range(20)
    ]
    right = [one.labels if one.patient_id == "p0" else {} for one in studies]
    ours = System(name="ours", views=None, labels=right)
    none = System(name="none", views=None, labels=[{}] * 20)
    (subset,) = evaluate(studies, [ours, none], resamples=200).subsets
    gain = subset.differences["none"]["label micro-F1"]
    for found in (subset.figures["ours"]["label micro-F1"], gain):
        assert (found.low, found.high) == (0, 1), "a patient is drawn whole, or not at all"
    assert gain.p == 1, "outputs are exchanged whole too: the difference is as large either way"
    (row,) = (r for r in label_table([ours], studies, resamples=200).rows if r.startswith("Edema"))
    cell = label_table([ours], studies, resamples=200).rows[row]["ours"].interval
    assert (cell.low, cell.high) == (0, 1)


def test_the_cases_of_both_strategies_are_compared(
    retriever: Retriever, val: list[EvaluationStudy]
) -> None:
    queries = list(embed(retriever.encoder, val, "both"))
    rows = shown_cases_table(retriever, val, queries, resamples=50).rows
    assert len(rows) == 9 and all("difference" in cells for cells in rows.values())
    named_here = rows[f"search, k = 10: {NAMED}"]
    truth = positives([one.labels for one in val], FINDINGS)
    for strategy in STRATEGIES:
        count = 0
        for query, wanted in zip(queries, truth, strict=True):
            hits = retriever.find(query, SearchOptions(k=10, strategy=strategy)).hits
            offered = positives([hit.case.labels for hit in hits], FINDINGS).any(axis=0)
            count += int((offered & wanted).sum())
        assert named_here[strategy].count == (count, int(truth.sum()))
    assert all(0 <= cells["similar"].interval.value <= 1 for cells in rows.values())


def test_perfect_answers_score_one_and_the_difference_to_none_is_paired() -> None:
    studies = [
        study(number, text, {label: "positive"})
        for number, (text, label) in enumerate(
            [("The heart is big.", "Cardiomegaly"), ("Fluid at both bases today.", "Edema")] * 15
        )
    ]
    truth = np.zeros((30, 14))
    truth[::2, OBSERVATIONS.index("Cardiomegaly")] = 1
    truth[1::2, OBSERVATIONS.index("Edema")] = 1
    perfect = System(
        name="perfect",
        views="both",
        texts=[one.findings for one in studies],
        labels=[one.labels for one in studies],
        scores=truth,
    )
    blind = System(
        name="blind", views=None, texts=["Words."] * 30, labels=[{}] * 30, scores=np.zeros((30, 14))
    )
    (subset,) = evaluate(studies, [perfect, blind], resamples=100).subsets
    assert subset.mean_over == ("Cardiomegaly", "Edema") and subset.studies == 30
    assert subset.positives["Edema"] == 15 and subset.positives[NO_FINDING] == 0
    best, worst = subset.figures["perfect, both"], subset.figures["blind"]
    for metric in ("BLEU-4", "ROUGE-L", "label micro-F1", "label macro-F1", "AUC mean"):
        assert best[metric].value == pytest.approx(1, abs=1e-6), metric
    assert worst["label micro-F1"].value == 0 and worst["AUC mean"].value == 0.5
    assert f"AUC {NO_FINDING}" not in best
    gain = subset.differences["blind"]
    assert gain["label micro-F1"].value == 1 and gain["AUC mean"].value == pytest.approx(0.5)
    assert gain["label micro-F1"].low == gain["label micro-F1"].high == 1
    assert "perfect, both" not in subset.differences


def test_an_observation_with_few_positives_is_in_no_mean() -> None:
    labels: list[Labels] = [
        {"Edema": "positive"} if number < LEAST_POSITIVES - 1 else {"Cardiomegaly": "uncertain"}
        for number in range(30)
    ]
    studies = [study(number, "Some text.", one) for number, one in enumerate(labels)]
    scores = np.zeros((30, 14))
    scores[:, OBSERVATIONS.index("Cardiomegaly")] = [number >= 9 for number in range(30)]
    (subset,) = evaluate(
        studies, [System(name="one", views=None, scores=scores)], resamples=50
    ).subsets
    assert subset.mean_over == ("Cardiomegaly",)
    assert subset.figures["one"]["AUC mean"].value == 1
    assert subset.figures["one"]["AUC Edema"].value == 0.5


def test_a_second_table_leaves_out_reports_that_are_indexed() -> None:
    studies = [
        study(number, f"Text number {number} here.", {"Edema": "positive"}, in_index=number < 20)
        for number in range(30)
    ]
    texts = [one.findings if one.in_index else "Nothing alike." for one in studies]
    evaluation = evaluate(studies, [System(name="copies", views=None, texts=texts)], resamples=50)
    everything, fresh = evaluation.subsets
    assert (everything.studies, fresh.studies) == (30, 10)
    assert fresh.positives["Edema"] == 10
    assert everything.figures["copies"]["ROUGE-L"].value > 0.6
    assert fresh.figures["copies"]["ROUGE-L"].value < 0.3


def test_a_restricted_statistic_is_that_of_the_studies_left() -> None:
    scores = np.arange(10.0)
    chosen = scores > 5
    assert restrict(mean_of(scores), chosen).value == scores[chosen].mean()
    assert restrict(mean_of(scores), chosen).studies == 4


def test_two_systems_of_one_name_are_refused() -> None:
    one = System(name="a", views=None, texts=["x"])
    with pytest.raises(UserError, match="same name"):
        evaluate([study(1, "x y", {})], [one, one])


def test_every_baseline_is_in_the_table(evaluation: Evaluation) -> None:
    subset = evaluation.subsets[0]
    assert list(subset.figures) == [
        "nearest case by thumbnail, both",
        "nearest case by thumbnail, frontal",
        "constant, most frequent",
        "constant, normal",
        "random cases",
    ]
    both = subset.figures["nearest case by thumbnail, both"]
    assert {"BLEU-1", "CIDEr", "label micro-F1", "AUC Cardiomegaly", "precision@5", "nDCG@10"} <= (
        both.keys()
    )
    assert both != subset.figures["nearest case by thumbnail, frontal"]
    assert "own report recall@1" not in both and "flagged" not in both
    assert subset.figures["constant, normal"]["label micro-F1"].value == 0
    assert set(subset.differences) == set(subset.figures) - {"nearest case by thumbnail, both"}


def test_the_nearest_case_is_copied_and_many_cases_vote(
    retriever: Retriever, val: list[EvaluationStudy]
) -> None:
    found = searched(retriever, embed(retriever.encoder, val, "both"))
    system = nearest_case("n", "both", retriever, found, val)
    assert title(system) == "n, both"
    hits = retriever.search(val[3].decode(), k=10).hits
    assert system.texts is not None and system.texts[3] == hits[0].case.findings
    assert system.labels is not None and system.labels[3] == hits[0].case.labels
    votes = found[3].votes
    assert system.scores is not None and system.scores.shape == (HELD_OUT, 14)
    assert system.scores[3, 2] == votes["Cardiomegaly"].probability
    assert system.relevance is not None and system.relevance.shape == (HELD_OUT, 10)
    assert label_head("head", "both", found) is None


def test_a_case_without_findings_is_not_copied(
    studies_path: Path, val: list[EvaluationStudy], tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in studies_path.read_text().splitlines()[:12]]
    for number, line in enumerate(lines):
        line["image"] = str(studies_path.parent / line["image"])
        line["findings"] = line["findings"] if number % 2 else ""
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    build(JsonLines(path), ThumbnailEncoder(), tmp_path / "index")
    retriever = Retriever.open(tmp_path / "index", ThumbnailEncoder())
    found = searched(retriever, embed(retriever.encoder, val, "both"))
    nearest = [retriever.search(one.decode(), k=1).hits[0].case.findings for one in val]
    system = nearest_case("n", "both", retriever, found, val)
    assert "" in nearest and system.texts is not None and "" not in system.texts


def test_an_encoder_without_a_text_encoder_has_no_row_for_own_reports(
    retriever: Retriever, val: list[EvaluationStudy]
) -> None:
    class Towerless(ThumbnailEncoder):
        def embed_text(self, texts: Sequence[str]) -> np.ndarray:
            raise UserError("the encoder has no text tower")

    towerless = Retriever(retriever.index, Towerless())
    found = searched(towerless, embed(towerless.encoder, val, "both"))
    assert nearest_case("n", "both", towerless, found, val).own_report_ranks is None


def test_an_encoder_with_heads_gets_rows_for_them(
    studies_path: Path, retriever: Retriever, tmp_path: Path
) -> None:
    encoder = TextTower(_flat(studies_path, tmp_path))
    build(JsonLines(studies_path, split="train"), encoder, tmp_path / "index")
    trained = Retriever.open(tmp_path / "index", encoder)
    val, _ = read_studies(JsonLines(studies_path, split="val"), trained)
    systems = compare(trained, val, baseline=retriever)
    figures = evaluate(val, systems, resamples=20).subsets[0].figures
    assert figures["label head of reports, both"]["AUC Cardiomegaly"].value == 0.5
    recalls = [figures["nearest case by reports, both"][f"own report recall@{k}"] for k in (1, 5)]
    assert 0 < recalls[0].value <= recalls[1].value <= 1
    assert "nearest case by thumbnail, both" in figures


def _flat(studies_path: Path, tmp_path: Path) -> Path:
    """The same lines, each with its frontal image as its image."""
    lines = []
    for line in map(json.loads, studies_path.read_text().splitlines()):
        image = line.get("image") or line["images"][0]["path"]
        lines.append(json.dumps({**line, "image": str(studies_path.parent / image)}))
    path = tmp_path / "flat.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_labeller_and_cleaning_stand_beside_the_figures(
    retriever: Retriever, evaluation: Evaluation
) -> None:
    origin = provenance(retriever.index.manifest, split="val", without=2, resamples=200)
    document = to_document(evaluation, origin)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["provenance"]["reference_labeller"] == LABELLER_VERSION
    assert document["provenance"]["cleaning"] == "r2gen-iu"
    assert document["provenance"]["reference_text"] == "FINDINGS alone"
    table = to_table(evaluation, origin)
    assert f"cleaning r2gen-iu; reference labels: labeller {LABELLER_VERSION}" in " ".join(
        table.split()
    )
    assert max(map(len, table.splitlines())) <= WIDTH
    assert "nearest case by thumbnail, both minus ..., paired" in table
    for name in OBSERVATIONS:
        assert f"\n{name}" in table


def test_plots_are_written(evaluation: Evaluation, tmp_path: Path) -> None:
    paths = write_plots(evaluation, tmp_path)
    assert {path.name for path in paths} == {"auc.png", "labels.png", "cider.png"}
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG" and min(image.size) > 200


def run(studies_path: Path, split: str, *more: str) -> int:
    index = studies_path.parent / "index"
    command = f"retrieval {index} --source jsonl --data-dir {studies_path} --split {split}"
    return main(
        [*command.split(), "--resamples", "20", *more],
        open_retriever=lambda path, **_: Retriever.open(path, ThumbnailEncoder()),
    )


def test_the_command_writes_json_table_and_plots(
    studies_path: Path,
    retriever: Retriever,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "log.jsonl"
    out = tmp_path / "out"
    assert run(studies_path, "val", "--out", str(out), "--json", "--test-log", str(log)) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "evaluation.json").read_text())
    assert printed["subsets"][0]["studies"] == HELD_OUT
    assert sorted(path.name for path in out.iterdir()) == [
        *("auc.png", "cider.png", "evaluation.json", "evaluation.txt", "labels.png")
    ]
    assert not log.exists()


def test_weights_are_measured_on_test_once(
    studies_path: Path,
    retriever: Retriever,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "bench" / "log.jsonl"
    assert run(studies_path, "test", "--test-log", str(log)) == 0
    first = log.read_text()
    entry: dict[str, Any] = json.loads(first)
    assert entry["weights_sha256"] == retriever.encoder.spec.weights_sha256
    assert entry["command"].startswith("python -m evaluation retrieval ")
    assert len(entry["figures"]["nearest case by thumbnail, both"]["CIDEr"]) == 3
    capsys.readouterr()
    assert run(studies_path, "test", "--test-log", str(log)) == 1
    assert "were measured on test on" in capsys.readouterr().err
    assert log.read_text() == first
    assert run(studies_path, "test", "--test-log", str(log), "--again", "a bug was mended") == 0
    assert log.read_text().startswith(first)
    again = json.loads(log.read_text().splitlines()[1])
    assert again["again"] == "a bug was mended"
    log.write_text("no json\n")
    assert run(studies_path, "test", "--test-log", str(log)) == 1
    assert "line 1 is no entry of a test log" in capsys.readouterr().err
