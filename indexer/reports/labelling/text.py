"""A sentence in the one spelling that the rules are written for.

Lower case, American, single spaces, straight quotes, no ligatures, no hyphen or break inside a
word, and the shorthand of dictation written out ("w/o", "isn't", "neg.", "(-)"). Redactions go.
Every character knows where it came from, so a mention can be found in the sentence as given.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_PREFIXES = (
    "pneumo|hydro|h(?:a)?emo|cardio|broncho|hyper|hypo|pleuro|reticulo|dextro|levo|kypho|osteo"
    "|retro|peri|para|infra|supra|thoraco|fibro|spondylo"
)
_COMPOUND = (
    "air|ill|non|post|pre|left|right|mid|well|ground|end|plate|port|multi|follow|soft|low|high|near"
)
_KNOWN_WORD = (
    r"effusions?|pneumothora\w+|consolidations?|pneumonias?|cardiomegaly|edema|opacit\w+|nodules?"
    r"|mass(?:es)?|fractures?|atelectasis|infiltrates?|hernia|scoliosis|emphysema|lungs?|heart"
    r"|pleura|mediastinum|bones?|lines?|tubes?|devices?|size|diaphragms?"
)
_Replacement = str | Callable[[re.Match[str]], str]

_STEPS: tuple[tuple[re.Pattern[str], _Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b(?:x{3,}|_{2,})\b|_{3,}|\[\*\*.{0,80}?\*\*\]|\*{3,}|<[a-z_ ]{2,30}>", " "),
        (r"[\u00ad\u200b\u200c\u200d\ufeff]", ""),
        ("\ufb00", "ff"),
        ("\ufb01", "fi"),
        ("\ufb02", "fl"),
        ("\ufb03", "ffi"),
        ("\ufb04", "ffl"),
        ("\u0153", "oe"),
        ("\u00e6", "ae"),
        (r"[\u2018\u2019\u02bc\u00b4`]", "'"),
        (r"[\u201c\u201d\u201e]", '"'),
        (r"[\u2010\u2011]", "-"),
        (r"(?<=\d)\s?[\u2012-\u2014\u2212]\s?(?=\d)", "-"),
        (r"[\u2012-\u2015\u2212]|(?<=[a-z]) ?--+ ?(?=[a-z])", " - "),
        (r"[\u2022\u25cf\u25e6\u2219\u00b7\u25aa]", " ; "),
        (r"[\u00f8\u2205](?=\s)", "no"),
        (r"\n[ \t]*[-*>]\s+", " ; "),
        # Breaks inside words
        (rf"\b(?P<compound>{_COMPOUND})-[ \t]*\r?\n\s*(?=[a-z])",
         lambda match: match["compound"] + "-"),
        (r"(?<=[a-z]{2})-[ \t]*\r?\n\s*(?=[a-z])", ""),
        (rf"\b(?:(?!(?:{_KNOWN_WORD})-)[a-z]{{3,}})- (?=[a-z]{{3,}})"
         r"(?!(?:and|or|to|none|no)\b)", lambda match: match[0].removesuffix("- ")),
        (rf"\b(?P<prefix>{_PREFIXES})(?:-\s?|\s)(?=[a-z]{{3,}})(?!(?:and|or)\b)",
         lambda match: match["prefix"]),
        (r"\s+", lambda match: " " if match[0] != " " else match[0]),
        # British spelling
        (r"(?<=\b)o(?=edema|esophag)|(?<=myx)o(?=edema)", ""),
        (r"(?<=h)a(?=em[aeior])|(?<=an)a(?=em)|(?<=isch)a(?=em)|(?<=\bp)a(?=ed)"
         r"|(?<=osteop)a(?=en)", ""),
        (r"(?<=tum)ou(?=r)|(?<=col)ou(?=r)|(?<=fav)ou(?=r)", "o"),
        (r"(?<=tunnel)l(?=ed)", ""),
        (r"\b(?P<stem>visual|local|general|recogn|demineral|mineral|cephal|character|stabil"
         r"|lateral|central|optim|minim|util|cathet\w*)is(?=e|ing"
         r"|at)", lambda match: match["stem"] + "iz"),
        (r"(?<=calib|.cent)re\b", "er"),
        (r"\bgrey\b", "gray"),
        # Shorthand
        (r"\bw/o(?:ut)?\b|\bwithout any\b", "without"),
        (r"\bw/(?= ?[a-z])", "with "),
        (r"\bc/w\b", "consistent with"),
        (r"\br/o\b", "rule out"),
        (r"\bs/p\b", "status post"),
        (r"\bh/o\b|\bhx of\b|\bhx\b", "history of"),
        (r"(?<=\w):? \(-\)(?=\W*$|[,.;])", ": no"),
        (r"\(-\)\s?", " ; no "),
        (r"(?<=[a-z])(?::? -| ?: n)(?= ?(?:$|[,;.]))", ": no"),
        (r"(?:^|(?<=[,;] ))-(?=[a-z])", "no "),
        (r"\(\+\)\s?", " ; "),
        (r"(?<=\w) ?#(?!\s?\d)", " fracture"),
        (r"(?<![\w#])#(?!\s?\d)", "fracture"),
        (r"\bnon-(?=[a-z])", "non"),
        (r"\bb/l\b", "bilateral"),
        (r"\b(?P<word>there|it|that|what)'s\b", lambda match: match["word"] + " is"),
        (r"\b(?:-ve|neg)\b\.?", "negative"),
        (r"\+ve\b", "positive "),
        (r"\bnil\b(?! acute)|\bzero\b", "no"),
        (r"\bnil acute\b", "no acute"),
        (r"\bevid\.", "evidence"),
        (r"\bsignif\.", "significant"),
        (r"\bdef\.", "definite"),
        (r"\bposs\b\.?", "possible"),
        (r"\bprob\b\.?", "probable"),
        (r"\bsusp\b\.?", "suspected"),
        (r"\bquest\.", "questionable"),
        (r"\bbilat\b\.?", "bilateral"),
        (r"\bmod\b\.?(?= )", "moderate"),
        (r"\b(?P<side>[rl]t)\.(?= )", lambda match: match["side"]),
        (r"\b(?P<verb>is|are|was|were|do|does|did|has|have|had|could|would)n'?t\b",
         lambda match: match["verb"] + " not"),
        (r"\bcan(?:'t| not)\b", "cannot"),
        (r"^\W*(?:\(?\d{1,2}[.)]|[-*>])\s+", ""),
        (r" {2,}", " "),
    )
)  # fmt: skip


_LINE_START = re.compile(r"(?<![,\-\u2010])[ \t]*\n(?=[ \t]*[A-Z][a-z])")
"""Before a line that begins with a capital: a template's lines need no full stop."""


def _ended(match: re.Match[str]) -> str:
    return ";" + "\n" * (len(match[0]) - 1) if len(match[0]) > 1 else ";"


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence as the rules read it."""

    plain: str
    origin: tuple[int, ...]
    """The position in the sentence as given of each character, and of the end."""
    given: str

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span in the sentence as given; a letter that was left out belongs to its word."""
        first, last = self.origin[start], self.origin[end - 1] + 1
        floor = self.origin[start - 1] + 1 if start else 0
        while first > floor and self.given[first - 1].isalpha():
            first -= 1
        return first, last


def read_text(sentence: str) -> Text:
    """Bring a sentence to the spelling of the rules."""
    given = sentence
    sentence = _LINE_START.sub(_ended, sentence)
    plain = "".join(low if len(low := char.lower()) == 1 else char for char in sentence)
    origin = list(range(len(plain) + 1))
    for pattern, replacement in _STEPS:
        plain, origin = _replace(pattern, replacement, plain, origin)
    return Text(plain, tuple(origin), given)


def _replace(
    pattern: re.Pattern[str], replacement: _Replacement, text: str, origin: list[int]
) -> tuple[str, list[int]]:
    matches = list(pattern.finditer(text))
    if not matches:
        return text, origin
    pieces: list[str] = []
    positions: list[int] = []
    last = 0
    for match in matches:
        new = replacement if isinstance(replacement, str) else replacement(match)
        pieces += (text[last : match.start()], new)
        positions += origin[last : match.start()]
        positions += _spread(origin[match.start() : match.end()], len(new))
        last = match.end()
    pieces.append(text[last:])
    positions += origin[last:]
    return "".join(pieces), positions


def _spread(old: list[int], size: int) -> list[int]:
    """Positions for ``size`` new characters in place of ``old``."""
    return [old[min(number, len(old) - 1)] for number in range(size)] if old else []


def blank(pattern: re.Pattern[str], text: str) -> str:
    """The text with spaces in place of every match."""
    return pattern.sub(lambda match: " " * len(match[0]), text)
