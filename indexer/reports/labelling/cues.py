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
    r"|detected|confirmed|observed|visible|found|shown|suggested|suspected|recogni[sz]ed"
    r"|displayed|discerned|perceived|depicted|delineated|discernible|conspicuous)"
)
_OF_NAME = (
    r" (?:\w+ )?(?:cardiac|heart|vascul|venous|interstitial|lung|broncho|reticular|retrosternal"
    r"|densit|opac|kypho|markings|size|bon[ey]|inspir|volume|aerat)"
)
"""What makes an increase or decrease part of a finding's name."""
_CHANGE = (
    rf"(?:chang\w*|increas\w*(?!{_OF_NAME})|decreas\w*(?!{_OF_NAME})|improv\w*|worsen\w*|progress\w*|resol\w+|clear(?:ed|ing)"
    r"|growth|differen\w+|enlarg\w+ (?:of|in)(?! (?:the )?(?:\w+ ){0,2}(?:heart|cardi|hil|mediast"
    r"|aort|silh))|interval change|larger|smaller)"
)

PSEUDO = re.compile(
    r"\b(?:no|without|not|any)(?: (?:any|definite|significant\w*|substantial\w*|appreciabl\w+|yet"
    r"|interval|further|apparent|gross|great\w*|much|measurable|obvious|material\w*|convincing"
    rf"|acute|longer|definitely))* {_CHANGE}\b|\bunresolved\b|\bnot only\b|\bno doubt\b"
    r"|\b(?:not|nor|never|no longer) (?:(?:\w+ly|quite|yet|now|altogether) ){0,2}(?:without|absent"
    r"|lacking|devoid of|(?:free|clear) (?:of|from)|negative (?:for|of))\b"
    r"|\b(?:cannot|could not|can hardly) be (?:\w+ly )?denied\b"
    rf"|\bnot (?:\w+ly )?{_SEEN} (?:on|in) (?:the |this |that )?(?:prior|previous|earlier|last"
    rf"|old"
    r"|lateral|frontal|pa\b|ap\b|other|oblique|outside)|\b(?:near(?:ly)?[- ]?|almost |partial\w* "
    r"|incomplete\w* |mostly |largely |not |some |mild |slight |substantial |significant |marked "
    r"|further |near[- ]total )(?:complete\w* |total |fully |interval |entirely )*(?:resol\w+"
    r"|clear(?:ed|ing))\b(?: of\b)?|\b(?:cannot|not) (?:\w+ )?be (?:\w+ )?(?:well |fully "
    r"|adequately |completely )+(?:evaluated|assessed|seen)\b|\bnot (?:as well|well|fully"
    r"|adequately|optimally|completely|entirely) (?:seen|evaluated|assessed|visuali[sz]ed"
    r"|included|imaged|demonstrated)\b|\bnot (?:otherwise )?specified\b|\bno (?:prior|previous"
    r"|comparison|old|earlier) (?:\w+ )?(?:stud\w+|exam\w*|films?|radiograph\w*|images?|imaging"
    r"|comparison|available)\b|\bno longer\b(?= (?:as|quite))"
)
"""Looks like a negation of the finding and denies its change, how well it is seen, or a negation:
"not without effusion", "no longer absent"."""

BOTH_WAYS_NEGATIVE = re.compile(
    r"\b(?:(?:no|nothing|without)(?: [\w-]+){0,6} to suggest|(?:no"
    r"|without)(?: [\w-]+){0,3} suggest\w*(?: of)?|no(?: [\w-]+){0,3} (?:suspicious|concerning"
    r"|worrisome) for|(?:no|without) (?:\w+ ){0,2}concern for|no (?:suspected|possible"
    r"|questionable|suspicious))\b"
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
        r"|with)\s)*history(?: is)?(?: (?:of|significant for|positive for|notable for|includes?"
        r"|:))?|\b(?:recently |previously )?(?:treated|treatment|therapy|antibiotics|admitted"
        r"|hospitali[sz]ed|operated|monitored|vaccinated|screened) (?:for|with|of)\b"
        rf"|\b{_RELATIVE}(?:'s)?(?: (?:has|had|have|with|died|diagnosed|recently|also|of|from"
        rf"|was))+\b"
        r"|\b(?:previous|prior|earlier|recent|old|remote)(?= (?:episodes? of "
        r"|bouts? of )?(?:\w+ )?(?:pneumonias?|infections?|tuberculosis|failure)\b)|\b(?:mimic\w*"
        r"|simulat\w+|mistaken for|confused with|sequelae? of(?= (?:\w+ )?(?:pneumonia|infect"
        r"|covid|tubercul))|risk (?:of|for)|indication\w*(?: is)?:?|reason for (?:exam\w*|study)"
        r"|clinical (?:concern|question|suspicion)(?: for| of)?|screening (?:for)"
        r"|evidence against)\b|\bprotocol for\b|\bknown to have had\b",
    ),
    (
        "negative",
        r"\b(?:no longer|no|without|neither|nor|not|absence of|lack of|devoid of|never"
        r"|absent(?=\s\w)|(?:free|clear) (?:of|from)|clear(?= (?:focal )?(?:air ?-?space"
        r"|infiltrat|consolidat))|negative (?:for|of)|(?:resolution|clearing|removal"
        r"|disappearance|extraction|withdrawal|exclusion) of|(?:^|(?<=the )|(?<=now )"
        r"|(?<=interval )|(?<=completely ))resolved|unremarkable for|rather than|cannot see"
        r"|excludes|ruled out for|fails? to (?:show|demonstrate|reveal)|interval removal of"
        r"|status post removal of)\b|\bex(?=tubat)",
    ),
    (
        "unlikely",
        r"\b(?:unlikely(?: to (?:be|represent|reflect))?|less likely|doubtful(?: for)?"
        r"|not definitely|low (?:suspicion|probability|likelihood) (?:for|of))\b",
    ),
    (
        "probable",
        r"\b(?:probabl[ey]|(?<!un)likely|suspect(?:ed|s)?(?! (?:from|given|based|due|because"
        r"|on)\b)|suspicious (?:for|of)|suspicion (?:for|of)|suggest(?:s|ive|ing|ion)?(?: of)?"
        r"|favou?r(?:ed|s|ing)?|presum(?:ed|ably|ptive)|concern(?:ing|s)? (?:for|of|about)"
        r"|worrisome (?:for|of)|raises? (?:the )?(?:suspicion)(?: of| for)?|highly likely)\b",
    ),
    (
        "possible",
        r"\b(?:possibl[ey]|possibility of|may|might|could|perhaps|would|question(?:able|ed"
        r"|ably)?(?: of)?|(?:cannot|could not|not|difficult to|unable to"
        r"|hard to) (?:\w+ )?(?:exclude|rule out|excluded)|(?:does|do) not (?:\w+ )?exclude"
        r"|to exclude|^(?:please )?exclude|rule[ -]?out|potential(?:ly)?"
        r"|raises?(?: the)? (?:question|concern|possibility)(?: of| for)?"
        r"|differential(?: \w+)*? includes?|differential(?! for)|borderline|equivocal(?:ly)?"
        r"|apparent(?= \w+ mass)|evaluate for|assess(?:ment)? for|evaluation for|query|queried"
        r"|check for|look for|correlat\w+ (?:\w+ )?for|with or without|versus|vs\.?"
        r"|indeterminate for|consider|uncertain(?: if| whether)?|unclear (?:if|whether)|whether"
        r"|not (?:unlikely|improbable|impossible|inconceivable)(?: to (?:be|represent))?"
        r"|seemingly|maybe|subtle suggestion of|aspiration (?:or|versus|vs\.?)|\+/-)\b"
        r"|(?<![\w)])\?\s*(?=[a-z0-9])",
    ),
)
_ENDS = r"(?=\W*$| ?[.,;)]| (?:on|in|at|but|given|due|for|from|by|since|because|\())"
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
        r"|both) ){0,2}(?:resolved|cleared|disappeared|closed|gone)|(?:is|are) (?:now "
        r"|completely )?(?:resolved|gone)|no longer|(?:has|have|was|were) (?:now |since "
        r"|subsequently |both )?(?:been )?(?:\w+ )?(?:removed|withdrawn(?! (?:\w+ )?\d| slightly"
        r"| by)|excluded|extracted|discontinued|explanted|pulled(?! back))|(?:is|are) (?:excluded"
        r"|ruled out)|has been ruled out|removed|explanted|decannulated|(?:taken|come) out"
        r"|excluded(?=[,.;]|$)|(?:is|are|remains?|appears?) (?:\w+ly )?(?:normal|unremarkable"
        r"|within (?:the )?(?:\w+ )?(?:normal|limits))|cannot be (?:seen|identified"
        r"|visuali[sz]ed))\b|(?: ?[:=]| -|,| \(|\?)? ?\b(?:none|no|nil|negative|denied"
        r"|0(?![.\d]))\b"
        rf"(?: (?:\w+ly )?(?:{_SEEN}|today|at this time))?(?= ?[.,;:)]| ?$| - )"
        r"|(?<=\w) out(?=\W*$|[.,;])|\b(?:resolved|cleared)(?=[.,;)]|$)|: normal\b"
        r"|\bnot a (?:feature|finding|concern)\b|\b(?:is|are) (?:none|negative)\b"
        r"|\bdo(?:es)? not (?:appear|seem) (?:to be )?present\b",
    ),
    (
        "unlikely",
        r"\b(?:(?:is|are|seems?|appears?|remains?) (?:(?!not )\w+ )?(?:felt |thought "
        r"|considered )?(?:to be )?(?:less likely|unlikely|doubtful|not (?:favou?red|likely"
        r"|suspected))|(?:less likely|unlikely)(?=\W*$|[.,;)]| (?:than|given|but|in)\b))\b",
    ),
    (
        "probable",
        r"\b(?:(?:is|are|was|were) (?:also |felt |thought )?(?:to be )?(?:suspected|suggested"
        rf"|favou?red|likely|probable|presumed){_ENDS}|(?:suspected|likely|probable)(?=[.,;)]|$))"
        r"|, (?:probable|likely|suspected|favou?red)(?=\W*$|;)",
    ),
    (
        "possible",
        r"\b(?:(?:cannot|could not|not) (?:be )?(?:\w+ )?(?:excluded|ruled out)|(?:difficult|hard"
        r"|impossible) to (?:entirely |completely )?(?:exclude|rule out)|(?:should|could|may"
        r"|might|would) (?:also )?be (?:considered|present|possible|excluded)|(?:could|may"
        r"|might) (?:have|give|produce)|(?:is|are) (?:also |a )?(?:possible|questioned|considered"
        r"|not completely excluded|questionable|equivocal|borderline|indeterminate|uncertain)"
        r"|(?:is|are|be|seems?|appears?) not (?:unlikely|improbable|impossible|inconceivable)"
        r"|to be (?:excluded|ruled out)|needs? to be (?:excluded|ruled out)|(?:is|are|be"
        r"|remains?) a (?:consideration|possibility|concern|question)|in the differential"
        r"|(?:possible|questionable|equivocal|query|maybe)(?=[.,;:)]|$))\b|, (?:possible"
        r"|questionable|equivocal|uncertain)(?=\W*$|;)|(?<=[\w)])\?|\s\(?\?\)?(?=\W*$)",
    ),
)


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
