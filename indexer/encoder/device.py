"""Run torch modules as functions of arrays, on the CPU or a GPU."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from db.errors import UserError

Forward = Callable[[npt.NDArray[np.float32]], tuple[npt.NDArray[np.float32], ...]]
"""Pixels (n, 3, size, size) to the outputs of a network: embeddings and, after them, the logits of
the heads, (n, width); then, of a network with a label head, its class maps (n, 14, rows, columns).
"""


def check_device(device: str) -> None:
    """Raise UserError unless the device is ``cpu``, ``cuda`` or like ``cuda:1``, and exists."""
    named = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", device)
    if named is None:
        raise UserError(f"unknown device '{device}': use cpu or cuda")
    if device != "cpu" and int(named[1] or 0) >= torch.cuda.device_count():
        raise UserError(f"no device {device} was found: use --device cpu")


def in_torch(module: nn.Module, device: str) -> Forward:
    """Return the module as a function: float32 on the CPU, bfloat16 on a GPU."""
    module = module.to(device).eval()

    def forward(pixels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        with torch.inference_mode(), precision(device):
            found = module(torch.from_numpy(pixels).to(device))
        outputs = found if isinstance(found, tuple) else (found,)
        return tuple(np.asarray(one.float().cpu().numpy()) for one in outputs)

    return forward


def precision(device: str) -> Any:
    """Return the context of a forward pass: bfloat16 on a GPU, unchanged on the CPU."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind != "cpu")
