"""Run a trained encoder from the graph in its folder, filled with the weights that lie beside it.

    forward = open_graph(Path("pretrained/encoder"))     # None without a graph that fits

No torch is needed. `indexer.encoder.onnx.export.write_graph` writes the graph, ``network.onnx``,
which names weights and holds none: new weights of the same shapes need no new graph.
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from safetensors.numpy import load_file

from indexer.encoder.dual_encoder import Forward
from indexer.encoder.onnx.session import open_session
from indexer.encoder.weight_files import HEADS, MODEL

GRAPH = "network.onnx"
LAYOUT = "layout"
"""Key of the graph's metadata: the hash of the names and shapes of the weights it was made for."""

Weights = dict[str, npt.NDArray[np.float32]]


def open_graph(folder: Path, *, device: str = "cpu", threads: int = 0) -> Forward | None:
    """Return the network of an encoder's folder as a function.

    None if the folder has no graph, or one of another network: `indexer.encoder.onnx.session`
    exports that.
    """
    if not all((folder / name).is_file() for name in (GRAPH, MODEL, HEADS)):
        return None
    graph, weights = (folder / GRAPH).read_bytes(), read_weights(folder)
    if layout(weights).encode("ascii") not in graph:
        return None
    options = onnxruntime.SessionOptions()
    held = [onnxruntime.OrtValue.ortvalue_from_numpy(one) for one in weights.values()]
    options.add_external_initializers(list(weights), held)
    return open_session(graph, options, device=device, threads=threads)


def read_weights(folder: Path) -> Weights:
    """Read tower, projection and heads by their names in the graph, in float32."""
    stored = {**load_file(folder / MODEL), **load_file(folder / HEADS)}
    return {
        name: value.astype(np.float32)
        for name, value in stored.items()
        if not name.startswith("text.") and value.ndim and value.dtype.kind == "f"
    }


def layout(weights: Weights) -> str:
    """Hash names and shapes; hex SHA-256."""
    lines = sorted(f"{name} {value.shape}" for name, value in weights.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
