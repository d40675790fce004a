"""Model output split into sentences with their citation numbers.

    parse_cited_sentences("Findings: The heart is enlarged. [1-3] No effusion ([2], [4]).")
    # "The heart is enlarged." (1, 2, 3); "No effusion" (2, 4)

Numbers are read in the forms that models write: [1], [1, 3], [1;3], [1-3], [1 and 3], [1]-[3],
[1] and [3], ([1], [3]), [case 2], 【1】. Marks that no case can have, such as [-1], are removed.
Headings, lists and emphasis of Markdown are read as plain text, and so are sections as members of a
JSON object.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from db.index.store import Section
from db.labels import Labels
from generator.grounding.claims import Claims, read_text
from indexer.reports.labeller import label_sentence
from indexer.reports.sentences import split_sentences

_SECTION = re.compile(r"[{,\s]{0,9}\"?\b(findings|impression)\"?\s*:(?:\s*\")?", re.IGNORECASE)
_TITLE_LINE = re.compile(r"^[ \t]*(findings|impression)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}|[-*•]|\d{1,2}[.)])[ \t]+", re.MULTILINE)
_EMPHASIS = re.compile(r"\*+|__+|`+|</?(?:b|i|em|strong|p|br|h[1-6]|ul|ol|li) ?/?>", re.IGNORECASE)
_BRACKETS = str.maketrans("【】［］〔〕", "[][][]")
_NO_MARK = re.compile(r"\[[-+.]\d{1,6}\]|\[\d{1,6}[.e][\d.]{1,6}\]")
_DASH = r"[-\u2010-\u2015]"
_NUMBER = r"(?:cases?\s?)?[#^]?\d{1,6}"
_MARK = re.compile(
    rf"\[\s{{0,3}}{_NUMBER}(?:\s{{0,3}}(?:,\s?and\b|,|;|/|&|and\b|to\b|{_DASH})\s{{0,3}}{_NUMBER})*"
    r"\s{0,3}\]",
    re.IGNORECASE,
)
_RANGE = re.compile(rf"(\d{{1,6}})(?:\s*(?:{_DASH}|to)\s*(?:cases?\s?)?[#^]?(\d{{1,6}}))?")
_GLUE = re.compile(r"[\s,;&]{0,4}(?:and\b\s{0,2})?")
_BETWEEN = re.compile(rf"\s?{_DASH}\s?")
_WIDEST_RANGE = 50
"""Most numbers of a range; a wider one counts as its two ends."""


@dataclass(frozen=True, kw_only=True)
class WrittenSentence:
    """One sentence of a model's output with its citation numbers."""

    section: Section
    text: str
    numbers: tuple[int, ...] = ()

    @property
    def labels(self) -> Labels:
        return label_sentence(self.text)

    @property
    def claims(self) -> Claims:
        return read_text(self.text)


@dataclass(frozen=True, kw_only=True)
class _Marks:
    """Consecutive marks of one sentence."""

    start: int
    end: int
    numbers: tuple[int, ...]


def parse_cited_sentences(text: str) -> list[WrittenSentence]:
    """Split an output into sentences; text before the first section title counts as findings."""
    text = _without_markdown(text)
    written: list[WrittenSentence] = []
    titles = list(_SECTION.finditer(text))
    starts = [0, *(title.end() for title in titles)]
    ends = [*(title.start() for title in titles), len(text)]
    names: list[Section] = ["findings"]
    names += ["impression" if t[1].lower() == "impression" else "findings" for t in titles]
    for section, start, end in zip(names, starts, ends, strict=True):
        written += _parse_section(section, text[start:end])
    return written


def _without_markdown(text: str) -> str:
    text = _NO_MARK.sub("", text.translate(_BRACKETS))
    return _TITLE_LINE.sub(r"\1:", _EMPHASIS.sub("", _LINE_MARK.sub("", text)))


def _parse_section(section: Section, text: str) -> list[WrittenSentence]:
    written: list[WrittenSentence] = []
    ended = True
    start = 0
    for marks in [*_runs(text), _Marks(start=len(text), end=len(text), numbers=())]:
        said = text[start : marks.start]
        start = marks.end
        sentences = [s for s in split_sentences(said.lstrip(" .,;")) if re.search(r"\w", s)]
        if sentences and written and not ended and sentences[0][:1].islower():
            # A number within a sentence does not end it.
            written[-1] = replace(written[-1], text=f"{written[-1].text} {sentences.pop(0)}")
        written += [WrittenSentence(section=section, text=sentence) for sentence in sentences]
        ended = said.rstrip().endswith((".", "!", "?"))
        if marks.numbers and written:
            last = written[-1]
            together = tuple(dict.fromkeys((*last.numbers, *marks.numbers)))
            written[-1] = replace(last, numbers=together)
    return written


def _runs(text: str) -> Iterator[_Marks]:
    """Yield the marks in order, consecutive ones together."""
    run: _Marks | None = None
    for match in _MARK.finditer(text):
        numbers = tuple(_numbers(match[0]))
        if run is not None and _GLUE.fullmatch(text, run.end, match.start()):
            run = replace(run, end=match.end(), numbers=(*run.numbers, *numbers))
        elif run is not None and _BETWEEN.fullmatch(text, run.end, match.start()):
            between = _spread(run.numbers[-1], numbers[0])
            run = replace(run, end=match.end(), numbers=(*run.numbers, *between, *numbers))
        else:
            if run is not None:
                yield _without_brackets(run, text)
            run = _Marks(start=match.start(), end=match.end(), numbers=numbers)
    if run is not None:
        yield _without_brackets(run, text)


def _without_brackets(run: _Marks, text: str) -> _Marks:
    """Extend a run by round brackets around it."""
    start = run.start
    while start > 0 and text[start - 1] == " ":
        start -= 1
    if start == 0 or text[start - 1] != "(":
        return run
    closing = re.compile(r"\s?\)").match(text, run.end)
    return replace(run, start=start - 1, end=closing.end()) if closing else run


def _numbers(mark: str) -> Iterator[int]:
    for match in _RANGE.finditer(mark):
        yield from _spread(int(match[1]), int(match[2] or match[1]))


def _spread(first: int, last: int) -> Iterator[int]:
    if 0 <= last - first < _WIDEST_RANGE:
        yield from range(first, last + 1)
    else:
        yield from (first, last)
