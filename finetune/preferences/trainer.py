"""Pairs as token ids, and the training of an adapter on them.

data = PairSet.make(pairs, processor, config, torch.float32)
PreferenceTrainer(trainable, data, out_dir, record, devices=devices, show=print).train()

Everything that is not about pairs is that of plain training: the plan, the loop, checkpoints, the
adapter that is kept, which is the one with the lowest loss on the validation pairs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from finetune.adapter.backends import Trainable
from finetune.adapter.collator import Collator, Rendering, Tokens
from finetune.adapter.data import TrainingSet
from finetune.adapter.dry_run import Objective
from finetune.adapter.run import TrainingRun
from finetune.adapter.trainer import AdapterTrainer
from finetune.preferences.loss import MEASURES, PreferenceLoss
from finetune.preferences.pairs import PreferencePair
from finetune.training.devices import Devices
from finetune.training.schedules import Position
from generator.mllama.adapter_record import AdapterRecord


@dataclass(frozen=True, kw_only=True)
class PairTokens(Tokens):
    """A prompt with its chosen answer, and with its rejected one."""

    rejected: Tokens

    def __len__(self) -> int:
        """Tokens of the longer text, to which both are padded."""
        return max(len(self.ids), len(self.rejected))

    @property
    def counted(self) -> int:
        """Every pair counts the same."""
        return 1


@dataclass(frozen=True)
class PairCollator:
    """The chosen answers of some pairs, then the rejected ones: twice as many rows as pairs."""

    rows: Collator

    def __call__(self, pairs: Sequence[PairTokens]) -> dict[str, Tensor]:
        chosen = [Tokens(ids=p.ids, prompt_length=p.prompt_length, image=p.image) for p in pairs]
        return self.rows([*chosen, *(pair.rejected for pair in pairs)])


@dataclass(frozen=True, kw_only=True)
class PairSet(TrainingSet):
    """What the training loop needs of pairs."""

    @staticmethod
    def tokenise(example: PreferencePair, rendering: Rendering) -> PairTokens:
        chosen = rendering.tokenise(example.prompt, example.answer, image=example.canvas)
        return PairTokens(
            ids=chosen.ids,
            prompt_length=chosen.prompt_length,
            image=chosen.image,
            rejected=rendering.tokenise(example.prompt, example.rejected, image=example.canvas),
        )

    @staticmethod
    def kind(example: PreferencePair) -> str:
        return example.kind

    def describe(self, number: int) -> Iterator[str]:
        pair = self.train[number]
        assert isinstance(pair, PairTokens)
        decode, start = self.rendering.tokenizer.decode, pair.prompt_length
        yield (
            f"--- pair {number} ({self.tasks[number]}): {len(pair.ids)} tokens chosen, "
            f"{len(pair.rejected)} rejected; image {pair.image}"
        )
        yield decode(pair.ids[:start])
        yield f">>> chosen: {decode(pair.ids[start:])}"
        yield f">>> rejected: {decode(pair.rejected.ids[start:])}"


class PreferenceTrainer(AdapterTrainer):
    """Raises the likelihood of chosen answers over that of rejected ones."""

    losses = ("loss", *MEASURES)
    panels: ClassVar[Mapping[str, Sequence[str]]] = {
        "loss": ("loss", "val_loss"),
        "reward margin": ("margin", "val_margin"),
        "pairs ranked right": ("accuracy", "val_accuracy"),
    }

    def __init__(
        self,
        trainable: Trainable,
        data: TrainingSet,
        out_dir: Path,
        record: AdapterRecord,
        *,
        devices: Devices,
        show: Callable[[str], None],
    ) -> None:
        """The adapter as it is now is the reference. Raises UserError as `AdapterTrainer`."""
        super().__init__(trainable, data, out_dir, record, devices=devices, show=show)
        self.collate = PairCollator(data.collate)
        self._loss = PreferenceLoss(trainable, data.rendering.processor, self.run_dir)

    def loss(
        self, batch: tuple[dict[str, Tensor], int], at: Position | None
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """That of a step is the mean over its pairs."""
        inputs, counted = batch
        loss, measured = self._loss(inputs)
        share = len(inputs["input_ids"]) / 2 / counted
        return loss * share, {name: value * share for name, value in measured.items()}


class PreferenceRun(TrainingRun):
    """A run on pairs."""

    sets = PairSet
    trainer = PreferenceTrainer
    rows = 2
    references = 1

    def objective(self, trainable: Trainable) -> Objective:
        loss = PreferenceLoss(trainable, self.data.rendering.processor, Path())
        return Objective(collate=PairCollator(self.data.collate), loss=lambda batch: loss(batch)[0])
