"""One encoder from several runs: each is trained, then their weights are averaged.

The runs start from the same weights and differ in their random draws, so that the average of what
they end at is one network that does better than each of them (Wortsman et al., "Model soups", ICML
2022). Runs that are finished are not repeated, and an unfinished one goes on where it stopped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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
from finetune.encoder.config import EncoderConfig
from finetune.encoder.labelled.scores import labelled_scores
from finetune.encoder.labelled.start import StartTrainer
from finetune.encoder.learner import CHECKPOINT, LOG, EncoderLearner
from finetune.encoder.network import TrainingNetwork
from finetune.encoder.pack import Pack
from finetune.encoder.projections.fit import fit_projections
from finetune.encoder.projections.scores import sentence_scores
from finetune.encoder.scores import embed_images, of_studies, score, thresholds, unit
from finetune.encoder.trainer import EncoderTrainer, training_rows
from finetune.training.curves import draw_curves
from indexer.encoder.network import ImageNetwork

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
SCORES = "scores.json"
START = "start"
"""The part that all others start from."""
CURVES = "curves.png"

_STATISTICS = 24
"""Batches at most of which the batch normalisations are measured."""

PANELS = {
    "training loss": EncoderTrainer.losses,
    "val": ("head", "knn50", "knnx", "terms", "f1", "cider"),
}

Show = Callable[[str], None]


def train_start(
    config: EncoderConfig,
    pack: Pack,
    run_dir: Path,
    *,
    network: TrainingNetwork,
    device: str,
    show: Show | None = None,
) -> Path:
    """Write the weights that all runs start from, and return their file.

    They are those of ``network``, trained on the labelled images where the pack has such.
    """
    if pack.labelled is None or config.start_steps == 0:
        write_weights(network.state_dict(), run_dir / START / WEIGHTS)
        return run_dir / START / WEIGHTS
    labelled = pack.labelled
    return _train(
        START,
        config,
        run_dir,
        lambda out: StartTrainer(config, labelled, out, network=network, device=device),
        {"training loss": StartTrainer.losses},
        show,
    )


def train_part(
    name: str,
    config: EncoderConfig,
    pack: Pack,
    run_dir: Path,
    *,
    network: TrainingNetwork,
    device: str,
    show: Show | None = None,
) -> Path:
    """Train one run in ``run_dir/name``, and return the file of its weights.

    ``network`` is the run's to change: it starts from the weights of `train_start`. Raises
    NotFoundError without those.
    """
    start = run_dir / START / WEIGHTS
    if not start.is_file():
        raise NotFoundError(f"{start} does not exist: train the part '{START}' first")

    def trainer(out: Path) -> EncoderTrainer:
        network.load_state_dict(load_file(start))
        return EncoderTrainer(config, pack, out, network=network, device=device)

    return _train(name, config, run_dir, trainer, PANELS, show)


def _train(
    name: str,
    config: EncoderConfig,
    run_dir: Path,
    trainer: Callable[[Path], EncoderLearner],
    panels: Mapping[str, Sequence[str]],
    show: Show | None,
) -> Path:
    """Train in ``run_dir/name`` unless that is finished."""
    part_dir = run_dir / name
    weights, stated = part_dir / WEIGHTS, part_dir / CONFIG
    if stated.is_file() and json.loads(stated.read_text(encoding="utf-8")) != config.of_runs():
        raise MismatchError(f"{part_dir} holds a run with other settings: name another directory")
    if weights.is_file():
        return weights
    part_dir.mkdir(parents=True, exist_ok=True)
    write_json(stated, config.of_runs())
    learner = trainer(part_dir)
    learner.train(show=None if show is None else lambda line: show(f"{name}: {line}"))
    draw_curves(part_dir / LOG, part_dir / CURVES, panels, over="epoch")
    write_weights(learner.average.module.state_dict(), weights)
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
    network = TrainingNetwork(config, pack)
    network.load_state_dict(
        {
            name: torch.stack([state[name].double() for state in states])
            .mean(dim=0)
            .to(value.dtype)
            for name, value in states[0].items()
        }
    )
    network = network.to(torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.from_numpy(pack.images).to(device)
    rows = training_rows(pack, config)
    labelled = None if pack.labelled is None else torch.from_numpy(pack.labelled.images).to(device)
    if len(parts) > 1:
        sources = [images[torch.from_numpy(np.isin(pack.image_study, rows)).to(device)]]
        if pack.labelled is not None and labelled is not None:
            sources.append(labelled[torch.from_numpy(~pack.labelled.val).to(device)])
        measure_statistics(network, sources, seed=config.seed)
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
    if pack.labelled is not None and labelled is not None:
        scores |= labelled_scores(network, labelled, pack.labelled)
    if pack.sentences is not None:
        studies = of_studies(embedded.vectors, pack.image_study, len(pack.study_ids))
        cases = (unit(studies) + config.report_weight * reports.numpy()).astype(np.float32)
        indexed = torch.from_numpy(unit(cases)[rows]).to(device)
        scores |= sentence_scores(network, pack.sentences, indexed, rows)
    scores["label_thresholds"] = thresholds(pack, embedded)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_weights(network.state_dict(), out_dir / WEIGHTS)
    write_json(out_dir / CONFIG, asdict(config))
    write_json(out_dir / SCORES, scores)
    return scores


@torch.no_grad()
def measure_statistics(
    network: ImageNetwork, sources: Sequence[Tensor], *, seed: int, batch: int = 128
) -> None:
    """Measure means and variances of the batch normalisations on images as they are.

    ``sources`` hold images (f, h, w); the first one fills two thirds of each batch where there is
    another.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(source)) for source in sources]
    shares = [batch] if len(sources) == 1 else [batch - batch // 3, batch // 3]
    most = min(len(order) // share for order, share in zip(orders, shares, strict=True))
    for step in range(min(_STATISTICS, max(1, most))):
        drawn = [
            source[torch.from_numpy(order[step * share : (step + 1) * share]).to(source.device)]
            for source, order, share in zip(sources, orders, shares, strict=True)
        ]
        pixels = normalise(torch.cat(drawn)).contiguous(memory_format=torch.channels_last)
        network.visual.trunk(pixels)
    network.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def write_weights(state: dict[str, Tensor], path: Path) -> None:
    with replacing(path) as fresh:
        save_file({name: value.cpu().contiguous() for name, value in state.items()}, fresh)
