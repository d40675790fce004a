"""Trains every parameter of the small base model on an example pack.

SmallMllamaTrainer(config, model, processor, pack, out_dir, tiles=tiles).train()

A run resumes from the checkpoint in ``out_dir``; the trained model is written to ``out_dir/model``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MllamaForConditionalGeneration, MllamaProcessor

from db.errors import UserError
from db.files import write_json
from finetune.examples.folder import ExampleFolder
from finetune.training.devices import Devices
from finetune.training.learner import Learner, Pace
from finetune.training.loop import TrainingLoop
from finetune.training.schedules import Position, timed_cosine
from recipes.small_mllama.batches import Batches, PromptBatch, Tiles, token_losses, tokenise
from recipes.small_mllama.config import SmallMllamaConfig
from recipes.small_mllama.distil import distort

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
MODEL = "model"


class SmallMllamaTrainer(Learner):
    """One run over a pack."""

    losses = ("loss",)

    def __init__(
        self,
        config: SmallMllamaConfig,
        model: MllamaForConditionalGeneration,
        processor: MllamaProcessor,
        pack: ExampleFolder,
        out_dir: Path,
        *,
        tiles: Tiles,
    ) -> None:
        self.config, self.processor, self.out_dir, self.tiles = config, processor, out_dir, tiles
        self.device = tiles.values.device
        self.model = model.to(self.device)  # type: ignore[arg-type]
        self.data = pack.about.get("data_sha256")
        self.train_set, self.left_out = self._batches(pack, "train")
        self.val_set, _ = self._batches(pack, "val")
        self.epoch_steps = len(self.train_set.groups(config.seed))
        self.optimizer = torch.optim.AdamW(
            self._parameter_groups(),
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=self.device.type == "cuda",
        )

    def train(
        self, show: Callable[[str], None] | None = None, *, pause_after: float | None = None
    ) -> bool:
        """Train to the end of the epochs or of the time, and write the model.

        After ``pause_after`` seconds, if any, writes a checkpoint and returns False. Raises
        MismatchError for a checkpoint of other settings or another pack, and UserError where the
        loss is NaN or infinite.
        """
        config = self.config
        end = TrainingLoop(
            self,
            self.optimizer,
            Pace(
                steps=config.epochs * self.epoch_steps,
                seconds=config.max_seconds,
                log_every=config.log_every,
                mean_over=config.log_every,
                evaluate_every=config.val_every,
                save_seconds=config.save_seconds,
                max_grad_norm=config.clip,
            ),
            schedule=timed_cosine(config.warmup),
            log=self.out_dir / LOG,
            checkpoint=self.out_dir / CHECKPOINT,
            devices=Devices(device=self.device),
            show=show or (lambda line: None),
            about={"config": _lasting(config), "data": self.data},
        ).run(pause_after=pause_after)
        if end.finished:
            self.write()
        return end.finished

    def write(self) -> Path:
        """The model as it is now, in float16, where `from_pretrained` reads it."""
        folder = self.out_dir / MODEL
        half = {
            name: value.detach().to("cpu", torch.float16)
            for name, value in self.model.state_dict().items()
        }
        self.model.save_pretrained(folder, state_dict=half)
        self.processor.save_pretrained(folder)
        stated = folder / "config.json"
        write_json(stated, json.loads(stated.read_text("utf-8")) | {"dtype": "float16"})
        (self.out_dir / CHECKPOINT).unlink(missing_ok=True)
        return folder

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the mean loss of the answers' tokens for each task."""
        self.model.eval()
        sums: dict[str, list[Tensor]] = {}
        for batch in self.val_set.epoch(self.config.seed):
            losses, rows = self._token_losses(batch, batch.answers, distorted=False)
            for task in set(batch.tasks):
                of_task = torch.tensor([t == task for t in batch.tasks])[rows].to(self.device)
                total = torch.stack([losses[of_task].sum(), of_task.sum()])
                sums.setdefault(task, []).append(total)
        totals = {task: torch.stack(parts).sum(dim=0).tolist() for task, parts in sums.items()}
        return {f"val_{task}": total / count for task, (total, count) in sorted(totals.items())}

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.model.parameters())

    def steps(self, start: int) -> Iterator[list[PromptBatch]]:
        epoch = 0
        while True:
            groups = self.train_set.groups(self.config.seed + epoch)
            for group in groups[start:]:
                self.model.train()
                yield [self.train_set.batch(group)]
            start, epoch = max(0, start - len(groups)), epoch + 1

    def loss(self, batch: PromptBatch, at: Position) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Tokens of prompts weigh in at the start, where the config says so; the log has the loss
        of the answers alone."""
        config = self.config
        prompt_weight = config.prompt_weight * (1 - at.progress)
        torch.manual_seed(config.seed * 1_000_003 + at.step)
        chosen = batch.answers | batch.prompts if prompt_weight else batch.answers
        losses, _ = self._token_losses(batch, chosen, distorted=True)
        answers = batch.answers[chosen].float().to(self.device, non_blocking=True)
        weights = answers + (1 - answers) * prompt_weight
        loss = (losses * weights).sum() / weights.sum()
        return loss, {"loss": (losses.detach() * answers).sum() / answers.sum()}

    def evaluate(self) -> dict[str, float]:
        return self.validate()

    def state(self) -> dict[str, Any]:
        return dict(self.model.state_dict())

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state)

    def _token_losses(
        self, batch: PromptBatch, chosen: Tensor, *, distorted: bool
    ) -> tuple[Tensor, Tensor]:
        """Losses of the chosen tokens, and the row in the batch of each."""
        inputs = dict(batch.inputs)
        if batch.rows is not None:
            grey = self.tiles.grey(batch.rows)
            if distorted:
                grey = distort(grey, self.config)
            inputs["pixel_values"] = self.tiles.normalised(grey, self.tiles.counts[batch.rows])
        rows, columns = chosen.nonzero(as_tuple=True)
        places = (rows * chosen.shape[1] + columns).to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            hidden = self.model.model(**inputs, use_cache=False).last_hidden_state
            # Only where a token is to be predicted: the vocabulary is the widest layer.
            logits = self.model.lm_head(hidden.flatten(0, 1)[places - 1])
        return token_losses(logits, inputs["input_ids"].flatten()[places]), rows

    def _batches(self, pack: ExampleFolder, split: str) -> tuple[Batches, int]:
        config, tokenizer = self.config, self.processor.tokenizer
        examples = pack.train if split == "train" else pack.val
        if split == "val":
            seen: dict[str, int] = {}
            for example in examples:
                seen[example.task] = seen.get(example.task, 0) + 1
            steps = {task: max(1, -(-count // config.val_examples)) for task, count in seen.items()}
            places: dict[str, int] = dict.fromkeys(seen, 0)
            kept = []
            for example in examples:
                if places[example.task] % steps[example.task] == 0:
                    kept.append(example)
                places[example.task] += 1
            examples = kept
        sequenced = tokenise(examples, self.processor)
        fitting = [e for e in sequenced if len(e.ids) <= config.longest]
        if not fitting:
            raise UserError(f"no {split} example of the pack has at most {config.longest} tokens")
        batches = Batches(
            fitting,
            self.tiles,
            image_token=self.model.config.image_token_index,
            pad_token=tokenizer.pad_token_id,
            tokens=config.tokens,
        )
        return batches, len(sequenced) - len(fitting)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        config = self.config
        cross = {
            f"model.language_model.layers.{number}."
            for number in self.model.config.text_config.cross_attention_layers
        }
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            peak = config.lr
            if name.startswith("model.vision_model."):
                peak = config.vision_lr
            elif name.endswith(("cross_attn_attn_gate", "cross_attn_mlp_gate")):
                peak = config.gate_lr
            elif name.startswith(("model.multi_modal_projector.", *cross)):
                peak = config.new_lr
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((peak, decay), []).append(parameter)
        return [
            {"params": parameters, "lr": peak, "weight_decay": decay}
            for (peak, decay), parameters in groups.items()
        ]


def _lasting(config: SmallMllamaConfig) -> dict[str, Any]:
    """Settings that must be equal for a run to be resumed; how long it may take is none of them."""
    stated = asdict(config)
    for name in ("epochs", "max_seconds", "save_seconds", "log_every", "val_every"):
        del stated[name]
    return stated
