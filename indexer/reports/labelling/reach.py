"""How far a cue reaches.

A cue reaches along a list and ends where something new is asserted. "No consolidation, effusion,
or pneumothorax" denies three; "no consolidation, small left effusion" and "no consolidation and
new effusion" deny one. What tells them apart is the item: bare, or with a side, a degree, an
article or a verb of its own; and whether an "or" closes the list behind it.
"""

import re

from indexer.reports.labelling.cues import Cue
from indexer.reports.labelling.wording import Span

BOUNDARY = re.compile(
    r";|: |(?<!vs)\. |\b(?:but|however|although|though|yet|except|aside from|apart from"
    r"|other than|while|whereas|despite|in spite of|following|after|status post|which|because"
    r"|as well as|with the exception of|likewise|in (?:a|this|the) patient|there (?:is|are|was"
    r"|were|has|have)|therefore|thus|yes|otherwise|instead|nevertheless|excluding|in addition"
    r"|also noted|also seen|besides)\b"
)
"""Nothing reaches over these."""
_FAR = 400
"""Characters; no list of findings is longer, and a longer one would cost time."""

_SEPARATOR = re.compile(r",? (?:and/or|and|or|nor) | ?/ ?|, ?(?:nor |or |and )?| - | \(|\) ?")

_STRONG = re.compile(
    r"\b(?:left|right|[lr]t|bi(?:lateral\w*|basilar|basal|apical|hilar)|both|small\w*|tiny|trace"
    r"|minimal\w*|mild\w*|moderate\w*|marked\w*|severe\w*|stabl[ey]|unchanged|persist\w+|again"
    r"|increas\w+|decreas\w+|worse\w*|improv\w+|there|this|these|that|the|a|an|some|multiple"
    r"|several|few|residual|heal(?:ed|ing)|chronic|old|hazy|faint|patchy|streaky|linear|vague"
    r"|slight\w*|subtle|ill[- ]defined|subsegmental|scattered|degenerative|possibl[ye]"
    r"|probabl[ye]|likely|suspected|status|unremarkable|normal|now|it|only|just|interval"
    r"|developing|evolving|progress\w+|known|low\w*|post\w*|lungs|median|is|are|was|were|has|have"
    r"|remains?|shows?|[lr][ulm]l|bases|lingular?|upper|lower|retrocardiac|without|no|with|cannot"
    r"|multifocal|diffuse|borderline|mildly|r|l|calcified|tortuous|again|due|from|in)\b"
)
"""Says something of its own: after a comma or an "and" it ends a denial."""

_ASSERTIVE = re.compile(
    r"(?:increas|enlarged|elevated|prominent|widened|raised|tortuous|ectatic|coarse|thickened"
    r"|dilated|low|poor|degenerative|calcified|healed|old|hyper(?:inflated|expanded|lucent)"
    r"|flattened|blunted)"
)
"""The same at the start of a finding's own wording."""

_WEAK = re.compile(r"\b(?:large\w*|sizable|new\w*|big|extensive|dense|confluent|bulky|massive)\b")
"""Ends a denial unless an "or" behind it shows that the list goes on."""

_ADJECTIVES = re.compile(
    r"(?:[\s,]|\b(?:and|or|any|definite|focal|acute|active|new|old|left|right|bilateral|lobar"
    r"|pleural|large|small|moderate|tiny|significant|discrete|suspicious|obvious|gross|overt"
    r"|frank|convincing|evidence|of|for|signs?|radiographic|worsening|increasing|pulmonary|upper"
    r"|lower|mid|middle|apical|basilar|mild|severe|confluent|dense|patchy|hazy|healed|healing"
    r"|displaced|nondisplaced|air-?space|alveolar|a|the|to|suggest|is|are|see|show)\b)*"
)
"""A stretch without a noun: a comma inside it separates adjectives, not items."""

_TAIL = re.compile(
    r" ?(?::|(?:is|are|was|were|has|have|remains?|appears?) (?!(?:not |\w+ly |now "
    r"|currently )*(?:seen|identified|noted|present|evident|visuali|appreciated|demonstrated"
    r"|detected|suspected|apparent|visible|found|observed)\b)|(?:on|in|at|within|of|over"
    r"|along) the (?:\w+ )?(?:left|right|lung|base|apex|lingula|upper|lower|mid)\b|in (?:good "
    r"|stable |unchanged |satisfactory |standard|appropriate )*(?:place|position)\b|persists?"
    r"|again|unchanged|stable|measur\w+|small|moderate|large|mild|severe|tip|terminat\w+"
    r"|project\w+|overl\w+|(?:is |are )?(?:present|noted)(?= (?:on|in|at)))"
)
"""Follows an item that is asserted: "no pneumothorax, effusion on the left"."""

_OR_BEHIND = re.compile(
    r"(?:,? (?!is\b|are\b|was\b|were\b|with\b|but\b|in\b|on\b|at\b"
    r"|there\b)[\w/-]+){0,6}?(?P<comma>,?) (?:or|nor|and/or)\b"
)
_VALUE = re.compile(r" ?[:=] ?(?:all |both )?$")
_ASIDE = re.compile(r" - [^-;]{1,60} - ?| \([^()]{1,60}\) ?")
_BESIDE = re.compile(
    r" (?:with|without|next to|adjacent to|beside|near|around|surrounding|above|below|beneath"
    r"|underlying|overlying|along) "
)
"""Behind a mention: what follows is another thing, or a landmark."""
_PLURAL = re.compile(r"\b(?:are|were|have)\b")
_SINGULAR = re.compile(r"\b(?:is|was|has)\b")
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|remains?|appears?|shows?|there)\b")

_LASTING = frozenset(
    {
        "Granuloma", "Tortuous Aorta", "Aortic Calcification", "Scoliosis", "Kyphosis", "Hernia",
        "Degenerative Change", "Osteopenia", "Sternotomy Wires", "Surgical Clips",
    }
)  # fmt: skip


def reaches_on(plain: str, spans: list[Span], cue: Cue, span: Span) -> bool:
    """Whether a cue reaches forward to a mention behind it."""
    if span.start - cue.end > _FAR or BOUNDARY.search(plain, cue.end, span.start):
        return False
    between = [other for other in spans if cue.end <= other.start and other.end <= span.start]
    if between and _BESIDE.search(plain, between[0].end, span.start):
        return False
    separators = list(_SEPARATOR.finditer(plain, cue.end, span.start))
    ends = [*(separator.start() for separator in separators[1:]), span.start]
    had_or = False
    for separator, end in zip(separators, ends, strict=False):
        word = separator[0].strip(" ,(")
        if word in ("or", "nor", "and/or"):
            had_or = True
        elif separator.start() == cue.end and not word:
            return False
        elif word != "/" and not _ADJECTIVES.fullmatch(plain, cue.end, separator.start()):
            inside = (other for other in between if separator.end() <= other.start < end)
            item = span if end == span.start else next(inside, None)
            words = (separator.end(), item.start if item else end)
            behind = item.end if item else end
            if _asserts(plain, words, behind, in_list=word != "and", had_or=had_or):
                return False
            if item and not _goes_on(plain, behind) and _turns(between, item):
                return False
    return True


def _asserts(
    plain: str, words: tuple[int, int], behind: int, *, in_list: bool, had_or: bool
) -> bool:
    """Whether an item of a list says something of its own.

    ``words`` is the stretch of its adjectives, ``behind`` the end of its noun.
    """
    ahead = _OR_BEHIND.match(plain, behind, min(len(plain), behind + 90))
    may_go_on = ahead is not None and in_list and not had_or
    if _STRONG.search(plain, *words) or _ASSERTIVE.match(plain, words[1]):
        return not (may_go_on and ahead is not None and ahead["comma"])
    if _WEAK.search(plain, *words):
        return not may_go_on
    return _TAIL.match(plain, behind) is not None and not (
        ahead is not None and (in_list or not had_or)
    )


def _goes_on(plain: str, behind: int) -> bool:
    """Whether an "or" behind an item shows that the list goes on."""
    return _OR_BEHIND.match(plain, behind, min(len(plain), behind + 90)) is not None


def _turns(between: list[Span], item: Span) -> bool:
    """Whether the list cannot be going on, since the item is of another sort."""
    earlier = [other for other in between if other.end <= item.start]
    if item.is_device:
        return not any(other.is_device for other in earlier)
    return item.finding in _LASTING and not any(o.finding in _LASTING for o in earlier)


def reaches_back(plain: str, span: Span, cue: Cue) -> bool:
    """Whether a cue reaches back to a mention before it."""
    if cue.adjacent:
        return cue.start == span.end
    if cue.start - span.end > _FAR:
        return False
    value = _VALUE.search(plain[: cue.start], span.end)
    at = value.start() if value else cue.start
    if aside := _ASIDE.search(plain, span.end, at):
        plain = plain[: aside.start()] + "\0" * len(aside[0]) + plain[aside.end() :]
    if BOUNDARY.search(plain, span.end, at):
        return False
    separators = list(_SEPARATOR.finditer(plain, span.end, at))
    if separators and separators[-1].end() == at and separators[-1][0].strip() in "-(":
        separators.pop()
    if not separators:
        return True
    opening = max((match.end() for match in _SEPARATOR.finditer(plain, 0, span.start)), default=0)
    if _VERB.search(plain, span.end, separators[0].start()):
        return False
    if _VERB.search(plain, opening, span.start):
        return False
    if _PLURAL.search(plain, span.end, min(len(plain), cue.start + 5)):
        return True
    if any(separator[0].strip(" ,(") in ("or", "nor", "/") for separator in separators):
        return True
    return not (
        plain[span.end : separators[0].start()].strip()
        or _SINGULAR.search(plain, span.end, min(len(plain), cue.start + 4))
        or _STRONG.search(plain, opening, span.start)
        or any(_STRONG.search(plain, one.end(), cue.start) for one in separators)
    )
