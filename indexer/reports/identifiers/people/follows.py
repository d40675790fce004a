"""What stands behind a word with a capital: an age, a degree, "was notified", "'s film"."""

import re

AFTER_TOLD = re.compile(
    r"(?:,? (?:was|were|is|has been|had been|wurde|a été|fue|è stat[oa]|werd|foi) (?:\w+ )?"
    r"(?:notified|informed|paged|called|contacted|told|aware|made aware|alerted|phoned|advised"
    r"|updated|consulted|reached|bleeped|rung|texted|emailed|faxed|messaged|informiert"
    r"|verständigt|benachrichtigt|informée?|prévenue?|avertie?"
    r"|informad[oa]|avisad[oa]|informat[oa]|avvisat[oa]|geïnformeerd|ingelicht)\b"
    r"|,? (?:who )?(?:answered|replied|responded by|took the (?:call|message)|(?:phoned|called"
    r"|rang) back"
    r"|telephoned|(?:has )?(?:asked|asks) (?:whether|if|for|that|us|me|to)|thinks (?:that|she|he"
    r"|it)"
    r"|wants|wondered|wonders|would like|will (?:pass|review|tell|inform|arrange|see|call|ring"
    r"|attend"
    r"|come|tap|insert|remove|adjust)|knows|repeated the|relayed|promised|has been told)\b"
    r"|(?:['’]s)?(?: team)? (?:informed|notified|alerted)\b(?! of the (?:need|plan))"
    r"|,? (?:on|at|via|\()? ?\[\*\*tele"
    r"| (?:acknowledge[ds]|verbalized|confirmed receipt|agrees|agreed|read back|concurs|concurred"
    r"|aware\b|repeated back|personally|informiert|prévenue?|understood|accepted the))",
    re.IGNORECASE,
)
"""What follows a person who was told."""
AFTER_PERSON = re.compile(
    r"(?: [sd]/o\b| (?:reporting|dictating|covering|signing) (?:for|on|off)\b"
    r"|,? (?:who )?(?:presents? (?:with|to|for|today|after)|presented|complains|complained"
    r"|denies|denied|underwent|fell|tripped|slipped|coughed|smokes|smoked|vomited|collapsed"
    r"|has (?:a )?(?:history|known|had|been)|had a|could not|was (?:admitted|seen|examined"
    r"|taken|sent|x-rayed|moved|sedated|found (?:on|by|at|in bed)|in bed|too (?:ill|unwell"
    r"|breathless)"
    r"|discharged|scanned|imaged|brought|rotated|unable|intubated|born|referred|transferred)"
    r"|is (?:now |nearly )?(?:9\d|1[01]\d|[1-8]\d(?=,? (?:and|years)))(?![\w%.]| ?(?:mm|cm))"
    r"|swallowed|inhaled|choked|came (?:in|to|by|with)|is breathless|went (?:home|to)|walked"
    r"|arrived|attended|seen (?:in|by|at|on)"
    r"|(?:is|was|will be) (?:seen|reviewed|examined) (?:again|in|by|at)|needs|no longer"
    r"|states that|reports that|is (?:a|an) (?:known|smoker|retired|former|\d)|lives|works|stellt"
    r"|klagt|présente|refiere|presenta|lamenta|heeft)\b)",
    re.IGNORECASE,
)
"""What a person does; no organ does."""
IS_STAFF = re.compile(
    r",? (?:the|our|his|her|a|an) (?:[\w-]{2,15} ){0,2}(?:nurse|doctor|registrar|resident|surgeon"
    r"|radiographer|physio|physiotherapist|technologist|midwife|consultant|pharmacist|therapist"
    r"|secretary|clerk|paramedic|carer|houseman|intern|fellow)\b",
    re.IGNORECASE,
)
"""What says that a person is of the staff ("Elspeth, the stoma nurse")."""
OWNED = re.compile(
    r" (?:(?:own|old|last|latest|new|first|second|repeat|previous|portable|mobile|chest|PA|AP"
    r"|akciğer"
    r"|toraks) ){0,3}"
    r"(?:films?|x-?rays?|radiographs?|cxrs?|scans?|images?|reports?|chest|lungs|ribs|daughter|son"
    r"|mother|father|mum|mom|dad|husband|wife|family|sister|brother|next of kin|notes|chart"
    r"|records?"
    r"|results?|bed|bedside|room|address|birthday|doctor|nurse|gp|name|request|referral|message"
    r"|question|opinion|kind referral|grafi\w*|akciğer|röntgen\w*|film\w*|mri|ct)\b",
    re.IGNORECASE,
)
"""What only a person has, behind the genitive of a name ("Wanjiru's film")."""
HONORIFIC = re.compile(
    r"[ -](?:sensei|sama|san|ji|sahib|saheb|sahab|garu|hanım|hanim|bey|bhai|behen|ssi|nim"
    r"|seonsaengnim|xiansheng|nüshi|taitai|hocam|hoca)(?![\w])"
)
"""What follows a name as a title in Japanese, Hindi, Turkish, Korean ..."""
_NUMBERED = r"\[\*\*(?:date of birth|number|age)"
AFTER_HEADER = re.compile(
    r"(?:['’]s)?[ \t]{0,3}[,;|(/\[-]{0,2}[ \t]{0,3}(?:(?:is|was|ist|est|es|è),? )?"
    r"(?:(?:an?|eine?|une?|una?|aged?|age:?|il|m|f|male|female|sex:? ?[mf])[ ,/]{1,2}){0,3}"
    rf"(?:{_NUMBERED}|\[\*\*date\*\*\] ?\)|(?:DOB|D\.O\.B|MRN|MR#|NHS|UHID|CHI|SSN|born|geb\b"
    rf"|née? le|nat[oa] |"
    r"nacid[oa] |nascid[oa] |ur\. |nar\. |szül|sz\. |р\. |[MF] ?\||född|født|f\. ?\d|\* ?\d)"
    r"|\[\*\*place|(?:rm|room|bed|ward)\b ?[:#]?\d"
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
