"""A step of adapter training on several GPUs against one, with the same losses.

python -m bench.training.processes --out FILE                         # 11 billion random weights
python -m bench.training.processes --shape tiny --processes 2         # rehearsal, on a CPU

Both train with the same seed on the same examples, two of 1,024 tokens with an image of two tiles
in each forward pass, and as many passes in a step as there are processes: one process adds their
gradients up, several compute one each. Exit code 1 below 90 % of what so many GPUs could give, or
where the losses after the last step differ by more than 1e-3. In between they may: sums over
processes are rounded in another order. The base is that of ``bench.training.speed``; on a CPU,
where weights are not quantized, the same is compared but the speed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.training.examples import BenchExamples
from bench.training.random_model import ROOT, write_model
from db.files import write_json

BATCH, SKIPPED = 2, 4
LEAST_SHARE, MOST_DIFFERENCE = 0.9, 1e-3


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--processes", type=int, help="default: one per GPU")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=1024, help="of an example")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of finetune")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--out", type=Path, metavar="FILE", help="for the figures")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    gpu = torch.cuda.is_available()
    base = arguments.work / arguments.shape / ("nf4" if gpu else "bfloat16")
    if arguments.one is not None:
        train(base, arguments)
        return 0
    several = arguments.processes or torch.cuda.device_count()
    if several < 2:
        print("error: two processes or more are compared with one", file=sys.stderr)
        return 1
    write_model(base.parent, arguments.shape, BenchExamples.read(None).texts(), [base.name])
    arguments.processes = several
    runs = {count: started(arguments, base.parent, count) for count in (1, several)}
    one, all_of_them = runs[1], runs[several]
    apart = [abs(a - b) for a, b in zip(one["losses"], all_of_them["losses"], strict=True)]
    faster = one["step"] / all_of_them["step"]
    found = {
        "device": torch.cuda.get_device_name() if gpu else "CPU",
        "processes": several,
        "passes_per_step": several,
        "settings": arguments.set,
        "times_as_fast": round(faster, 3),
        "difference_of_last_losses": apart[-1],
        "largest_difference_of_losses": max(apart),
        "one": one,
        "several": all_of_them,
    }
    print(json.dumps(found, indent=1))
    if arguments.out is not None:
        write_json(arguments.out, found)
    slow = gpu and faster < LEAST_SHARE * several
    return 1 if slow or apart[-1] > MOST_DIFFERENCE else 0


def started(arguments: argparse.Namespace, folder: Path, count: int) -> dict[str, Any]:
    """Train in so many processes: seconds of a step, losses, and the peak of one process in GB."""
    out = folder / f"adapter-of-{count}"
    begun = time.monotonic()
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *(f"--nproc-per-node={count}", "-m", "bench.training.processes"),
            *("--shape", arguments.shape, "--processes", str(arguments.processes)),
            *("--steps", str(arguments.steps), "--tokens", str(arguments.tokens)),
            *("--work", str(arguments.work), "--one", str(out)),
            *(["--set", *arguments.set] if arguments.set else []),
        ],
        check=True,
    )
    row = json.loads((out / "row.json").read_text(encoding="utf-8"))
    return {**row, "process_seconds": round(time.monotonic() - begun, 1)}


def train(base: Path, arguments: argparse.Namespace) -> None:
    """In one of the processes: the training loop as ``finetune train`` runs it."""
    from bench.training.loop import collator
    from bench.training.loop import train as train_on
    from finetune.adapter.backends import load_processor, load_trainable, start_backend
    from finetune.adapter.collator import Rendering
    from finetune.adapter.config import TrainConfig
    from finetune.training.devices import Devices
    from finetune.training.log import memory_gb

    gpu = torch.cuda.is_available()
    settings = [
        *("backend=peft", f"batch={BATCH}", f"accumulation={arguments.processes}"),
        *(f"max_tokens={arguments.tokens}", f"max_steps={arguments.steps}", "epochs=1"),
        *("eval_every=1000000", "save_every=1000000", "sample_tokens=0", *arguments.set),
    ]
    config = TrainConfig.of(settings).resolved(gpu=gpu, bfloat16=gpu, unsloth=False)
    with Devices.joined("cuda" if gpu else "cpu") as devices:
        start_backend(config)
        given = BenchExamples.read(None)
        processor = load_processor(str(base))
        count = BATCH * arguments.processes * arguments.steps
        made = given.tokens(Rendering(processor), count, arguments.tokens)
        trainable = load_trainable(str(base), config, devices.device)
        collate = collator(processor, given, config.precision)
        out: Path = arguments.one
        taken = train_on(base, trainable, processor, made, collate, out, devices=devices)
        if devices.first:
            seconds = [step["seconds"] for step in taken]
            write_json(
                out / "row.json",
                {
                    "step": statistics.median(seconds[SKIPPED:] or seconds),
                    "losses": [step["loss"] for step in taken],
                    "peak_gb": round(memory_gb(devices.device), 2),
                },
            )


if __name__ == "__main__":
    sys.exit(main())
