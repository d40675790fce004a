"""The machine that figures were computed on, to stand beside them.

machine()                       # {"processor": "AMD EPYC 9B14", "cores": 2, "memory_gb": 23, ...}
device_name(torch.device("cuda"))   # "NVIDIA H100 80GB HBM3"
"""

import os
import platform
from pathlib import Path
from typing import Any

import torch

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def machine(*, gpu: bool = True) -> dict[str, Any]:
    """Processor, cores that may be used, memory in GB, and the GPU unless it is left alone."""
    found: dict[str, Any] = {
        "processor": _field(_CPUINFO, "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": None,
        "gpu": torch.cuda.get_device_name() if gpu and torch.cuda.is_available() else None,
    }
    kilobytes = _field(_MEMINFO, "MemTotal").split()
    if kilobytes:
        found["memory_gb"] = round(int(kilobytes[0]) * 1024 / 1e9)
    return found


def device_name(device: torch.device) -> str:
    """Of a GPU what its maker calls it, otherwise the kind of device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _field(path: Path, name: str) -> str:
    """The first of that name; empty where there is no such file or field."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
