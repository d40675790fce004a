"""Identifiers that have a form of their own: numbers, dates, telephones, addresses, UIDs."""

import re

_MONTH = (
    r"(?:jan(?:uary|uar|vier|eiro)?|feb(?:ruary|ruar)?|f[ée]v(?:rier|ereiro)?|febrero|febbraio"
    r"|mar(?:ch|s|zo|ço)?"
    r"|märz|mrt|maart|apr(?:il|ile)?|avr(?:il)?|abr(?:il)?|may|mai|mayo|maggio|mei|maio|june?|juni"
    r"|juin"
    r"|junio|giugno|junho|july?|juli|juillet|julio|luglio|julho|aug(?:ust|ustus)?|ao[uû]t|agosto"
    r"|sep(?:t|tember"
    r"|tembre|tiembre)?|settembre|setembro|oct(?:ober|obre|ubre)?|okt(?:ober)?|ottobre|outubro"
    r"|nov(?:ember"
    r"|embre|iembre|embro)?|dec(?:ember)?|dez(?:ember|embro)?|d[ée]c(?:embre)?|dic(?:iembre"
    r"|embre)?)\b\.?"
)
_DATE = (
    r"(?:\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d\d|(?:19|20)\d\d[/.-]\d{1,2}[/.-]\d{1,2}"
    r"|\d{1,2}/\d{1,2}/\d\d"
    r"|\d{1,2}\.\d{1,2}\.\d\d(?=\s*(?:\)|$|[,;]))|\d{1,2}[- ](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug"
    r"|Sep|Oct|Nov|Dec)[a-z]*[- ]\d{2,4}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)\d\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.)?(?: de| of)? {_MONTH}(?: de)?,? (?:19|20)\d\d)"
)
_ID = (
    r"(?:\d{2,4}(?:[ ]\d{2,4}){1,4}|(?=[\w/.-]{0,12}\d)[A-Z]{0,6}[-/ ]?\d[\dA-Z]{2,}"
    r"(?:[-/.]?[\dA-Z]+){0,6}"
    r"|(?:[A-Z]{1,4}-)?\d{1,4}(?:[-/.]\d{1,8}){1,4}|[xX*#]{3}-?[xX*#]{2}-?\d{4})(?![\w])"
)
_SEP = (
    r"(?:[ \t]{0,3}(?:n[º°o]\.?|no\.?|nr\.?|num(?:ber|éro|ero)?\.?|id|#|:|=|-|is|\.)){0,4}"
    r"[ \t]{0,3}"
)
_LABEL = (
    r"(?:MRN|MR ?(?:#|no\.?|number)|med(?:ical)?\.? rec(?:ord)?s?|patient(?:en)?[ -]?(?:id|number"
    r"|no\.?|nr\.?|nummer|#|identifier)"
    r"|pat\.?[ -]?(?:nr|id)|hosp(?:ital|\.)? ?(?:no\.?|number|id|#|num)|unit (?:no\.?|number)"
    r"|account|acct|encounter|visit (?:no\.?|number|id|#)"
    r"|(?-i:CSN|FIN|URN|UR|NHI|HCN|PHN|UHID|CHI|IPP|NIP|NHC|NUHSA|CIP|HN|DNI|NIE|NIF|BSN|CPF|CNS"
    r"|SSN|NHS|SVNR|AHV|KVNR|PID|ACC|Acc|CRM|GMC|NPI|RPPS|LANR|AGB)\b"
    r"|(?-i:\bID)(?=[ \t]?(?:no\b|number|nr|#|:|=))"
    r"|accession|acc(?:ession)?\.? ?(?:no\.?|number|#)|order (?:no\.?|number|#|id)"
    r"|request (?:no\.?|number|id|#)|requisition"
    r"|case (?:no\.?|number|#|id)|exam(?:ination)? (?:no\.?|number|id|#)|study (?:id|no\.?|number"
    r"|#)|x-?ray (?:no\.?|number|#)"
    r"|film (?:no\.?|number|#)|fall(?:nummer|[ -]?nr\.?)|aufnahme(?:nummer|[ -]?nr\.?)"
    r"|auftrags?(?:nummer|[ -]?nr\.?)|versicher(?:ten|ungs)(?:nummer|[ -]?nr\.?)"
    r"|social security|insurance|policy|member id|medicare|medicaid|nhs|ss#|passport|licen[cs]e"
    r"|national insurance|employee id"
    r"|dossier|s[ée]curit[ée] sociale|n[º°] ?s[ée]cu|historia(?: cl[íi]nica)?|expediente|c[ée]dula"
    r"|codice fiscale|cartella(?: clinica)?"
    r"|tessera sanitaria|pati[ëe]ntnummer|burgerservicenummer|prontu[áa]rio|matr[íi]cula|registro)"
)
_STREET = (
    r"(?:Street|St(?!\.? Jude)|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Boulevard|Blvd|Court|Place|Terrace"
    r"|Square|Close|Crescent"
    r"|Highway|Hwy|Parkway|Pkwy|Circle|Way|Gardens|Grove|Mews|Row)\b\.?"
)
_CITY = (
    r"[A-ZÄÖÜÉ][\w'’äöüßéèáíóúñçã.-]*"
    r"(?:[ -](?:de |la |am |an der |sur |di |do )?[A-ZÄÖÜÉ][\wäöüßéèáíóúñçã.-]*){0,2}"
)

PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "e-mail address",
        re.compile(r"(?:mailto:)?\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b"),
    ),
    ("web address", re.compile(r"\b(?:https?://|www\.)[^\s<>\"]{3,200}", re.IGNORECASE)),
    (
        "UID",
        re.compile(
            r"(?<![\d.])(?:\d{1,39}(?:\.\d{1,39}){5,30}|(?:1\.2\.840|1\.3\.6\.1|1\.2\.826"
            r"|2\.25)(?:\.\d{1,39}){1,30})(?![\d.]*\d)"
        ),
    ),
    (
        "UID",
        re.compile(
            r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
        ),
    ),
    (
        "date of birth",
        re.compile(
            r"(?P<keep>\b(?:D\.?O\.?B\.?|date of birth|birth ?date|born(?: on)?|b\."
            r"|geb(?:oren)?(?:\. ?am|\.| am)?|geburtsdatum|n[ée]e? le"
            r"|date de naissance|fecha de nacimiento|f\.? ?nac\.?|nacid[oa] el|fdn|data di nascita"
            r"|nat[oa] il|geboortedatum|geb\. ?datum"
            r"|geboren op|data de nascimento|nascid[oa] em|\*)[ \t]{0,3}(?:[:=-]|is"
            r"|was)?[ \t]{0,3})"
            rf"(?:{_DATE}|(?:19|20)\d{{6}}|\d{{1,2}}[ /.-]\d{{1,2}}[ /.-]\d{{2,4}})(?!\d)",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(rf"(?P<keep>(?<![\w-]){_LABEL}{_SEP})(?-i:{_ID})", re.IGNORECASE),
    ),
    (
        "telephone",
        re.compile(
            r"(?P<keep>\b(?:tel(?:e(?:phone|fon|foon)?|\.)?|t[ée]l(?:[ée]phone|[ée]fono|efono"
            r"|efone|\.)?|phone|ph\.|mobile|mob\.|cell(?: phone)?|fax"
            r"|pager|beeper|bleep|ext(?:ension|n|\.)?|durchwahl|m[óo]vil|cellulare|telemóvel"
            r"|callback|call back|direct line|voip|x(?=\d))"
            r"[ \t]{0,2}(?:no\.?|number|nr\.?|#|:|is|at|n[º°]){0,2}[ \t]{0,2})"
            r"[+(]?\d(?:[ ()/.-]{0,2}\d){2,14}(?!\d|\.\d|\s?(?:mm|cm|mg|ml))",
            re.IGNORECASE,
        ),
    ),
    (
        "telephone",
        re.compile(
            r"(?<![\w.+/-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ ./-]?\d){6,12}"
            r"|\(\d{3}\) ?\d{3}[-. ]\d{4}|(?:1[-. ])?\d{3}[-.]\d{3}[-.]\d{4}"
            r"|\d{3} \d{3}-\d{4}|\(0\d{2,5}\) ?\d{2,4}(?:[ -]?\d{2,4}){1,3}|0\d(?: \d\d){4}"
            r"|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,6}|0\d{2,4}[ /]\d{5,8})"
            r"(?:,? ?(?:x|ext\.?) ?\d{1,6})?(?![\w-]|\.\d)"
        ),
    ),
    (
        "number",
        re.compile(
            r"(?<![\w.-])(?:\d{3}-\d{2}-\d{4}|\d{3}[ -]\d{3}[ -]\d{4}|\d{3}\.\d{3}\.\d{3}-\d{2}"
            r"|756\.\d{4}\.\d{4}\.\d{2}"
            r"|[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]|\d{8}-?[A-Z]|[XYZ]-?\d{7}-?[A-Z]"
            r"|[12] \d{2} \d{2} \d{2,3} \d{3} \d{3}(?: \d{2})?"
            r"|[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|[A-Z]{1,6}[-/]?\d{6,16}"
            r"|\d{2,4}-\d{6,10}|\d{7,20})(?![\w-]|[.,]\d)"
        ),
    ),
    (
        "address",
        re.compile(
            rf"(?<![\w.])\d{{1,5}}[A-Za-z]?,? (?:[NSEW]\.? |North |South |East "
            rf"|West )?(?:\d{{1,3}}(?:st|nd|rd|th) |[A-Z][\w'’.]{{1,20}} ){{1,4}}{_STREET}"
            rf"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.? ?\w{{1,6}})?(?:,? {_CITY})?"
            rf"(?:,? [A-Z]{{2}}\.? \d{{5}}(?:-\d{{4}})?)?"
            r"(?:,? [A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b)?"
        ),
    ),
    (
        "address",
        re.compile(
            rf"\b[A-ZÄÖÜ][\wäöüß-]{{1,30}}(?:straße|strasse|str\.|weg|platz|allee|gasse|straat"
            rf"|laan|plein|gracht|kade|dijk)\s?\d{{1,4}}\s?[a-z]?\b(?:,? (?:D-|A-"
            rf"|CH-)?\d{{4,5}}(?: [A-Z]{{2}})? {_CITY})?"
            rf"|\b(?:\d{{1,4}}(?: bis| ter)?,? )(?:rue|avenue|boulevard|place|chemin|allée|impasse"
            rf"|quai|route) (?:(?:de|la|le|du|des|l'|d')[ ]?){{0,3}}{_CITY}(?:,? \d{{5}} {_CITY})?"
            rf"|\b(?:Via|Viale|Piazza|Corso|Calle|C/|Avenida|Avda\.|Av\.|Plaza|Paseo|Rua|Praça"
            rf"|Travessa|Largo|Strada) ?(?:(?:de|del|della|la|da|do|dos|di|dei|las"
            rf"|los) ){{0,3}}{_CITY},? (?:n[º°.] ?)?\d{{1,4}}[A-Za-z]?\b"
            rf"(?:,? (?:\d{{4,5}}(?:-\d{{3}})?) {_CITY})?"
            r"|\bP\.? ?O\.? Box \d{1,6}\b|\bPostfach \d{2,6}\b"
        ),
    ),
    ("address", re.compile(rf"\b{_CITY}, [A-Z]{{2}} \d{{5}}(?:-\d{{4}})?\b")),
    (
        "address",
        re.compile(r"\b(?:GIR 0AA|[A-Z]{1,2}\d[A-Z\d]? \d(?!TH|ND|RD|ST|CM|MM|ML|MG)[A-Z]{2})\b"),
    ),
    ("date", re.compile(rf"(?<![\w/.-]){_DATE}(?![\d/-]|\s?(?:mm|cm)\b)", re.IGNORECASE)),
)
"""Kind and pattern, in the order in which they are applied; the group ``keep`` stays."""
