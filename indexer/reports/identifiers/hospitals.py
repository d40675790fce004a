"""Hospitals, wards, rooms and beds."""

import re

from indexer.reports.identifiers.addresses import (
    CITY,
    GENERIC,
    INSIDE,
    SMALL,
    is_proper,
    street_like,
)
from indexer.reports.identifiers.people.follows import THING
from indexer.reports.identifiers.people.letters import LETTERS, LOWER, UPPER, Capital
from indexer.reports.identifiers.people.lexicon import Kind, kind_of

_WORD = rf"[{UPPER}](?:(?<=S)t\.|(?<=D)r\.|(?<=S)te\.|[{LETTERS}'’-]{{0,24}})"
_HOUSE = (
    r"(?:Hospitals?|Hosp\.?|HOSPITAL|Medical Cent(?:er|re)|MEDICAL CENT(?:ER|RE)|Med Center"
    r"|Infirmary"
    r"|INFIRMARY|Clinics?|CLINIC|Health(?:care)? (?:System|Cent(?:er|re)|Network|Services?|Trust"
    r"|Board)"
    r"|HEALTH (?:SYSTEM|CENTER)|Health(?:care)?|(?:Outpatient )?Imaging(?: Cent(?:er|re)"
    r"| Associates"
    r"| Partners)?|IMAGING(?: CENTER| ASSOCIATES)?|Radiology(?: Associates| Group| Partners"
    r"| Consultants| Ltd)"
    r"|RADIOLOGY ASSOCIATES|Nursing Home|Nursing Cent(?:er|re)|Care Home|Care Cent(?:er|re)"
    r"|Rest Home|Hospice"
    r"|Rehabilitation(?: Cent(?:er|re))?|Rehab(?: Cent(?:er|re))?|Surgery Cent(?:er|re)"
    r"|Surgical Cent(?:er|re)"
    r"|Cancer Cent(?:er|re)|Cancer Institute|Heart Institute|Urgent Care|Family Practice"
    r"|Medical Practice"
    r"|Medical Group|Medical Associates|Sanatorium|Polyclinic|Diagnostics|Diagnostic Cent(?:er|re)"
    r"|Assisted Living|Senior Living|Retirement (?:Home|Village|Community)|Manor"
    r"|NHS (?:Foundation )?Trust"
    r"|Ward|WARD|Surgery(?=,|\.| \(|$)|Wing|Pavilion|ziekenhuis|Ziekenhuis|Gasthuis|sjukhus"
    r"|sjukhuset"
    r"|sykehus|sjukehus"
    r"|universitetssjukehus|universitetssjukhus|universitetssykehus|sygehus|sairaala|Sairaala"
    r"|Kórház|[Kk]linika"
    r"|Hastanesi|hastanesi|Krankenhaus|Klinikum|Klinik|Spital|Kantonsspital|Stift|Pflegeheim"
    r"|Seniorenheim"
    r"|Police Department|Fire Department|(?:High |Elementary |Middle )?School"
    r"|Correctional \w{4,10}|Prison|Detention Cent(?:er|re)"
    r"|Oncology Cent(?:er|re)|Chest Cent(?:er|re)|General|Memorial)(?![\w-])"
)
_OPENING = (
    r"(?:Universitätsklinikum|Universitätsspital|Universitätsmedizin|Klinikum|Krankenhaus"
    r"|Kantonsspital|Spital"
    r"|Landesklinikum|Landeskrankenhaus|LKH|Klinik|Praxis|Pflegeheim|Seniorenheim|Altenheim|MVZ"
    r"|Radiologie(?:zentrum|praxis)"
    r"|CHU|CHRU|CHR|CHUV|CH|Hôpital|Hôpitaux|Centre [Hh]ospitalier(?: (?:[Uu]niversitaire"
    r"|[Rr]égional))?|Clinique|Polyclinique|EHPAD|Cabinet(?: [Mm]édical)?|Radiologie(?= (?:am|im"
    r"|an|in|Dr))(?: [Mm]édical)?"
    r"|Hospital(?: (?:Clínico|Universitario|General|Clínic|Regional|Municipal|Geral|Comarcal"
    r"|Nacional)){0,2}"
    r"|Clínica|Sanatorio|Centro [Mm]édico|Centro de [Ss]alud|Policlínico|Ospedale|Ospedali"
    r"|Policlinico|Casa di [Cc]ura|Clinica"
    r"|A\.?O\.?U?\.?|IRCCS|Istituto|Azienda Ospedaliera|Santa Casa|UBS|UPA|Spitalul|Institutul"
    r"|UMC|AZ|UZ|ZNA|MC|CWZ|OLVG|[Zz]iekenhuis|Medisch Centrum|Szpital(?:a|u)?|Przychodnia"
    r"|Nemocnice|Fakultní nemocnice|FN|Poliklinika"
    r"|Opća bolnica|Klinički bolnički centar|KBC|Bolnica|Bệnh viện|BV|RSUD|RSUP|RSIA|RS"
    r"|Rumah Sakit|Hospital"
    r"|Νοσοκομείο|Γ\.Ν\.|Vårdcentral(?:en)?|Terveyskeskus|Legesenter|Clinic|The Royal|Queen|HMP"
    r"|HMYOI|YOI|RAF|HMS|USS|FCI|USP"
    r"|King['’]s|Royal)"
)
_NAME = rf"{_WORD}(?:[ ](?:{SMALL}[ ]){{0,3}}{_WORD}){{0,4}}"
_HOUSES = (
    re.compile(
        rf"(?<![\w-])(?:(?:{_WORD}|{INSIDE}|\d{{1,3}}(?:st|nd|rd"
        rf"|th))[ -]){{1,6}}?{_HOUSE}(?: {_HOUSE}){{0,2}}"
        rf"(?:(?i: of) (?i:the )?(?:(?!Ward|Room|Bed"
        rf"|Department){_WORD}[ -]?){{0,4}}(?<=[{LETTERS}]))?"
        rf"(?:,? (?:NHS (?:Foundation )?Trust))?"
        rf"(?P<town>(?:,? (?!Department|Dept|Division|Ward|Room|Service)[{UPPER}][{LOWER}]{{2,20}}"
        rf"(?![{LETTERS}])){{0,2}})"
    ),
    re.compile(rf"(?<![\w-])The (?:{_WORD} ){{1,3}}(?:Surgery|Practice|Medical Practice), {CITY}"),
    re.compile(rf"(?<![\w-]){_OPENING} (?:{SMALL} ?){{0,3}}{_NAME}"),
    re.compile(
        rf"(?<![\w-])[{UPPER}][{LETTERS}]{{3,20}}(?:hospitalet|hospital|sjukhuset|sjukhus|sykehus"
        rf"|sjukehus|sygehus"
        r"|klinikum|krankenhaus|ziekenhuis|sairaala|kórház|spital)(?![\w-])"
    ),
    re.compile(
        rf"(?<![\w-])(?:[{UPPER}][{LETTERS}.]{{1,20}}-){{1,3}}(?:Krankenhaus|Klinik|Klinikum"
        rf"|Spital|Hospital"
        rf"|Stift|Ziekenhuis)(?: {_WORD}){{0,2}}"
    ),
    re.compile(
        r"(?<!\w)(?:[А-ЯІЇЄ][а-яіїє]+ )?(?i:больниц[аеуы]|поликлиник[аеу]|лікарн[яіею]|клиник[аеу]"
        r"|госпиталь|диспансер"
        rf"|ГКБ|ГБУЗ|МБУЗ|ЦРБ|ОКБ|ФГБУ|НИИ)[ ]?(?:№ ?\d{{1,4}}|им\. ?{_WORD}(?: {_WORD})?"
        rf"|«[^»\n]{{2,40}}»|г\. ?{_WORD}|{_WORD})"
    ),
)
_INSTITUTE = re.compile(
    rf"(?:Cabinet|Centre|Centro|Studio|Institut|Instituto|Istituto|Laboratoire"
    rf"|Laboratorio|Clinique|Clínica|Gabinete|Poradnia|Praxis|Zentrum) (?:[{LOWER}'’]{{2,16}} ?)"
    rf"{{1,4}} {_NAME}"
)
_FROM = re.compile(
    r"(?P<keep>(?i:\b(?:transfer(?:red)?|transported|sent|referred|admitted|discharged"
    r"|performed|done"
    r"|obtained|taken|acquired|imaged|radiographs?|films?|x-?rays?|study|studies|images?"
    r"|examination|priors?|resident"
    r"|came|arrived|in-patient|inpatient|patient|seen|verlegt|transféré\w?|trasladad[oa]"
    r"|trasferit[oa]"
    rf"|employed|works|worked|worker) (?:from|at|of|by|to|von|aus|de|du|desde|dal"
    rf"|da) (?:the )?)){_NAME}(?!\w)"
)
_NAMED_WARD = re.compile(
    rf"(?<![\w-])(?P<name>(?:{_WORD} ){{1,2}}?)(?:(?P<side>North|South|East|West|Upper|Lower|Nord"
    rf"|Süd"
    rf"|Ost|[A-D]|\d{{1,2}}[A-D]?) (?=(?i:ward|unit|wing|suite|bay)\b)|(?=(?i:ward|lodge)\b))"
)
_ADJECTIVE = re.compile(r"(?i)(?:ic|al|ar|ary|ive|ics|gy|cy|ry|ing|ment|ent|ed|ion|ity|ure|care)$")
"""How the names of departments end ("Orthogeriatric ward")."""
_NAMED_ROOM = re.compile(
    rf"(?P<keep>\b(?:(?i:reparto|servizio|oddział|klinika|abteilung|afdeling|avdelning|osasto"
    rf"|secția"
    rf"|servis|pflegestation|sengepost|vårdavdelning)|[Ww]ard|Station|Stn\.?|[Uu]nité|[Ss]ala) )"
    rf"{_WORD} (?:\d{{1,2}}|[IVX]{{1,4}}|[A-D]|North|South|East|West|Nord|Süd|Ost)\b[A-Z]?"
)
_ROOM = re.compile(
    r"(?P<keep>(?<![\w-])(?:RM|[Ww]ard|WARD|[Bb]ed|BED|[Rr]oom|ROOM|Rm\.?|[Bb]ay|BAY|[Cc]ubicle"
    r"|[Ss]tall|[Pp]od|[Ff]loor|Unit|UNIT"
    r"|Stn\.?|Suite|Station|Stat\.|Zimmer|Zi\.|Bett|[Cc]hambre|Ch\.|[Ll]it|LIT|[Ss]alle"
    r"|[Hh]abitación|Hab\.|[Cc]ama|[Ss]ala|[Ss]tanza|[Ll]etto"
    r"|[Kk]amer|[Ss]al|Oda|[Ee]nfermaria|[Ll]eito|[Qq]uarto|[Aa]fdeling|Afd\.|Abteilung|[Oo]sasto"
    r"|Avd\.?|[Aa]vdeling|[Pp]okoj|[Ll]ůžko|[Ss]al[aię]"
    r"|[Ll]óżko|[Oo]ddział|[Пп]алата|[Кк]ойка|[Оо]тделение|[Rr]uang|[Kk]amar|[Pp]hòng|[Gg]iường"
    r"|[Kk]órterem|[Ss]alon|Bldg\.?|Building|Resus|[Tt]heatre|[Bb]ox|[Cc]ot|[Cc]abin|(?:Location"
    r"|LOCATION)(?= \d))"
    r"[ .:#-]{1,3}(?:[Nn]o\.? |[Nn]r\.? |№ ?|#)?)"
    r"(?:[A-Z]{1,3}-?)?\d{1,4}(?:[A-Za-z](?![\w]))?(?:[-/][A-Z0-9]{1,3})?"
    r"(?: (?:North|South|East|West|Nord|Süd|Ost|[A-D])\b)?(?![\w%]|[.,]\d| ?(?:mm|cm|(?i:of)\b|Fr\b"
    r"|ml\b|(?i:deg)|CM\b|MM\b|ML\b|[Nn]odes?\b|[Ll]ymph|LN))"
)
_CLINIC = re.compile(
    rf"(?P<keep>\b[Cc]linic )\d{{1,2}}[A-Z]\b|(?P<keep_saint>\b(?:at|from|in|to) )"
    rf"(?:St|Saint|Ste)\.? {_WORD}['’]s(?![\w-])(?! (?:fire|vitus|dance))"
)
"""A numbered clinic, a hospital that is called by its saint."""
_SOCIETY = re.compile(
    r" (?:of (?:Chest|Radiology|Medicine|Surgery)|Risk|Model|Score|Criteria|Classification|Journal|"
    r"acquired|bed\b|course|stay|day\b|gown|grade)",
    re.IGNORECASE,
)


_GEOGRAPHY = frozenset(
    """
    mount mt st saint san santa fort port new north south east west old upper lower lake grand
    great good holy sacred our lady red blue green white black little big silver golden maple
    pine oak
    """.split()
)


def replace_hospitals(text: str, mark: str) -> tuple[str, int]:
    """Return the text with marks for hospitals, wards, rooms and beds, and how many."""
    count = 0

    def house(match: re.Match[str], strict: bool = False) -> str:
        nonlocal count
        keep = match.groupdict().get("keep") or ""
        name = match[0][len(keep) :]
        after = match.string[match.end() : match.end() + 40]
        if (
            THING.match(after)
            or _SOCIETY.search(f" {name}")
            or _SOCIETY.match(after)
            or not is_proper(name, strict=strict)
        ):
            return match[0]
        town = match.groupdict().get("town") or ""
        name = name.removesuffix(town) if town else name
        tail = name[len(name.rstrip(" ,.")) :] + town[len(_town(town)) :]
        count += 1
        return f"{keep}{_leading(name)}{mark}{tail}"

    def room(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"{next(text for text in match.groups() if text)}{mark}"

    def ward(match: re.Match[str]) -> str:
        nonlocal count
        name = match["name"].rstrip(" ")
        lead = _leading(name)
        if not is_proper(name[len(lead) :], strict=True):
            return match[0]
        if _ADJECTIVE.search(name) and not street_like(name, name.rpartition(" ")[2]):
            return match[0]
        count += 1
        return f"{lead}{mark} "

    for pattern in _HOUSES:
        text = pattern.sub(house, text)
    text = _INSTITUTE.sub(house, text)
    text = _FROM.sub(lambda match: house(match, strict=True), text)
    text = _NAMED_WARD.sub(ward, text)
    for pattern in (_NAMED_ROOM, _ROOM):
        text = pattern.sub(room, text)
    if "linic " in text or "’s" in text or "'s" in text:
        text = _CLINIC.sub(room, text)
    return text, count


def _town(words: str) -> str:
    """Return the words behind a hospital that may be its town: those of no report."""
    kept = ""
    for word in re.findall(r",? [^ ,]+", words):
        if kind_of(Capital(word.strip(", "), 0, 0)) in (Kind.WORD, Kind.EPONYM):
            break
        kept += word
    return kept


def _leading(name: str) -> str:
    """Return the words of a report before the name of a house ("Transferred", "The")."""
    lead = ""
    for match in re.finditer(rf"[{LETTERS}\d'’.-]+[ ]?", name):
        word = match[0].strip(" ")
        token = Capital(word.strip("."), 0, 0)
        small = (
            not word[0].isupper()
            or (
                kind_of(token) is Kind.WORD
                and token.key not in GENERIC
                and not street_like(name, word)
                and token.key not in _GEOGRAPHY
            )
            or token.key in ("the", "from", "at", "this", "our", "department", "in")
        )
        if not small or match.end() >= len(name):
            break
        lead = name[: match.end()]
    return lead
