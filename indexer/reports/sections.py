"""Report text to its sections.

Every pattern here is linear in the length of the text: reports come from files and from the wire.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sections:
    """The sections that are kept; a section that the report does not have is empty.

    Technique, recommendation, notification and preliminary reads are dropped: they speak of the
    machine or of people. The comparison names other images: it is counted, never indexed.
    """

    indication: str = ""
    comparison: str = ""
    findings: str = ""
    impression: str = ""


_HEADINGS = {
    "indication": (
        "indications?",
        "clinical indications?",
        "(?:clinical )?history",
        "clinical (?:information|data|statement)",
        "reason for (?:the )?(?:exam(?:ination)?|study)",
        "patient history",
    ),
    "findings": (
        "findings?",
        "findings? ?(?:and|/|&) ?impressions?",
        "observations?",
        "report",
        "description",
    ),
    "impression": (
        "impressions?",
        "conclusions?",
        "opinion",
        "summary",
        "interpretation",
        "addendum",
    ),
    "comparison": (
        "comparisons?",
        "compared? (?:with|to)",
    ),
    "": (
        "techniques?",
        "exam(?:ination)?(?: type)?",
        "study",
        "procedure",
        "views?",
        "date(?: of exam)?",
        "wet read",
        "recommendations?(?:\\(s\\))?",
        "notifications?",
        "final report",
        "preliminary report",
    ),
}
_HEADING = re.compile(
    r"(?<![\w-])(?:"
    + "|".join(
        f"(?P<{name or 'dropped'}>{'|'.join(sorted(patterns, key=len, reverse=True))})"
        for name, patterns in _HEADINGS.items()
    )
    + r")[ \t]{0,4}(?P<end>:|(?=\r?\n|$))",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"\n[ \t\r]{0,200}\n\s*")
LIST_MARK = re.compile(r"(?:\(?\d{1,2}[.)](?!\d)|[-*•–·])\s*(?=\S)")
SHORT_LINE = 45
"""A line of fewer characters than this was ended on purpose, not wrapped by a text editor."""


def split_sections(text: str) -> Sections:
    """Split free report text at its headings; without any heading all of it is findings.

    Wrapped lines are joined, so a section need not be a substring of the text; line breaks that
    mean something (paragraphs, list items) stay. In reports without a FINDINGS heading (frequent
    in MIMIC-CXR) an unheaded paragraph before the impression is taken as findings. Text before the
    first heading counts likewise, except for title lines in capitals.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    headings = [match for match in _HEADING.finditer(text) if _is_heading(text, match)]
    parts: dict[str, list[str]] = {name: [] for name in _HEADINGS if name}
    unheaded = [_without_titles(text[: headings[0].start()] if headings else text)]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for match, end in zip(headings, ends, strict=False):
        body = text[match.end() : end].strip()
        name = _section_of(match)
        if name in ("findings", "impression"):
            parts[name].append(body)
            continue
        first, *rest = _PARAGRAPH.split(body)
        unheaded.extend(rest)
        if name:
            parts[name].append(first)
    if not any(parts["findings"]):
        parts["findings"] = unheaded
    return Sections(
        **{
            name: "\n".join(filter(None, (_unwrap(body) for body in bodies)))
            for name, bodies in parts.items()
        }
    )


def _section_of(match: re.Match[str]) -> str:
    return next(name for name in _HEADINGS if match[name or "dropped"] is not None)


def _is_heading(text: str, match: re.Match[str]) -> bool:
    """A heading opens a line, or stands in capitals, or follows the end of a sentence."""
    before = text[max(0, match.start() - 40) : match.start()]
    line = before.rpartition("\n")[2]
    word = match[0]
    opens_line = not line.strip(" \t*#_")
    if match["end"] != ":":
        return opens_line and word[0].isupper()
    return opens_line or word.isupper() or (word[0].isupper() and line.rstrip()[-1:] in ".!?;")


def _without_titles(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(line for line in lines if not (line.isupper() and len(lines) > 1))


def _unwrap(text: str) -> str:
    lines: list[str] = []
    for paragraph in _PARAGRAPH.split(text.strip()):
        start = len(lines)
        for line in paragraph.split("\n"):
            line = " ".join(line.split())
            if len(lines) > start and is_wrapped(lines[-1], line):
                lines[-1] += f" {line}"
            elif line:
                lines.append(line)
    return "\n".join(lines)


def is_wrapped(line: str, following: str) -> bool:
    """Whether the line break between two lines is a mere wrap inside one sentence."""
    if not following or LIST_MARK.match(following):
        return False
    return following[0].islower() or (len(line) >= SHORT_LINE and line[-1] not in ".!?:;")
