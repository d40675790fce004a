"""Scores of an encoder on the embeddings of a pack, for selection on val."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score

from db.labels import NO_FINDING, OBSERVATIONS
from finetune.encoder.augment import normalise
from finetune.encoder.config import EncoderConfig
from finetune.encoder.pack import POSITIVE, TRAIN, UNCERTAIN, VAL, Pack
from indexer.encoder.network import ImageNetwork

Floats = npt.NDArray[np.float32]
MIN_POSITIVES = 10


@dataclass(frozen=True, eq=False)
class Embedded:
    """All images of a pack as a network sees them."""

    pooled: Floats  # (f, width)
    vectors: Floats  # (f, dim), unit length
    labels: Floats  # (f, 14), logits
    terms: Floats  # (f, t), logits
    frontal: Floats  # (f,), logits
    extra: Floats  # (f, 5), logits


@torch.inference_mode()
def embed_images(network: ImageNetwork, images: torch.Tensor, batch: int = 256) -> Embedded:
    """Images (f, h, w) uint8 on the network's device."""
    network.eval()
    parts = []
    cuda = images.device.type == "cuda"
    for start in range(0, len(images), batch):
        pixels = normalise(images[start : start + batch]).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast(images.device.type, torch.bfloat16, enabled=cuda):
            seen = network(pixels).float()
        unit = torch.nn.functional.normalize(seen.embeddings, dim=1)
        parts.append(
            {
                "pooled": seen.pooled,
                "vectors": unit,
                "labels": seen.labels,
                "terms": seen.terms,
                "frontal": seen.frontal,
                "extra": seen.extra,
            }
        )
    return Embedded(**{n: torch.cat([p[n] for p in parts]).cpu().numpy() for n in parts[0]})


def of_studies(values: Floats, image_study: npt.NDArray[np.int32], n: int) -> Floats:
    """Mean over the images of each study: (f, ...) -> (n, ...); NaN for a study without images."""
    total = np.zeros((n, *values.shape[1:]), np.float64)
    np.add.at(total, image_study, values)
    count = np.bincount(image_study, minlength=n).reshape(n, *[1] * (values.ndim - 1))
    return (total / count).astype(np.float32)


def unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normed: Floats = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return normed


def score(
    pack: Pack, embedded: Embedded, config: EncoderConfig, reports: Floats | None = None
) -> dict[str, float]:
    """Scores on val, and under ``fold_`` on the studies of the fold that was left out.

    With ``reports`` (n, dim), the embeddings of the studies' reports, cases are known by images and
    report together; without, by their images alone.
    """
    n = len(pack.study_ids)
    vectors = unit(of_studies(embedded.vectors, pack.image_study, n))
    labels = of_studies(embedded.labels, pack.image_study, n)
    terms = of_studies(embedded.terms, pack.image_study, n)
    cases = None if reports is None else unit(vectors + config.report_weight * reports)
    index = pack.split == TRAIN
    queries = {"": pack.split == VAL}
    if config.folds > 1:
        left_out = pack.folds(config.folds) == config.fold
        queries["fold_"] = index & left_out
        queries["all_"] = queries[""] | queries["fold_"]
        index = index & ~left_out
    right = (embedded.frontal > 0) == (pack.image_frontal == 1)
    scores = {"view": float(right[np.isin(pack.image_study, np.flatnonzero(queries[""]))].mean())}
    for prefix, chosen in queries.items():
        if not chosen.any():
            continue
        parts = retrieval_scores(
            pack, vectors, np.flatnonzero(index), np.flatnonzero(chosen), cases
        )
        parts["head"] = mean_auc(pack.labels[chosen], labels[chosen])
        parts["terms"] = mean_auc(pack.terms[chosen], terms[chosen], first=0)
        scores |= {prefix + name: value for name, value in parts.items()}
    return scores


def retrieval_scores(
    pack: Pack,
    vectors: Floats,
    index: npt.NDArray[np.int64],
    queries: npt.NDArray[np.int64],
    cases: Floats | None = None,
) -> dict[str, float]:
    """Votes of the nearest studies, and what copying the nearest one scores."""
    similarity = vectors[queries] @ (vectors if cases is None else cases)[index].T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :100]
    near = np.take_along_axis(similarity, order, axis=1)
    positive = np.isin(pack.labels, (POSITIVE, UNCERTAIN)).astype(np.float32)
    found = positive[index][order]  # (q, 100, 14)
    scores = {}
    for k in (10, 20, 50):
        weight = np.maximum(near[:, :k], 0)
        vote = (weight[..., None] * found[:, :k]).sum(axis=1) / weight.sum(axis=1)[:, None]
        scores[f"knn{k}"] = mean_auc(pack.labels[queries], vote)
    weight = np.exp((near - near[:, :1]) / 0.05)
    vote = (weight[..., None] * found).sum(axis=1) / weight.sum(axis=1)[:, None]
    scores["knnx"] = mean_auc(pack.labels[queries], vote)
    nearest = index[order[:, 0]]
    wanted, copied = positive[queries][:, 1:], positive[nearest][:, 1:]
    scores["f1"] = float(2 * (wanted * copied).sum() / max(1.0, (wanted + copied).sum()))
    val = np.flatnonzero(pack.split == VAL)
    if np.array_equal(queries, val):
        five = pack.cider[np.arange(len(val))[:, None], index[order[:, :5]]].astype(np.float64)
        scores["cider5"] = float(five.mean())
        scores["cider"] = float(pack.cider[np.arange(len(val)), nearest].astype(np.float64).mean())
    scores["similarity"] = float(pack.similarity[queries, nearest].mean() / 25.5)
    return scores


def mean_auc(
    states: npt.NDArray[np.integer], values: Floats, *, first: int = 1, least: int = MIN_POSITIVES
) -> float:
    """Mean area under the curve of the columns from ``first`` with enough positives."""
    positive = np.isin(states, (POSITIVE, UNCERTAIN))
    columns = [
        column
        for column in range(first, positive.shape[1])
        if least <= positive[:, column].sum() < len(positive)
    ]
    areas = [roc_auc_score(positive[:, column], values[:, column]) for column in columns]
    return float(np.mean(areas)) if areas else float("nan")


def thresholds(pack: Pack, embedded: Embedded) -> dict[str, float]:
    """The probability above which a label counts as seen: one for all findings, at which as many
    are seen on the val studies as their reports name, and one of its own for No Finding.

    One for each finding, fitted to its few studies, scores a lower micro F1 than one for all.
    """
    val = pack.split == VAL
    logits = of_studies(embedded.labels, pack.image_study, len(pack.study_ids))[val]
    named = np.isin(pack.labels[val], (POSITIVE, UNCERTAIN))
    findings = np.array([name != NO_FINDING for name in OBSERVATIONS])
    for_findings = _bound(logits[:, findings], named[:, findings])
    for_none = _bound(logits[:, ~findings], named[:, ~findings])
    return {name: for_none if name == NO_FINDING else for_findings for name in OBSERVATIONS}


def _bound(logits: Floats, named: npt.NDArray[np.bool_]) -> float:
    """The probability that as many exceed as are named."""
    bound = np.quantile(logits, 1 - named.mean())
    return round(float(1 / (1 + np.exp(-bound))), 4)
