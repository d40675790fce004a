"""Images with labels and no report: split, pack, draws, losses, scores."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from db.errors import NotFoundError, UserError
from db.labels import EXTRA_FINDINGS, OBSERVATIONS
from finetune.encoder.augment import coarsen
from finetune.encoder.export import export
from finetune.encoder.labelled.losses import LabelledTargets
from finetune.encoder.learner import MovingAverage
from finetune.encoder.losses import Targets
from finetune.encoder.network import new_network
from finetune.encoder.pack import Pack
from finetune.encoder.trainer import training_rows
from indexer.encoder.load import load_encoder
from indexer.sources.nih_folders import (
    NIH_LABELS,
    label_table,
    observed,
    read_nih_folders,
    split_patients,
)
from indexer.sources.records import BoundingBox
from tests.support.radiographs import draw_radiograph
from tests.test_finetune.encoder.conftest import CONFIG

CPU = torch.device("cpu")


def test_patients_are_held_out_by_hash_and_never_the_seen_ones() -> None:
    patients = {f"{n:08d}" for n in range(1000)}
    seen, boxed = {f"{n:08d}" for n in range(100)}, {"00000007", "00000500"}
    parts = split_patients(patients, seen=seen, boxed=boxed)
    held = {part: {p for p in patients if parts[p] == part} for part in ("train", "val", "test")}
    assert len(held["val"]) == 300 and len(held["test"]) == 302
    assert boxed <= held["test"] and not seen & held["val"]
    assert seen - boxed <= held["train"]
    # The rule must not change: encoders are chosen and tested with these patients.
    assert sorted(held["val"])[:3] == ["00000102", "00000103", "00000106"]


def test_an_image_shows_an_observation_by_any_of_its_labels() -> None:
    table = label_table([frozenset({"Mass", "Effusion"}), frozenset({"Infiltration"})])
    found, known = observed(table)
    named = [{OBSERVATIONS[c] for c in np.flatnonzero(row)} for row in found]
    assert named == [{"Lung Lesion", "Pleural Effusion"}, {"Lung Opacity"}]
    unknown = {OBSERVATIONS[c] for c in np.flatnonzero(~known)}
    assert unknown == {"Enlarged Cardiomediastinum", "Fracture", "Support Devices"}


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no labels\.csv"):
        read_nih_folders([tmp_path])
    (tmp_path / "labels.csv").write_text("image,patient_id,age\na.png,1,40\n")
    with pytest.raises(UserError, match="no column Atelectasis"):
        read_nih_folders([tmp_path])


def test_boxes_are_in_pixels_of_the_image_that_is_there(nih: Path) -> None:
    images = read_nih_folders([nih / "first", nih / "more"])
    boxes = {image.path.name: image.boxes for image in images if image.boxes}
    box = BoundingBox(name="Mass", left=32, top=64, width=16, height=8)
    assert boxes == {"more-6.png": (box,)}
    everyone = read_nih_folders([nih / "first", nih / "more"], adults=False)
    assert len(everyone) == len(images) + 1
    table = nih / "more" / "labels.csv"
    before = table.read_text()
    table.write_text(before.replace("Mass:256:512:128:64", "Mass 256 512 128 64"))
    try:
        with pytest.raises(UserError, match=r"boxes of more-6\.png cannot be read"):
            read_nih_folders([nih / "first", nih / "more"])
    finally:
        table.write_text(before)


def test_a_pack_has_no_labelled_image_of_a_test_patient_or_a_child(
    labelled_pack: Pack, tmp_path: Path
) -> None:
    labelled = labelled_pack.labelled
    assert labelled is not None
    assert labelled.patients.tolist() == ["0", "1", "2", "3", "2", "3", "4", "5"]
    assert labelled.val.tolist() == [False] * 6 + [True] * 2
    assert labelled.coarse.tolist() == [False] * 4 + [True] * 4
    assert labelled.images.shape == (8, 256, 256)
    assert labelled.images[4].std() > 20  # enlarged, not a stamp on black
    assert np.abs(labelled.images[2].astype(int) - labelled.images[4]).mean() < 12
    labelled_pack.save(tmp_path / "pack.npz")
    again = Pack.load(tmp_path / "pack.npz").labelled
    assert again is not None
    assert np.array_equal(again.images, labelled.images)
    assert np.array_equal(again.labels, labelled.labels)


def test_no_image_of_a_val_patient_is_drawn(labelled_pack: Pack) -> None:
    assert labelled_pack.labelled is not None
    targets = LabelledTargets(labelled_pack.labelled, replace(CONFIG, labelled_coarse=0.0), CPU)
    val = torch.from_numpy(labelled_pack.labelled.val)[:, None, None]
    targets.images = torch.where(val, 255, 9).expand(-1, 8, 8)
    batch = targets.draw(64, np.random.default_rng(0))
    assert batch.pixels.max() == 9


def test_images_and_labels_are_mixed_in_equal_shares(labelled_pack: Pack) -> None:
    assert labelled_pack.labelled is not None
    targets = LabelledTargets(labelled_pack.labelled, replace(CONFIG, labelled_coarse=0.0), CPU)
    effusion = NIH_LABELS.index("Effusion")
    shown = torch.from_numpy(labelled_pack.labelled.labels[:, effusion]).float()
    targets.images = (255 * shown)[:, None, None].expand(-1, 8, 8)
    batch = targets.draw(64, np.random.default_rng(0))
    assert torch.allclose(batch.pixels.mean(dim=(1, 2)) / 255, batch.labels[:, effusion], atol=1e-5)
    assert ((batch.labels[:, effusion] > 0.01) & (batch.labels[:, effusion] < 0.99)).any()
    column = OBSERVATIONS.index("Pleural Effusion")
    assert torch.equal(batch.observations[:, column], batch.labels[:, effusion])
    mass = EXTRA_FINDINGS.index("Mass")
    assert torch.equal(batch.extra[:, mass], batch.labels[:, NIH_LABELS.index("Mass")])


def test_observations_that_the_images_are_not_labelled_for_teach_nothing(
    labelled_pack: Pack,
) -> None:
    assert labelled_pack.labelled is not None
    network = new_network(CONFIG, labelled_pack)
    targets = LabelledTargets(labelled_pack.labelled, CONFIG, CPU)
    batch = targets.draw(4, np.random.default_rng(0))
    pooled = torch.randn(4, network.labels.in_features)
    losses = targets.losses(network, pooled, batch)
    (losses["shared"] + losses["source_observations"]).backward()
    fracture = OBSERVATIONS.index("Fracture")
    for head in (network.labels, network.source_observations):
        assert head.bias.grad is not None
        assert head.bias.grad[fracture] == 0 and head.bias.grad.abs().sum() > 0


def test_a_blurred_image_keeps_its_mean_and_loses_its_detail() -> None:
    board = torch.from_numpy(np.indices((64, 64)).sum(axis=0) % 2 * 200)
    blurred = coarsen(torch.stack([board, board]), torch.tensor([0.0, 1.0]))
    assert torch.equal(blurred[0], board.float())
    assert blurred[1].std() < 1 and abs(float(blurred[1].mean()) - 100) < 1


def test_indexing_terms_say_further_findings(pack: Pack) -> None:
    names = np.array(["hernia, hiatal/large", "auto:nodule", "massive"])
    terms = np.zeros((len(pack.terms), 3), np.uint8)
    terms[0], terms[1] = (1, 0, 0), (0, 1, 1)
    changed = replace(pack, terms=terms, term_names=names)
    targets = Targets(changed, CONFIG, training_rows(changed, CONFIG), CPU)
    images = torch.zeros((2, 3), dtype=torch.int64)
    extra = targets.batch(np.array([0, 1, 2]), images, np.random.default_rng(0)).extra
    found = [{EXTRA_FINDINGS[c] for c in np.flatnonzero(row)} for row in extra.numpy()]
    assert found == [{"Hernia"}, {"Nodule"}, set()]


def test_a_moving_average_forgets_where_it_began(pack: Pack) -> None:
    network = new_network(CONFIG, pack)
    average = MovingAverage(network, 0.99)
    with torch.no_grad():
        network.source_bias.fill_(1.0)
    for _ in range(100):
        average.update(network)
    assert average.module.source_bias.min() > 0.99  # 0.63 at a constant decay


def test_an_encoder_from_both_sources_scores_further_findings(
    run_dir: Path, text_dir: Path, tmp_path: Path
) -> None:
    start, end = (load_file(run_dir / n / "weights.safetensors") for n in ("start", "member-0"))
    assert not torch.equal(start["source_labels.weight"], end["source_labels.weight"])
    scores = json.loads((run_dir / "scores.json").read_text())
    assert {"labelled", "auc_Lung Lesion", "auc_Mass"} <= scores.keys()
    export(run_dir, tmp_path / "encoder", text_dir=text_dir)
    heads = load_file(tmp_path / "encoder" / "heads.safetensors")
    assert not any(name.startswith(("source", "terms")) for name in heads)
    embeddings = load_encoder(str(tmp_path / "encoder")).embed_images([draw_radiograph(3)] * 2)
    assert embeddings.extra_scores is not None and embeddings.frontal is not None
    assert embeddings.extra_scores.shape == (2, len(EXTRA_FINDINGS))
    assert 0 < embeddings.extra_scores.min() < embeddings.extra_scores.max() < 1
    assert embeddings.frontal.shape == (2,)
