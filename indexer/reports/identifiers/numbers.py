"""Identifiers that have a form of their own: numbers, telephones, e-mail addresses, UIDs."""

import re

from indexer.reports.identifiers.dates import DATE

_ID = (
    r"(?:(?=(?:[A-Z]{1,4}[ .])?(?:[\w/.-]{0,12}?\d){3}"
    r"|\d{1,4}[ ]\d{2})(?:[A-Z]{1,6}[ ./-]{0,1}){0,2}\d[\dA-Z]*"
    r"(?:[-/.]?[\dA-Z]+){0,8}(?:[ -]\d{1,8}(?![\d.]*\s?(?:mm|cm|ml|mg|y"
    r"|[MF]\b))){0,7}(?: [A-Z]{2}(?=[.,;)]|$))?"
    r"|[xX*#]{3}-?[xX*#]{2}-?\d{4})(?![\w])"
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
    r"|(?-i:RG|RČ|DL|OPD|CSN|FIN|URN|UR|NHI|HCN|PHN|UHID|CHI|IPP|NIP|NHC|NUHSA|CIP|HN|DNI|NIE|NIF"
    r"|BSN|CPF|CNS|IPD|OPD|IP|OP|VN|AN"
    r"|SSN|NHS|SVNR|AHV|KVNR|PID|ACC|Acc|CRM|GMC|NPI|RPPS|LANR|AGB)\b"
    r"|(?-i:\bID)(?=[ \t]?(?:no\b|number|nr|#|:|=)|\d{5})"
    r"|accession|acc(?:ession)?\.? ?(?:no\.?|number|#)|order (?:no\.?|number|#|id)"
    r"|request (?:no\.?|number|id|#)|requisition"
    r"|case (?:no\.?|number|#|id)|exam(?:ination)? (?:no\.?|number|id|#)|study (?:id|no\.?|number"
    r"|#)|x-?ray (?:no\.?|number|#)"
    r"|film (?:no\.?|number|#)|fall(?:nummer|[ -]?nr\.?)|aufnahme(?:nummer|[ -]?nr\.?)"
    r"|auftrags?(?:nummer|[ -]?nr\.?)|versicher(?:ten|ungs)(?:nummer|[ -]?nr\.?)"
    r"|social security|insurance|policy|member id|medicare|medicaid|nhs|ss#|passport|licen[cs]e"
    r"|national insurance|employee (?:id|no\.?|number|#)|badge|staff (?:no\.?|id|number)"
    r"|operator id|(?:employee|staff|prisoner|inmate|detainee|claim|service"
    r"|collar)(?= [A-Z]?-?\d{4})"
    r"|(?:radiologist|reporter|reader|tech|physician|provider|user|device|subject"
    r"|participant) (?:id|no\.?"
    r"|number|#)|serial(?= (?:no|number|#))|s/n\b|(?-i:SN|UDI|EMPI|MPI|GMC|HCPC|AHPRA|DEA|NMC|HN"
    r"|RM|EGN|OIB|TC|NIK|NRIC|IC)\b"
    r"(?=[ .:#]{0,2}(?:No\.? |no\.? )?[A-Z]{0,4}\d{4})|registration|reg\.? ?(?:no\.?|number|#)"
    r"|pt\.? ?#|req(?:\.|uest)? ?#?(?=[A-Z]?\d)"
    r"|folder|group(?= \d{4})|last (?:four|4)(?: digits)?(?: of)?(?: ssn)?|file (?:no\.?|number|#)"
    r"|chart (?:no\.?|number|#)|job (?:no\.?|id|number|#)"
    r"|dictation (?:id|#)|member (?:no\.?|number|#)|member(?= [A-Z]\d)"
    r"|health card(?: (?:no\.?|number))?|licen[cs]e plate|number plate|plate no|trial (?:no\.?"
    r"|number)|report (?:no\.?|id|#)|visit(?= [A-Z]+\d)"
    r"|(?:order|req\.?|visit|unit|study|exam|film|case) ?#|(?-i:PESEL|CPR|CPR-nr|CNP|TAJ|OIB|JMBG"
    r"|HETU|ЕГН|СНИЛС|ИНН|АМКА|ΑΜΚΑ)\b|pesel|hetu"
    r"|cpr(?:-nr)?\.?|personn(?:umme)?r\.?|fødselsn(?:umme)?r\.?|rodné číslo|r\. ?č\.?"
    r"|t\.?c\.? kimlik|protokol|№"
    r"|col(?:egiado)?\.?(?= ?(?:n|\d\d))|matrícula|rut\b|curp|cédula|crm(?:-[a-z]{2})?|c\.f\."
    r"|crédit|utente|processo|n[º°] ?(?:de )?(?:dossier|ipp|patient)"
    r"|bsn|zis(?:nr)?|mã bn|bhyt|no\.? rm|no\.? kp|bpjs|mykad"
    r"|dossier|s[ée]curit[ée] sociale|n[º°] ?s[ée]cu|historia(?: cl[íi]nica)?|expediente|c[ée]dula"
    r"|codice fiscale|cartella(?: clinica)?"
    r"|tessera sanitaria|pati[ëe]ntnummer|burgerservicenummer|prontu[áa]rio|matr[íi]cula|registro)"
)
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "e-mail address",
        re.compile(r"(?:mailto:)?\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b"),
    ),
    ("web address", re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"]{3,200}", re.IGNORECASE)),
    (
        "web address",
        re.compile(
            r"(?<![\w.@])@[a-z][\w.]{2,24}\w|(?<=by )[a-z][a-z._]{1,20}\d{1,4}(?![\w.-]*\d"
            r"|\w)"
        ),
    ),
    (
        "web address",
        re.compile(
            r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{2,5})?(?![\w.]*\d)"
            r"|(?<![\w:])(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(?![\w:])"
            r"|(?<![\w.@/-])(?:[a-z][\w-]{1,30}\.){1,3}(?:com|org|net|edu|gov|nhs\.uk|co\.uk"
            r"|ac\.uk|local)"
            r"(?:/\S{0,80})?(?![\w-])"
        ),
    ),
    (
        "web address",
        re.compile(
            r"(?P<keep>\b(?:skype|whatsapp|twitter|facebook|instagram|wechat)[: ]{1,2})"
            r"@?\w[\w.-]{3,30}\w",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"(?P<keep>\b(?:user(?:name| id| name)?|login|logon|workstation|terminal"
            r"|dictated by user"
            r"|on ws|console)[ :=]{1,3}(?:is )?)(?=[\w.\\-]{0,20}[\d_.\\])[A-Za-z][\w.\\-]{2,30}\w",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"(?<![\w-])(?:RAD|RADWS|WS|PACS|CR|DX|XR|ACC|MRN|PT|ORD|REQ|RIS"
            r"|EX)[A-Z]{0,4}-?\d{4,12}(?![\w-])"
            r"|(?<![\w-])(?:RADWS|PACSWS|WKS|WS|PC)-[A-Z\d]{2,10}(?!\w)"
        ),
    ),
    ("number", re.compile(r"\b[A-Z]{2,12}\\[a-z][\w.]{2,20}\b")),
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
            r"|geboren op|data de nascimento|nascid[oa] em|född|født|syntynyt|urodzon[ya]"
            r"|narozen[aý]?|nar\.|ur\.|szül\.?|născută?"
            r"|doğum(?: tarihi)?|d\.t\.|γενν\.|ngày sinh|sinh ngày|lahir|\*)[ \t]{0,3}(?:[:=-]|is"
            r"|was)?[ \t]{0,3})"
            rf"(?:{DATE}|(?:19|20)\d{{6}}|\d{{6}}|\d{{1,2}}[ /.-]\d{{1,2}}[ /.-]\d{{2,4}})(?!\d)",
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
            r"|cel\.|c[ée]l(?:ular)?\.?|whatsapp|telf\.?|fono|rufnummer|funkruf|dial|call(?= 0)"
            r"|(?:bleep|pager|page|beep)s?(?: (?:him|her|me|them|us))?(?: on| at)?"
            r"|pager|beeper|bleep|ext(?:ension|n|\.)?|durchwahl|dect|sein|toestel|tst\.|poste"
            r"|piepser|funk|interno|handy|gsm|cep|тел\.?|моб\.?|τηλ\.?|tlf\.?|puh\.?|telp?\.?"
            r"|m[óo]vil|cellulare|telemóvel"
            r"|callback|call back|direct line|voip|x(?=\d{3,6}\b))"
            r"[ \t]{0,2}(?:no\.?|number|nr\.?|#|:|is|at|n[º°]){0,2}[ \t]{0,2})"
            r"[+(]?\d(?:[ ()/.-]{0,2}\d){2,14}(?!\d|\.\d|\s?(?:mm|cm|mg|ml))(?:,? ?(?:x"
            r"|ext\.?) ?\d{1,6})?",
            re.IGNORECASE,
        ),
    ),
    (
        "telephone",
        re.compile(
            r"(?<![\w.+/-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ ./-]?\d){6,12}"
            r"|\(\d{3}\) ?\d{3}[-. ]\d{4}|(?:1[-. ])?\d{3}[-.]\d{3}[-.]\d{4}"
            r"|\d{3} \d{3}-\d{4}|\(0\d{1,5}\) ?\d{2,4}(?:[ -]?\d{2,4}){1,3}|0\d(?: \d\d){4}"
            r"|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,6}|0\d{2,4}[ /]\d{5,8}"
            r"|0\d{1,4}(?=(?: ?\d){6})(?: \d{2,4}){2,5}|1[389]00 \d{3} \d{3}"
            r"|[2-9]\d{2} \d{3} \d{2} \d{2}"
            r"|\(?\d{2}\)? 9?\d{4}-\d{4}|[6-9]\d{4} \d{5}|0800[ -]\d{2,4}(?:[ -]?\d{2,4}){0,2})"
            r"(?:,? ?(?:x|ext\.?) ?\d{1,6})?(?![\w-]|\.\d)"
        ),
    ),
    (
        "number",
        re.compile(
            r"(?P<keep>(?<!\w)(?:ΑΜ|АМ|AM)[ :.]{1,2})\d{4,12}(?![\w:])"
            r"|(?P<keep_by>(?<![\w-])(?!SNOMED|LOINC|CPT|ICD|BNP|DAP|DLP|WBC|PLT|HCPCS|NCT"
            r"|RVU)[A-ZΑ-ΩА-ЯŠČŘŽ]{2,6}[ :.#]{1,2})"
            r"\d{6,14}(?![\w,.]*\d|\w| ?[a-zµ]{1,5}/)"
            r"|(?P<keep_lot>\b(?i:prot(?:ocollo)?\. ?n?\.?|r[ée]f(?:[ée]rence|erenz|erencia)?\.?"
            r"|aktenzeichen|az\.)[ :]{1,3})"
            r"(?=[\w/-]{0,12}\d{3})[A-Z\d][\w/-]{3,20}"
        ),
    ),
    ("telephone", re.compile(r"(?<![\w.,/-])[2-9]\d{2}-\d{4}(?![\w-]|[.,]\d)")),
    (
        "telephone",
        re.compile(
            r"(?P<keep>\b(?:paged|bleeped|beeped|phoned|telephoned|rang|rung|called|call|calling"
            r"|dial"
            r"|contacted|contact|reached|reachable|reach|callback|available)(?: (?:him|her|them"
            r"|us|me"
            r"|back|it|out|through|immediately|again|urgently)){0,2}(?: at \d{1,2}:?\d\d)? (?:to"
            r"|on|at|via) (?:line )?)"
            r"(?:\d-\d{4}|(?<! at )(?!(?:19|20)\d\d|0\d{3}\b)[1-9]\d{3,4})"
            r"(?!\w|[-:/]\d|[.,]\d| ?(?:h|hrs?|hours|am|pm|mm|ml|uhr)\b)"
            r"|(?P<keep_by>\b(?:on|at|to|line|desk|call|dial|ring|page|phone) )\d-\d{4}(?![\w-]"
            r"|[.,]\d)",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"(?P<keep>\b(?!(?:model|series|image|size|slice|rib|figure|step|level|grade|type|item"
            r"|page"
            r"|section|version|line|line item|lead|film|view|plate|cpt|icd|code|part|catalog|ref"
            r"|tube|blade) )"
            r"[^\W\d_]{2,20}[ -](?:no|nr|number|id|nummer|num[ée]ro|número|#)\.?[ :#]{1,3})"
            r"(?=[\w/.-]{0,6}\d)(?=(?:[\w/.-]{0,8}?\d){4})[A-Z\d][\w/-]*(?:\.\d[\w/-]*)*"
            r"(?:[ -]\d{2,6}){0,4}(?! ?(?:mm|cm|ml|mg))"
            r"|(?P<keep_by>(?<![\w&])#[ ]?)(?:[A-Z]{0,3}\d{4,12})(?!\w)"
            r"|(?P<keep_lot>\b[Ll]ot (?:no\.? |# ?)?)(?=[A-Z\d-]*\d{3})[A-Z\d-]{4,14}\b",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"(?<![\w.-])(?<!SNOMED )(?<!LOINC )(?<!RadLex )(?:\d{3}-\d{2}-\d{4}"
            r"|\d{3}[ -]\d{3}[ -]\d{4}|\d{3}\.\d{3}\.\d{3}-\d{2}"
            r"|[A-Z]{1,6}-\d{2,4}-\d{3,10}|\d{1,2}\.\d{3}\.\d{3}-[\dkKxX]|\d{6,8}[-+]\d{3,4}"
            r"|\d{6}/\d{3,4}"
            r"|[A-Z]?\d{3,4}-\d{3,4}-\d{3,4}"
            r"|\d{4} \d{4} \d{4}(?: \d{4})?|756\.\d{4}\.\d{4}\.\d{2}"
            r"|[STFGM]\d{7}[A-Z]|[A-Z]{1,2}\d{6}\([\dA]\)|[A-Z]\d{4}[A-Z]{2}"
            r"|[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]|\d{8}-?[A-Z]|[XYZ]-?\d{7}-?[A-Z]"
            r"|[12] \d{2} \d{2} \d{2,3} \d{3} \d{3}(?: \d{2})?"
            r"|[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|[A-Z]{1,6}[-/]?\d{6,16}"
            r"|\d{2,4}-\d{6,10}|\d{7,20})(?![\w-]|[.,]\d)"
        ),
    ),
)
"""Kind and pattern, in the order in which they are applied; the group ``keep`` stays."""
