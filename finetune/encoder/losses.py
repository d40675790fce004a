"""Training targets and losses of the encoder."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from db.labels import EXTRA_FINDINGS
from finetune.encoder.config import EncoderConfig
from finetune.encoder.pack import POSITIVE, UNCERTAIN, Pack
from indexer.encoder.network import ImageNetwork, ImageOutputs

LOSSES = ("labels", "image_labels", "terms", "extra", "view", "texts", "images", "choice")

_LABEL_F1 = 0.35
"""Of the nearest cases of val, about."""

EXTRA_TERMS: Mapping[str, tuple[str, ...]] = {
    "Emphysema": ("emphysema", "pulmonary emphysema"),
    "Fibrosis": ("pulmonary fibrosis", "fibrosi", "fibrose"),
    "Hernia": ("hernia, hiatal", "hiatal hernia"),
    "Nodule": ("nodule", "solitary pulmonary nodule"),
    "Mass": ("mass",),
}
"""Further finding to the indexing terms that say it, without their qualifiers."""


@dataclass(frozen=True, kw_only=True)
class StudyBatch:
    """Targets of b studies, two images each."""

    labels: Tensor  # (b, 14), 0 to 1
    terms: Tensor  # (b, t)
    extra: Tensor  # (b, 5)
    texts: Tensor  # (b, 384)
    rows: Tensor  # (b,), of the pack
    similarity: Tensor  # (b, n), of each study of the batch with every study; 0 to 2 or so
    reward: Tensor  # (b, n), what copying that study's report would be worth
    frontal: Tensor  # (2 b,)
    other: Tensor | None = None
    """With mixup: the study that is mixed in."""
    share: float = 1.0

    def mixed(self, other: Tensor, share: float) -> "StudyBatch":
        both = torch.cat([other, other + len(other)])

        def mix(values: Tensor, index: Tensor = other) -> Tensor:
            return share * values + (1 - share) * values[index]

        return StudyBatch(
            labels=mix(self.labels),
            terms=mix(self.terms),
            extra=mix(self.extra),
            texts=self.texts,
            rows=self.rows,
            similarity=self.similarity,
            reward=self.reward,
            frontal=mix(self.frontal, both),
            other=other,
            share=share,
        )


class Targets:
    """Turns rows of a pack into targets; kept on the training device."""

    def __init__(
        self, pack: Pack, config: EncoderConfig, rows: np.ndarray, device: torch.device
    ) -> None:
        self._config, self._device = config, device

        def put(values: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        states = put(pack.labels.astype(np.int64))
        self._labels = (states == POSITIVE).float() + config.uncertain * (states == UNCERTAIN)
        self._terms = put(pack.terms).float()
        self._extra = put(_extra_findings(pack))
        self.texts = put(pack.texts).float()
        self.has_text = self.texts.abs().sum(dim=2) > 0  # (n, 3)
        self._frontal = put(pack.image_frontal).float()
        self._rows = put(rows)
        self.similarity = self._likenesses(pack)
        self.reward = 10 * self._words + self._by_terms  # the first is about CIDEr
        self.candidate = torch.zeros(len(pack.split), device=device, dtype=torch.bool)
        self.candidate[self._rows] = True
        self.bank = torch.zeros((len(pack.split), config.dim), device=device)
        self.filled = torch.zeros_like(self.candidate)

    def shared_findings(self, rows: Tensor) -> Tensor:
        """Return what the findings of each study are worth as an answer for each other: (s, s).

        Twice the findings that both have, less a share of those of the answer: where that share is
        the micro F1 reached, the best answer of each study is the one that raises it most.
        """
        findings = self._labels[rows][:, 1:]
        return 2 * findings @ findings.T - _LABEL_F1 * findings.sum(dim=1)

    def _likenesses(self, pack: Pack) -> Tensor:
        config = self._config
        # Indexing terms and observations, the rare ones counting more.
        marks = torch.cat([self._terms, self._labels], dim=1)
        rarity = (len(self._rows) / (1 + marks[self._rows].sum(dim=0))).log().clamp(min=0.1)
        by_terms = functional.normalize(marks * rarity, dim=1)
        whole = self.texts[:, 0]
        centre = whole[self._rows].mean(dim=0)
        by_meaning = functional.normalize(whole - centre, dim=1)
        self._words = torch.from_numpy(pack.similarity).to(self._device).float() / 255
        self._by_terms = by_terms @ by_terms.T
        return (
            config.similarity_by_terms * self._by_terms
            + config.similarity_by_meaning * by_meaning @ by_meaning.T
            + config.similarity_by_words * self._words
        )

    def priors(self) -> tuple[Tensor, Tensor]:
        """How common each observation and each term is in training: (14,), (t,)."""
        return self._labels[self._rows].mean(dim=0), self._terms[self._rows].mean(dim=0)

    def batch(self, rows: np.ndarray, images: Tensor, rng: np.random.Generator) -> StudyBatch:
        index = torch.from_numpy(rows).to(self._device)
        draws = torch.from_numpy(rng.choice(3, size=len(rows), p=(0.6, 0.2, 0.2))).to(self._device)
        draws = torch.where(self.has_text[index, draws], draws, 0)
        return StudyBatch(
            labels=self._labels[index],
            terms=self._terms[index],
            extra=self._extra[index],
            texts=self.texts[index, draws],
            rows=index,
            similarity=self.similarity[index],
            reward=self.reward[index],
            frontal=self._frontal[images.flatten()],
        )

    def losses(
        self, network: ImageNetwork, seen: ImageOutputs, batch: StudyBatch
    ) -> dict[str, Tensor]:
        """Each weighted loss by name; ``seen`` holds the first images, then the second ones."""
        config = self._config

        def named(logits: Tensor, wanted: Tensor, all_rows: Tensor) -> Tensor:
            priors = all_rows[self._rows].mean(dim=0).clamp(0.002, 0.5)
            emphasis = ((1 - priors) / priors).sqrt().clamp(max=8.0)
            return functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=emphasis)

        def of_study(logits: Tensor) -> Tensor:
            return torch.stack(logits.chunk(2)).mean(dim=0)

        first, second = seen.labels.chunk(2)
        images = functional.normalize(seen.embeddings, dim=1)
        studies = functional.normalize(torch.stack(images.chunk(2)).sum(dim=0), dim=1)
        texts = functional.normalize(network.text(batch.texts), dim=1)
        return {
            "labels": config.label_weight * named((first + second) / 2, batch.labels, self._labels),
            "image_labels": config.single_image_weight
            * (named(first, batch.labels, self._labels) + named(second, batch.labels, self._labels))
            / 2,
            "terms": config.term_weight * 5 * named(of_study(seen.terms), batch.terms, self._terms),
            "extra": config.extra_weight * named(of_study(seen.extra), batch.extra, self._extra),
            "view": config.view_weight
            * functional.binary_cross_entropy_with_logits(seen.frontal, batch.frontal),
            "texts": config.text_weight * self._text_loss(studies, texts, network.scale, batch),
            **self._image_losses(studies, batch),
        }

    def _text_loss(
        self, studies: Tensor, texts: Tensor, scale: Tensor, batch: StudyBatch
    ) -> Tensor:
        config = self._config
        eye = torch.eye(len(studies), device=studies.device)
        here = batch.similarity[:, batch.rows]
        soft = (here / config.target_temperature).softmax(dim=1)
        wanted = config.identity * eye + (1 - config.identity) * soft
        backward = wanted.T / wanted.T.sum(dim=1, keepdim=True).clamp(min=1e-6)
        if batch.other is not None:
            wanted = batch.share * wanted + (1 - batch.share) * wanted[batch.other]
            backward = batch.share * backward + (1 - batch.share) * backward[:, batch.other]
        logits = scale.clamp(max=4.0).exp() * studies @ texts.T
        there = -(wanted * logits.log_softmax(dim=1)).sum(dim=1)
        back = -(backward * logits.T.log_softmax(dim=1)).sum(dim=1)
        return (there + back).mean() / 2

    def _image_losses(self, studies: Tensor, batch: StudyBatch) -> dict[str, Tensor]:
        """Studies that resemble each other are to lie close, and the closest one is to have the
        report most worth copying. The candidates are all studies as they were last seen; a study
        is not its own answer."""
        config = self._config
        rows = batch.rows
        bank = self.bank.clone()
        bank[rows] = studies
        hidden = (~(self.candidate & self.filled)).repeat(len(rows), 1)
        hidden[:, rows] = False
        own = torch.arange(len(rows), device=rows.device)
        hidden[own, rows] = True
        similarity, reward = batch.similarity, batch.reward
        if batch.other is not None:
            similarity = batch.share * similarity + (1 - batch.share) * similarity[batch.other]
            reward = batch.share * reward + (1 - batch.share) * reward[batch.other]
            hidden[own, rows[batch.other]] = True
        wanted = (similarity / config.target_temperature).masked_fill(hidden, -1e4).softmax(dim=1)
        cosines = studies @ bank.T
        logits = (cosines / config.temperature).masked_fill(hidden, -1e4)
        far = -(wanted * logits.log_softmax(dim=1)).sum(dim=1)
        choice = (cosines / config.choice_temperature).masked_fill(hidden, -1e4).softmax(dim=1)
        missed = -(choice * reward).sum(dim=1)
        if batch.other is None:
            self.bank[rows] = studies.detach()
            self.filled[rows] = True
        return {
            "images": config.image_weight * far.mean(),
            "choice": config.choice_weight * missed.mean(),
        }


def _extra_findings(pack: Pack) -> np.ndarray:
    """Whether the indexing terms of each study say each further finding: (n, 5)."""
    found = np.zeros((len(pack.terms), len(EXTRA_FINDINGS)), np.float32)
    for column, finding in enumerate(EXTRA_FINDINGS):
        words = EXTRA_TERMS[finding]
        saying = [
            term.split("/")[0].removeprefix("auto:") in words for term in pack.term_names.tolist()
        ]
        found[:, column] = pack.terms[:, saying].any(axis=1)
    return found
