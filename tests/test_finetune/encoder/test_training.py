import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from db.errors import MismatchError, NotFoundError, UserError
from db.labels import FINDINGS, OBSERVATIONS
from evaluation.metrics.text import Cider
from finetune.__main__ import main
from finetune.encoder import run as encoder_run
from finetune.encoder.augment import augment
from finetune.encoder.config import TOWER
from finetune.encoder.export import export
from finetune.encoder.network import new_network
from finetune.encoder.pack import (
    POSITIVE,
    TRAIN,
    UNCERTAIN,
    UNLISTED,
    VAL,
    Pack,
)
from finetune.encoder.scores import Embedded, of_studies, thresholds
from finetune.encoder.trainer import EncoderTrainer, training_rows
from finetune.examples.text_similarity import cider_matrix, text_similarity
from indexer.encoder.dual_encoder import OpenClipEncoder
from indexer.encoder.load import load_encoder
from indexer.encoder.weight_files import MODEL
from indexer.reports.labeller import LABELLER_VERSION
from tests.support.models.training import check_recorded
from tests.support.radiographs import draw_radiograph
from tests.test_finetune.encoder.conftest import CONFIG


def test_a_pack_holds_no_test_study_and_marks_the_others(pack: Pack) -> None:
    split = dict(zip(pack.study_ids.tolist(), pack.split.tolist(), strict=True))
    assert "12" not in split
    assert [split[str(n)] for n in (1, 8, 9, 13)] == [TRAIN, TRAIN, VAL, UNLISTED]
    assert len(pack.images) == len(pack.image_study) == 24


def test_a_packed_image_keeps_its_original_aspect_ratio_on_black(pack: Pack) -> None:
    image = pack.images[0]  # 2000 rows by 1500 columns: 192 of 256 columns
    assert image[:, :30].max() <= 4 and image[:, -30:].max() <= 4
    assert image[:, 40:216].mean() > 40


def test_a_pack_has_labels_and_frequent_terms_of_each_study(pack: Pack) -> None:
    row = pack.study_ids.tolist().index("4")
    assert pack.labels[row, OBSERVATIONS.index("Pleural Effusion")] == POSITIVE
    assert pack.term_names.tolist() == ["auto:lung"]  # the headings occur less than 8 times


def test_a_pack_survives_its_file(pack: Pack, tmp_path: Path) -> None:
    pack.save(tmp_path / "deep" / "pack.npz")
    again = Pack.load(tmp_path / "deep" / "pack.npz")
    assert np.array_equal(again.images, pack.images)
    assert again.labeller_version == LABELLER_VERSION
    (tmp_path / "other.npz").write_bytes(b"no pack")
    with pytest.raises(UserError, match="is no pack"):
        Pack.load(tmp_path / "other.npz")
    with pytest.raises(NotFoundError, match="--pack"):
        Pack.load(tmp_path / "absent.npz")


def test_the_cider_matrix_is_cider() -> None:
    references = ["the heart is large .", "clear lungs and a normal heart .", "an effusion ."]
    answers = ["the heart is normal .", "clear lungs .", ""]
    matrix = cider_matrix(references, answers)
    for column, answer in enumerate(answers[:2]):
        expected = Cider(references).score_each([answer] * 3)
        assert matrix[:, column] == pytest.approx(expected, abs=1e-5)
    assert matrix[:, 2] == pytest.approx(0)


def test_a_text_is_most_like_itself() -> None:
    similarity = text_similarity(
        ["the lungs are clear .", "a rather large heart .", "the lungs are dark , small heart ."]
    )
    assert np.diag(similarity) == pytest.approx(1)
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2]


def test_augmented_images_differ_and_stay_in_range_and_are_not_mirrored() -> None:
    images = torch.from_numpy(np.stack([draw_radiograph(1, size=(256, 256))] * 8))
    images[:, :, :128] = 0  # the left half is dark
    torch.manual_seed(0)
    pixels = augment(images, replace(CONFIG, erase=0.0, shift=0.0))
    assert pixels.shape == (8, 3, 64, 64)
    assert pixels.min() >= -1 and pixels.max() <= 1
    assert (pixels[0] - pixels[1]).abs().mean() > 0.01
    assert (pixels[..., 40:].mean(dim=(1, 2, 3)) > pixels[..., :24].mean(dim=(1, 2, 3))).all()


def test_folds_are_apart_and_val_is_never_trained_on(pack: Pack) -> None:
    parts = CONFIG.parts(folds=2)
    assert list(parts) == ["member-0", "member-1", "fold-0", "fold-1"]
    rows = [set(training_rows(pack, parts[f"fold-{n}"]).tolist()) for n in (0, 1)]
    assert rows[0] and rows[1] and not rows[0] & rows[1]
    assert rows[0] | rows[1] == set(training_rows(pack, CONFIG).tolist())
    assert VAL not in pack.split[training_rows(pack, CONFIG)]


def test_every_second_run_reads_labelled_images_with_the_label_head_at_another_weight() -> None:
    config = replace(CONFIG, members=4, shared_weight=0.25, second_shared_weight=2.0)
    parts = config.parts(folds=2)
    runs = [parts[f"member-{n}"] for n in range(4)]
    assert [run.shared_weight for run in runs] == [0.25, 2.0, 0.25, 2.0]
    assert [run.member for run in runs] == [0, 1, 2, 3]
    assert {parts[f"fold-{n}"].shared_weight for n in range(2)} == {0.25}


def losses(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k.startswith("loss")} for line in lines]


def test_a_stopped_run_resumes_as_if_never_interrupted(pack: Pack, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    stopped: list[str] = []

    def stop(line: str) -> None:
        if "f1" in line:  # an epoch is over
            stopped.append(line)
        elif stopped:
            raise StoppedError

    def trainer(folder: str) -> EncoderTrainer:
        network = new_network(CONFIG, pack)
        return EncoderTrainer(CONFIG, pack, tmp_path / folder, network=network, device="cpu")

    whole = trainer("whole")
    whole.train(every=1)
    with pytest.raises(StoppedError):
        trainer("parts").train(every=1, show=stop)
    resumed = trainer("parts")
    resumed.train(every=1)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    for mine, theirs in zip(
        whole.average.state_dict().values(), resumed.average.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_an_encoder_trains_as_recorded(pack: Pack, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=4, mixup=0.5, warmup=0.3, extra_weight=0.0)
    network = new_network(config, pack)
    EncoderTrainer(config, pack, tmp_path, network=network, device="cpu").train(every=2)
    check_recorded("encoder", tmp_path / "log.jsonl", by="epoch")


def test_a_finished_run_has_weights_curves_and_scores(run_dir: Path) -> None:
    for name in ("member-0", "member-1"):
        assert (run_dir / name / "weights.safetensors").is_file()
        assert (run_dir / name / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert not (run_dir / name / "checkpoint.pt").exists()
    first, second = (load_file(run_dir / f"member-{n}" / "weights.safetensors") for n in (0, 1))
    assert not torch.equal(first["labels.weight"], second["labels.weight"])
    whole = load_file(run_dir / "weights.safetensors")
    assert torch.allclose(
        whole["labels.weight"], (first["labels.weight"] + second["labels.weight"]) / 2, atol=1e-6
    )
    scores = json.loads((run_dir / "scores.json").read_text())
    assert {"view", "f1", "cider", "label_thresholds"} <= scores.keys()


def test_the_shared_threshold_detects_as_many_findings_on_val_as_reports_name(pack: Pack) -> None:
    studies, images = len(pack.study_ids), len(pack.image_study)
    logits = np.random.default_rng(0).normal(size=(images, len(OBSERVATIONS))).astype(np.float32)
    empty = np.zeros((images, 1), np.float32)
    embedded = Embedded(
        pooled=empty,
        vectors=empty,
        labels=logits,
        terms=empty,
        frontal=empty[:, 0],
        extra=empty,
    )
    found = thresholds(pack, embedded)
    seen = 1 / (1 + np.exp(-of_studies(logits, pack.image_study, studies)))
    val = pack.split == VAL
    named = np.isin(pack.labels, (POSITIVE, UNCERTAIN))[val]
    seen = seen[val]
    assert len({found[name] for name in FINDINGS}) == 1
    assert abs(int((seen[:, 1:] > found["Fracture"]).sum()) - int(named[:, 1:].sum())) <= 1
    assert abs(int((seen[:, 0] > found["No Finding"]).sum()) - int(named[:, 0].sum())) <= 1
    assert named[:, 1:].sum() >= 2


def test_a_run_with_other_settings_is_not_resumed(pack: Pack, run_dir: Path) -> None:
    network = new_network(CONFIG, pack)
    with pytest.raises(MismatchError, match="other settings"):
        encoder_run.train_part(
            "member-0", replace(CONFIG, lr=1.0), pack, run_dir, network=network, device="cpu"
        )


def test_an_exported_folder_loads_in_plain_open_clip(
    run_dir: Path, text_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exported"
    export(run_dir, out, text_dir=text_dir)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{out}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    ours = load_encoder(str(out))
    assert isinstance(ours, OpenClipEncoder)
    image = draw_radiograph(4)
    texts = ["clear lungs", "large heart and clear lungs"]
    with torch.inference_mode():
        pixels = preprocess(Image.fromarray(image))[None]
        vectors = model.eval().encode_image(pixels, normalize=True).numpy()
        words = model.encode_text(tokenizer(texts), normalize=True).numpy()
    assert np.abs(ours.embed_images([image]).vectors - vectors).max() < 1e-4
    assert np.abs(ours.embed_text(texts) - words).max() < 1e-4
    assert ours.spec.report_weight == CONFIG.report_weight


def test_half_the_bits_change_the_vectors_little(
    pack: Pack, run_dir: Path, text_dir: Path, tmp_path: Path
) -> None:
    export(run_dir, tmp_path / "e", text_dir=text_dir)
    network = new_network(CONFIG, pack)
    network.load_state_dict(load_file(run_dir / "weights.safetensors"))
    # An image as wide as the network's square, so that both see the same pixels.
    image = np.array(Image.fromarray(draw_radiograph(6)).resize((64, 64)))
    pixels = torch.from_numpy(image)[None, None].float().expand(1, 3, -1, -1) / 127.5 - 1
    with torch.inference_mode():
        seen = network.eval()(pixels)
    full = torch.nn.functional.normalize(seen.embeddings, dim=1).numpy()
    embeddings = load_encoder(str(tmp_path / "e")).embed_images([image])
    assert (embeddings.vectors * full).sum() > 0.999
    assert embeddings.label_scores is not None
    assert np.abs(embeddings.label_scores - seen.labels.sigmoid().numpy()).max() < 0.01


def test_the_command_packs_trains_resumes_and_refuses_what_does_not_fit(
    pack: Pack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack.save(tmp_path / "pack.npz")
    tiny = "tower=test_efficientnet epochs=1 batch=4 size=64 dim=16 members=1 fit_steps=1"
    command = ["encoder", "--packed", str(tmp_path / "pack.npz"), "--out", str(tmp_path / "run")]
    command += ["--set", *tiny.split()]
    assert main([*command, "--resume"]) == 1
    assert "holds no run to resume" in capsys.readouterr().err
    assert main([*command, "--only", "member-0"]) == 1
    assert "train the part 'start' first" in capsys.readouterr().err
    assert main([*command, "--only", "start"]) == 0
    assert main([*command, "--only", "member-0"]) == 0
    stamp = (tmp_path / "run" / "member-0" / "weights.safetensors").stat().st_mtime_ns
    assert main([*command, "--resume"]) == 0
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    assert (tmp_path / "run" / "member-0" / "weights.safetensors").stat().st_mtime_ns == stamp
    shipped = tmp_path / "shipped"
    exporting = ["--export", str(shipped), "--no-text-tower", "--folds", "2"]
    assert main([*command, "--resume", *exporting]) == 0
    assert main([*command, "members=2", "fit_steps=2", "--resume"]) == 0
    assert (tmp_path / "run" / "member-1" / "weights.safetensors").is_file()
    assert (tmp_path / "run" / "member-0" / "weights.safetensors").stat().st_mtime_ns == stamp
    fold = load_encoder(f"{shipped}-fold-1").embed_images([draw_radiograph(4)])
    whole = load_encoder(str(shipped)).embed_images([draw_radiograph(4)])
    assert not np.array_equal(fold.vectors, whole.vectors)
    assert json.loads((shipped / "open_clip_config.json").read_text())["text_tower"]["package"]
    assert not any(name.startswith("text.t") for name in load_file(shipped / MODEL))
    assert load_encoder(str(shipped)).embed_images([draw_radiograph(4)]).vectors.shape == (1, 16)
    assert main(command) == 1
    assert "add --resume" in capsys.readouterr().err
    assert main([*command, "--only", "member-7"]) == 1
    assert "no part 'member-7'" in capsys.readouterr().err
    assert main([*command, "epochs=many"]) == 1
    assert "epochs cannot be 'many'" in capsys.readouterr().err
    assert main(["encoder", "--out", str(tmp_path / "other")]) == 1
    assert "--data-dir" in capsys.readouterr().err


def test_an_unfinished_run_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no finished run"):
        export(tmp_path, tmp_path / "out")


def test_imagenet_weights_load_from_a_file_as_from_the_package(pack: Pack, tmp_path: Path) -> None:
    from indexer.encoder.network import imagenet_weights

    values = {f"{n:04d}": value.contiguous() for n, value in enumerate(imagenet_weights())}
    save_file(values, tmp_path / "tower.safetensors")
    config = replace(CONFIG, tower=TOWER)
    one = new_network(config, pack).state_dict()
    other = new_network(config, pack, tmp_path / "tower.safetensors").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
