"""CUDA sources, compiled by NVRTC and launched through NVIDIA's bindings, which torch brings along.

kernel = Kernel.of(source, "name", {"WARPS": 8}, device)
kernel((blocks, 1), threads, shared_bytes, tensors_and_integers)       # on the current stream
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from cuda.bindings import driver, nvrtc
from torch import Tensor


class CudaError(RuntimeError):
    """A source that does not compile, or a call that the driver refuses."""


class Kernel:
    """A compiled function of one device."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._most_shared = 48 * 1024

    @classmethod
    def of(cls, source: str, name: str, constants: Mapping[str, int], device: torch.device) -> Self:
        """Raises CudaError."""
        with torch.cuda.device(device):
            code = compiled(source, name, constants, torch.cuda.get_device_capability(device))
            module = _done(driver.cuModuleLoadData(code))
            return cls(_done(driver.cuModuleGetFunction(module, name.encode())))

    def __call__(
        self,
        grid: tuple[int, int],
        threads: int,
        shared: int,
        arguments: Sequence[Tensor | int],
    ) -> None:
        if shared > self._most_shared:
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _done(driver.cuFuncSetAttribute(self._function, attribute, shared))
            self._most_shared = shared
        values = tuple(one if isinstance(one, int) else one.data_ptr() for one in arguments)
        types = tuple(
            ctypes.c_int if isinstance(one, int) else ctypes.c_void_p for one in arguments
        )
        stream = torch.cuda.current_stream().cuda_stream
        _done(
            driver.cuLaunchKernel(
                self._function, *grid, 1, threads, 1, 1, shared, stream, (values, types), 0
            )
        )


def compiled(
    source: str, name: str, constants: Mapping[str, int], capability: tuple[int, int]
) -> bytes:
    """Machine code for a compute capability; needs no GPU. Raises CudaError."""
    options = [f"--gpu-architecture=sm_{capability[0]}{capability[1]}", "--std=c++17"]
    options += [f"-D{key}={value}" for key, value in constants.items()]
    program = _done(nvrtc.nvrtcCreateProgram(source.encode(), f"{name}.cu".encode(), 0, [], []))
    try:
        (error,) = nvrtc.nvrtcCompileProgram(
            program, len(options), [option.encode() for option in options]
        )
        if int(error):
            log = b" " * _done(nvrtc.nvrtcGetProgramLogSize(program))
            _done(nvrtc.nvrtcGetProgramLog(program, log))
            raise CudaError(f"{name} does not compile: {log.decode(errors='replace')}")
        code = bytes(_done(nvrtc.nvrtcGetCUBINSize(program)))
        _done(nvrtc.nvrtcGetCUBIN(program, code))
        return code
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _done(answer: tuple[Any, ...]) -> Any:
    """What a call returned beside its status."""
    error, *found = answer
    if int(error):
        raise CudaError(f"CUDA: {error.name}")
    return found[0] if found else None
