"""A prior case as a language model reads it: its number, its findings, its reusable sentences.

case_line(hit.case, 1)      # "[1] (Cardiomegaly) Findings: The heart is enlarged. [1]"

Sentences that are true of one patient or one image alone (sizes, dates, comparisons, advice, words
removed by a de-identifier) are not shown.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from db.index.store import Case, Sentence
from db.labels import FINDINGS, named
from generator.grounding.sentences import is_usable, tidy
from retriever.results import Hit

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class ShownCase:
    """A hit under the number it is shown by, with those of its sentences that are shown."""

    hit: Hit
    sentences: tuple[Sentence, ...]

    @property
    def line(self) -> str:
        """The case as the model reads it; empty without sentences."""
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

    def names(self, finding: str, allowed: Collection[str]) -> bool:
        """Whether a shown sentence names the finding, and no finding outside ``allowed``."""
        return _names(self.sentences, finding, allowed)

    def share_for(self, image_findings: Collection[str]) -> float:
        """The share of the case's findings, in characters, that is shown and names only image
        findings, 0..1."""
        kept = sum(
            len(one.text)
            for one in self.sentences
            if one.section == "findings" and named(one.labels) <= set(image_findings)
        )
        return kept / max(1, len(self.hit.case.findings))

    def cut(self, room: int, count_tokens: CountTokens) -> "ShownCase":
        """The longest run of first sentences that fits into ``room`` tokens; possibly none."""
        for kept in range(len(self.sentences), 0, -1):
            beginning = replace(self, sentences=self.sentences[:kept])
            if count_tokens(beginning.line) <= room:
                return beginning
        return replace(self, sentences=())


def readable_cases(hits: Sequence[Hit]) -> list[ShownCase]:
    """The hits with the sentences that may be shown; some have none."""
    return [ShownCase(hit, _reusable(hit.case)) for hit in hits]


def case_line(case: Case, number: int) -> str:
    """A case as the model reads it; empty where nothing of it can be shown."""
    return ShownCase(Hit(rank=number, score=0.0, case=case), _reusable(case)).line


def has_reusable_sentence(case: Case, finding: str) -> bool:
    """Whether a sentence that can be shown to the model names the finding."""
    return _names(_reusable(case), finding, FINDINGS)


def _names(sentences: Sequence[Sentence], finding: str, allowed: Collection[str]) -> bool:
    """Whether one of the sentences names the finding, and no finding outside ``allowed``."""
    return any(
        finding in found and found <= set(allowed)
        for sentence in sentences
        if (found := named(sentence.labels))
    )


def _reusable(case: Case) -> tuple[Sentence, ...]:
    """The sentences that may be shown, those of the findings before those of the impression."""
    fit = [one for one in case.sentences if not one.refers_to_prior and is_usable(one.text)]
    return tuple(sorted(fit, key=lambda one: one.section == "impression"))
