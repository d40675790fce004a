"""The first stage of a run: the vision tower learns from the encoder, once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import MllamaForConditionalGeneration

from finetune.examples.pack import ExamplePack
from recipes.small_mllama.batches import Tiles
from recipes.small_mllama.config import BaseConfig
from recipes.small_mllama.distil import distil
from recipes.small_mllama.teacher import Teacher

VISION = "vision.safetensors"
LOG = "distil.jsonl"


def learn_to_see(
    model: MllamaForConditionalGeneration,
    encoder: Path,
    tiles: Tiles,
    pack: ExamplePack,
    config: BaseConfig,
    out_dir: Path,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Train the tower, or read it where the run already has.

    Images of val examples are for the losses in the log alone.
    Raises NotFoundError or UserError for a folder that holds no encoder.
    """
    path = out_dir / VISION
    tower = model.model.vision_model
    if path.is_file():
        tower.load_state_dict(load_file(path, device=str(tiles.values.device)))
        return
    val_rows = {e.canvas for e in pack.val if e.canvas is not None}
    rows = {e.canvas for e in pack.train if e.canvas is not None} - val_rows

    def log(line: dict[str, Any]) -> None:
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}
        with (out_dir / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(rounded) + "\n")
        if progress:
            progress(rounded)

    distil(model, Teacher(encoder), tiles, sorted(rows), sorted(val_rows), config, progress=log)
    waiting = path.with_name(path.name + ".tmp")
    save_file({k: v.cpu().contiguous() for k, v in tower.state_dict().items()}, waiting)
    waiting.replace(path)
