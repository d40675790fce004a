"""How far the cues of a sentence reach, and what state they leave a mention in.

A cue reaches along a list and ends where something new is asserted. "No consolidation, effusion,
or pneumothorax" denies three; "no consolidation, small left effusion" and "no consolidation and
new effusion" deny one. What tells them apart is the item: bare, or with a side, a degree, an
article or a verb of its own; and whether an "or" closes the list behind it.
"""

import re
from itertools import pairwise

from db.findings import FINDING
from db.labels import State
from indexer.reports.labelling.cues import STATE_OF_CERTAINTY, Cue, Effect, find_cues
from indexer.reports.labelling.mention import Certainty
from indexer.reports.labelling.wording import Span

_HARD = re.compile(
    r";|: |(?<!vs)\. |\b(?:but|however|although|though|yet|except|aside from|apart from|other than"
    r"|while|whereas|despite|in spite of|following|after|status post|which|because|as well as"
    r"|with the exception of|likewise|in (?:a|this|the) patient|there (?:is|are|was|were|has|have)"
    r"|therefore|thus|yes|otherwise|instead|nevertheless|excluding|in addition|also noted|also"
    r" seen"
    r"|besides)\b"
)
"""Nothing reaches over these."""

_SEPARATOR = re.compile(r",? (?:and/or|and|or|nor) | ?/ ?|, ?(?:nor |or |and )?| - | \(|\) ?")

_STRONG = re.compile(
    r"\b(?:left|right|[lr]t|bi(?:lateral\w*|basilar|basal|apical|hilar)|both|small\w*|tiny|trace"
    r"|minimal\w*|mild\w*|moderate\w*|marked\w*|severe\w*|stabl[ey]|unchanged|persist\w+|again"
    r"|increas\w+|decreas\w+|worse\w*|improv\w+|there|this|these|that|the|a|an|some|multiple"
    r"|several|few|residual|heal(?:ed|ing)|chronic|old|hazy|faint|patchy|streaky|linear|vague"
    r"|slight\w*"
    r"|subtle|ill[- ]defined|subsegmental|scattered|degenerative|possibl[ye]|probabl[ye]|likely"
    r"|suspected|status|unremarkable|normal|now|it|only|just|interval|developing|evolving"
    r"|progress\w+|known|low\w*|post\w*|lungs|median|is|are|was"
    r"|were|has|have|remains?|shows?|[lr][ulm]l|bases|lingular?|upper|lower|retrocardiac|without"
    r"|no"
    r"|with|cannot|multifocal|diffuse|borderline|mildly|r|l|calcified|tortuous|again|due|from"
    r"|in)\b"
)
"""Says something of its own: after a comma or an "and" it ends a denial."""

_WEAK = re.compile(r"\b(?:large\w*|sizable|new\w*|big|extensive|dense|confluent|bulky|massive)\b")
"""Ends a denial unless an "or" behind it shows that the list goes on."""

_ADJECTIVES = re.compile(
    r"(?:[\s,]|\b(?:and|or|any|definite|focal|acute|active|new|old|left|right|bilateral|lobar"
    r"|pleural|large|small|moderate|tiny|significant|discrete|suspicious|obvious|gross|overt|frank"
    r"|convincing|evidence|of|for|signs?|radiographic|worsening|increasing|pulmonary|upper|lower"
    r"|mid|middle|apical|basilar|mild|severe|confluent|dense|patchy|hazy|healed|healing|displaced"
    r"|nondisplaced|air-?space|alveolar|a|the|to|suggest|is|are|see|show)\b)*"
)
"""A stretch without a noun: a comma inside it separates adjectives, not items."""

_TAIL = re.compile(
    r" ?(?::|(?:is|are|was|were|has|have|remains?|appears?) (?!(?:not |\w+ly |now |currently"
    r" )*(?:seen"
    r"|identified|noted|present|evident|visuali|appreciated|demonstrated|detected|suspected"
    r"|apparent|visible|found|observed)\b)|(?:on|in|at|within|of|over|along) the (?:\w+ )?(?:left"
    r"|right"
    r"|lung|base|apex|lingula|upper|lower|mid)\b|in (?:good |stable |unchanged |satisfactory "
    r"|standard"
    r"|appropriate )*(?:place|position)\b|persists?|again|unchanged|stable|measur\w+|small"
    r"|moderate"
    r"|large|mild|severe|tip|terminat\w+|project\w+|overl\w+|(?:is |are )?(?:present|noted)"
    r"(?= (?:on|in|at)))"
)
"""Follows an item that is asserted: "no pneumothorax, effusion on the left"."""

_OR_BEHIND = re.compile(
    r"(?:,? (?!is\b|are\b|was\b|were\b|with\b|but\b|in\b|on\b|at\b|there\b)[\w/-]+){0,6}?"
    r"(?P<comma>,?) (?:or|nor|and/or)\b"
)
_DENIED_INSIDE = re.compile(r" (?:not|no longer) ")
_VALUE = re.compile(r" ?[:=] ?(?:all |both )?$")
_ASIDE = re.compile(r" - [^-;]{1,60} - ?| \([^()]{1,60}\) ?")
_BESIDE = re.compile(
    r" (?:with|without|next to|adjacent to|beside|near|around|surrounding|above|below|beneath"
    r"|underlying|overlying|along) "
)
"""Behind a mention: what follows is another thing, or a landmark."""
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|remains?|appears?|shows?|there)\b")
_VERSUS = re.compile(r"\b(?:versus|vs)\b")
_DISJUNCTION = re.compile(r",? (?:and/)?or (?:\w+ ){0,3}|(?: and|, )?/ ?")

_LASTING = frozenset(
    {
        "Granuloma", "Tortuous Aorta", "Aortic Calcification", "Scoliosis", "Kyphosis", "Hernia",
        "Degenerative Change", "Osteopenia", "Sternotomy Wires", "Surgical Clips",
    }
)  # fmt: skip


def _is_lung(span: Span) -> bool:
    """Whether a stroke may stand between this and another reading of one appearance."""
    return FINDING[span.finding].region in ("lungs", "pleura")


class Scope:
    """The cues of one sentence and how far they reach."""

    def __init__(self, plain: str, spans: list[Span]) -> None:
        self._plain = plain
        self._spans = spans
        cues = find_cues(plain)
        self._before = sorted((c for c in cues if not c.backward), key=lambda c: -c.start)
        self._after = sorted((c for c in cues if c.backward), key=lambda c: c.start)
        self._versus = [match.start() for match in _VERSUS.finditer(plain)]
        self._either: set[Span] = set()
        self._one_parent: set[Span] = set()
        self._find_alternatives()

    def state(self, span: Span, *, as_parent: bool = False) -> tuple[State, Certainty] | None:
        """State and certainty of a mention; None where it is not about this image.

        A finding that is said not to be there stays negative whatever is said of it besides.
        ``as_parent``: of the observation it rolls up to; a "nodule or mass" is a lung lesion.
        """
        effects = [self._nearest_before(span), self._nearest_after(span)]
        if _DENIED_INSIDE.search(self._plain, span.start, span.end):
            effects.append("negative")
        if "unmentioned" in effects:
            return None
        if "negative" in effects:
            return "negative", "definite"
        doubts: list[Effect] = ["unlikely", "possible", "probable"]
        for doubt in doubts:
            if doubt in effects:
                return "uncertain", STATE_OF_CERTAINTY[doubt]
        either = self._either - self._one_parent if as_parent else self._either
        if any(self._beside(span.end, at) for at in self._versus) or span in either:
            return "uncertain", "possible"
        return "positive", "definite"

    def _nearest_before(self, span: Span) -> Effect | None:
        for cue in self._before:
            if span.start < cue.start and cue.end <= span.end:
                return cue.effect
            if cue.end <= span.start and self._reaches_on(cue, span):
                return cue.effect
        return None

    def _nearest_after(self, span: Span) -> Effect | None:
        for cue in self._after:
            if cue.start >= span.end and self._reaches_back(span, cue):
                return cue.effect
        return None

    def _reaches_on(self, cue: Cue, span: Span) -> bool:
        plain, stop = self._plain, cue.end
        if _HARD.search(plain, stop, span.start):
            return False
        between = [
            other for other in self._spans if stop <= other.start and other.end <= span.start
        ]
        if between and _BESIDE.search(plain, between[0].end, span.start):
            return False
        separators = list(_SEPARATOR.finditer(plain, stop, span.start))
        seen_or = False
        for number, separator in enumerate(separators):
            word = separator[0].strip(" ,(")
            if word in ("or", "nor", "and/or"):
                seen_or = True
                continue
            if separator.start() == stop and word == "":
                return False
            if _ADJECTIVES.fullmatch(plain, stop, separator.start()):
                continue
            last = number + 1 == len(separators)
            limit = span.start if last else separators[number + 1].start()
            item = next((s for s in self._spans if separator.end() <= s.start < limit), None)
            item = span if last else item
            words_end = item.start if item else limit
            noun_end = item.end if item else limit
            ahead = _OR_BEHIND.match(plain, noun_end, min(len(plain), noun_end + 90))
            listed = ahead is not None and not (seen_or and word == "and")
            if word == "/":
                continue
            if _STRONG.search(plain, separator.end(), words_end):
                if not (ahead and ahead["comma"] and not seen_or and word != "and"):
                    return False
            elif _WEAK.search(plain, separator.end(), words_end):
                if not listed or seen_or or word == "and":
                    return False
            elif not listed and (
                _TAIL.match(plain, noun_end) or (item and self._turns(between, item))
            ):
                return False
        return True

    @staticmethod
    def _turns(between: list[Span], item: Span) -> bool:
        """Whether the list cannot be going on, since the item is of another sort."""
        earlier = [other for other in between if other.end <= item.start]
        if item.is_device:
            return not any(other.is_device for other in earlier)
        return item.finding in _LASTING and not any(o.finding in _LASTING for o in earlier)

    def _reaches_back(self, span: Span, cue: Cue) -> bool:
        plain = self._plain
        if cue.adjacent:
            return cue.start == span.end
        value = _VALUE.search(plain[: cue.start], span.end)
        at = value.start() if value else cue.start
        aside = _ASIDE.search(plain, span.end, at)
        if aside:
            plain = plain[: aside.start()] + "\0" * len(aside[0]) + plain[aside.end() :]
        if _HARD.search(plain, span.end, at):
            return False
        separators = list(_SEPARATOR.finditer(plain, span.end, at))
        if separators and separators[-1].end() == at and separators[-1][0].strip() in "-(":
            separators.pop()
        if not separators:
            return True
        if _VERB.search(plain, span.end, separators[0].start()):
            return False
        opening = max((m.end() for m in _SEPARATOR.finditer(plain, 0, span.start)), default=0)
        words = [s[0].strip(" ,(") for s in separators]
        plural = re.search(
            r"\b(?:are|were|have)\b", plain[span.end : min(len(plain), cue.start + 5)]
        )
        own = _STRONG.search(plain, opening, span.start) is not None
        if _VERB.search(plain, opening, span.start):
            return False
        if plural:
            return True
        single = re.search(r"\b(?:is|was|has)\b", plain[span.end : min(len(plain), cue.start + 4)])
        if "or" in words or "nor" in words or "/" in words:
            return True
        if plain[span.end : separators[0].start()].strip():
            return False
        return (
            not own
            and not single
            and not any(_STRONG.search(plain, s.end(), cue.start) for s in separators)
        )

    def _beside(self, end: int, at: int) -> bool:
        """Whether nothing else is mentioned between ``end`` and a "versus" at ``at``."""
        return (
            at >= end
            and "," not in self._plain[end:at]
            and not _HARD.search(self._plain, end, at)
            and not any(end <= other.start < at for other in self._spans)
        )

    def _find_alternatives(self) -> None:
        """Note the mentions that stand on either side of a bare "or": one of the two is meant."""
        ordered = sorted(self._spans, key=lambda span: span.start)
        for one, other in pairwise(ordered):
            join = _DISJUNCTION.fullmatch(self._plain, one.end, other.start)
            if join is None or one.finding == other.finding:
                continue
            if "/" in join[0] and not (_is_lung(one) and _is_lung(other)):
                continue
            self._either |= {one, other}
            if FINDING[one.finding].parent == FINDING[other.finding].parent is not None:
                self._one_parent |= {one, other}
