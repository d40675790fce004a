"""A base model with LoRA on it, ready to train, from either of two backends.

    start_backend(config)                       # before anything imports transformers
    trainable = load_trainable(base, config, device)
    loss = answer_loss(trainable, batch)        # mean over the tokens of the answers

``unsloth`` has fused kernels and needs an NVIDIA GPU; ``peft`` runs anywhere. Both give adapters of
one format: peft's. This is the only module that imports unsloth, which raises where no GPU is.
"""

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from db.errors import UserError
from finetune.adapter.config import TrainConfig
from finetune.fused.step import FusedStep, unfit
from generator.mllama.vision.attention import attend_without_mask

IGNORED = -100
"""The label of a token that the loss does not count."""

_ATTENTION = r"(self_attn|cross_attn)\.(q|k|v|o)_proj"
_MLP = r"mlp\.(gate_proj|up_proj|down_proj|fc1|fc2)"


@dataclass(frozen=True, kw_only=True)
class Trainable:
    """A model whose only trainable weights are those of its adapter."""

    model: nn.Module
    """A ``peft.PeftModel`` over ``MllamaForConditionalGeneration``."""
    config: TrainConfig
    device: torch.device
    fused: FusedStep | None = None
    """Computes the loss in place of the model's own forward pass."""

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The adapter's weights by name, always in the same order."""
        named = self.model.named_parameters()
        return {name: weight for name, weight in named if weight.requires_grad}

    def autocast(self) -> torch.autocast:
        precision = self.config.precision
        return torch.autocast(
            self.device.type,
            torch.float16 if precision == "float16" else torch.bfloat16,
            enabled=precision != "float32",
        )


def has_unsloth() -> bool:
    return importlib.util.find_spec("unsloth") is not None


def start_backend(config: TrainConfig) -> None:
    """Let unsloth patch what it patches; it wants to be imported before transformers."""
    if config.backend == "unsloth":
        _unsloth()


def check_bits(base: str, base_config: Any, config: TrainConfig) -> None:
    """Raises UserError where a stored checkpoint cannot be had in the bits that are asked for."""
    from generator.mllama.checkpoint import stored_bits

    stored = stored_bits(base_config)
    if stored is None:
        return
    if config.bits not in (str(stored), "none"):
        raise UserError(f"{base} is stored with {stored} bits: use --bits {stored} or none")
    if config.bits == "none" and config.backend == "unsloth":
        raise UserError(f"unsloth cannot dequantize {base}: use --bits {stored} or --backend peft")


def load_trainable(base: str, config: TrainConfig, device: torch.device) -> Trainable:
    """Load a base model and put a fresh adapter on it, drawn with the config's seed.

    ``config`` is a resolved one.
    """
    from indexer.cli.progress import quiet_loading

    load = _load_with_unsloth if config.backend == "unsloth" else _load_with_peft
    with quiet_loading(bars=sys.stderr.isatty()):
        model = load(base, config, device)
    trainable = Trainable(model=model, config=config, device=device)
    attend_without_mask(trainable.model)
    for module in trainable.model.modules():
        if type(module).__name__ == "Linear4bit":  # a stored checkpoint brings its own
            module.compute_dtype = getattr(torch, config.precision)
    for weight in trainable.weights.values():
        weight.data = weight.data.float()
    if config.fused:
        return replace(trainable, fused=_fused(trainable))
    return trainable


def _fused(trainable: Trainable) -> FusedStep:
    config = trainable.config
    base: Any = trainable.model.get_base_model()  # type: ignore[operator]
    reason = unfit(base)
    if reason is not None:
        raise UserError(f"the fused step cannot train this model: {reason}; use fused=false")
    return FusedStep(
        base,
        tiles=config.tile_use,
        vision=config.vision,
        dtype=getattr(torch, config.precision),
        compiled=config.compiled and trainable.device.type == "cuda",
        checkpointing=config.checkpointing,
        memory=config.memory_gb * 2**30 or None,
        graphs=config.graphs and trainable.device.type == "cuda",
        autocast=trainable.autocast,
    )


def load_processor(base: str) -> Any:
    """The base model's own chat template, tokenizer and image preparation. Raises UserError."""
    from transformers import AutoProcessor

    from generator.mllama.checkpoint import find_folder

    processors: Any = AutoProcessor
    try:
        processor = processors.from_pretrained(find_folder(base))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{base} has no processor ({error}): copy it from the model it comes from"
        ) from error
    if not getattr(processor, "chat_template", None):
        raise UserError(f"{base} has no chat template: use an instruction-tuned model")
    return processor


def target_modules(config: TrainConfig) -> str:
    """The linear layers to adapt, as a regular expression over module names."""
    open_clip_encoders = [name for name in ("vision", "language") if getattr(config, name)]
    kinds = [
        pattern
        for pattern, wanted in ((_ATTENTION, config.attention), (_MLP, config.mlp))
        if wanted
    ]
    return rf"(.*\.)?({'|'.join(open_clip_encoders)})_model\..*\.({'|'.join(kinds)})"


def load_base(base: str, config: TrainConfig, device: torch.device) -> nn.Module:
    """``MllamaForConditionalGeneration`` in the bits and the precision of a resolved config."""
    from transformers import BitsAndBytesConfig, MllamaForConditionalGeneration

    from generator.mllama.checkpoint import (
        UNQUANTIZED_MODULES,
        find_folder,
        read_config,
        stored_bits,
    )
    from generator.mllama.quantization import dequantize

    dtype: torch.dtype = getattr(torch, config.precision)
    folder = find_folder(base)
    stored = stored_bits(read_config(folder))
    quantize: Any = BitsAndBytesConfig
    settings: dict[str, Any] = {}
    if stored is None and config.bits == "4":
        settings["quantization_config"] = quantize(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    elif stored is None and config.bits == "8":
        settings["quantization_config"] = quantize(
            load_in_8bit=True, llm_int8_skip_modules=list(UNQUANTIZED_MODULES)
        )
    model: Any = MllamaForConditionalGeneration.from_pretrained(
        folder,
        dtype=dtype,
        attn_implementation="sdpa",
        device_map={"": device.index or 0} if device.type == "cuda" else None,
        **settings,
    )
    if stored is not None and config.bits == "none":
        model = dequantize(model, dtype)
    if config.bits == "none":
        model = model.to(device=device, dtype=dtype)
    return model  # type: ignore[no-any-return]


def _load_with_peft(base: str, config: TrainConfig, device: torch.device) -> nn.Module:
    from peft import LoraConfig, get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    model: Any = load_base(base, config, device)
    model.config.use_cache = False
    model.requires_grad_(False)
    if config.checkpointing:
        # transformers renamed it after 5.17
        name = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
        enable = getattr(model, f"{name}_checkpointing_enable")
        enable(**{f"{name}_checkpointing_kwargs": {"use_reentrant": False}})
        model.disable_input_require_grads()
    torch.manual_seed(config.seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        wrapped: Any = get_peft_model(
            model,
            LoraConfig(
                r=config.rank,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                bias="none",
                target_modules=target_modules(config),
                task_type="CAUSAL_LM",
                use_rslora=config.rslora,
                use_dora=config.dora,
            ),
        )
    # Both make the outputs of embeddings require gradients, so that a frozen vision encoder would
    # have a backward pass; only reentrant checkpointing wants that.
    model.disable_input_require_grads()
    if config.precision != "float32":
        # Autocast already casts what goes into LoRA; peft would cast it to float32 and back.
        for module in wrapped.modules():
            if isinstance(module, BaseTunerLayer):
                module.cast_input_dtype_enabled = False  # type: ignore[attr-defined]
    wrapped.train()
    return wrapped  # type: ignore[no-any-return]


def _load_with_unsloth(base: str, config: TrainConfig, device: torch.device) -> nn.Module:
    fast = _unsloth().FastVisionModel
    model, _ = fast.from_pretrained(
        base,
        max_seq_length=config.max_tokens,
        dtype=getattr(torch, config.precision),
        load_in_4bit=config.bits == "4",
        device_map={"": device.index or 0},
        use_gradient_checkpointing="unsloth" if config.checkpointing else False,
    )
    model = fast.get_peft_model(
        model,
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        bias=config.bias,
        target_modules=target_modules(config),
        random_state=config.seed,
        use_rslora=config.rslora,
        use_gradient_checkpointing="unsloth" if config.checkpointing else False,
    )
    fast.for_training(model)
    return model  # type: ignore[no-any-return]


def _unsloth() -> Any:
    try:
        import unsloth
    except (ImportError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"unsloth does not start here ({error}): use --backend peft, or install the extra "
            "'unsloth' with constraints-unsloth.txt on a machine with an NVIDIA GPU"
        ) from error
    return unsloth


def answer_loss(trainable: Trainable, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy over the tokens that are labelled.

    With peft the output layer sees those tokens alone; unsloth fuses the two by itself. Padding
    stands on the right, where a causal model needs no mask for it, and sdpa is faster without.
    """
    if trainable.fused is not None:
        return trainable.fused.loss(batch)
    with trainable.autocast():
        if trainable.config.backend == "unsloth":
            return trainable.model(**batch).loss  # type: ignore[no-any-return]
        inputs = {n: v for n, v in batch.items() if n not in ("labels", "attention_mask")}
        base: Any = trainable.model.get_base_model()  # type: ignore[operator]
        hidden = base.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
        labels = batch["labels"][:, 1:]
        counted = labels != IGNORED
        logits = base.lm_head(hidden[counted])
    return functional.cross_entropy(logits.float(), labels[counted])


@contextmanager
def answering(trainable: Trainable) -> Iterator[Any]:
    """The model with ``generate`` in working order, and back to training after."""
    model: Any = trainable.model
    if trainable.config.backend == "unsloth":
        fast = _unsloth().FastVisionModel
        fast.for_inference(model)
    else:
        model.eval()
    try:
        with torch.no_grad(), trainable.autocast():
            yield model
    finally:
        if trainable.config.backend == "unsloth":
            fast.for_training(model)
        else:
            model.train()
