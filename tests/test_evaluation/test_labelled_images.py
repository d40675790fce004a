"""Label AUC on images with labels and no report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.labels import EXTRA_FINDINGS, OBSERVATIONS
from evaluation.__main__ import main
from evaluation.classification.labelled_images import Scored, auc_table
from evaluation.classification.retrieved_images import retrieve_images
from evaluation.outputs.names import EXTRACTIVE, HEAD, NEAREST, VOTE
from generator.assessment.calibration import Calibration
from indexer.images.reader import read_radiograph
from indexer.sources.nih_folders import (
    NIH_LABELS,
    NihImage,
    label_table,
    observed,
    read_nih_folders,
)
from retriever.query import image_query
from retriever.search import Retriever
from tests.support.evaluations import Bench
from tests.support.fakes import ReportEncoder
from tests.support.radiographs import draw_radiograph

LABELS = [frozenset({"Effusion", "Nodule"}), frozenset({"No Finding"})]


def images_of(patients: int, each: int = 1) -> list[NihImage]:
    """Images in two folders; every other patient has an effusion and a nodule."""
    return [
        NihImage(
            path=Path(f"{patient}-{number}.png"),
            folder=("first", "more")[number % 2],
            patient_id=str(patient),
            part="test",
            labels=LABELS[patient % 2],
        )
        for patient in range(patients)
        for number in range(each)
    ]


def scored(images: list[NihImage], name: str, *, noise: float, extra: bool) -> Scored:
    """Scores that are right but for noise."""
    rng = np.random.default_rng(7)
    truth, _ = observed(label_table([image.labels for image in images]))
    nodules = [["Nodule" in image.labels] for image in images]
    return Scored(
        name=name,
        weights_sha256="f" * 64,
        labels=(truth + rng.normal(0, noise, truth.shape)).astype(np.float32),
        extra=np.repeat(nodules, len(EXTRA_FINDINGS), axis=1).astype(np.float32) if extra else None,
    )


def test_the_mean_is_over_observations_that_enough_images_show() -> None:
    images = images_of(50, each=2)
    ours = scored(images, "ours", noise=0.0, extra=True)
    theirs = scored(images, "theirs", noise=1.0, extra=False)
    rows = auc_table(images, [ours, theirs], resamples=200).rows
    mean = rows["mean (2 observations)"]  # effusion and lesion: 50 images each
    assert mean["ours"].interval.value == 1 and 0.6 < mean["theirs"].interval.value < 0.9
    gain = mean["difference"].interval
    assert gain.value == pytest.approx(1 - mean["theirs"].interval.value)
    assert 0 < gain.low < gain.value < gain.high
    votes = scored(images, "votes", noise=2.0, extra=False)
    three = auc_table(images, [ours, theirs, votes], resamples=200).rows["mean (2 observations)"]
    assert three["minus theirs"] == mean["difference"]
    assert three["minus votes"].interval.value > gain.value and "difference" not in three
    assert "mean, first (2 observations)" in rows and "mean, more (2 observations)" in rows
    assert rows["Nodule (50)"].keys() == {"ours"}
    assert not any("Cardiomegaly" in row for row in rows)


def test_images_of_one_patient_are_drawn_together() -> None:
    once, often = images_of(40), images_of(40, each=10)
    alone = scored(once, "ours", noise=1.0, extra=False)
    repeated = Scored(
        name="ours",
        weights_sha256=alone.weights_sha256,
        labels=np.repeat(alone.labels, 10, axis=0),
        extra=None,
    )
    row = "Pleural Effusion ({})"
    few = auc_table(once, [alone], resamples=300).rows[row.format(20)]["ours"].interval
    many = auc_table(often, [repeated], resamples=300).rows[row.format(200)]["ours"].interval
    assert (many.low, many.high) == pytest.approx((few.low, few.high), abs=0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight patients; the two with boxes are test, the others val."""
    (tmp_path / "seen").mkdir()
    (tmp_path / "nih" / "images").mkdir(parents=True)
    fields = ["image", "patient_id", "age", "w", "boxes_name_x_y_w_h_in_1024", *NIH_LABELS]
    for name, patients in (("seen", []), ("nih", range(8))):
        with (tmp_path / name / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fields, restval="")
            writer.writeheader()
            for patient in patients:
                image = f"{patient}.png"
                Image.fromarray(draw_radiograph(patient)).save(tmp_path / name / "images" / image)
                labels = dict.fromkeys(LABELS[patient % 2], "1")
                box = {"boxes_name_x_y_w_h_in_1024": "Nodule:1:2:3:4"} if patient < 2 else {}
                row = {"image": image, "patient_id": patient, "age": 50, "w": 256}
                writer.writerow({**row, **labels, **box})
        if not patients:
            with (tmp_path / name / "labels.csv").open("a", newline="") as stream:
                csv.DictWriter(stream, fields, restval="").writerow(
                    {"image": "x.png", "patient_id": "x", "age": 50}
                )
    return tmp_path


def test_a_run_on_test_patients_is_logged_and_not_repeated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["labels", "pretrained/encoder", "--nih-dir", str(folder / "seen")]
    command += [str(folder / "nih"), "--resamples", "20", "--split"]
    log = folder / "log.jsonl"
    assert main([*command, "val", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["about"]["images"] == document["about"]["patients"] == 6
    assert "Pleural Effusion (3)" not in document["figures"]  # too few for a row
    assert "No Finding (3)" in document["figures"]
    assert main([*command, "test", "--test-log", str(log), "--out", str(folder / "out")]) == 0
    entry = json.loads(log.read_text())
    assert entry["collection"] == "chestxray14" and entry["images"] == 2
    assert "by patient" in (folder / "out" / "labels.txt").read_text()
    capsys.readouterr()
    assert main([*command, "test", "--test-log", str(log)]) == 1
    assert "--again REASON" in capsys.readouterr().err


def test_an_index_of_other_data_votes_and_reports_on_the_images(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ReportEncoder({"Cardiomegaly": 0.8, "Pleural Effusion": 0.9})
    monkeypatch.setattr(
        "evaluation.classification.label_run.load_encoder", lambda *_, **__: encoder
    )
    for module in ("labelled_images", "retrieved_images"):
        monkeypatch.setattr(f"evaluation.classification.{module}.MIN_POSITIVES", 3)
    bench = Bench.make(folder / "data")
    retriever = Retriever.open(bench.retriever.index.path, encoder)
    command = ["labels", "drawn", "--index", str(folder / "data" / "index"), "--split", "val"]
    command += ["--nih-dir", str(folder / "seen"), str(folder / "nih"), "--resamples", "20"]
    assert main([*command, "--json"], open_retriever=lambda *_, **__: retriever) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["about"]["index"]["source"] == "local"
    auc = document["figures"]["Pleural Effusion (3)"]
    assert {"drawn", VOTE, "difference"} == auc.keys()
    found = retrieve_images(val_images(folder), retriever, Calibration())
    vote = retriever.vote(image_query(encoder, [read_radiograph(val_images(folder)[0].path)]))
    assert found.votes.labels[0] == pytest.approx([vote[n].probability for n in OBSERVATIONS])
    # the drawn head sees an effusion everywhere: right on 3 of 6 images
    assert document["F1"]["Pleural Effusion (3)"][HEAD]["value"] == pytest.approx(2 / 3)
    assert document["F1"].keys() >= {"micro, 2 findings"}
    assert document["F1"]["micro, 2 findings"].keys() == {EXTRACTIVE, NEAREST, HEAD}


def val_images(folder: Path) -> list[NihImage]:
    return [i for i in read_nih_folders([folder / "seen", folder / "nih"]) if i.part == "val"]


def test_an_index_of_another_encoder_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench.make(folder / "data")
    command = ["labels", "pretrained/encoder", "--index", "drawn", "--split", "val"]
    command += ["--nih-dir", str(folder / "seen"), str(folder / "nih")]
    assert main(command, open_retriever=lambda *_, **__: bench.retriever) == 1
    assert "name the encoder of the index" in capsys.readouterr().err
