"""What a model is trained to answer: a shown case, taken over and edited, with its citations.

answer = report_answer(case, context, retrieval)
"Findings: The heart is enlarged. [1] The lungs are clear. [1] Impression: Cardiomegaly. [1]"

The case to take over is the first whose findings are most nearly those that the film is said to
show: all that the prompt tells, so a model can learn to choose it. Of it stays what the study's own
report does not contradict; what that names beside it is put in words of the other cases, as far as
these claim no more than the report. A finding that can be put in no such words is told in the
fewest if the film is said to show it, and dropped otherwise: to train on what nothing in the prompt
can tell would be to train invention. Where no case is shown the report's own
words stand, as far as they name nothing that the film is not said to show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from db.cases import Case, Section, Sentence
from db.labels import NO_FINDING, named
from generator.agreement import Agreement, Candidate
from generator.claims import Claims, read_claims
from generator.context import Context
from generator.regions import REGIONS, TOPICS, Region, abnormal_region
from generator.wording import SIDES, is_usable, near_duplicates, overlap, tidy
from indexer.labeller import label_sentence
from retriever.retrieval import Retrieval

MOST_REWORDED = 2
_BARE = {
    "Enlarged Cardiomediastinum": "The mediastinum is enlarged.",
    "Lung Lesion": "There is a lung lesion.",
    "Lung Opacity": "There is a lung opacity.",
    "Pneumothorax": "There is a pneumothorax.",
    "Pleural Effusion": "There is a pleural effusion.",
    "Pleural Other": "There is pleural thickening.",
    "Fracture": "There is a fracture.",
    "Support Devices": "There are support devices.",
}
"""The rest read ``There is pneumonia.``"""

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
    """The sentences of the answer in the order in which it gives them."""
    agreement = Agreement(replace(retrieval, hits=context.hits), rank_decay=0.0)
    shown = [one for one in agreement.candidates if one.usable and _is_shown(one, context)]
    told = [_read(sentence) for sentence in case.sentences]
    facts = _Facts([target.claims for target in told if target.claims.consistent])
    kept = _taken_over(context, shown, facts)
    seen = frozenset(context.seen_findings or ())
    bare = [section for section in SECTIONS if all(one.section != section for one in kept)]
    for sentence, target in zip(case.sentences, told, strict=True):
        said = [one for one in kept if one.section == target.section]
        names = target.claims.named - _named(said)
        if not names and target.section not in bare:
            continue
        fit = target.claims.consistent and not sentence.refers_to_prior and is_usable(sentence.text)
        cited = _cited(target, facts, agreement, shown) if fit else None
        found = [cited] if cited else list(_reworded(target, facts, said, shown))
        if not found and fit and not context.hits and target.claims.named <= seen:
            found = [target]
        for one in found:
            if not _is_said(one, kept):
                kept.insert(_place(one, kept), one)
    section: Section = "findings" if case.findings else "impression"
    unsaid = facts.named - _named(kept)
    missing = [name for name in context.seen_findings or () if name in unsaid]
    for one in _plainly(missing, section, facts, agreement, shown):
        kept.insert(_place(one, kept), one)
    return kept


def _is_shown(one: Candidate, context: Context) -> bool:
    return f"{one.text} [{one.hit.rank}]" in context.text


def _taken_over(context: Context, shown: Sequence[Candidate], facts: "_Facts") -> list[Target]:
    """What the report lets stand of the case that fits the film best."""
    seen = context.seen_findings
    fit: dict[int, int] = {}
    for one in shown:
        if one.sentence.section == "findings":
            labels = named(one.hit.case.labels)
            fit[one.hit.rank] = 0 if seen is None else len(labels.symmetric_difference(seen))
    if not fit:
        return []
    number = min(fit, key=lambda rank: (fit[rank], rank))
    kept: list[Target] = []
    for section in SECTIONS:
        for one in shown:
            if one.hit.rank != number or one.sentence.section != section:
                continue
            target = Target(section=section, text=one.text, claims=one.claims, numbers=(number,))
            if facts.allow(one.claims) and not _is_said(target, kept):
                kept.append(target)
    return kept


def _named(targets: Sequence[Target]) -> frozenset[str]:
    return frozenset[str]().union(*(target.claims.named for target in targets))


def _place(target: Target, kept: Sequence[Target]) -> int:
    """After what stands above it in a report: sections first, then regions."""
    above = [place for place, one in enumerate(kept, start=1) if _order(one) <= _order(target)]
    return max(above, default=0)


def _order(target: Target) -> tuple[bool, int]:
    return target.section == "impression", REGIONS.index(target.claims.region)


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

    def allow(self, claims: Claims) -> bool:
        """Whether nothing that the report says speaks against it; on what a film does not show
        reports are silent."""
        if not claims.named <= self.named or claims.denies(self.named):
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


def _cited(
    target: Target, facts: _Facts, agreement: Agreement, shown: Sequence[Candidate]
) -> Target | None:
    """The shown sentence that says the target, the nearest in wording; the target's own words where
    each of those claims more than the report."""
    supporters = agreement.supporters(target.text, target.claims)
    if not supporters:
        return None
    known = facts.particulars(target.claims.named)
    near = sorted(
        supporters,
        key=lambda number: (-overlap(target.claims.words, supporters[number].claims.words), number),
    )
    for number in near:
        one = supporters[number]
        more = one.claims.particulars - known if one.claims.named else ()
        if one in shown and not more and facts.hold(one.claims):
            return replace(target, text=one.text, claims=one.claims, numbers=(number,))
    return replace(target, numbers=(near[0],))


def _reworded(
    target: Target, facts: _Facts, kept: Sequence[Target], shown: Sequence[Candidate]
) -> Iterator[Target]:
    """Sentences of shown cases for what the target claims and nothing kept says yet."""
    said = [one for one in kept if one.section == target.section]
    open_keys = target.claims.keys.difference(*(one.claims.keys for one in said))
    for _ in range(MOST_REWORDED):
        best: tuple[tuple[float, ...], Candidate] | None = None
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


def _plainly(
    names: Sequence[str],
    section: Section,
    facts: _Facts,
    agreement: Agreement,
    shown: Sequence[Candidate],
) -> Iterator[Target]:
    """Findings that the film shows and the report puts in words of its own alone: the shown
    sentence with the fewest particulars that names nothing beyond the report, or else the fewest
    words, with the first case that says as much and more."""
    for name in names:
        alone = [one for one in shown if name in one.claims.named and facts.allow(one.claims)]
        alone.sort(
            key=lambda one: (len(one.claims.named), len(one.claims.particulars), one.hit.rank)
        )
        if alone:
            text, claims, numbers = alone[0].text, alone[0].claims, (alone[0].hit.rank,)
            yield Target(section=section, text=text, claims=claims, numbers=numbers)
            continue
        text = in_fewest_words(name)
        bare = _read(Sentence(section=section, text=text, labels=label_sentence(text)))
        saying = agreement.supporters(text, bare.claims)
        seen = [number for number, one in saying.items() if one in shown] or list(saying)
        yield replace(bare, numbers=(min(seen),) if seen else ())


def in_fewest_words(name: str) -> str:
    """A finding as a sentence without particulars."""
    return _BARE.get(name, f"There is {name.lower()}.")


def _is_said(target: Target, kept: Sequence[Target]) -> bool:
    return any(
        other.section == target.section
        and (other.text == target.text or near_duplicates(other.claims.words, target.claims.words))
        for other in kept
    )
