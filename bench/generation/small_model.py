"""The shipped model on a CPU: drafts copied from the prompt against one token a pass.

python -m bench.generation.small_model --prompts PROMPTS --reports 100 --out FILE

PROMPTS are those of real studies, as ``python -m evaluation model ... --write-prompts PROMPTS``
writes them. Every report is written both ways in turn in one process: ``plain``, one token a pass
(`decoding.static_batch`), and ``drafted`` (`decoding.continuous`), with empty caches. Image,
prompt and tokens are timed together. The same again for 80 tokens, whatever the model would end
with, after the ``--fixed`` prompts whose length is nearest to 600. The exit code is 1 where a text
of float32 differs, or these 80 tokens are less than ``--at-least`` times as fast.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from db.files import write_json
from evaluation.outputs.prompts import prompts_of, read_prompts
from generator.mllama.decoding.continuous import Answering, ContinuousBatch
from generator.mllama.decoding.prefix_cache import PrefixCache
from generator.mllama.decoding.rows import RowDecoder
from generator.mllama.decoding.static_batch import decode_together
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions

PROMPT_TOKENS, NEW_TOKENS = 600, 80


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--prompts", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="pretrained/generator")
    parser.add_argument("--quantization", choices=("none", "auto"), default="none")
    parser.add_argument("--reports", type=int, default=100)
    parser.add_argument("--fixed", type=int, default=9)
    parser.add_argument("--drafted", type=int, default=RowDecoder.drafted)
    parser.add_argument("--at-least", type=float, default=1.0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="for the figures")
    arguments = parser.parse_args(argv)
    lines = [line for line in read_prompts(arguments.prompts) if line["task"] == "report"]
    prompts = list(prompts_of(lines, arguments.prompts))
    model = load_model(arguments.model, device="cpu", quantization=arguments.quantization)
    rows = [model.prompt_tokens(prompt) for prompt in prompts]
    nearest = sorted(range(len(rows)), key=lambda n: abs(len(rows[n]) - PROMPT_TOKENS))
    drafted = arguments.drafted
    both_ways(model, prompts[0], rows[0], NEW_TOKENS, model.ends, drafted)  # warms up
    fixed = [
        both_ways(model, prompts[n], rows[n], NEW_TOKENS, frozenset(), drafted)
        for n in nearest[: arguments.fixed]
    ]
    whole = []
    for number in range(min(arguments.reports, len(prompts))):
        whole.append(both_ways(model, prompts[number], rows[number], 160, model.ends, drafted))
        if number % 20 == 19:
            equal = sum(one["equal"] for one in whole)
            print(f"{number + 1} reports, {equal} texts equal", file=sys.stderr, flush=True)
    figures = {
        "quantization": arguments.quantization,
        "drafted": drafted,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "fixed": summary(fixed),
        "reports": summary(whole),
    }
    print(json.dumps(figures, indent=2))
    if arguments.out is not None:
        write_json(arguments.out, figures)
    exact = arguments.quantization == "none"
    same = all(one["equal"] for one in fixed + whole) or not exact
    return 0 if same and figures["fixed"]["times_as_fast"] >= arguments.at_least else 1


def both_ways(
    model: MllamaModel,
    prompt: Prompt,
    row: list[int],
    room: int,
    ends: frozenset[int],
    drafted: int,
) -> dict[str, Any]:
    """One report, token by token and with drafts."""
    options = DecodingOptions(max_new_tokens=room)
    start = time.perf_counter()
    image = model.encode_image([prompt.image])
    steps = decode_together(model.decoder, [row], image, options, ends)
    plain = [token for picked in steps for token in picked.values()]
    middle = time.perf_counter()
    image = model.encode_image([prompt.image])
    batch = ContinuousBatch(model.rows, ends, PrefixCache(slots=0), drafted=drafted)
    batch.join(Answering(number=0, tokens=row, image=image, options=options))
    copied: list[int] = []
    passes = 0
    while batch.numbers:
        passes += 1
        copied += [token for written in batch.step() for token in written.tokens]
    end = time.perf_counter()
    return {
        "equal": plain == copied,
        "prompt": len(row),
        "tokens": len(copied),
        "passes": passes,
        "plain": middle - start,
        "drafted": end - middle,
    }


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of one or more reports; medians where not said otherwise."""
    if not rounds:
        return {"times_as_fast": 0.0}
    plain, drafted = (sum(one[way] for one in rounds) for way in ("plain", "drafted"))
    return {
        "count": len(rounds),
        "texts_equal": sum(one["equal"] for one in rounds),
        "prompt_tokens": statistics.median(one["prompt"] for one in rounds),
        "tokens": statistics.median(one["tokens"] for one in rounds),
        "passes": statistics.median(one["passes"] for one in rounds),
        "seconds_plain": round(statistics.median(one["plain"] for one in rounds), 2),
        "seconds_drafted": round(statistics.median(one["drafted"] for one in rounds), 2),
        "times_as_fast": round(plain / drafted, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
