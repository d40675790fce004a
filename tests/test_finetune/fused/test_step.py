"""The layers whose passes are written out compute what transformers, peft and autograd do."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoProcessor

from db.errors import UserError
from finetune.__main__ import main
from finetune.adapter import backends
from finetune.adapter.backends import Trainable, answer_loss, load_trainable
from finetune.adapter.collator import Collator, ImageCache, Rendering, Tokens
from finetune.fused import loss
from finetune.fused.recorded import RecordedPasses, Result
from finetune.fused.step import FusedBatch
from finetune.training.log import read_log
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.load import load_model
from generator.mllama.vision.encoder import Pixels
from tests.support.models.mllama_models import drawn_canvas
from tests.support.models.training import (
    CONFIG,
    QUESTION,
    REPORT,
    SETTINGS,
    quiet,
    tiny_base,
    write_pack,
)

pytestmark = quiet
CPU = torch.device("cpu")
CLOSE = {"rtol": 2e-4, "atol": 2e-5}
FUSED = replace(CONFIG, fused=True, alpha=3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def nf4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory, nf4=True)


def collator(base: Path, *, numbered: bool = False) -> Collator:
    """Image 0 fills one of two tiles, image 1 both."""
    processor = AutoProcessor.from_pretrained(base)
    images = ImageCache(processor, lambda number: drawn_canvas(number + 1))
    return Collator(processor, images, pad_id=Rendering(processor).pad_id, numbered=numbered)


def examples(base: Path, *images: int | None) -> list[Tokens]:
    """Of different lengths."""
    rendering = Rendering(AutoProcessor.from_pretrained(base))
    texts = [(REPORT, "The heart is enlarged. [1]"), (QUESTION, "no")]
    return [rendering.tokenise(*texts[row % 2], image=image) for row, image in enumerate(images)]


def loaded(base: Path, config: Any) -> Trainable:
    """With LoRA that changes what the model computes."""
    trainable = load_trainable(str(base), config, CPU)
    draw = torch.Generator().manual_seed(1)
    for weight in trainable.weights.values():
        weight.data.normal_(0, 0.1, generator=draw)
    return trainable


def gradients(trainable: Trainable, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    for weight in trainable.weights.values():
        weight.grad = None
    answer_loss(trainable, batch).backward()  # type: ignore[no-untyped-call]
    return {n: w.grad for n, w in trainable.weights.items() if w.grad is not None}


@pytest.mark.parametrize("vision", [True, False])
@pytest.mark.parametrize("images", [(0, 1), (1, 1), (None, None)])
@pytest.mark.parametrize("bits", ["none", "4"])
def test_loss_and_gradients_are_those_of_transformers_and_peft(
    base: Path, nf4: Path, vision: bool, images: Sequence[int | None], bits: str
) -> None:
    folder = nf4 if bits == "4" else base
    config = replace(FUSED, bits=bits, vision=vision)
    batch = collator(folder)(examples(folder, *images))
    plain = loaded(folder, replace(config, fused=False))
    fused = loaded(folder, config)
    assert plain.fused is None and fused.fused is not None
    torch.testing.assert_close(answer_loss(fused, batch), answer_loss(plain, batch), **CLOSE)
    expected, found = gradients(plain, batch), gradients(fused, batch)
    assert found.keys() == expected.keys() and len(found) >= 28
    for name, gradient in expected.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(
            found[name] / scale, gradient / scale, rtol=0, atol=2e-4, msg=name
        )


def test_layers_without_lora_and_answers_without_gradients_are_computed_alike(base: Path) -> None:
    batch = collator(base)(examples(base, 0, 1))
    for settings in ({"attention": False}, {"mlp": False}, {"language": False}):
        config = replace(FUSED, **settings)  # type: ignore[arg-type]
        plain, fused = loaded(base, replace(config, fused=False)), loaded(base, config)
        with torch.no_grad():
            value = answer_loss(fused, batch)
        torch.testing.assert_close(value, answer_loss(plain, batch).detach(), **CLOSE)
        expected, found = gradients(plain, batch), gradients(fused, batch)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3, msg=name)


def test_what_is_kept_for_the_backward_pass_changes_no_gradient(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = collator(base)(examples(base, 0, 1))
    trainable = loaded(base, replace(FUSED, checkpointing=True))
    assert trainable.fused is not None
    products = []
    for layer in trainable.fused.layers:
        joint, original = layer.gate_up, layer.gate_up.forward
        monkeypatch.setattr(
            joint, "forward", lambda *given, of=original: products.append(1) or of(*given)
        )
    layers = len(trainable.fused.layers)
    repeated = gradients(trainable, batch)
    assert len(products) == 2 * layers
    for keeping in (1, layers):
        products.clear()
        monkeypatch.setattr(trainable.fused, "_keeping", lambda *given, n=keeping: n)
        kept = gradients(trainable, batch)
        assert len(products) == 2 * layers - keeping
        assert all(torch.equal(kept[name], gradient) for name, gradient in repeated.items())


def test_the_loss_in_parts_is_the_loss_at_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = collator(base)(examples(base, 0, 1, 1))
    trainable = loaded(base, FUSED)
    whole, expected = answer_loss(trainable, batch), gradients(trainable, batch)
    monkeypatch.setattr(loss, "CHUNK", 3)
    counted = int((batch["labels"] != -100).sum())
    assert counted > 6 and counted % 3
    torch.testing.assert_close(answer_loss(trainable, batch), whole, rtol=1e-6, atol=1e-6)
    for name, gradient in gradients(trainable, batch).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


class Replayed(RecordedPasses):
    """Computes again, into the same tensors, where a CUDA graph would."""

    replays = 0

    def _record(self, work: FusedBatch, compute: Callable[[FusedBatch], Result]) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.cuda, "CUDAGraph", SimpleNamespace)
            patch.setattr(torch.cuda, "MemPool", lambda: SimpleNamespace(id=1))
            patch.setattr(torch.cuda, "Stream", lambda device: 1)
            patch.setattr(torch.cuda, "graph", lambda *given, **named: nullcontext())
            made = super()._record(work, compute)
        loss, gradients = made.result

        def replay() -> None:
            type(self).replays += 1
            for place, value in zip(
                [loss, *gradients], itertools.chain(*_flat(compute(made.work))), strict=True
            ):
                place.copy_(value)

        for place in (loss, *gradients):
            place.fill_(torch.nan)  # a graph computes nothing while it is recorded
        made.graph.replay = replay
        return made


def _flat(result: Result) -> tuple[list[Tensor], list[Tensor]]:
    return [result[0]], result[1]


def test_passes_that_are_replayed_are_those_that_are_computed(base: Path) -> None:
    """Of texts with other lengths and answers, in the same shape once they are padded."""
    config = replace(FUSED, vision=False, tiles="real")
    plain, replayed = loaded(base, config), loaded(base, config)
    assert replayed.fused is not None
    replayed.fused._recorded = Replayed()
    collate = collator(base)
    rows = examples(base, 1, 1, 0)
    for chosen in ((0, 0), (0, 1), (0, 2), (1, 0), (0, 1)):  # the third has another shape
        batch = collate([rows[number] for number in chosen])
        torch.testing.assert_close(answer_loss(replayed, batch), answer_loss(plain, batch), **CLOSE)
        expected, found = gradients(plain, batch), gradients(replayed, batch)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4, msg=name)
        for weight, other in zip(
            plain.weights.values(), replayed.weights.values(), strict=True
        ):  # the next replay reads what a step has changed
            weight.data += 0.01
            other.data += 0.01
    assert Replayed.replays == 8


def test_answers_in_bfloat16_are_close_to_those_in_float32(base: Path) -> None:
    batch = collator(base)(examples(base, 0, 1))
    exact = answer_loss(loaded(base, FUSED), batch).item()
    half = loaded(base, replace(FUSED, precision="bfloat16"))
    found = gradients(half, batch)
    assert answer_loss(half, batch).item() == pytest.approx(exact, rel=0.03)
    assert {gradient.dtype for gradient in found.values()} == {torch.float32}


def test_real_tiles_are_all_tiles_where_nothing_attends_to_padding(base: Path) -> None:
    """Both tiles in use, and no token before the image."""
    collate = collator(base)
    image_token = AutoProcessor.from_pretrained(base).image_token_id

    def losses(image: int, *, first: bool) -> list[tuple[Tensor, dict[str, Tensor]]]:
        (tokens,) = examples(base, image)
        at = tokens.ids.index(image_token) if first else 0
        cut = replace(tokens, ids=tokens.ids[at:], prompt_length=tokens.prompt_length - at)
        batch = collate([cut])
        found = []
        for tiles in ("all", "real"):
            trainable = loaded(base, replace(FUSED, tiles=tiles))
            found.append((answer_loss(trainable, batch).detach(), gradients(trainable, batch)))
        return found

    (whole, expected), (real, got) = losses(1, first=True)
    torch.testing.assert_close(real, whole, **CLOSE)
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-3, atol=1e-4, msg=name)
    for image, first in ((0, True), (1, False)):
        (whole, _), (real, _) = losses(image, first=first)
        assert abs(float(whole - real)) > 1e-4, (image, first)


@pytest.mark.parametrize("image", [0, 1])
def test_a_step_reads_real_tiles_as_serving_does(base: Path, image: int) -> None:
    trainable = loaded(base, replace(FUSED, tiles="real"))
    model: Any = trainable.model
    decoder = Decoder(model.get_base_model(), tiles="real")
    (tokens,) = examples(base, image)
    batch = collator(base)([tokens])
    names = ("aspect_ratio_ids", "aspect_ratio_mask")
    pixels = Pixels(values=batch["pixel_values"], **{name: batch[name] for name in names})
    encoded = decoder.encode_image(pixels)
    total = 0.0
    for place in range(tokens.prompt_length, len(tokens)):
        _, logits = decoder.prefill([tokens.ids[:place]], encoded, room=0)
        total -= float(logits[0].log_softmax(dim=0)[tokens.ids[place]])
    with torch.no_grad():
        found = float(answer_loss(trainable, batch))
    assert found == pytest.approx(total / tokens.counted, rel=1e-4)


def test_rows_with_one_and_two_real_tiles_are_as_each_alone(base: Path) -> None:
    trainable = loaded(base, replace(FUSED, tiles="real"))
    collate, rows = collator(base), examples(base, 0, 1)
    with torch.no_grad():
        alone = [float(answer_loss(trainable, collate([row]))) for row in rows]
        together = float(answer_loss(trainable, collate(rows)))
    counts = [row.counted for row in rows]
    mean = sum(a * n for a, n in zip(alone, counts, strict=True)) / sum(counts)
    assert together == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("tiles", ["all", "real"])
def test_a_frozen_vision_encoder_runs_once_per_image(
    base: Path, tiles: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainable = loaded(base, replace(FUSED, tiles=tiles, vision=False))
    assert trainable.fused is not None
    features = trainable.fused._features
    encoded: list[int] = []
    original: Callable[..., Tensor] = features._encode
    monkeypatch.setattr(
        features, "_encode", lambda *given: encoded.append(len(given[1])) or original(*given)
    )
    rows = examples(base, 0, 1)
    plain = answer_loss(trainable, collator(base)(rows)).item()
    encoded.clear()
    numbered = collator(base, numbered=True)
    first, again = (answer_loss(trainable, numbered(rows)).item() for _ in range(2))
    assert encoded == [1, 1] and first == again
    assert first == pytest.approx(plain, rel=1e-5)
    answer_loss(trainable, numbered(rows[1:]))
    assert encoded == [1, 1]


def test_a_model_whose_layers_are_not_known_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = backends.load_base(str(base), CONFIG, CPU)
    model.model.language_model.layers[0].mlp.up_proj = torch.nn.Linear(64, 128, bias=True)
    monkeypatch.setattr(backends, "load_base", lambda *given: model)
    with pytest.raises(UserError, match=r"mlp\.up_proj \(Linear\) is no .* use fused=false"):
        load_trainable(str(base), FUSED, CPU)


def test_a_run_with_real_tiles_records_them_resumes_and_is_served_so(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = write_pack(tmp_path / "pack")

    def command(out: Path, *more: str) -> list[str]:
        return [
            *("train", "--base", str(base), "--examples", str(pack), "--out", str(out)),
            *(
                "--device",
                "cpu",
                *more,
                "--set",
                *SETTINGS,
                "fused=true",
                "tiles=real",
                "vision=false",
            ),
        ]

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(command(whole)) == 0
    record = AdapterRecord.load(whole)
    assert record.tiles == "real" and record.config["fused"]
    assert load_model(base, device="cpu", adapter=whole).decoder._images._tiles == "real"
    assert all("sample" in line for line in read_log(whole / "run/log.jsonl") if "val_loss" in line)
    assert main(command(parts, "--max-seconds", "0.001")) == 0
    assert main(command(parts, "--resume")) == 0
    name = "adapter_model.safetensors"
    assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert main(command(tmp_path / "new", "--merge", str(tmp_path / "merged"))) == 1
    assert "use the adapter, or train with tiles=all" in capsys.readouterr().err
    others = [*command(tmp_path / "new", "--initial", str(whole)), "tiles=all"]
    assert main(others) == 1
    assert "use --set tiles=real" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [False, True])
def test_on_a_gpu_in_four_bits_losses_are_those_of_transformers_step_by_step(
    nf4: Path, graphs: bool
) -> None:
    """Compiled kernels, the kernel for stored weights, and a graph from the second step on."""
    gpu = torch.device("cuda")
    config = replace(
        FUSED, bits="4", precision="bfloat16", vision=False, rank=16, alpha=16, graphs=graphs
    )
    batch = {n: v.to(gpu) for n, v in collator(nf4)(examples(nf4, 1, 1)).items()}

    def losses(config: Any) -> list[float]:
        trainable = load_trainable(str(nf4), config, gpu)
        optimizer = torch.optim.AdamW(trainable.weights.values(), lr=1e-3)
        found = []
        for _ in range(5):
            value = answer_loss(trainable, batch)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            found.append(value.item())
        return found

    expected = losses(replace(config, fused=False, graphs=False))
    assert expected[-1] < expected[0] - 0.1
    assert losses(config) == pytest.approx(expected, rel=0.01)


@pytest.mark.gpu
def test_on_a_gpu_a_recorded_step_with_real_tiles_gives_the_losses_of_one_that_is_not(
    nf4: Path,
) -> None:
    """The vision encoder is recorded too; images come again, in rows of one and of two tiles."""
    gpu = torch.device("cuda")
    config = replace(FUSED, bits="4", precision="bfloat16", vision=False, tiles="real")
    rows = examples(nf4, 0, 1, 1)

    def losses(*, graphs: bool, numbered: bool) -> list[float]:
        trainable = load_trainable(str(nf4), replace(config, graphs=graphs), gpu)
        optimizer = torch.optim.AdamW(trainable.weights.values(), lr=1e-3)
        collate = collator(nf4, numbered=numbered)
        found = []
        for chosen in ((1, 2), (1, 2), (0, 1), (1, 2), (0, 1), (2, 1), (0, 1)):
            batch = {n: v.to(gpu) for n, v in collate([rows[n] for n in chosen]).items()}
            value = answer_loss(trainable, batch)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                found += [value.item(), answer_loss(trainable, batch).item()]
        return found

    expected = losses(graphs=False, numbered=False)
    assert expected[-1] < expected[0] - 0.1
    assert losses(graphs=True, numbered=False) == pytest.approx(expected, rel=0.01)
    assert losses(graphs=True, numbered=True) == pytest.approx(expected, rel=0.01)
