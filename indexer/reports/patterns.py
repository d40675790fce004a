"""What the labeller looks for: the wording of the observations.

The lists of mentions start from the CheXpert labeler (Irvin et al., AAAI 2019). Deliberate
differences: sternotomy wires and stents are devices;
pulmonary fibrosis is a lung opacity, not pleural; clips are no device; an unchanged silhouette
says nothing, where the CheXpert labeler has it uncertain. All patterns are matched
against lower-case text in which white space is single and redactions are gone.
"""

import re

from db.labels import State

_LUNG_WORDS = r"lung|pulmonary|parenchymal|perihilar|focal|basilar|lobe|lobar"
_DEVICE_LINES = (
    r"central|picc|venous|arterial|support|dialysis|ij|jugular|subclavian|femoral|iv|monitoring"
)

MASKED = re.compile(
    r"\bend[- ]?plates?\b|\bplate-? ?like\b|\bplate (?=atelecta)|\bgrowth plates?\b"
    r"|\bpericardial (?:(?:or|and) )?(?:effusions?|fluid)|\bjoint effusions?"
    r"|\b(?:subcutaneous|soft tissue|peripheral|ankle|leg|chest wall) (?:edema|densit\w+"
    r"|mass(?:es)?)"
    r"|\b(?:renal|respiratory|hardware|kidney) failure"
    r"|\bmass effect|\bmediastinal mass(?:es)?|\b(?:hiatal|breast|thyroid) (?:mass(?:es)?|nodules?)"
    r"|\b(?:granulomatous|prior|old|remote|previous|chronic granulomatous) infection\w*"
    r"|\b(?:history of|treated) (?:pneumonia|infection|lung cancer|carcinoma)"
    r"|\bsequelae? of (?:\w+ )?infect\w+|\bbreast (?:prosthes[ie]s|implants?)"
    r"|\bvertebra\w* (?:body )?collapse|\bcollaps\w+ (?:of )?(?:the )?(?:\w+ )?vertebra\w*"
    r"|\b(?:ekg|ecg|telemetry|cardiac monitor\w*) leads?"
    r"|\bvalv(?:e|ular) calcification|\bcalcified (?:\w+ )?valve"
    r"|\bif (?:there (?:is|are)|clinical|concern|symptom)[^,;.]{0,120}"
)
"""Words that look like a mention or a cue and are none."""

MENTIONS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "Lung Lesion": (
            r"\bnodules?\b"
            r"|\bnodular(?:[ -]like)? (?:(?!interstitial|and|or)[\w-]+ ){0,3}?"
            r"(?:densit\w+|opaci\w+|lesions?|foc(?:us|i)|shadows?)"
            r"|\b(?<!air space )mass(?:es)?\b|\btumou?rs?\b|\bneoplas\w+|\b\w*carcinomas?\b"
            r"|\bmetasta(?:sis|ses|tic (?:disease|lesions?))\b|\bmass-?like (?:opaci\w+|densit\w+)"
            rf"|\b(?:cavitary|cavitating|{_LUNG_WORDS}) lesions?\b|\bpancoast\b"
            r"|(?<!thoracic )(?<!chest )(?<!pleural )(?<!abdominal )\bcavit(?:y|ies|ation)\b"
        ),
        "Lung Opacity": (
            r"\bopaci(?:t|f)\w+|\binfiltrat\w+"
            r"|\bair ?-?space (?:disease|process\w*|densit\w+|change\w*)"
            r"|\bincreased (?:\w+ )?densit\w+"
            r"|\b(?:increased|coarse\w*|prominent|accentuated|thickened|reticular|abnormal)"
            r" (?:(?:lung|bronchovascular|pulmonary|basilar|bibasilar|perihilar|bronchial) ){0,2}"
            r"markings?\b"
            r"|\binterstitial (?:lung |pulmonary )?(?:markings?|patterns?|disease|changes?"
            r"|prominence"
            r"|thickening|fibrosis|process|densit\w+|abnormalit\w+|coarsening|findings?|scarring)"
            r"|\bprominent (?:pulmonary )?interstiti\w+|\bprominence of the (?:\w+ )?interstiti\w+"
            r"|\bmarkings? (?:is|are|appear\w*)(?: \w+)? (?:increased|prominent|coarse\w*"
            r"|accentuated)"
            r"|\breticul(?:ar|ation\w*|onodular)\b|\bhoneycomb\w*|\bground[- ]?glass\b"
            r"|\bfibrosis\b|\bfibrotic\b|\bscar(?:s|ring|red)?\b"
            r"|\b(?:peri)?bronchial (?:wall )?(?:thickening|cuffing)\b"
        ),
        "Edema": (
            r"\bedema\w*|\b(?:heart|cardiac|congestive|ventricular) failure|\bchf\b|\bfailure\b"
            r"|\bdecompensation|\bkerley\b|\bseptal (?:lines|thickening)"
        ),
        "Consolidation": r"\bconsolidat\w+",
        "Pneumonia": (
            r"\b(?:broncho)?pneumoni(?:as?|tis|c)\b|\b(?:super)?infect(?:ion|ious|ions)\b"
        ),
        "Atelectasis": (r"\batelecta\w+|\bcollapse(?:d|s)?\b"),
        "Pneumothorax": r"\b(?:hydro|hemo)?pneumothora(?:x|ces|xes)\b|\bptx\b",
        "Pleural Effusion": (
            r"\b(?:pleural )?effusions?\b|\bpleural fluid\b|\bhydropneumothora\w+"
            r"|\bh(?:a)?emothora(?:x|ces)\b|\bempyema\b|\bfluid in the (?:\w+ ){0,2}fissure"
        ),
        "Pleural Other": (
            r"\bpleural(?: \w+){0,2}?,? (?:(?:and|or) (?:\w+ )?)?"
            r"(?:thickening|plaques?|scar\w*|calcifi\w+|cap(?:s|ping)?|fibrosis)\b"
            r"|\bpleural effusions?,?(?: [\w-]+,?){0,4} (?:or|and|nor) (?:pleural )?thickening\b"
            r"|\bpleuro-?parenchymal\b|\bpleural parenchymal\b|\bfibrothora\w+"
            r"|\bapical cap(?:s|ping)?\b|\bthickening of the (?:\w+ )?pleura\b"
            r"|\basbestos\w* plaques?\b"
        ),
        "Fracture": r"\bfractur\w+|\bfx\b",
        "Support Devices": (
            r"\bcatheters?\b|\bpicc\b|\btub(?:es?|ing)\b|\bcannulas?\b|\bpace[- ]?makers?\b"
            r"|\bpacers?\b"
            r"|\bpacing\b|\b(?:a?icd)\b|\bdefibrillat\w+|\bleads?\b(?! (?:to|us))"
            rf"|\b(?:{_DEVICE_LINES}) (?:\w+ ){{0,2}}?lines?\b|\blines? (?:and|or) tubes?\b"
            r"|\bport-?a-?cath\w*|\bmedi-?ports?\b|\b(?:chest|infusion|venous|access) ports?\b"
            r"|\bsternotomy\b|\b(?:sternal|cerclage) (?:\w+ )?wires?\b|\bwires?\b|\bhardware\b"
            r"|\b(?:prosthetic|mechanical|artificial|bioprosthetic|replacement)"
            r" (?:\w+ ){0,2}?valv\w+|\bvalv(?:e|ular) (?:replacements?|prosthes[ie]s)"
            r"|\bprosthes[ie]s\b|\bprosthetic\b|\barthroplast\w+|\bscrews?\b|\bplates?\b|\brods?\b"
            r"|\bfixation\b|\bstents?\b|\b(?:embolization )?coils?\b|\bdrains?\b|(?<=\bex)tubat\w+"
            r"|\btracheostomy\b|\bswan-? ?ganz\b|\bstimulators?\b|\b(?:ivc|cava(?:l)?) filters?\b"
            r"|\bballoon pump\b|\bsupport (?:devices?|apparatus|equipment)"
            r"|\b(?:medical )?devices?\b"
            r"|\bloop recorder\b|\bdobb?hoff\b"
        ),
        "Cardiomegaly": (
            r"\bcardiomegaly\b|\b(?:cardiac|heart) enlargement\b"
            r"|\b(?:enlargement|prominence|increase in (?:the )?size) of the (?:right |left )?"
            r"(?:heart|cardiac (?:silhouette|shadow|contours?|size))\b(?! border)"
            r"|\bincrease in (?:heart|cardiac) size\b"
            r"|\b(?:enlarged|prominent|large|dilated) (?:\w+ )?(?:heart|cardiac)\b"
        ),
        "Enlarged Cardiomediastinum": (
            r"\b(?:cardio)?mediastin(?:al|um)(?: \w+)? (?:widening|enlargement|prominence)\b"
            r"|\b(?:widening|enlargement|prominence|fullness) of the (?:[\w-]+ ){0,2}"
            r"(?:cardio)?mediastin\w+"
            r"|\b(?:widened|enlarged|prominent|wide) (?:[\w-]+ )?(?:cardio)?mediastin\w+"
        ),
    }.items()
}
"""Each observation's wording. No Finding is no mention but a statement about the whole image."""

EXCLUDED: dict[str, re.Pattern[str]] = {
    "Lung Opacity": re.compile(
        r"\b(?:pleural|apical pleural)(?: or \w+)? (?:scar|fibro)\w*"
        r"|\bpleural thickening or scar\w*"
        r"|\bnodular(?:[ -]like)? (?:(?!interstitial|and|or)[\w-]+ ){0,3}?opaci\w+"
        r"|\bmass-?like opaci\w+|\bvascular markings?.{0,30}|\bradio-?opaci\w+|\b(?:skin"
        r"|surgical|sternotomy) scars?\b"
    ),
    "Lung Lesion": re.compile(
        r"\bpleural (?:\w+ (?:or|and) )?(?:mass(?:es)?|nodul\w+)|\bcalcified (?:\w+ ){0,3}?nodul\w+"
    ),
    "Fracture": re.compile(
        r"\b(?:wires?|leads?|hardware|screws?)(?: \w+){0,3} fractured?\b"
        r"|\bfractured? (?:of )?(?:the |one |a )?(?:\w+ )?(?:wires?|leads?|hardware|screws?)\b"
    ),
}
"""Wording that is taken out before the mentions of one observation are looked for."""

CONGESTION = re.compile(
    r"\b(?:vascular|pulmonary|venous) congestion\b|\bcongest(?:ion|ed)\b|\bcongestive (?!heart"
    r"|fail)"
    r"|\bcephali[sz]ation\b|\bvascular (?:redistribution|prominence|indistinctness|engorgement)"
)
"""Counts as uncertain Edema (as in the CheXpert labeler) unless the sentence speaks of edema."""

SUBJECTS: dict[str, re.Pattern[str]] = {
    "Cardiomegaly": re.compile(
        r"\bheart(?! (?:failure|border|valve))(?: sizes?| shadow| silhouette| contours?)?\b"
        r"|\bcardiac(?: and mediastinal)? (?:size|silhouettes?|shadow|contours?)\b"
        r"|\bcardiac(?= (?:and|,))|\bcor\b"
    ),
    "Enlarged Cardiomediastinum": re.compile(
        r"\b(?:(?:superior|upper) )?(?:cardio ?-?)?mediastin(?:al|um)(?! (?:(?:and"
        r"|or) hilar )?(?:mass|clip|lymph|aden|shift))"
        r"(?: (?:silhouettes?|contours?|structures|shadows?|configuration|outlines?|borders?))*"
    ),
    "Lung Opacity": re.compile(
        r"\blungs?(?! (?:volumes?|nodul|mass|apex|apices|cancer|lesion|markings))"
        r"(?: fields?| bases?| parenchyma| zones?)?\b|\bpulmonary parenchyma\b"
        r"|\b(?:both )?hemithoraces"
    ),
}
"""Organs whose state is told by a predicate: "the heart is enlarged", "the lungs are clear"."""

SUBJECT_CHAIN = re.compile(
    r"(?:(?:,| and| or|,? as well as|,? and)? (?:the |are |is |all |both |appear |of |upper "
    r"|superior )*"
    r"(?:heart|cardiac|(?:cardio-?)?mediastin(?:al|um)|lungs?|hil(?:a|ar|um)|aort(?:a|ic)|size"
    r"|contours?|silhouettes?|shadows?|structures|pulmonary vascul\w+|vascul\w+|pulmonary|pleura\w*"
    r"|(?:great )?vessels|borders?|configuration|appearance|diaphragm\w*)\b)*"
)
"""Organs named together share one predicate: "heart, hila and mediastinum are normal"."""

SUBJECT_END = re.compile(
    r"[;,:.]|\b(?:but|however|although|though|with|without|no|not seen|while|which|except"
    r"|and (?:the|there|both)|(?:and |the )*(?:heart|lungs?|cardiac|cardiomediast\w+|mediastin\w+"
    r"|pulmonary|vascul\w+|bon[ey]\w*|osseous|pleural|trachea|aort\w+|spine|diaphragm\w*))\b"
)
"""Ends the stretch in which an organ's predicate is looked for."""

BEFORE_SUBJECT = re.compile(
    r"\b(?P<normal>normal|unremarkable|clear)"
    r"(?: (?!and\b|or\b|but\b|in\b|with\b|from\b|to\b|of\b)[\w-]+| appearance of the)? $"
)

_NORMAL = (
    r"normal(?! (?:volume|inflation|expan|in volume|for low))|unremarkable|within normal"
    r"|normal limits"
    r"|(?:upper )?limits? (?:of|for) normal|top[- ]normal|not enlarged|not widened"
)
PREDICATES: dict[str, tuple[tuple[re.Pattern[str], State], ...]] = {
    "Cardiomegaly": (
        (re.compile(r"borderline|normal (?:to|or) (?:mild|slight|border|upper)"), "uncertain"),
        (
            re.compile(
                r"(?:mild\w* |slight\w* |moderate\w* |marked\w* )?(?:enlarged|prominent|increased"
                r"|large|dilated|generous|enlargement|big)\b"
            ),
            "positive",
        ),
        (re.compile(_NORMAL), "negative"),
    ),
    "Enlarged Cardiomediastinum": (
        (re.compile(r"borderline"), "uncertain"),
        (
            re.compile(r"(?:widened|wide|enlarged|prominent|widening|fullness|increased)\b"),
            "positive",
        ),
        (re.compile(_NORMAL + r"|of normal width"), "negative"),
    ),
    "Lung Opacity": (
        (
            re.compile(r"clear(?! (?:of|from)\b)|unremarkable|normal limits|within normal"),
            "negative",
        ),
        (
            re.compile(r"normal(?!ly| (?:in )?(?:volume|inflat|expan|size)|\w* aerat)"),
            "negative",
        ),
    ),
}
"""The first predicate after an organ tells its state."""

NORMAL_IMAGE = re.compile(
    r"^(?:\W*\d?\W*)(?:(?:essentially|grossly|otherwise|impression:?) )*"
    r"(?:normal|unremarkable|negative),? (?:\w+[ /-]){0,6}?"
    r"(?:chest(?! (?:wall|tube))|views of the chest|stud(?:y|ies)|exam\w*|radiographs?|films?"
    r"|x-?rays?)\b"
    r"|\b(?:chest|study|exam\w*|radiographs?|films?|x-?rays?)(?: (?:is|are|appears?))?"
    r"(?: (?:otherwise|essentially))? (?:within normal|normal\b|unremarkable|negative(?! for))"
    r"|^\W*(?:normal|negative|unremarkable)\W*$"
    r"|\b(?:no|without|negative for)(?: (?:radiographic|evidence|of|for|definite|any|signs?|x-ray"
    r"|findings?|significant|acute|active|new|visible|convincing|plain|film|or|focal|other))*"
    r" (?:acute |active )?(?:(?:cardiac|heart|lung|pleural),? (?:or|and) )?"
    r"(?:cardio-? ?pulmonary|intra-?thoracic|thoracic|chest|pulmonary|cardio-?thoracic)"
    r"(?: or \w+)?(?: (?:radiographic|disease))?"
    r" (?:abnormalit\w+|disease|process\w*|findings?|pathology|patholog\w+|illness|changes?)\b"
    r"|\bno (?:(?:evidence of|radiographic|definite|significant) )*(?:acute|active)"
    r" (?:radiographic )?(?:findings?|abnormalit\w+|disease|process\w*|pathology)\b"
    r"(?!.{0,40}\b(?:abdomen|bon\w+|osseous|spine|skelet\w+|rib\w*)\b)"
)
"""Statements that the whole image is normal or shows nothing acute."""
