"""Lines of a report, each placed: in a section, or among what belongs to none.

    for one in place_lines(text):
        one.section, one.said

A line goes where its heading says. Under no heading, or where what it says does not fit the
heading that it follows, its wording decides: history and questions are an indication, whatever
speaks of the image is findings.
"""

import re
from dataclasses import replace

from indexer.reports.sections.examinations import body_and_rest, title_and_rest
from indexer.reports.sections.headings import split_headings
from indexer.reports.sections.labels import Heading, body_parts, is_plain_heading, says_more
from indexer.reports.sections.reading import Placed, has_words
from indexer.reports.sections.text import TextReading
from indexer.reports.sections.words import anatomy, english, european
from indexer.reports.sections.words.phrases import plain_label


def place_lines(text: str) -> list[Placed]:
    """Every line that has a letter or digit, in order."""
    lines = text.split("\n")
    bare = {
        plain_label(line) for line in lines if line.strip().islower() and is_plain_heading(line)
    }
    if len(bare) > 1:
        lines = [line.strip().capitalize() if is_plain_heading(line) else line for line in lines]
    return _Placer([(line, split_headings(line)) for line in lines]).run()


class _Placer(TextReading):
    def __init__(self, lines: list[tuple[str, list[tuple[Heading | None, str]]]]) -> None:
        self._lines = lines
        headings = [head for _, pieces in lines for head, _ in pieces if head is not None]
        super().__init__(sum(head.kind == "findings" for head in headings))
        self._several = any(
            head.kind == "exam" and "other" in head.parts for head in headings
        ) or any(
            head.kind == "organ" and plain_label(head.label) in ("chest", "thorax")
            for head in headings
        )

    def run(self) -> list[Placed]:
        for line, pieces in self._lines:
            if not has_words(line):
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

    def _open(self, heading: Heading, rest: str, *, line: str, inline: bool) -> None:
        now, kind = self._now, heading.kind
        if kind == "exam" and self._is_body_of_slot(heading, rest, line):
            self._text(line.strip())
            return
        if kind == "organ":
            self._organ(heading, rest, inline=inline)
            return
        if kind == "final":
            now.preliminary, now.addendum, now.replaces = "", 0, False
            self._go("")
        elif kind == "preliminary":
            now.preliminary, now.addendum = "block", 0
            self._go("findings")
        elif kind == "addendum":
            now.addendum = 1 + max((one[2] for one in self._seen), default=0)
            now.on_top = not any(one[0] in ("findings", "impression") for one in self._seen)
            now.preliminary, now.replaces = "", False
            now.corrected = _CORRECTED.search(heading.label) is not None
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
            now.addendum, now.replaces = 0, False

    def _section(self, heading: Heading, rest: str) -> None:
        now, kind = self._now, heading.kind
        now.replaces = bool(now.addendum and now.corrected and kind in ("findings", "impression"))
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
            and label in anatomy.AMBIGUOUS_PARTS | anatomy.OTHER_PARTS
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


_CORRECTED = re.compile(r"correct|amend|revis|korr|corrig|corre[cçz]|rectif", re.IGNORECASE)
_EXAM_LABELS = frozenset(
    plain_label(label)
    for label in (
        *english.HEADINGS["exam"],
        *(name for table in european.LANGUAGES for name in table["exam"].split(";")),
    )
)
