"""Encoders in folders: those that `finetune.encoder.export` writes, and plain open_clip ones.

    from_folder(Path("pretrained/encoder"), name="pretrained/encoder")

A folder holds a config beside ``open_clip_model.safetensors``. If the config has a ``text_tower``,
`finetune.encoder.export` wrote the folder: ``heads.safetensors`` holds the heads for observations
and view, ``network.onnx`` the graph of tower and heads, and the weights of the text tower come from
the package named in the config, or from the folder itself. They are read when the first text is
embedded. Such an encoder runs without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from db.errors import MismatchError, NotFoundError, UserError
from db.files import parse_json
from indexer.encoder.dual_encoder import Forward, OpenClipEncoder
from indexer.encoder.onnx.graph import open_graph
from indexer.encoder.onnx.session import cache_key, compiled, runs_on
from indexer.encoder.preprocessing import PreprocessConfig
from indexer.encoder.text import TextTower, config_text_tower
from indexer.encoder.weight_files import CONFIG, HEADS, MODEL, file_sha256

if TYPE_CHECKING:
    from torch import nn

EXTRA = "extra.weight"
"""Of the head for `EXTRA_FINDINGS`, which older folders do not have."""

_OUTPUTS = "rows and class maps"
"""What the network gives; part of the key under which its export is cached."""


def from_folder(
    folder: Path, *, name: str, device: str = "cpu", threads: int = 0
) -> OpenClipEncoder:
    """Load an encoder from a folder in open_clip's format.

    Raises NotFoundError for a missing file and MismatchError for files of different encoders.
    """
    config = read_config(folder)
    if "text_tower" not in config:
        from indexer.encoder.open_clip import from_open_clip

        return from_open_clip(f"local-dir:{folder}", name=name, device=device)
    weights = folder / MODEL
    if not weights.is_file():
        raise NotFoundError(f"{folder} has a {CONFIG} but no {MODEL}: export the encoder again")
    try:
        model = config["model_cfg"]
        dim = int(model["embed_dim"])
        context_length = int(model["text_cfg"]["context_length"])
        preprocess = PreprocessConfig(**config["preprocess_cfg"])
        with safe_open(weights, framework="np") as stored:
            projection = stored.get_tensor("text.proj.weight")
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise MismatchError(
            f"the files in {folder} do not belong together ({error}): export the encoder again"
        ) from error
    return OpenClipEncoder(
        _forward(folder, config, device, threads),
        name=name,
        weights_sha256=file_sha256(weights),
        dim=dim,
        preprocess=preprocess,
        report_weight=float(config.get("report_weight", 0.0)),
        heads=True,
        extra=_has_extra(folder / HEADS),
        label_thresholds=config.get("label_thresholds"),
        embed_text=TextTower(
            config_text_tower(config["text_tower"], folder),
            dim=dim,
            context_length=context_length,
            projection=projection,
            device=device,
        ),
        device=device,
    )


def _forward(folder: Path, config: dict[str, Any], device: str, threads: int) -> Forward:
    """The network from the folder's own graph, else from the cache, else exported by torch."""
    found = open_graph(folder, device=device, threads=threads) if runs_on(device) else None
    if found is not None:
        return found

    def network() -> "nn.Module":
        from indexer.encoder.trained import read_network

        return read_network(folder)

    files = [folder / CONFIG, folder / MODEL, folder / HEADS]
    return compiled(
        network,
        size=image_size(config),
        key=cache_key(*files, network=_OUTPUTS) if files[-1].is_file() else None,
        device=device,
        threads=threads,
    )


def image_size(config: dict[str, Any]) -> int:
    """Side of the images that the network reads; 0 where the config does not say."""
    return int(config.get("model_cfg", {}).get("vision_cfg", {}).get("image_size", 0))


def _has_extra(heads: Path) -> bool:
    if not heads.is_file():
        return False
    with safe_open(heads, framework="np") as stored:
        return EXTRA in stored.keys()  # noqa: SIM118  # it is no mapping


def read_config(folder: Path) -> dict[str, Any]:
    """Read an encoder's config. Raises NotFoundError without one, UserError if it is not JSON."""
    path = folder / CONFIG
    if not path.is_file():
        raise NotFoundError(f"{folder} is not an encoder: it has no {CONFIG}")
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): export the encoder again") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object: export the encoder again")
    return config
