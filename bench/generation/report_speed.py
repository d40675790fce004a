"""Speed and memory of the report command at the shape of Llama 3.2 Vision 11B with an adapter.

python -m bench.generation.report_speed INDEX IMAGE --quantizations nf4 none
python -m bench.generation.report_speed INDEX IMAGE --shape tiny --quantizations none

The weights are those of bench/training/random_model.py, bfloat16 on disk; the adapter is drawn.
Each quantization runs in a process of its own, which prints its report (random weights write no
sentence that passes the checks), the time to load, tokens per second and peak memory.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("index")
    parser.add_argument("image")
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--quantizations", nargs="+", default=["nf4", "none"])
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--together", action="store_true", help="at once, where memory allows")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    base = arguments.work / arguments.shape / "bfloat16"
    adapter = arguments.work / arguments.shape / "adapter-drawn"
    if arguments.one:
        return report(arguments, base, adapter)
    if not (base / "done").is_file():
        print(f"{base} is not there: run bench/training/random_model.py first", file=sys.stderr)
        return 1
    from bench.training.random_model import write_adapter

    write_adapter(adapter, base)
    given = [arguments.index, arguments.image, "--shape", arguments.shape]
    given += ["--work", str(arguments.work), "--one"]
    ends = []
    running = []
    for name in arguments.quantizations:
        command = [sys.executable, "-m", "bench.generation.report_speed", *given, name]
        running.append(subprocess.Popen(command))
        if not arguments.together:
            ends.append(running.pop().wait())
    ends += [process.wait() for process in running]
    return max(ends)


def report(arguments: argparse.Namespace, base: Path, adapter: Path) -> int:
    from generator.__main__ import main as command
    from generator.mllama.load import load_model

    measured: dict[str, Any] = {}

    def load(model: str, adapter: str | None, quantization: str) -> Any:
        started = time.monotonic()
        loaded: Any = load_model(model, adapter, quantization=quantization)  # type: ignore[arg-type]
        measured.update(loading=time.monotonic() - started, model=loaded, tokens=1)
        decode_step, prefill = loaded.decoder.decode_step, loaded.decoder.prefill

        def counted(*args: Any, **kwargs: Any) -> Any:
            measured.setdefault("began", time.monotonic())
            measured["tokens"] += 1
            logits = decode_step(*args, **kwargs)
            measured["ended"] = time.monotonic()
            return logits

        def noted(*args: Any, **kwargs: Any) -> Any:
            started = time.monotonic()
            state, logits = prefill(*args, **kwargs)
            float(logits.sum())
            measured.update(reading=time.monotonic() - started, prompt=len(args[0][0]))
            return state, logits

        loaded.decoder.decode_step, loaded.decoder.prefill = counted, noted
        return loaded

    argv = ["report", arguments.index, arguments.image, "--model", str(base)]
    argv += ["--adapter", str(adapter), "--quantization", arguments.one]
    started = time.monotonic()
    code = command(argv, open_model=load)
    whole = time.monotonic() - started
    if code or "ended" not in measured:
        print(f"{arguments.one}: exit code {code}, nothing was decoded")
        return 1
    gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_reserved() / 2**30 if gpu else 0.0
    speed = (measured["tokens"] - 1) / (measured["ended"] - measured["began"])
    print(
        f"{arguments.one} on {torch.cuda.get_device_name() if gpu else os.uname().machine}: "
        f"loaded in {measured['loading']:.1f} s, prompt of {measured['prompt']} tokens read in "
        f"{measured['reading']:.2f} s, {measured['tokens']} tokens at {speed:.1f} tokens/s, "
        f"whole command {whole:.1f} s, peak reserved {peak:.2f} GB",
        flush=True,
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
