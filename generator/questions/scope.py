"""What a question is about: the X-ray, or something that an X-ray does not answer.

declined("What is the capital of France?")      # "This answers questions about the chest X-ray ..."
declined("Is there an effusion?")               # None

Each rule declines in one sentence. The rules read words, not meaning: a question that uses none of
the words of a chest X-ray is taken to be about something else.
"""

import re

from db.findings import ALL_FINDINGS
from db.labels import OBSERVATIONS

_I = re.IGNORECASE

OFF_TOPIC = "This answers questions about the findings of the chest X-ray only."
_GENERAL = "This describes the chest X-ray and does not answer questions of general knowledge."
_TREATMENT = "This describes the chest X-ray and gives no advice on treatment."
_FOLLOW_UP = "This describes the chest X-ray and gives no advice on follow-up or further tests."
_PROGNOSIS = "A chest X-ray does not say how the illness will go on."
_PATIENT = "The pixels of a chest X-ray do not say who the patient is or how the patient feels."
_EARLIER = "There is no earlier image to compare with."
_CAUSE = "The cause cannot be told from the chest X-ray alone."
_NOT_SHOWN = "A chest X-ray does not measure or show this."
_OTHER_PART = "A chest X-ray does not show this part of the body."
_QUALITY = "Exposure, position and quality of the image are not assessed."

RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"\b(?:ignore|disregard|forget) (?:all |your |the |any )*(?:previous|prior|above"
            r"|earlier"
            r"|instructions?|rules?)|\bsystem prompt|\byour (?:name|instructions?|rules?|prompt)\b"
            r"|\bare you (?:an?|able|human|real|sure|chatgpt)\b|\bwho (?:made|built|are) you\b"
            r"|\b(?:poem|joke|song|essay|story|recipe|haiku|limerick)\b|\btranslat"
            r"|\b(?:python|javascript|sql|html|code|function|program)\b|\bspell\b|\brhyme",
            _I,
        ),
        OFF_TOPIC,
    ),
    (
        re.compile(
            r"\btreat(?:ed|ment|ments|able|ing)?\b|\btherap|\bmedic(?:ation|ine|ations|ines)\b"
            r"|\bdrugs?\b|\bdos(?:e|es|age|ing)\b|\bantibiotic|\bdiuretic|\bsteroid|\bpills?\b"
            r"|\bprescri|(?<!had )(?<!prior )(?<!previous )(?<!of )\bsurgery\b|\boperat(?:e|ed"
            r"|ion)\b|\bmanage(?:d|ment)?\b|\bdrain(?:ed|age)"
            r"(?! (?:tube|catheter)) (?:it|this|the)|\b(?:should|could|must|need to|needs to)"
            r" (?:\w+ )"
            r"{0,4}?(?:be drained|be intubated|be removed|be admitted|be hospitali[sz]ed|be given"
            r"|be placed|be started|take|receive|get|use|start|stop|do about|go home|admit|intubate"
            r"|discharge)\b|\bthoracentesis\b|\bchemotherapy|\binhaler|\boxygen\b|\bvaccin"
            r"|\bcure[ds]?\b|\bhow (?:do|can|should|would) (?:i|we|you|one) (?:fix|heal|help|stop"
            r"|get "
            r"rid)|\bhospitali[sz]|\bdischarged?\b(?! from)|\bsafe to\b|\bfit (?:for|to)\b"
            r"|\b(?:exercise|diet|smoking cessation|fly|flight|travel)\b",
            _I,
        ),
        _TREATMENT,
    ),
    (
        re.compile(
            r"\bfollow[\s-]?ups?\b|\badvi[sc]e|\brepeat(?:ed)?\b|\bfurther (?:imaging|tests?"
            r"|testing"
            r"|work)|\b(?:ct|mri|pet|ultrasound|echo\w*|biopsy|tests?)\b.*\b(?:ordered|needed|done"
            r"|obtained|performed|required)\b|\bshould\b"
            r"|\bnext "
            r"(?:step|exam|test|image|scan|x-?ray|appointment)|\bwork-?up\b|\brecommend|\bbiops"
            r"|\bbronchoscop|\b(?:order|schedule|get|need|needed|needs|require[sd]?|warrant\w*"
            r"|indicated)"
            r" (?:an? |another |any |more |the )*(?:ct|mri|pet|ultrasound|echo\w*|scan|test|tests"
            r"|biopsy"
            r"|blood|x-?ray|imaging)|\bshould (?:i|we|the patient|he|she|they|you)\b|\bcome back\b"
            r"|\bsee a (?:doctor|specialist)|\brefer(?:red|ral)?\b|\bscreen(?:ed|ing)\b"
            r"|\bwhat (?:test|procedure|exam)",
            _I,
        ),
        _FOLLOW_UP,
    ),
    (
        re.compile(
            r"\bprognos|\bsurviv|\blife expectancy|\bhow long\b|\bwill (?:i|he|she|they|the patient"
            r"|it|this|these)\b|\bgoing to (?:die|recover|live|get)|\bdie\b|\bdeath\b|\bfatal\b"
            r"|\brecover|\bcontagious|\binfectious\b|\bdangerous\b|\blife[\s-]?threatening"
            r"|\bhow (?:serious|worried|urgent)|\bemergency\b|\bodds\b|\bchances? of\b|\brisk\b",
            _I,
        ),
        _PROGNOSIS,
    ),
    (
        re.compile(
            r"\b(?:chang(?:e|ed|es|ing)|progress\w*|improv\w*|worse\w*|better|larger|smaller"
            r"|increas\w*"
            r"|decreas\w*|grown|growing|stable|resolv\w*|new)\b(?=.*\b(?:since|than|compared|from"
            r"|last"
            r"|prior|previous|before|earlier|yesterday|ago)\b)|\bcompar\w+ (?:to"
            r"|with)\b.*\b(?:last|prior"
            r"|previous|earlier|old)|\b(?:prior|previous|earlier|last|old) (?:image|study|film"
            r"|x-?ray"
            r"|exam|radiograph|scan)|\binterval change|\bsince (?:the )?(?:last|prior|previous)"
            r"|\b(?:has|have) (?:it|this|the \w+(?: \w+)?) (?:changed|worsened|improved|grown"
            r"|progressed"
            r"|resolved|increased|decreased)|\bgetting (?:worse|better|larger|smaller)",
            _I,
        ),
        _EARLIER,
    ),
    (
        re.compile(
            r"\bhow old\b|\b(?:patient(?:'s)?|person(?:'s)?|his|her|their|whose|my) (?:\w+"
            r" )?(?:age|sex"
            r"|gender|name|weight|height|race|ethnicity|birth\w*|job|occupation|address|blood"
            r" pressure"
            r"|temperature|heart rate|insurance|diet|mood|symptoms?|history|complaints?|religion)"
            r"|\b(?:age|sex|gender|name|weight|race|identity) of (?:the|this) (?:patient|person)"
            r"|\b(?:male|female|man|woman|boy|girl|pregnant)\b|\b(?:a |the )?smok(?:er|es|ed|ing)\b"
            r"|\bsymptoms?\b|\bfever|\bcough|\bfeel(?:s|ing)?\b|\bin pain\b|\bpainful|\ballerg"
            r"|\bwho is (?:the|this) (?:patient|person)|\bwhen was (?:this|the) (?:image|x-?ray"
            r"|film|"
            r"study|radiograph)|\bwhat (?:day|date|time)\b|\bwhich hospital|\bwhere was (?:this"
            r"|the)",
            _I,
        ),
        _PATIENT,
    ),
    (
        re.compile(
            r"^\W*(?:what is|what's|what are|define|explain)(?: meant by| a| an| the meaning of)?"
            r" (?:term )?(?!(?:the|this|that|these|those|seen|shown|visible|abnormal|wrong|there"
            r"|present|on|in|your|some|any|going|happening|noted|found|located|heart|cardiac"
            r"|his|her|their)\b)[a-z -]+\??$"
            r"|\bwhat does (?:a |an |the )?(?:\w+ )?(?:\w+ )?mean\b|\bmeaning of\b|\bdefin(?:e"
            r"|ition)\b"
            r"|\bexplain (?:how|why|what)|\bhow (?:do|does|did|can) (?:you|one|we|doctors"
            r"|radiologists|"
            r"an?|the|x-?rays?|lungs?|hearts?) (?:[\w-]+ ){0,4}?(?:work|determine|diagnos\w+"
            r"|measure"
            r"|tell"
            r"|develop|form|happen|function|pump|breathe)|\bwho (?:discovered|invented|was|wrote"
            r"|won)"
            r"|\bhow (?:common|frequent|rare|many people|many patients|much does|expensive)\b"
            r"|\bwhat percent|\bcosts?\b|\bprice\b|\bhow (?:do|can) i (?:become|learn|read)"
            r"|\bwhat causes\b|\bwhy (?:do|does|are|is) (?:people|patients|smokers|x-?rays|the sky)"
            r"|\bdifference between\b|\bhistory of (?:the )?(?:x-?ray|radiolog)|\blist (?:the"
            r" )?(?:causes"
            r"|types|risk|symptoms)|\bwhat (?:are|is) (?:the )?(?:causes?|types?|complications?"
            r"|incidence|prevalence|pathophysiology|mechanism|definition)",
            _I,
        ),
        _GENERAL,
    ),
    (
        re.compile(
            r"\bwhat (?:is|are|was) (?:the |this |these |that )?(?:\w+ ){1,3}?(?:caused by|due to)"
            r"|\bwhat (?:caused|is causing|led to|explains)|\b(?:cause|etiology|aetiology|reason)"
            r" (?:of"
            r"|for)\b|^\W*why\b",
            _I,
        ),
        _CAUSE,
    ),
    (
        re.compile(
            r"\b(?:ecg|ekg|ejection fraction|h(?:a)?emoglobin|blood (?:test|count|pressure|sugar"
            r"|gas)"
            r"|creatinine|troponin|oxygen saturation|spo2|diabet\w*|hypertensi\w*|an(?:a)?emi\w*"
            r"|asthma\w*|stroke|hiv|covid\w*|coronavirus|influenza|cholesterol|genetic\w*|alive"
            r"|dead)"
            r"\b",
            _I,
        ),
        _NOT_SHOWN,
    ),
    (
        re.compile(
            r"\b(?:brain|skull|head|intracranial|kidneys?|renal|bladder|gall\s?bladder|gallstones?"
            r"|liver"
            r"|hepatic|spleen|pancreas|prostate|uterus|ovar(?:y|ies)|fetus|foetus|knees?|ankles?"
            r"|wrists?"
            r"|fingers?|toes?|foot|feet|hips?|pelvis|femur|tibia|teeth|tooth|jaw|eyes?|ears?|nose"
            r"|sinus(?:es)?|appendi\w+|colon|rectum|bowels?|intestin\w+|thyroid|tonsils?|elbows?"
            r"|hands?"
            r"|legs?|lumbar|sacr\w+|testic\w+)\b",
            _I,
        ),
        _OTHER_PART,
    ),
    (
        re.compile(
            r"\b(?:exposure|penetrat\w+|overexposed|underexposed|rotat\w+|quality|artifacts?|sharp"
            r"|blurr?y|resolution|technique|well[\s-]positioned|inspirat\w+|contrast)\b",
            _I,
        ),
        _QUALITY,
    ),
)
"""Patterns of questions that an X-ray does not answer, each with the sentence that declines."""

_WORDS_OF_FINDINGS = {
    word.lower()
    for name in (*OBSERVATIONS, *(one.name for one in ALL_FINDINGS))
    for word in name.split()
    if len(word) > 4 and word not in ("Other", "Finding", "Change", "Pattern", "Wires")
}
_CHEST = re.compile(
    r"\b(?:x-?rays?|cxr|radiograph\w*|films?|images?|scan|picture|study|views?|chest|thora\w+"
    r"|lungs?"
    r"|pulmonary|lobes?|lobar|heart|cardi\w+|pleura\w*|mediastin\w+|hil(?:um|a|ar)|aort\w+"
    r"|diaphragm\w*"
    r"|hemidiaphragm\w*|costophrenic|trachea\w*|ribs?|bon(?:e|es|y)|spine|vertebra\w*|clavicles?"
    r"|sternum|shoulders?|findings?|abnormal\w*|normal|wrong|impression|diagnos\w+|patholog\w+"
    r"|disease|opaci\w+|lucen\w+|lesions?|nodul\w+|mass(?:es)?|tumou?rs?|cancer|fluid|air"
    r"|effusions?"
    r"|pneumo\w+|infiltrat\w*|consolidat\w+|edema|oedema|congest\w+|atelecta\w+|collaps\w+"
    r"|fractur\w*"
    r"|broken|emphysema\w*|copd|fibro\w+|scar\w*|granulom\w+|calcifi\w+|hernia\w*|scolio\w+|tubes?"
    r"|lines?|catheters?|devices?|pacemakers?|pacer|icd|implant\w*|hardware|wires?|clips?|ports?"
    r"|picc"
    r"|infection|inflammation|tuberculosis|tb|interstitial|airspace|apex|apices|base|bases"
    r"|silhouette"
    r"|enlarged?|clear|healthy|acute|see|seen|shows?|shown|visible|markings?|vascul\w+|volumes?"
    r"|hyperinflat\w+|hyperexpan\w+|thicken\w*|widen\w*|deviat\w+|midline|rib|organs?|body part"
    r"|modality|plane|projection|ct|mri|ultrasound|left|right|side)\b",
    _I,
)


def declined(question: str) -> str | None:
    """The sentence that declines a question; None for one that an X-ray may answer."""
    for pattern, sentence in RULES:
        if pattern.search(question):
            return sentence
    words = set(re.findall(r"[a-z]+", question.lower()))
    return None if _CHEST.search(question) or words & _WORDS_OF_FINDINGS else OFF_TOPIC
