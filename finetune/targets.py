"""What a model is trained to answer: the study's own report, cited from the context it is shown.

answer = report_answer(case, context, retrieval)
"Findings: The heart is enlarged. [1][4] ... Impression: Cardiomegaly. [2]"

A sentence that a shown case supports keeps its wording and cites that case. One that none supports
is put in the words of a shown case where these claim no more than the report does; else it is kept
without a citation if the film itself gives it (a finding that the encoder sees), and dropped if
nothing the model is given could tell it: to train on that would be to train invention. Sentences
that hold of one patient alone, and comparisons with earlier films, are dropped as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from db.cases import Case, Section, Sentence
from generator.agreement import Agreement, Candidate
from generator.claims import Claims, read_claims
from generator.context import Context
from generator.regions import TOPICS
from generator.wording import is_usable, near_duplicates, overlap, tidy
from retriever.retrieval import Retrieval

MOST_CITATIONS = 2
SECTIONS: tuple[Section, ...] = ("findings", "impression")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One sentence of an answer."""

    section: Section
    text: str
    claims: Claims
    numbers: tuple[int, ...]
    """Of the shown cases that say it; empty for one that rests on the film alone."""

    def __str__(self) -> str:
        marks = "".join(f"[{number}]" for number in self.numbers)
        return f"{self.text} {marks}" if marks else self.text


def report_answer(case: Case, context: Context, retrieval: Retrieval) -> str:
    """Findings and impression; empty where nothing of the report can be told."""
    targets = report_targets(case, context, retrieval)
    parts = []
    for section in SECTIONS:
        said = [str(target) for target in targets if target.section == section]
        if said:
            parts.append(f"{section.capitalize()}: {' '.join(said)}")
    return " ".join(parts)


def caption_answer(case: Case, context: Context, retrieval: Retrieval) -> str:
    """The one sentence that says most: of the impression, of what is present before what is not."""
    targets = report_targets(case, context, retrieval)
    if not targets:
        return ""
    return str(
        max(
            targets,
            key=lambda one: (
                len(one.claims.named - frozenset(TOPICS)),
                len(one.claims.named),
                one.section == "impression",
                bool(one.numbers),
                len(one.claims.keys),
            ),
        )
    )


def report_targets(case: Case, context: Context, retrieval: Retrieval) -> list[Target]:
    """The sentences of the answer in the order of the report."""
    agreement = Agreement(replace(retrieval, hits=context.hits), rank_decay=0.0)
    told = [_read(s) for s in case.sentences if not s.refers_to_prior and is_usable(s.text)]
    told = [target for target in told if target.claims.consistent]
    kept: list[Target] = []
    for target in told:
        found = _cited(target, agreement) or _reworded(target, told, agreement)
        if found is None and _from_film(target.claims, context):
            found = target
        if found is not None and not _is_said(found, kept):
            kept.append(found)
    return kept


def _read(sentence: Sentence) -> Target:
    text = tidy(sentence.text)
    claims = read_claims(replace(sentence, text=text))
    return Target(section=sentence.section, text=text, claims=claims, numbers=())


def _cited(target: Target, agreement: Agreement) -> Target | None:
    numbers = _nearest(target.claims, agreement.supporters(target.text, target.claims))
    return replace(target, numbers=numbers) if numbers else None


def _reworded(target: Target, told: Sequence[Target], agreement: Agreement) -> Target | None:
    """A shown sentence on the same matter that claims nothing which the report does not."""
    best: tuple[float, Candidate] | None = None
    for one in agreement.candidates:
        if not one.usable:
            continue
        if target.claims.named:
            same = bool(one.claims.named & target.claims.named)
        else:
            same = not one.claims.named and one.claims.region == target.claims.region
        if not same or not any(one.claims.supported_by(other.claims) for other in told):
            continue
        closeness = overlap(one.claims.words, target.claims.words)
        if best is None or closeness > best[0]:
            best = (closeness, one)
    if best is None:
        return None
    one = best[1]
    return _cited(replace(target, text=one.text, claims=one.claims), agreement)


def _from_film(claims: Claims, context: Context) -> bool:
    if claims.named:
        return bool(claims.named & frozenset(context.seen_findings or ()))
    return not context.hits


def _nearest(claims: Claims, supporters: Mapping[int, Candidate]) -> tuple[int, ...]:
    ranked = sorted(
        supporters,
        key=lambda number: (-overlap(claims.words, supporters[number].claims.words), number),
    )
    return tuple(sorted(ranked[:MOST_CITATIONS]))


def _is_said(target: Target, kept: Sequence[Target]) -> bool:
    return any(
        other.section == target.section
        and (other.text == target.text or near_duplicates(other.claims.words, target.claims.words))
        for other in kept
    )
