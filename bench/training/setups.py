"""The set-ups that bench/training/speed.py compares, measured one after the other.

bench = Bench(base, examples, steps=20, workers=4, adapted="text")
row = bench.measure("fused-real")           # medians, peaks and the loss of each step

The base is loaded once and each set-up puts its own adapter on it; plain ones come first, since
ours replaces the attention of the vision encoder in place.
"""

import gc
import os
import statistics
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bench.training.examples import CANVASES, BenchExamples
from bench.training.plain import TOKENS, PlainCollator, Step, finish, plain_loss, run_plain
from bench.training.profiles import Profile, profile_steps
from bench.training.random_model import device

BATCH, SKIPPED = 2, 4
WORKER_TIMEOUT = 60.0
"""Seconds after which a worker without a batch is an error."""
ADAPTED = {
    "all": r".*_model\..*(attn\.(q|k|v|o)_proj|mlp\.(gate_proj|up_proj|down_proj|fc1|fc2))",
    "text": r".*language_model\..*(attn\.(q|k|v|o)_proj|mlp\.(gate_proj|up_proj|down_proj))",
}
"""The linear layers that plain set-ups adapt."""

Row = dict[str, Any]


class Bench:
    """A base, examples of one length, and the set-ups on them."""

    def __init__(
        self,
        base: Path,
        given: BenchExamples,
        *,
        steps: int,
        workers: int,
        adapted: str,
        model: Any = None,
    ) -> None:
        """``model`` is the base where it is in memory already; ``base`` then holds the rest."""
        from finetune.adapter.backends import load_processor

        self.base, self.given, self.adapted = base, given, adapted
        self.steps, self.workers = steps, workers
        self.processor = load_processor(str(base))
        self._loaded: Any = model

    def measure(self, setup: str, *, profile: Path | None = None) -> Row:
        """Median step in seconds, peaks in GB, share of waiting, and the losses.

        ``profile`` is where to write what three more steps spent their time on.
        """
        from finetune.adapter.backends import start_backend
        from finetune.adapter.collator import Rendering

        config = self.config(setup)
        start_backend(config)
        made = self.given.tokens(Rendering(self.processor), config.batch * self.steps, TOKENS)
        run = self._plain if setup.startswith("plain") else self._ours
        try:
            taken, loading, peak, table = run(setup, config, made, profile is not None)
        finally:
            self._unload()
        if profile is not None and table is not None:
            profile.write_text(table.text(setup))
        kept = taken[SKIPPED:] or taken
        seconds = [step["seconds"] for step in kept]
        return {
            "step": statistics.median(seconds),
            "peak_gb": peak,
            "load_gb": loading,
            "waiting": sum(step["waited"] for step in kept) / sum(seconds),
            "loss": kept[-1]["loss"],
            "first": taken[0]["seconds"],
            "losses": [step["loss"] for step in taken],
            "norms": [step["norm"] for step in taken],
            "seconds": [step["seconds"] for step in taken],
            "busy": None if table is None else table.busy,
        }

    def config(self, setup: str) -> Any:
        from finetune.adapter.config import TrainConfig

        gpu = torch.cuda.is_available()
        parts = setup.split("-")
        memory = next((float(part[2:]) for part in parts if part.startswith("gb")), 11.5)
        return TrainConfig(
            backend="unsloth" if setup == "unsloth" else "peft",
            precision="float16" if setup == "peft-t4" else "auto",
            fused=parts[0] == "fused",
            tiles="real" if "real" in parts else "all",
            compiled="eager" not in parts,
            graphs="graphs" in parts,
            memory_gb=memory,
            vision=self.adapted == "all",
            batch=1 if setup == "peft-t4" else BATCH,
            accumulation=1,
            max_tokens=TOKENS,
            epochs=1,
            eval_examples=0,
            eval_every=10**6,
            save_every=10**6,
        ).resolved(gpu=gpu, bfloat16=gpu, unsloth=True)

    def _ours(
        self, setup: str, config: Any, made: list[Any], profiled: bool
    ) -> tuple[list[Step], float, float, Profile | None]:
        """The training loop as ``finetune train`` runs it; ``kept`` in a name: every image has come
        before, as from the second epoch on, and its features are kept."""
        from bench.training.loop import collator, train
        from finetune.adapter import backends
        from finetune.training.devices import Devices

        out = self.base.parent / f"adapter-{setup}"
        if config.backend == "unsloth":
            trainable = backends.load_trainable(str(self.base), config, device())
        else:
            with patch.object(backends, "load_base", lambda *given: self._model()):
                trainable = backends.load_trainable(str(self.base), config, device())
        loading = settle()
        known = "kept" in setup.split("-")
        collate = collator(self.processor, self.given, config.precision, numbered=known)
        with torch.no_grad():
            for start in range(0, min(CANVASES, len(made)) if known else 0, BATCH):
                batch = collate(made[start : start + BATCH])
                backends.answer_loss(trainable, {n: v.to(device()) for n, v in batch.items()})
        devices = Devices(device=device())
        taken = train(self.base, trainable, self.processor, made, collate, out, devices=devices)
        peak, table = reserved_gb(), None
        if profiled:
            from finetune.adapter.trainer import make_optimizer

            weights = list(trainable.weights.values())
            optimizer = make_optimizer(weights, config)
            batch = {name: value.to(device()) for name, value in collate(made[:BATCH]).items()}

            def step() -> None:
                backends.answer_loss(trainable, batch).backward()  # type: ignore[no-untyped-call]
                finish(optimizer, weights)

            table = profile_steps(step, device())
        return taken, loading, peak, table

    def _plain(
        self, setup: str, config: Any, made: list[Any], profiled: bool
    ) -> tuple[list[Step], float, float, Profile | None]:
        """transformers, peft and bitsandbytes; of this project only the order of the examples and
        the learning rates, so that losses can be compared."""
        from peft import LoraConfig, get_peft_model

        from finetune.adapter.batches import plan_run
        from finetune.training.schedules import Position, linear

        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads would not survive the fork
        gpu = torch.cuda.is_available()
        parts = setup.split("-")
        loaded = self._model()
        loaded.config.use_cache = False
        if "nockpt" not in parts:
            checkpointing = {"use_reentrant": False}
            loaded.gradient_checkpointing_enable(gradient_checkpointing_kwargs=checkpointing)
        torch.manual_seed(config.seed)
        model: Any = get_peft_model(
            loaded,
            LoraConfig(r=16, lora_alpha=16, lora_dropout=0.0, target_modules=ADAPTED[self.adapted]),
            autocast_adapter_dtype="bf16" not in parts,
        )
        model.train()
        loading = settle()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        if gpu:
            from bitsandbytes import optim

            adamw: Any = optim
            optimizer = adamw.AdamW8bit(weights, lr=config.lr, weight_decay=config.weight_decay)
        else:
            optimizer = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay)
        side = int(self.processor.image_processor.size["height"])
        plan = plan_run(made, config)
        collate = PlainCollator(self.processor, self.given, side)
        batches: Any = torch.utils.data.DataLoader(
            [made[number] for step in plan for passed in step for number in passed],  # type: ignore[arg-type]
            batch_size=BATCH,
            collate_fn=collate,
            num_workers=self.workers,
            pin_memory=gpu,
            timeout=WORKER_TIMEOUT if self.workers else 0,
        )
        schedule = linear(config.warmup)

        def pace(step: int) -> None:
            at = Position(step=step, total=len(plan), progress=step / len(plan))
            for group in optimizer.param_groups:
                group["lr"] = schedule(config.lr, at)

        mixed = gpu and "bf16" not in parts
        taken = list(run_plain(model, optimizer, weights, batches, pace, mixed=mixed))
        peak, table = reserved_gb(), None
        if profiled:
            batch = {name: value.to(device()) for name, value in collate(made[:BATCH]).items()}

            def step() -> None:
                plain_loss(model, dict(batch), mixed=mixed).backward()
                finish(optimizer, weights)

            table = profile_steps(step, device())
        return taken, loading, peak, table

    def _model(self) -> Any:
        """The base without an adapter."""
        from transformers import MllamaForConditionalGeneration

        if self._loaded is None:
            gpu = torch.cuda.is_available()
            self._loaded = MllamaForConditionalGeneration.from_pretrained(
                self.base,
                attn_implementation="sdpa",
                dtype=torch.bfloat16 if gpu else torch.float32,
                device_map={"": device()},
            )
        return self._loaded

    def _unload(self) -> None:
        """Take the adapter off the base."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        if self._loaded is None:
            return
        for name, module in list(self._loaded.named_modules()):
            if isinstance(module, BaseTunerLayer):
                self._loaded.set_submodule(name, module.get_base_layer())
        self._loaded.gradient_checkpointing_disable()
        self._loaded.disable_input_require_grads()  # checkpointing leaves them behind
        if hasattr(self._loaded, "peft_config"):
            del self._loaded.peft_config
        for weight in self._loaded.parameters():
            weight.grad = None
        settle()


def settle() -> float:
    """Forget what loading took; its peak in GB."""
    peak = reserved_gb()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return peak


def reserved_gb() -> float:
    """The most that was reserved on the GPU; on a CPU the most that the process took."""
    from finetune.training.log import memory_gb

    return memory_gb(device())
