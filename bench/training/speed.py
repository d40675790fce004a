"""Training step, peak memory and waiting at the shape of Llama 3.2 Vision 11B, on one GPU.

python -m bench.training.speed --examples PACK          # 11 billion random weights
python -m bench.training.speed --shape tiny             # rehearsal, also on a CPU

Set-ups run on one NF4 checkpoint and the same examples: prompts of PACK joined and cut to 1,024
tokens, two a step, with one image of two tiles each. Plain ones are transformers, peft and
bitsandbytes as their documentation puts them together: NF4 with double quantization, sdpa, 8-bit
AdamW, the processor in the workers of a DataLoader, frozen weights as they are. Ours are the loop
of ``finetune train``.

plain           bfloat16 autocast, non-reentrant checkpointing
plain-nockpt    without checkpointing; plain-bf16 and plain-bf16-nockpt without autocast, the
                adapter in bfloat16 too: quicker, and coarser
peft            ours with fused=false; peft-t4: the profile of a card without bfloat16
fused           both passes written out, all tiles as transformers computes them; fused-real: the
                tiles in use; fused-real-kept: every image has come before, as from the second epoch
                on, and its features are kept; -graphs: passes of one shape as a CUDA graph; -gb20:
                20 GB to fill instead of 11.5; -eager: nothing compiled
unsloth         ours with that backend, in a process of its own

``--adapted text`` puts LoRA on the text model alone, ``all`` on the vision encoder too. Losses are
those of the same examples, order, seed and learning rates. Waiting is the share of wall time that
the step waited for data. Each of ours is compared with the best plain one; exit code 1 where the
best of ours is not twice as fast, in 12 GB, waiting less than a tenth, or losses of ours with all
tiles, which have its mask, differ from those of the best plain one by more than 1e-2. What was
measured is kept in
``results-text.json`` or ``results-all.json`` of the work folder. ``--profile`` adds tables of what
three steps spend their time on. The set-ups of the default take about 90 seconds on an H200; plain
ones come first, since ours replace the attention of the vision encoder.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from bench.training.examples import BenchExamples

ROOT = Path(__file__).resolve().parents[2]

FASTER, MOST_GB, MOST_WAITING, MOST_APART = 2.0, 12.0, 0.1, 1e-2
DEFAULT = (
    "plain-nockpt",
    "fused-graphs",
    "fused-real-graphs",
    "fused-real-kept-graphs",
    "fused-real",
)

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--examples", type=Path, metavar="PACK", help="of finetune examples")
    parser.add_argument("--setups", nargs="+", default=DEFAULT, help="default: %(default)s")
    parser.add_argument("--adapted", choices=("text", "all"), default="text", help="by LoRA")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4, help="of the DataLoader of plain ones")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--profile", nargs="*", default=[], metavar="SETUP", help="of --setups")
    parser.add_argument(
        "--timeout", type=float, default=100, metavar="S", help="start no set-up later"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    folder = arguments.work / arguments.shape
    folder.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.is_available()
    form = "nf4" if gpu else "bfloat16"
    given = BenchExamples.read(arguments.examples)
    if any(setup == "unsloth" for setup in arguments.setups):
        import unsloth  # noqa: F401  it wants to be imported before transformers
    from bench.training.random_model import compact, in_memory, quantized, write_model
    from bench.training.setups import Bench

    model = None
    if "unsloth" in arguments.setups:
        write_model(folder, arguments.shape, given.texts(), [form])
    else:
        drawn = in_memory(folder / form, arguments.shape, given.texts())
        drawn.config.save_pretrained(folder / form)
        model = quantized(drawn) if gpu else drawn.float()
        del drawn
    pool = compact(model) if gpu and model is not None else None
    machine = f"{torch.cuda.get_device_name() if gpu else 'CPU'} torch {torch.__version__}"
    sys.stdout.write(f"{machine}, checkpoint after {time.monotonic() - began:.0f} s\n")
    kept = folder / f"results-{arguments.adapted}.json"
    rows = read_rows(kept, machine)
    sys.stdout.write(
        "set-up           step s  peak reserved GB  waiting  last loss  first step s  seconds\n"
    )
    bench = Bench(
        folder / form,
        given,
        steps=arguments.steps,
        workers=arguments.workers,
        adapted=arguments.adapted,
        model=model,
    )
    for setup in arguments.setups:
        started = time.monotonic()
        if started - began > arguments.timeout:
            sys.stdout.write(f"{setup}: no time left\n")
            continue
        profile = folder / f"profile-{setup}.txt" if setup in arguments.profile else None
        try:
            row = bench.measure(setup, profile=profile)
        except Exception:  # the others are measured all the same
            traceback.print_exc()
            continue
        rows[setup] = {**row, "process": time.monotonic() - started}
        sys.stdout.write(described(setup, rows[setup]) + "\n")
        sys.stdout.flush()
        kept.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    del bench, model, pool  # the pool last
    return judge(rows) if gpu else 0


def read_rows(path: Path, machine: str) -> dict[str, Row]:
    """Those of earlier calls on the same card, by set-up."""
    if not path.is_file():
        return {}
    held = json.loads(path.read_text())
    return dict(held["rows"]) if held["machine"] == machine else {}


def described(setup: str, row: Row) -> str:
    return (
        f"{setup:16} {row['step']:6.3f} {row['peak_gb']:17.2f} {row['waiting']:8.1%} "
        f"{row['loss']:10.4f} {row['first']:13.1f} {row['process']:8.0f}"
    )


def judge(rows: dict[str, Row]) -> int:
    """Compare ours with the best plain set-up; 0 where the best of ours is good enough."""
    plain = {name: row for name, row in rows.items() if name.startswith("plain")}
    ours = {name: row for name, row in rows.items() if name not in plain}
    if not plain or not ours:
        return 1
    best = min(plain, key=lambda name: plain[name]["step"])
    for name, row in ours.items():
        ratio = rows[best]["step"] / row["step"]
        smaller = 1 - row["peak_gb"] / rows[best]["peak_gb"]
        apart = "".join(
            f", losses {apart_by(row, other):.4f} from those of {theirs}"
            for theirs, other in plain.items()
        )
        sys.stdout.write(
            f"{name}: {ratio:.2f} times as fast as {best}, {smaller:.0%} less{apart}\n"
        )
    first = min(ours, key=lambda name: ours[name]["step"])
    good = rows[best]["step"] / ours[first]["step"] >= FASTER
    good &= ours[first]["peak_gb"] <= MOST_GB and ours[first]["waiting"] < MOST_WAITING
    alike = [row for name, row in ours.items() if "real" not in name.split("-")]
    good &= all(apart_by(row, rows[best]) <= MOST_APART for row in alike)
    return 0 if good else 1


def apart_by(one: Row, other: Row) -> float:
    """The largest difference of the losses of a step."""
    return max(abs(a - b) for a, b in zip(one["losses"], other["losses"], strict=False))


if __name__ == "__main__":
    sys.exit(main())
