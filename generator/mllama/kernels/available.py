"""Whether the kernels can compute a model, and the layers that they compute.

layers = kernel_layers(model)           # None: as Layer.of computes them
difference(decoder, plain)              # of the logits, relative to their size
"""

import logging
import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from db.errors import first_line
from generator.mllama.decoding.layer import Layer
from generator.mllama.decoding.step_cache import Step
from generator.mllama.vision.encoder import EncodedImage

if TYPE_CHECKING:
    from generator.mllama.decoding.decoder import Decoder

_log = logging.getLogger(__name__)

_CAPABILITY = (8, 0)
"""Of GPUs that compute in bfloat16."""


def kernel_layers(model: Any) -> list[Layer] | None:
    """The layers of the text model; None where the kernels cannot compute them, and a warning where
    that can be mended."""
    text = model.model.language_model
    weight = text.embed_tokens.weight
    if find_spec("triton") is None:
        _log.warning("decoding is slower without kernels: install triton")
        return None
    if weight.is_cuda and torch.cuda.get_device_capability(weight.device) < _CAPABILITY:
        return None
    config = model.config.text_config
    size = config.hidden_size // config.num_attention_heads
    group = config.num_attention_heads // config.num_key_value_heads
    head = model.lm_head
    plain = type(head) is torch.nn.Linear and head.bias is None
    fits = size in (32, 64, 128, 256) and group <= 16 and config.hidden_size % 2 == 0
    if not fits or not plain or {weight.dtype, head.weight.dtype} != {torch.bfloat16}:
        _log.info("there are no kernels for a model of this shape and precision")
        return None
    try:
        from generator.mllama.kernels.layer import read_layers
        from generator.mllama.kernels.norms import KernelNorm

        KernelNorm(text.norm.weight.data, config.rms_norm_eps)(text.norm.weight.data[None])
    except Exception as error:  # no C compiler for Triton, an old version of it, another GPU
        _log.warning("decoding is slower, as Triton does not work here: %s", first_line(error))
        return None
    found = read_layers(text.layers, config.rms_norm_eps)
    if found is None:
        _log.info("there are no kernels for weights of this kind")
        return None
    return list(found)


def decoding_step(decoder: "Decoder") -> Step | None:
    """A step by kernels; None where these do not compute the layers of ``decoder``."""
    if any(type(layer) is Layer for layer in decoder.layers):
        return None
    from generator.mllama.kernels.layer import KernelLayer
    from generator.mllama.kernels.step import DecodingStep

    whole = all(isinstance(layer, KernelLayer) for layer in decoder.layers)
    return DecodingStep(decoder) if whole else None


def difference(first: "Decoder", second: "Decoder") -> float:
    """The largest relative difference of logits, after two prompts and after each of three steps;
    the last steps are recorded ones where steps are recorded. NaN where one has NaN."""
    logits = [_probe(decoder) for decoder in (first, second)]
    apart = [float((one - two).norm() / two.norm()) for one, two in zip(*logits, strict=True)]
    return math.nan if any(map(math.isnan, apart)) else max(apart)


def _probe(decoder: "Decoder") -> list[Tensor]:
    weight = decoder.text.embed_tokens.weight
    draw = torch.Generator().manual_seed(0)
    shape = (2, decoder.key_heads, 80, decoder.head_size)
    crossing = sum(layer.cross is not None for layer in decoder.layers)
    drawn = [torch.randn(shape, generator=draw).to(weight) for _ in range(2 * crossing)]
    pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
    image = EncodedImage(pairs=pairs, tile_mask=None, hidden_before=True) if pairs else None
    prompt = [decoder.image_token, *range(3, 20)]
    state, first = decoder.prefill([prompt, prompt[:-6]], image, room=4)
    logits = [first]
    for token in (5, 6, 7):
        tokens = torch.tensor([token, token + 3], device=weight.device)
        logits.append(decoder.decode_step(state, tokens))
    return logits
