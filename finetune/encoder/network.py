"""The network in training: the encoder's own, and heads that only training has."""

from pathlib import Path

import torch
from torch import nn

from db.labels import OBSERVATIONS
from finetune.encoder.config import TOWER, EncoderConfig
from finetune.encoder.pack import Pack
from indexer.encoder.network import ImageNetwork, imagenet_weights
from indexer.sources.nih_folders import NIH_LABELS

TRAINING_HEADS = ("terms.", "source_labels.", "source_observations.", "source_bias")
"""Prefixes of the weights that an exported encoder does not have."""


class TrainingNetwork(ImageNetwork):
    """Has heads of their own for the labels of images without reports.

    Those labels mean something else than words in a report: the same name is given at another
    frequency, on other images. So a head of their own reads them, and the heads for reports learn
    from them only through a bias.
    """

    def __init__(self, config: EncoderConfig, pack: Pack) -> None:
        super().__init__(
            dim=config.dim,
            terms=len(pack.term_names),
            text_dim=pack.texts.shape[2],
            size=config.size,
            tower=config.tower,
            dropout=config.dropout,
            drop_path=config.drop_path,
        )
        width = self.visual.trunk.num_features
        self.source_labels = nn.Linear(width, len(NIH_LABELS))
        self.source_observations = nn.Linear(width, len(OBSERVATIONS))
        self.source_bias = nn.Parameter(torch.zeros(len(OBSERVATIONS)))


def new_network(config: EncoderConfig, pack: Pack, initial: Path | None = None) -> TrainingNetwork:
    """Build what every run starts from: an ImageNet tower and heads drawn with the seed."""
    torch.manual_seed(config.seed)
    network = TrainingNetwork(config, pack)
    if config.tower == TOWER:
        network.load_tower(imagenet_weights(initial))
    return network
