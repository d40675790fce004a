"""Lines of a report, each placed: in a section, or among what belongs to none.

    for one in place_lines(text):
        one.section, one.said

A line goes where its heading says. Under no heading, or where what it says does not fit the
heading that it follows, its wording decides: history and questions are an indication, whatever
speaks of the image is findings.
"""

import re
from dataclasses import dataclass, field, replace

from indexer.reports.lines import LIST_MARK, is_wrapped
from indexer.reports.sections import english, european
from indexer.reports.sections import statements as wording
from indexer.reports.sections.headings import (
    Heading,
    body_parts,
    is_examination,
    is_plain_heading,
    plain_label,
    says_more,
    split_headings,
)
from indexer.reports.sections.particulars import is_name, particulars_of, signature_in

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-ZÀ-Ý(])")
_NUMBER = re.compile(r"(?:^|\s)\(?(\d{1,2})[.)](?!\d)")
_TELLS = re.compile(
    r"\b(?:notified|discussed|called|communicated|informed|conveyed|telephone|paged|relayed)\b",
    re.IGNORECASE,
)
_PARAGRAPH_KINDS = ("indication", "comparison", "technique", "title")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Words of a report and where they belong."""

    section: str
    said: str
    new_paragraph: bool = False
    same_line: bool = False
    """Whether it continues the line of what was placed before it in this section."""
    reason: str = ""
    """``unplaced``: under no heading; ``misplaced``: under one that it does not fit."""
    addendum: int = 0
    """Which addendum it is part of, from 1; 0 for the report itself."""
    preliminary: bool = False
    examination: int = 0
    parts: frozenset[str] = frozenset()
    """Body parts of its examination, as `headings.body_parts` names them."""


def place_lines(text: str) -> list[Placed]:
    """Every line that has a letter or digit, in order."""
    lines = text.split("\n")
    bare = {
        plain_label(line) for line in lines if line.strip().islower() and is_plain_heading(line)
    }
    if len(bare) > 1:
        lines = [line.strip().capitalize() if is_plain_heading(line) else line for line in lines]
    return _Placer([(line, split_headings(line)) for line in lines]).run()


@dataclass
class _State:
    """Where the reading stands."""

    slot: str = ""
    reason: str = ""
    empty: bool = True
    """Whether nothing stands under the present heading yet."""
    blank: bool = False
    addendum: int = 0
    on_top: bool = False
    """Whether the addendum stands before the report."""
    preliminary: str = ""
    """``block`` until the next heading, ``sticky`` until a final report; empty otherwise."""
    examination: int = 0
    parts: dict[int, set[str]] = field(default_factory=lambda: {0: set()})
    listed: bool = False
    """Whether the recommendation has a list of its own."""
    last_number: int = 0
    """Of the list in the impression."""


class _Placer:
    def __init__(self, lines: list[tuple[str, list[tuple[Heading | None, str]]]]) -> None:
        self._lines = lines
        self._now = _State()
        self._placed: list[Placed] = []
        self._seen: set[tuple[str, int, int, bool]] = set()
        headings = [head for _, pieces in lines for head, _ in pieces if head is not None]
        self._left_to_come = sum(head.kind == "findings" for head in headings)
        self._several = any(
            head.kind == "exam" and "other" in head.parts for head in headings
        ) or any(
            head.kind == "organ" and plain_label(head.label) in ("chest", "thorax")
            for head in headings
        )

    def run(self) -> list[Placed]:
        for line, pieces in self._lines:
            if not _has_words(line):
                self._now.blank = True
                continue
            for number, (heading, rest) in enumerate(pieces):
                if heading is None:
                    self._text(rest)
                else:
                    self._open(heading, rest, line=line, inline=number > 0)
                self._now.blank = False
        parts = {number: frozenset(named) for number, named in self._now.parts.items()}
        return [replace(one, parts=parts[one.examination]) for one in self._placed]

    def _add(self, section: str, said: str, *, reason: str = "", same_line: bool = False) -> None:
        if not _has_words(said):
            return
        now = self._now
        self._placed.append(
            Placed(
                section=section,
                said=said.strip(),
                new_paragraph=now.blank or now.empty,
                same_line=same_line,
                reason=reason,
                addendum=now.addendum,
                preliminary=bool(now.preliminary),
                examination=now.examination,
            )
        )
        self._seen.add((section, now.examination, now.addendum, bool(now.preliminary)))
        now.empty = False
        if section == "impression":
            for number in _NUMBER.finditer(said):
                if int(number[1]) == now.last_number + 1:
                    now.last_number += 1

    def _has(self, *sections: str) -> bool:
        now = self._now
        here = (now.examination, now.addendum, bool(now.preliminary))
        return any((section, *here) in self._seen for section in sections)

    def _go(self, slot: str, reason: str = "") -> None:
        self._now.slot, self._now.reason, self._now.empty = slot, reason, True
        self._now.listed = False

    # Headings

    def _open(self, heading: Heading, rest: str, *, line: str, inline: bool) -> None:
        now, kind = self._now, heading.kind
        if kind == "exam" and self._is_body_of_slot(heading, rest, line):
            self._text(line.strip())
            return
        if kind == "organ":
            self._organ(heading, rest, inline=inline)
            return
        if kind == "final":
            now.preliminary, now.addendum = "", 0
            self._go("")
        elif kind == "preliminary":
            now.preliminary, now.addendum = "block", 0
            self._go("findings")
        elif kind == "addendum":
            now.addendum = 1 + max((one[2] for one in self._seen), default=0)
            now.on_top = not any(one[0] in ("findings", "impression") for one in self._seen)
            now.preliminary = ""
            self._go("impression")
        else:
            self._end_blocks(kind)
            self._section(heading, rest)
            return
        self._keep_more(heading)
        self._text(rest)

    def _keep_more(self, heading: Heading) -> None:
        """What a heading says besides what it opens is a title."""
        if says_more(heading.label):
            self._add("title", heading.label)
            self._now.empty = True

    def _end_blocks(self, kind: str) -> None:
        """A heading ends a preliminary read that has text, and an addendum before the report."""
        now = self._now
        if kind in ("header", "signature", "notification"):
            return
        if now.preliminary == "block":
            now.preliminary = "sticky" if now.empty else ""
        if (
            now.addendum
            and now.on_top
            and kind != "impression"
            and self._has("findings", "impression")
        ):
            now.addendum = 0

    def _section(self, heading: Heading, rest: str) -> None:
        now, kind = self._now, heading.kind
        if kind == "findings":
            self._left_to_come -= 1
        if kind == "comment":
            kind = self._comment(heading, rest)
            if not kind:
                self._text(f"{heading.label}: {rest}".rstrip(": ") if rest else heading.label)
                return
        if kind in ("exam", "part"):
            self._examination(heading, rest)
            return
        if kind in ("findings", "impression") and heading.parts:
            self._switch(heading.parts)
        self._go(kind)
        if kind not in ("header", "signature"):
            self._keep_more(heading)
        if kind in ("header", "signature"):
            self._add(kind, f"{heading.label}: {rest}" if rest else heading.label)
            now.empty = not rest
        else:
            self._text(rest)

    def _comment(self, heading: Heading, rest: str) -> str:
        """A comment is an impression once there are findings; a note stays where it stands."""
        label = plain_label(heading.label)
        if self._has("findings"):
            return "" if label.startswith("note") else "impression"
        if label.startswith("diagnosis"):
            return "indication"
        return "" if label.startswith("note") else "findings"

    def _is_body_of_slot(self, heading: Heading, rest: str, line: str) -> bool:
        """Whether the name of an examination is what is compared with, or how it was made."""
        named = plain_label(heading.label) not in english.HEADINGS["exam"]
        under = self._now.slot in ("technique", "comparison") and (
            self._now.empty or (self._now.slot == "comparison" and not self._now.blank)
        )
        return named and under and not rest and not line.rstrip().endswith(":")

    def _organ(self, heading: Heading, rest: str, *, inline: bool) -> None:
        now = self._now
        label = plain_label(heading.label)
        if self._several and label in ("chest", "thorax"):
            self._switch(frozenset({"chest"}))
        elif (
            self._several
            and heading.parts == {"other"}
            and label in english.AMBIGUOUS_PARTS | english.OTHER_PARTS
        ):
            self._examination(replace(heading, kind="part"), rest)
            return
        elif self._several and now.slot == "findings" and self._in_part:
            self._switch(frozenset({"chest"}))
        continued = now.slot in ("findings", "impression") and inline
        stays = now.slot == "impression" and (now.empty or inline or now.addendum > 0)
        if not (continued or stays or now.slot == "findings"):
            misplaced = now.slot not in ("", "findings", "title", "header")
            self._go("findings", "")
            now.reason = "misplaced" if misplaced and now.slot == "impression" else ""
        now.blank = now.blank or not inline
        self._add(now.slot, f"{heading.label}: {rest}".rstrip(), reason="", same_line=inline)
        self._label_only = not rest

    _label_only = False
    _in_part = False

    def _examination(self, heading: Heading, rest: str) -> None:
        now = self._now
        in_findings = now.slot in ("findings", "impression")
        titled = not rest or not body_and_rest(rest)[1]
        parts = heading.parts | (
            body_parts(plain_label(rest)) if titled or not heading.parts else frozenset()
        )
        self._switch(parts, part_only=heading.kind == "part")
        if heading.kind == "part":
            self._add(
                "findings" if not in_findings else now.slot, f"{heading.label}: {rest}".rstrip()
            )
            self._go(now.slot if in_findings else "findings")
            now.empty = False
            return
        title, said = body_and_rest(rest) if self._is_label(heading) else title_and_rest(rest)
        slot = now.slot if in_findings and not title and not self._is_label(heading) else "title"
        self._add("title", f"{heading.label}: {title}" if title else heading.label)
        self._go(slot)
        now.empty = not title and self._is_label(heading)
        if said:
            self._go("findings", "misplaced" if title else "")
            self._text(said)

    def _is_label(self, heading: Heading) -> bool:
        return plain_label(heading.label) in _EXAM_LABELS

    def _switch(self, parts: frozenset[str], *, part_only: bool = False) -> None:
        """Go to the examination of these body parts: a new one once the present one has text."""
        now = self._now
        if not parts:
            return
        self._in_part = part_only
        present = now.parts[now.examination]
        if (
            parts <= present
            and (len(present) == 1 or not part_only)
            and not self._has("impression")
        ):
            return
        if part_only or self._has(
            "findings", "impression", "technique", "comparison", "indication"
        ):
            if present == parts and not self._has("impression"):
                return
            now.examination = max(now.parts) + 1
            now.parts[now.examination] = set(parts)
            now.last_number = 0
        else:
            present |= parts

    # Text

    def _text(self, line: str) -> None:
        now = self._now
        line = line.strip()
        if not _has_words(line):
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
        sentences = _SENTENCE.split(line)
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
        number = LIST_MARK.match(line) and _NUMBER.match(line)
        return bool(
            number and self._now.last_number and int(number[1]) == self._now.last_number + 1
        )

    def _continue(self, line: str) -> None:
        """A line under an indication, a comparison, a technique or a title."""
        now = self._now
        sentences = _SENTENCE.split(line)
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
        now.listed = now.listed or (now.empty and _NUMBER.match(line) is not None)
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


_BLANKED = re.compile(r"\W*_{2,5}\W*")


def _has_words(text: str) -> bool:
    """Whether a line says something; a redaction does, a ruled line does not."""
    return any(char.isalnum() for char in text) or _BLANKED.fullmatch(text) is not None


_READER = re.compile(
    r"\W*(?:\S+\s+){0,6}?(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b.{0,40}?\d{1,2}:\d{2}\s?(?:[ap]\.?m\.?)?\W*",
    re.IGNORECASE,
)
"""Who read a preliminary report and when: ``ABC SUN 9:00 PM``."""
_EXAM_LABELS = frozenset(
    plain_label(label)
    for label in (
        *english.HEADINGS["exam"],
        *(name for table in european.LANGUAGES for name in table["exam"].split(";")),
    )
)
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


def title_and_rest(body: str) -> tuple[str, str]:
    """What stands behind a title in words ("PORTABLE CHEST: ..."): a date, or what is said."""
    plain = plain_label(body)
    return (body, "") if particulars_of(body) or is_examination(plain) else ("", body)


def body_and_rest(body: str) -> tuple[str, str]:
    """What stands behind the name of an examination: more of the title, then what is said."""
    if not body:
        return "", ""
    sentences = _SENTENCE.split(body)
    for number, sentence in enumerate(sentences):
        plain = plain_label(sentence)
        titled = is_examination(plain) or (
            bool(body_parts(plain))
            and len(plain.split()) < 5
            and not wording.states_finding(sentence)
        )
        said = (
            number > 0
            and not particulars_of(sentence)
            and not wording.describes_technique(sentence)
        )
        if not titled and said and len(sentence.split()) > 3:
            return " ".join(sentences[:number]), " ".join(sentences[number:])
        if not titled and (
            wording.states_finding(sentence)
            or (
                number == 0
                and wording.names_finding(sentence)
                and not wording.describes_technique(sentence)
            )
        ):
            return " ".join(sentences[:number]), " ".join(sentences[number:])
    return body, ""
