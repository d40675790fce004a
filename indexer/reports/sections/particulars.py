"""Lines about people and paper: signatures, patient data, letterheads.

particulars_of("Electronically signed by: A. Roe, MD")     # 'signature'
particulars_of("Accession: A123")                          # 'header'
particulars_of("Small left effusion.")                     # None
"""

import re

HEADER_LABELS = tuple(
    label.strip()
    for label in """
    patient; patient name; name; last name; first name; mrn; mr; medical record number; patient id
    id
    dob; date of birth; birth date; birthdate; d o b; age; sex; gender; age/sex; age/gender; race
    patient dob
    accession; accession number; accession no; acc; acc no; acc number; order; order number
    order id
    order no; ordering; ordering physician; ordering provider; ordering md; ordered by
    ordering doctor
    referring; referring physician; referring provider; referring doctor; referring md
    referred by; ref
    ref by; requesting physician; requesting provider; requesting doctor; requested by
    attending physician
    primary care physician; pcp; physician; provider; doctor; consultant; clinician; practitioner
    admitting
    location; patient location; loc; ward; room; bed; unit; department; dept; facility; site
    hospital; clinic
    institution; organization; performing facility; performing site; address; phone; telephone
    tel; fax; email
    date; exam date; date of exam; date of examination; study date; date of study; date of service
    dos
    service date; exam date/time; exam time; time; date/time; date time; procedure date
    visit date; order date
    date of procedure; admission date; admit date; discharge date; collected; received; resulted
    result date
    report date; date of report; reported; date reported; report time; visit number; visit
    encounter; fin; csn
    account; account number; acct; acct no; hospital number; hospital no; nhs number; nhs no; ssn
    insurance
    encounter number; episode; patient class; patient type; status; report status; exam status
    result status
    order status; priority; urgency; page; ris number; study id; uid; study uid; exam number
    study instance uid
    exam id; technologist; tech; performed by; radiographer; technician; ris; chi; chi number; cpi
    unit number
    patient status; reading physician; radiology number; xray number; film number; case number
    case id
    patientin; patienten id; geburtsdatum; geb; geboren; fallnummer; aufnahmedatum
    untersuchungsdatum; datum
    einsender; zuweiser; uberweiser; station; patientenname; nom; prenom; date de naissance; ne le
    nee le; sexe
    prescripteur; medecin; medecin prescripteur; medecin demandeur; date de l'examen; numero
    dossier; service
    paciente; nombre; apellidos; fecha de nacimiento; edad; sexo; fecha; fecha del estudio; medico
    historia no
    medico solicitante; numero de historia; nhc; n historia; centro; paziente; nome; cognome
    data di nascita
    nato il; nata il; eta; sesso; data; data esame; medico richiedente; medico curante; reparto
    provenienza
    patient naam; naam; geboortedatum; geslacht; aanvrager; afdeling; patientnummer
    onderzoeksdatum; huisarts
    data de nascimento; idade; data do exame; medico solicitante; convenio; prontuario
    solicitante; registro
    """.replace("\n", ";").split(";")
    if label.strip()
)
"""What is filled in of a patient, an order and a place. As a heading each holds one line."""

_BY = r"(?:by|on|at|date|time|and|electronically|for)"
SIGNATURE_LABEL = re.compile(
    rf"(?:[*_#\s-]*)(?:(?:electronically|digitally|report|final|preliminary|prelim|dictated|results?)\s+)?"
    rf"(?:and\s+)?(?:dictated|dictating|signed|approved|reviewed|transcribed|typed|verified|authenticated"
    rf"|finali[sz]ed|authori[sz]ed|attested|interpreted|reported|released|edited|validated|e-?signed"
    rf"|read|electronic signature|co-?signed|prepared|created|reporting|interpreting)"
    rf"(?:\s*[/,&]?\s*(?:{_BY}|signed|verified|approved|reviewed|dictated|radiologist|physician|doctor"
    rf"|provider|md|resident|attending|interpreted))*\s*(?:\(.{{0,40}}\))?\s*$"
    r"|(?:[*_#\s-]*)(?:radiologist|attending(?: radiologist)?|resident(?: radiologist)?|fellow"
    r"|signature"
    r"|transcriptionist|transcriber|transcription(?: date| id)?|dictation(?: date| id| time)?"
    r"|consultant radiologist|reporting radiologist|dictator|staff(?: radiologist)?|typist"
    r"|job(?: id| number)?"
    r"|attestation|teaching physician(?: attestation)?|workstation(?: id)?|signed|dict|trans"
    r"|electronic"
    r" signature|report (?:generated|created)|cc|copies to|copy to|verified|final signature"
    r"|e-signature"
    r"|approving physician|reading radiologist|interpreting radiologist|radiology resident"
    r"|freigegeben(?: von)?|unterschrift|gez|oberarzt|oberarztin|chefarzt|facharzt|assistenzarzt"
    r"|arzt"
    r"|signe(?: par)?|valide par|radiologue|firmado(?: por)?|firma|radiologo|medico radiologo"
    r"|validado por"
    r"|firmato(?: da)?|medico refertante|refertato da|radioloog|geautoriseerd(?: door)?|ondertekend"
    r"|assinado(?: por)?|laudado por|medico responsavel|vidiert(?: von)?|befundet(?: von)?)\s*$",
    re.IGNORECASE,
)

_SIGNED = re.compile(
    r"\b(?:electronically|digitally|elektronisch|electroniquement|électroniquement|digitalmente"
    r"|electr[oó]nicamente|elettronicamente|eletronicamente)\s+(?:signed|approved|verified|reviewed"
    r"|authenticated|finali[sz]ed|signiert|signé\w*|freigegeben|firmado|firmato|assinado|ondertekend)"
    r"|\b(?:dictated|transcribed|signed|approved|interpreted|finali[sz]ed|authenticated|verified|read"
    r"|reported|e-?signed|signed off|typed"
    r"|released)\s+(?:and\s+\w+\s+)?(?:electronically\s+)?by\b[ :]"
    r"|\breviewed and (?:signed|approved|electronically)"
    r"|\bI,? (?:have )?(?:the attending|personally|(?:dr\.? )?\w+ \w+, (?:md|m\.d\.)"
    r"|as the teaching)"
    r"|\bI have (?:personally )?(?:reviewed|viewed|examined|interpreted|supervised)\b"
    r"|\bI (?:personally )?(?:reviewed|agree with)\b.{0,80}\b(?:images?|report|stud(?:y|ies)"
    r"|findings|"
    r"interpretation|resident)\b"
    r"|\b(?:dragon|powerscribe|voice recognition|speech recognition|dictation software)\b"
    r"|^\W*(?:end of (?:the )?(?:report|addendum|diagnostic report|impression)|final\W*$"
    r"|confidential\b.*"
    r"|report (?:generated|dictated|finali[sz]ed|signed)\b.*)"
    r"|\b(?:mit freundlichen|hochachtungsvoll|mit kollegialen|gez\.|cordialement|atentamente"
    r"|cordiali saluti|distinti saluti|met vriendelijke groet|atenciosamente|confraternellement)\b"
    r"|^\W*(?:firmado|firmato|assinado|signé|ondertekend|unterzeichnet|freigegeben|vidiert|validado"
    r"|geautoriseerd|laudado|befundet|refertato)\b",
    re.IGNORECASE,
)
_CREDENTIALS = (
    r"(?:M\.?\s?D\.?|D\.?O\.?|MBBS|MBChB|FRCR|FRANZCR|FRCPC|FFRRCSI|Ph\.?D\.?|R\.?A\.?|PA-C|NP|DNB"
    r"|MRCP|DABR|CRM|GMC|Radiologist|Radiologe|Radiologin|Radiologue|Radi[oó]logo|[Rr]adioloog|Radiologa"
    r"|Oberarzt|Oberärztin|Chefarzt|Assistenzarzt|Facharzt|Fachärztin|Resident|Attending|Fellow)"
)
_NAME = r"(?:[A-ZÀ-Ý][\w'.-]{0,20}|_{2,}|\[\*\*[^*]{0,40}\*\*\]|<[A-Z_]+>)"
_PERSON = re.compile(
    rf"^\W*(?:(?:(?i:Dr|Prof|Dott|Dra|Drs|Mr|Ms|Mrs|Dres|Priv|PD)\b\.?(?:ssa)?[ .]*(?:med"
    rf"|Dr)?\.?[ .]*)+"
    rf"(?:{_NAME}[ ,]+){{0,4}}{_NAME}(?:,?\s*{_CREDENTIALS}.{{0,60}})?"
    rf"|(?:{_NAME},?\s+){{1,5}}{_CREDENTIALS}\b.{{0,80}})\W*(?:\d[\d/.:\s-]*(?:[AP]M)?)?\W*$"
    rf"|^\W*(?:MD|DNB|MBBS|DMRD|DMRE|FRCR|MRCP)\b[\w ,.()-]{{0,50}}$"
    rf"|^\W*(?:consultant|attending|staff|chief|diagnostic|reporting)? ?{_CREDENTIALS}\W*$",
)
_LICENCE = re.compile(
    r"^\W*(?:GMC|CRM|NPI|LANR|BIG|RPPS|AHPRA|HPCSA|DEA|(?:Lic|Reg|Matr)\w*\.?)\W*(?:no|nr|number)?\W*"
    r"[\w/-]{0,6}\d[\d ./-]{3,}\w*\W*$",
    re.IGNORECASE,
)
_TYPIST = re.compile(
    r"^\W*(?!(?:PA|AP|LL|LAT|RT|LT)\b)[A-Za-z]{2,4}\s?[/:]\s?(?!(?:PA|AP|LL|LAT|RT|LT)\b)[A-Za-z]{2,4}\W*"
    r"(?:\d.*|[DT]:.*)?$|^\W*(?:D|T|DD|DT|R|V)\s*:\s*\d{1,2}/.*$",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"^\W*(?:(?:mon|tues|wednes|thurs|fri|satur"
    r"|sun)[a-z]*,?\s*)?(?:on\s+)?\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})"
    r"[-/. ,]+\d{2,4}(?:["
    r" T,@at-]+\d{1,2}[:.h]\d{2}(?:[:.]\d{2})?\s*(?:[AaPp]\.?[Mm]\.?)?(?:\s*[A-Z]{2,4})?)?\W*$"
    r"|^\W*(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+\d{1,2},?\s+\d{4}\W*(?:.{0,12})$"
    r"|^\W*\d{1,2}:\d{2}(?::\d{2})?\s*(?:[AaPp]\.?[Mm]\.?)?(?:\s*[A-Z]{2,4})?\W*$",
    re.IGNORECASE,
)
_LETTERHEAD = re.compile(
    r"^.{0,80}\bclip ?(?:#|number).*|^\W*\[\*\*[\d-]+\*\*\]\W*\d{1,2}:\d{2}\s?(?:[AP]M)?\W*$"
    r"|^\W*(?:page \d+(?: of \d+)?|seite \d+.*|radiology (?:report|department|associates"
    r"|consultants|group)\b.*"
    r"|department of (?:diagnostic )?(?:radiology|imaging|medical imaging)\b.*"
    r"|diagnostic imaging(?: report)?"
    r"|(?:diagnostic )?(?:imaging|radiology)(?: (?:report|department|services|center|centre))?"
    r"|x-?ray report|(?:final |medical )?imaging report|institut f[uü]r .{0,40}radiologie.*"
    r"|röntgenbefund"
    r"|service de radiologie.*|servicio de (?:radiolog|diagn).*|afdeling radiologie.*"
    r"|servi[cç]o de (?:radiolog|imag|diagn).*|(?:u\.?o\.?c?\.?|reparto"
    r"|dipartimento) (?:di )?(?:radiolog|diagn).*"
    r"|(?:[\w.'&-]+ ){0,6}(?:hospital|medical cent(?:er|re)|klinikum|krankenhaus|hôpital"
    r"|ziekenhuis|infirmary"
    r"|ospedale|health system|nhs (?:foundation )?trust|universitätsklinik\w*|chu"
    r"|radiology associates"
    r"|imaging cent(?:er|re)|clinic|health cent(?:er|re))(?:[ ,-]+[\w.'-]+){0,5}"
    r"|(?:tel|phone|fax|telephone|telefon)\b[\s.:]*\+?[\d ()-]{6,}.*"
    r"|\*+ ?(?:final|end of|preliminary|signed)[^*]{0,40}\*+|(?:MSH|PID|PV1|ORC|OBR|EVN|SPM|TXA"
    r"|ZDS)\|.*)\W*$",
    re.IGNORECASE,
)
_PATIENT = re.compile(
    r"\b(?i:MRN|DOB|D\.O\.B|date of birth|birth date|geb(?:oren)?\.? (?:am )?|née? le|accession"
    r"|(?:medical record|accession|NHS|hospital) (?:no|number|#)|patient (?:name|id))\b\W{0,4}"
    r"(?:[A-Za-z]{0,4}\d|[A-Z]{2}|[A-Z][a-z]+,|[_<\[*])"
)
_LAST_FIRST = re.compile(r"^\W*[A-ZÀ-Ý][A-ZÀ-Ý'-]+,\s?[A-ZÀ-Ý][A-Za-zÀ-ÿ'-]+(?:\s[A-Z]\.?)?\W*$")


def particulars_of(line: str) -> str | None:
    """``signature`` or ``header`` where the whole line is about people and paper, else None."""
    if not any(char.isalnum() for char in line):
        return None
    if _LETTERHEAD.match(line):
        return "header"
    if _PATIENT.search(line):
        return "header"
    found = _SIGNED.search(line)
    if found and not line[: found.start()].strip(" \t*_#-=()[]|/\\.,"):
        return "signature"
    if len(line) <= 120 and _PERSON.match(line):
        return "signature"
    if _TYPIST.match(line) or _LICENCE.match(line):
        return "signature"
    return "date" if _DATE.match(line) else None


def is_name(line: str) -> bool:
    """``ROE, JANE``: a patient's name where it stands among other such lines."""
    return _LAST_FIRST.match(line) is not None


def signature_in(line: str) -> int | None:
    """Where a signature begins after other words of the line; None without one."""
    found = _SIGNED.search(line)
    if found is None or not line[: found.start()].strip():
        return None
    before = line[: found.start()].rstrip(" \t*_#-=([|/\\")
    return found.start() if before[-1:] in ".!?:;\"'" or found[0][:1].isupper() else None
