"""Training targets and losses of the encoder."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from finetune.encoder.config import EncoderConfig
from finetune.encoder.pack import LABELS_ONLY, POSITIVE, UNCERTAIN, UNKNOWN, Pack
from indexer.encoder.network import ImageNetwork, ImageOutputs


@dataclass(frozen=True, kw_only=True)
class StudyBatch:
    """Targets of b studies, two images each."""

    labels: Tensor  # (b, 14), 0 to 1
    known: Tensor  # (b, 14), weight of each label
    terms: Tensor  # (b, t)
    present: Tensor  # (b,), 1 where the study has a report
    reported: Tensor  # (b,), the same, but also of the study that is mixed in
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
            known=torch.minimum(self.known, self.known[other]),
            terms=mix(self.terms),
            present=self.present,
            reported=self.reported * self.reported[other],
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
        weight = np.ones(len(pack.split), np.float32)
        weight[pack.split == LABELS_ONLY] = config.labels_only
        self._known = (states != UNKNOWN).float() * put(weight)[:, None]
        self._reported = put((pack.split != LABELS_ONLY).astype(np.float32))
        self._terms = put(pack.terms).float()
        self.texts = put(pack.texts).float()
        self.has_text = self.texts.abs().sum(dim=2) > 0  # (n, 3)
        self._frontal = put(pack.image_frontal).float()
        self._rows = put(rows)
        self.similarity = self._likenesses(pack)
        self.reward = 10 * self._words + self._by_terms  # the first is about CIDEr
        usable = torch.zeros(len(pack.split), device=device, dtype=torch.bool)
        usable[self._rows] = True
        self.candidate = usable & (self._reported > 0)
        self.bank = torch.zeros((len(pack.split), config.dim), device=device)
        self.filled = torch.zeros_like(usable)

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
            known=self._known[index],
            terms=self._terms[index],
            present=self._reported[index],
            reported=self._reported[index],
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
        priors = self._labels[self._rows].mean(dim=0).clamp(0.002, 0.5)
        emphasis = ((1 - priors) / priors).sqrt().clamp(max=8.0)
        first, second = seen.labels.chunk(2)

        def label_loss(logits: Tensor) -> Tensor:
            loss = functional.binary_cross_entropy_with_logits(
                logits, batch.labels, pos_weight=emphasis, reduction="none"
            )
            return (loss * batch.known).sum() / batch.known.sum().clamp(min=1)

        term_priors = self._terms[self._rows].mean(dim=0).clamp(0.002, 0.5)
        term_emphasis = ((1 - term_priors) / term_priors).sqrt().clamp(max=8.0)
        term_logits = torch.stack(seen.terms.chunk(2)).mean(dim=0)
        term_loss = functional.binary_cross_entropy_with_logits(
            term_logits, batch.terms, pos_weight=term_emphasis, reduction="none"
        ).mean(dim=1)
        images = functional.normalize(seen.embeddings, dim=1)
        studies = functional.normalize(torch.stack(images.chunk(2)).sum(dim=0), dim=1)
        texts = functional.normalize(network.text(batch.texts), dim=1)
        return {
            "labels": config.label_weight * label_loss((first + second) / 2),
            "image_labels": config.single_image_weight
            * (label_loss(first) + label_loss(second))
            / 2,
            "terms": config.term_weight
            * 5
            * (term_loss * batch.reported).sum()
            / batch.reported.sum().clamp(min=1),
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
        absent = batch.present[None] == 0
        here = batch.similarity[:, batch.rows]
        soft = (here / config.target_temperature).masked_fill(absent, -1e4).softmax(dim=1)
        wanted = config.identity * eye + (1 - config.identity) * soft
        backward = wanted.T / wanted.T.sum(dim=1, keepdim=True).clamp(min=1e-6)
        if batch.other is not None:
            wanted = batch.share * wanted + (1 - batch.share) * wanted[batch.other]
            backward = batch.share * backward + (1 - batch.share) * backward[:, batch.other]
        logits = (scale.clamp(max=4.0).exp() * studies @ texts.T).masked_fill(absent, -1e4)
        there = -(wanted * logits.log_softmax(dim=1)).sum(dim=1)
        back = -(backward * logits.T.log_softmax(dim=1)).sum(dim=1)
        count = batch.reported.sum().clamp(min=1)
        return ((there + back) * batch.reported).sum() / (2 * count)

    def _image_losses(self, studies: Tensor, batch: StudyBatch) -> dict[str, Tensor]:
        """Studies that resemble each other are to lie close, and the closest one is to have the
        report most worth copying. The candidates are all studies as they were last seen; a study
        is not its own answer."""
        config = self._config
        rows = batch.rows
        bank = self.bank.clone()
        bank[rows] = studies
        hidden = (~(self.candidate & self.filled)).repeat(len(rows), 1)
        hidden[:, rows] = batch.present[None] == 0
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
        count = batch.reported.sum().clamp(min=1)
        if batch.other is None:
            self.bank[rows] = studies.detach()
            self.filled[rows] = True
        return {
            "images": config.image_weight * (far * batch.reported).sum() / count,
            "choice": config.choice_weight * (missed * batch.reported).sum() / count,
        }
