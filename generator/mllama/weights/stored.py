"""Read stored weights into the modules of a model: plain ones, and NF4 as bitsandbytes writes it.

model = read_weights(folder, shape)     # float32, on the CPU

Files are mapped, so that what is read once is copied once, into the type it is computed in.
"""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from db.errors import UserError
from db.files import read_json
from generator.mllama.weights.modules import build_modules
from generator.mllama.weights.shape import MllamaShape

_RENAMED = (
    (re.compile(r"^language_model\.lm_head\."), "lm_head."),
    (re.compile(r"^language_model\.model\."), "model.language_model."),
    (re.compile(r"^(vision_model|multi_modal_projector)\."), r"model.\1."),
)
"""Names in files, from before transformers 4.52, and of the modules."""
_STATE = ".quant_state.bitsandbytes__nf4"
_PARTS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", _STATE)


def read_weights(folder: Path, shape: MllamaShape) -> nn.Module:
    """A model with all of its weights in float32.

    Raises UserError for weights that are missing, cannot be read or have another shape.
    """
    model = build_modules(shape)
    wanted = dict(model.named_parameters())
    with ExitStack() as files:
        try:
            stored = _stored(folder, files)
            values = {name: stored.value(name) for name in wanted if stored.holds(name)}
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise _unreadable(folder, str(error)) from error
    if missing := sorted(wanted.keys() - values.keys()):
        raise UserError(
            f"{folder} lacks {len(missing)} weights, {missing[0]} among them: fetch or make the "
            "folder again"
        )
    for name, value in values.items():
        if value.shape != wanted[name].shape:
            raise _unreadable(
                folder, f"{name} is {tuple(value.shape)}, not {tuple(wanted[name].shape)}"
            )
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(value, requires_grad=False))
    return model


def _unreadable(folder: Path, why: str) -> UserError:
    first = (why.strip().splitlines() or ["damaged"])[0][:200]
    return UserError(
        f"the weights of {folder} cannot be read ({first}): fetch or make the folder again"
    )


class _Stored:
    """Tensors of several files, by the names of the modules."""

    def __init__(self, places: Mapping[str, tuple[Any, str]]) -> None:
        self._places = places

    def holds(self, name: str) -> bool:
        return name in self._places

    def value(self, name: str) -> Tensor:
        """In float32."""
        if not self.holds(name + _STATE):
            value = self._tensor(name)
            if not value.is_floating_point():
                raise ValueError(f"{name} is {value.dtype}")
            return value.to(torch.float32, copy=True)
        parts = {part: self._tensor(name + part) for part in _PARTS if self.holds(name + part)}
        return _dequantized(self._tensor(name), parts)

    def _tensor(self, name: str) -> Tensor:
        file, stored = self._places[name]
        tensor: Tensor = file.get_tensor(stored)
        return tensor


def _stored(folder: Path, files: ExitStack) -> _Stored:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index)["weight_map"].values()))
        paths = [folder / name for name in names]
    else:
        paths = sorted(folder.glob("*.safetensors"))
    places = {}
    for path in paths:
        file = files.enter_context(safe_open(path, framework="pt"))
        for stored in file.keys():  # noqa: SIM118 (no mapping)
            places[_renamed(stored)] = (file, stored)
    return _Stored(places)


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return name


def _dequantized(packed: Tensor, parts: Mapping[str, Tensor]) -> Tensor:
    """NF4 -> float32, rounded to the type that was quantized, as bitsandbytes gives it."""
    state = json.loads(bytes(parts[_STATE].numpy()))
    scales = parts[".absmax"].float()
    if ".nested_absmax" in parts:
        blocks = parts[".nested_absmax"].repeat_interleave(state["nested_blocksize"])
        codes = parts[".nested_quant_map"][parts[".absmax"].int()]
        scales = codes * blocks[: len(codes)] + state["nested_offset"]
    size, count = state["blocksize"], torch.Size(state["shape"]).numel()
    values = _unpacked(packed, parts[".quant_map"].float())
    values = functional.pad(values, (0, len(scales) * size - len(values))).view(-1, size)
    values *= scales[:, None]
    kind: torch.dtype = getattr(torch, state["dtype"])
    return values.flatten()[:count].view(state["shape"]).to(kind).float()


def _unpacked(packed: Tensor, codes: Tensor) -> Tensor:
    """The values of two codes a byte, (2 * bytes,): one look-up of both, as a complex number."""
    pairs = torch.stack((codes.repeat_interleave(16), codes.repeat(16)), dim=1).contiguous()
    table = pairs.numpy().view(np.complex64).ravel()
    return torch.from_numpy(np.take(table, packed.flatten().numpy()).view(np.float32))
