"""Text towers in torch, which `indexer.encoder.text.TextTower` and `from_open_clip` run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.tokenizer import HFTokenizer
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import UserError
from indexer.cli.progress import quiet_loading
from indexer.encoder.device import precision
from indexer.encoder.text import EmbedText
from indexer.encoder.weight_files import MODEL

BATCH = 64


def load_tower(
    folder: Path,
    *,
    dim: int,
    context_length: int,
    projection: npt.NDArray[np.floating] | None,
    trained: bool,
    device: str,
) -> EmbedText:
    """Load the tower in ``folder``, which is that of a package or, with ``trained``, an encoder's
    own. Raises UserError for files that cannot be read."""
    try:
        projected = projection is not None
        tower = text_network(folder, dim, projected=projected, pretrained=not trained)
        if trained:
            state = load_file(folder / MODEL)
            own = {k[5:]: v.float() for k, v in state.items() if k.startswith("text.")}
            tower.load_state_dict(own, strict=True)
        elif projection is not None:
            tower.proj.load_state_dict({"weight": torch.from_numpy(projection).float()})
        tokenizer = HFTokenizer(str(folder), context_length=context_length)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"the text tower in {folder} cannot be read ({error})") from error
    tower = tower.to(device).eval()
    padding = tower.config.pad_token_id

    def tokens(texts: list[str]) -> Tensor:
        padded: Tensor = tokenizer(texts)
        return padded[:, : int((padded != padding).sum(dim=1).max())]

    return lambda texts: _embed(tower, tokens, texts, device)


def text_network(
    folder: Path, dim: int, *, projected: bool, pretrained: bool = True
) -> HFTextEncoder:
    """Build open_clip's text tower, with mean pooling, from the sentence encoder in a folder."""
    with quiet_loading():  # it would report the pooler, which is left out on purpose
        return HFTextEncoder(
            str(folder),
            output_dim=dim,
            pooler_type="mean_pooler",
            proj_type="linear" if projected else None,
            pretrained=pretrained,
        )


def open_clip_text(
    model: nn.Module, tokenizer: Callable[[list[str]], Tensor], device: str = "cpu"
) -> EmbedText:
    """Return the text half of an open_clip model as a function."""

    encode: Callable[[Tensor], Tensor] = model.to(device).encode_text  # type: ignore[assignment]
    return lambda texts: _embed(encode, tokenizer, texts, device)


def _embed(
    tower: Callable[[Tensor], Tensor],
    tokenizer: Callable[[list[str]], Tensor],
    texts: Sequence[str],
    device: str,
) -> npt.NDArray[np.float32]:
    parts = []
    with torch.inference_mode(), precision(device):
        for start in range(0, len(texts), BATCH):
            tokens = tokenizer(list(texts[start : start + BATCH])).to(device)
            parts.append(tower(tokens).float().cpu().numpy())
    return np.concatenate(parts)
