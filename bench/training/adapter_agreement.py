"""Whether an adapter trained with one backend is the same adapter for the other.

python -m bench.training.adapter_agreement tokens --backend unsloth --base M --adapter A \
    --examples P --out unsloth.json
python -m bench.training.adapter_agreement compare --base M --adapter A --examples P unsloth.json

The first needs a GPU and the environment of unsloth. ``tokens`` loads the adapter as ``finetune
train --initial`` does, checks every LoRA tensor against the file bit for bit, and writes the most
likely token at each place of the answers of 20 images, the answers of the data given
(teacher-forced). ``compare`` loads it through the peft backend, saves it again, checks that every
tensor is equal bit for bit, counts how often the most likely tokens of the files agree with those
of transformers and peft in float32, and lets the adapter as it was trained and as it was saved
again write greedily, each loaded by transformers and peft alone. Exit code 1 where a tensor or a
text differs, or less than 99 % of tokens agree.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]

MOST_APART = 0.01


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    verbs = parser.add_subparsers(required=True, dest="verb")
    tokens = verbs.add_parser("tokens", help="write the most likely tokens")
    tokens.add_argument("--backend", choices=("unsloth", "peft"), default="peft")
    tokens.add_argument("--precision", default="auto")
    tokens.add_argument("--out", type=Path, required=True)
    compare = verbs.add_parser("compare", help="with transformers and peft in float32")
    compare.add_argument("--new-tokens", type=int, default=60, help="of a greedy text")
    compare.add_argument("files", type=Path, nargs="*", metavar="FILE", help="of tokens")
    for verb in (tokens, compare):
        verb.add_argument("--base", required=True)
        verb.add_argument("--adapter", type=Path, required=True)
        verb.add_argument("--examples", type=Path, required=True, metavar="PACK")
        verb.add_argument("--images", type=int, default=20)
        verb.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args(argv)
    return write_tokens(arguments) if arguments.verb == "tokens" else compare_all(arguments)


def write_tokens(arguments: argparse.Namespace) -> int:
    trainable = load(arguments, arguments.backend, arguments.precision)
    same = equal_tensors(adapter_tensors(trainable.model), stored_tensors(arguments.adapter))
    found = likeliest(trainable, arguments)
    config = trainable.config
    stated = {"backend": config.backend, "bits": config.bits, "precision": config.precision}
    arguments.out.write_text(json.dumps({**stated, "tokens": found}) + "\n")
    print(f"{config.backend}, {config.precision}: {same}")
    return 0


def compare_all(arguments: argparse.Namespace) -> int:
    trainable = load(arguments, "peft", "float32", bits="none")
    kept = stored_tensors(arguments.adapter)
    results = [equal_tensors(adapter_tensors(trainable.model), kept)]
    print(f"loaded through the peft backend: {results[0]}")
    expected = likeliest(trainable, arguments)
    good = True
    for path in arguments.files:
        given = json.loads(path.read_text())
        agreed = [
            one == other
            for found, wanted in zip(given["tokens"], expected, strict=True)
            for one, other in zip(found, wanted, strict=True)
        ]
        share = sum(agreed) / len(agreed)
        good &= share >= 1 - MOST_APART
        print(
            f"{given['backend']}, {given['precision']}, {given['bits']} bits: {share:.2%} of "
            f"{len(agreed)} tokens of {len(expected)} images as transformers and peft in float32"
        )
    with TemporaryDirectory() as folder:
        from finetune.export.adapter_files import save_adapter
        from generator.mllama.adapter_record import AdapterRecord

        record = AdapterRecord.load(arguments.adapter)
        save_adapter(trainable.model, Path(folder), record)
        results.append(equal_tensors(stored_tensors(Path(folder)), kept))
        print(f"saved again through the peft backend: {results[1]}")
        del trainable
        texts = [greedy(path, arguments) for path in (arguments.adapter, Path(folder))]
    same = sum(one == other for one, other in zip(*texts, strict=True))
    both = f"{same} of {len(expected)} identical"
    print(f"greedy texts of both, transformers and peft in float32: {both}")
    print(f"the first: {texts[0][0]}")
    return 0 if good and same == len(expected) and all(results) else 1


def load(arguments: argparse.Namespace, backend: str, precision: str, bits: str = "auto") -> Any:
    """The adapter on its base, ready to be trained on, in the settings it was trained with."""
    from finetune.adapter.backends import load_trainable, start_backend
    from finetune.adapter.config import TrainConfig
    from finetune.training.devices import Devices

    gpu = arguments.device == "cuda"
    stored = json.loads((arguments.adapter / "adapter_record.json").read_text())["config"]
    config = TrainConfig(
        **{**stored, "backend": backend, "precision": precision, "optimizer": "adamw", "bits": bits}
    ).resolved(gpu=gpu, bfloat16=gpu and Devices.has_bfloat16(), unsloth=True)
    start_backend(config)
    from finetune.adapter.initial import load_adapter_weights

    trainable = load_trainable(arguments.base, config, torch.device(arguments.device))
    load_adapter_weights(trainable, arguments.adapter)
    return trainable


class Same(str):
    """A sentence on tensors; false where one differs."""

    good: bool

    def __bool__(self) -> bool:
        return self.good


def equal_tensors(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> Same:
    equal = sum(
        name in found
        and found[name].dtype == weight.dtype
        and torch.equal(found[name].view(torch.uint8), weight.view(torch.uint8))
        for name, weight in wanted.items()
    )
    same = Same(f"{equal} of {len(wanted)} LoRA tensors equal bit for bit, {len(found)} there")
    same.good = equal == len(wanted) == len(found)
    return same


def adapter_tensors(model: Any) -> dict[str, torch.Tensor]:
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: weight.detach().cpu().contiguous() for name, weight in state.items()}


def stored_tensors(adapter: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(adapter / "adapter_model.safetensors")


def images(arguments: argparse.Namespace) -> tuple[Any, Any, list[Any]]:
    """The collate function, the rendering, and the reports of as many images of the val part."""
    from finetune.adapter.backends import load_processor
    from finetune.adapter.collator import Collator, ImageCache, Rendering
    from finetune.examples.folder import ExampleFolder

    processor = load_processor(arguments.base)
    rendering = Rendering(processor)
    pack = ExampleFolder.load(arguments.examples)
    chosen: dict[int, Any] = {}
    for example in pack.val:
        if example.task == "report" and example.canvas is not None:
            chosen.setdefault(example.canvas, example)
    if len(chosen) < arguments.images:
        raise SystemExit(f"{arguments.examples} has only {len(chosen)} images with reports")
    images = ImageCache(processor, pack.canvas)
    taken = list(chosen.values())[: arguments.images]
    rows = [rendering.tokenise(e.prompt, e.answer, image=e.canvas) for e in taken]
    return Collator(processor, images, pad_id=rendering.pad_id), rendering, rows


def likeliest(trainable: Any, arguments: argparse.Namespace) -> list[list[int]]:
    """At each place of each answer, in the forward pass that training makes."""
    collate, _, rows = images(arguments)
    found = []
    dtype = getattr(torch, trainable.config.precision)
    for row in rows:
        batch = {name: value.to(trainable.device) for name, value in collate([row]).items()}
        del batch["labels"]
        batch["pixel_values"] = batch["pixel_values"].to(dtype)
        with torch.no_grad(), trainable.autocast():
            logits = trainable.model(**batch).logits[0]
        places = slice(row.prompt_length - 1, len(row) - 1)
        found.append(logits[places].float().argmax(dim=-1).tolist())
    return found


def greedy(adapter: Path, arguments: argparse.Namespace) -> list[str]:
    """What transformers and peft write, in float32, without a line of this project's loading."""
    from peft import PeftModel
    from transformers import MllamaForConditionalGeneration

    collate, rendering, rows = images(arguments)
    base: Any = MllamaForConditionalGeneration.from_pretrained(
        arguments.base, dtype=torch.float32, device_map={"": arguments.device}
    )
    if getattr(base.config, "quantization_config", None) is not None:
        base = base.dequantize().float()
    model: Any = PeftModel.from_pretrained(base, str(adapter)).eval()
    texts = []
    for row in rows:
        batch = collate([replace(row, ids=row.ids[: row.prompt_length])])
        del batch["labels"]
        ids = model.generate(
            **{name: value.to(arguments.device) for name, value in batch.items()},
            max_new_tokens=arguments.new_tokens,
            do_sample=False,
            pad_token_id=rendering.pad_id,
        )
        written = ids[0, row.prompt_length :]
        texts.append(rendering.tokenizer.decode(written, skip_special_tokens=True))
    return texts


if __name__ == "__main__":
    sys.exit(main())
