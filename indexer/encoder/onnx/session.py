"""Run a network in ONNX Runtime, which is several times faster than torch on a CPU.

    forward = compiled(build_network, size=256, key=cache_key(model, heads))
    rows, class_maps = forward(pixels)

The export takes seconds, so its result is cached by the hash of the weights, in
``$GROUNDED_CXR_CACHE``, else ``$XDG_CACHE_HOME/grounded-cxr``, else ``~/.cache/grounded-cxr``. A
damaged cache file is replaced; if the folder is not writable, nothing is cached.

Torch is imported to export a network, or to run it on a GPU that ONNX Runtime cannot use; a network
from the cache, or one whose graph lies beside its weights (`indexer.encoder.onnx.graph`), needs
none.
"""

import hashlib
import importlib.metadata
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from db.files import write_bytes, write_text
from indexer.encoder.dual_encoder import Forward
from indexer.encoder.weight_files import file_sha256

if TYPE_CHECKING:
    from torch import nn

CACHE_VARIABLE = "GROUNDED_CXR_CACHE"
CUDA_PROVIDER = "CUDAExecutionProvider"
OPSET = 17

_EXPORTERS = ("torch", "open_clip_torch", "timm")
"""Packages whose versions are part of the key of an exported network."""

log = logging.getLogger(__name__)


def compiled(
    network: Callable[[], "nn.Module"],
    *,
    size: int,
    key: str | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> Forward:
    """Return a network of images (n, 3, size, size) as a function.

    A network gives one tensor or a pair of them, ``rows`` and ``class_maps``. On the CPU it runs in
    ONNX Runtime, and its vectors agree with torch's to 1e-4; on a GPU it runs
    in ONNX Runtime if that has CUDA, else in torch. ``network`` is called only if nothing is cached
    under ``key``. ``threads`` of ONNX Runtime: 0 for one per core.
    """
    if not runs_on(device):
        from indexer.encoder.device import TorchForward

        return TorchForward(network(), device)
    return open_session(_cached(network, size, key), device=device, threads=threads)


def runs_on(device: str) -> bool:
    """Return whether ONNX Runtime, as it is installed, has ``cpu``, ``cuda`` or ``cuda:1``."""
    return device == "cpu" or CUDA_PROVIDER in onnxruntime.get_available_providers()


def open_session(
    model: bytes,
    options: onnxruntime.SessionOptions | None = None,
    *,
    device: str = "cpu",
    threads: int = 0,
) -> Forward:
    """Return a serialised model as a function; see `compiled`."""
    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        providers.insert(0, (CUDA_PROVIDER, {"device_id": int(device.partition(":")[2] or 0)}))
    options = options or onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=providers)

    def forward(pixels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(session.run(None, {"pixels": pixels}))

    return forward


def cache_key(*files: Path, network: str = "") -> str:
    """Hash weights and configs, the name of a network, and the versions of the exporting
    libraries; hex SHA-256."""
    versions = " ".join([*map(_version, _EXPORTERS), str(OPSET)])
    parts = [*(file_sha256(path) for path in files), network, versions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def cache_directory() -> Path | None:
    """Return the folder of exported networks; None for a user without a home."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "grounded-cxr"
    try:
        return Path.home() / ".cache" / "grounded-cxr"
    except RuntimeError:
        return None


def _cached(network: Callable[[], "nn.Module"], size: int, key: str | None) -> bytes:
    folder = cache_directory()
    if key is None or folder is None:
        return _export(network, size)
    path, digest = folder / f"{key}.onnx", folder / f"{key}.onnx.sha256"
    try:
        content = path.read_bytes()
        if digest.read_text(encoding="ascii") == hashlib.sha256(content).hexdigest():
            return content
        log.warning("%s is damaged; exporting again", path)
    except (OSError, ValueError):
        pass  # not cached yet
    content = _export(network, size)
    try:
        write_bytes(path, content)
        write_text(digest, hashlib.sha256(content).hexdigest())
    except OSError as error:
        log.info("the exported encoder is not cached (%s)", error)
    return content


def _export(network: Callable[[], "nn.Module"], size: int) -> bytes:
    from indexer.encoder.onnx.export import export  # torch takes seconds to import

    return export(network(), size)
