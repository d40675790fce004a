"""What the labeller looks for: the wording of observations, of negation and of doubt.

The lists of mentions start from the CheXpert labeler (Irvin et al., AAAI 2019), the cues from
NegEx (Chapman et al., 2001). Deliberate differences: sternotomy wires and stents are devices;
pulmonary fibrosis is a lung opacity, not pleural; clips are no device. All patterns are matched
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
    r"|\b(?:subcutaneous|soft tissue|peripheral|ankle|leg|chest wall) (?:edema|densit\w+|mass(?:es)?)"
    r"|\b(?:renal|respiratory|hardware|kidney) failure"
    r"|\bmass effect|\bmediastinal mass(?:es)?|\b(?:hiatal|breast|thyroid) (?:mass(?:es)?|nodules?)"
    r"|\b(?:granulomatous|prior|old|remote|previous|chronic granulomatous) infection\w*"
    r"|\b(?:history of|treated) (?:pneumonia|infection|lung cancer|carcinoma)"
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
            r"\bnodul(?:es?\b|ar (?:densit\w+|opaci\w+|lesions?|foc(?:us|i)|shadows?))"
            r"|\b(?<!air space )mass(?:es)?\b|\btumou?rs?\b|\bneoplas\w+|\b\w*carcinomas?\b"
            r"|\bmetasta(?:sis|ses|tic (?:disease|lesions?))\b|\bmass-?like (?:opaci\w+|densit\w+)"
            rf"|\b(?:cavitary|cavitating|{_LUNG_WORDS}) lesions?\b|\bpancoast\b"
        ),
        "Lung Opacity": (
            r"\bopaci(?:t|f)\w+|\binfiltrat\w+"
            r"|\bair ?-?space (?:disease|process\w*|densit\w+|change\w*)"
            r"|\bincreased (?:\w+ )?densit\w+"
            r"|\b(?:increased|coarse\w*|prominent|accentuated|thickened|reticular|abnormal)"
            r" (?:(?:lung|bronchovascular|pulmonary|basilar|bibasilar|perihilar|bronchial) ){0,2}"
            r"markings?\b"
            r"|\binterstitial (?:lung |pulmonary )?(?:markings?|patterns?|disease|changes?|prominence"
            r"|thickening|fibrosis|process|densit\w+|abnormalit\w+|coarsening|findings?|scarring)"
            r"|\bprominent (?:pulmonary )?interstiti\w+|\bprominence of the (?:\w+ )?interstiti\w+"
            r"|\bmarkings? (?:is|are|appear\w*)(?: \w+)? (?:increased|prominent|coarse\w*|accentuated)"
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
        "Atelectasis": (
            r"\batelecta\w+|\bcollapse(?:d|s)?\b"
        ),
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
            r"|\bapical cap(?:s|ping)?\b|\bthickening of the (?:\w+ )?pleura\b|\basbestos\w* plaques?\b"
        ),
        "Fracture": r"\bfractur\w+|\bfx\b",
        "Support Devices": (
            r"\bcatheters?\b|\bpicc\b|\btub(?:es?|ing)\b|\bcannulas?\b|\bpace[- ]?makers?\b|\bpacers?\b"
            r"|\bpacing\b|\b(?:a?icd)\b|\bdefibrillat\w+|\bleads?\b(?! (?:to|us))"
            rf"|\b(?:{_DEVICE_LINES}) (?:\w+ ){{0,2}}?lines?\b|\blines? (?:and|or) tubes?\b"
            r"|\bport-?a-?cath\w*|\bmedi-?ports?\b|\b(?:chest|infusion|venous|access) ports?\b"
            r"|\bsternotomy\b|\b(?:sternal|cerclage) (?:\w+ )?wires?\b|\bwires?\b|\bhardware\b"
            r"|\b(?:prosthetic|mechanical|artificial|bioprosthetic|replacement)"
            r" (?:\w+ ){0,2}?valv\w+|\bvalv(?:e|ular) (?:replacements?|prosthes[ie]s)"
            r"|\bprosthes[ie]s\b|\bprosthetic\b|\barthroplast\w+|\bscrews?\b|\bplates?\b|\brods?\b"
            r"|\bfixation\b|\bstents?\b|\b(?:embolization )?coils?\b|\bdrains?\b|(?<=\bex)tubat\w+"
            r"|\btracheostomy\b|\bswan-? ?ganz\b|\bstimulators?\b|\b(?:ivc|cava(?:l)?) filters?\b"
            r"|\bballoon pump\b|\bsupport (?:devices?|apparatus|equipment)|\b(?:medical )?devices?\b"
            r"|\bloop recorder\b|\bdobb?hoff\b"
        ),
        "Cardiomegaly": (
            r"\bcardiomegaly\b|\b(?:cardiac|heart) enlargement\b"
            r"|\benlargement of the (?:heart|cardiac)\b"
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
"""Each observation's wording. No Finding is no mention but a statement about the whole film."""

EXCLUDED: dict[str, re.Pattern[str]] = {
    "Lung Opacity": re.compile(
        r"\b(?:pleural|apical pleural)(?: or \w+)? (?:scar|fibro)\w*|\bpleural thickening or scar\w*"
        r"|\bradio-?opaci\w+|\b(?:skin|surgical|sternotomy) scars?\b"
    ),
    "Lung Lesion": re.compile(r"\bpleural (?:\w+ (?:or|and) )?(?:mass(?:es)?|nodul\w+)"),
    "Fracture": re.compile(
        r"\b(?:wires?|leads?|hardware|screws?)(?: \w+){0,3} fractured?\b"
        r"|\bfractured? (?:of )?(?:the |one |a )?(?:\w+ )?(?:wires?|leads?|hardware|screws?)\b"
    ),
}
"""Wording that is taken out before the mentions of one observation are looked for."""

CONGESTION = re.compile(
    r"\b(?:vascular|pulmonary|venous) congestion\b|\bcongest(?:ion|ed)\b|\bcongestive (?!heart|fail)"
    r"|\bcephali[sz]ation\b|\bvascular (?:redistribution|prominence|indistinctness|engorgement)"
)
"""Counts as Edema (as in the CheXpert labeler) where the sentence says nothing of edema itself."""

_ADVERB = r"(?:(?:\w+ly|well|yet|been|now|as|being|be|otherwise) ){0,3}"
_SEEN = (
    r"(?:seen|identified|visuali[sz]ed|appreciated|evident|present|demonstrated|noted|apparent"
    r"|detected|confirmed|observed|visible|found|shown|suggested|suspected|recogni[sz]ed|displayed)"
)
_CHANGE = (
    r"(?:chang\w*|increas\w*|decreas\w*|improv\w*|worsen\w*|progress\w*|resol\w+|clear(?:ed|ing)"
    r"|growth|differen\w+|enlarg\w+ (?:of|in))"
)

PSEUDO = re.compile(
    r"\b(?:no|without|not|any)(?: (?:any|definite|significant\w*|substantial\w*|appreciabl\w+|yet"
    r"|interval|further|apparent|gross|great\w*|much|measurable|obvious|material\w*|convincing"
    rf"|acute))* {_CHANGE}\b|\bunresolved\b|\bnot only\b"
    rf"|\bnot (?:clearly )?{_SEEN} (?:on|in) (?:the )?(?:prior|previous|earlier|last|old)\b"
    r"|\b(?:nearly|almost|partial\w*|incomplete\w*|mostly|largely|not) (?:\w+ )?"
    r"(?:resol\w+|clear(?:ed|ing))\b"
)
"""Looks like a negation of the finding and negates its change instead."""

PRE_NEGATIVE = re.compile(
    r"\b(?:(?:no|nothing|without)(?: \w+){0,3} to suggest"
    r"|(?:no|without)(?: \w+){0,2} suggest\w*(?: of)?"
    r"|no(?: \w+){0,3} (?:suspicious|concerning|worrisome) for|(?:no|without) (?:\w+ ){0,2}concern for"
    r"|no (?:suspected|possible|questionable)|no longer"
    r"|no|without|neither|nor|not|absence of|lack of|devoid of|never"
    r"|(?:free|clear) (?:of|from)|negative (?:for|of)"
    r"|(?:resolution|clearing|removal|disappearance) of|resolved)\b|\bex(?=tubat)"
)
PRE_UNCERTAIN = re.compile(
    r"\b(?:possibl[ey]|possibility of|probabl[ey]|likely|unlikely|may|might|could|perhaps|would"
    r"|question(?:able|ed|ably)?(?: of)?|suspect(?:ed|s)?|suspicious (?:for|of)|suspicion (?:for|of)"
    r"|concern(?:ing|s)? (?:for|of|about)|worrisome (?:for|of)|suggest(?:s|ive|ing|ion)?(?: of)?"
    r"|(?:can ?not|can't|could not|not|difficult to|unable to)"
    r" (?:\w+ )?(?:exclude|rule out)|does not exclude|to exclude"
    r"|rule[ -]?out|r/o|favou?r(?:ed|s|ing)?|potential(?:ly)?|raises?(?: the)? (?:question|concern)"
    r"(?: of| for)?|differential|borderline|equivocal(?:ly)?|presum(?:ed|ably)|apparent(?= \w+ mass)"
    r"|evaluate for|correlat\w+ (?:\w+ )?for|with or without|versus|vs|rather than|indeterminate for"
    r"|not definitely|consider)\b|\?"
)
POST_NEGATIVE = re.compile(
    rf"\b(?:not {_ADVERB}{_SEEN}|(?:is|are|was|were) {_ADVERB}absent"
    r"|(?:has|have|had) (?:(?:completely|now|since|all|subsequently|essentially|fully|also) ){0,2}"
    r"(?:resolved|cleared|disappeared)|(?:is|are) (?:now |completely )?(?:resolved|gone)"
    r"|no longer|(?:has|have) (?:now |since )?been (?:\w+ )?(?:removed|withdrawn|excluded)"
    r"|(?:is|are) (?:excluded|ruled out)|removal|has been ruled out)\b"
)
POST_UNCERTAIN = re.compile(
    r"\b(?:(?:can ?not|can't|could not|not) (?:be )?(?:\w+ )?(?:excluded|ruled out)"
    r"|(?:difficult|hard|impossible) to (?:entirely )?(?:exclude|rule out)"
    r"|(?:should|could|may|might) (?:also )?be (?:considered|present|possible)"
    r"|(?:could|may|might) (?:have|give|produce)|(?:is|are) (?:also )?"
    r"(?:possible|suspected|suggested|questioned|favored|considered|not completely excluded)"
    r"|(?:is|are) (?:felt |thought |considered )?(?:to be )?(?:less likely|unlikely)"
    r"|is a (?:consideration|possibility)|less likely|in the differential)\b"
)

BOUNDARY = re.compile(
    r";|: |(?<!vs)\. |\b(?:but|however|although|though|yet|except|aside from|apart from|other than|while"
    r"|whereas|despite|in spite of|following|after|status post|s/p|post|which|because|as well as"
    r"|with the exception of|likewise)\b"
    r"|(?:,(?: and)?| and) (?=(?:mild\w*|small|tiny|trace|minimal\w*|moderate\w*|marked\w*|severe|stable"
    r"|unchanged|persistent|patchy|bibasilar|chronic|old|low|scattered|decreased|improved|there|the"
    r"|this|these|heart|cardiac|lungs?|mediastin\w+|status|possible|possibly|probable|probably|no"
    r"|calcified|degenerative|tortuous|sternotomy|median|without|with|is|are|unremarkable|normal|some"
    r"|subsegmental|streaky|again|left (?!or )|right (?!or )|it|cannot|can not|multiple)\b)"
)
"""Where the reach of a cue ends."""

LIST_VERB = re.compile(r"\b(?:are|were|have)\b")
"""A plural verb: what stands before it may be a list."""

VERSUS = re.compile(r"\b(?:versus|vs)\b")
DISJUNCTION = re.compile(r",? (?:and/)?or (?:\w+ ){0,3}|(?: and|, )?/ ?")

SUBJECTS: dict[str, re.Pattern[str]] = {
    "Cardiomegaly": re.compile(
        r"\bheart(?! (?:failure|border|valve))(?: sizes?| shadow| silhouette| contours?)?\b"
        r"|\bcardiac(?: and mediastinal)? (?:size|silhouettes?|shadow|contours?)\b"
        r"|\bcardiac(?= (?:and|,))|\bcor\b"
    ),
    "Enlarged Cardiomediastinum": re.compile(
        r"\b(?:(?:superior|upper) )?(?:cardio ?-?)?mediastin(?:al|um)(?! (?:mass|clip|lymph|aden|shift))"
        r"(?: (?:silhouettes?|contours?|structures|shadows?|configuration|outlines?|borders?))*"
    ),
    "Lung Opacity": re.compile(
        r"\blungs?(?! (?:volumes?|nodul|mass|apex|apices|cancer|lesion|markings))"
        r"(?: fields?| bases?| parenchyma| zones?)?\b|\bpulmonary parenchyma\b|\b(?:both )?hemithoraces"
    ),
}
"""Organs whose state is told by a predicate: "the heart is enlarged", "the lungs are clear"."""

SUBJECT_CHAIN = re.compile(
    r"(?:(?:,| and| or|,? as well as|,? and)? (?:the |are |is |all |both |appear |of )*"
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
    r"normal(?! (?:volume|inflation|expan|in volume|for low))|unremarkable|within normal|normal limits"
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
        (re.compile(r"clear(?! (?:of|from)\b)|unremarkable|normal limits|within normal"), "negative"),
        (
            re.compile(r"normal(?!ly| (?:in )?(?:volume|inflat|expan|size)|\w* aerat)"),
            "negative",
        ),
    ),
}
"""The first predicate after an organ tells its state."""

NORMAL_FILM = re.compile(
    r"^(?:\W*\d?\W*)(?:(?:essentially|grossly|otherwise|impression:?) )*"
    r"(?:normal|unremarkable|negative)(?:,? (?:\w+[ /-]?){0,6}?)?"
    r"(?:chest(?! (?:wall|tube))|views of the chest|stud(?:y|ies)|exam\w*|radiographs?|films?|x-?rays?)\b"
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
"""Statements that the whole film is normal or shows nothing acute."""
