"""The last stage: fit the projections of images and texts for search, the network fixed.

A case of an index is known by its images and its report, a query by its images alone. So the vector
of a case is the sum of its images' and, longer, of its report's; the images of another study are to
find the case whose report is most worth copying. Only two matrices and a bias are learnt, from the
pooled features of the training images, half of which are dropped at every step: the tower has seen
these images, and its features say too much about their reports.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from finetune.encoder.config import EncoderConfig
from finetune.encoder.losses import Targets
from finetune.encoder.pack import Pack
from finetune.encoder.projections.sentences import SentenceTruth, sentence_loss
from indexer.encoder.network import ImageNetwork


@dataclass(frozen=True, kw_only=True)
class _Images:
    """Pooled features of the training images, and the place of each one's study."""

    features: Tensor  # (f, width)
    place: Tensor  # (f,), from 0 in the order of the training rows
    of_study: list[np.ndarray]


def fit_projections(
    network: ImageNetwork, features: Tensor, pack: Pack, config: EncoderConfig, rows: np.ndarray
) -> None:
    """Change the projections of images and texts in place.

    ``features`` (f, width) are the pooled features of all images of the pack, ``rows`` the studies
    that may be trained on.
    """
    device = features.device
    targets = Targets(pack, config, rows, device)
    images = _images(features, pack, rows)
    rng = np.random.default_rng((config.seed, 77))
    torch.manual_seed(config.seed)
    layer = network.visual.head.proj
    with torch.no_grad():  # centred, so that cosines tell studies apart
        layer.bias.copy_(-(layer.weight @ images.features.mean(dim=0)))
    weights = [layer.weight, layer.bias, network.text.weight]
    optimizer = torch.optim.AdamW(weights, lr=config.fit_lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, config.fit_steps))
    index = torch.from_numpy(rows).to(device)
    similarity, reward = targets.similarity[index][:, index], targets.reward[index][:, index]
    if config.fit_labels:
        reward = reward + config.fit_labels * targets.shared_findings(index)
    reports = targets.texts[index, 0]  # (s, 384)
    told = _Told(pack, index, config) if pack.sentences and config.fit_sentences else None
    for _ in range(config.fit_steps):
        places = rng.choice(len(rows), min(config.fit_batch, len(rows)), replace=False)
        picked = torch.from_numpy(places).to(device)
        queries = _studies(layer, images, places, rng, config.fit_dropout)
        of_images = _sum(
            functional.normalize(layer(images.features), dim=1), images.place, len(rows)
        )
        of_reports = functional.normalize(network.text(reports), dim=1)
        cases = functional.normalize(of_images + config.report_weight * of_reports, dim=1)
        own = functional.one_hot(picked, len(rows)).bool()
        cosines = (queries @ cases.T).masked_fill(own, -1.0)
        wanted = (similarity[picked] / config.target_temperature).masked_fill(own, -1e4)
        logits = (cosines / 0.05).masked_fill(own, -1e4)
        far = -(wanted.softmax(dim=1) * logits.log_softmax(dim=1)).sum(dim=1).mean()
        choice = (cosines / config.choice_temperature).masked_fill(own, -1e4).softmax(dim=1)
        worth = (choice * reward[picked]).sum(dim=1).mean()
        texts = _draw_texts(targets, index[picked], rng)
        loss = far - config.fit_choice * worth
        loss = loss + 0.5 * _text_loss(
            queries,
            functional.normalize(network.text(texts), dim=1),
            similarity[picked][:, picked],
            config,
        )
        if told is not None:
            loss = loss + config.fit_sentences * told.loss(network, cases, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


class _Told:
    """The sentences of reports in train: half of a batch say that something is there."""

    def __init__(self, pack: Pack, rows: Tensor, config: EncoderConfig) -> None:
        sentences = pack.sentences
        assert sentences is not None
        self._truth = SentenceTruth(sentences, rows)
        self._embeddings = torch.from_numpy(sentences.embeddings).float().to(rows.device)
        positive = sentences.positive()
        kinds = (positive & ~sentences.val, ~positive & ~sentences.val)
        self._kinds = [np.flatnonzero(kind) for kind in kinds if kind.any()]
        self._batch = config.fit_batch

    def loss(self, network: ImageNetwork, cases: Tensor, rng: np.random.Generator) -> Tensor:
        """``cases`` (m, dim), of unit length, are those of the rows."""
        drawn = np.concatenate([rng.choice(kind, self._batch // 2) for kind in self._kinds])
        chosen = torch.from_numpy(drawn).to(cases.device)
        told = functional.normalize(network.text(self._embeddings[chosen]), dim=1)
        return sentence_loss(told @ cases.T, self._truth.of(chosen), 0.05)


def _images(features: Tensor, pack: Pack, rows: np.ndarray) -> _Images:
    place = np.full(len(pack.study_ids), -1)
    place[rows] = np.arange(len(rows))
    of_image = place[pack.image_study]
    kept = np.flatnonzero(of_image >= 0)
    order = np.argsort(of_image[kept], kind="stable")
    bounds = np.cumsum(np.bincount(of_image[kept], minlength=len(rows)))[:-1]
    return _Images(
        features=features[torch.from_numpy(kept).to(features.device)],
        place=torch.from_numpy(of_image[kept]).to(features.device),
        of_study=np.split(order, bounds),
    )


def _studies(
    layer: torch.nn.Linear,
    images: _Images,
    places: np.ndarray,
    rng: np.random.Generator,
    dropout: float,
) -> Tensor:
    """Two images of each study, features dropped at random: (b, dim), unit length."""
    total = torch.zeros((), device=images.features.device)
    for _ in range(2):
        chosen = np.array([rng.choice(images.of_study[place]) for place in places])
        some = images.features[torch.from_numpy(chosen).to(images.features.device)]
        total = total + functional.normalize(layer(functional.dropout(some, dropout)), dim=1)
    return functional.normalize(total, dim=1)


def _sum(vectors: Tensor, place: Tensor, count: int) -> Tensor:
    total = vectors.new_zeros((count, vectors.shape[1])).index_add(0, place, vectors)
    return functional.normalize(total, dim=1)


def _draw_texts(targets: Targets, rows: Tensor, rng: np.random.Generator) -> Tensor:
    """The whole report, its impression or its indexing terms, where there are such."""
    draws = torch.from_numpy(rng.choice(3, size=len(rows), p=(0.6, 0.2, 0.2))).to(rows.device)
    draws = torch.where(targets.has_text[rows, draws], draws, 0)
    return targets.texts[rows, draws]


def _text_loss(images: Tensor, texts: Tensor, similarity: Tensor, config: EncoderConfig) -> Tensor:
    logits = 14.0 * images @ texts.T
    soft = (similarity / config.target_temperature).softmax(dim=1)
    wanted = config.identity * torch.eye(len(images), device=images.device)
    wanted = wanted + (1 - config.identity) * soft
    there = -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()
    back = -(wanted * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (there + back) / 2
