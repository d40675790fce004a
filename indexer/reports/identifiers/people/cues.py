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
    matron cdr cmdr ldr brig pte pvt cpt insp col sgt cpl maj capt lieutenant reverend rabbi
    father-in-law
    δρ κος κα κυρία κύριος г-н г-жа гн гжа др доц проф пан пані пані́
    alhaji alhaja hajia hajiya mallam malam mama baba mzee bwana bibi sheikh sheikha haji hajah
    tuan datin begum sri sardar thiru selvi fräulein mx sor ustaz sultan tengku tunku encik cik
    nurs bapa pak bu mbak nyonya khun datuk moulana maulana syed
    leg lek dra. exmo exma ilmo ilma don doña doc mudr. medr
    """
)
"""A title makes a name of any word behind it but a few ("Dr. May")."""
WEAK_TITLES = _words("mr ms m lt fr sr pr sir lord rev pd d dª phd med medi univ mgr ing")
"""Titles that are also abbreviations (MR, MS, M. for morbus): no eponym or common word follows."""
SIGNED = _words(
    """
    signed dictated approved verified reported transcribed interpreted finalized signé signée validé
    checked rpt'd rptd rep'd final prelim preliminary
    validée gez firmado firmada firmato refertato diktiert vidiert signerat undertecknat ondertekend
    assinado podpisano popsal popsala opisał opisała sgd
    """
)
"""Behind these the name of a person stands, with or without "by"."""
SUBJECTS = _words(
    """
    patient pt patientin paziente paciente patiente patiënt patiënte pacjent pacjentka pacient
    pacientka potilas pasient beteg pacjenta pacjentki pacjentce pacjentem pacjentowi pacjentkę
    pacjentką pacienta pacienti pacientky pacientce pacientku pacientem pacientky pacientei
    pacientului pacijenta pacijentice pacijentu pacijentici bolesnik bolesnica bolesnika bolesnice
    bolnik bolnica bolnika bolnice pacientës patientens pasienten patienten pasientens potilaan
    betegnek patientin patiënten paciento pacientės хворий хвора хворого хворої больного больной
    пациента пациентки пациенту пациентке пациенткой пацієнта пацієнтки пацієнтці пацієнту
    ασθενούς ασθενή hastanın hastamız hastamızın hasta пациент пациентка пацієнт пацієнтка больной
    больная
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
    doktor doktoru hekim ακτινολόγος
    врач врача врачом врачу лікар ιατρός dokter dokternya ärztin arzt
    chief master pastor constable officer engr mo rmo jmo smo cmo dmo ho rn srn sn lpn lvn cna hca
    en
    aprn fnp msn physio physiotherapist dietitian dietician orderly porter clerk locum counsellor
    phlebotomist healthcare-assistant matron housekeeper warden captain sergeant inspector
    assistenzärztin assistenzarzt dienstarzt dienstärztin stationsarzt stationsärztin
    stationsschwester oberschwester krankenschwester krankenpfleger pflegerin pflegekraft
    pflegefachfrau pflegefachmann rettungssanitäter notarzt notärztin hebamme mta mtra mtr
    interne externe aide-soignant aide-soignante sage-femme kinésithérapeute manipulateur
    manipulatrice cadre secrétaire brancardier urgentiste réanimateur pneumologue
    residente enfermeiro técnico técnica tecnico tecnica tecnólogo tecnóloga auxiliar matrona
    celador fisioterapeuta neumólogo neumóloga internista infermiere ostetrica caposala
    specializzando specializzanda pneumologo verpleger verpleegster assistent co-assistent
    laborant laborante laborantka pielęgniarz pielęgniarki pielęgniarce pielęgniarką technik
    elektroradiolog ratownik fizjoterapeuta położna rezydent stażysta dyżurny sestra sestře
    zdravotní sanitář överläkare underläkare distriktsläkare st-läkare undersköterska
    röntgensjuksköterska barnmorska overlege turnuslege sykepleier radiograf overlæge
    sygeplejerske reservelæge sairaanhoitaja röntgenhoitaja hoitaja ápoló ápolónő nővér asistent
    asistentă asistenta hemşiresi asistan teknisyen медсестра медсестре медсестрой фельдшер
    рентгенолог рентгенолога рентгенлаборант лаборант медбрат санитар медсестрі perawat bidan
    infirmière infirmier enfermera enfermero enfermeira infermiera verpleegkundige zuweiser
    pielęgniarka sjuksköterska pfleger schwester hemşire np crna pa-c doktora
    """
)
RELATIVES = _words(
    """
    flatmate housemate colleague coworker co-worker cellmate landlord landlady godmother godfather
    grandma grandpa granny widow widower fiance fiancee half-brother half-sister foster-mother
    interpreter translator chaperone b/o chaplain bystander lodger tenant tutor classmate sitter
    volunteer
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
GROUPS = _words("team staff crew nurses doctors physicians parents family residents relatives")
"""Those whose members stand in brackets ("nursing staff (Rosa and Tom)")."""
PATIENTS = SUBJECTS | _words(
    """
    patient pt patientin paziente paciente patiënt patiënte pacjent pacjentka pacjenta pacient
    pacientka potilas pasient pasienten patienten beteg hasta hastanın пациент пациентка пациента
    пациентки пацієнт пацієнтка больной больная ασθενής ασθενούς pacijent pacijentica bolnik
    pasien patsient pacientas pacients client resident bestemor nhân boy girl baby infant twin
    neonate of on named called über für von betreffend betr re regarding concerning for d'origine
    identified
    named nommé nommée llamado llamada chiamato chiamata genannt heet
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
    r"|submitt|addend|amend|correct|answer|accept|receiv|plac|insert|reposition|pull|remov|adjust"
    r"|interview|translat|interpret|witness|held|consent|chaperon|escort|found|administ|opinion"
    r"|comment|note|letter|request|given|taken|spoken|collect|intubat|sedat|advanc|withdrawn"
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
    r"|note|memo|letter|copy|copied|reminder|messag\w*|faxed|texted|alerted|advised|conferred"
    r"|reviewed|consulted|provided|transmitted"
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
    messaged emailed bleeped beeped rung rang asked thanked reminded warned named messaged
    verständigt benachrichtigt avisado avisada avisé prévenu prévenue avvisato avvisata attn
    attention informing notifying
    """
)
OF_STUDY = re.compile(
    r"\b(?:films?|x-?rays?|radiographs?|cxrs?|chest|images?|reports?|study|studies|requests?"
    r"|results?"
    r"|look|care|thank you|referral)\b(?: \w+){0,3}? (?:of|for|on|about|regarding|re) $",
    re.IGNORECASE,
)
"""What stands before the name of the patient whose study it is ("film today for ...")."""
