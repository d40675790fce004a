"""The context of a prompt: prior cases cut to a budget, image findings and indication.

context = build_context(retrieval, indication="dyspnea", count_tokens=model.count_tokens)
context.text                # "Prior cases:\n[1] (Cardiomegaly) Findings: Large heart. [1] ..."
context.hits[0].rank        # 1: hits are numbered as the model sees them
context.closest_case        # 1: the case whose findings are most similar to those of the image

The nearest hits come first; then, for each finding that the encoder's label head sees on the image
and no chosen case names, the nearest case that names it, so that wording for it is at hand. Hits of
the strategy ``findings`` are chosen likewise, also for the findings that it wants named. Every
sentence is followed by the number of its case, as in a report, so a sentence that is copied brings
its citation along. Image findings that a shown sentence names carry its number too, and the closest
case is stated, because a small model copies far more reliably than it compares.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from db.errors import UserError
from db.labels import FINDINGS, named
from generator.assessment.wording import surest_supported
from generator.context.shown_case import CountTokens, ShownCase, readable_cases
from generator.grounding.claims import read_claims, read_text
from generator.grounding.sentences import particulars
from generator.grounding.support.evidence import Evidence, Support
from retriever.case_filter import normalise_report
from retriever.options import Strategy
from retriever.results import Hit, Retrieval

MAX_CASES = 9
"""So that a citation is one digit."""

MAX_INDICATION = 200
"""Characters of an indication that are shown."""


@dataclass(frozen=True, kw_only=True)
class ContextOptions:
    """How many cases a model is shown, and how many tokens of them."""

    nearest: int = 4
    """Nearest cases, whatever they name."""
    for_findings: int = 3
    """At most this many more, for findings that the nearest do not name."""
    max_tokens: int = 640

    def of(self, strategy: Strategy) -> "ContextOptions":
        """Of hits that were chosen by a strategy."""
        return _FINDING_WISE.get(self, self) if strategy == "findings" else self

    def __post_init__(self) -> None:
        if self.nearest < 0 or self.for_findings < 0:
            raise UserError("a context cannot have a negative number of cases")
        if self.nearest + self.for_findings > MAX_CASES:
            raise UserError(f"a context has at most {MAX_CASES} cases")
        if self.max_tokens < 1:
            raise UserError(f"max_tokens must be at least 1, not {self.max_tokens}")


REPORT_CONTEXT = ContextOptions()
SHORT_CONTEXT = ContextOptions(nearest=3, for_findings=2, max_tokens=320)
"""For a question, a class or a caption."""

_FINDING_WISE = {REPORT_CONTEXT: replace(REPORT_CONTEXT, nearest=5, for_findings=4)}
"""The same for hits of the strategy ``findings``, which names more of them; on val these named .628
of the true findings, and 4 and 3 cases .601."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The part of a prompt before the task."""

    hits: tuple[Hit, ...]
    """Ranked from 1 in the order shown: ``[n]`` is the hit of rank n."""
    image_findings: tuple[str, ...] | None
    """Findings that the encoder's label head sees on the image; None without a label head."""
    indication: str
    text: str
    closest_case: int | None = None
    """The number of the case to start from: the one whose labels differ least from the image
    findings, of those with shown findings. Ties go to the case of whose findings most can be
    reused, then to one with an impression, then to the better rank. None without a label head."""
    named_by: Mapping[str, int] = field(default_factory=dict)
    """Image finding to the number of the case that names it in the plainest shown words, preferably
    the closest case."""


def build_context(
    retrieval: Retrieval,
    *,
    count_tokens: CountTokens,
    indication: str = "",
    options: ContextOptions = REPORT_CONTEXT,
) -> Context:
    """The context for an image. Without hits its text says that there are no prior cases."""
    seen = retrieval.image_findings
    options = options.of(retrieval.strategy)
    return _write(
        _choose(readable_cases(retrieval.hits), targets(retrieval, seen or ()), options),
        seen,
        count_tokens=count_tokens,
        indication=indication,
        max_tokens=options.max_tokens,
    )


def select_hits(
    hits: Sequence[Hit], findings: Sequence[str], options: ContextOptions = REPORT_CONTEXT
) -> list[Hit]:
    """The hits to show, by rank, each report once.

    For a finding that no near case has in words that can be shown, the best ranked case that has is
    added; one that names no other finding beside it is preferred.
    """
    return [one.hit for one in _choose(readable_cases(hits), findings, options)]


def targets(retrieval: Retrieval, image_findings: Sequence[str]) -> list[str]:
    """The findings that shown cases should name: those on the image, then those that the search
    wanted named."""
    return list(dict.fromkeys([*image_findings, *retrieval.wanted_findings]))


def limit_hits(retrieval: Retrieval, most: int) -> Retrieval:
    """Keep the hits that the context of a report shows, and at most so many."""
    options = REPORT_CONTEXT.of(retrieval.strategy)
    nearest = min(options.nearest, most)
    options = replace(
        options, nearest=nearest, for_findings=min(options.for_findings, most - nearest)
    )
    hits = select_hits(retrieval.hits, targets(retrieval, retrieval.image_findings or ()), options)
    return replace(retrieval, hits=tuple(hits))


def _choose(
    readable: Sequence[ShownCase], findings: Sequence[str], options: ContextOptions
) -> list[ShownCase]:
    distinct: dict[str, ShownCase] = {}
    for one in readable:
        if one.sentences:
            distinct.setdefault(normalise_report(one.hit.case.report), one)
    pool = list(distinct.values())
    whole = [one for one in pool if "findings" in {said.section for said in one.sentences}]
    chosen = (whole or pool)[: options.nearest]
    for finding in findings:
        if len(chosen) == options.nearest + options.for_findings:
            break
        for others in ((), findings, FINDINGS):
            words = {finding, *others}
            if any(one.names(finding, words) for one in chosen):
                break
            saying = [one for one in pool if one.names(finding, words)]
            if saying:
                chosen.append(saying[0])
                break
    return sorted(chosen, key=lambda one: one.hit.rank)


def write_context(
    hits: Sequence[Hit],
    image_findings: Sequence[str] | None,
    *,
    count_tokens: CountTokens,
    indication: str = "",
    max_tokens: int = REPORT_CONTEXT.max_tokens,
) -> Context:
    """A context of the hits in this order; each may use an equal part of the tokens left."""
    return _write(
        readable_cases(hits),
        image_findings,
        count_tokens=count_tokens,
        indication=indication,
        max_tokens=max_tokens,
    )


def _write(
    chosen: Sequence[ShownCase],
    image_findings: Sequence[str] | None,
    *,
    count_tokens: CountTokens,
    indication: str,
    max_tokens: int,
) -> Context:
    shown: list[ShownCase] = []
    left = max_tokens
    for place, one in enumerate(chosen):
        whole = replace(one, hit=replace(one.hit, rank=len(shown) + 1))
        fitting = whole.cut(left // (len(chosen) - place), count_tokens)
        if fitting.sentences:
            shown.append(fitting)
            left -= count_tokens(fitting.line)
    lines = [one.line for one in shown]
    cases = "\n".join(["Prior cases:", *lines]) if lines else "Prior cases: none"
    closest = None if image_findings is None else _closest(shown, image_findings)
    named_by = _named_by(shown, image_findings or (), closest)
    about = []
    if image_findings is not None:
        marked = [
            f"{name} [{named_by[name]}]" if name in named_by else name for name in image_findings
        ]
        about.append(f"Film: {', '.join(marked) or 'no finding'}")
    if closest is not None:
        about.append(f"Closest case: [{closest}]")
    reason = " ".join(indication.split())[:MAX_INDICATION]
    if reason:
        about.append(f"Indication: {reason}")
    return Context(
        hits=tuple(one.hit for one in shown),
        image_findings=None if image_findings is None else tuple(image_findings),
        indication=reason,
        text="\n\n".join([cases, "\n".join(about)]) if about else cases,
        closest_case=closest,
        named_by=named_by,
    )


def _closest(shown: Sequence[ShownCase], image_findings: Collection[str]) -> int | None:
    fit = {}
    for one in shown:
        sections = {sentence.section for sentence in one.sentences}
        if "findings" in sections:
            beside = named(one.hit.case.labels).symmetric_difference(image_findings)
            fit[one.hit.rank] = (
                len(beside),
                -round(one.share_for(image_findings), 1),
                "impression" not in sections,
                one.hit.rank,
            )
    return min(fit, key=fit.__getitem__, default=None)


def _supporting(said: Evidence, text: str) -> Support:
    return said.support(read_text(text))


def _named_by(
    shown: Sequence[ShownCase], image_findings: Collection[str], closest_case: int | None
) -> dict[str, int]:
    """The case that names each image finding best.

    A case is preferred that by the citation check supports the finding stated without side, place
    or degree: an opacity, where the finding is one, and not a scar. Then sentences that name
    nothing but image findings, certain words over doubtful ones, the closest case over another,
    and few particulars over many.
    """
    numbers = {}
    evidence = {one.hit.rank: Evidence([read_claims(s) for s in one.sentences]) for one in shown}
    for finding in image_findings:
        worded = {
            rank: surest_supported(finding, "findings", partial(_supporting, said))
            for rank, said in evidence.items()
        }
        naming = [
            (
                math.inf if (sure := worded[one.hit.rank]) is None else sure.place,
                len(found.difference(image_findings)),
                sentence.labels[finding] != "positive",
                one.hit.rank != closest_case,
                len(found),
                len(particulars(sentence.text)),
                one.hit.rank,
            )
            for one in shown
            for sentence in one.sentences
            if finding in (found := named(sentence.labels))
        ]
        if naming:
            numbers[finding] = min(naming)[-1]
    return numbers
