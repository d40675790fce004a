"""The first stage of a run: distil the encoder into the vision encoder, once."""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from transformers import MllamaForConditionalGeneration

from db.files import replacing
from finetune.examples.folder import ExampleFolder
from recipes.small_mllama.batches import Tiles
from recipes.small_mllama.config import SmallMllamaConfig
from recipes.small_mllama.distil import distil
from recipes.small_mllama.teacher import Teacher

VISION = "vision.safetensors"
LOG = "distil.jsonl"


def train_vision_encoder(
    model: MllamaForConditionalGeneration,
    encoder: Path,
    tiles: Tiles,
    pack: ExampleFolder,
    config: SmallMllamaConfig,
    out_dir: Path,
    *,
    show: Callable[[str], None] | None = None,
) -> None:
    """Train the vision tower, or load it where the run has trained it already.

    The images of val examples give losses for the log and are not trained on.
    Raises NotFoundError or UserError for a folder that holds no encoder.
    """
    path = out_dir / VISION
    tower = model.model.vision_model
    if path.is_file():
        tower.load_state_dict(load_file(path, device=str(tiles.values.device)))
        return
    val_rows = {e.canvas for e in pack.val if e.canvas is not None}
    rows = {e.canvas for e in pack.train if e.canvas is not None} - val_rows

    distil(
        model,
        Teacher(encoder),
        tiles,
        sorted(rows),
        sorted(val_rows),
        config,
        log=out_dir / LOG,
        show=show,
    )
    with replacing(path) as fresh:
        save_file({k: v.cpu().contiguous() for k, v in tower.state_dict().items()}, fresh)
