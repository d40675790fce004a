"""Load a language model by its name: a folder, a hub id, or the address of a server.

load_model("pretrained/generator", device="cpu")
load_model("openai+http://127.0.0.1:8000/v1#Qwen/Qwen3-VL-8B-Instruct")

The one place that knows which kind of model a name is of.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import UserError
from db.extras import importing
from generator.engines.address import RemoteOptions, is_address
from generator.vision_language import StreamingModel

if TYPE_CHECKING:
    from generator.mllama.quantization import Quantization

MODEL_HELP = (
    "folder or hub id of Llama 3.2 Vision, or openai+http://HOST:PORT/v1#NAME for a model that an "
    "OpenAI-compatible server runs"
)


def load_model(
    name: str | Path,
    adapter: str | Path | None = None,
    *,
    device: str = "auto",
    quantization: "Quantization" = "auto",
    remote: RemoteOptions | None = None,
) -> StreamingModel:
    """A model ready to answer.

    Raises UserError with the cure for what cannot be loaded or reached; see
    `generator.mllama.load.load_model` and `generator.engines.openai.connect`.
    """
    if is_address(str(name)):
        if adapter is not None:
            raise UserError(
                "a server names the adapters that it serves: leave out --adapter, and name one "
                "after '#'"
            )
        if quantization != "auto":
            raise UserError("the server chooses the quantization of its model: leave it out")
        with importing():
            from generator.engines.openai import connect

        return connect(str(name), remote)
    with importing():
        from generator.mllama.load import load_model as load_mllama

    return load_mllama(name, adapter, device=device, quantization=quantization)
