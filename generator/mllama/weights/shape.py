"""The shape of a Llama 3.2 Vision model, from its ``config.json``.

shape = MllamaShape.read(folder)
shape.text_config.num_hidden_layers, shape.vision_config.image_size

Fields have the names and the default values of transformers' ``MllamaConfig``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from db.errors import UserError
from db.files import read_json

_RATIOS = ((1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1), (4, 1))


@dataclass(frozen=True, kw_only=True)
class VisionShape:
    """Of the vision encoder."""

    hidden_size: int = 1280
    hidden_act: str = "gelu"
    num_hidden_layers: int = 32
    num_global_layers: int = 8
    attention_heads: int = 16
    num_channels: int = 3
    intermediate_size: int = 5120
    vision_output_dim: int = 7680
    image_size: int = 448
    patch_size: int = 14
    norm_eps: float = 1e-5
    max_num_tiles: int = 4
    intermediate_layers_indices: tuple[int, ...] = (3, 7, 15, 23, 30)
    supported_aspect_ratios: tuple[tuple[int, int], ...] = _RATIOS

    @property
    def patches(self) -> int:
        """Of a tile, its class token included."""
        return int((self.image_size // self.patch_size) ** 2 + 1)


@dataclass(frozen=True, kw_only=True)
class TextShape:
    """Of the text model."""

    vocab_size: int = 128256
    hidden_size: int = 4096
    hidden_act: str = "silu"
    num_hidden_layers: int = 40
    num_attention_heads: int = 32
    num_key_value_heads: int = 8
    intermediate_size: int = 14336
    rope_parameters: Mapping[str, Any] = field(default_factory=dict)
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 131072
    tie_word_embeddings: bool = False
    cross_attention_layers: tuple[int, ...] = (3, 8, 13, 18, 23, 28, 33, 38)


@dataclass(frozen=True, kw_only=True)
class MllamaShape:
    """Of the whole model."""

    vision_config: VisionShape
    text_config: TextShape
    image_token_index: int = 128256

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises UserError for a config that describes no model."""
        path = folder / "config.json"
        stored = read_json(path)
        try:
            text = dict(stored.get("text_config") or {})
            if not text.get("rope_parameters"):  # as older versions of transformers wrote it
                scaling = text.get("rope_scaling") or {}
                theta = text.get("rope_theta", 500000.0)
                text["rope_parameters"] = {"rope_type": "default", "rope_theta": theta, **scaling}
            return cls(
                vision_config=_filled(VisionShape, stored.get("vision_config") or {}),
                text_config=_filled(TextShape, text),
                image_token_index=int(stored.get("image_token_index", 128256)),
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path} describes no model that can be built ({error}): fetch or make the folder "
                "again"
            ) from error


def _filled(kind: type[Any], stored: Mapping[str, Any]) -> Any:
    """``kind`` with the values that are stored. Raises TypeError for one of another type."""
    values: dict[str, Any] = {}
    for one in fields(kind):
        value = stored.get(one.name)
        if value is None:
            continue
        wanted: Any = (int, float) if one.type is float else one.type
        simple = one.type in (int, float, str, bool)
        mistaken = isinstance(value, bool) and one.type is not bool
        if simple and (mistaken or not isinstance(value, wanted)):
            raise TypeError(f"{one.name} is {value!r}")
        if isinstance(value, list):
            value = tuple(tuple(part) if isinstance(part, list) else part for part in value)
        values[one.name] = value
    return kind(**values)
