"""Training step, peak memory and waiting at the shape of Llama 3.2 Vision 11B, on one GPU.

python -m bench.training.speed --examples PACK          # 11 billion random weights, 7 GB on disk
python -m bench.training.speed --shape tiny             # rehearsal, also on a CPU

Each set-up runs in a process of its own on the same NF4 checkpoint and the same examples: prompts
of PACK joined and cut to 1,024 tokens, two a step, with one image of two tiles each. ``unsloth``
and ``peft`` are this project's training loop with either backend, ``peft-t4`` the latter with the
profile of a card without bfloat16, one example a step. ``plain`` is transformers, peft
and bitsandbytes as their documentation puts them together: NF4 with double quantization, bfloat16
autocast, sdpa, non-reentrant checkpointing, 8-bit AdamW, the processor in the workers of a
DataLoader. ``plain-bf16`` is the same without autocast, the adapter in bfloat16 too: quicker, and
coarser. None of them casts frozen weights to float32. Waiting is the share of wall time that the
step waited for data. Ours is compared with the better of the plain ones in each column; exit code
1 where it is not twice as fast in half the memory, in 12 GB, waiting less than a tenth. What was
measured is kept in ``results.json`` of the work folder, so that set-ups measured one by one on the
same card are compared too.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from bench.training.examples import BenchExamples

ROOT = Path(__file__).resolve().parents[2]

FASTER, SMALLER, MOST_GB, MOST_WAITING = 2.0, 0.5, 12.0, 0.1

Row = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--examples", type=Path, metavar="PACK", help="of finetune examples")
    parser.add_argument("--setups", nargs="+", help="default: those that the machine can run")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--workers", type=int, default=4, help="of the DataLoader of plain ones")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--timeout", type=float, metavar="S", help="the most a set-up may take")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.work / arguments.shape
    folder.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.is_available()
    form = "nf4" if gpu else "bfloat16"
    if arguments.one == "checkpoint":
        from bench.training.random_model import write_model

        texts = BenchExamples.read(arguments.examples).texts()
        write_model(folder, arguments.shape, texts, [form])
        return 0
    if arguments.one:
        from bench.training.setups import measure

        given = BenchExamples.read(arguments.examples)
        row = measure(
            arguments.one, folder / form, given, steps=arguments.steps, workers=arguments.workers
        )
        print(json.dumps(row))
        return 0
    machine = f"{torch.cuda.get_device_name() if gpu else 'CPU'} torch {torch.__version__}"
    print(machine, flush=True)
    alone(arguments, "checkpoint")
    kept = folder / "results.json"
    rows = read_rows(kept, machine)
    print(
        "set-up      step s  peak reserved GB  peak while loading GB  waiting   loss  "
        "first step s  process s",
        flush=True,
    )
    for setup in arguments.setups or ["plain", "plain-bf16", "peft", *(["unsloth"] * gpu)]:
        started = time.monotonic()
        try:
            row = json.loads(alone(arguments, setup).splitlines()[-1])
        except subprocess.CalledProcessError as error:
            print(f"{setup:10} ended with exit code {error.returncode}", flush=True)
            continue
        except subprocess.TimeoutExpired:
            print(f"{setup:10} took more than {arguments.timeout:.0f} s", flush=True)
            continue
        rows[setup] = {**row, "process": time.monotonic() - started}
        print(described(setup, rows[setup]), flush=True)
        kept.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    plain = [row for setup, row in rows.items() if setup.startswith("plain")]
    return judge(plain, rows["unsloth"]) if plain and "unsloth" in rows else int(gpu)


def read_rows(path: Path, machine: str) -> dict[str, Row]:
    """Those of earlier calls on the same card, by set-up."""
    if not path.is_file():
        return {}
    held = json.loads(path.read_text())
    return dict(held["rows"]) if held["machine"] == machine else {}


def described(setup: str, row: Row) -> str:
    return (
        f"{setup:10} {row['step']:7.3f} {row['peak_gb']:17.2f} {row['load_gb']:22.2f} "
        f"{row['waiting']:8.1%} {row['loss']:6.2f} {row['first']:13.1f} {row['process']:10.0f}"
    )


def judge(plain: list[Row], ours: Row) -> int:
    faster = min(row["step"] for row in plain) / ours["step"]
    smaller = 1 - ours["peak_gb"] / min(row["peak_gb"] for row in plain)
    print(f"unsloth against the better plain one: {faster:.2f} times as fast, {smaller:.0%} less")
    good = faster >= FASTER and smaller >= SMALLER
    return 0 if good and ours["peak_gb"] <= MOST_GB and ours["waiting"] < MOST_WAITING else 1


def alone(arguments: argparse.Namespace, one: str) -> str:
    """Run one part in a process of its own; what it prints."""
    given = ["--shape", arguments.shape, "--steps", str(arguments.steps), "--one", one]
    given += ["--work", str(arguments.work), "--workers", str(arguments.workers)]
    given += ["--examples", str(arguments.examples)] if arguments.examples else []
    done = subprocess.run(
        [sys.executable, "-m", "bench.training.speed", *given],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=arguments.timeout,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
