"""Training targets: a shown case, reused and edited, with its citations.

answer = report_answer(case, context, retrieval)
"Findings: The heart is enlarged. [1] The lungs are clear. [1] Impression: Cardiomegaly. [1]"

The reused case is the one that the prompt names as closest. Its sentences stay unless the study's
own report contradicts them. An image finding that this case does not name takes the words of the
case that the prompt cites for it if these claim no more than the report, otherwise a bare sentence
that cites a case which says it, or none. Findings that the prompt does not attribute to the image
are left out: training on facts that the prompt does not contain would teach the model to invent.
Without a shown case the report's own words stand if they name nothing else. If the encoder has no
label head, the prompt says nothing about the image; then the nearest case is reused, and other
findings of the report take words of the other cases if these claim no more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from db.findings import Region
from db.index.store import Case, Section, Sentence
from db.labels import NO_FINDING
from generator.assessment.wording import bare_sentence, surest_supported
from generator.context.build import Context
from generator.grounding.agreement import Agreement, HitSentence
from generator.grounding.claims import Claims, read_claims
from generator.grounding.regions import REGIONS, TOPICS, abnormal_region
from generator.grounding.sentences import SIDES, is_usable, near_duplicates, overlap, tidy
from indexer.reports.labeller import label_sentence
from retriever.results import Retrieval

MOST_REWORDED = 2

SECTIONS: tuple[Section, ...] = ("findings", "impression")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One sentence of an answer."""

    section: Section
    text: str
    claims: Claims
    numbers: tuple[int, ...]
    """Of the shown cases that say it; empty for one that rests on the image alone."""

    def __str__(self) -> str:
        marks = "".join(f"[{number}]" for number in self.numbers)
        return f"{self.text} {marks}" if marks else self.text


def report_answer(case: Case, context: Context, retrieval: Retrieval) -> str:
    """Write findings and impression; empty if no part of the report can be a target."""
    targets = report_targets(case, context, retrieval)
    parts = []
    for section in SECTIONS:
        said = [str(target) for target in targets if target.section == section]
        if said:
            parts.append(f"{section.capitalize()}: {' '.join(said)}")
    return " ".join(parts)


def caption_answer(case: Case, context: Context, retrieval: Retrieval) -> str:
    """Choose the most informative sentence: positives first, then the impression."""
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
    """The sentences of the answer in the order in which it gives them."""
    agreement = Agreement(replace(retrieval, hits=context.hits), rank_decay=0.0)
    shown = [one for one in agreement.candidates if one.usable and _is_shown(one, context)]
    readings = [_read(sentence) for sentence in case.sentences]
    facts = _Facts([target.claims for target in readings if target.claims.consistent])
    kept = _taken_over(_first(context, shown), shown, facts)
    if context.image_findings is None:
        _add(_from_the_report(case, readings, kept, facts, agreement, shown), kept)
    elif not context.hits:
        seen = frozenset(context.image_findings)
        _add((one for one in _own_words(case, readings) if one.claims.named <= seen), kept)
    section: Section = "findings" if case.findings else "impression"
    for name in context.image_findings or ():
        if name in facts.named - _named(kept):
            _add([_lent(name, section, context, facts, shown, agreement)], kept)
    return kept


def _is_shown(one: HitSentence, context: Context) -> bool:
    return f"{one.text} [{one.hit.rank}]" in context.text


def _first(context: Context, shown: Sequence[HitSentence]) -> int | None:
    """The number of the case to take over."""
    if context.image_findings is not None:
        return context.closest_case
    return min((o.hit.rank for o in shown if o.sentence.section == "findings"), default=None)


def _taken_over(number: int | None, shown: Sequence[HitSentence], facts: "_Facts") -> list[Target]:
    """Return the sentences of a case that the report does not contradict."""
    kept: list[Target] = []
    if number is None:
        return kept
    for section in SECTIONS:
        for one in shown:
            if one.hit.rank != number or one.sentence.section != section:
                continue
            target = Target(section=section, text=one.text, claims=one.claims, numbers=(number,))
            if facts.allow(one.claims) and not _is_said(target, kept):
                kept.append(target)
    return kept


def _add(targets: Iterable[Target], kept: list[Target]) -> None:
    """Insert each target in its place unless it repeats another."""
    for one in targets:
        if not _is_said(one, kept):
            kept.insert(_place(one, kept), one)


def _own_words(case: Case, readings: Sequence[Target]) -> Iterator[Target]:
    """What the report says in words that may stand in an answer."""
    for sentence, target in zip(case.sentences, readings, strict=True):
        if target.claims.consistent and not sentence.refers_to_prior and is_usable(sentence.text):
            yield target


def _from_the_report(
    case: Case,
    readings: Sequence[Target],
    kept: Sequence[Target],
    facts: "_Facts",
    agreement: Agreement,
    shown: Sequence[HitSentence],
) -> Iterator[Target]:
    """What the report names and nothing kept does yet, in words of the shown cases."""
    fit = list(_own_words(case, readings))
    bare = [section for section in SECTIONS if all(one.section != section for one in kept)]
    for target in readings:
        said = [one for one in kept if one.section == target.section]
        if not target.claims.named - _named(said) and target.section not in bare:
            continue
        cited = _cited(target, facts, agreement, shown) if target in fit else None
        yield from [cited] if cited else _reworded(target, facts, said, shown)


def _named(targets: Sequence[Target]) -> frozenset[str]:
    return frozenset[str]().union(*(target.claims.named for target in targets))


def _place(target: Target, kept: Sequence[Target]) -> int:
    """After what stands above it in a report: sections first, then regions."""
    above = [place for place, one in enumerate(kept, start=1) if _order(one) <= _order(target)]
    return max(above, default=0)


def _order(target: Target) -> tuple[bool, int]:
    return target.section == "impression", REGIONS.index(target.claims.region)


class _Facts:
    """All claims of a report."""

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
        if not claims.keys or not self.allow(claims):
            return False
        for name, state in claims.states.items():
            if state == "negative" and name not in self._denied and not self._no_finding:
                return False
            if name == NO_FINDING and not self._no_finding:
                return False
        return bool(claims.named) or self._no_finding or claims.normal <= self._normal

    def allow(self, claims: Claims) -> bool:
        """Whether the report does not contradict the claims; reports omit what is absent."""
        if not claims.named <= self.named or claims.denies(self.named):
            return False
        sides = claims.particulars & SIDES
        return not claims.named or sides <= self.particulars(claims.named)

    def particulars(self, names: frozenset[str]) -> frozenset[str]:
        """Return side, place, degree and kind wherever the report names one of these."""
        said = [one.particulars for one in self._claims if one.named & names]
        return frozenset[str]().union(*said)


def _read(sentence: Sentence) -> Target:
    text = tidy(sentence.text)
    claims = read_claims(replace(sentence, text=text))
    return Target(section=sentence.section, text=text, claims=claims, numbers=())


def _cited(
    target: Target, facts: _Facts, agreement: Agreement, shown: Sequence[HitSentence]
) -> Target | None:
    """The shown sentence that says the target, the nearest in wording; the target's own words where
    each of those claims more than the report."""
    supporters = agreement.supporters(target.claims)
    if not supporters:
        return None
    known = facts.particulars(target.claims.named)
    near = sorted(
        supporters,
        key=lambda number: (
            -overlap(target.claims.words, supporters[number][0].claims.words),
            number,
        ),
    )
    for number in near:
        one = supporters[number][0]
        more = one.claims.particulars - known if one.claims.named else ()
        alone = len(supporters[number]) == 1
        if alone and one in shown and not more and facts.hold(one.claims):
            return replace(target, text=one.text, claims=one.claims, numbers=(number,))
    return replace(target, numbers=(near[0],))


def _reworded(
    target: Target, facts: _Facts, kept: Sequence[Target], shown: Sequence[HitSentence]
) -> Iterator[Target]:
    """Sentences of shown cases for what the target claims and nothing kept says yet."""
    said = [one for one in kept if one.section == target.section]
    open_keys = target.claims.keys.difference(*(one.claims.keys for one in said))
    for _ in range(MOST_REWORDED):
        best: tuple[tuple[float, ...], HitSentence] | None = None
        for one in shown:
            shared = one.claims.keys & open_keys
            if not shared or not facts.hold(one.claims):
                continue
            if target.claims.named and not one.claims.named & target.claims.named:
                continue
            if one.claims.named and one.claims.particulars - facts.particulars(one.claims.named):
                continue
            rank = (
                float(len(shared)),
                overlap(one.claims.words, target.claims.words),
                -float(one.hit.rank),
            )
            if best is None or rank > best[0]:
                best = (rank, one)
        if best is None:
            return
        one = best[1]
        yield replace(target, text=one.text, claims=one.claims, numbers=(one.hit.rank,))
        open_keys -= one.claims.keys


def _lent(
    name: str,
    section: Section,
    context: Context,
    facts: _Facts,
    shown: Sequence[HitSentence],
    agreement: Agreement,
) -> Target:
    """A finding in words of the case that the prompt names for it: the sentence with the fewest
    other findings and particulars, where the report allows it. Otherwise in the fewest words, in
    doubt where no case is certain of it, citing a case that says as much by the citation check."""
    number = context.named_by.get(name)
    naming = [
        one
        for one in shown
        if one.hit.rank == number and name in one.claims.named and facts.allow(one.claims)
    ]
    if naming and number is not None:
        one = min(naming, key=lambda one: (len(one.claims.named), len(one.claims.particulars)))
        return Target(section=section, text=one.text, claims=one.claims, numbers=(number,))

    def target(text: str) -> Target:
        return _read(Sentence(section=section, text=text, labels=label_sentence(text)))

    worded = surest_supported(name, section, lambda text: agreement.supporters(target(text).claims))
    if worded is None:
        return target(bare_sentence(name, section))
    ranks = worded.support
    cited = number if number is not None and number in ranks else min(ranks)
    return replace(target(worded.text), numbers=(cited,))


def _is_said(target: Target, kept: Sequence[Target]) -> bool:
    return any(
        other.section == target.section
        and (other.text == target.text or near_duplicates(other.claims.words, target.claims.words))
        for other in kept
    )
