"""One training run: base model, examples, config and devices put together."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from db.errors import MismatchError, NotFoundError, UserError
from db.files import write_json
from finetune.adapter.backends import Trainable, load_trainable
from finetune.adapter.collator import Rendering
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingData, TrainingSet
from finetune.adapter.dry_run import describe, largest_pass
from finetune.adapter.memory import MemoryEstimate, check_memory, estimate_memory
from finetune.adapter.trainer import RUN, AdapterTrainer
from finetune.export.adapter_files import WEIGHTS
from finetune.training.devices import Devices
from finetune.training.learner import RunEnd
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256
from generator.prompts import PROMPT_VERSION

STATED = "run.json"


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """Everything but the weights, checked and ready."""

    base: str
    config: TrainConfig
    devices: Devices
    rendering: Rendering
    data: TrainingSet
    record: AdapterRecord
    memory: MemoryEstimate
    initial: Path | None

    @classmethod
    def prepare(
        cls,
        *,
        base: str,
        base_config: Any,
        processor: Any,
        data: TrainingData,
        config: TrainConfig,
        devices: Devices,
        initial: Path | None = None,
    ) -> "TrainingRun":
        """Raises UserError for examples, memory or an adapter that do not fit; loads no weights."""
        _check_prompts(data.about)
        record = AdapterRecord(
            base_model=base,
            base_sha256=base_sha256(base),
            prompt_version=PROMPT_VERSION,
            index_fingerprint=data.about.get("index_fingerprint"),
            encoder_sha256=data.about.get("encoder_sha256"),
            data_sha256=data.about["data_sha256"],
            config=asdict(config),
            packages=package_versions(),
        )
        if initial is not None:
            _check_initial(initial, record)
        chosen = TrainingSet.make(data, processor, config, getattr(torch, config.precision))
        examples, tokens = largest_pass(chosen.train, config)
        memory = estimate_memory(base_config, config, tokens=tokens, examples=examples)
        check_memory(memory, devices.free_memory())
        return cls(
            base=base,
            config=config,
            devices=devices,
            rendering=Rendering(processor),
            data=chosen,
            record=record,
            memory=memory,
            initial=initial,
        )

    def describe(self) -> Iterator[str]:
        """What a dry run prints."""
        return describe(self.data, self.rendering, self.config, self.memory)

    def train(
        self,
        out_dir: Path,
        *,
        resume: bool,
        max_seconds: float | None,
        show: Callable[[str], None],
    ) -> RunEnd:
        """Raises MismatchError where ``out_dir`` holds a run of something else."""
        if self.devices.first:
            self._state(out_dir, resume)
        trainable = load_trainable(self.base, self.config, self.devices.device)
        if self.initial is not None:
            load_adapter_weights(trainable, self.initial)
        show(
            f"{sum(w.numel() for w in trainable.weights.values()):,} weights to train on "
            f"{len(self.data.train)} examples; {self.memory}"
        )
        trainer = AdapterTrainer(
            trainable, self.data, out_dir, self.record, devices=self.devices, show=show
        )
        return trainer.train(max_seconds=max_seconds)

    def _state(self, out_dir: Path, resume: bool) -> None:
        """Record what the run depends on, or compare it with the record."""
        path = out_dir / RUN / STATED
        stated = {
            "base_sha256": self.record.base_sha256,
            "prompt_version": self.record.prompt_version,
            "data_sha256": self.record.data_sha256,
            "initial": str(self.initial) if self.initial else None,
            "config": dict(self.record.config),
        }
        if path.is_file():
            held = json.loads(path.read_text(encoding="utf-8"))
            differing = [name for name, value in stated.items() if held.get(name) != value]
            if differing:
                raise MismatchError(
                    f"{out_dir} holds a run with another {differing[0]}: use what it was started "
                    "with, or name another directory"
                )
            if not resume:
                raise UserError(f"{out_dir} holds a run: add --resume to continue it")
        else:
            write_json(path, stated)


def _check_prompts(about: Mapping[str, Any]) -> None:
    if about.get("prompt_version") != PROMPT_VERSION:
        raise MismatchError(
            f"the examples hold prompts of version '{about.get('prompt_version')}', and this "
            f"program writes '{PROMPT_VERSION}': create the examples again"
        )


def _check_initial(adapter_dir: Path, record: AdapterRecord) -> None:
    if not (adapter_dir / WEIGHTS).is_file():
        raise NotFoundError(f"{adapter_dir} holds no adapter: name one of finetune train")
    before = AdapterRecord.load(adapter_dir)
    if before.base_sha256 != record.base_sha256:
        raise MismatchError(
            f"{adapter_dir} is an adapter of another base model ({before.base_model}): "
            "name that one with --base, or start without --initial"
        )


def load_adapter_weights(trainable: Trainable, adapter_dir: Path) -> None:
    """Replace the initial weights by an adapter's. Raises MismatchError for other shapes."""
    stored = load_file(adapter_dir / WEIGHTS)
    wanted = {name.replace(".default.", "."): weight for name, weight in trainable.weights.items()}
    shapes = {name: tuple(weight.shape) for name, weight in wanted.items()}
    if {name: tuple(weight.shape) for name, weight in stored.items()} != shapes:
        raise MismatchError(
            f"{adapter_dir} has other layers or another rank than this config: "
            "give the settings it was trained with"
        )
    for name, weight in wanted.items():
        weight.data.copy_(stored[name])


_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "unsloth", "trl")


def package_versions() -> dict[str, str]:
    """Versions of the libraries that training uses, as far as they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
