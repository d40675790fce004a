"""How to search: the knobs, checked once.

Three of them come from work on retrieval for radiology reports. ``min_ratio`` makes k adaptive, as
in MMed-RAG (Xia et al., ICLR 2025, arXiv 2410.13085), which cuts the list where the score falls;
here the fall is measured against the best hit. ``label_filter`` is LaB-RAG's (Song et al., 2024,
arXiv 2411.16523): only cases whose labels equal, or share something with, what the label head sees
in the query. ``diversity`` is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from db.errors import UserError
from db.labels import FINDINGS

LabelFilter = Literal["none", "exact", "partial"]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Rules for the hits of one search. Raises UserError for a value that cannot be meant."""

    k: int = 5
    """The most hits."""
    exclude_patient_ids: Collection[str] = ()
    exclude_study_ids: Collection[str] = ()
    exclude_near_duplicates: bool = True
    distinct_reports: bool = False
    """Leave out a case whose report says word for word what a better hit says."""
    labels: Collection[str] = ()
    """Only cases that name all these findings."""
    label_filter: LabelFilter = "none"
    """``exact``: only cases that name the very findings the label head sees; ``partial``: at least
    one of them, or no finding either where it sees none."""
    min_score: float | None = None
    min_ratio: float | None = None
    """Only hits with at least this share of the best hit's score, 0..1: k is then adaptive."""
    diversity: float = 0.0
    """0 takes the hits by score alone; up to 1, similarity to hits already taken counts against."""
    text_weight: float = 0.5
    """What the words weigh in a search by images and words, 0..1."""

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UserError(f"k must be at least 1, not {self.k}")
        for label in self.labels:
            if label not in FINDINGS:
                raise UserError(f"unknown observation '{label}': use one of {', '.join(FINDINGS)}")
        if self.label_filter not in get_args(LabelFilter):
            raise UserError(
                f"unknown label filter '{self.label_filter}': use none, exact or partial"
            )
        for name in ("min_ratio", "diversity", "text_weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UserError(f"{name} must be from 0 to 1, not {value}")
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise UserError(f"min_score must be a cosine from -1 to 1, not {self.min_score}")
