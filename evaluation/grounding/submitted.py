"""One submission checked against the corpus and the studies: what each report states and cites.

reports = check_submission(submission, task, corpus)
reports[0].claims[0].check.holds, reports[0].written, reports[0].grounded
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from db.errors import UserError
from db.labels import Labels, named
from evaluation.grounding.citations import SEED, derangement
from evaluation.grounding.claims import (
    Claim,
    ClaimCheck,
    check_claim,
    claims_of,
    evidence_of,
    holds_whole,
)
from evaluation.grounding.corpus import Corpus, Task
from evaluation.grounding.submission import Submission, SubmittedReport, Text, by_study
from generator.grounding.support.atoms import MAX_CHARS
from generator.grounding.support.evidence import Evidence
from indexer.reports.labeller import label_report, label_sentence
from indexer.reports.sentences import split_sentences


@dataclass(frozen=True, kw_only=True)
class ScoredClaim:
    """A claim, and whether it holds: as cited and in two controls."""

    claim: Claim
    cited: bool
    """Whether the sentence has a citation, of whatever."""
    check: ClaimCheck
    exchanged: bool | None
    """With each number exchanged for another of the report; None where there is no other."""
    elsewhere: bool | None
    """With the texts cited for another study; None where no other study has any."""


@dataclass(frozen=True, kw_only=True)
class ScoredReport:
    """One report of a submission."""

    study_id: str
    claims: tuple[ScoredClaim, ...]
    citations: int
    standing: int
    """Citations whose text supports all that the sentence states."""
    sentences: int
    verbatim: int
    """Sentences that are, word for word, sentences of an indexed report."""
    texts: int
    outside: int
    """Cited texts that stand in no indexed report."""
    labels: Labels
    """What the report says of the observations."""
    grounded: frozenset[str]
    """Findings of the 13 that a sentence names, every claim of which holds."""
    shown: frozenset[str]
    """Findings of the 13 that a cited text names."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    """A report with its passages as words."""

    study_id: str
    sentences: tuple[str, ...]
    citations: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    evidence: tuple[Evidence | None, ...]
    """Of each text; None for one that stands in no indexed report."""


def check_submission(submission: Submission, task: Task, corpus: Corpus) -> list[ScoredReport]:
    """Check all reports, in the order of the studies.

    Raises UserError for another split, for a study that is missing or not of the split, and for a
    text that cannot be found.
    """
    resolved = [_resolve(one, submission, corpus) for one in _complete(submission, task)]
    others = [place for place, one in enumerate(resolved) if one.texts]
    moved = derangement(len(others), random.Random(SEED)) if len(others) > 1 else []
    other = {place: resolved[others[to]] for place, to in zip(others, moved, strict=False)}
    return [_score(one, other.get(place), corpus) for place, one in enumerate(resolved)]


def _complete(submission: Submission, task: Task) -> list[SubmittedReport]:
    name = submission.system
    if submission.split != task.split:
        raise UserError(
            f"'{name}' reports on split '{submission.split}', not '{task.split}': name that one "
            "with --split, or leave the file out"
        )
    reports = by_study(submission.reports)
    wanted = [study.study_id for study in task.studies]
    if unknown := sorted(reports.keys() - set(wanted)):
        raise UserError(
            f"'{name}' reports on study {unknown[0]}, which is none of the {len(wanted)} studies "
            f"of split '{task.split}': leave it out"
        )
    if missing := [study for study in wanted if study not in reports]:
        raise UserError(
            f"'{name}' lacks {len(missing)} of {len(wanted)} studies, such as {missing[0]}: give "
            "each a report, with no sentence where the system writes none"
        )
    return [reports[study] for study in wanted]


def _resolve(report: SubmittedReport, submission: Submission, corpus: Corpus) -> _Resolved:
    where = f"'{submission.system}', study {report.study_id},"
    texts = tuple(
        _cited_text(text, f"{where} cited text {number}", corpus)
        for number, text in enumerate(report.cited_texts, start=1)
    )
    sentences = tuple(
        corpus.resolve(text, f"{where} sentence {number}")
        for number, text in enumerate(report.sentences, start=1)
    )
    for number, sentence in enumerate(sentences, start=1):
        if len(sentence) > MAX_CHARS:
            raise UserError(
                f"{where} sentence {number} has {len(sentence)} characters: split it, {MAX_CHARS} "
                "are read"
            )
    return _Resolved(
        study_id=report.study_id,
        sentences=sentences,
        citations=report.citations,
        texts=texts,
        evidence=tuple(evidence_of(text) if corpus.has_text(text) else None for text in texts),
    )


def _cited_text(text: Text, place: str, corpus: Corpus) -> str:
    """The words that count: of a passage, those of the sentences that it touches."""
    said = corpus.resolve(text, place)
    return said if isinstance(text, str) else corpus.resolve(corpus.whole_sentences(text), place)


def _score(report: _Resolved, other: _Resolved | None, corpus: Corpus) -> ScoredReport:
    count = len(report.texts)
    exchanged = None
    if count > 1:
        moved = derangement(count, random.Random(f"{SEED}:{report.study_id}"))
        exchanged = tuple(report.evidence[to] for to in moved)
    claims: list[ScoredClaim] = []
    grounded: set[str] = set()
    standing = 0
    for sentence, given in zip(report.sentences, report.citations, strict=True):
        numbers = [number for number in given if number <= count]
        cited = _cited(numbers, report.evidence)
        standing += sum(holds_whole(sentence, one) for one in cited)
        checked = [
            ScoredClaim(
                claim=claim,
                cited=bool(given),
                check=check_claim(claim, cited),
                exchanged=None
                if exchanged is None
                else check_claim(claim, _cited(numbers, exchanged)).holds,
                elsewhere=None
                if other is None
                else check_claim(claim, _cited(numbers, other.evidence)).holds,
            )
            for claim in claims_of(sentence)
        ]
        claims += checked
        if checked and all(one.check.holds for one in checked):
            grounded |= named(label_sentence(sentence))
    shown = (named(label_report(split_sentences(text))) for text in report.texts)
    return ScoredReport(
        study_id=report.study_id,
        claims=tuple(claims),
        citations=sum(len(set(numbers)) for numbers in report.citations),
        standing=standing,
        sentences=len(report.sentences),
        verbatim=sum(corpus.has_sentence(sentence) for sentence in report.sentences),
        texts=count,
        outside=sum(one is None for one in report.evidence),
        labels=label_report(report.sentences),
        grounded=frozenset(grounded),
        shown=frozenset[str]().union(*shown),
    )


def _cited(numbers: Sequence[int], evidence: Sequence[Evidence | None]) -> list[Evidence]:
    """The texts of these numbers, each once; after the last text follows the first."""
    places = dict.fromkeys((number - 1) % len(evidence) for number in numbers)
    found = [evidence[place] for place in places]
    return [one for one in found if one is not None]
