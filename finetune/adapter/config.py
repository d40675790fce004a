"""Settings of adapter training. The defaults fit Llama 3.2 Vision 11B on one consumer GPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, cast, get_args

from db.errors import UserError
from finetune.training.settings import check_finite, read_settings
from generator.mllama.adapter_record import TileUse

BACKENDS = ("auto", "unsloth", "peft")
BITS = ("auto", "4", "8", "none")
PRECISIONS = ("auto", "bfloat16", "float16", "float32")
OPTIMIZERS = ("auto", "adamw", "adamw8bit")

PROFILES = {
    "default": (),
    "t4": ("bits=4", "precision=float16", "batch=1", "accumulation=8", "max_tokens=1024"),
}
"""Settings for a kind of GPU; ``t4`` has 16 GB and no bfloat16."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every setting that affects the result: runs with equal configs are equal."""

    seed: int = 42
    backend: str = "auto"
    """``auto``: unsloth where it is installed and a GPU is there, otherwise peft."""
    bits: str = "auto"
    """Of the frozen base weights; ``auto``: 4 on a GPU, none on a CPU. ``none`` with a checkpoint
    that is stored quantized trains on its values, dequantized."""
    precision: str = "auto"
    """Of the computation; the adapter itself is float32. ``auto``: bfloat16 on a GPU that has it,
    otherwise float16, and float32 on a CPU."""
    checkpointing: bool = True
    """Recompute activations in the backward pass: less memory, more time."""
    fused: bool | None = None
    """Train through `finetune.fused`, with peft: the same function, both passes of each layer
    written out, in less time and memory on a GPU. Without dropout, dora and 8 bits. ``auto``: where
    all that holds, the GPU has bfloat16 and ``vision`` is off, or ``tiles`` or ``graphs`` need
    it."""
    tiles: str = "all"
    """``real``: compute only the tiles that an image fills, and show none of it to tokens before
    it; the adapter is then served so too. ``all``: as transformers. ``real`` needs ``fused``."""
    memory_gb: float = 0.0
    """Of a GPU, how much a fused step may fill with activations instead of recomputing them; 0: all
    that is free."""
    compiled: bool = True
    """Compile the kernels of a fused step on a GPU, in the first steps."""
    graphs: bool = False
    """Replay fused steps of the same shape as a CUDA graph, where the vision encoder is frozen: the
    GPU does not wait for Python. For batches of similar lengths: it pads to multiples of 64."""
    rank: int = 16
    alpha: int = 16
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead of alpha / rank, which suits high ranks (Kalajdzievski,
    "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023)."""
    dora: bool = False
    """Train the magnitude of each weight's columns apart from their direction (Liu et al., "DoRA",
    ICML 2024); a step takes longer."""
    dropout: float = 0.0
    bias: str = "none"
    vision: bool = True
    """Adapt the vision encoder."""
    language: bool = True
    attention: bool = True
    mlp: bool = True
    epochs: int = 3
    max_steps: int = 0
    """If above 0, end after so many optimizer steps instead of ``epochs``."""
    batch: int = 2
    """Examples per forward pass."""
    batch_tokens: int = 0
    """If above 0, fill a batch with examples of similar length up to so many tokens, padding
    included, instead of ``batch``."""
    accumulation: int = 4
    """Forward passes per optimizer step, over all devices."""
    lr: float = 2e-4
    warmup: float = 0.03
    """Share of all steps in which the learning rate rises; then it falls linearly to 0."""
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    optimizer: str = "auto"
    """``auto``: AdamW with 8-bit state on a GPU, AdamW on a CPU."""
    max_tokens: int = 2048
    """Longer examples are left out, and counted."""
    eval_every: int = 0
    """Steps between validations; 0 validates ten times per run."""
    eval_examples: int = 200
    """The most examples of a validation."""
    sample_tokens: int = 160
    """Tokens of the sample answer that a validation logs; 0 for none."""
    save_every: int = 50
    """Steps between checkpoints, in addition to those at each validation."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name, options in (
            ("backend", BACKENDS),
            ("bits", BITS),
            ("precision", PRECISIONS),
            ("optimizer", OPTIMIZERS),
            ("tiles", get_args(TileUse)),
        ):
            if getattr(self, name) not in options:
                raise UserError(
                    f"{name} cannot be '{getattr(self, name)}': use {', '.join(options)}"
                )
        if self.bias != "none":
            raise UserError(f"bias cannot be '{self.bias}': LoRA here trains no bias, use none")
        for name in ("rank", "alpha", "epochs", "batch", "accumulation", "save_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} cannot be {getattr(self, name)}: use 1 or more")
        for name in (
            "max_steps batch_tokens eval_every eval_examples sample_tokens weight_decay memory_gb"
        ).split():
            if getattr(self, name) < 0:
                raise UserError(f"{name} cannot be {getattr(self, name)}: use 0 or more")
        if not 0 <= self.dropout < 1 or not 0 <= self.warmup <= 1:
            raise UserError(
                f"dropout {self.dropout} and warmup {self.warmup} are shares: use 0 to 1"
            )
        if not 0 < self.lr < 1 or self.max_grad_norm <= 0:
            raise UserError(
                f"lr {self.lr} or max_grad_norm {self.max_grad_norm} cannot work: "
                "use an lr above 0 and below 1, and a norm above 0"
            )
        if self.max_tokens < 16:
            raise UserError(f"max_tokens cannot be {self.max_tokens}: use 16 or more")
        if 0 < self.batch_tokens < self.max_tokens:
            raise UserError(
                f"a batch of {self.batch_tokens} tokens cannot hold an example of "
                f"{self.max_tokens}: raise batch_tokens or lower max_tokens"
            )
        if not (self.vision or self.language) or not (self.attention or self.mlp):
            raise UserError(
                "nothing is left to train: switch on vision or language, and attention or mlp"
            )
        if self.backend == "unsloth" and self.bits == "8":
            raise UserError("the unsloth backend takes 4 bits or none: use --backend peft for 8")
        if self.backend == "unsloth" and self.dora:
            raise UserError("the unsloth backend trains no DoRA: use --backend peft, or dora=false")

        reason, needing = self._unfused(), self._needing_fused()
        if self.fused and reason is not None:
            raise UserError(f"the fused step does not work with {reason}: use fused=false")
        if needing and self.fused is False:
            raise UserError(f"{needing} needs the fused step: leave out fused=false")
        if needing and reason is not None:
            raise UserError(f"{needing} needs the fused step, which does not work with {reason}")

    def _needing_fused(self) -> str | None:
        """A setting that works in the fused step alone."""
        if self.tiles == "real":
            return "tiles=real"
        return "graphs=true" if self.graphs else None

    @property
    def tile_use(self) -> TileUse:
        return cast(TileUse, self.tiles)

    def _unfused(self) -> str | None:
        """What among the settings the fused step cannot do."""
        for reason, there in (
            ("unsloth", self.backend == "unsloth"),
            ("dropout", self.dropout > 0),
            ("dora", self.dora),
            ("8 bits", self.bits == "8"),
        ):
            if there:
                return reason
        return None

    @classmethod
    def of(cls, settings: Sequence[str], profile: str = "default") -> Self:
        """A profile, with ``name=value`` texts over it. Raises UserError."""
        if profile not in PROFILES:
            raise UserError(f"no profile is called '{profile}': use {', '.join(PROFILES)}")
        return read_settings(cls, [*PROFILES[profile], *settings])

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> Self:
        """Those settings of an adapter's record that this class has."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def resolved(self, *, gpu: bool, bfloat16: bool, unsloth: bool) -> Self:
        """With every ``auto`` decided for a machine, which is what an adapter records.

        Raises UserError where the machine cannot do what is asked.
        """
        backend = self.backend
        if backend == "auto":
            fits = gpu and unsloth and self.bits != "8" and not self.dora
            fits = fits and not self.fused and not self._needing_fused()
            backend = "unsloth" if fits else "peft"
        if backend == "unsloth" and not gpu:
            raise UserError(
                "the unsloth backend needs an NVIDIA GPU and none is here: use --backend peft"
            )
        if backend == "unsloth" and not unsloth:
            raise UserError(
                "unsloth is not installed: use --backend peft, or install the extra 'unsloth' "
                "into an environment of its own with constraints-unsloth.txt"
            )
        bits = self.bits if self.bits != "auto" else ("4" if gpu else "none")
        if bits == "4" and not gpu:
            raise UserError("4 bits need a GPU: use --bits none on a CPU")
        precision = self.precision
        if precision == "auto":
            precision = ("bfloat16" if bfloat16 else "float16") if gpu else "float32"
        if gpu and precision == "bfloat16" and not bfloat16:
            raise UserError("this GPU has no bfloat16: use --profile t4 or precision=float16")
        if not gpu and precision == "float16":
            raise UserError("float16 needs a GPU: use precision=float32 or --device cuda")
        fused = self.fused
        if fused is None:
            fits = gpu and backend == "peft" and not self.vision and precision == "bfloat16"
            fused = self._needing_fused() is not None or (fits and self._unfused() is None)
        optimizer = self.optimizer
        if optimizer == "auto":
            optimizer = "adamw8bit" if gpu else "adamw"
        if optimizer == "adamw8bit" and not gpu:
            raise UserError("8-bit AdamW needs a GPU: use optimizer=adamw")
        return replace(
            self,
            backend=backend,
            bits=bits,
            precision=precision,
            fused=fused,
            optimizer=optimizer,
        )
