"""Run torch modules as functions of arrays, on the CPU or a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from indexer.encoder.cuda_graph import RecordedCalls

_cuda: Any = torch.cuda
"""Without types, which its streams and events lack."""


class TorchForward:
    """A module as a function: float32 on the CPU, bfloat16 on a GPU."""

    def __init__(self, module: nn.Module, device: str) -> None:
        self._module = module.to(device).eval()
        self._device = torch.device(device)
        self._copies = _cuda.Stream(device) if self._on_gpu else None
        self._recorded = RecordedCalls(self._rows, what="embedding")

    def __call__(self, pixels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        found = self._run(torch.from_numpy(pixels).to(self._device))
        return tuple(np.asarray(one.float().cpu().numpy()) for one in found)

    def start(
        self,
        fitted: npt.NDArray[np.uint8],
        mean: npt.NDArray[np.float32],
        std: npt.NDArray[np.float32],
    ) -> Callable[[], npt.NDArray[np.float32]]:
        """Start a forward pass of images (n, size, size); the result waits for its rows.

        On a GPU nothing waits here: the copy, the forward pass and the copy back are queued, so
        that the next images are copied and earlier rows are used meanwhile.
        """
        images = self._copied(torch.from_numpy(fitted))
        average, spread = (
            torch.from_numpy(one).to(self._device, non_blocking=True)[:, None, None]
            for one in (mean, std)
        )
        if not self._on_gpu:
            return self._rows(images, average, spread).numpy
        rows = self._recorded(images, average, spread)
        back = torch.empty(rows.shape, pin_memory=True)
        back.copy_(rows, non_blocking=True)
        done = _cuda.Event()
        done.record(torch.cuda.current_stream(self._device))

        def wait() -> npt.NDArray[np.float32]:
            done.synchronize()
            return np.asarray(back.numpy())

        return wait

    def _rows(self, images: Tensor, average: Tensor, spread: Tensor) -> Tensor:
        return self._run((images[:, None].float() / 255 - average) / spread)[0].float()

    @property
    def _on_gpu(self) -> bool:
        return self._device.type != "cpu"

    def _copied(self, images: Tensor) -> Tensor:
        """Queue a copy to the device, beside what runs there."""
        if self._copies is None:
            return images
        with torch.cuda.stream(self._copies):
            copied = images.pin_memory().to(self._device, non_blocking=True)
        running = torch.cuda.current_stream(self._device)
        running.wait_stream(self._copies)
        copied.record_stream(running)
        return copied

    def _run(self, pixels: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode(), precision(str(self._device)):
            found = self._module(pixels)
        return found if isinstance(found, tuple) else (found,)


def precision(device: str) -> Any:
    """Return the context of a forward pass: bfloat16 on a GPU, unchanged on the CPU."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind != "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread on the CPU, in all of the process: sums over several depend on how
    many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
