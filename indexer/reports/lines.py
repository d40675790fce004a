"""Lines of a report: which breaks are mere wraps, and which end a statement."""

import re

from indexer.reports.spelling import join_broken_words

LIST_MARK = re.compile(r"(?:\(?\d{1,2}[.)](?!\d)|[-*•–·])\s*(?=\S)")
SHORT_LINE = 45
"""A line of fewer characters than this was ended on purpose, not wrapped by a text editor."""

_PARAGRAPH = re.compile(r"\n[ \t\r]{0,200}\n\s*")


def is_wrapped(line: str, following: str) -> bool:
    """Whether the line break between two lines is a mere wrap inside one sentence."""
    if not following or LIST_MARK.match(following):
        return False
    return following[0].islower() or (len(line) >= SHORT_LINE and line[-1] not in ".!?:;")


def unwrap(text: str) -> str:
    """Join wrapped lines and broken words; breaks of paragraphs and list items stay."""
    lines: list[str] = []
    for paragraph in _PARAGRAPH.split(join_broken_words(text.strip())):
        start = len(lines)
        for line in paragraph.split("\n"):
            line = " ".join(line.split())
            if len(lines) > start and is_wrapped(lines[-1], line):
                lines[-1] += f" {line}"
            elif line:
                lines.append(line)
    return "\n".join(lines)
