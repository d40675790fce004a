"""A trained encoder as a folder that `indexer.encoder.spec` and plain `open_clip` load.

export(run_dir, Path("my-encoder"))                      # with its text tower, for anybody
export(run_dir, Path("pretrained/encoder"), text_tower=False)   # names the package instead
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from db.errors import NotFoundError
from db.files import replacing, write_json
from finetune.encoder.run import CONFIG as RUN_CONFIG
from finetune.encoder.run import SCORES, WEIGHTS
from indexer.encoder.network import MEAN, STD
from indexer.encoder.onnx.export import write_graph
from indexer.encoder.text import CONTEXT_LENGTH, TextSource
from indexer.encoder.text_network import text_network
from indexer.encoder.weight_files import CONFIG, HEADS, MODEL, TEXT_PACKAGE, TEXT_VERSION

PUBLIC_TEXT_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_TEXT_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


def export(
    run_dir: Path, out_dir: Path, *, text_tower: bool = True, text_dir: Path | None = None
) -> None:
    """Write the encoder of a finished run; numbers in float16.

    With ``text_tower`` the folder holds the text tower too, and its config names that very folder:
    plain open_clip reads the text tower's architecture from there, so edit ``hf_model_name`` when
    it moves. ``text_dir`` is used in place of the package's text tower.
    Raises NotFoundError for a run that is not finished.
    """
    weights = run_dir / WEIGHTS
    if not weights.is_file():
        raise NotFoundError(f"{run_dir} holds no finished run: train first")
    state = load_file(weights)
    settings = json.loads((run_dir / RUN_CONFIG).read_text(encoding="utf-8"))
    dim = state["text.weight"].shape[0]
    out_dir.mkdir(parents=True, exist_ok=True)
    model: dict[str, Tensor] = {k: v for k, v in state.items() if k.startswith("visual.")}
    model["logit_scale"] = state["scale"]
    model["text.proj.weight"] = state["text.weight"]
    config: dict[str, Any] = {
        "model_cfg": model_config(settings["tower"], dim, int(settings["size"])),
        "preprocess_cfg": {
            "size": int(settings["size"]),
            "mode": "RGB",
            "mean": list(MEAN),
            "std": list(STD),
            "interpolation": "bicubic",
            "resize_mode": "longest",
            "fill_color": 0,
        },
        "text_tower": {"package": TEXT_PACKAGE, "version": TEXT_VERSION},
        "report_weight": settings["report_weight"],
    }
    scores = run_dir / SCORES
    if scores.is_file():
        stored = json.loads(scores.read_text(encoding="utf-8"))
        config["label_thresholds"] = stored.get("label_thresholds", {})
    if text_tower:
        source = TextSource(package=TEXT_PACKAGE, version=TEXT_VERSION, folder=text_dir).find()
        _add_text_tower(model, config, source, out_dir, dim)
    _write(model, out_dir / MODEL)
    heads = {k: v for k, v in state.items() if k.startswith(("labels.", "frontal.", "extra."))}
    _write(heads, out_dir / HEADS)
    write_json(out_dir / CONFIG, config)
    write_graph(out_dir)


def model_config(tower: str, dim: int, size: int) -> dict[str, Any]:
    """`CustomTextCLIP`'s arguments."""
    return {
        "embed_dim": dim,
        "vision_cfg": {
            "timm_model_name": tower,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "timm_proj_bias": True,
            "image_size": size,
        },
        "text_cfg": {
            "hf_model_name": PUBLIC_TEXT_NAME,
            "hf_tokenizer_name": PUBLIC_TEXT_NAME,
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": "linear",
            "context_length": CONTEXT_LENGTH,
        },
    }


def _add_text_tower(
    model: dict[str, Tensor], config: dict[str, Any], source: Path, out_dir: Path, dim: int
) -> None:
    for name in _TEXT_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out_dir / name)
    tower = text_network(source, dim, projected=True)
    model |= {
        f"text.{name}": value
        for name, value in tower.state_dict().items()
        if not name.startswith("proj.")
    }
    config["model_cfg"]["text_cfg"]["hf_model_name"] = str(out_dir.resolve())
    config["text_tower"] = {"folder": "."}


def _write(state: Mapping[str, Tensor], path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    with replacing(path) as fresh:
        save_file({k: v.contiguous() for k, v in half.items()}, fresh)
        fresh.chmod(0o644)  # safetensors leaves it to the owner alone
