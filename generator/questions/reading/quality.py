"""Questions on how well the X-ray was taken: turned, cut off, dark, blurred.

quality_of("is the patient rotated")        # "rotation"
quality_of("are the apices on the film")    # "coverage"

Meant for a question that names no finding: a tube may be well positioned too.
"""

import re
from typing import Literal

Aspect = Literal[
    "rotation",
    "inspiration",
    "exposure",
    "coverage",
    "sharpness",
    "artefact",
    "size",
    "marker",
    "overall",
]
"""What is asked of an image; ``rotation`` is any turn of the patient or of the image."""

_IMAGE = r"(?:images?|x-?rays?|films?|radiographs?|pictures?|cxr|stud(?:y|ies)|exam\w*|views?|scan)"
_PERSON = r"(?:patient|pt|he|she|they|person|body|chest|child|subject)"
_EDGE = (
    r"(?:apices|apex|bases?|(?:costophrenic|cp) (?:angles?|sulc\w+)|lungs?|lung fields?|chest"
    r"|thorax"
    r"|ribs?|shoulders?|clavicles?|diaphragms?|sulci|chin|neck|abdomen|corners?|edges?)"
)
_SHOWN = (
    r"(?:on|in|within|inside) (?:the |this |that )?"
    rf"(?:{_IMAGE}|frame|field(?: of view)?|shot|collimation)"
)
_ASPECTS: tuple[tuple[Aspect, str], ...] = (
    (
        "inspiration",
        r"\b(?:inspir(?:ation|atory|ed)|(?:deep|full|good|big|proper) (?:enough )?(?:a )?breath\w*"
        r"|breath(?:ed|ing) in|breathe in (?:enough|properly|fully|deeply|well)|expirat(?:ion|ory)"
        r"|expired (?:film|image|view)|breath-?hold\w*"
        r"|(?:how many|number of|count the) (?:\w+ ){0,2}ribs (?:\w+ ){0,2}"
        r"(?:see|seen|visible|shown|above|counted))\b",
    ),
    (
        "coverage",
        r"\b(?:cut[ -]?(?:off|out)|cropped|clipped|truncated|chopped|out of (?:the )?frame"
        rf"|field of view|collimat\w+|coverage|in (?:the )?frame|off (?:the )?{_IMAGE}"
        rf"|missing from (?:the |this )?{_IMAGE}|fit on|fully (?:shown|covered|imaged|captured)"
        rf"|(?:is|was) (?:the|this) {_IMAGE} (?:complete|whole))\b"
        rf"|\b{_EDGE}\b.{{0,30}}\b(?:included|covered|captured|missing)\b"
        rf"|^\W*(?:is|are|were) (?:[\w-]+ ){{0,4}}?{_EDGE} (?:also |both |fully |all |seen "
        rf"|visible |shown )*{_SHOWN}\W*$"
        rf"|\b(?:include|includes|cover|covers|capture|captures|show|shows|contain)\b"
        rf".{{0,20}}\b(?:both|whole|entire|all|full|complete)\b.{{0,20}}\b{_EDGE}\b"
        rf"|\b(?:whole|entire|full|complete) (?:of the )?(?:\w+ )?{_EDGE}\b.{{0,20}}"
        r"\b(?:visible|seen|shown|visuali[sz]ed|there)\b"
        rf"|\b(?:see|seeing|shown) the (?:whole|entire|full) {_EDGE}\b",
    ),
    (
        "exposure",
        r"\b(?:expos(?:ures?|ed)(?! to\b)|penetrat(?:ed|ion)|(?:over|under)-?(?:exposed|exposure"
        r"|penetrated|penetration)|brightness|(?<!reaction to )(?:image|film|the|good|poor"
        r"|enough|low|high|more|is|of) contrast(?! (?:agent|medium|media|material|dye|ct))"
        rf"|gr[ae]y-?scale|washed[- ]out|burn(?:t|ed)[- ]out|{_IMAGE} (?:\w+ )?(?:too )?"
        r"(?:dark|bright|pale|light)|too (?:dark|bright|pale|light)"
        rf"|(?:dark|bright|pale) {_IMAGE})\b",
    ),
    (
        "sharpness",
        r"\b(?:blurr?(?:ed|y|ing)?|unsharp\w*|(?:in|out of) focus|focus(?:ed|sed)|grain(?:y|iness)"
        r"|nois[ey]|pixel(?:at|l?iz)\w+|clarity|crisp\w*|motion|moved during"
        r"|(?:patient|he|she) (?:was )?mov(?:ed|ing)"
        rf"|{_IMAGE} (?:\w+ )?(?:sharp|fuzzy|clear enough|soft)|(?:sharp|fuzzy) {_IMAGE})\b",
    ),
    (
        "artefact",
        r"\b(?:art[ei]facts?|jewel\w+|necklaces?|buttons?|zips?|zippers?|clothing|clothes"
        r"|bra (?:straps?|clips?|wires?|hooks?)|piercings?|overlying (?!lung|left|right"
        r"|the (?:left|right|lung))\w+"
        r"|(?:hair|braids?) (?:over|on)|external (?:objects?|material)"
        r"|(?:obscur\w+|obstruct\w+|block\w+|in the way|hiding|overlap\w+)"
        rf"(?=.*\b(?:{_EDGE}|view|image|film|x-?ray)\b|\W*$))",
    ),
    (
        "rotation",
        r"\b(?:rotat(?:ed|ion|ing)|tilt(?:ed|ing)?|skew(?:ed)?|slanted|crooked(?= (?:on|in))|askew"
        rf"|off[- ]cent(?:er|re)(?:d)?|cent(?:er|r)(?:ed|ing)|{_PERSON} (?:\w+ )?(?:straight|turned"
        r"|leaning|twisted|square|facing)|(?:sit|stand|lie|lying|standing|sitting"
        r"|positioned) (?:\w+"
        r" )?straight|(?:well|properly|correctly|badly|poorly|optimally|adequately)[ -]positioned"
        r"|(?:patient|good|proper|correct|poor|adequate) positioning|positioned (?:well|properly"
        r"|correctly|right|ok)"
        r"|upside[ -]down|right way up|(?:wrong|right) way (?:round|around)|mirror(?:ed|ing)?"
        r"|flipped|inverted|orientated|oriented (?:properly|correctly|right)"
        r"|spinous processes|medial ends|equidistant|symmetric\w* (?:about|around)"
        r"|clavicles? (?:\w+ )?(?:symmetric\w*|level|aligned|equal)|(?:symmetric\w*"
        r"|level) clavicles"
        r"|(?:which|what) way is (?:the )?(?:patient|he|she|it|image|heart) (?:facing|up|turned"
        r"|pointing)"
        r"|(?:scapulae?|shoulder blades?) (?:\w+ ){0,3}(?:off|out|clear of|over\w*|project\w*"
        r"|superimposed|in the way))\b",
    ),
    (
        "size",
        rf"\b(?:resolution|pixels?|dimensions?|megapixels?|(?:size|large|big) (?:of |is )?(?:the "
        rf"|this )?(?:image|picture|file|film)|{_IMAGE} size|file (?:size|format))\b",
    ),
    (
        "marker",
        r"\b(?:(?:side|left|right|lead|l|r|film|image|x-?ray|the|any) markers?|lettering"
        r"|annotations?"
        r"|(?:text|letters?|words|writing) (?:on|in) (?:the|this))\b",
    ),
    (
        "overall",
        rf"\b(?:quality|limitations?|limited|suitable for|technique|technical(?:ly)?"
        rf"|diagnostic(?:ally)? (?:image|film|x-?ray|value"
        rf"|adequate|acceptable|useful|enough)|(?:limited|suboptimal|substandard|poor|bad|adequate"
        rf"|satisfactory|acceptable|usable|decent|good|nice|proper|interpretable|readable)"
        rf" (?:enough )?{_IMAGE}(?! (?:news|of))|(?:readable|interpretable|legible|usable"
        rf"|diagnosable"
        rf"|suboptimal|substandard)|(?:image|film|x-?ray|radiograph|picture|study)"
        r" (?:\w+ ){0,2}(?:good|clear) enough|(?:good|clear) enough (?:to (?:read|interpret|report"
        rf"|diagnose|rule|exclude|see|tell|judge|assess)|for (?:a )?(?:diagnos\w+|reading|report\w*"
        rf"|interpret\w+)))\b|\b{_IMAGE} (?:is |be )?(?:adequate|acceptable|satisfactory)\b"
        rf"|\badequa(?:te|cy) (?:of )?(?:the |this )?{_IMAGE}\b|\bwell (?:taken|shot)\b"
        rf"|\b(?:is|was) (?:this|the|it) (?:{_IMAGE} )?(?:adequate|well done|ok to read)\b",
    ),
)
_COMPILED = tuple((aspect, re.compile(pattern)) for aspect, pattern in _ASPECTS)


def quality_of(text: str) -> Aspect | None:
    """What a text in lower case asks of how the image was taken; None for another question."""
    return next((aspect for aspect, form in _COMPILED if form.search(text)), None)
