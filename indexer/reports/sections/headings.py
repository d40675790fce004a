"""Where in a line a heading stands.

    split_headings("Cough. FINDINGS: Clear.")    # [(None, 'Cough.'), (Heading(...), 'Clear.')]

A heading opens a line (before a colon, a dash or nothing), or follows the end of a sentence, or
stands in capitals.
"""

import re

from indexer.reports.sections.labels import CONNECTOR, TWO_SENTENCES, Heading, classify
from indexer.reports.sections.words import anatomy, english
from indexer.reports.sections.words.phrases import (
    COMMON,
    FINDINGS_NOT_HEADINGS,
    PHRASES,
    plain_label,
)

_DECORATION = " \t*#_=<>[]{}~|•·>-"
_NUMBER = re.compile(r"\s*(?:\d{1,2}|[IVX]{1,4}|[A-H])[.)]\s+")
_CAPS_LABEL = re.compile(
    r"((?:[A-ZÀ-Ý][A-ZÀ-Ý/&()'-]+)(?: (?:[A-ZÀ-Ý/&][A-ZÀ-Ý/&()'-]*)){0,4}?)[ \t]+(?=\S)"
)
_VERB_NEXT = re.compile(
    r"(?:are|is|was|were|of|in|on|suggest\w*|consistent|compatible|remain\w*|have|has|with|as|may|and"
    r"|or|which|that|could|would|above|described|discussed|represent\w*|include\w*|reflect\w*|to|from"
    r"|significant|concerning|likely|unchanged|tube|line|size|pain|failure|discussed)\b",
    re.IGNORECASE,
)
_RUNNING = re.compile(
    r"(?<![\w/-])(EXAM(?:INATION)?|(?:CLINICAL )?(?:INDICATION|HISTORY|INFORMATION)|TECHNIQUE"
    r"|COMPARISON"
    r"|FINDINGS?|IMPRESSION|CONCLUSION|RECOMMENDATIONS?)(?=[ \t]+[A-Za-z0-9])(?![ \t]+(?:of|and"
    r"|is|are"
    r"|were|was|AND|IS|ARE|OF|WERE|WAS)\b)"
)
_SPACED = re.compile(r"^\W*((?:[A-Z] ){3,}[A-Z])\b(?=\W*$|\s*:)")
_SENTENCE_END = re.compile(r"[.!?;)\]]\s+|\s{3,}|\t")


def split_headings(line: str) -> list[tuple[Heading | None, str]]:
    """The line cut at its headings: each with the text that follows it on the line."""
    line = _SPACED.sub(lambda match: match[1].replace(" ", ""), line)
    if not line.isupper() and len(set(_RUNNING.findall(line))) > 1:
        line = _RUNNING.sub(r"\1:", line)
    opening, rest = _opening(line)
    found: list[tuple[Heading | None, str]] = []
    heading = opening
    while True:
        cut = _inline(rest)
        if cut is None:
            found.append((heading, rest.strip()))
            break
        start, following, end = cut
        found.append((heading, rest[:start].strip()))
        heading, rest = following, rest[end:]
    return [(head, text) for head, text in found if head is not None or text]


def _opening(line: str) -> tuple[Heading | None, str]:
    start = len(line) - len(line.lstrip(_DECORATION))
    bare = line[start:]
    if not bare or not (bare[0].isalpha() or _NUMBER.match(bare)):
        return None, line
    number = _NUMBER.match(bare)
    for skip in (0, number.end() if number else 0):
        text = bare[skip:]
        if not text[:1].isalpha():
            continue
        heading, rest = _labelled(text) or _alone(text) or _in_capitals(text) or (None, "")
        if heading is not None and (not skip or _may_be_numbered(heading)):
            return heading, rest
    return None, line


def _may_be_numbered(heading: Heading) -> bool:
    """Whether behind "2." it is a heading still, and no item of a list."""
    kinds = ("findings", "impression", "indication", "technique", "comparison", "recommendation")
    plain = plain_label(heading.label)
    return plain in PHRASES and (heading.kind in kinds or plain in english.HEADINGS["exam"])


_COLON = re.compile(r"(?<!\d):|:(?!\d)")


def _labelled(text: str) -> tuple[Heading, str] | None:
    """A label before a colon, or before a dash that cannot be anything else."""
    found = _COLON.search(text, 1, 100)
    if found:
        colon = found.start()
        label = text[:colon]
        if (not TWO_SENTENCES.search(label) and text[0].isupper()) or (
            text[:colon].islower() and plain_label(label) in PHRASES
        ):
            heading = classify(label.strip(_DECORATION))
            if heading is not None:
                return heading, text[colon + 1 :].lstrip(
                    _DECORATION if text[colon + 1 : colon + 2] in "*_-=" else " \t"
                )
    dash = re.match(
        r"([A-ZÀ-Ý][^\W\d_]*(?:[ /&][^\W\d_]+){0,4})(?:\s*--?>?\s+|\s+-|;\s)(?=\S)", text
    )
    if dash:
        heading = classify(dash[1], opens_line=False)
        plain = plain_label(dash[1])
        strong = dash[1].isupper() or plain in COMMON or (len(plain) > 5 and plain in PHRASES)
        if heading is not None and heading.kind == "organ":
            spaced = re.match(r"\s+--?>?\s", text[dash.end(1) :]) is not None
            strong = spaced and plain in PHRASES and plain not in FINDINGS_NOT_HEADINGS
        elif heading is not None and heading.kind in ("part", "header", "exam", "comment"):
            strong = False
        if heading is not None and strong:
            return heading, text[dash.end() :]
    return None


def _alone(text: str) -> tuple[Heading, str] | None:
    """A heading that has its line for itself."""
    label = text.strip(_DECORATION + ".:")
    if not label[:1].isupper() or len(label) > 70:
        return None
    if len(label) < 3 and not label.isupper():
        return None  # "Cc." is text; "CC" may be a heading
    short = label.isupper() and len(label.split()) < 3
    heading = classify(label, opens_line=short)
    if heading is None or heading.kind == "part":
        return None
    if heading.kind != "exam" and (_ends_in_text(label) or heading.kind == "signature"):
        return None
    if heading.kind == "organ":
        named = CONNECTOR.split(plain_label(label))
        if (
            text.rstrip().endswith(".")
            or " - " in label
            or not FINDINGS_NOT_HEADINGS.isdisjoint(named)
        ):
            return None
    return heading, ""


def _ends_in_text(label: str) -> bool:
    """Whether words behind the heading's own are text: ``HISTORY CT of 2019``."""
    plain = plain_label(label)
    if plain in PHRASES:
        return (
            re.search(r"\d{3}|/", re.sub(r"\([^)]*\)", "", label)) is not None and "/" not in plain
        )
    last = plain.split()[-1]
    return (last in anatomy.MODIFIERS and last not in anatomy.CHEST) or not last.isalpha()


def _in_capitals(text: str) -> tuple[Heading, str] | None:
    """``IMPRESSION Normal chest.``"""
    match = _CAPS_LABEL.match(text)
    while match:
        heading = classify(match[1], opens_line=False)
        rest = text[match.end() :]
        strong = plain_label(match[1]) in COMMON
        if heading is not None and strong and not _VERB_NEXT.match(rest):
            return heading, rest
        following = _CAPS_LABEL.match(text, match.end())
        if heading is None and following and match.end() < 40:
            longer = text[: following.end()].rstrip()
            heading = classify(longer, opens_line=False)
            if heading is not None and plain_label(longer) in COMMON:
                return heading, text[following.end() :]
        return None
    return None


_INLINE_KINDS = frozenset(
    "indication comparison findings impression technique recommendation addendum preliminary "
    "signature notification".split()
)


def _inline(text: str) -> tuple[int, Heading, int] | None:
    """The first heading inside the text: its start, itself and where its body begins."""
    start = 0
    for colon in re.finditer(r":(?!\d)", text):
        segment = text[start : colon.start()]
        start = colon.end()
        offset = colon.start() - len(segment)
        found = _ending(segment)
        if found is not None:
            return offset + found[0], found[1], colon.end()
    return None


def _ending(segment: str) -> tuple[int, Heading] | None:
    """The heading with which these words end."""
    skipped = max(0, len(segment) - 90)
    segment = segment[skipped:]
    cut = 0
    for end in _SENTENCE_END.finditer(segment):
        cut = end.end()
    words = [(match.start(), match[0]) for match in re.finditer(r"\S+", segment)][-6:]
    for at, word in words:
        label = segment[at:].strip()
        if not word[:1].isupper():
            continue
        after_stop = at == cut and cut > 0
        heading = classify(label, opens_line=False)
        if heading is None:
            continue
        plain = plain_label(label)
        if (
            label.isupper()
            and (heading.kind in _INLINE_KINDS or heading.kind == "organ")
            and len(plain) > 2
        ):
            return skipped + at, heading
        if after_stop and (
            heading.kind in _INLINE_KINDS
            or (heading.kind == "organ" and plain not in FINDINGS_NOT_HEADINGS)
        ):
            return skipped + at, heading
        if plain in COMMON and heading.kind in _INLINE_KINDS and at > 0:
            return skipped + at, heading
    return None
