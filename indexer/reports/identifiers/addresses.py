"""Postal addresses, with or without a label, in the forms of many countries."""

import re

from indexer.reports.identifiers.people.letters import LETTERS, UPPER, Capital
from indexer.reports.identifiers.people.lexicon import Kind, kind_of

SMALL = (
    r"(?:of|the|and|&|for|at|de|la|el|los|las|le|les|du|des|d['’]|l['’]|der|die|das|den|am|an|im|in"
    r"|zu[mr]?|und|di|del|della|dei|degli|da|do|dos|das|e|y|et|van|het|'t|op|aan|rechts|links|w|we"
    r"|für|pour|para|voor|im\.|им\.|sur|sous|en|na|v|ve|och|og)"
)
"""Small words inside the names of streets, towns and hospitals."""
INSIDE = (
    r"(?:of|the|and|&|de|la|el|los|las|le|les|du|des|d['’]|l['’]|der|die|das|den|am|an der|im"
    r"|zu[mr]?|und|di|del|della"
    r"|dei|degli|da|do|dos|das|e|y|et|van|het|'t|op|aan|rechts|links|im\.|им\.|sur|sous|en|na|och"
    r"|og)"
)
"""Those of them that stand in no English sentence before a name."""
CITY = (
    rf"(?:St\.? |Ste?-)?[{UPPER}][{LETTERS}'’-]{{1,24}}(?:[ -]"
    rf"(?:{INSIDE}[ -]){{0,2}}[{UPPER}][{LETTERS}'’-]{{1,24}}){{0,2}}"
)
_STREET = (
    r"(?:Street|St(?!\.? Jude)|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl"
    r"|Terrace|Square|Sq|Close|Crescent|Cres|Highway|Hwy|Parkway|Pkwy|Circle|Cir|Way|Gardens|Grove"
    r"|Mews|Row|Trail|Trl|Loop|Hill|Green|Walk|Park|View|Rise|Path|Alley|Plaza|Turnpike|Pike|Run"
    r"|STREET|AVENUE|AVE|ROAD|RD|LANE|LN|DRIVE|BOULEVARD|BLVD|COURT|PLACE|TERRACE|SQUARE|CLOSE"
    r"|CRESCENT|HIGHWAY|HWY|PARKWAY|CIRCLE|WAY|GROVE)\b\.?"
)
_POSTCODE = (
    r"(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[\dW] ?(?=[A-Z]{0,3}\d)[A-Z\d]{4}"
    r"|[A-Z]{2},?\.? \d{5}(?:-\d{4})?|[A-Z]{2,3},? \d{4}"
    r"|(?:[A-Z]{2},? )?[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4} ?[A-Z]{2}|(?:[A-Z]{1,2}-)?\d{4,6}|\d{2}-\d{3}"
    r"|\d{5}-\d{3}|\d{3} \d{2})(?![\w-])"
)
_TAIL = (
    r"(?:,? (?!(?:Hosp|NHS|MRN|DOB|DoB|Tel|Phone|Fax|ID|Acc|SSN|Dr|GP|No|Patient|Age|Sex|Ref|Mob"
    r"|Ph)\b)"
    rf"(?:{_POSTCODE} {CITY}|{CITY}(?:,? {_POSTCODE})?|{_POSTCODE})(?![\w])){{0,3}}"
)
_FLAT = (
    r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|App|Lot|Room|Floor|piso|apto|bte|étage|m\.|кв\.|#)"
    r"\.? ?\w{1,6}\.?|,? \d{1,2}[º°] ?[A-Z]?\b){0,2}"
)
_ADDRESSES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\w.])(?:(?:Flat|Apt|Unit|House|Plot|H\.? ?No\.?) ?\d{{1,4}}[A-Za-z]?,? )?\d{{1,5}}"
        rf"[A-Za-z]?,? (?:[NSEW]{{1,2}}\.? |North |South |East |West )?(?:\d{{1,3}}(?:st|nd|rd|th) "
        rf"|[{UPPER}][{LETTERS}'’.]{{1,20}} ){{1,4}}{_STREET}(?: [NSEW]{{1,2}}\b)?{_FLAT}{_TAIL}",
        rf"(?<![\w.-])[{UPPER}][{LETTERS}.-]{{1,30}}(?:[ ][{UPPER}][{LETTERS}.-]{{1,20}}){{0,2}}?"
        rf"(?:[ -]?[Ss]traße"
        rf"|[ -]?[Ss]trasse|[Ss]tr\.|weg|platz|allee|gasse|damm|ufer|ring|straat|laan|plein|gracht"
        rf"|kade|dijk|singel|gatan|vägen|gata|veien|vej|gade|katu|tie|utca|út|tér)\s?\d{{1,4}}\s?"
        rf"[a-zA-Z]?\b{_FLAT}{_TAIL}",
        rf"(?<!\w)(?:\d{{1,4}}(?: ?bis| ?ter|[a-zA-Z])?,? (?i:rue|avenue|boulevard|bd|place|chemin"
        rf"|allée"
        rf"|impasse|quai|route|cours|square)|[Rr]ue|[Bb]oulevard|[Cc]hemin|[Ii]mpasse|[Qq]uai) "
        rf"(?:(?:de|du|des|la|le|les|l['’]|d['’]|aux)[ ]?){{0,3}}{CITY}{_TAIL}",
        rf"(?<!\w)(?:Via|Viale|Piazza|Corso|Calle|C/|Avenida|Avda\.|Av\.|Plaza|Paseo|Carrera|Cra\."
        rf"|Rua|Praça"
        rf"|Travessa|Largo|Strada|Carrer|Ronda|Camino|Str\.|ul\.|Ul\.|al\.|os\.|ulice|ul|Jl\."
        rf"|Jalan|Cad\.|Sok\.|ул\."
        rf"|вул\.|пр\.|просп\.|пер\.|проспект|улица"
        rf"|вулиця) ?(?:{SMALL} ?){{0,3}}(?:\d{{1,2}} (?:de )?)?{CITY},?"
        rf" (?:n[º°.] ?|nr\.? ?|no\.? ?|д\. ?|No: ?)?\d{{1,4}}[A-Za-z]?(?:[/-]\d{{1,4}}[a-z]?)?\b"
        rf"(?:,? (?:кв\.|m\.|lok\.|ap\.|piso|apto\.?|bl\.|корп\.) ?\w{{1,5}}){{0,2}}{_TAIL}",
        rf"(?<!\w)(?:г\.|м\.|гор\.|с\.|пос\.|город) ?{CITY}(?:,? (?:ул\.|вул\.|пр\."
        rf"|д\.) ?[{UPPER}\d][{LETTERS}\d./-]{{0,20}}){{0,3}}",
        r"\b(?i:P\.? ?O\.? Box|Postfach|Boîte postale|B\.P\.|Apartado|Postbus|Casilla) \d{1,6}\b"
        rf"(?:(?:,? {CITY}){{0,1}}{_TAIL})",
        rf"(?<![\w-]){CITY},? [A-Z]{{2}},? \d{{5}}(?:-\d{{4}})?\b",
        rf"(?<![\w-]){CITY},? (?:NSW|VIC|QLD|TAS|ACT|WA|SA|NT)(?: \d{{4}})?\b",
        rf"(?<![\w.,/-])(?:[A-Z]{{1,2}}-)?\d{{5}} (?!(?:[Uu]nits?|Hz"
        rf"|IU)\b)[{UPPER}][a-zäöüßéèâôîç-]{{2,24}}(?:[ -]"
        rf"(?:{SMALL}[ -]){{0,2}}[{UPPER}][{LETTERS}-]{{1,24}}){{0,2}}",
        rf"(?<![\w.,/-])\d{{2}}-\d{{3}} (?!MM|CM|ML|MG|HU){CITY}",
        rf"(?<![\w.,/-])\d{{4}} (?!AP|PA|CT|AM|PM|MR|ML|MM|CM|MG|HU|CC)[A-Z]{{2}} {CITY}",
        rf"(?<![\w.])\d{{1,4}}[a-z]?,? (?:The )?{CITY}, {CITY},? (?:[A-Z]{{1,2}}\d[A-Z\d]?"
        rf" ?\d[A-Z]{{2}}"
        rf"|[A-Z]{{2}} \d{{5}})\b",
        rf"(?P<check>(?<!\w)(?:[{UPPER}][{LETTERS}'’]{{2,20}} ){{1,3}}(?:Street|Road|Rd|Avenue|Ave"
        rf"|Lane|Drive"
        rf"|Close|Terrace|Boulevard|Blvd|Crescent|Gardens))\b\.?{_TAIL}",
        r"(?<!\w)(?:GIR 0AA|[A-Z]{1,2}\d[A-Z\d]? \d(?!TH|ND|RD|ST|CM|MM|ML|MG)[A-Z]{2})\b",
        r"(?<!\w)[ABCEGHJ-NPRSTVXY]\d[A-Z] \d[A-Z]\d\b",
        rf"(?P<keep>(?i:\b(?:lives|living|resides|resident(?= (?:in|at) )|residing|domiciled"
        rf"|staying|residence|wohnhaft|wohnt|demeurant"
        rf"|habite|reside|residente"
        rf"|domicilié|woonachtig|woont|zamieszkał\w|zam\.|проживает|bor|bosatt|lakik|native|moved"
        rf"|relocated|born|geboren|née?|nat[oa]|nacid[oa]|nascid[oa]|natural|född) (?:in|at|on"
        rf"|from|à|en|a|em|de"
        rf"|te|w|в|i|of)?[ ]?(?:the )?))(?:\d[\w-]{{0,5}} )?{CITY}(?:,? {CITY})?{_TAIL}",
    )
)


def replace_addresses(text: str, mark: str) -> tuple[str, int]:
    """Return the text with marks for postal addresses, and how many."""
    count = 0

    def address(match: re.Match[str]) -> str:
        nonlocal count
        keep = match.groupdict().get("keep") or ""
        check = match.groupdict().get("check")
        if check is not None and not is_proper(check.rpartition(" ")[0]):
            return match[0]
        if keep and not is_proper(match[0][len(keep) :]):
            return match[0]
        count += 1
        return f"{keep}{mark}"

    for pattern in _ADDRESSES:
        text = pattern.sub(address, text)
    return text, count


GENERIC = frozenset(
    """
    the of and at in university general community county city local outside other regional
    memorial central district this our same hospital medical center centre clinic health from
    an another any mobile portable emergency outpatient radiology imaging diagnostic chest
    x-ray xray department dept surgical children's home public private referring teaching
    academic acute nursing care specialty day night ward unit american international national
    world royal queen de la del der die den du des los las le les el di da do für zu fracture
    cardiac heart cancer lung pulmonary respiratory pain wound sleep eye oncology surgery
    trauma intensive step down isolation observation in-patient urgent primary family dialysis
    institut instituto istituto institute centre centro zentrum studio cabinet clinique clínica
    laboratoire laboratorio gabinete praxis klinik poradnia radiologie kardiologie pneumologie
    chirurgie medizin innere diagnostische interventionelle
    radiología radiologia neumología cardiología imagerie médicale imagen diagnóstico für
    transplant behavioral cardiology pediatric paediatric maternity general-ward medicine
    internal isolation female male post
    """.split()
)
"""Words that hospitals and streets share with departments and sentences."""


def is_proper(name: str, *, strict: bool = False) -> bool:
    """Return whether a word of a name is no word of a report and no generic one."""
    found = False
    for word in re.findall(rf"[{LETTERS}][{LETTERS}'’-]*", name):
        key = word.casefold()
        if (
            key in ("st", "saint", "san", "santa", "mount", "mt", "sankt", "sint")
            and word[0].isupper()
        ):
            return True
        if not word[0].isupper() or key in GENERIC:
            continue
        token = Capital(word, 0, 0)
        kind = kind_of(token)
        if strict and (
            kind is Kind.EPONYM or (token.capitals and len(word) < 5) or kind is Kind.WORD
        ):
            return False
        if kind is not Kind.WORD or street_like(name, word):
            found = True
    return found


def street_like(name: str, word: str) -> bool:
    """Return whether a common word is a part of a name of two words ("Maple Grove Hospital")."""
    return len(word) > 3 and kind_of(Capital(word, 0, 0), words=False) is not Kind.UNKNOWN
