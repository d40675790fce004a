"""The devices that train together: one, or as many as ``accelerate launch`` started processes.

Every process knows the whole plan, computes its share of each step's forward passes, and adds its
gradients to those of the others; so a step is the same, whatever the number of devices.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from db.errors import UserError

Group = tuple[int, ...]
"""Numbers of examples."""


@dataclass(frozen=True, kw_only=True)
class Devices:
    """This process and its peers."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @classmethod
    @contextmanager
    def joined(cls, name: str) -> Iterator[Self]:
        """``cpu`` or ``cuda``, in the process group of accelerate where there are several.

        The group is ended on the way out, of an error too; it can be joined once a process.
        """
        from accelerate import PartialState

        state = PartialState(cpu=name == "cpu")
        try:
            yield cls(device=state.device, rank=state.process_index, count=state.num_processes)
        finally:
            state.destroy_process_group()

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Let the first process go first; the others wait and find what it wrote."""
        if self.count > 1 and not self.first:
            torch.distributed.barrier()
        try:
            yield
        finally:
            if self.count > 1 and self.first:
                torch.distributed.barrier()

    def in_first(self, work: Callable[[], None]) -> None:
        """Run ``work`` in the first process; raises UserError in all where it does in that one."""
        failure: UserError | None = None
        if self.first:
            try:
                work()
            except UserError as error:
                failure = error
        if self.most(failure is not None)[0]:
            raise failure or UserError("the first process cannot go on: see its message")

    @staticmethod
    def has_gpu() -> bool:
        return torch.cuda.is_available()

    @staticmethod
    def has_bfloat16() -> bool:
        """Not emulated: from compute capability 8.0 on."""
        return torch.cuda.get_device_capability() >= (8, 0)

    def free_memory(self) -> int | None:
        """Bytes of a GPU; None on a CPU."""
        if self.device.type != "cuda":
            return None
        return int(torch.cuda.mem_get_info(self.device)[0])

    @property
    def first(self) -> bool:
        """Whether this process writes files and logs for all."""
        return self.rank == 0

    def share(self, passes: Sequence[Group]) -> Sequence[Group]:
        """This process's part of some forward passes, each the numbers of its examples.

        Where there are fewer passes than processes, the longest are cut in halves, so that every
        process has work as long as there are examples.
        """
        whole = list(passes)
        while len(whole) < self.count and any(len(numbers) > 1 for numbers in whole):
            place = max(range(len(whole)), key=lambda n: len(whole[n]))
            numbers = whole[place]
            half = len(numbers) // 2
            whole[place : place + 1] = [numbers[:half], numbers[half:]]
        return whole[self.rank :: self.count]

    def check_work(self, steps: Sequence[Sequence[Group]]) -> None:
        """Raises UserError where processes would wait because steps have too few examples.

        The last step of an epoch may be a small one.
        """
        small = [sum(map(len, passes)) for passes in steps if sum(map(len, passes)) < self.count]
        if small and len(small) > len(steps) / 2:
            raise UserError(
                f"{self.count} processes share steps of {max(small)} examples, so that some would "
                f"have nothing to do: set accumulation to {self.count} or more, or start fewer "
                "processes"
            )

    def most(self, *values: float) -> list[float]:
        """The highest of each value over all processes."""
        if self.count == 1:
            return [float(value) for value in values]
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX)
        return [float(value) for value in tensor.tolist()]

    def gather(self, values: Tensor) -> Tensor:
        """A tensor of each process, one a row: (n,) -> (processes, n)."""
        if self.count == 1:
            return values[None]
        own = values.to(self.device)
        rows = [torch.empty_like(own) for _ in range(self.count)]
        torch.distributed.all_gather(rows, own)
        return torch.stack(rows).to(values.device)

    def sum(self, value: Tensor) -> Tensor:
        """Of a number, over all processes."""
        if self.count > 1:
            torch.distributed.all_reduce(value)
        return value

    def sum_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        if self.count == 1:
            return
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat, [weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.grad = part.view_as(weight)
