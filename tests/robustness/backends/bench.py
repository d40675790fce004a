"""The commands of ``finetune`` on a tiny model, in this process, and what they leave behind."""

import json
import logging
import math
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (
    *("rank=2", "alpha=4", "lr=0.01", "batch=2", "accumulation=2", "max_steps=6"),
    *("eval_every=3", "save_every=1", "sample_tokens=4", "warmup=0"),
)
STANDING = ("lr=1e-9", "max_steps=1", "weight_decay=0", "warmup=0")
"""A step that leaves the weights where they are, so that its validation measures the start."""
TOLERANCE = {"cpu": 0.0, "cuda": 0.02}
"""How far the weights of a resumed run may be from those of one left alone, as a share of their
norm. The kernels of a GPU add up in an order that changes; on a CPU the bytes are equal."""
SAME_LOSS = 0.02
"""The same share for losses that two backends, or two precisions, compute."""


class CheckError(Exception):
    """What a check expected and did not find."""


def expect(found: bool, said: object) -> None:
    """Raises CheckError with the end of what a command said."""
    if not found:
        raise CheckError(" | ".join(str(said).strip().splitlines()[-4:]) or "something else")


@dataclass
class Bench:
    """The folder of all runs, and how they are started."""

    folder: Path
    backend: str
    device: str

    def base(self, kind: str = "base") -> str:
        return str(self.folder / kind)

    def data(self, name: str = "data") -> str:
        return str(self.folder / name)

    def run(self, *given: str, stop_at: int = 0) -> tuple[int, str]:
        """Exit code and output of ``finetune``; a signal comes after step ``stop_at``."""
        from finetune.__main__ import main

        said = StringIO()
        told = logging.StreamHandler(said)
        logging.getLogger().addHandler(told)
        try:
            with redirect_stdout(said), redirect_stderr(said), _signalled(stop_at):
                code = main([*given, "--backend", self.backend, "--device", self.device])
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            logging.getLogger().removeHandler(told)
        with (self.folder / f"said-{os.getpid()}.txt").open("a") as whole:
            whole.write(f"$ finetune {' '.join(given)}\n{said.getvalue()}\nexit code {code}\n\n")
        return code, said.getvalue()

    def train(
        self,
        out: str,
        *more: str,
        data: str = "data",
        base: str = "base",
        settings: Sequence[str] = (),
        stop_at: int = 0,
    ) -> tuple[int, str]:
        where = ["train", "--base", self.base(base), "--dataset", self.data(data)]
        given = [*where, "--out", str(self.folder / out), *more, "--set", *SETTINGS, *settings]
        return self.run(*given, stop_at=stop_at)

    def finish(self, out: str, *more: str, **options: Any) -> str:
        """A run that ends well; what it said."""
        code, said = self.train(out, *more, **options)
        expect(code == 0, said)
        return said

    def refused(self, out: str, *more: str, **options: Any) -> str:
        """The sentence that a command ends with before it trains."""
        code, said = self.train(out, *more, **options)
        last = said.strip().splitlines()[-1]
        expect(code == 1 and last.startswith("error: ") and "Traceback" not in said, said)
        return last.removeprefix("error: ")

    def config(self, out: str) -> dict[str, Any]:
        """Of the adapter, as peft reads it."""
        return json.loads((self.folder / out / "adapter_config.json").read_text())  # type: ignore[no-any-return]

    def record(self, out: str) -> dict[str, Any]:
        return json.loads((self.folder / out / "adapter_record.json").read_text())  # type: ignore[no-any-return]

    def alike(self, one: str, other: str) -> str:
        """Checks that two runs ended with the same weights, and says how far apart they are."""
        apart = self.distance(one, other)
        said = f"{apart:.1e} of the norm apart"
        expect(apart <= TOLERANCE[self.device], said)
        return said

    def distance(self, one: str, other: str) -> float:
        """Of two adapters' weights, as a share of the norm of the second."""
        from safetensors.numpy import load_file

        first, second = (
            load_file(self.folder / name / "adapter_model.safetensors") for name in (one, other)
        )
        expect(first.keys() == second.keys(), f"{one} and {other} have other layers")
        apart = sum(float(np.square(first[n] - second[n]).sum()) for n in first)
        return math.sqrt(apart / sum(float(np.square(second[n]).sum()) for n in second))


@contextmanager
def _signalled(step: int) -> Iterator[None]:
    """SIGTERM to this process after so many optimizer steps; 0 for none."""
    if not step:
        yield
        return
    from finetune.adapter.trainer import AdapterTrainer

    done = 0

    def stepped(trainer: AdapterTrainer) -> None:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    before = AdapterTrainer.stepped
    AdapterTrainer.stepped = stepped  # type: ignore[method-assign]
    try:
        yield
    finally:
        AdapterTrainer.stepped = before  # type: ignore[method-assign]
