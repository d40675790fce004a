"""Loading, prefill, tokens per second and memory of a language model, beside transformers.

    python -m bench.generation.decoding_speed pretrained/generator [--adapter DIR] [--device cpu]

A prompt of 600 tokens with two images on one canvas is prefilled and 80 tokens are decoded, by our
decoder and by ``generate`` of transformers in turn, in one process; the best of the rounds counts.
Loading is timed from the start of the process. On a CPU the exit code is 1 where loading takes 8 s
or more, prompt and 80 tokens 4 s or more, or the process 2.5 GB or more. On a GPU steps are also
timed one kernel after the other, as they are where no CUDA graph is recorded.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from db.errors import UserError
from generator.mllama.adapter import attach
from generator.mllama.checkpoint import find_folder, read_config, stored_bits
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.mllama.weights.by_transformers import load_by_transformers
from generator.prompts import Prompt
from generator.study_canvas import study_canvas

PROMPT_TOKENS = 600
NEW_TOKENS = 80
MOST_LOADING = 8.0
MOST_ANSWERING = 4.0
MOST_MEMORY = 2.5e9


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds."""

    encoding: float
    prefill: float
    decoding: float

    @property
    def whole(self) -> float:
        return self.encoding + self.prefill + self.decoding


def peak_memory() -> int:
    """Bytes that this process has held at most."""
    import resource  # not on every system

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", default="pretrained/generator")
    parser.add_argument("--adapter")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quantization", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    try:
        return measure(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def measure(arguments: argparse.Namespace) -> int:
    model = load_model(
        arguments.model,
        arguments.adapter,
        device=arguments.device,
        quantization=arguments.quantization,
    )
    loading = process_age()
    images = np.random.default_rng(0).integers(0, 256, (2, 512, 420), dtype=np.uint8)
    image = study_canvas(list(images), model.tile_size)
    row = prompt_tokens(model, Prompt(task="report", text="", image=image))
    ours = [our_round(model, row, image) for _ in range(2)]  # the first warms up
    on_gpu = model.decoder.device.type == "cuda"
    memory = torch.cuda.max_memory_reserved() if on_gpu else peak_memory()
    theirs: list[float] = []
    reference = by_transformers(model, arguments)
    for _ in range(arguments.rounds):
        ours.append(our_round(model, row, image))
        theirs.append(their_round(model, reference, row, image))
    best = min(ours, key=lambda timing: timing.whole)
    print(f"{model.name}, adapter {model.adapter}, on {model.decoder.device}")
    print(f"process start to loaded     {loading:6.2f} s")
    print(f"canvas of two images        {best.encoding:6.2f} s")
    print(f"prompt of {len(row)} tokens        {best.prefill:6.2f} s")
    print(f"{NEW_TOKENS} tokens                   {best.decoding:6.2f} s")
    print(f"tokens per second           {NEW_TOKENS / best.decoding:6.1f}")
    if model.decoder.records:
        model.decoder.records = False
        alone = min(our_round(model, row, image).decoding for _ in range(arguments.rounds))
        print(f"without a CUDA graph        {alone:6.2f} s, {alone / best.decoding:.2f} x")
    print(f"image, prompt and tokens    {best.whole:6.2f} s")
    print(f"the same by transformers    {min(theirs):6.2f} s, {min(theirs) / best.whole:.2f} x")
    print(f"peak memory                 {memory / 1e9:6.2f} GB")
    if on_gpu:
        return 0
    good = loading < MOST_LOADING and best.whole < MOST_ANSWERING and memory < MOST_MEMORY
    return 0 if good else 1


def prompt_tokens(model: MllamaModel, prompt: Prompt) -> list[int]:
    """The template's tokens around so many of a text that the prompt has PROMPT_TOKENS."""
    sentence = "[1] (Cardiomegaly) Findings: The heart is enlarged. The lungs are clear.\n"
    text = sentence
    while len(row := model.prompt_tokens(replace(prompt, text=text))) < PROMPT_TOKENS:
        text += sentence
    return row


def our_round(model: MllamaModel, row: list[int], image: Image.Image) -> Timing:
    encoding, radiograph = timed(lambda: model.encode_image([image]))
    prefill, (state, logits) = timed(
        lambda: model.decoder.prefill([row], radiograph, room=NEW_TOKENS)
    )

    def steps() -> None:
        tokens = logits.argmax(dim=-1)
        for _ in range(NEW_TOKENS - 1):
            tokens = model.decoder.decode_step(state, tokens).argmax(dim=-1)
        tokens.tolist()

    return Timing(encoding=encoding, prefill=prefill, decoding=timed(steps)[0])


def by_transformers(model: MllamaModel, arguments: argparse.Namespace) -> Any:
    """The same model as transformers runs it."""
    if hasattr(model.decoder.model, "generate"):
        return model.decoder.model
    folder = find_folder(arguments.model)
    config = read_config(folder)
    stored = stored_bits(config) is not None
    reference: Any = load_by_transformers(folder, model.decoder.device, "none", plain=stored)
    if model.adapter is not None:
        reference = attach(reference, find_folder(model.adapter), merge=True)
    return reference.eval()


def their_round(model: MllamaModel, reference: Any, row: list[int], image: Image.Image) -> float:
    pixels = model.processor.tiling.pixels([image])
    ids = torch.tensor([row])
    seen = (ids == model.decoder.image_token).cumsum(dim=1)
    inputs = {
        "pixel_values": pixels.values,
        "aspect_ratio_ids": pixels.aspect_ratio_ids,
        "aspect_ratio_mask": pixels.aspect_ratio_mask,
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "cross_attention_mask": seen[:, :, None, None] * pixels.aspect_ratio_mask[:, None],
    }
    given = {name: one.to(model.decoder.device) for name, one in inputs.items()}
    return timed(
        lambda: reference.generate(
            **given,
            do_sample=False,
            min_new_tokens=NEW_TOKENS,
            max_new_tokens=NEW_TOKENS,
        )
    )[0]


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def process_age() -> float:
    """Seconds since this process was started."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
