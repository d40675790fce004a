"""Trains every parameter of the small base model on an example pack.

Trainer(config, model, processor, pack, out_dir, device="cuda").train()

A checkpoint in ``out_dir`` is gone on with; what is trained is written to ``out_dir/model``.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MllamaForConditionalGeneration, MllamaProcessor

from db.errors import MismatchError, UserError
from finetune.examples.pack import ExamplePack
from recipes.small_mllama.batches import Batch, Batches, Tiles, token_losses, tokenise
from recipes.small_mllama.clock import Clock, schedule
from recipes.small_mllama.config import BaseConfig
from recipes.small_mllama.distil import distort

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
MODEL = "model"

Progress = Callable[[dict[str, Any]], None]


class Trainer:
    """One run over a pack."""

    def __init__(
        self,
        config: BaseConfig,
        model: MllamaForConditionalGeneration,
        processor: MllamaProcessor,
        pack: ExamplePack,
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
        self.steps_an_epoch = len(self.train_set.groups(config.seed))
        self.optimizer = torch.optim.AdamW(
            self._parameter_groups(),
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=self.device.type == "cuda",
        )
        self._saved = 0.0

    def train(self, progress: Progress | None = None, *, pause_after: float = 0.0) -> bool:
        """To the end of the epochs or of the time, from the last checkpoint if there is one.

        After ``pause_after`` seconds, if any, the run is left with a checkpoint and False returned.
        Raises MismatchError for a checkpoint of other settings or another pack.
        """
        config = self.config
        step, spent, start = self._resume()
        clock = Clock(
            steps=config.epochs * self.steps_an_epoch, seconds=config.max_seconds, spent=spent
        )
        self._saved = spent
        reached = clock.progress(step)
        sums: list[Tensor] = []
        for place, batch in self._from(*start):
            if reached >= 1:
                break
            self.model.train()
            schedule(self.optimizer, reached, config.warmup)
            sums.append(self._step(batch, step, config.prompt_weight * (1 - reached)))
            step += 1
            reached = clock.progress(step)
            last = reached >= 1
            if last or step % config.log_every == 0:
                line = {"step": step, "seconds": clock.elapsed(), "progress": reached}
                line["loss"] = float(torch.stack(sums).mean())
                if last or step % config.val_every == 0:
                    line |= self.validate()
                self._log(line, progress)
                sums.clear()
            if not last and clock.elapsed() - self._saved > config.save_seconds:
                self._save(step, clock.elapsed(), place)
                self._saved = clock.elapsed()
            if not last and pause_after and clock.elapsed() - spent > pause_after:
                self._save(step, clock.elapsed(), place)
                return False
        self.write()
        return True

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
        config = json.loads(stated.read_text(encoding="utf-8"))
        stated.write_text(json.dumps(config | {"dtype": "float16"}, indent=2), encoding="utf-8")
        (self.out_dir / CHECKPOINT).unlink(missing_ok=True)
        return folder

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss of a token of the answers, for each task apart."""
        self.model.eval()
        sums: dict[str, list[Tensor]] = {}
        for batch in self.val_set.epoch(self.config.seed):
            losses, rows = self._losses(batch, batch.answers, distorted=False)
            for task in set(batch.tasks):
                of_task = torch.tensor([t == task for t in batch.tasks])[rows].to(self.device)
                total = torch.stack([losses[of_task].sum(), of_task.sum()])
                sums.setdefault(task, []).append(total)
        totals = {task: torch.stack(parts).sum(dim=0).tolist() for task, parts in sums.items()}
        return {f"val_{task}": total / count for task, (total, count) in sorted(totals.items())}

    def _step(self, batch: Batch, step: int, prompt_weight: float) -> Tensor:
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + step)
        chosen = batch.answers | batch.prompts if prompt_weight else batch.answers
        losses, _ = self._losses(batch, chosen, distorted=True)
        answers = batch.answers[chosen].float().to(self.device, non_blocking=True)
        weights = answers + (1 - answers) * prompt_weight
        loss = (losses * weights).sum() / weights.sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.optimizer.step()
        return (losses.detach() * answers).sum() / answers.sum()

    def _losses(self, batch: Batch, chosen: Tensor, *, distorted: bool) -> tuple[Tensor, Tensor]:
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
            # Only where a token is to be told: the vocabulary is the widest layer.
            logits = self.model.lm_head(hidden.flatten(0, 1)[places - 1])
        return token_losses(logits, inputs["input_ids"].flatten()[places]), rows

    def _from(self, epoch: int, done: int) -> Iterator[tuple[tuple[int, int], Batch]]:
        """Batches after ``done`` of an epoch, each with the place after it."""
        while True:
            groups = self.train_set.groups(self.config.seed + epoch)
            for number in range(done, len(groups)):
                yield (epoch, number + 1), self.train_set.batch(groups[number])
            epoch, done = epoch + 1, 0

    def _batches(self, pack: ExamplePack, split: str) -> tuple[Batches, int]:
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
            {"params": parameters, "peak": peak, "lr": peak, "weight_decay": decay}
            for (peak, decay), parameters in groups.items()
        ]

    def _log(self, line: dict[str, Any], progress: Progress | None) -> None:
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}
        with (self.out_dir / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(rounded) + "\n")
        if progress:
            progress(rounded)

    def _save(self, step: int, seconds: float, place: tuple[int, int]) -> None:
        state = {
            "config": _lasting(self.config),
            "data": self.data,
            "step": step,
            "seconds": seconds,
            "place": list(place),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        waiting = self.out_dir / (CHECKPOINT + ".tmp")
        torch.save(state, waiting)
        waiting.replace(self.out_dir / CHECKPOINT)

    def _resume(self) -> tuple[int, float, tuple[int, int]]:
        path = self.out_dir / CHECKPOINT
        if not path.is_file():
            return 0, 0.0, (0, 0)
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["config"] != _lasting(self.config) or state["data"] != self.data:
            raise MismatchError(
                f"{self.out_dir} holds a run with other settings or another pack: "
                "name another directory"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        epoch, done = state["place"]
        return int(state["step"]), float(state["seconds"]), (int(epoch), int(done))


def _lasting(config: BaseConfig) -> dict[str, Any]:
    """Settings that must be equal for a run to go on; how long it may take is not one."""
    stated = asdict(config)
    for name in ("epochs", "max_seconds", "save_seconds", "log_every", "val_every"):
        del stated[name]
    return stated
