"""The context: prior cases as the model reads them, cut to a budget, and what the film shows.

context = build_context(retrieval, indication="dyspnea", count_tokens=model.count_tokens)
context.text                # "Prior cases:\n[1] (Cardiomegaly) Findings: Large heart. [1] ..."
context.hits[0].rank        # 1: hits are numbered as the model sees them

Of the hits the nearest come first; then, for each finding that the encoder sees on the film and no
chosen case names, the nearest case that names it, so that a finding can be put in words that were
used before. The number of its case stands behind every sentence, as it does in an answer: whoever
takes a sentence over has its citation beside it. Sentences that hold of one patient or one film
alone (sizes, dates, comparisons, advice, words taken out by a de-identifier) are not shown.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from db.cases import Case, Section, Sentence
from db.errors import UserError
from db.labels import FINDINGS, named
from generator.wording import is_usable, tidy
from retriever.retrieval import Hit, Retrieval
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

    nearest: int = 6
    """Nearest cases, whatever they name."""
    for_findings: int = 3
    """At most so many more for findings that the film shows and these do not name."""
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
    """What a prompt tells of a film."""

    hits: tuple[Hit, ...]
    """Ranked from 1 in the order shown: ``[n]`` is the hit of rank n."""
    seen_findings: tuple[str, ...] | None
    """What the encoder sees on the film; None without a label head."""
    indication: str
    text: str


def build_context(
    retrieval: Retrieval,
    *,
    count_tokens: CountTokens,
    indication: str = "",
    options: ContextOptions = DEFAULT,
) -> Context:
    """The context for a film; a retrieval without hits gives one that says so."""
    seen = retrieval.seen_findings
    return write_context(
        choose_hits(retrieval.hits, seen or (), options),
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
    distinct: dict[str, Hit] = {}
    for hit in hits:
        if case_line(hit.case, 1):
            distinct.setdefault(plain(hit.case.report), hit)
    pool = list(distinct.values())
    whole = [hit for hit in pool if _shown(hit.case, "findings")]
    chosen = (whole or pool)[: options.nearest]
    for finding in seen_findings:
        if len(chosen) == options.nearest + options.for_findings:
            break
        for others in ((), seen_findings, FINDINGS):
            words = {finding, *others}
            if any(_says(hit.case, finding, words) for hit in chosen):
                break
            saying = [hit for hit in pool if _says(hit.case, finding, words)]
            if saying:
                chosen.append(saying[0])
                break
    return sorted(chosen, key=lambda hit: hit.rank)


def _says(case: Case, finding: str, allowed: Collection[str]) -> bool:
    """Whether a sentence that can be shown names the finding, and none that is not allowed."""
    return any(
        finding in found and found <= set(allowed)
        for sentence in _usable(case)
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
    lines: list[str] = []
    shown: list[Hit] = []
    left = max_tokens
    for place, hit in enumerate(hits):
        number = len(shown) + 1
        line = case_line(hit.case, number)
        room = left // (len(hits) - place)
        if count_tokens(line) > room:
            line = _cut(hit.case, number, room, count_tokens)
        if line:
            shown.append(replace(hit, rank=number))
            lines.append(line)
            left -= count_tokens(line)
    cases = "\n".join(["Prior cases:", *lines]) if lines else "Prior cases: none"
    about = []
    if seen_findings is not None:
        about.append(f"Film: {', '.join(seen_findings) or 'no finding'}")
    reason = " ".join(indication.split())[:MAX_INDICATION]
    if reason:
        about.append(f"Indication: {reason}")
    return Context(
        hits=tuple(shown),
        seen_findings=None if seen_findings is None else tuple(seen_findings),
        indication=reason,
        text="\n\n".join([cases, "\n".join(about)]) if about else cases,
    )


def case_line(case: Case, number: int) -> str:
    """A case as the model reads it; empty where nothing of it can be shown."""
    return _line(case, number, _sentences(case))


def _sentences(case: Case) -> list[tuple[Section, str]]:
    sections: tuple[Section, ...] = ("findings", "impression")
    return [(section, text) for section in sections for text in _shown(case, section)]


def _line(case: Case, number: int, sentences: Sequence[tuple[Section, str]]) -> str:
    if not sentences:
        return ""
    labels = [name for name in FINDINGS if name in named(case.labels)]
    parts = [f"[{number}] ({', '.join(labels) or 'No Finding'})"]
    title = ""
    for section, text in sentences:
        if section != title:
            parts.append(f"{section.capitalize()}:")
            title = section
        parts.append(f"{text} [{number}]")
    return " ".join(parts)


def _shown(case: Case, section: Section) -> list[str]:
    return [tidy(sentence.text) for sentence in _usable(case) if sentence.section == section]


def _usable(case: Case) -> list[Sentence]:
    return [one for one in case.sentences if not one.refers_to_prior and is_usable(one.text)]


def _cut(case: Case, number: int, room: int, count_tokens: CountTokens) -> str:
    """The longest beginning of the case that ends with a sentence and fits; empty if none does."""
    sentences = _sentences(case)
    for kept in range(len(sentences) - 1, 0, -1):
        line = _line(case, number, sentences[:kept])
        if count_tokens(line) <= room:
            return line
    return ""
