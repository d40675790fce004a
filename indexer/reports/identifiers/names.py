"""Names of people, found by the words around them: titles, roles, "discussed with", degrees.

A word of a report ("Right", "Findings") is no name. An eponym ("Kerley", "Swan-Ganz") is one only
after a title or a role; a pair of words that opens with a common given name is one anywhere.
"""

import re
from functools import partial

from indexer.reports.identifiers.words import EPONYMS, GIVEN_NAMES, WORDS

_UP, _LOW = "A-ZÀ-ÖØ-ÞĀŁŚŠŽČĆ", "a-zß-öø-ÿāęłńśšžčćğşıřěůąćź"
_TITLE_CASE = rf"(?:(?:Mc|Mac|O['’]|D['’]|De|Di|La|Le|Van|Fitz)?[{_UP}][{_LOW}'’]{{1,20}})"
_CAPITALS = rf"[{_UP}][{_UP}'’]{{1,20}}"
_TOKEN = rf"(?:{_TITLE_CASE}|{_CAPITALS})(?:-(?:{_TITLE_CASE}|{_CAPITALS}))?(?![{_LOW}{_UP}\d])"
_INITIAL = rf"(?:[{_UP}]\.(?=[ {_UP}])|[{_UP}](?![\w'.-]))"
_PARTICLE = (
    r"(?:van(?: de[rn]?| het)?|von(?: de[rm])?|vom|zu[mr]?|de(?: la| los| las)?|del|della|di|da|do"
    r"|dos|das|du|des|le|la|ten|ter|el|al|bin|ibn|ben|y|e|af|VAN(?: DE[RN]?)?|VON|DE(?: LA)?|DEL"
    r"|DI|DA)"
)
_NEXT = rf"(?:[ ]{{1,2}}(?:{_PARTICLE} ){{0,2}}|[ ]?-[ ]?)(?:{_TOKEN}|{_INITIAL})"
_WHOLE = (
    rf"(?:(?:{_PARTICLE} ){{0,2}}(?:{_INITIAL}[ ]?){{0,3}}(?:{_PARTICLE} )?{_TOKEN}"
    rf"(?:{_NEXT}){{0,5}})"
)
_LAST_FIRST = rf"(?:{_WHOLE},[ ]{{0,2}}(?:{_TOKEN}|{_INITIAL})(?:{_NEXT}){{0,2}})"
_NAME = rf"(?P<name>{_LAST_FIRST}|{_WHOLE})"
_PLAIN = rf"(?P<name>{_WHOLE})"

_TITLE = (
    r"(?:Drs?|DRS?|Dra|DRA|Mr|Mrs|Ms|MR(?=\.)|MRS|MS(?=\.)|Miss|Mister|Prof|PROF|Professor"
    r"|Professore"
    r"|Doctor|DOCTOR|Nurse|Dott(?:\.ssa|ssa)?|Dottor|Dottore|Dottoressa|Sig(?:\.ra|\.na|ra)?"
    r"|Signor[ae]?|Herrn?|Frau"
    r"|Mevr|Mevrouw|Meneer|Dhr|Sr|Sra|Srta|Señora?|Monsieur|Madame|Mme|Mlle|Docteur|Doctora"
    r"|Doutora?|Senhora?"
    r"|Oberarzt|Oberärztin|Chefarzt|drs?(?=\.)|dr\.ssa|sig(?:\.ra)?(?=\.)|prof(?=\.)|mr(?=\.)"
    r"|mrs(?=\.)|Sgt|Cpl|Maj|Pfleger|Schwester|Priv\.-Doz|PD(?= Dr)"
    r"|Dipl\.-Med|Capt|Lt|Col|Rev)"
)
_TITLES = rf"(?<![\w-])(?:{_TITLE}(?:\.[ ]{{0,2}}|[ ]{{1,2}})(?:med\.[ ]?(?:univ\.[ ]?)?)?){{1,3}}"
_DEGREE = (
    r"(?:M\.? ?D\.?|D\.O\.|DO|MBBS|MBBCh|MBChB|FRCR|FRANZCR|FRCPC?|FACR|FACC|FACS|MRCP|R\.N\.|RN"
    r"|NP|CRNP|APRN|PA-C|P\.A\.|LPN|BSN"
    r"|Ph\.?D\.?|R\.?T\.?(?: ?\(R\))?|RRA|ARRT|MPH|DNP|RPA|CNP|FNP|DABR|Jr\.?|Sr\.?)(?![\w])"
)
_BY = (
    r"(?:(?:dictat|sign|approv|review|transcrib|verif(?:i)?|authenticat|finali[sz]|authori[sz]"
    r"|interpret|report|releas|perform|request"
    r"|order|referr?|edit|validat|prepar|creat|typ|attest|confirm|acknowledg|co-?sign|e-?sign"
    r"|scann|overread)ed|read|seen|written)"
    r"(?: (?:and|electronically|digitally|\w{4,9}ed)){0,3} by"
)
_ROLE = (
    r"(?:(?:referring|ordering|requesting|attending|reading|reporting|interpreting|treating"
    r"|responsible|primary(?: care)?|consulting|covering"
    r"|family|supervising|performing|admitting|staff|on-?call|emergency|ER|ED|ICU) )?"
    r"(?:physician|doctor|provider|radiologist|resident|attending|clinician|consultant|surgeon"
    r"|technologist|technician|radiographer|registrar"
    r"|fellow|sonographer|hospitalist|intensivist|pulmonologist|cardiologist|oncologist"
    r"|practitioner|GP|PCP|nurse|RN|PA|NP|intern|transcriptionist"
    r"|secretary|typist|hausarzt|hausärztin|radiologe|radiologin|oberarzt|oberärztin|médecin"
    r"|medecin|radiologue|médico|medico|radiólogo"
    r"|radiologo|huisarts|radioloog|arts)"
)
_LABEL = (
    r"(?:patient(?:'s)?(?: name)?|pt\.?(?: name)?|name(?: of patient)?|last name|first name"
    r"|surname|given name|family name|maiden name|full name"
    r"|re|cc|copy to|copies to|from|to|attn|attention|signature|signed|electronically signed"
    r"|dictated|author|next of kin|contact|mother|father|spouse"
    r"|wife|husband|patientin|patientenname|name der patientin|vorname|nachname|zuname"
    r"|unterschrift|gez\.?|nom|prénom|nom du patient|nombre"
    r"|apellidos?|paciente|nome|cognome|paziente|nome do paciente|naam|voornaam|achternaam"
    r"|patiënt(?: naam)?|firma|assinatura|signature du médecin)"
)
_BY_OTHER = (
    r"(?:befundet (?:von|durch)|vidiert (?:von|durch)|freigegeben (?:von|durch)|unterzeichnet von"
    r"|gez\.|signé(?:e)? par|validé(?:e)? par|dicté(?:e)? par"
    r"|adressé(?:e)? par|relu par|firmado por|validado por|informado por|realizado por"
    r"|solicitado por|firmato da|refertato da|richiesto da|eseguito da"
    r"|ondertekend door|geautoriseerd door|verslag(?:en)? door|aangevraagd door|assinado por"
    r"|laudado por|solicitado pelo|zugewiesen von|überwiesen von"
    r"|besprochen mit|telefonisch (?:an|mit)|mitgeteilt an|communiqué à|discuté avec"
    r"|comunicado al?|comentado con|discusso con|comunicato al?"
    r"|besproken met|doorgebeld aan|comunicado ao|discutido com)"
)
_TELL = (
    r"(?:discuss(?:ed|ion)?|communicat(?:ed|ion)|convey(?:ed)?|relay(?:ed)?|report(?:ed)?"
    r"|call(?:ed)?|phoned|telephoned|paged|notif(?:ied|ication)"
    r"|informed|told|spoke|spoken|given|delivered|acknowledged|contact(?:ed)?|messaged|faxed"
    r"|texted|alerted|advised|d/w|dw|conferred|reviewed"
    r"|consulted|provided|transmitted|presented|sent|verbalized|confirmed|emailed|made aware|aware"
    r"|agreed?|agrees|shown|passed|handed)"
)
_AGE = (
    r"\d{1,3}(?:[ -]?(?:years?|yrs?|y)[ -]?(?:old|o\b)?|[ -]?y[./]?o\b|[ -]?jährig\w*| ans\b"
    r"| años\b| anni\b| jaar\b| anos\b|[MF]\b)"
)

_STRONG = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<keep>{_TITLES}){_PLAIN}(?P<more>(?:,? (?:and|und|et|y|e|en"
        rf"|&) )(?:{_TITLES})?(?:{_WHOLE}))?",
        rf"(?P<keep>(?i:\b(?:{_BY}|{_BY_OTHER})[ \t]{{0,2}}:?[ \t]{{0,3}}"
        rf"(?:the )?(?:{_ROLE}[ ,:]{{1,3}})?)(?:{_TITLES})?){_NAME}",
        rf"(?P<keep>(?i:\b(?:{_LABEL}|{_ROLE}(?: name)?)[ \t]{{0,2}}[:=][ \t]{{0,3}})"
        rf"(?:{_TITLES})?){_NAME}",
        rf"(?P<keep>){_NAME}(?=,[ ]{{0,2}}{_DEGREE})",
    )
)
"""Contexts after which even an eponym is a name."""
_USUAL = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<keep>(?i:\b{_TELL}\b)(?: \w[\w./-]*){{0,7}}? (?i:with|to|by"
        rf"|that)[ ](?:the )?(?i:{_ROLE}[ ,]{{1,2}})?){_PLAIN}",
        rf"(?P<keep>(?i:\b(?:paged|informed|notified|called|phoned|telephoned|told|contacted"
        rf"|alerted|texted|d/w|advised))[ ](?:the )?(?i:{_ROLE}[ ,]{{1,2}})?){_PLAIN}",
        rf"(?P<keep>){_PLAIN}(?= (?:was|were|is|has been|had been) (?:\w+ )?(?:notified|informed"
        rf"|paged|called|contacted|told|aware|made aware|alerted|phoned)\b)",
        rf"(?P<keep>){_PLAIN}(?= (?:acknowledged|verbalized|confirmed receipt|agrees|agreed"
        rf"|read back|concurs|concurred)\b)",
    )
)
"""Contexts in which a single word may also be a department; an eponym is no name there."""
_FULL = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<keep>(?i:\b(?:patient|pt\.?|{_ROLE}|patientin|paziente|paciente|patiënt|by|per|for"
        rf"|von|par|por|da|door))[ ]){_NAME}",
        rf"(?P<keep>){_NAME}(?=,? (?:is |was |ist |est |es |è )?(?:an? |eine? |une? "
        rf"|una? )?{_AGE})",
        rf"(?P<keep>){_NAME}(?=[ ]{_DEGREE})",
        rf"(?P<keep>){_PLAIN}(?=[ ](?:MD|M\.D\.|MBBS|MBChB|FRCR|PhD)(?!\w))",
        r"(?P<keep>(?i:\b(?:patient|pt\.?|call|team|nurse|resident|attending|physician|doctor"
        r"|provider"
        rf"|clinician|radiologist|technologist|daughter|son|mother|father"
        rf"|spouse)) ?\(){_NAME}(?=\))",
        rf"(?P<keep>(?i:\b(?:identified|known|named|registered|labell?ed) as )){_NAME}",
        rf"(?P<keep>){_PLAIN}(?= (?:present(?:s|ed)|complain(?:s|ed)|denies|denied|states"
        rf"|underwent"
        r"|was (?:admitted|seen|examined|discharged|scanned|imaged|brought))\b)",
        rf"(?P<keep>(?:^|(?<=\n))[ \t]{{0,4}}){_NAME}(?=[ \t.]{{0,4}}(?:$|\n))",
        rf"(?P<keep>){_NAME}(?=,? \(?(?:\[\*\*date of birth|\[\*\*number|DOB|MRN|born|geb\.))",
        rf"(?P<keep>)(?P<name>{_LAST_FIRST})",
        rf"(?P<keep>){_PLAIN}",
    )
)
"""Contexts in which only two words or more are a name, by a given name or by the context."""
_NEEDS_GIVEN = frozenset({0, 2, 7, 9, 10})
"""Those of `_FULL` that say too little without a given name or an initial."""


def replace_names(text: str, mark: str) -> tuple[str, int]:
    """Return the text with ``mark`` in the place of names, and the number of names."""
    names = _Names(mark)
    for pattern in _STRONG:
        text = pattern.sub(partial(names.replaced, full=False, eponyms=True, given=False), text)
    for pattern in _USUAL:
        text = pattern.sub(partial(names.replaced, full=False, eponyms=False, given=False), text)
    for place, pattern in enumerate(_FULL):
        given = place in _NEEDS_GIVEN
        text = pattern.sub(partial(names.replaced, full=True, eponyms=False, given=given), text)
    return text, names.count


class _Names:
    """Replaces matches that are names, and counts them."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self.count = 0

    def replaced(self, match: re.Match[str], *, full: bool, eponyms: bool, given: bool) -> str:
        lead, name, rest = _trimmed(match["name"])
        after = rest + match.string[match.end("name") : match.end("name") + 40]
        if _DENIED.search(lead) or not name or (not eponyms and _THING.match(after)):
            return match[0]
        if not _is_name(name, full=full, eponyms=eponyms, given=given):
            return match[0]
        self.count += 1
        more = match.groupdict().get("more") or ""
        joint = _JOINT.match(more)
        if joint and _is_name(more[joint.end() :], full=False, eponyms=True, given=False):
            more = f"{joint[0]}{self._mark}"
            self.count += 1
        return f"{match['keep']}{lead}{self._mark}{rest}{more}"


_THING = re.compile(
    r"(?:['’]s?)?[ -](?:\w{3,15} )?(?:disease|syndrome|sign|signs|lines?|fractures?|catheters?"
    r"|tubes?|drains?|valves?|lesion"
    r"|deformity|hernia|shunt|procedure|operation|repair|view|projection|node|nodes|nodule|murmur"
    r"|classification|criteria|score"
    r"|technique|filter|rods?|bar|stent|device|wire|pin|plate|anomaly|tumou?r|lymphoma|sarcoma"
    r"|complex|focus|foci|ring|angle|hump"
    r"|prosthesis|flap|position|method|scale|grade|type|cells?|body|bodies|lobe|space|triangle"
    r"|canal|ligament|muscle|sling)\b",
    re.IGNORECASE,
)
"""What an eponym is followed by."""
_DENIED = re.compile(r"\b(?:not|no|none|unknown)\b", re.IGNORECASE)
_JOINT = re.compile(rf",? (?:and|und|et|y|e|en|&) (?:{_TITLES})?")
_KNOWN_SIGNS = frozenset({"mary joseph", "pierre marie", "robert jones", "austin flint"})
_REDACTED = re.compile(r"[xX'’s.-]+")
_SPLIT = re.compile(r"[ ,]+")


def _trimmed(name: str) -> tuple[str, str, str]:
    """Split off words of a report with a capital, before and after a name."""
    tokens = list(re.finditer(r"[^ ,]+", name))
    start = next((place for place, one in enumerate(tokens) if not _is_word(one[0])), len(tokens))
    if start == len(tokens):
        return name, "", ""
    end = next(
        (place for place in range(start, len(tokens)) if _is_word(tokens[place][0])), len(tokens)
    )
    first, last = tokens[start].start(), tokens[end - 1].end()
    return name[:first], name[first:last], name[last:]


def _is_word(token: str) -> bool:
    bare = token.strip(".'’").casefold()
    if len(bare) < 2:
        return False
    if "-" in bare and all(len(part) < 2 or part in WORDS for part in bare.split("-")):
        return True
    return bare in WORDS or bare.endswith(
        ("ology", "ologist", "iatrics", "ectomy", "otomy", "itis")
    )


def _is_name(name: str, *, full: bool, eponyms: bool, given: bool) -> bool:
    tokens = [token for token in _SPLIT.split(name) if token]
    words = [token for token in tokens if len(token.strip(".")) > 1]
    if name.casefold() in _KNOWN_SIGNS:
        return False
    if not words or _is_word(words[0]) or any(_REDACTED.fullmatch(word) for word in words):
        return False
    if not eponyms and any(
        part.casefold() in EPONYMS and part.casefold() not in GIVEN_NAMES
        for token in words
        for part in re.split(r"[-'’]", token)
    ):
        return False
    if not full:
        return len(words) > 1 or not (words[0].isupper() and len(words[0]) < 4)
    if len(tokens) < 2:
        return False
    if any(_is_word(token) for token in words):
        return False
    if not given:
        return True
    opening = {words[0].casefold()}
    if "," in name:
        opening |= {token.casefold() for token in words[1:2]}
    return any(one.split("-")[0] in GIVEN_NAMES for one in opening) and len(words) > 1
