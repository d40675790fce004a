"""Run torch modules as functions of arrays, on the CPU or a GPU."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from indexer.encoder.dual_encoder import Forward


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
