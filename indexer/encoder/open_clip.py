"""Encoders that `open_clip` can load.

    from_open_clip("ViT-B-32/laion2b_s34b_b79k")

Encoders trained by this project: `indexer.encoder.folder`.
"""

import hashlib
from collections.abc import Mapping

import open_clip
import torch
from torch import Tensor

from db.errors import UserError
from indexer.encoder.device import TorchForward
from indexer.encoder.dual_encoder import OpenClipEncoder
from indexer.encoder.preprocessing import PreprocessConfig
from indexer.encoder.text_network import open_clip_text


def from_open_clip(
    identifier: str, *, name: str | None = None, device: str = "cpu"
) -> OpenClipEncoder:
    """Any dual encoder that open_clip can load; ``identifier`` as for `load_encoder`."""
    name = name or identifier
    model_name, tag = identifier, None
    if not identifier.startswith(("hf-hub:", "local-dir:")):
        model_name, _, tag = identifier.rpartition("/")
        if tag not in open_clip.list_pretrained_tags_by_model(model_name):
            raise UserError(
                f"unknown encoder '{identifier}': use 'imagenet', a folder in open_clip's format, "
                "an open_clip model and weights as MODEL/TAG, or 'hf-hub:ORGANISATION/MODEL'"
            )
    try:
        model = open_clip.create_model(model_name, pretrained=tag, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(model_name)
    except Exception as error:  # what a hub, a cache and a checkpoint can raise is without end
        raise UserError(
            f"the encoder '{name}' cannot be loaded ({type(error).__name__}: {error}): check its "
            "name and the network, or download it and name its folder"
        ) from error
    model = model.float().eval()
    visual = model.visual
    with torch.inference_mode():
        preprocess = PreprocessConfig(**visual.preprocess_cfg)
        size = preprocess.size if isinstance(preprocess.size, int) else max(preprocess.size)
        dim = int(visual(torch.zeros(1, 3, size, size)).shape[-1])
    digest = _state_sha256(visual.state_dict())
    return OpenClipEncoder(
        TorchForward(visual, device),
        name=name,
        weights_sha256=digest,
        dim=dim,
        preprocess=preprocess,
        embed_text=open_clip_text(model, tokenizer, device),
        device=device,
    )


def _state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over the names and values of weights that come from no single file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
