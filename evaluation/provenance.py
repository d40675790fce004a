"""The provenance of figures: run, machine, index and weights.

run_record("python -m evaluation model ...", gpu=False)    # date, command, machine
machine()                           # {"processor": "AMD EPYC 9B14", "cores": 2, ...}
device_name(torch.device("cuda"))   # "NVIDIA H100 80GB HBM3"
"""

import datetime
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.metrics.text import CLEANING
from indexer.manifest import Manifest
from indexer.reports.labeller import LABELLER_VERSION
from retriever.knn_votes import TEMPERATURE
from retriever.search import K_VOTES

if TYPE_CHECKING:
    import torch

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Split, index, encoder and settings; written beside every figure."""

    split: str
    source: str
    index_fingerprint: str
    encoder: str
    weights_sha256: str
    index_labeller: str
    without_images_or_findings: int
    """Studies of the split that could not be evaluated on."""
    resamples: int
    reference_labeller: str = LABELLER_VERSION
    reference_labels_from: str = "the whole report, uncertain counted as positive"
    reference_text: str = "FINDINGS alone"
    cleaning: str = CLEANING
    votes_of: int = K_VOTES
    vote_temperature: float = TEMPERATURE


def provenance(manifest: Manifest, *, split: str, without: int, resamples: int) -> Provenance:
    """Of figures on a split, with the index of this manifest."""
    return Provenance(
        split=split,
        source=manifest.source,
        index_fingerprint=manifest.fingerprint,
        encoder=manifest.encoder.name,
        weights_sha256=manifest.encoder.weights_sha256,
        index_labeller=manifest.labeller_version,
        without_images_or_findings=without,
        resamples=resamples,
    )


def run_record(command: str, *, gpu: bool) -> dict[str, Any]:
    """When, how and on which machine figures were made; with ``gpu``, its GPU as well."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": machine(gpu=gpu),
    }


def machine(*, gpu: bool = True) -> dict[str, Any]:
    """Processor, usable cores, memory in GB and, with ``gpu``, the name of the GPU."""
    found: dict[str, Any] = {
        "processor": _field(_CPUINFO, "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": None,
        "gpu": _gpu_name() if gpu else None,
    }
    kilobytes = _field(_MEMINFO, "MemTotal").split()
    if kilobytes:
        found["memory_gb"] = round(int(kilobytes[0]) * 1024 / 1e9)
    return found


def device_name(device: "torch.device") -> str:
    """The product name of a GPU, otherwise the type of the device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _gpu_name() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _field(path: Path, name: str) -> str:
    """The first field of that name; empty where there is no such file or field."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
