"""Settings for cutting, distilling and training the small base model.

The defaults are what ``pretrained/generator`` was made with.
"""

from dataclasses import dataclass

from db.errors import UserError
from finetune.training.settings import check_finite


@dataclass(frozen=True, kw_only=True)
class CutConfig:
    """What is kept of SmolLM2, and the shape of what is added to it."""

    seed: int = 0
    layers: int = 22
    """Layers kept; one contiguous block is dropped, and training heals the gap."""
    dropped_from: int = 11
    """First layer of the dropped block: of all blocks the one whose loss hurts text the least."""
    cross_layers: int = 3
    """Layers that look at the image, spread evenly among the kept ones."""
    ranks: int = 4000
    """Tokens kept whatever the corpus has: the first that byte-pair encoding learnt."""
    uses: int = 2
    """Further tokens are kept from so many uses in the corpus on."""
    tile: int = 224
    """Side of a tile, pixels."""
    patch: int = 16
    tiles: int = 2
    """Tiles of an image at most."""
    vision_width: int = 256
    vision_layers: int = 6
    global_layers: int = 2
    vision_heads: int = 4

    def __post_init__(self) -> None:
        check_finite(self)
        if self.layers < 1 or self.dropped_from < 0 or self.cross_layers < 1:
            raise UserError("keep at least one layer, and add one cross-attention layer")
        if self.tile % self.patch or self.vision_width % self.vision_heads:
            raise UserError("the tile must be whole patches, and the width whole heads")

    def cross_positions(self, layers: int) -> list[int]:
        """Indices of the layers that look at the image, among all, beside ``layers`` others."""
        return [
            int((number + 0.5) * layers / self.cross_layers + 0.5) + number
            for number in range(self.cross_layers)
        ]


@dataclass(frozen=True, kw_only=True)
class SmallMllamaConfig:
    """Both stages of training. A stage ends with its epochs or its seconds, whichever is first;
    0 seconds are no limit."""

    seed: int = 0
    distil_epochs: int = 200
    distil_seconds: float = 150.0
    distil_batch: int = 128
    """Canvases a step."""
    distil_lr: float = 1e-3
    distil_weight_decay: float = 0.05
    dense_weight: float = 1.0
    """Of the map of features, beside the weights of what is read from the class token."""
    pooled_weight: float = 0.3
    label_weight: float = 0.3
    view_weight: float = 0.05
    one_tile: float = 0.3
    """Probability that of a study with two images only one is shown."""
    rotate: float = 6.0
    """Degrees, at most; images are never mirrored."""
    scale: float = 0.08
    shift: float = 0.04
    contrast: float = 0.25
    erase: float = 0.0
    """Probability that a rectangle is blanked."""
    epochs: int = 4
    max_seconds: float = 0.0
    tokens: int = 40_000
    """Of a batch at most, padding counted."""
    longest: int = 1536
    """Tokens of an example; longer ones are left out, and counted in the log."""
    lr: float = 4e-4
    new_lr: float = 8e-4
    """Of the layers that look at the image and of the projection before them."""
    gate_lr: float = 4e-3
    """Of their gates, which start closed."""
    vision_lr: float = 2e-4
    warmup: float = 0.03
    """Share of a stage in which the learning rate rises."""
    weight_decay: float = 0.05
    clip: float = 1.0
    prompt_weight: float = 0.0
    """Weight of a token of the prompt in the loss at the start, beside 1 for one of the answer; it
    falls to 0. More text heals sooner what cutting broke."""
    log_every: int = 50
    """Steps."""
    val_every: int = 500
    """Steps."""
    val_examples: int = 400
    """Of each task."""
    save_seconds: float = 150.0
    """Between two checkpoints."""

    def __post_init__(self) -> None:
        check_finite(self)
        if self.epochs < 1 or self.tokens < self.longest or self.distil_batch < 1:
            raise UserError("use at least one epoch, and batches that hold the longest example")
        if not 0 <= self.warmup < 1:
            raise UserError(f"warmup is a share of the steps, not {self.warmup}")
