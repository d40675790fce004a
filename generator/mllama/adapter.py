"""An adapter on a base model: whether it fits, and putting it there.

record = AdapterRecord.read(folder)              # None: made elsewhere, nothing is known of it
record.check(base_sha256=..., base=...)          # raises MismatchError with the cure
model, merged = attach(model, folder, merge=True)
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from transformers import MllamaForConditionalGeneration

from db.errors import MismatchError, NotFoundError, UserError
from generator.mllama.checkpoint import read_json
from generator.prompts import PROMPT_VERSION
from indexer.manifest import Manifest

RECORD = "adapter_record.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class AdapterRecord:
    """What ``finetune train`` notes beside an adapter, as far as serving needs it."""

    base_model: str
    base_sha256: str
    prompt_version: str
    index_fingerprint: str | None
    encoder_sha256: str | None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None where there is no record; raises UserError for one that cannot be read."""
        path = folder / RECORD
        if not path.exists():
            return None
        stored = read_json(path)
        values = {name: stored.get(name) for name in cls.__annotations__}
        if not all(isinstance(values[n], str) for n in ("base_model", "base_sha256")):
            raise UserError(f"{path} does not name the base model: train the adapter again")
        return cls(**values)  # type: ignore[arg-type]

    def check(self, *, base: str, base_sha256: str) -> None:
        """Raises MismatchError where the adapter was trained for other prompts or weights."""
        if self.prompt_version != PROMPT_VERSION:
            raise MismatchError(
                f"the adapter was trained on prompts of version {self.prompt_version!r} and this "
                f"program writes {PROMPT_VERSION!r}: train it again"
            )
        if self.base_sha256 != base_sha256:
            raise MismatchError(
                f"the adapter was trained on {self.base_model} and does not fit the weights of "
                f"{base}: name that base model, or train an adapter on this one"
            )

    def check_index(self, *, index_fingerprint: str, encoder_sha256: str) -> str | None:
        """What to know about using the adapter with an index; None where it was trained on it.

        Another index of the same encoder is as good: prior cases are read as text. Raises
        MismatchError for one of another encoder, whose label scores the adapter never saw.
        """
        if self.encoder_sha256 not in (None, encoder_sha256):
            raise MismatchError(
                "the adapter was trained on the label scores of another encoder: build the index "
                "with that encoder, or train an adapter on this index"
            )
        if self.index_fingerprint in (None, index_fingerprint):
            return None
        return "the adapter was trained on another index of the same encoder, which is as good"


def check_served(model: object, manifest: Manifest) -> list[str]:
    """What to know of a model, and of its adapter beside this index.

    Raises MismatchError where the adapter cannot be used with the index.
    """
    notes = list(getattr(model, "notes", ()))
    record: AdapterRecord | None = getattr(model, "record", None)
    if record is not None:
        note = record.check_index(
            index_fingerprint=manifest.fingerprint,
            encoder_sha256=manifest.encoder.weights_sha256,
        )
        notes += [note] if note else []
    return notes


def attach(
    model: MllamaForConditionalGeneration, folder: Path, *, merge: bool
) -> MllamaForConditionalGeneration:
    """``model`` with the adapter's weights added to its own (``merge``) or beside them.

    Weights that are quantized cannot be added to without loss: they keep the adapter beside them.
    Raises UserError for files that cannot be read, MismatchError where a weight has no place.
    """
    from peft import PeftModel, get_peft_model_state_dict

    for name in ("adapter_config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise NotFoundError(f"{folder} holds no {name}, so it is no adapter: check the name")
    read_json(folder / "adapter_config.json")
    misfit = (
        f"the adapter {folder} does not fit the layers of the base model: name the model it was "
        "trained on"
    )
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as stored:
            names = set(stored.keys())
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read: make the adapter again") from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            wrapped: Any = PeftModel.from_pretrained(model, str(folder), low_cpu_mem_usage=True)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise MismatchError(misfit) from error
    missing = any("missing adapter keys" in str(warning.message) for warning in caught)
    # without embeddings, or peft asks a hub for the base model that the adapter names
    held = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    if missing or len(held) != len(names):
        raise MismatchError(misfit)
    try:
        base: MllamaForConditionalGeneration = (
            wrapped.merge_and_unload(safe_merge=True) if merge else wrapped.get_base_model()
        )
    except ValueError as error:  # not a number
        raise UserError(f"the adapter {folder} holds broken weights: train it again") from error
    return base
