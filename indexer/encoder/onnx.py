"""Run a network in ONNX Runtime, which is several times faster than torch on a CPU.

    forward = compiled(build_network, size=256, key=cache_key(model, heads))
    rows, class_maps = forward(pixels)

The export takes seconds, so its result is cached by the hash of the weights, in
``$GROUNDED_CXR_CACHE``, else ``$XDG_CACHE_HOME/grounded-cxr``, else ``~/.cache/grounded-cxr``. A
damaged cache file is replaced; if the folder is not writable, nothing is cached. The Dockerfile
fills the cache while the image is built, because the container's root is read-only.
"""

import hashlib
import io
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import open_clip
import timm
import torch
from torch import nn

from db.files import write_bytes, write_text
from indexer.encoder.device import Forward, in_torch
from indexer.encoder.weight_files import file_sha256

CACHE_VARIABLE = "GROUNDED_CXR_CACHE"
CUDA_PROVIDER = "CUDAExecutionProvider"

_OPSET = 17

log = logging.getLogger(__name__)


def compiled(
    network: Callable[[], nn.Module], *, size: int, key: str | None = None, device: str = "cpu"
) -> Forward:
    """Return a network of images (n, 3, size, size) as a function.

    A network gives one tensor or a pair of them, ``rows`` and ``class_maps``. On the CPU it runs in
    ONNX Runtime, and its vectors agree with torch's to 1e-4; on a GPU it runs
    in ONNX Runtime if that has CUDA, else in torch. ``network`` is called only if nothing is cached
    under ``key``.
    """
    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        if CUDA_PROVIDER not in onnxruntime.get_available_providers():
            return in_torch(network(), device)
        providers.insert(0, (CUDA_PROVIDER, {"device_id": torch.device(device).index or 0}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        _cached(network, size, key), options, providers=providers
    )

    def forward(pixels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(session.run(None, {"pixels": pixels}))

    return forward


def cache_key(*files: Path, network: str = "") -> str:
    """Hash weights and configs, the name of a network, and the versions of the exporting
    libraries; hex SHA-256."""
    versions = f"{torch.__version__} {open_clip.__version__} {timm.__version__} {_OPSET}"
    parts = [*(file_sha256(path) for path in files), network, versions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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


def _cached(network: Callable[[], nn.Module], size: int, key: str | None) -> bytes:
    folder = cache_directory()
    if key is None or folder is None:
        return _export(network(), size)
    path, digest = folder / f"{key}.onnx", folder / f"{key}.onnx.sha256"
    try:
        content = path.read_bytes()
        if digest.read_text(encoding="ascii") == hashlib.sha256(content).hexdigest():
            return content
        log.warning("%s is damaged; exporting again", path)
    except (OSError, ValueError):
        pass  # not cached yet
    content = _export(network(), size)
    try:
        write_bytes(path, content)
        write_text(digest, hashlib.sha256(content).hexdigest())
    except OSError as error:
        log.info("the exported encoder is not cached (%s)", error)
    return content


def _export(module: nn.Module, size: int) -> bytes:
    data = io.BytesIO()
    example = torch.zeros(1, 3, size, size)
    with torch.inference_mode():
        several = isinstance(module.eval()(example), tuple)
    names = ["rows", "class_maps"] if several else ["rows"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations and tracing of the exporter itself
        torch.onnx.export(
            module,
            (example,),
            data,  # type: ignore[arg-type]  # the exporter without dynamo takes a stream
            input_names=["pixels"],
            output_names=names,
            dynamic_axes={name: {0: "images"} for name in ("pixels", *names)},
            opset_version=_OPSET,
            dynamo=False,
        )
    return data.getvalue()
