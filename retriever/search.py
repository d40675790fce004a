"""From the films of one study to the prior cases most like it.

retriever = Retriever.open(Path("data/index"))
retrieval = retriever.search(["pa.dcm", "lateral.dcm"], k=5, exclude_patient_ids=["p17"])
retrieval.hits[0].case.findings
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from db.cases import Case
from db.errors import UserError
from db.labels import OBSERVATIONS, named
from indexer.encoder import Encoder, combine_views, load_encoder
from indexer.images import Film, difference_hash, hamming, read_film
from indexer.index import Index
from retriever.retrieval import Hit, LeftOut, Retrieval

NEAR_COPY_SCORE = 0.995
NEAR_COPY_BITS = 3
"""A case is a near-copy of the query where its pixels are equal, or where the cosine is above the
first and the 64-bit difference hashes of two of their films are at most the second apart."""

FilmSource = Path | str | bytes | Film


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    case: Case
    score: float


class Retriever:
    """One opened index with the encoder that it was built with."""

    def __init__(self, index: Index, encoder: Encoder) -> None:
        """Raises MismatchError where index and encoder do not belong together."""
        index.require(encoder)
        self.index = index
        self.encoder = encoder
        self._labels = {
            case_id: named(labels) for case_id, labels in index.cases.label_sets().items()
        }

    @classmethod
    def open(cls, index_dir: Path | str, encoder: Encoder | None = None) -> Self:
        """Open an index directory; the encoder is the one its manifest names unless given."""
        index = Index.open(Path(index_dir))
        return cls(index, encoder or load_encoder(index.manifest.encoder.name))

    def search(
        self,
        images: Sequence[FilmSource],
        *,
        k: int = 5,
        exclude_patient_ids: Collection[str] = (),
        exclude_study_ids: Collection[str] = (),
        exclude_near_copies: bool = True,
        distinct_reports: bool = False,
        labels: Collection[str] = (),
        min_score: float | None = None,
    ) -> Retrieval:
        """The ``k`` best cases for the views of one study; fewer where fewer pass the rules.

        Cases of an excluded patient or study never appear. ``distinct_reports`` leaves out a case
        whose report says word for word what a better hit says. ``labels`` keeps only cases that
        name all these observations. Cases kept out by a rule on the query itself are listed in
        ``left_out``. Raises UserError for no image, an image that cannot be read, an unknown
        observation, or a ``k`` below 1.
        """
        if k < 1:
            raise UserError(f"k must be at least 1, not {k}")
        films = read_films(images)
        reading = self.encoder.read([film.pixels for film in films])
        query = combine_views(reading.vectors)
        excluded = self.index.cases.ids_of(
            patient_ids=exclude_patient_ids, study_ids=exclude_study_ids
        )
        left_out: list[LeftOut] = []
        hits: list[Hit] = []
        seen_reports: dict[str, str] = {}
        is_copy = self._copy_rule(films) if exclude_near_copies else None
        for candidate in self._candidates(query, k, excluded, self._with_labels(labels)):
            if len(hits) == k or (min_score is not None and candidate.score < min_score):
                break
            case = candidate.case
            reason = is_copy(candidate) if is_copy else None
            if reason is None and distinct_reports:
                first = seen_reports.setdefault(_plain(case.report), case.study_id)
                if first != case.study_id:
                    reason = f"same report as study {first}"
            if reason is None:
                hits.append(Hit(rank=len(hits) + 1, score=candidate.score, case=case))
            else:
                left_out.append(
                    LeftOut(
                        source=case.source,
                        study_id=case.study_id,
                        score=candidate.score,
                        reason=reason,
                    )
                )
        return Retrieval(
            hits=tuple(hits),
            left_out=tuple(left_out),
            index_fingerprint=self.index.manifest.fingerprint,
            source=self.index.manifest.source,
            films_sha256=tuple(film.sha256 for film in films),
            notes=tuple(note for film in films for note in film.notes),
            label_scores=_study_scores(reading.label_scores),
        )

    def _candidates(
        self, query: np.ndarray, k: int, excluded: Collection[int], only: Collection[int] | None
    ) -> Iterator[_Candidate]:
        """Best first, read from the index in growing portions until there are no more."""
        wanted, given = 2 * k + 8, 0
        while True:
            ids, scores = self.index.vectors.search(query, wanted, exclude=excluded, only=only)
            cases = self.index.cases.get([int(i) for i in ids[given:]])
            for case, score in zip(cases, scores[given:], strict=True):
                yield _Candidate(case=case, score=float(score))
            if len(ids) < wanted:
                return
            given, wanted = len(ids), 4 * wanted

    def _copy_rule(self, films: Sequence[Film]) -> Callable[[_Candidate], str | None]:
        digests = {film.sha256 for film in films}
        hashes = [difference_hash(film.pixels) for film in films]

        def is_copy(candidate: _Candidate) -> str | None:
            images = candidate.case.images
            if any(image.pixels_sha256 in digests for image in images):
                return "the same film"
            if candidate.score > NEAR_COPY_SCORE and any(
                hamming(mine, image.dhash) <= NEAR_COPY_BITS for mine in hashes for image in images
            ):
                return "a near-copy of the film"
            return None

        return is_copy

    def _with_labels(self, labels: Collection[str]) -> frozenset[int] | None:
        if not labels:
            return None
        wanted = frozenset(labels)
        for label in wanted - frozenset(OBSERVATIONS[1:]):
            raise UserError(
                f"unknown observation '{label}': use one of {', '.join(OBSERVATIONS[1:])}"
            )
        return frozenset(case_id for case_id, have in self._labels.items() if wanted <= have)


def read_films(images: Sequence[FilmSource]) -> list[Film]:
    """Decode the views of one study. Raises UserError for none, and for the first bad one."""
    if not images:
        raise UserError("no image given: name one or more views of one study")
    return [image if isinstance(image, Film) else read_film(image) for image in images]


def _study_scores(scores: np.ndarray | None) -> dict[str, float] | None:
    """One score an observation from those of the views: (views, 14), the mean."""
    if scores is None:
        return None
    return dict(zip(OBSERVATIONS, (float(s) for s in scores.mean(axis=0)), strict=True))


def _plain(report: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", report.lower()))
