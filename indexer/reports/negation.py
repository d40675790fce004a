"""Negation and doubt: the cues of a sentence and how far each reaches.

After NegEx (Chapman et al., J Biomed Inform 2001): a cue reaches over the words before or after it
up to a boundary. All patterns are matched against lower-case text with single spaces.
"""

import re

from db.labels import State

_ADVERB = r"(?:(?:\w+ly|well|yet|been|now|as|being|be|otherwise) ){0,3}"
_SEEN = (
    r"(?:seen|identified|visuali[sz]ed|appreciated|evident|present|demonstrated|noted|apparent"
    r"|detected|confirmed|observed|visible|found|shown|suggested|suspected|recogni[sz]ed|displayed)"
)
_CHANGE = (
    r"(?:chang\w*|increas\w*|decreas\w*|improv\w*|worsen\w*|progress\w*|resol\w+|clear(?:ed|ing)"
    r"|growth|differen\w+|enlarg\w+ (?:of|in))"
)

PSEUDO = re.compile(
    r"\b(?:no|without|not|any)(?: (?:any|definite|significant\w*|substantial\w*|appreciabl\w+|yet"
    r"|interval|further|apparent|gross|great\w*|much|measurable|obvious|material\w*|convincing"
    rf"|acute))* {_CHANGE}\b|\bunresolved\b|\bnot only\b"
    rf"|\bnot (?:clearly )?{_SEEN} (?:on|in) (?:the )?(?:prior|previous|earlier|last|old)\b"
    r"|\b(?:nearly|almost|partial\w*|incomplete\w*|mostly|largely|not) (?:\w+ )?"
    r"(?:resol\w+|clear(?:ed|ing))\b"
)
"""Looks like a negation of the finding and negates its change instead."""

NOTHING_TO_SUGGEST = re.compile(
    r"\b(?:(?:no|nothing|without)(?: [\w-]+){0,6} to suggest"
    r"|(?:no|without)(?: [\w-]+){0,3} suggest\w*(?: of)?"
    r"|no(?: [\w-]+){0,3} (?:suspicious|concerning|worrisome) for"
    r"|(?:no|without) (?:\w+ ){0,2}concern for|no (?:suspected|possible|questionable))\b"
)
"""Denies both what it spans and what follows it."""

PRE_NEGATIVE = re.compile(
    r"\b(?:no longer|no|without|neither|nor|not|absence of|lack of|devoid of|never"
    r"|(?:free|clear) (?:of|from)|clear(?= (?:focal )?(?:air ?-?space|infiltrat|consolidat))"
    r"|negative (?:for|of)|(?:resolution|clearing|removal|disappearance) of|resolved)\b"
    r"|\bex(?=tubat)"
)
PRE_UNCERTAIN = re.compile(
    r"\b(?:possibl[ey]|possibility of|probabl[ey]|likely|unlikely|may|might|could|perhaps|would"
    r"|question(?:able|ed|ably)?(?: of)?|suspect(?:ed|s)?|suspicious (?:for|of)|suspicion (?:for"
    r"|of)"
    r"|concern(?:ing|s)? (?:for|of|about)|worrisome (?:for|of)|suggest(?:s|ive|ing|ion)?(?: of)?"
    r"|(?:can ?not|can't|could not|not|difficult to|unable to)"
    r" (?:\w+ )?(?:exclude|rule out)|does not exclude|to exclude"
    r"|rule[ -]?out|r/o|favou?r(?:ed|s|ing)?|potential(?:ly)?|raises?(?: the)? (?:question|concern)"
    r"(?: of| for)?|differential|borderline|equivocal(?:ly)?|presum(?:ed|ably)"
    r"|apparent(?= \w+ mass)"
    r"|evaluate for|correlat\w+ (?:\w+ )?for|with or without|versus|vs|rather than"
    r"|indeterminate for"
    r"|not definitely|consider)\b|\?"
)
POST_NEGATIVE = re.compile(
    rf"\b(?:not {_ADVERB}{_SEEN}|(?:is|are|was|were) {_ADVERB}absent"
    r"|(?:has|have|had) (?:(?:completely|now|since|all|subsequently|essentially|fully|also) ){0,2}"
    r"(?:resolved|cleared|disappeared)|(?:is|are) (?:now |completely )?(?:resolved|gone)"
    r"|no longer|(?:has|have) (?:now |since )?been (?:\w+ )?(?:removed|withdrawn|excluded)"
    r"|(?:is|are) (?:excluded|ruled out)|removal|has been ruled out)\b"
)
POST_UNCERTAIN = re.compile(
    r"\b(?:(?:can ?not|can't|could not|not) (?:be )?(?:\w+ )?(?:excluded|ruled out)"
    r"|(?:difficult|hard|impossible) to (?:entirely )?(?:exclude|rule out)"
    r"|(?:should|could|may|might) (?:also )?be (?:considered|present|possible)"
    r"|(?:could|may|might) (?:have|give|produce)|(?:is|are) (?:also )?"
    r"(?:possible|suspected|suggested|questioned|favored|considered|not completely excluded)"
    r"|(?:is|are) (?:felt |thought |considered )?(?:to be )?(?:less likely|unlikely)"
    r"|(?:is|are|be|remains?) a (?:consideration|possibility)|less likely|in the differential)\b"
)

BOUNDARY = re.compile(
    r";|: |(?<!vs)\. |\b(?:but|however|although|though|yet|except|aside from|apart from"
    r"|other than|while"
    r"|whereas|despite|in spite of|following|after|status post|s/p|post|which|because|as well as"
    r"|with the exception of|likewise|in (?:a|this|the) patient)\b"
    r"|(?:,(?: and)?| and) (?=(?:heal(?:ed|ing)|hazy|faint|subtle|ill[- ]defined|linear|mild\w*"
    r"|small|tiny|trace|minimal\w*|moderate\w*|marked\w*|severe|stable"
    r"|unchanged|persistent|patchy|bibasilar|chronic|old|low|scattered|decreased|improved|there|the"
    r"|this|these|heart|cardiac|lungs?|mediastin\w+|status|possible|possibly|probable|probably|no"
    r"|calcified|degenerative|tortuous|sternotomy|median|without|with|is|are|unremarkable|normal"
    r"|some"
    r"|subsegmental|streaky|again|left (?!or )|right (?!or )|it|cannot|can not|multiple"
    r"|tracheostomy"
    r"|endotracheal|catheter|pacemaker|picc|aortic)\b)"
)
"""Where the reach of a cue ends."""

LIST_VERB = re.compile(r"\b(?:are|were|have)\b")
"""A plural verb: what stands before it may be a list."""

VERSUS = re.compile(r"\b(?:versus|vs)\b")
DISJUNCTION = re.compile(r",? (?:and/)?or (?:\w+ ){0,3}|(?: and|, )?/ ?")


_Cue = tuple[int, int, bool, State]
"""Start, end, whether it reaches backward, and what it makes of a mention."""

_CUES: tuple[tuple[re.Pattern[str], bool, State], ...] = (
    (NOTHING_TO_SUGGEST, False, "negative"),
    (PRE_NEGATIVE, False, "negative"),
    (PRE_UNCERTAIN, False, "uncertain"),
    (POST_NEGATIVE, True, "negative"),
    (POST_UNCERTAIN, True, "uncertain"),
)


class Cues:
    """The cues of one sentence and how far they reach."""

    def __init__(self, text: str, mentions: list[tuple[str, int, int]]) -> None:
        plain = blank(PSEUDO, text)
        self._text = text
        self._mentions = mentions
        cues: list[_Cue] = [
            (match.start(), match.end(), backward, state)
            for pattern, backward, state in _CUES
            for match in pattern.finditer(plain)
        ]
        whole = [cue for cue in cues if not any(_overrules(other, cue) for other in cues)]
        self._before = sorted((cue for cue in whole if not cue[2]), reverse=True)
        self._after = sorted(cue for cue in whole if cue[2])
        self._versus = [match.start() for match in VERSUS.finditer(plain)]

    def state(self, start: int, end: int) -> State:
        """The state of what is mentioned between these two positions.

        A finding that is said not to be there stays negative whatever is said of it besides.
        """
        before = next(
            (
                state
                for _, stop, _, state in self._before
                if stop <= start and self._on(stop, start)
            ),
            None,
        )
        after = next(
            (state for at, _, _, state in self._after if at >= end and self._back(end, at)), None
        )
        if "negative" in (before, after):
            return "negative"
        if "uncertain" in (before, after) or any(self._beside(end, at) for at in self._versus):
            return "uncertain"
        return "positive"

    def _on(self, stop: int, start: int) -> bool:
        """Whether a cue that ends at ``stop`` reaches forward to ``start``."""
        if BOUNDARY.search(self._text, stop, start):
            return False
        with_ = self._text.rfind(" with ", stop, start)
        return with_ < 0 or not any(stop <= at and last <= with_ for _, at, last in self._mentions)

    def _back(self, end: int, at: int) -> bool:
        """Whether a cue that starts at ``at`` reaches back to ``end``."""
        if at < end or BOUNDARY.search(self._text, end, at):
            return False
        is_list = LIST_VERB.search(self._text, end, min(len(self._text), at + 5))
        return is_list is not None or "," not in self._text[end:at]

    def _beside(self, end: int, at: int) -> bool:
        """Whether nothing else is mentioned between ``end`` and a "versus" at ``at``."""
        return (
            at >= end
            and "," not in self._text[end:at]
            and not BOUNDARY.search(self._text, end, at)
            and not any(end <= start < at for _, start, _ in self._mentions)
        )


def _overrules(other: _Cue, cue: _Cue) -> bool:
    """Whether ``cue`` is a mere part of a longer cue that says something else."""
    inside = other[0] <= cue[0] and cue[1] <= other[1] and other[:2] != cue[:2]
    return inside and (other[3] != cue[3] or (other[2] != cue[2] and cue[3] == "negative"))


def blank(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: " " * len(match[0]), text)
