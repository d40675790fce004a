"""One encoder from several runs: each is trained, then their weights are averaged.

The runs start from the same weights and differ in their random draws, so that the average of what
they end at is one network that does better than each of them (Wortsman et al., "Model soups", ICML
2022). Runs that are finished are not repeated, and an unfinished one goes on where it stopped.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from db.errors import MismatchError, NotFoundError
from db.files import replacing, write_json
from finetune.encoder.augment import normalise
from finetune.encoder.config import TOWER, EncoderConfig
from finetune.encoder.pack import Pack
from finetune.encoder.projection import fit_projections
from finetune.encoder.scores import embed_images, score, thresholds
from finetune.encoder.trainer import CHECKPOINT, LOG, EncoderTrainer, training_rows
from finetune.training.curves import draw_curves
from indexer.encoder.network import ImageNetwork, imagenet_weights

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
SCORES = "scores.json"
CURVES = "curves.png"

PANELS = {
    "training loss": EncoderTrainer.losses,
    "val": ("head", "knn50", "knnx", "terms", "f1", "cider"),
}

Show = Callable[[str], None]


def new_network(config: EncoderConfig, pack: Pack, initial: Path | None = None) -> ImageNetwork:
    """What every run starts from: an ImageNet tower and heads drawn with the config's seed."""
    torch.manual_seed(config.seed)
    network = _empty(config, pack)
    if config.tower == TOWER:
        network.load_tower(imagenet_weights(initial))
    return network


def train_part(
    name: str,
    config: EncoderConfig,
    pack: Pack,
    run_dir: Path,
    *,
    device: str,
    initial: Path | None = None,
    show: Show | None = None,
) -> Path:
    """Train one run in ``run_dir/name`` unless it is finished there; its weights file."""
    part_dir = run_dir / name
    weights = part_dir / WEIGHTS
    stated = part_dir / CONFIG
    if stated.is_file() and json.loads(stated.read_text(encoding="utf-8")) != asdict(config):
        raise MismatchError(f"{part_dir} holds a run with other settings: name another directory")
    if weights.is_file():
        return weights
    part_dir.mkdir(parents=True, exist_ok=True)
    write_json(stated, asdict(config))
    trainer = EncoderTrainer(
        config, pack, part_dir, network=new_network(config, pack, initial), device=device
    )
    trainer.train(show=None if show is None else lambda line: show(f"{name}: {line}"))
    draw_curves(part_dir / LOG, part_dir / CURVES, PANELS, over="epoch")
    write_weights(trainer.average.module.state_dict(), weights)
    (part_dir / CHECKPOINT).unlink(missing_ok=True)
    return weights


def finish(
    parts: Sequence[Path], config: EncoderConfig, pack: Pack, out_dir: Path, *, device: str
) -> dict[str, Any]:
    """Average the weights of runs, fit the projections, and write the encoder to ``out_dir``.

    The statistics of the batch normalisations are measured anew for an average, on the training
    images as they are. Returns the scores on val, which are written too.
    """
    for path in parts:
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: train that run first")
    states = [load_file(path) for path in parts]
    network = _empty(config, pack)
    network.load_state_dict(
        {
            name: torch.stack([state[name].double() for state in states])
            .mean(dim=0)
            .to(value.dtype)
            for name, value in states[0].items()
        }
    )
    network = network.to(torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.from_numpy(pack.images()).to(device)
    rows = training_rows(pack, config)
    if len(parts) > 1:
        measure_statistics(
            network, images, np.flatnonzero(np.isin(pack.image_study, rows)), seed=config.seed
        )
    embedded = embed_images(network, images)
    if config.fit_steps:
        features = torch.from_numpy(embedded.pooled).to(device)
        fit_projections(network, features, pack, config, rows)
        with torch.no_grad():
            vectors = functional.normalize(network.visual.head(features), dim=1).cpu().numpy()
        embedded = replace(embedded, vectors=vectors)
    with torch.no_grad():
        reports = functional.normalize(
            network.text(torch.from_numpy(pack.texts[:, 0]).float().to(device)), dim=1
        ).cpu()
    scores: dict[str, Any] = dict(score(pack, embedded, config, reports.numpy()))
    scores["label_thresholds"] = thresholds(pack, embedded)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_weights(network.state_dict(), out_dir / WEIGHTS)
    write_json(out_dir / CONFIG, asdict(config))
    write_json(out_dir / SCORES, scores)
    return scores


def _empty(config: EncoderConfig, pack: Pack) -> ImageNetwork:
    return ImageNetwork(
        dim=config.dim,
        terms=len(pack.term_names),
        text_dim=pack.texts.shape[2],
        size=config.size,
        tower=config.tower,
        dropout=config.dropout,
        drop_path=config.drop_path,
    )


@torch.no_grad()
def measure_statistics(
    network: nn.Module, images: Tensor, rows: np.ndarray, *, seed: int, batch: int = 128
) -> None:
    """Means and variances of the batch normalisations, over at most 20 batches of images."""
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    order = np.random.default_rng(seed).permutation(rows)
    for start in range(0, max(1, min(len(order) - batch + 1, 20 * batch)), batch):
        index = torch.from_numpy(order[start : start + batch]).to(images.device)
        network(normalise(images[index]).contiguous(memory_format=torch.channels_last))
    network.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def write_weights(state: dict[str, Tensor], path: Path) -> None:
    with replacing(path) as fresh:
        save_file({name: value.cpu().contiguous() for name, value in state.items()}, fresh)
