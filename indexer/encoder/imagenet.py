"""The baseline encoder: published EfficientNet-Lite2, pooled features without projection."""

from open_clip.timm_model import TimmModel

from indexer.encoder.dual_encoder import OpenClipEncoder
from indexer.encoder.network import IMAGENET_SHA256, TOWER, imagenet_weights
from indexer.encoder.onnx.session import cache_key, compiled
from indexer.encoder.preprocessing import PreprocessConfig

_SIZE = 260
_WIDTH = 1280


def load(*, device: str = "cpu", threads: int = 0) -> OpenClipEncoder:
    """Load the image tower with ImageNet weights.

    Raises NotFoundError if its package is missing, MismatchError if it holds other weights.
    """
    preprocess = PreprocessConfig(
        size=_SIZE,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="bicubic",
        resize_mode="longest",
        fill_color=0,
    )
    weights = imagenet_weights()

    def network() -> TimmModel:
        tower = TimmModel(
            TOWER, embed_dim=0, image_size=_SIZE, pool="avg", proj="", pretrained=False
        )
        own = [name for name in tower.trunk.state_dict() if not name.startswith("classifier.")]
        tower.trunk.load_state_dict(dict(zip(own, weights, strict=True)), strict=True)
        return tower

    return OpenClipEncoder(
        compiled(
            network,
            size=_SIZE,
            key=cache_key(network=IMAGENET_SHA256),
            device=device,
            threads=threads,
        ),
        name="imagenet",
        weights_sha256=IMAGENET_SHA256,
        dim=_WIDTH,
        preprocess=preprocess,
        device=device,
    )
