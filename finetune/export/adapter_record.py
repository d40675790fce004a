"""What an adapter was trained on, and from what: ``adapter_record.json`` beside its weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from db.errors import NotFoundError, UserError

RECORD = "adapter_record.json"

_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "unsloth", "trl")


@dataclass(frozen=True, kw_only=True)
class AdapterRecord:
    """Without what is written here an adapter cannot be told from another's."""

    base_model: str
    base_sha256: str
    prompt_version: str
    index_fingerprint: str | None
    """Of the index whose cases stand in the prompts; None for data without an index."""
    encoder_sha256: str | None
    data_sha256: str
    config: Mapping[str, Any]
    packages: Mapping[str, str]
    step: int = 0
    """Optimizer steps that the weights have seen."""
    val_loss: float | None = None

    def save(self, directory: Path) -> None:
        path = directory / RECORD
        waiting = path.with_name(path.name + ".tmp")
        waiting.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        waiting.replace(path)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises NotFoundError without the file and UserError for one that cannot be read."""
        path = directory / RECORD
        if not path.is_file():
            raise NotFoundError(f"{directory} has no {RECORD}: name an adapter of finetune train")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{field.name: stored[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} cannot be read: train the adapter again") from error


def package_versions() -> dict[str, str]:
    """Of what training rests on, as far as it is installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
