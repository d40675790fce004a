"""HTML, RTF, HL7 and escaped text -> plain lines.

    plain_text("<b>FINDINGS:</b><br>Heart &amp; lungs normal.")   # 'FINDINGS:\\nHeart & lungs ...'

Marks of de-identifiers (``<PERSON>``, ``***``) and signs ("<3 mm") are text and stay.
"""

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser

from striprtf.striprtf import rtf_to_text

from indexer.reports.spelling import plain_characters

_BLOCKS = frozenset(
    "p div br hr tr li ul ol table tbody thead h1 h2 h3 h4 h5 h6 pre html body head title section "
    "article header footer blockquote dl dt dd paragraph text list item caption content center "
    "component structuredbody".split()
)
"""Tags that end a line, those of HL7's clinical documents among them."""
_INLINE = frozenset(
    "b i u s em strong span font a sub sup small big tt code td th img meta link o:p st1 style "
    "script label linkhtml renderMultiMedia".lower().split()
)
_TAG = re.compile(
    r"<(?:/?\s?(?:"
    + "|".join(re.escape(name) for name in sorted(_BLOCKS | _INLINE, key=len, reverse=True))
    + r")(?:\s[^<>]{0,400})?/?|!--|!doctype[^<>]{0,200}|\?xml[^<>]{0,200})>?",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
_HL7_LINE = re.compile(r"^(?:MSH|PID|PV1|ORC|OBR|OBX|NTE)\|", re.MULTILINE)
_HL7_ESCAPE = re.compile(
    r"\\(?:\.(br|sp|in|ti|fi|nf|ce)([+-]?\d{0,4})|X([0-9A-Fa-f]{2,16})|([HNFSTRE]))\\"
)
_HL7_SIGNS = {"H": "", "N": "", "F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
_HL7_PARTS = {
    "IMP": "IMPRESSION:",
    "ADT": "ADDENDUM:",
    "REC": "RECOMMENDATION:",
    "ANT": "ADDENDUM:",
}
"""Suffixes of observation identifiers (HL7 v2, chapter 7) that name a part of a report."""
_ESCAPED_BREAK = re.compile(r"(?:\\r)?\\n|_x000D_\n?")


def plain_text(text: str) -> str:
    """The text of a report, whatever it is wrapped in, with ``\\n`` between its lines."""
    if text.lstrip("\ufeff \t\r\n").startswith("{\\rtf"):
        read: Callable[..., str] = rtf_to_text
        text = read(text.lstrip("\ufeff \t\r\n"), errors="ignore")
    text = re.sub(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    if _HL7_LINE.search(text):
        text = _observations(text)
    if "\\" in text:
        text = _HL7_ESCAPE.sub(_unescaped, text)
    if "\n" not in text.strip() or "_x000D_" in text:
        text = _ESCAPED_BREAK.sub("\n", text).replace("\\t", " ")
    if "&lt;" in text and _TAG.search(html.unescape(text)):
        text = html.unescape(text)
    if "<" in text and _TAG.search(text):
        text = _without_tags(text)
    elif "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    return plain_characters(text)


class _TagStripper(HTMLParser):
    """Keeps the text and whatever looks like a tag and is none of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("script", "style"):
            self._unseen += 1
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag in ("p", "div", "table", "paragraph") else "\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag not in _INLINE:
            self.parts.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS and tag not in ("br", "hr"):
            self.parts.append("\n")
        elif tag not in _INLINE and tag not in _BLOCKS:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)


def _without_tags(text: str) -> str:
    stripper = _TagStripper()
    # A break in the source of HTML is a space, but reports come with both kinds of break.
    stripper.feed(text)
    stripper.close()
    return "".join(stripper.parts)


def _unescaped(match: re.Match[str]) -> str:
    command, _, code, sign = match.groups()
    if command:
        return "\n" if command in ("br", "sp", "ce", "ti") else ""
    if code:
        return bytes.fromhex(code[: len(code) // 2 * 2]).decode("latin-1").replace("\r", "\n")
    return _HL7_SIGNS[sign]


def _observations(text: str) -> str:
    """The text of OBX segments, under the part that their identifier names; NTE as they say."""
    lines = []
    part = ""
    for line in text.split("\n"):
        fields = line.split("|")
        if fields[0] == "OBX" and len(fields) > 5:
            suffix = re.search(r"[&^](IMP|ADT|ANT|REC)\b", fields[3])
            named = suffix[1] if suffix else ""
            if named != part and named:
                lines.append(_HL7_PARTS[named])
            part = named
            lines.extend(fields[5].split("~"))
        elif fields[0] == "NTE" and len(fields) > 3:
            lines.extend(fields[3].split("~"))
        else:
            lines.append(line)
    return "\n".join(lines)
