"""The words that deny a finding, doubt it or tell of another time or person.

After NegEx (Chapman et al., J Biomed Inform 2001) and ConText (Harkema et al., J Biomed Inform
2009): a cue reaches over what stands before or after it, as far as ``scope`` lets it.
"""

import re
from dataclasses import dataclass
from typing import Literal

from indexer.reports.labelling.mention import Certainty
from indexer.reports.labelling.text import blank

Effect = Literal["negative", "probable", "possible", "unlikely", "unmentioned"]
"""What a cue makes of a mention; "unmentioned" is the past, another person, or a likeness."""

STATE_OF_CERTAINTY: dict[Effect, Certainty] = {
    "probable": "probable",
    "possible": "possible",
    "unlikely": "unlikely",
}

_ADVERB = r"(?:(?:\w+ly|well|yet|been|now|as|being|be|otherwise|currently) ){0,3}"
_SEEN = (
    r"(?:seen|identified|visuali[sz]ed|appreciated|evident|present|demonstrated|noted|apparent"
    r"|detected|confirmed|observed|visible|found|shown|suggested|suspected|recogni[sz]ed|displayed"
    r"|discerned|perceived|depicted|delineated|discernible|conspicuous)"
)
_CHANGE = (
    r"(?:chang\w*|increas\w*|decreas\w*|improv\w*|worsen\w*|progress\w*|resol\w+|clear(?:ed|ing)"
    r"|growth|differen\w+|enlarg\w+ (?:of|in)(?! (?:the )?(?:\w+ ){0,2}(?:heart|cardi|hil|mediast"
    r"|aort|silh))|interval change|larger|smaller|develop(?:ed|ment))"
)

PSEUDO = re.compile(
    r"\b(?:no|without|not|any)(?: (?:any|definite|significant\w*|substantial\w*|appreciabl\w+|yet"
    r"|interval|further|apparent|gross|great\w*|much|measurable|obvious|material\w*|convincing"
    rf"|acute|longer|definitely))* {_CHANGE}\b|\bunresolved\b|\bnot only\b|\bno doubt\b"
    rf"|\bnot (?:\w+ly )?{_SEEN} (?:on|in) (?:the |this |that )?(?:prior|previous|earlier|last|old"
    r"|lateral|frontal|pa\b|ap\b|other|oblique|outside)"
    r"|\b(?:near(?:ly)?[- ]?|almost |partial\w* |incomplete\w* |mostly |largely |not |some |mild "
    r"|slight |substantial |significant |marked |further |near[- ]total )"
    r"(?:complete\w* |total |fully |interval |entirely )*(?:resol\w+|clear(?:ed|ing))\b(?: of\b)?"
    r"|\b(?:cannot|not) (?:\w+ )?be (?:\w+ )?(?:well |fully |adequately |completely )+"
    r"(?:evaluated|assessed|seen)\b"
    r"|\bnot (?:well|fully|adequately|optimally|completely|entirely) (?:seen|evaluated|assessed"
    r"|visuali[sz]ed|included|imaged|demonstrated)\b|\bnot (?:otherwise )?specified\b"
    r"|\bno (?:prior|previous|comparison|old|earlier) (?:\w+ )?(?:stud\w+|exam\w*|films?"
    r"|radiograph\w*"
    r"|images?|imaging|comparison|available)\b|\bno longer\b(?= (?:as|quite))"
)
"""Looks like a negation of the finding and denies its change, or how well it is seen, instead."""

BOTH_WAYS_NEGATIVE = re.compile(
    r"\b(?:(?:no|nothing|without)(?: [\w-]+){0,6} to suggest"
    r"|(?:no|without)(?: [\w-]+){0,3} suggest\w*(?: of)?"
    r"|no(?: [\w-]+){0,3} (?:suspicious|concerning|worrisome) for"
    r"|(?:no|without) (?:\w+ ){0,2}concern for|no (?:suspected|possible|questionable"
    r"|suspicious))\b"
)
"""Denies both what it spans and what follows it."""

_RELATIVE = (
    r"(?:mother|father|brother|sister|parents?|sibling|aunt|uncle|grand\w+|son|daughter|husband"
    r"|wife|spouse|relatives?|family member|contact|roommate)"
)
_BEFORE: tuple[tuple[Effect, str], ...] = (
    (
        "unmentioned",
        r"\b(?:(?:family|past|medical|clinical|surgical|remote|known|prior|patient"
        r"|with)\s)*history"
        r"(?: is)?(?: (?:of|significant for|positive for|notable for|includes?|:))?"
        r"|\b(?:recently |previously )?(?:treated|treatment|therapy|antibiotics|admitted"
        r"|hospitali[sz]ed"
        r"|operated|monitored|vaccinated|screened) (?:for|with|of)\b"
        rf"|\b{_RELATIVE}(?:'s)?(?: (?:has|had|have|with|died|diagnosed|recently|also|of|from"
        rf"|was))+\b"
        r"|\b(?:previous|prior|earlier|recent|old|remote)(?= (?:episodes? of |bouts? of )?(?:\w+"
        r" )?"
        r"(?:pneumonias?|infections?|tuberculosis|failure)\b)"
        r"|\b(?:mimic\w*|simulat\w+|mistaken for|confused with"
        r"|sequelae? of(?= (?:\w+ )?(?:pneumonia|infect|covid|tubercul))|risk (?:of|for)"
        r"|indication\w*(?: is)?:?|reason for (?:exam\w*|study)|clinical (?:concern|question"
        r"|suspicion)"
        r"(?: for| of)?|screening (?:for)|evidence against)\b|\bprotocol for\b|\bknown to have"
        r" had\b",
    ),
    (
        "negative",
        r"\b(?:no longer|no|without|neither|nor|not|absence of|lack of|devoid of|never"
        r"|absent(?=\s\w)"
        r"|(?:free|clear) (?:of|from)|clear(?= (?:focal )?(?:air ?-?space|infiltrat|consolidat))"
        r"|negative (?:for|of)|(?:resolution|clearing|removal|disappearance|extraction|withdrawal"
        r"|exclusion) of|(?:^|(?<=the )|(?<=now )|(?<=interval )|(?<=completely ))resolved"
        r"|unremarkable for|cannot see|excludes|ruled out for|fails? to"
        r" (?:show|demonstrate|reveal)|interval removal of|status post removal of)\b"
        r"|\bex(?=tubat)",
    ),
    (
        "unlikely",
        r"\b(?:rather than|unlikely(?: to (?:be|represent|reflect))?|less likely|doubtful(?: for)?"
        r"|not definitely|low (?:suspicion|probability|likelihood) (?:for|of))\b",
    ),
    (
        "probable",
        r"\b(?:probabl[ey]|(?<!un)likely|suspect(?:ed|s)?(?! (?:from|given|based|due|because"
        r"|on)\b)|suspicious (?:for|of)|suspicion (?:for|of)"
        r"|suggest(?:s|ive|ing|ion)?(?: of)?|favou?r(?:ed|s|ing)?|presum(?:ed|ably|ptive)"
        r"|concern(?:ing|s)? (?:for|of|about)|worrisome (?:for|of)|raises? (?:the )?(?:suspicion)"
        r"(?: of| for)?|highly likely)\b",
    ),
    (
        "possible",
        r"\b(?:possibl[ey]|possibility of|may|might|could|perhaps|would"
        r"|question(?:able|ed|ably)?(?: of)?|(?:cannot|could not|not|difficult to|unable to|hard"
        r" to)"
        r" (?:\w+ )?(?:exclude|rule out|excluded)|(?:does|do) not (?:\w+ )?exclude|to exclude"
        r"|^(?:please )?exclude"
        r"|rule[ -]?out|potential(?:ly)?|raises?(?: the)? (?:question|concern|possibility)"
        r"(?: of| for)?|differential(?: \w+)*? includes?|differential(?! for)|borderline"
        r"|equivocal(?:ly)?"
        r"|apparent(?= \w+ mass)|evaluate for|assess(?:ment)? for|evaluation for|query|queried"
        r"|check for|look for"
        r"|correlat\w+ (?:\w+ )?for|with or without|versus|vs\.?|indeterminate for"
        r"|consider|uncertain(?: if| whether)?|unclear (?:if|whether)|whether|seemingly|maybe"
        r"|subtle suggestion of|aspiration (?:or|versus|vs\.?)|\+/-)\b|(?<![\w)])\?\s?(?=[a-z])",
    ),
)
_BEHIND: tuple[tuple[Effect, str], ...] = (
    (
        "unmentioned",
        r"\b(?:mimic|simulator|in (?:the|a) (?:mother|father|family)|by history|vaccin\w+"
        r"|precautions)\b|\bis (?:mimicked|simulated)\b",
    ),
    (
        "negative",
        rf"\b(?:not {_ADVERB}{_SEEN}|(?:is|are|was|were|:|-) {_ADVERB}absent|absent(?=\W|$)"
        r"|(?:has|have|had) (?:(?:completely|now|since|all|subsequently|essentially|fully|also"
        r"|both) ){0,2}(?:resolved|cleared|disappeared|closed|gone)"
        r"|(?:is|are) (?:now |completely )?(?:resolved|gone)|no longer"
        r"|(?:has|have|was|were) (?:now |since |subsequently |both )?(?:been )?(?:\w+ )?"
        r"(?:removed|withdrawn(?! (?:\w+ )?\d| slightly| by)|excluded|extracted|discontinued"
        r"|explanted|pulled(?! back))"
        r"|(?:is|are) (?:excluded|ruled out)|has been ruled out|removed|explanted|decannulated"
        r"|(?:taken|come) out|excluded(?=[,.;]|$)|(?:is|are|remains?|appears?) (?:\w+ly )?"
        r"(?:normal|unremarkable|within (?:the )?(?:\w+ )?(?:normal|limits))"
        r"|cannot be (?:seen|identified|visuali[sz]ed))\b"
        r"|(?: ?[:=]| -|,| \(|\?)? ?\b(?:none|no|nil|negative|denied|0(?![.\d]))\b"
        rf"(?: (?:\w+ly )?(?:{_SEEN}|today|at this time))?(?= ?[.,;:)]| ?$| - )"
        r"|(?<=\w) out(?=\W*$|[.,;])|\b(?:resolved|cleared)(?=[.,;)]|$)|: normal\b|\bnot a"
        r" (?:feature|finding|concern)\b"
        r"|\b(?:is|are) (?:none|negative)\b|\bdo(?:es)? not (?:appear|seem) (?:to be )?present\b",
    ),
    (
        "unlikely",
        r"\b(?:(?:is|are|seems?|appears?|remains?) (?:\w+ )?(?:felt |thought |considered )?(?:to"
        r" be )?"
        r"(?:less likely|unlikely|doubtful|not (?:favou?red|likely|suspected))"
        r"|(?:less likely|unlikely)(?=\W*$|[.,;)]))\b",
    ),
    (
        "probable",
        r"\b(?:(?:is|are) (?:also |felt |thought )?(?:to be )?(?:suspected|suggested|favou?red"
        r"|likely"
        r"|probable|presumed)|(?:was|were) suspected|(?:suspected|likely|probable)(?=[.,;)]|$))\b"
        r"|, (?:probable|likely|suspected|favou?red)(?=\W*$|;)",
    ),
    (
        "possible",
        r"\b(?:(?:cannot|could not|not) (?:be )?(?:\w+ )?(?:excluded|ruled out)"
        r"|(?:difficult|hard|impossible) to (?:entirely |completely )?(?:exclude|rule out)"
        r"|(?:should|could|may|might|would) (?:also )?be (?:considered|present|possible|excluded)"
        r"|(?:could|may|might) (?:have|give|produce)|(?:is|are) (?:also |a )?"
        r"(?:possible|questioned|considered|not completely excluded|questionable|equivocal"
        r"|borderline"
        r"|indeterminate|uncertain)|to be (?:excluded|ruled out)|needs? to be (?:excluded|ruled"
        r" out)"
        r"|(?:is|are|be|remains?) a (?:consideration|possibility|concern|question)"
        r"|in the differential|(?:possible|questionable|equivocal|query|maybe)(?=[.,;:)]|$))\b"
        r"|, (?:possible|questionable|equivocal|uncertain)(?=\W*$|;)|(?<=[\w)])\?"
        r"|\s\(?\?\)?(?=\W*$)",
    ),
)


_ENDS = r"(?=\W*$|[,.;)]| (?:on|in|at|but|given|due|for|\())"
_ADJACENT: tuple[tuple[Effect, str], ...] = (
    ("negative", r"(?<=\w) removal\b"),
    (
        "probable",
        r"(?<=\w) (?:favou?red|suspected|probable|(?:probably|likely) (?:present|there|seen)"
        rf"|until proven otherwise)\b{_ENDS}",
    ),
    (
        "possible",
        rf"(?<=\w) (?:possibly (?:present|there|seen)|questionable|equivocal|questioned"
        rf"|possible)\b{_ENDS}",
    ),
)
"""Postposed: only directly behind what they doubt."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue where a sentence has it."""

    start: int
    end: int
    backward: bool
    effect: Effect
    adjacent: bool = False


_PATTERNS: tuple[tuple[re.Pattern[str], bool, Effect], ...] = (
    (BOTH_WAYS_NEGATIVE, False, "negative"),
    *((re.compile(pattern), False, effect) for effect, pattern in _BEFORE),
    *((re.compile(pattern), True, effect) for effect, pattern in _BEHIND),
)
_PREFIX = re.compile(r"\bnon(?=calcif|tortu|dilat|aneur|enlarg|fractur)")
_POSTPOSED = tuple((re.compile(pattern), effect) for effect, pattern in _ADJACENT)


def find_cues(plain: str) -> list[Cue]:
    """All cues of a sentence; a part of a longer cue that says something else is left out."""
    plain = blank(PSEUDO, plain)
    cues = [
        Cue(match.start(), match.end(), backward, effect)
        for pattern, backward, effect in _PATTERNS
        for match in pattern.finditer(plain)
        if match.end() > match.start()
    ]
    cues += [
        Cue(match.start(), match.end(), False, "negative", adjacent=True)
        for match in _PREFIX.finditer(plain)
    ]
    cues += [
        Cue(match.start(), match.end(), True, effect, adjacent=True)
        for pattern, effect in _POSTPOSED
        for match in pattern.finditer(plain)
    ]
    return [cue for cue in cues if not any(_overrules(other, cue) for other in cues)]


def _overrules(other: Cue, cue: Cue) -> bool:
    """Whether ``cue`` is a mere part of a longer cue that says something else."""
    inside = (
        other.start <= cue.start
        and cue.end <= other.end
        and (other.start, other.end) != (cue.start, cue.end)
    )
    return inside and (
        other.effect != cue.effect or (other.backward != cue.backward and cue.effect == "negative")
    )
