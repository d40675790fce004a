"""How good a report is, by what can be counted: findings, citations and length.

    score = score_report(text, case, check, RewardWeights())
    score.reward, score.label_f1, score.support, score.length

Labels are those that the project's labeller reads, in the answer and in the study's own report;
citations are checked as they are when served, against the cases that the prompt shows.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from db.errors import UserError
from db.index.store import Case
from db.labels import named
from evaluation.metrics.labels import label_f1
from generator.grounding.citations import CitationCheck
from generator.grounding.written import WrittenSentence, parse_cited_sentences
from indexer.reports.labeller import label_report


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """How much each part of a score counts in its mean."""

    label_f1: float = 1.0
    support: float = 0.3
    length: float = 0.2

    def __post_init__(self) -> None:
        weights = asdict(self).values()
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise UserError("weights of a reward must be 0 or more, and one of them above 0")


@dataclass(frozen=True, kw_only=True)
class Score:
    """Parts of a reward, and their weighted mean: each from 0 to 1."""

    label_f1: float
    """Of the 13 findings, positive or uncertain; 1 where neither report names any."""
    support: float
    """Mean over the sentences that state an observation: the share of their citations that hold.
    A sentence that no shown case supports is right to cite none."""
    length: float
    """Words of the shorter report over those of the longer one."""
    reward: float
    copied: tuple[str, ...] = ()
    """Findings named that only the cases of another image have."""


def score_report(
    text: str,
    case: Case,
    check: CitationCheck,
    weights: RewardWeights,
    *,
    foreign: Collection[str] = (),
) -> Score:
    """Score an answer for a study. ``foreign``: findings that only the shown cases have."""
    written = parse_cited_sentences(text)
    labels = label_report(one.text for one in written)
    f1 = label_f1([case.labels], [labels]).micro.f1
    parts = {
        "label_f1": 1.0 if math.isnan(f1) else f1,
        "support": _support(written, check),
        "length": _length(" ".join(one.text for one in written), case.report),
    }
    shares = asdict(weights)
    return Score(
        **parts,
        reward=sum(shares[name] * part for name, part in parts.items()) / sum(shares.values()),
        copied=tuple(sorted(named(labels) & set(foreign))),
    )


def _support(written: Sequence[WrittenSentence], check: CitationCheck) -> float:
    stating = [one for one in written if one.labels]
    return sum(_held(one, check) for one in stating) / len(stating) if stating else 0.0


def _held(sentence: WrittenSentence, check: CitationCheck) -> float:
    """The share of a sentence's citations that hold; without any, whether none could."""
    supporters = check.supporters(sentence)
    if not sentence.numbers:
        return float(not supporters)
    return sum(number in supporters for number in sentence.numbers) / len(sentence.numbers)


def _length(text: str, report: str) -> float:
    words, wanted = len(text.split()), len(report.split())
    return min(words, wanted) / max(words, wanted, 1)
