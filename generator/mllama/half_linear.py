"""Linear layers for a CPU, where a decoding step takes as long as reading its weights does.

The weights are kept in half precision and widened on the fly (fbgemm), the arithmetic is that of
float32: outputs differ by some 2e-4 of their size, and a step takes less than half the time.
"""

import torch
from torch import Tensor, nn


class HalfLinear(nn.Module):
    """``inputs @ weight.T``, float32 in and out."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.detach(), None)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = torch.ops.quantized.linear_dynamic_fp16(inputs, self.packed)
        return outputs

    @staticmethod
    def available() -> bool:
        return "fbgemm" in torch.backends.quantized.supported_engines
