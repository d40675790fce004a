"""Export networks from torch to ONNX: ``export(network, 256)``, and the graph of a folder.

write_graph(Path("pretrained/encoder"))     # network.onnx, without weights
"""

import io
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from db.files import write_bytes
from indexer.encoder.folder import image_size, read_config
from indexer.encoder.onnx.graph import GRAPH, LAYOUT, layout, read_weights
from indexer.encoder.onnx.session import OPSET
from indexer.encoder.trained import read_network


def export(module: nn.Module, size: int, *, bare: bool = False) -> bytes:
    """Return a network of images (n, 3, size, size) as a serialised ONNX model.

    ``bare`` keeps every weight under its own name, where otherwise layers are merged.
    """
    data = io.BytesIO()
    example = torch.zeros(1, 3, size, size)
    with torch.inference_mode():
        several = isinstance(module.eval()(example), tuple)
    names = ["rows", "class_maps"] if several else ["rows"]
    mode = torch.onnx.TrainingMode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations and tracing of the exporter itself
        torch.onnx.export(
            module,
            (example,),
            data,  # type: ignore[arg-type]  # the exporter without dynamo takes a stream
            input_names=["pixels"],
            output_names=names,
            dynamic_axes={name: {0: "images"} for name in ("pixels", *names)},
            opset_version=OPSET,
            dynamo=False,
            training=mode.PRESERVE if bare else mode.EVAL,
            do_constant_folding=not bare,
        )
    return data.getvalue()


def write_graph(folder: Path) -> None:
    """Write the network of a trained encoder into its folder, without weights.

    `indexer.encoder.onnx.graph.open_graph` fills them in from the files beside it, so the encoder
    runs where torch is not installed. The graph fits all weights of the same names and shapes.
    Raises as `read_network`.
    """
    size = image_size(read_config(folder))
    model = onnx.load_from_string(export(read_network(folder), size, bare=True))
    weights = read_weights(folder)
    for held in model.graph.initializer:
        if held.name in weights:
            held.ClearField("raw_data")
            held.data_location = onnx.TensorProto.EXTERNAL
            held.external_data.add(key="location", value="weights")
    model.metadata_props.add(key=LAYOUT, value=layout(weights))
    write_bytes(folder / GRAPH, model.SerializeToString())
