"""What both stages of the encoder's training share: one network, its average, and epochs."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from finetune.encoder.config import EncoderConfig
from finetune.encoder.network import TrainingNetwork
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace
from finetune.training.loop import TrainingLoop
from finetune.training.schedules import Position, cosine

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


class MovingAverage(nn.Module):
    """The exponential moving average of a network, which forgets faster in the first steps."""

    def __init__(self, network: TrainingNetwork, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(network)
        self._decay = decay
        self.register_buffer("steps", torch.tensor(0))
        self.steps: Tensor

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Count ``network`` as one step; integers are copied."""
        self.steps += 1
        share = 1 - min(self._decay, float(self.steps / (self.steps + 9)))
        mine, theirs = self.module.state_dict(), network.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in floats], [theirs[n] for n in floats], share)
        for name in mine.keys() - set(floats):
            mine[name].copy_(theirs[name])


class EncoderLearner(Learner):
    """A stage of ``epochs`` epochs. ``train()`` also resumes what an interrupted one left."""

    def __init__(
        self,
        config: EncoderConfig,
        out_dir: Path,
        *,
        network: TrainingNetwork,
        device: str,
        epochs: int,
        epoch_steps: int,
    ) -> None:
        self.config, self.out_dir = config, out_dir
        self.epochs, self.epoch_steps = epochs, epoch_steps
        self.device = torch.device(device)
        torch.backends.cudnn.benchmark = True  # the shapes of a run are always the same
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = MovingAverage(self.network, config.ema)
        heads = [p for name, p in self.network.named_parameters() if "trunk" not in name]
        trunk = [p for name, p in self.network.named_parameters() if "trunk" in name]
        groups = [
            {"params": [p for p in trunk if p.ndim > 1], "lr": config.lr},
            {"params": [p for p in trunk if p.ndim <= 1], "lr": config.lr, "weight_decay": 0.0},
            {"params": [p for p in heads if p.ndim > 1], "lr": config.head_lr},
            {"params": [p for p in heads if p.ndim <= 1], "lr": config.head_lr, "weight_decay": 0},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)

    def train(self, *, every: int | None = None, show: Callable[[str], None] | None = None) -> None:
        """Train to the last epoch, from the last checkpoint if there is one.

        Scores val and writes the checkpoint after each ``every`` epochs (None: all of them), and
        after the last. Raises MismatchError for a checkpoint of other settings, and UserError where
        the loss is NaN or infinite.
        """
        config, steps = self.config, (every or self.epochs) * self.epoch_steps
        self.out_dir.mkdir(parents=True, exist_ok=True)
        TrainingLoop(
            self,
            self.optimizer,
            Pace(
                steps=self.epochs * self.epoch_steps,
                log_every=steps,
                mean_over=self.epoch_steps,
                evaluate_every=steps,
                save_every=steps,
                max_grad_norm=5.0,
            ),
            schedule=cosine(config.warmup, floor=1e-3),
            log=self.out_dir / LOG,
            checkpoint=self.out_dir / CHECKPOINT,
            devices=Devices(device=self.device),
            show=show or (lambda line: None),
            about=config.of_runs(),
        ).run()

    @abstractmethod
    def epoch(self, rng: np.random.Generator) -> Iterator[Any]:
        """What each step of an epoch is computed from, drawn with ``rng``."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.network.parameters())

    def steps(self, start: int) -> Iterator[list[Any]]:
        config = self.config
        for epoch in range(start // self.epoch_steps, self.epochs):
            rng = np.random.default_rng((config.seed, config.member, epoch))
            torch.manual_seed(config.seed * 1_000_003 + config.member * 10_007 + epoch)
            self.network.train()
            for batch in self.epoch(rng):
                yield [batch]

    def pooled(self, pixels: Tensor) -> Tensor:
        """Pass pixels through the tower, in bfloat16 on a GPU: (n, width) float32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            pooled: Tensor = self.network.visual.trunk(pixels)
        return pooled.float()

    def stepped(self) -> None:
        self.average.update(self.network)

    def measures(self, at: Position, seconds: float) -> dict[str, float]:
        return {"epoch": (at.step + 1) // self.epoch_steps}

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "average": self.average.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
