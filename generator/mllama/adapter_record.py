"""What an adapter was trained on, and from what: ``adapter_record.json`` beside its weights.

record = AdapterRecord.read(folder)              # None for an adapter made elsewhere
record.check(base="pretrained/generator", base_sha256=base_sha256(folder))
notes = check_served(model, index.manifest)      # raises MismatchError with the cure
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from db.errors import MismatchError, NotFoundError, UserError
from db.files import read_json, write_json
from generator.prompts import PROMPT_VERSION
from indexer.manifest import Manifest
from retriever.options import Strategy

RECORD = "adapter_record.json"

TileUse = Literal["all", "real"]
"""``all``: as transformers runs the model: padding tiles of an image are computed too, and tokens
before the image attend to all of them. ``real``: only tiles that hold a part of the image
are computed and attended to, and tokens before the image attend to none."""


@dataclass(frozen=True, kw_only=True)
class AdapterRecord:
    """Written by training; serving checks that model, prompts and index fit the adapter."""

    base_model: str
    base_sha256: str
    prompt_version: str = ""
    index_fingerprint: str | None = None
    """Of the index whose cases are in the prompts; None for data without an index."""
    encoder_sha256: str | None = None
    strategy: Strategy = "similar"
    """How the cases in the prompts were chosen."""
    data_sha256: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    tiles: TileUse = "all"
    """Which tiles of an image the weights were trained to read."""
    step: int = 0
    """Optimizer steps that the weights were trained for."""
    val_loss: float | None = None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None where there is no record. Raises UserError for one that cannot be read."""
        path = folder / RECORD
        if not path.exists():
            return None
        stored = read_json(path)
        values = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        if not all(isinstance(values.get(n), str) for n in ("base_model", "base_sha256")):
            raise UserError(f"{path} does not name the base model: train the adapter again")
        if values.get("tiles", "all") not in get_args(TileUse):
            raise UserError(
                f"{path} has tiles {values['tiles']!r}, which is none of "
                f"{', '.join(get_args(TileUse))}: train the adapter again"
            )
        return cls(**values)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """As `read`, but raises NotFoundError where there is no record."""
        record = cls.read(folder)
        if record is None:
            raise NotFoundError(f"{folder} has no {RECORD}: name an adapter of finetune train")
        return record

    def save(self, folder: Path) -> None:
        write_json(folder / RECORD, asdict(self))

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

    def check_index(self, *, encoder_sha256: str) -> None:
        """Raise MismatchError for an index of another encoder, whose label scores differ.

        Another index of the same encoder works as well: prior cases are read as text.
        """
        if self.encoder_sha256 not in (None, encoder_sha256):
            raise MismatchError(
                "the adapter was trained on the label scores of another encoder: build the index "
                "with that encoder, or train an adapter on this index"
            )


def check_served(model: object, manifest: Manifest) -> list[str]:
    """Return notes for people on a model whose adapter, if any, can be used with an index.

    Raises MismatchError where the adapter cannot be used with the index.
    """
    record: AdapterRecord | None = getattr(model, "record", None)
    if record is not None:
        record.check_index(encoder_sha256=manifest.encoder.weights_sha256)
    return list(getattr(model, "notes", ()))
