"""How long a model that decodes by kernels takes from its weights to a first token.

python -m bench.generation.gpu.start --formats bfloat16 nf4 --out FILE      # 90 s on an H200
python -m bench.generation.gpu.start --shape tiny --prompt 40 --tokens 4

Each line is a process of its own: one with an empty cache of Triton, then one with the cache that
the first has left. Random weights are made where they are used; seconds count from there: the
kernels' logits are compared with those of torch, and requests come one after another, each with an
image of its own, then as many at once as there are places.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.generation.gpu_serving import Bench, peak
from bench.generation.served_requests import ServedRequests
from bench.training.random_model import ROOT
from db.files import write_json
from evaluation.provenance import device_name
from generator.mllama.load import by_kernels
from generator.mllama.model import MllamaModel

Figures = dict[str, Any]


def measured(arguments: argparse.Namespace) -> Figures:
    """Of this process."""
    bench = Bench(arguments, arguments.form)
    bench.wait()
    start = time.perf_counter()
    notes: list[str] = []
    decoder = by_kernels(bench.model.decoder, "real", notes)
    checked = time.perf_counter() - start
    places = max(arguments.batches)
    model = MllamaModel(
        decoder=decoder,
        processor=bench.model.processor,
        ends=frozenset(),
        folder=arguments.work,
        name="random",
        rows=bench.slot_decoder(decoder, places),
        batch_size=places,
    )
    asked = ServedRequests(
        model, prompt=arguments.prompt, size=(model.tile_size * arguments.tiles, model.tile_size)
    )
    moments = []
    for tokens in (1, 1, arguments.tokens):
        asked.all([tokens])
        moments.append(time.perf_counter() - start)
    asked.all([arguments.tokens] * places)
    together = time.perf_counter() - start
    return {
        "part": "start",
        "format": arguments.form,
        "kernels": decoder.step is not None,
        "notes": notes,
        "checked_s": round(checked, 2),
        "first_token_s": round(moments[0], 2),
        "second_token_s": round(moments[1], 2),
        "report_s": round(moments[2], 2),
        "together_s": round(together, 2),
        "places": places,
        "compiled": len(list(Path(os.environ["TRITON_CACHE_DIR"]).rglob("*.cubin"))),
        "device": device_name(bench.device),
        **peak(bench.device),
    }


def both(arguments: argparse.Namespace, argv: Sequence[str]) -> Iterator[Figures]:
    """With an empty cache, then with a filled one."""
    for form in arguments.formats:
        with tempfile.TemporaryDirectory() as folder:
            for cache in ("empty", "filled"):
                ran = subprocess.run(
                    [sys.executable, "-m", "bench.generation.gpu.start", *argv, "--form", form],
                    env={**os.environ, "TRITON_CACHE_DIR": folder},
                    stdout=subprocess.PIPE,
                    text=True,
                )
                if ran.returncode:
                    yield {"part": "start", "format": form, "cache": cache, "exit": ran.returncode}
                else:
                    yield json.loads(ran.stdout.splitlines()[-1]) | {"cache": cache}


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=("full", "tiny"), default="full")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_speed")
    parser.add_argument("--formats", nargs="+", default=["bfloat16", "nf4"])
    parser.add_argument("--rank", type=int, default=0, help="of LoRA beside NF4")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", type=int, nargs=1, default=[32], help="places")
    parser.add_argument("--prompt", type=int, default=600, help="tokens")
    parser.add_argument("--tokens", type=int, default=160, help="of a report")
    parser.add_argument("--tiles", type=int, default=1, help="that an image fills")
    parser.add_argument("--form", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, metavar="FILE", help="for the figures")
    arguments = parser.parse_args(given)
    arguments.in_memory, arguments.kernels = True, True
    if arguments.form is not None:
        print(json.dumps(measured(arguments)), flush=True)
        return 0
    found = []
    for figures in both(arguments, given):
        found.append(figures)
        print(json.dumps(figures), flush=True)
        if arguments.out is not None:
            write_json(arguments.out, found)
    return int(any("exit" in figures for figures in found))


if __name__ == "__main__":
    sys.exit(main())
