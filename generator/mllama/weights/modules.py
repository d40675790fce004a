"""The layers of Llama 3.2 Vision as containers of weights, by the names of transformers.

model = build_modules(shape)            # on the device "meta": no memory, no values

`generator.mllama.decoding.decoder.Decoder` and `generator.mllama.vision.tower.VisionTower` compute
with them; nothing here but norms and rotary embeddings has a forward pass of its own. All of it is
bit-equal with transformers' own modules, which a test compares.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from generator.mllama.weights.shape import MllamaShape, TextShape, VisionShape

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU}
ROTATIONS = ("default", "llama3")
"""Kinds of rotary embeddings that `Rotary` knows."""
META = "meta"
"""Given layer by layer: as a context it would load torch's compiler, which takes seconds."""


def is_known(shape: MllamaShape) -> bool:
    """Whether these modules compute a model of that shape as transformers does."""
    vision, text = shape.vision_config, shape.text_config
    return (
        vision.hidden_act in ACTIVATIONS
        and text.hidden_act in ACTIVATIONS
        and text.rope_parameters.get("rope_type", "default") in ROTATIONS
        and not text.tie_word_embeddings
        and vision.patches % 8 != 0  # transformers attends otherwise where no patch is padding
    )


def build_modules(shape: MllamaShape) -> nn.Module:
    """A tree of modules with every weight of the model, without values.

    For a shape that is not `is_known` it is right in names and sizes alone.
    """
    text, vision = shape.text_config, shape.vision_config
    return _Part(
        model=_Part(
            vision_model=_vision(vision),
            language_model=_text(text),
            multi_modal_projector=_linear(vision.vision_output_dim, text.hidden_size, bias=True),
        ),
        lm_head=_linear(text.hidden_size, text.vocab_size),
        config=shape,
    )


class _Part(nn.Module):
    """Modules, parameters and plain values by name."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class RmsNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = _weight(size)
        self._eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        wide = hidden.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self._eps)
        scaled: Tensor = self.weight * wide.to(hidden.dtype)
        return scaled


class Rotary(nn.Module):
    """Cosines and sines of rotary position embeddings, (rows, tokens, head size)."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self._inverse = _inverse_frequencies(shape)

    def forward(self, hidden: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """``hidden`` gives type and device; ``positions`` (rows, tokens)"""
        self._inverse = self._inverse.to(hidden.device)
        inverse = self._inverse[None, :, None].expand(len(positions), -1, 1)
        angles = (inverse @ positions[:, None, :].float()).transpose(1, 2)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(hidden.dtype), angles.sin().to(hidden.dtype)


def _inverse_frequencies(shape: TextShape) -> Tensor:
    """(head size / 2,), on the CPU"""
    rope, size = shape.rope_parameters, shape.hidden_size // shape.num_attention_heads
    places = torch.arange(0, size, 2, dtype=torch.int64).float()
    inverse = 1.0 / (float(rope.get("rope_theta", 500000.0)) ** (places / size))
    return _stretched(inverse, rope) if rope.get("rope_type") == "llama3" else inverse


def _stretched(inverse: Tensor, rope: Mapping[str, Any]) -> Tensor:
    """As Llama 3 stretches long wavelengths."""
    factor, low, high = (
        float(rope[name]) for name in ("factor", "low_freq_factor", "high_freq_factor")
    )
    context = float(rope["original_max_position_embeddings"])
    waves = 2 * math.pi / inverse
    longer = torch.where(waves > context / low, inverse / factor, inverse)
    smooth = (context / waves - low) / (high - low)
    smoothed = (1 - smooth) * longer / factor + smooth * longer
    medium = ~(waves < context / high) * ~(waves > context / low)
    return torch.where(medium, smoothed, longer)


def _vision(shape: VisionShape) -> nn.Module:
    width, tiles = shape.hidden_size, shape.max_num_tiles
    ratios = len(shape.supported_aspect_ratios) + 1

    def layer(*, gated: bool) -> nn.Module:
        inner = shape.intermediate_size
        parts: dict[str, Any] = {
            "self_attn": _attention(width, width, width, width),
            "mlp": _Part(
                fc1=_linear(width, inner, bias=True),
                fc2=_linear(inner, width, bias=True),
                activation_fn=ACTIVATIONS.get(shape.hidden_act, nn.Identity)(),
            ),
            "input_layernorm": nn.LayerNorm(width, eps=shape.norm_eps, device=META),
            "post_attention_layernorm": nn.LayerNorm(width, eps=shape.norm_eps, device=META),
        }
        return _Part(
            **parts, **({"gate_attn": _weight(1), "gate_ffn": _weight(1)} if gated else {})
        )

    def tile_embedding() -> nn.Module:
        return _Part(embedding=_embedding(ratios, tiles * width), gate=_weight(1))

    return _Part(
        patch_embedding=nn.Conv2d(
            shape.num_channels,
            width,
            shape.patch_size,
            shape.patch_size,
            bias=False,
            device=META,
        ),
        class_embedding=_weight(width),
        gated_positional_embedding=_Part(
            gate=_weight(1),
            embedding=_weight(shape.patches, width),
            tile_embedding=_embedding(ratios, tiles * shape.patches * width),
        ),
        pre_tile_positional_embedding=tile_embedding(),
        post_tile_positional_embedding=tile_embedding(),
        layernorm_pre=nn.LayerNorm(width, device=META),
        layernorm_post=nn.LayerNorm(width, device=META),
        transformer=_Part(
            layers=nn.ModuleList(layer(gated=False) for _ in range(shape.num_hidden_layers))
        ),
        global_transformer=_Part(
            layers=nn.ModuleList(layer(gated=True) for _ in range(shape.num_global_layers))
        ),
    )


def _text(shape: TextShape) -> nn.Module:
    width, eps = shape.hidden_size, shape.rms_norm_eps
    size = width // shape.num_attention_heads
    keys = size * shape.num_key_value_heads

    def layer(*, crossing: bool) -> nn.Module:
        inner = shape.intermediate_size
        attention = _attention(width, width, keys, keys)
        parts: dict[str, Any] = {
            "mlp": _Part(
                gate_proj=_linear(width, inner),
                up_proj=_linear(width, inner),
                down_proj=_linear(inner, width),
                act_fn=ACTIVATIONS.get(shape.hidden_act, nn.Identity)(),
            ),
            "input_layernorm": RmsNorm(width, eps),
            "post_attention_layernorm": RmsNorm(width, eps),
        }
        if not crossing:
            return _Part(self_attn=attention, **parts)
        attention.q_norm, attention.k_norm = RmsNorm(size, eps), RmsNorm(size, eps)
        gates = {name: _weight(1) for name in ("cross_attn_attn_gate", "cross_attn_mlp_gate")}
        return _Part(cross_attn=attention, **parts, **gates)

    crossed = set(shape.cross_attention_layers)
    return _Part(
        embed_tokens=_embedding(shape.vocab_size + 8, width),
        layers=nn.ModuleList(
            layer(crossing=number in crossed) for number in range(shape.num_hidden_layers)
        ),
        norm=RmsNorm(width, eps),
        rotary_emb=Rotary(shape),
    )


def _attention(width: int, queries: int, keys: int, values: int) -> nn.Module:
    return _Part(
        q_proj=_linear(width, queries),
        k_proj=_linear(width, keys),
        v_proj=_linear(width, values),
        o_proj=_linear(queries, width),
    )


def _weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape, device=META))


def _linear(inputs: int, outputs: int, *, bias: bool = False) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias, device=META)


def _embedding(count: int, width: int) -> nn.Embedding:
    return nn.Embedding(count, width, _weight=torch.empty(count, width, device=META))
