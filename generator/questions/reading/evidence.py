"""Questions on what an answer rests on: the evidence for a finding, and the similar cases.

asks_evidence("why do you say the heart is enlarged")       # True
asks_similar_cases("what do the similar cases show")        # True
"""

import re

_EVIDENCE = re.compile(
    r"\bwhy (?:do|did|would|are) you (?:say\w*|think\w*|believ\w+|conclu\w+|report\w*|call\w*"
    r"|see\w*"
    r"|suspect\w*|find\w*|flag\w*|mark\w*|list\w*|mention\w*|sure|so sure|confident|certain)"
    r"|\b(?:what|which \w+) ma(?:kes?|de) you (?:say|think|believe|suspect|so sure|sure|conclude)"
    r"|\bwhat (?:is|was|are) (?:the |your )?(?:evidence|basis|grounds?|support|proof|reasoning)\b"
    r"|\b(?:what|which|any) (?:evidence|signs?|features?|cases?|reports?|findings?)"
    r" (?:on the \w+ )?(?:supports?|speaks? (?:for|against)|argues? (?:for|against)|points? to"
    r"|suggests?|indicates?)\b"
    r"|\bwhat (?:supports|speaks (?:for|against)|argues (?:for|against)|points to)\b"
    r"|\bhow (?:do|did|can) you (?:know|conclude|decide|arrive|come to)\b"
    r"|\b(?:on what basis|based on what|on what grounds|what are you basing)\b"
    r"|\b(?:explain|justify) (?:your|the|that|this) (?:answer|conclusion|reasoning|assessment)\b"
)
_CERTAINTY = re.compile(
    r"\bhow (?:sure|certain|confident) are you\b|\bhow (?:sure|certain|reliable|accurate"
    r"|trustworthy)"
    r" (?:is|are) (?:this|that|it|these|the|your) (?:reading|answer|report|result|assessment"
    r"|finding)s?\b"
    r"|\b(?:which|what) (?:\w+ ){0,3}(?:are|is|were) (?:you )?(?:the )?(?:most |least |more "
    r"|less |very "
    r"|not |so )*(?:sure|certain|confident|uncertain|unsure|doubtful|reliable)\b"
    r"|\b(?:highest|lowest|greatest|smallest) (?:probabilit|likelihood|confidence|certaint)"
    r"|\bhow (?:much|far) (?:can|should|do) (?:i|we|one|you) (?:trust|rely on|believe)\b"
)
_SIMILAR = re.compile(
    r"\b(?:similar|retrieved|nearest|closest|matching|neighbou?r(?:ing)?|most alike|comparable"
    r"|reference) (?:prior )?"
    r"(?:cases?|patients?|studies|study|images?|reports?|x-?rays?|films?|ones|examples?)\b"
    r"|\b(?:the |your )?neighbou?rs in\b|\bprior cases?\b|\b(?:cases?|patients?|x-?rays?|films?"
    r"|reports?) (?:that (?:look|are)|like"
    r"|similar to|resembl\w+|most like) (?:this|similar|like)?\b"
)


def asks_evidence(text: str) -> bool:
    """Whether a text in lower case asks why something is said to be seen."""
    return bool(_EVIDENCE.search(text))


def asks_certainty(text: str) -> bool:
    """Whether a text in lower case asks how sure the reading is, or of which findings."""
    return bool(_CERTAINTY.search(text))


def asks_similar_cases(text: str) -> bool:
    """Whether a text in lower case asks what the retrieved cases say."""
    return bool(_SIMILAR.search(text))
