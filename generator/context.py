"""The context: prior cases as the model reads them, cut to a budget, and what the image shows.

context = build_context(retrieval, indication="dyspnea", count_tokens=model.count_tokens)
context.text                # "Prior cases:\n[1] (Cardiomegaly) Findings: Large heart. [1] ..."
context.hits[0].rank        # 1: hits are numbered as the model sees them
context.closest             # 1: the case whose findings are most nearly those of the image

Of the hits the nearest come first; then, for each finding that the encoder sees on the image and no
chosen case names, the nearest case that names it, so that a finding can be put in words that were
used before. The number of its case stands behind every sentence, as it does in an answer: whoever
takes a sentence over has its citation beside it. So it does behind every finding of the image that
a shown sentence names, and the case to begin from is named: a small model copies far more surely
than it compares. Sentences that hold of one patient or one image alone (sizes, dates, comparisons,
advice, words taken out by a de-identifier) are not shown.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from db.errors import UserError
from db.index.store import Case, Sentence
from db.labels import FINDINGS, named
from generator.grounding.sentences import is_usable, particulars, tidy
from retriever.results import Hit, Retrieval
from retriever.search import plain

POOL = 50
"""Hits to ask a search for, so that a seen finding is among them."""

MAX_CASES = 9
"""So that a citation is one digit."""

MAX_INDICATION = 200
"""Characters of an indication that are shown."""

CountTokens = Callable[[str], int]


@dataclass(frozen=True, kw_only=True)
class ContextOptions:
    """How many cases a model is shown, and how much of them."""

    nearest: int = 4
    """Nearest cases, whatever they name."""
    for_findings: int = 3
    """At most so many more for findings that the image shows and these do not name."""
    max_tokens: int = 640

    def __post_init__(self) -> None:
        if self.nearest < 0 or self.for_findings < 0:
            raise UserError("a context cannot have a negative number of cases")
        if self.nearest + self.for_findings > MAX_CASES:
            raise UserError(f"a context has at most {MAX_CASES} cases")
        if self.max_tokens < 1:
            raise UserError(f"max_tokens must be at least 1, not {self.max_tokens}")


DEFAULT = ContextOptions()
"""For a report."""
BRIEF = ContextOptions(nearest=3, for_findings=2, max_tokens=320)
"""For a question, a class or a caption."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a prompt tells of an image."""

    hits: tuple[Hit, ...]
    """Ranked from 1 in the order shown: ``[n]`` is the hit of rank n."""
    seen_findings: tuple[str, ...] | None
    """What the encoder sees on the image; None without a label head."""
    indication: str
    text: str
    closest: int | None = None
    """The number of the case to begin from: of those whose findings are shown, the one that names
    most nearly what the image shows; of several the one of whose findings most can be taken over,
    with an impression rather than without, the first rather than a later one. None where the
    encoder says nothing of the image."""
    named_by: Mapping[str, int] = field(default_factory=dict)
    """Seen finding to the number of the case that has it in the plainest shown words: the closest
    case where that names it."""


def build_context(
    retrieval: Retrieval,
    *,
    count_tokens: CountTokens,
    indication: str = "",
    options: ContextOptions = DEFAULT,
) -> Context:
    """The context for an image; a retrieval without hits gives one that says so."""
    seen = retrieval.seen_findings
    return _write(
        _choose(_readable(retrieval.hits), seen or (), options),
        seen,
        count_tokens=count_tokens,
        indication=indication,
        max_tokens=options.max_tokens,
    )


def choose_hits(
    hits: Sequence[Hit], seen_findings: Sequence[str], options: ContextOptions = DEFAULT
) -> list[Hit]:
    """The hits to show, by score, each report once. For a seen finding that no near case has in
    words that can be shown, the nearest that has, of those that name no other finding with it."""
    return [one.hit for one in _choose(_readable(hits), seen_findings, options)]


def _choose(
    readable: Sequence["_Shown"], seen_findings: Sequence[str], options: ContextOptions
) -> list["_Shown"]:
    distinct: dict[str, _Shown] = {}
    for one in readable:
        if one.sentences:
            distinct.setdefault(plain(one.hit.case.report), one)
    pool = list(distinct.values())
    whole = [one for one in pool if "findings" in {said.section for said in one.sentences}]
    chosen = (whole or pool)[: options.nearest]
    for finding in seen_findings:
        if len(chosen) == options.nearest + options.for_findings:
            break
        for others in ((), seen_findings, FINDINGS):
            words = {finding, *others}
            if any(_says(one.sentences, finding, words) for one in chosen):
                break
            saying = [one for one in pool if _says(one.sentences, finding, words)]
            if saying:
                chosen.append(saying[0])
                break
    return sorted(chosen, key=lambda one: one.hit.rank)


def lends(case: Case, finding: str) -> bool:
    """Whether a sentence of the case that can be shown names the finding."""
    return _says(_usable(case), finding, FINDINGS)


def _says(sentences: Sequence[Sentence], finding: str, allowed: Collection[str]) -> bool:
    """Whether one of these names the finding, and none that is not allowed."""
    return any(
        finding in found and found <= set(allowed)
        for sentence in sentences
        if (found := named(sentence.labels))
    )


def write_context(
    hits: Sequence[Hit],
    seen_findings: Sequence[str] | None,
    *,
    count_tokens: CountTokens,
    indication: str = "",
    max_tokens: int = DEFAULT.max_tokens,
) -> Context:
    """The hits in this order; each may take an equal part of what the earlier ones left."""
    return _write(
        _readable(hits),
        seen_findings,
        count_tokens=count_tokens,
        indication=indication,
        max_tokens=max_tokens,
    )


def _write(
    chosen: Sequence["_Shown"],
    seen_findings: Sequence[str] | None,
    *,
    count_tokens: CountTokens,
    indication: str,
    max_tokens: int,
) -> Context:
    shown: list[_Shown] = []
    left = max_tokens
    for place, one in enumerate(chosen):
        whole = replace(one, hit=replace(one.hit, rank=len(shown) + 1))
        fitting = whole.cut(left // (len(chosen) - place), count_tokens)
        if fitting.sentences:
            shown.append(fitting)
            left -= count_tokens(fitting.line)
    lines = [one.line for one in shown]
    cases = "\n".join(["Prior cases:", *lines]) if lines else "Prior cases: none"
    closest = None if seen_findings is None else _closest(shown, seen_findings)
    named_by = _named_by(shown, seen_findings or (), closest)
    about = []
    if seen_findings is not None:
        marked = [
            f"{name} [{named_by[name]}]" if name in named_by else name for name in seen_findings
        ]
        about.append(f"Film: {', '.join(marked) or 'no finding'}")
    if closest is not None:
        about.append(f"Closest case: [{closest}]")
    reason = " ".join(indication.split())[:MAX_INDICATION]
    if reason:
        about.append(f"Indication: {reason}")
    return Context(
        hits=tuple(one.hit for one in shown),
        seen_findings=None if seen_findings is None else tuple(seen_findings),
        indication=reason,
        text="\n\n".join([cases, "\n".join(about)]) if about else cases,
        closest=closest,
        named_by=named_by,
    )


@dataclass(frozen=True)
class _Shown:
    """A hit under the number it is shown by, and the sentences of it that are or may be shown."""

    hit: Hit
    sentences: tuple[Sentence, ...]

    @property
    def line(self) -> str:
        if not self.sentences:
            return ""
        number = self.hit.rank
        labels = [name for name in FINDINGS if name in named(self.hit.case.labels)]
        parts = [f"[{number}] ({', '.join(labels) or 'No Finding'})"]
        title = ""
        for sentence in self.sentences:
            if sentence.section != title:
                title = sentence.section
                parts.append(f"{title.capitalize()}:")
            parts.append(f"{tidy(sentence.text)} [{number}]")
        return " ".join(parts)

    def share_for(self, seen_findings: Collection[str]) -> float:
        """How much of the case's findings is shown and names nothing unseen, in characters, 0..1;
        what was written of one patient alone is not shown."""
        kept = sum(
            len(one.text)
            for one in self.sentences
            if one.section == "findings" and named(one.labels) <= set(seen_findings)
        )
        return kept / max(1, len(self.hit.case.findings))

    def cut(self, room: int, count_tokens: CountTokens) -> "_Shown":
        """The longest beginning that ends with a sentence and fits; without any if none does."""
        for kept in range(len(self.sentences), 0, -1):
            beginning = replace(self, sentences=self.sentences[:kept])
            if count_tokens(beginning.line) <= room:
                return beginning
        return replace(self, sentences=())


def _closest(shown: Sequence[_Shown], seen_findings: Collection[str]) -> int | None:
    fit = {}
    for one in shown:
        sections = {sentence.section for sentence in one.sentences}
        if "findings" in sections:
            beside = named(one.hit.case.labels).symmetric_difference(seen_findings)
            fit[one.hit.rank] = (
                len(beside),
                -round(one.share_for(seen_findings), 1),
                "impression" not in sections,
                one.hit.rank,
            )
    return min(fit, key=fit.__getitem__, default=None)


def _named_by(
    shown: Sequence[_Shown], seen_findings: Collection[str], closest: int | None
) -> dict[str, int]:
    """A sentence that names nothing unseen goes before one that does, certain words before doubtful
    ones, the closest case before another, and few particulars before many."""
    numbers = {}
    for finding in seen_findings:
        naming = [
            (
                len(found.difference(seen_findings)),
                sentence.labels[finding] != "positive",
                one.hit.rank != closest,
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


def case_line(case: Case, number: int) -> str:
    """A case as the model reads it; empty where nothing of it can be shown."""
    return _Shown(Hit(rank=number, score=0.0, case=case), _usable(case)).line


def _readable(hits: Sequence[Hit]) -> list[_Shown]:
    """What may be shown of each; of some it is nothing."""
    return [_Shown(hit, _usable(hit.case)) for hit in hits]


def _usable(case: Case) -> tuple[Sentence, ...]:
    """What may be shown of a case, its findings before its impression."""
    fit = [one for one in case.sentences if not one.refers_to_prior and is_usable(one.text)]
    return tuple(sorted(fit, key=lambda one: one.section == "impression"))
