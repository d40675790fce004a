"""One training run: base model, examples, config and devices put together."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from db.errors import MismatchError, NotFoundError
from finetune.adapter.backends import Trainable, answer_loss, load_trainable
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingData, TrainingSet
from finetune.adapter.dry_run import (
    Objective,
    describe,
    describe_trial,
    largest_pass,
    try_step,
)
from finetune.adapter.initial import check_initial, load_adapter_weights
from finetune.adapter.memory import MemoryEstimate, check_memory, estimate_memory
from finetune.adapter.statement import check_run, package_versions, state_run
from finetune.adapter.trainer import AdapterTrainer
from finetune.export.adapter_files import WEIGHTS
from finetune.export.merge import merged_dtype
from finetune.training.devices import Devices
from finetune.training.learner import RunEnd
from finetune.training.places import check_space
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256
from generator.prompts import PROMPT_VERSION


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """Everything but the weights, checked and ready."""

    sets: ClassVar[type[TrainingSet]] = TrainingSet
    trainer: ClassVar[type[AdapterTrainer]] = AdapterTrainer
    rows: ClassVar[int] = 1
    """Texts per example."""
    references: ClassVar[int] = 0
    """Frozen adapters beside the one that is trained."""
    base: str
    config: TrainConfig
    devices: Devices
    data: TrainingSet
    record: AdapterRecord
    memory: MemoryEstimate
    merged_width: int
    """Bytes of a merged weight."""
    stated: Mapping[str, Any]
    """What the run depends on; see `finetune.adapter.statement`."""
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
    ) -> Self:
        """Raises UserError for examples, memory or an adapter that do not fit; loads no weights."""
        _check_prompts(data.about)
        record = AdapterRecord(
            base_model=base,
            base_sha256=base_sha256(base),
            prompt_version=PROMPT_VERSION,
            index_fingerprint=data.about.get("index_fingerprint"),
            encoder_sha256=data.about.get("encoder_sha256"),
            strategy=data.about.get("strategy", "similar"),
            data_sha256=data.about["data_sha256"],
            config=asdict(config),
            packages=package_versions(),
            tiles=config.tile_use,
        )
        if initial is not None:
            _check_initial(initial, record)
            check_initial(initial, config)
        chosen = cls.sets.make(data, processor, config, getattr(torch, config.precision))
        examples, tokens = largest_pass(chosen.train, config)
        memory = estimate_memory(
            base_config,
            config,
            tokens=tokens,
            examples=examples * cls.rows,
            references=cls.references,
        )
        check_memory(memory, devices.free_memory())
        return cls(
            base=base,
            config=config,
            devices=devices,
            data=chosen,
            record=record,
            memory=memory,
            merged_width=merged_dtype(base_config).itemsize,
            stated=state_run(record, data, base=base, initial=initial),
            initial=initial,
        )

    def describe(self) -> Iterator[str]:
        """What a dry run prints; the base model is loaded for the last line."""
        yield from describe(self.data, self.config)
        config, devices = self.config, self.devices
        trainable = load_trainable(self.base, config, devices.device)
        trial = try_step(trainable, self.data.train, self.objective(trainable))
        epochs = config.max_steps / trial.steps if config.max_steps else config.epochs
        yield describe_trial(trial, self.memory.weights(), epochs=epochs, devices=devices.count)

    def objective(self, trainable: Trainable) -> Objective:
        """What a dry run tries."""
        return Objective(collate=self.data.collate, loss=partial(answer_loss, trainable))

    def check_space(self, out: Path, merge: Path | None) -> None:
        """Raises TooLargeError where the disk cannot hold what the run writes."""
        memory = self.memory
        # each file is written beside the one that it replaces
        files = [memory.checkpoint_file, memory.adapter_file]
        check_space(out, [*files, *files])
        if merge is not None:
            check_space(merge, [memory.parameters * self.merged_width])

    def train(
        self,
        out_dir: Path,
        *,
        resume: bool,
        until: float | None,
        show: Callable[[str], None],
    ) -> RunEnd:
        """Train until it is done, or until a time of ``time.monotonic``.

        Raises MismatchError where ``out_dir`` holds a run of something else.
        """
        self.devices.in_first(partial(check_run, out_dir, self.stated, resume=resume))
        trainable = load_trainable(self.base, self.config, self.devices.device)
        if self.initial is not None:
            load_adapter_weights(trainable, self.initial)
        show(
            f"{sum(w.numel() for w in trainable.weights.values()):,} weights to train on "
            f"{len(self.data.train)} examples; {self.memory.weights()}"
        )
        trainer = self.trainer(
            trainable, self.data, out_dir, self.record, devices=self.devices, show=show
        )
        return trainer.train(max_seconds=None if until is None else until - time.monotonic())


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
    if before.tiles != record.tiles:
        raise MismatchError(
            f"{adapter_dir} was trained with tiles={before.tiles}: use --set tiles={before.tiles}"
        )
