"""Embed sentences with a sentence encoder, from a package or a folder, and its projection."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.tokenizer import HFTokenizer
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError, NotFoundError, UserError
from indexer.cli.progress import quiet_loading
from indexer.encoder.device import precision
from indexer.encoder.weight_files import TEXT_PACKAGE, TEXT_VERSION, package_file

TEXT_DIM = 384
CONTEXT_LENGTH = 128
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """The place of a text tower: a package of a certain version, or a folder."""

    package: str | None = None
    version: str | None = None
    folder: Path | None = None

    def find(self) -> Path:
        """Find the folder with the tower's ``config.json``, weights and tokenizer.

        Raises NotFoundError if the package is missing, MismatchError for another version.
        """
        if self.folder is not None:
            return self.folder
        package = self.package or ""
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError as error:
            raise NotFoundError(
                f"embedding text needs {package}: 'pip install {package}=={self.version}'"
            ) from error
        if found != self.version:
            raise MismatchError(
                f"the encoder was trained with {package} {self.version}, {found} is installed: "
                f"'pip install {package}=={self.version}'"
            )
        return package_file(package, "model/config.json").parent


def config_text_tower(stated: Mapping[str, Any], folder: Path) -> TextSource:
    """Read the ``text_tower`` entry of an encoder's config."""
    if stated.get("package"):
        return TextSource(package=str(stated["package"]), version=str(stated.get("version")))
    return TextSource(folder=folder)


class TextTower:
    """Embeds texts, (n, dim), not normalised; the tower is loaded at the first call."""

    def __init__(
        self,
        source: TextSource,
        *,
        dim: int,
        context_length: int,
        projection: Tensor | None,
        device: str = "cpu",
    ) -> None:
        self._source, self._dim, self._context_length = source, dim, context_length
        self._projection = projection
        self._device = device
        self._lock = Lock()
        self._tower: HFTextEncoder | None = None
        self._tokenizer: Callable[[list[str]], Tensor] | None = None

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        with self._lock:
            if self._tower is None:
                self._load()
        assert self._tower is not None and self._tokenizer is not None
        # Batch texts of similar length, to save padding.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        vectors = np.empty((len(texts), self._dim), np.float32)
        ordered = [texts[place] for place in order]
        vectors[order] = _embed(self._tower, self._tokens, ordered, self._device)
        return vectors

    def _tokens(self, texts: list[str]) -> Tensor:
        assert self._tower is not None and self._tokenizer is not None
        tokens = self._tokenizer(texts)
        width = int((tokens != self._tower.config.pad_token_id).sum(dim=1).max())
        return tokens[:, :width]

    def _load(self) -> None:
        folder = self._source.find()
        try:
            inside = self._source.folder is not None
            projected = self._projection is not None
            tower = text_network(folder, self._dim, projected=projected, pretrained=not inside)
            if inside:
                state = load_file(folder / "open_clip_model.safetensors")
                own = {k[5:]: v.float() for k, v in state.items() if k.startswith("text.")}
                tower.load_state_dict(own, strict=True)
            elif self._projection is not None:
                tower.proj.load_state_dict({"weight": self._projection})
            self._tokenizer = HFTokenizer(str(folder), context_length=self._context_length)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"the text tower in {folder} cannot be read ({error})") from error
        self._tower = tower.to(self._device).eval()


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


def embed_sentences(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Embed texts with the published sentence encoder, without projection: (n, 384)."""
    source = TextSource(package=TEXT_PACKAGE, version=TEXT_VERSION)
    tower = TextTower(source, dim=TEXT_DIM, context_length=CONTEXT_LENGTH, projection=None)
    return tower(texts)


def open_clip_text(
    model: nn.Module, tokenizer: Callable[[list[str]], Tensor], device: str = "cpu"
) -> Callable[[Sequence[str]], npt.NDArray[np.float32]]:
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
