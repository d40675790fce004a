"""Search options, shared by the library, the command line and the service.

options = SearchOptions(k=5, exclude_patient_ids=["p17"])
retriever.search("pa.dcm", options).hits

Three options come from the literature. ``min_ratio`` makes k adaptive, as in MMed-RAG (Xia et al.,
ICLR 2025, arXiv 2410.13085), which cuts the list where the score drops; here the drop is relative
to the best hit. ``label_filter`` comes from LaB-RAG (Song et al., 2024, arXiv 2411.16523): it keeps
only cases whose labels equal or overlap those that the label head finds in the query. ``diversity``
is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Literal, Self, get_args

from db.errors import UserError
from db.labels import FINDINGS
from indexer.images.radiograph import Limits

LabelFilter = Literal["none", "exact", "partial"]
Strategy = Literal["similar", "findings"]
"""``similar``: the nearest cases. ``findings``: some cases for each finding that is likely in the
image; see `retriever.ranking.finding_wise`."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """An option as a command line argument or a form field of the service."""

    name: str
    """With underscores; singular for a list, whose parameter is repeated."""
    type: Any
    """``bool``, ``int``, ``float``, a ``Literal`` of choices, or ``str`` if ``many``."""
    help: str
    option: str = ""
    """The field of `SearchOptions`."""
    default: Any = None
    many: bool = False
    inverted: bool = False
    """Whether the field is the negation of the parameter."""
    least: float | None = None
    most: float | None = None
    metavar: str | None = None


def _parameter(name: str, type: Any, help: str, **more: Any) -> dict[str, Parameter]:
    return {"parameter": Parameter(name=name, type=type, help=help, **more)}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options for one search. Raises UserError for a value that is out of range."""

    k: int = field(default=5, metadata=_parameter("k", int, "maximum number of hits", least=1))
    """Maximum number of hits."""
    strategy: Strategy | None = field(
        default=None,
        metadata=_parameter(
            "strategy",
            Strategy,
            "the nearest cases, or some for each finding that is likely in the image; by default "
            "the nearest, and for a text those that its writer was made for",
        ),
    )
    """None leaves it to the caller: a search takes the nearest cases, a writer what it was made
    for."""
    exclude_patient_ids: Collection[str] = field(
        default=(),
        metadata=_parameter(
            "exclude_patient", str, "exclude cases of this patient", many=True, metavar="ID"
        ),
    )
    exclude_study_ids: Collection[str] = field(
        default=(),
        metadata=_parameter("exclude_study", str, "exclude this study", many=True, metavar="ID"),
    )
    exclude_near_duplicates: bool = field(
        default=True,
        metadata=_parameter(
            "keep_near_duplicates", bool, "allow the query image itself as a hit", inverted=True
        ),
    )
    distinct_reports: bool = field(
        default=False,
        metadata=_parameter(
            "distinct_reports", bool, "leave out cases that repeat the report of a better hit"
        ),
    )
    """Leave out cases whose report repeats that of a better hit word for word."""
    labels: Collection[str] = field(
        default=(),
        metadata=_parameter(
            "label", str, "only cases that mention this finding", many=True, metavar="FINDING"
        ),
    )
    """Only cases in which all these findings are positive or uncertain."""
    label_filter: LabelFilter = field(
        default="none",
        metadata=_parameter(
            "label_filter",
            LabelFilter,
            "only cases whose findings equal, or overlap, those of the label head",
        ),
    )
    """``exact``: only cases with exactly the findings of the label head; ``partial``: with at least
    one of them, or without findings if it finds none."""
    min_score: float | None = field(
        default=None,
        metadata=_parameter(
            "min_score", float, "minimum score of a hit", least=-1, most=1, metavar="COSINE"
        ),
    )
    """Minimum cosine of a hit, -1..1."""
    min_ratio: float | None = field(
        default=None,
        metadata=_parameter(
            "min_ratio",
            float,
            "minimum share of the best hit's score",
            least=0,
            most=1,
            metavar="SHARE",
        ),
    )
    """Only hits with at least this share of the best hit's score, 0..1: k is then adaptive."""
    diversity: float = field(
        default=0.0,
        metadata=_parameter(
            "diversity",
            float,
            "how much similarity to better hits counts against a case",
            least=0,
            most=1,
            metavar="SHARE",
        ),
    )
    """0..1: how much similarity to hits already chosen counts against a case; 0 ranks by score."""
    text_weight: float = field(
        default=0.5,
        metadata=_parameter(
            "text_weight",
            float,
            "weight of the text in a search by images and text",
            least=0,
            most=1,
            metavar="SHARE",
        ),
    )
    """Weight of the text in a search by images and text, 0..1."""
    accept_as_chest: bool = field(
        default=False,
        metadata=_parameter(
            "accept_as_chest",
            bool,
            "read DICOM images also if the header names another modality or body part",
        ),
    )
    """Read a DICOM file also if its header names another modality or part of the body."""

    def __post_init__(self) -> None:
        for one in parameters():
            value = getattr(self, one.option)
            if value is None or (one.least is None and one.most is None):
                continue
            if one.most is None and value < one.least:
                raise UserError(f"{one.option} must be at least {one.least}, not {value}")
            if one.most is not None and not one.least <= value <= one.most:
                raise UserError(
                    f"{one.option} must be between {one.least} and {one.most}, not {value}"
                )
        for label in self.labels:
            if label not in FINDINGS:
                raise UserError(f"unknown observation '{label}': use one of {', '.join(FINDINGS)}")
        if self.label_filter not in get_args(LabelFilter):
            raise UserError(
                f"unknown label filter '{self.label_filter}': use none, exact or partial"
            )
        if self.strategy not in (None, *get_args(Strategy)):
            raise UserError(f"unknown strategy '{self.strategy}': use similar or findings")
        if self.strategy == "findings" and self.diversity > 0:
            raise UserError(
                "the strategy 'findings' chooses different cases by itself: leave diversity out"
            )

    def least_score(self, best: float | None) -> float:
        """Return the least cosine of a hit, given that of the best; None before there is one."""
        least = -1.0 if self.min_score is None else self.min_score
        if self.min_ratio is None or best is None:
            return least
        return max(least, self.min_ratio * best) if best > 0 else math.inf

    @property
    def limits(self) -> Limits:
        """Limits for the images of the query."""
        return Limits(accept_as_chest=self.accept_as_chest)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Make options from parameter values by name; missing ones keep their defaults."""
        options: dict[str, Any] = {}
        for one in parameters():
            if one.name in values:
                value = values[one.name]
                value = tuple(value) if one.many else value
                options[one.option] = not value if one.inverted else value
        return cls(**options)


@cache
def parameters() -> tuple[Parameter, ...]:
    """List every option as a parameter, in the order of `SearchOptions`."""
    return tuple(
        replace(
            one.metadata["parameter"],
            option=one.name,
            default=not one.default if one.metadata["parameter"].inverted else one.default,
        )
        for one in fields(SearchOptions)
    )
