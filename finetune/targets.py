"""What a model is trained to answer: the study's own report, cited from the context it is shown.

answer = report_answer(case, context, retrieval)
"Findings: The heart is enlarged. [1][4] ... Impression: Cardiomegaly. [2]"

A sentence that a shown case supports keeps its wording and cites that case. Where none does, and
where the wording holds of one patient alone, what it claims is put in the words of shown cases, as
far as these claim no more than the report. A finding that can be put in no such words is kept
without a citation if the encoder sees it on the film, and dropped otherwise: to train on what
nothing in the prompt can tell would be to train invention.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from db.cases import Case, Section, Sentence
from db.labels import NO_FINDING
from generator.agreement import Agreement, Candidate
from generator.claims import Claims, read_claims
from generator.context import Context
from generator.regions import TOPICS, Region, abnormal_region
from generator.wording import SIDES, is_usable, near_duplicates, overlap, tidy
from indexer.labeller import label_sentence
from retriever.retrieval import Retrieval

MOST_CITATIONS = 2
MOST_REWORDED = 2
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
    told = [_read(sentence) for sentence in case.sentences]
    facts = _Facts([target.claims for target in told if target.claims.consistent])
    kept: list[Target] = []
    for sentence, target in zip(case.sentences, told, strict=True):
        fit = target.claims.consistent and not sentence.refers_to_prior and is_usable(sentence.text)
        cited = _cited(target, agreement) if fit else None
        found = [cited] if cited else list(_reworded(target, facts, kept, agreement))
        if not found and fit and _from_film(target.claims, context):
            found = [target]
        kept += [one for one in found if not _is_said(one, kept)]
    said = frozenset[str]().union(*(target.claims.named for target in kept))
    section: Section = "findings" if case.findings else "impression"
    missing = [n for n in context.seen_findings or () if n in facts.named and n not in said]
    return [*_plainly(missing, section, facts, agreement), *kept] if missing else kept


class _Facts:
    """All that a report claims."""

    def __init__(self, claims: Sequence[Claims]) -> None:
        self.named = frozenset[str]().union(*(one.named for one in claims))
        self._claims = claims
        self._abnormal = {abnormal_region(name) for name in self.named}
        self._normal = frozenset[Region]().union(*(one.normal for one in claims)) - self._abnormal
        self._denied = {
            name for one in claims for name, state in one.states.items() if state == "negative"
        } - self.named
        self._no_finding = any(one.labels.get(NO_FINDING) == "positive" for one in claims)

    def hold(self, claims: Claims) -> bool:
        """Whether the report as a whole says all of this; a side must be one that it names."""
        if not claims.keys or not claims.named <= self.named or claims.denies(self.named):
            return False
        for name, state in claims.states.items():
            if state == "negative" and name not in self._denied and not self._no_finding:
                return False
            if name == NO_FINDING and not self._no_finding:
                return False
        if not claims.named and not self._no_finding and not claims.normal <= self._normal:
            return False
        sides = claims.particulars & SIDES
        return not claims.named or sides <= self.particulars(claims.named)

    def particulars(self, names: frozenset[str]) -> frozenset[str]:
        """What is said of side, place, degree and kind wherever one of these is named."""
        said = [one.particulars for one in self._claims if one.named & names]
        return frozenset[str]().union(*said)


def _read(sentence: Sentence) -> Target:
    text = tidy(sentence.text)
    claims = read_claims(replace(sentence, text=text))
    return Target(section=sentence.section, text=text, claims=claims, numbers=())


def _cited(target: Target, agreement: Agreement) -> Target | None:
    numbers = _nearest(target.claims, agreement.supporters(target.text, target.claims))
    return replace(target, numbers=numbers) if numbers else None


def _reworded(
    target: Target, facts: _Facts, kept: Sequence[Target], agreement: Agreement
) -> Iterator[Target]:
    """Sentences of shown cases for what the target claims and nothing kept says yet."""
    said = [one for one in kept if one.section == target.section]
    open_keys = target.claims.keys.difference(*(one.claims.keys for one in said))
    for _ in range(MOST_REWORDED):
        best: tuple[tuple[float, ...], Candidate] | None = None
        for one in agreement.candidates:
            shared = one.claims.keys & open_keys
            if not one.usable or not shared or not facts.hold(one.claims):
                continue
            if target.claims.named and not one.claims.named & target.claims.named:
                continue
            known = facts.particulars(one.claims.named) if one.claims.named else frozenset()
            rank = (
                -float(len(one.claims.particulars - known)) if one.claims.named else 0.0,
                float(len(shared)),
                overlap(one.claims.words, target.claims.words),
                -float(one.hit.rank),
            )
            if best is None or rank > best[0]:
                best = (rank, one)
        if best is None:
            return
        claims = best[1].claims
        found = _cited(replace(target, text=best[1].text, claims=claims), agreement)
        if found is not None:
            yield found
        open_keys -= claims.keys


def _plainly(
    names: Sequence[str], section: Section, facts: _Facts, agreement: Agreement
) -> Iterator[Target]:
    """Findings that the film shows and the report puts in words of its own alone: the shown
    sentence with the fewest particulars that names no other finding, or else the bare name."""
    for name in names:
        alone = [
            one
            for one in agreement.candidates
            if one.usable
            and one.claims.named == {name}
            and not one.claims.denies(facts.named)
            and not one.claims.particulars & SIDES
        ]
        alone.sort(key=lambda one: (len(one.claims.particulars), one.hit.rank))
        text = alone[0].text if alone else f"{name.capitalize()}."
        labels = label_sentence(text)
        bare = _read(Sentence(section=section, text=text, labels=labels))
        yield _cited(bare, agreement) or bare


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
