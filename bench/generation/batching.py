"""Reports per second of the language model, one by one and together.

python -m bench.generation.batching --prompts PROMPTS --model pretrained/generator --reports 128

PROMPTS are those of real studies, as ``python -m evaluation model ... --write-prompts PROMPTS``
writes them. One by one: each report starts when the previous one has ended, as for a single client.
Together: up to so many reports at once, by the call that the service makes for its queue. Both
stream token by token. Also printed: how many texts are equal both ways (half precision rounds
differently in batches). The exit code is 1 if no batch size is ``--at-least`` times as fast.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from evaluation.outputs.prompts import prompts_of, read_prompts
from evaluation.provenance import device_name
from generator.mllama.load import load_model
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions, StreamingModel

ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--prompts", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quantization", default="auto")
    parser.add_argument("--reports", type=int, default=128)
    parser.add_argument("--together", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--at-least", type=float, default=1.0)
    arguments = parser.parse_args(argv)
    lines = [line for line in read_prompts(arguments.prompts) if line["task"] == "report"]
    lines = lines[: arguments.reports]
    room = DecodingOptions(max_new_tokens=max(line["max_new_tokens"] for line in lines))
    prompts = list(prompts_of(lines, arguments.prompts))
    model = load_model(
        arguments.model,
        arguments.adapter,
        device=arguments.device,
        quantization=arguments.quantization,
    )
    print(f"{device_name(model.decoder.device)}, {len(prompts)} reports")
    generate(model, prompts[:1], room, 1)  # the first takes longer
    alone, slow = generate(model, prompts, room, 1)
    print(f"one by one    {len(prompts) / slow:8.2f} a second")
    best = 0.0
    for together in arguments.together:
        generate(model, prompts[:together], room, together)
        crowd, fast = generate(model, prompts, room, together)
        same = sum(one == other for one, other in zip(alone, crowd, strict=True))
        print(
            f"{together:4} together {len(prompts) / fast:8.2f} a second, {slow / fast:.2f} times, "
            f"{same} texts the same"
        )
        best = max(best, slow / fast)
    return 0 if best >= arguments.at_least else 1


def generate(
    model: StreamingModel, prompts: Sequence[Prompt], room: DecodingOptions, together: int
) -> tuple[list[str], float]:
    """Return the texts and the seconds they took."""
    texts = [""] * len(prompts)
    began = time.monotonic()
    for start in range(0, len(prompts), together):
        for number, piece in model.stream_all(prompts[start : start + together], room):
            texts[start + number] += piece or ""
    return texts, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
