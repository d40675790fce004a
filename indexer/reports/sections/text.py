"""Lines of text: what goes under the present heading, and what only seems to.

Under no heading, or where what a line says does not fit the heading that it follows, its wording
decides: history and questions are an indication, whatever speaks of the image is findings.
"""

import re

from indexer.reports.lines import LIST_MARK, is_wrapped
from indexer.reports.sections import statements as wording
from indexer.reports.sections.labels import is_examination
from indexer.reports.sections.particulars import is_name, particulars_of, signature_in
from indexer.reports.sections.reading import NUMBER, SENTENCE, Reading, has_words
from indexer.reports.sections.words.phrases import plain_label

_TELLS = re.compile(
    r"\b(?:notified|discussed|called|communicated|informed|conveyed|telephone|paged|relayed)\b",
    re.IGNORECASE,
)
_PARAGRAPH_KINDS = ("indication", "comparison", "technique", "title")


class TextReading(Reading):
    """Places lines without a heading of their own."""

    _label_only = False
    """Whether the line before was an organ's name alone."""

    def __init__(self, findings_to_come: int) -> None:
        super().__init__()
        self._left_to_come = findings_to_come

    def _text(self, line: str) -> None:
        now = self._now
        line = line.strip()
        if not has_words(line):
            return
        reader = _READER.match(line) if now.preliminary and now.empty else None
        if reader:
            self._add("header", reader[0])
            now.empty = True
            self._text(line[reader.end() :])
            return
        kind = particulars_of(line)
        if kind == "date":
            if now.slot in ("indication", "comparison", "technique"):
                self._add(now.slot, line)
            else:
                self._add("header", line)
            return
        if kind is not None:
            self._add(kind, line)
            if kind == "signature" or now.slot not in ("findings", "impression"):
                self._go(kind)
                now.empty = False
            return
        cut = signature_in(line)
        if cut is not None:
            self._text(line[:cut])
            self._add("signature", line[cut:])
            self._go("signature")
            now.empty = False
            return
        if now.slot == "findings" and now.empty and is_examination(plain_label(line)):
            self._add("title", line)
            now.empty = True
            return
        if now.slot in ("findings", "impression"):
            self._add(now.slot, line, reason=now.reason, same_line=self._label_only)
            self._label_only = False
        elif now.slot in _PARAGRAPH_KINDS:
            self._continue(line)
        elif now.slot in ("recommendation", "notification"):
            self._advice(line)
        elif (
            now.slot == "signature" and not wording.states_finding(line) and not self._resumes(line)
        ):
            self._add("signature", line)
        elif now.slot == "header" and now.empty:
            self._add("header", line)
        else:
            self._unheaded(line)

    def _unheaded(self, line: str) -> None:
        now = self._now
        if now.slot in ("", "header") and is_name(line) and not wording.names_finding(line):
            self._add("header", line)
            return
        if self._resumes(line):
            self._go("impression")
            self._text(line)
            return
        sentences = SENTENCE.split(line)
        before = 0
        if not self._has("findings", "impression") and not now.addendum:
            while before < len(sentences) and _is_history(sentences[before]):
                before += 1
        if before:
            self._add("indication", " ".join(sentences[:before]))
            if before == len(sentences):
                self._go("indication", "unplaced")
                now.empty = False
                return
        self._go("findings", "unplaced")
        self._add("findings", " ".join(sentences[before:]), reason="unplaced")

    def _resumes(self, line: str) -> bool:
        """Whether the line is the next item of the list in the impression."""
        number = LIST_MARK.match(line) and NUMBER.match(line)
        return bool(
            number and self._now.last_number and int(number[1]) == self._now.last_number + 1
        )

    def _continue(self, line: str) -> None:
        """A line under an indication, a comparison, a technique or a title."""
        now = self._now
        sentences = SENTENCE.split(line)
        first = next((n for n, one in enumerate(sentences) if self._belongs_to_findings(one)), None)
        if first is None and not now.empty and not self._fits(line):
            first = 0
        if first is None:
            self._add(
                "technique"
                if now.slot == "title" and now.empty is False and wording.describes_technique(line)
                else now.slot,
                line,
            )
            return
        if first and not now.empty and not self._fits(sentences[0]):
            first = 0
        if first:
            self._add(now.slot, " ".join(sentences[:first]))
        rest = " ".join(sentences[first:])
        if now.slot == "title":
            self._unheaded(rest)
            return
        self._go("findings", now.reason or "misplaced")
        self._add("findings", rest, reason=now.reason)

    def _belongs_to_findings(self, sentence: str) -> bool:
        slot = self._now.slot
        if not wording.states_finding(sentence):
            return False
        if slot == "indication":
            return (
                self._left_to_come <= 0
                and not wording.tells_history(sentence)
                and _is_full(sentence)
            )
        if slot == "comparison":
            return not wording.names_study(sentence)
        return not (wording.describes_technique(sentence) and not _is_full(sentence))

    def _fits(self, line: str) -> bool:
        """Whether a further line can belong to the section at all."""
        now = self._now
        before = next((one.said for one in reversed(self._placed)), "")
        if not now.blank and is_wrapped(before, line):
            return True
        if now.slot == "title":
            return (
                not now.blank
                and not wording.names_finding(line)
                and not wording.tells_history(line)
                and len(line) < 40
                and not line.rstrip().endswith(".")
            )
        if now.slot == "indication" and not now.blank:
            return (
                self._left_to_come > 0
                or wording.tells_history(line)
                or not wording.names_finding(line)
            )
        if not now.blank:
            return True
        if now.slot == "indication":
            return self._left_to_come > 0 or wording.tells_history(line)
        if now.slot == "comparison":
            return wording.names_study(line) or self._left_to_come > 0
        return wording.describes_technique(line) or (
            self._left_to_come > 0 and not wording.names_finding(line)
        )

    def _advice(self, line: str) -> None:
        now = self._now
        before = next((one.said for one in reversed(self._placed)), "")
        now.listed = now.listed or (now.empty and NUMBER.match(line) is not None)
        if self._resumes(line) and not now.listed:
            self._go("impression")
            self._text(line)
            return
        finding = (
            wording.names_finding(line) and not wording.advises(line) and not wording.asks(line)
        )
        if now.slot == "notification":
            finding = now.blank and wording.states_finding(line) and not _TELLS.search(line)
        if now.empty or not finding or (not now.blank and is_wrapped(before, line)):
            self._add(now.slot, line)
            return
        has_impression = self._has("impression")
        self._go("impression" if has_impression else "findings", "misplaced")
        self._add(now.slot, line, reason="misplaced")


_READER = re.compile(
    r"\W*(?:\S+\s+){0,6}?(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b.{0,40}?\d{1,2}:\d{2}\s?(?:[ap]\.?m\.?)?\W*",
    re.IGNORECASE,
)
"""Who read a preliminary report and when: ``ABC SUN 9:00 PM``."""
_AGE = re.compile(
    r"\b\d{1,3}[- ]?(?:year|yr|y|month|mo|week|day)s?[- /]?o(?:ld)?\b|\b\d{1,3} ?y/?o\b"
    r"|\bhistory of\b"
    r"|\bh/o\b|\bpresent(?:s|ing|ed) with\b|\bc/o\b|^\W*\d{1,3} ?[MF]\b|\byear[- ]old\b",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"\b(?:is|are|was|were|has|have|appears?|remains?|shows?|demonstrates?|ist|sind|est|sont|es|son|è"
    r"|sono|zijn|é|são|está|están)\b|^\W*(?:no|there|clear|normal|kein\w*|pas|sin|nessun\w*|geen|sem)\b",
    re.IGNORECASE,
)


def _is_full(sentence: str) -> bool:
    """Whether it is a statement with a verb, or a denial."""
    return _FULL.search(sentence) is not None


def _is_history(sentence: str) -> bool:
    """Whether a sentence under no heading is why the image was made."""
    if _AGE.search(sentence):
        return not (wording.states_finding(sentence) and not _AGE.match(sentence.strip()))
    if wording.asks(sentence):
        return not re.search(r"\b(?:is|are|seen|noted|present)\b", sentence) or sentence.endswith(
            "?"
        )
    return (
        wording.tells_history(sentence)
        and not wording.names_finding(sentence)
        and len(sentence) < 80
    )
