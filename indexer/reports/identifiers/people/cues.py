"""Words beside which a word with a capital is a name: titles, roles, verbs, relatives, degrees."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in text.split())


TITLES = _words(
    """
    dr drs dra mrs miss mister prof professor professore professeur profesor doctor doctors
    nurse dott dottssa dottor dottore dottoressa drssa sig sigra sigrina signor signora signore
    herr herrn hr frau mevr mevrouw mw meneer dhr sra srta señor señora señorita monsieur
    madame mme mlle mlles messrs docteur docteure doctora doutor doutora senhor senhora
    kollege kollegin kollegen oberarzt oberärztin chefarzt chefärztin assistenzarzt oa oä
    mudr mddr mvdr phdr pan pani paní panu panią slečna bayan sayın uzm doç
    bs ông bà anh chị tn ny nn bapak ibu sdr puan encik dato datuk shri smt kumari
    matron col sgt cpl maj capt lieutenant reverend rabbi father-in-law
    δρ κος κα κυρία κύριος г-н г-жа гн гжа др доц проф пан пані пані́
    leg lek dra. exmo exma ilmo ilma don doña doc mudr. medr
    """
)
"""A title makes a name of any word behind it but a few ("Dr. May")."""
WEAK_TITLES = _words("mr ms m fr sr pr sir lord rev pd d dª phd med medi univ mgr ing")
"""Titles that are also abbreviations (MR, MS, M. for morbus): no eponym or common word follows."""
SIGNED = _words(
    """
    signed dictated approved verified reported transcribed interpreted finalized signé signée validé
    validée gez firmado firmada firmato refertato diktiert vidiert signerat undertecknat ondertekend
    assinado podpisano popsal popsala opisał opisała sgd
    """
)
"""Behind these the name of a person stands, with or without "by"."""
SUBJECTS = _words(
    """
    patient pt patientin paziente paciente patiente patiënt patiënte pacjent pacjentka pacient
    pacientka potilas pasient beteg hasta пациент пациентка пацієнт пацієнтка больной больная
    ασθενής pacijent pasien client veteran inmate
    """
)
"""Words for a patient, behind which a given name alone is one."""
ROLES = _words(
    """
    physician doctor provider radiologist resident attending clinician consultant surgeon
    technologist technician tech radiographer registrar fellow sonographer hospitalist intensivist
    pulmonologist cardiologist oncologist urologist neurologist nephrologist pathologist
    anesthesiologist practitioner gp pcp intern transcriptionist secretary typist operator
    paramedic midwife therapist pharmacist neurosurgeon pediatrician paediatrician houseman sho
    hausarzt hausärztin radiologe radiologin médecin medecin radiologue médico médica medico
    radiólogo radióloga radiologo radiologa huisarts radioloog arts collega colleague lekarz
    lekarka radiolog lékař lékařka läkare läkaren læge lægen lege legen lääkäri orvos medic
    doktor doktoru hekim врач врача врачом врачу лікар ιατρός dokter dokternya ärztin arzt
    infirmière infirmier enfermera enfermero enfermeira infermiera verpleegkundige zuweiser
    pielęgniarka sjuksköterska pfleger schwester hemşire np crna pa-c doktora
    """
)
RELATIVES = _words(
    """
    husband wife son daughter mother father brother sister spouse partner aunt uncle niece nephew
    grandson granddaughter grandmother grandfather guardian caregiver carer friend neighbor
    neighbour mom dad mum stepmother stepfather fiancé fiancée s/o d/o w/o c/o girlfriend
    boyfriend son-in-law daughter-in-law roommate cousin
    ehefrau ehemann tochter sohn mutter vater schwester bruder betreuer betreuerin lebensgefährtin
    lebensgefährte nichte neffe enkel enkelin épouse époux fille fils mère père sœur soeur frère
    hija hijo esposa esposo madre padre hermana hermano marido mujer moglie marito figlia figlio
    sorella fratello nuora genero dochter zoon echtgenoot echtgenote zus broer filha filho mãe pai
    irmã irmão esposa żona mąż córka syn matka жена муж дочь сын мать отец eşi oğlu kızı
    hustru fru make dotter datter sønn son mor far
    """
)
PATIENTS = _words(
    """
    patient pt patientin paziente paciente patiënt patiënte pacjent pacjentka pacjenta pacient
    pacientka potilas pasient pasienten patienten beteg hasta hastanın пациент пациентка пациента
    пациентки пацієнт пацієнтка больной больная ασθενής ασθενούς pacijent pacijentica bolnik
    pasien patsient pacientas pacients client resident bestemor nhân boy girl baby infant twin
    neonate of on named called über für von betreffend betr re regarding concerning for d'origine
    identified
    """
)
"""Behind these a full name stands, with a given name or in the form SURNAME Given."""
SALUTATIONS = _words(
    """
    dear hi hello hallo regards sincerely thanks cheers yours faithfully wishes liebe lieber
    werte werter geehrte geehrter kollege cher chère chers bonjour cordialement estimado estimada
    querido querida atentamente saludos caro cara gentile egregio cordiali saluti beste geachte
    groet groeten prezado prezada atenciosamente szanowny szanowna kära hej kære hei kjære mfg
    lg vriendelijke уважаемый уважаемая saygılarımla sayın
    """
)
BY = _words("by von durch par por da door przez af av pelo pela dal dalla dallo av. а by:")
BY_VERBS = re.compile(
    r"\b(?:final|prelim|draft|wet read|dictat|sign|approv|review|transcrib|verif|authentic|finali"
    r"|authori|interpret|report"
    r"|releas|perform|request|order|refer|edit|validat|prepar|creat|typed|attest|confirm|acknowl"
    r"|co-?sign|e-?sign|scann|overread|read|seen|written|examin|acquir|supervis|check|entered"
    r"|submitt|agreed|attended|brought|accompan|complet|generat|discuss|communicat|notif|call"
    r"|befund|vidier|freigeg|unterz|unterschr|diktier|geschrieb|überw|zugew|erstellt|untersucht"
    r"|signé|validé|dict|adress|relu|rédig|interprét|demand|réalis|prescri|effectu"
    r"|firmad|validad|informad|realizad|solicitad|dictad|remitid|revisad|elaborad"
    r"|firmat|refertat|richiest|eseguit|inviat|dettat|ondertek|geautor|verslag|aangevr|beoord"
    r"|assinad|laudad|encaminhad|revisad|opisan|zlecon|wykonan|skierow|beskrevet|granskat|signerat"
    r"|popsal|tarafından)\w*[^.;\n]{0,40}$",
    re.IGNORECASE,
)
"""What stands before "by" where a name follows."""
LINKS = _words(
    """
    with to by that w/ w mit an avec à au con a al alla ao à com met aan to: med til z с з ile
    """
)
TELL = re.compile(
    r"\b(?:discuss\w*|communicat\w*|convey\w*|relay\w*|report(?:ed)?|call(?:ed)?|phoned|telephoned"
    r"|paged|notif\w*|inform\w*|told|spoke|spoken|given|delivered|acknowledged|contact\w*"
    r"|messag\w*|faxed|texted|alerted|advised|conferred|reviewed|consulted|provided|transmitted"
    r"|sent|verbalized|confirmed|emailed|e-mailed|agree[ds]?|shown|passed|handed|talk\w*|left"
    r"|escalated|obtained|consult|correspondence|dw|d/w"
    r"|besprochen|rücksprache|mitgeteilt|telefonisch|telefon\w*|abgesprochen|demonstriert"
    r"|communiqué\w*|discuté\w*|transmis\w*|vu|avis|comunicad[oa]|comentad[oa]|comunica|discusso"
    r"|comunicato|concordato|besproken|doorgebeld|overleg\w*|overlegd|discutido|informad[oa]"
    r"|omówion\w*|skonsultowan\w*|diskuterat|diskuteret|konfereret|konsultovan\w*|обсужден\w*"
    r"|сообщен\w*|görüşüldü)\b[^.;\n]{0,70}$",
    re.IGNORECASE,
)
"""What stands before "with" or "to" where a person was told."""
FROM = re.compile(
    r"\b(?:history|information|consent|call|message|report)\b[^.;\n]{0,40}$", re.IGNORECASE
)
"""What stands before "from" where a person follows."""
DIRECT = _words(
    """
    paged informed notified called phoned telephoned told contacted alerted texted advised
    messaged emailed bleeped beeped attn attention informing notifying
    """
)
AFTER_TOLD = re.compile(
    r"(?:,? (?:was|were|is|has been|had been|wurde|a été|fue|è stat[oa]|werd|foi) (?:\w+ )?"
    r"(?:notified|informed|paged|called|contacted|told|aware|made aware|alerted|phoned|advised"
    r"|updated|consulted|informiert|verständigt|benachrichtigt|informée?|prévenue?|avertie?"
    r"|informad[oa]|avisad[oa]|informat[oa]|avvisat[oa]|geïnformeerd|ingelicht)\b"
    r"| (?:acknowledge[ds]|verbalized|confirmed receipt|agrees|agreed|read back|concurs|concurred"
    r"|aware\b|repeated back|personally|informiert|prévenue?|understood|accepted the))",
    re.IGNORECASE,
)
"""What follows a person who was told."""
AFTER_PERSON = re.compile(
    r"(?:,? (?:who )?(?:presents? (?:with|to|for|today|after)|presented|complains|complained"
    r"|denies|denied|underwent|fell|tripped|slipped|coughed|smokes|smoked|vomited|collapsed"
    r"|has (?:a )?(?:history|known|had|been)|had a|could not|was (?:admitted|seen|examined"
    r"|discharged|scanned|imaged|brought|rotated|unable|intubated|born|referred|transferred)"
    r"|states that|reports that|is (?:a|an) (?:known|smoker|retired|former)|lives|works|stellt"
    r"|klagt|présente|refiere|presenta|lamenta|heeft)\b)",
    re.IGNORECASE,
)
"""What a person does; no organ does."""
_NUMBERED = r"\[\*\*(?:date of birth|number|age)"
AFTER_HEADER = re.compile(
    r"(?:['’]s)?[ \t]{0,3}[,;|(/\[-]{0,2}[ \t]{0,3}(?:(?:is|was|ist|est|es|è),? )?"
    r"(?:(?:an?|eine?|une?|una?|aged?|age:?|il|m|f|male|female|sex:? ?[mf])[ ,/]{1,2}){0,3}"
    rf"(?:{_NUMBERED}|\[\*\*date\*\*\] ?\)|(?:DOB|D\.O\.B|MRN|MR#|NHS|UHID|CHI|SSN|born|geb\b"
    rf"|née? le|nat[oa] |"
    r"nacid[oa] |nascid[oa] |ur\. |nar\. |szül|sz\. |р\. |[MF] ?\||född|født|f\. ?\d|\* ?\d)"
    r"|\d{1,3}(?:[ -]?(?:years?|yrs?|y)[ -]?(?:old|o\b)?|[ -]?y[./]?o\b|[ -]?jährig\w*| ans\b"
    r"| años\b| anni\b| jaar\b| anos\b| lat\b| лет\b| год\w*\b| år\b|[ /]?[MFmfKW]\b| Jahre\b)"
    r"|(?:19|20)\d\d ?(?:г\.? ?р|р\. ?н|m\.)|\d{1,3} tuổi|\d{1,3} th\b"
    r"|[MFmf]\b[ ,/]{0,2}(?:\d{1,3}\b|\[\*\*)|(?:male|female)\b[, ])",
    re.IGNORECASE,
)
"""What follows the name of a patient: an age, a sex, a number, a date of birth."""
DEGREE = re.compile(
    r"(?P<comma>,?)[ ]{1,2}\(?(?:M\.? ?D\.?|D\.O\.|(?P<weak>DO|RN|NP|PA|RT|SP|BS|LT|OD|Jr\.?|Sr\."
    r"|III)|MBBS|MBBCh"
    r"|MBChB|BMBS|MB ?BS|FRCR|FRANZCR|FRCPC?|FACR|FACC|FACS|MRCP|MRCS|FRCS|FFRRCSI|R\.N\.|CRNP"
    r"|APRN|ARNP|PA-C|P\.A\.|LPN|BSN|MSN|Ph\.?D\.?|R\.?T\.?(?: ?\([RCTM)(]{1,6}\))|RRA|ARRT|MPH"
    r"|DNP|RPA|CNP|FNP|DABR|DMRD|DNB|DMRE|CCRN|FCCP|RDMS|Esq\.?|Sp\.? ?Rad"
    r"|Facharzt|Fachärztin|radiologue|radiólog[oa]|radiolog[oa]|radioloog|radiologist"
    r"|(?:consultant|attending|resident|specialist) radiologist|PGY-?\d|R[1-5]\b)(?![\w])"
)
"""What follows the name of a person of the staff."""
THING = re.compile(
    r"(?:['’]s?)?[ -](?:(?!(?:with|and|for|has|had|of|in|is|was|to|on|at|the|by|no|from|who"
    r"|or)\b)[\w-]{2,15} ){0,2}?"
    r"(?:disease|syndrome|sequence|signs?|lines?|fractures?"
    r"|catheters?|tubes?|drains?|valves?|lesions?|deformity|hernia|shunt|procedure|operation|repair"
    r"|views?|projection|nodes?|nodules?|murmur|classification|criteria|scores?|index|rule|scale"
    r"|technique|filters?|rods?|bars?|stents?|devices?|wires?|pins?|plates?|anomaly|tumou?rs?"
    r"|lymphoma|sarcoma|complex|focus|foci|rings?|angle|hump|prosthesis|flap|position|method|grade"
    r"|type|cells?|body|bodies|lobes?|space|triangle|canals?|ligament|muscle|sling|splint|bandage"
    r"|pacemakers?|icd|lead|leads|valvuloplasty|generator|port|graft|endograft|occluder|coil|pump"
    r"|tracheostomy|clips?|cannula|arthritis|thyroiditis|arteritis|kyphosis|arthropathy|palsy"
    r"|phenomenon|contracture|cyst|neuroma|crisis|stain|virus|bacillus|test|trial|study|criterion"
    r"|curve|units?|staging|stage|model|system|guidelines?|protocol|manual|atlas|textbook|journal"
    r"|society|university|foundation|registry|reaction|effect|law|formula|equation|equivalent"
    r"|maneuver|manoeuvre|approach|incision|anastomosis|maze|switch|baffle|conduit|circulation"
    r"|physiology|heart|aneurysm|diverticulum|foramen|pouch|limb|loop|reservoir|chain|pattern"
    r"|purpura|vasculitis|chorea|ataxia|dystrophy|anemia|hemoglobin|instrumentation|struts?"
    r"|screws?|cage|hardware|cuff|collar|brace|cast|traction|nail|\w{2,20}(?:ectomy|otomy|ostomy"
    r"|plasty|plication|pexy|oma|itis|osis|emia|pathy|graphy|gram))\b",
    re.IGNORECASE,
)
"""What an eponym is followed by."""
