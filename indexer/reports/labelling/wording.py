"""How reports word the findings of lungs, pleura, mediastinum, diaphragm and bones.

All patterns are matched against ``Text.plain``. Within a group what a row has matched is taken from
the rows below it: a nodular opacity is a nodule and not also an opacity.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """One finding's wording."""

    finding: str
    pattern: re.Pattern[str]
    beside: re.Pattern[str] | None = None
    """What the sentence has to name as well: "tortuous" means the aorta only where it is named."""


def wording(finding: str, pattern: str, beside: str | None = None) -> Wording:
    """A row of a table below."""
    return Wording(finding, re.compile(pattern), re.compile(beside) if beside else None)


_OPACITY = r"(?:opaci(?:t|f)\w+|densit\w+|lesions?|foc(?:us|i)|shadows?|infiltrat\w+)"
_BETWEEN = r"(?:(?!and\b|or\b|no\b|interstitial\b)[\w-]+ ){0,3}?"
_SPINE = r"(?:vertebra\w*|spin(?:e|al)|thoracic|lumbar|[tl] ?-?\d{1,2}|disc|dis[ck]s?)"

LUNGS: tuple[Wording, ...] = (
    wording(
        "Granuloma",
        r"\bgranuloma(?:s|ta)?\b|\b(?:old |prior |remote |previous |chronic |healed )*"
        r"granulomatous (?:disease|infection|change\w*|process\w*|calcif\w+|exposure|residua\w*)"
        rf"|\bcalcified (?:(?!pleura)[\w-]+,? (?:and |or )?){{0,4}}?(?:nodul\w+|nodes?\b|lymph\w*"
        r"(?: nodes?)?|adenopath\w+|hil(?:a|ar|um)\b(?: (?:lymph )?(?:nodul\w+|nodes?|adenop\w+))?)"
        r"|\b(?:nodul\w+|nodes?|lymphadenopath\w+|adenopath\w+) (?:is |are |that (?:is|are) )?"
        r"(?:densely |partially |partly )?calcified\b"
        r"|\bcalcif\w+ (?:of|in|within|at) (?:the )?(?:[\w-]+ ){0,2}(?:lymph|nodes?\b|hil(?:a|ar|um))"
        r"|\bcalcific (?:[\w-]+ )?(?:densit\w+|nodul\w+|foc(?:us|i)|opacit\w+)"
        r"|\b(?:hilar|nodal|lymph node|mediastinal|parenchymal|lung|pulmonary) (?:and \w+ )?"
        r"(?:lymph node )?calcifications?\b|\bcalcified (?:foc(?:us|i)|densit\w+|opacit\w+)"
        r"(?! (?:of|in|along) the aort)|\bhistoplasmosis\b|\bghon\b|\branke\b",
    ),
    wording(
        "Pleural Thickening",
        r"\bpleural?(?: \w+){0,2}?,? (?:(?:and|or) (?:\w+ )?)?"
        r"(?:thick\w*|plaques?|scar\w*|calcifi\w+|cap(?:s|ping)?|fibrosis|plaquing)\b"
        r"|\bpleural effusions?,?(?: [\w-]+,?){0,4} (?:or|and|nor) (?:pleural )?thickening\b"
        r"|\bpleuroparenchymal(?! opac)(?: \w+){0,2}|\bpleural parenchymal (?:scar|thick|fibro|change)\w*"
        r"|\bfibrothora\w+|\bapical (?:pleural )?(?:cap(?:s|ping)?|thickening)\b"
        r"|\bthick\w* (?:of|along) the (?:[\w-]+ ){0,3}(?:pleura|fissure)\w*|\bthickened (?:[\w-]+ )?"
        r"(?:pleura|fissures?)|\b(?:pleura|fissures?) (?:is|are|appears?) (?:\w+ )?thick\w*"
        r"|\bfissur\w+ thickening|\basbestos\w* plaques?\b|\bcalcified (?:\w+ )?(?:pleura\w*"
        r"(?: plaques?)?|plaques?)|\bplaques? (?:along|of|in) the (?:\w+ )?(?:pleura|diaphragm\w*)",
    ),
    wording(
        "Cavity",
        r"\bcavit(?:y|ies|ation\w*|ary|ating|ated)\b"
        rf"(?: (?:[\w-]+ )?(?:{_OPACITY}|mass(?:es)?|nodules?|disease|changes?|process))?",
    ),
    wording(
        "Nodule",
        r"\b(?:micro)?nodul(?:e|es)\b|\bnodularit\w+"
        rf"|\bnodular(?:[ -]like)? {_BETWEEN}{_OPACITY}|\bnodular foc\w+",
    ),
    wording(
        "Mass",
        rf"\bmass-? ?like (?:[\w-]+ )?{_OPACITY}|(?<!air space )(?<!body )\bmass(?:es)?\b"
        r"(?! (?:effect|index))|\blump\b",
    ),
    wording(
        "Neoplasm",
        r"\btumors?\b|\bneoplas\w+|\b\w*carcinoma\w*\b|\bmalignan\w+|\bmetasta\w+|\bpancoast\w*"
        r"|\b(?:lung|pulmonary|bronchogenic|bronchial) cancer|\blymphoma\b|\blymphangitic\b",
    ),
    wording(
        "Bronchial Thickening",
        r"\b(?:peri)?bronch(?:ial|iolar|us|ovascular)? ?(?:\w+ )?(?:wall )?(?:thick\w*|cuffing)\b"
        r"|\bbronch\w+ walls? (?:is|are|appears?) thick\w*|\bthick\w* (?:of the )?(?:peri)?bronch\w+"
        r"(?: walls?)?|\bbronchitis\b|\bbronchiolitis\b|\bcuffing\b",
    ),
    wording("Bronchiectasis", r"\bbronchiecta\w+"),
    wording(
        "Fibrosis",
        r"\bfibrosis\b|\bfibrotic(?: (?:changes?|scarring|disease|bands?|lung disease))?\b"
        r"|\bhoneycomb\w*|\bfibro(?:nodular|calcific)\w*(?: \w+)?",
    ),
    wording(
        "Scarring",
        r"(?<!skin )(?<!surgical )(?<!sternotomy )\bscar(?:s|ring|red)?\b|\bcicatri\w+"
        r"|\bscar-?like (?:opaci\w+|densit\w+)",
    ),
    wording(
        "Interstitial Pattern",
        r"\b(?:increased|coarse\w*|prominent|accentuated|thickened|reticular|abnormal|heavy|chronic)"
        r" (?:(?:and|lung|bronchovascular|pulmonary|basilar|bibasilar|perihilar|bronchial"
        r"|interstitial|central|bilateral) ){0,3}markings?\b"
        r"|(?:\b(?:increased|reticular|prominent|coarse\w*|diffuse|bilateral) )?\binterstiti(?:al|um)"
        r" (?:(?:lung |pulmonary )?(?:markings?|patterns?|disease|changes?|prominence"
        r"|thickening|process\w*|densit\w+|abnormalit\w+|coarsening|findings?"
        r"|opacit\w+|opacification|infiltrat\w+|pneumonitis|involvement|reticulation))"
        r"|\b(?:prominent|coarse\w*|thickened|increased) (?:pulmonary |lung )?interstiti\w+"
        r"|\b(?:prominence|coarsening|thickening|increase) (?:of|in) the (?:[\w-]+ ){0,3}(?:interstiti\w+"
        r"|(?:lung|bronchovascular|interstitial) markings?)"
        r"|(?<!vascular )\b(?:lung |interstitial |bronchovascular )?markings? (?:is|are|appear\w*)(?: \w+)?"
        r" (?:increased|prominent|coarse\w*|accentuated)|\binterstitial prominence"
        r"|\breticul(?:ar|ation\w*|onodular)\b(?: (?:[\w-]+ )?(?:opaci\w+|densit\w+|patterns?"
        r"|markings?|changes?|abnormalit\w+))?|\bild\b|\bseptal thickening\b",
    ),
    wording("Infiltrate", r"\binfiltrat\w+"),
    wording(
        "Lung Opacity",
        r"(?<!radi)(?<!radio)(?<!radio-)\bopaci(?:t|f)\w+|\bground[- ]?glass\b"
        r"|\bair[- ]?space (?:disease|process\w*|densit\w+|change\w*|opaci\w+|filling)"
        r"|\b(?:increased|hazy|patchy|streaky|linear|abnormal|ill[- ]defined|vague|basilar|lung"
        r"|focal|asymmetric|retrocardiac|airspace|parenchymal|pulmonary|bandlike|confluent|rounded"
        r"|perihilar|subtle|nonspecific|wedge[- ]shaped) (?:[\w-]+ ){0,2}?densit\w+"
        r"|\bdensit\w+ (?:in|within|at|over) the (?:[\w-]+ ){0,3}(?:lobe|lung|base|apex|lingula"
        r"|zone)\w*|\bhaziness\b|\bwhite-?out\b",
    ),
)
"""From the most exact to the most general."""

AIR: tuple[Wording, ...] = (
    wording(
        "Subcutaneous Emphysema",
        r"\b(?:subcutaneous|subcutaneus|soft tissue|chest wall|surgical|sub-?q) (?:[\w-]+ ){0,2}?"
        r"(?:emphysema|air|gas)\b|\b(?:emphysema|air|gas) (?:in|within|along|of) the (?:[\w-]+ ){0,3}?"
        r"(?:soft tissues?|chest wall|subcutaneous|neck)(?: tissues?)?",
    ),
    wording(
        "Pneumomediastinum",
        r"\bpneumomediastin\w+|\bmediastinal (?:air|gas|emphysema)\b|\bpneumopericardium\b"
        r"|\bair in the mediastinum",
    ),
    wording(
        "Pneumoperitoneum",
        r"\bpneumoperitone\w+|\bfree (?:[\w-]+ ){0,2}?(?:air|gas)\b"
        r"|\b(?:subdiaphragmatic|intraperitoneal|infradiaphragmatic) (?:free )?(?:air|gas)\b"
        r"|\b(?:air|gas|lucency) (?:under|beneath|below) the (?:\w+ )?(?:hemi)?diaphragms?",
    ),
    wording(
        "Emphysema",
        r"\bemphysem\w+|\bcopd\b|\bchronic obstructive (?:pulmonary|lung|airways?)?(?: disease)?"
        r"|\bobstructive (?:pulmonary|lung|airways?) disease|\bbull(?:a|ae|ous)\b(?! et)|\bblebs?\b",
    ),
)

PLEURA_AND_LUNG: tuple[Wording, ...] = (
    wording(
        "Edema",
        r"\bedema\w*|\b(?:heart|cardiac|ventricular) failure|\bcongestive (?:heart |cardiac )?failure"
        r"|\bchf\b|\bfailure\b|\bdecompensation|\bkerley(?:'?s)?"
        r"(?: [ab])?(?: lines?)?|\bseptal lines\b|\binterlobular septal thickening",
    ),
    wording(
        "Vascular Congestion",
        r"\b(?:pulmonary |central |mild |venous )*(?:vascular|pulmonary|venous|vessel) (?:\w+ )?"
        r"(?:congestion|engorgement|redistribution|prominence|hypertension(?= pattern))\b"
        r"|\bcongest(?:ion|ed)\b|\bcongestive (?:changes?|pattern|findings?)"
        r"|\b(?:pulmonary |central |lung )?(?:vascular\w*|vasculature|vessels?|vascular markings?)"
        r" (?:(?:is|are|appears?|remains?) )?(?:\w+ly )?(?:congested|engorged|prominent|redistributed)"
        r"|\bcephali[sz]\w+|\b(?:prominent|engorged|indistinct|congested|increased)"
        r" (?:central |pulmonary |perihilar )*(?:vascular\w*|vasculature|vessels)(?! pedicle)(?: markings?)?"
        r"|\b(?:prominence|indistinctness|engorgement) of the (?:central |pulmonary |perihilar )*"
        r"(?:vascul\w+|vessels)",
    ),
    wording("Consolidation", r"\bconsolidat\w+"),
    wording(
        "Pneumonia",
        r"\b(?:broncho|pleuro)?pneumoni(?:as?|tis|c)\b|\b(?:super)?infect(?:ion|ious|ions|ive)\b"
        r"|\bpna\b",
    ),
    wording(
        "Atelectasis",
        r"\batelec\w+|(?<!vertebral )(?<!vertebra )(?<!body )\bcollapse(?:d|s)?\b"
        r"(?! (?:of )?(?:the )?(?:\w+ )?vertebra)",
    ),
    wording(
        "Volume Loss",
        r"\b(?:volume loss|loss of (?:lung )?volume)\b",
    ),
    wording("Pneumothorax", r"\b(?:hydro|hemo|pyo)?pneumothora\w*|\bpneumothoraces\b|\bptx\b"),
    wording(
        "Pleural Effusion",
        r"\b(?:pleural )?effusions?\b|\bpleural (?:fluid|collections?)\b|\bhydropneumothora\w+"
        r"|\bhemopneumothora\w+|\bhem(?:at)?othora(?:x|ces)\b|\bhydrothora\w+|\bempyema\b"
        r"|\bfluid (?:in|within|along) the (?:\w+ ){0,3}fissures?"
        r"|\bfissural fluid\b|\bfluid (?:in|within) the pleural",
    ),
    wording(
        "Blunted Costophrenic Angle",
        r"\b(?:blunt\w*|obscur\w+|obliterat\w+|effacement)\b",
        r"\b(?:costo|cardio)?-?phrenic|\bcp angle|\bsulc(?:us|i)\b|\bcostophrenic|\bcpa\b",
    ),
)

CHEST: tuple[Wording, ...] = (
    wording(
        "Hyperinflation",
        r"\bhyper-?(?:inflat\w+|expan\w+|aerat\w+|lucen\w+|distend\w+)|\boverinflat\w+"
        r"|\bover-?expan\w+|\bair[- ]?trapping\b|\b(?:increased|large) lung volumes?"
        r"|\blung volumes? (?:is|are|appears?) (?:\w+ )?(?:increased|large|high)"
        r"|\bflatten\w* (?:of )?(?:(?:the|both|bilateral|hemi-?) ?)*(?:hemi-?)?diaphragm\w*"
        r"|\b(?:hemi)?diaphragms? (?:(?:is|are|appears?) )?(?:\w+ly )?flatten\w*",
    ),
    wording(
        "Low Lung Volumes",
        r"\b(?:low|lower|small|diminished|reduced|decreased|shallow) (?:lung |inspiratory )?volumes?\b"
        r"|\b(?:lung )?volumes? (?:is|are|appears?|remains?|being)? ?(?:\w+ly )?(?:low|small|reduced"
        r"|diminished)\b"
        r"|\bhypo(?:inflat\w+|ventilat\w+|aerat\w+|expan\w+)|\bunder-?(?:inflat\w+|aerat\w+)"
        r"|\b(?:shallow|poor|low|suboptimal|limited|decreased|incomplete|submaximal) (?:degree of "
        r"|lung )?(?:inspirat\w+(?: effort)?|inflation|expansion|aeration)|\bpoorly (?:inflated"
        r"|expanded|aerated)",
    ),
    wording(
        "Enlarged Cardiomediastinum",
        r"\b(?:cardio)?mediastin(?:al|um)(?: \w+)? (?:widening|enlargement|prominence|fullness)\b"
        r"|\b(?:widening|enlargement|prominence|fullness) of the (?:[\w-]+ ){0,2}"
        r"(?:cardio)?mediastin\w+(?: (?:silhouette|contours?|shadow))?"
        r"|\b(?:widened|enlarged|prominent|wide) (?:[\w-]+ )?(?:cardio)?mediastin\w+"
        r"(?: (?:silhouette|contours?|shadow))?",
    ),
    wording(
        "Cardiomegaly",
        r"\bcardiomeg\w+|\b(?:cardiac|heart) enlargement\b"
        r"|\b(?:enlargement|prominence|increase in (?:the )?size) of the (?:right |left )?"
        r"(?:heart|cardiac (?:silhouette|shadow|contours?|size))\b(?! border)"
        r"|\bincrease in (?:heart|cardiac) size\b|\benlarged,? (?:\w+,? )?heart\b"
        r"|\b(?:enlarged|prominent|large|dilated) (?:\w+ )?(?:heart|cardiac)\b"
        r"(?: (?:silhouette|shadow|contours?|size))?|\bcardiac dilat\w+",
    ),
    wording(
        "Mediastinal Shift",
        r"\b(?:trache\w+|mediastin\w+|cardiac|heart) (?:[\w-]+ ){0,4}?(?:shift\w*|deviat\w+"
        r"|displac\w+)\b|\b(?:shift\w*|deviat\w+|displacement) of the (?:[\w-]+ ){0,2}(?:trache\w+"
        r"|mediastin\w+|heart)(?: structures)?|\bmidline shift\b",
    ),
    wording(
        "Lymphadenopathy",
        r"\b(?:lymph)?adenopath\w+|\blymphadenopath\w+|\b(?:enlarged|prominent|bulky) (?:\w+ ){0,2}"
        r"(?:lymph )?nodes?\b|\b(?:lymph )?nod(?:e|al) enlargement",
    ),
    wording(
        "Hilar Enlargement",
        r"\bhil(?:ar|um|a) (?:(?:is|are|appears?|remains?) )?(?:\w+ly )?(?:enlarge\w*|prominen\w+"
        r"|full(?:ness)?\b|promin\w+)|\b(?:enlarge\w*|prominen\w+|full(?:ness)?)"
        r" (?:of (?:the )?)?(?:(?:right|left|bilateral|both|the) )*hil(?:a|ar|um)\b(?: \w*contours?)?"
        r"|\b(?:enlarge\w*|prominen\w+|dilat\w+) (?:(?:of|the|central|main|right|left) )*"
        r"pulmonary (?:arter\w+|outflow)|\bpulmonary (?:arter\w+|outflow tract) (?:(?:is|are|appears?"
        r"|segment) )*(?:\w+ly )?(?:enlarge\w*|prominen\w+|dilat\w+)"
        r"|\bpulmonary (?:arterial )?hypertension\b",
    ),
    wording(
        "Tortuous Aorta",
        r"\b(?:tortuo\w+|unfold\w*|uncoil\w*|elongat\w+|tortuosity)\b",
        r"\baort\w+|\bgreat vessels|\bthoracic vessels|\barch\b|\bmediastin",
    ),
    wording(
        "Aortic Calcification",
        r"\bcalcif\w+|\batheroscl\w+|\barterioscl\w+|\batheroma\w*|\bsclerotic\b(?= (?:\w+ )?aort)"
        r"|(?<=aorta is )sclerotic",
        r"\baort\w+|\barch\b|\bthoracic vessels|\bvascular calcif",
    ),
    wording(
        "Aortic Enlargement",
        r"\baort(?:a|ic) (?:(?:knob|arch|root|contour|shadow|is|are|appears?|remains?|and|tortuous"
        r"|unfolded|calcified|\w+ly|not) ){0,5}?"
        r"(?:enlarge\w*|dilat\w+|ectas\w+|ectat\w+|prominen\w+|aneurysm\w*)"
        r"|\b(?:enlarge\w*|dilat\w+|ectas\w+|ectat\w+|prominen\w+|aneurysm\w*)"
        r" (?:(?:of|the|and|tortuous|thoracic|ascending|descending) ){0,4}aort\w+(?: knob| arch)?"
        r"|\baneurysm\w*(?= of the (?:\w+ )?aort)|\b(?:aortic|thoracic) aneurysm",
    ),
    wording(
        "Elevated Hemidiaphragm",
        r"\b(?:elevat\w+|raised|eventrat\w+|high[- ]riding)\b",
        r"diaphragm|eventrat",
    ),
    wording("Hernia", r"\bhernia\w*\b|\bintrathoracic stomach\b"),
    wording("Scoliosis", r"\b(?:dextro|levo|kypho|roto)?-?scolio\w+|\bdextrocurvature\b"
            r"|\blevocurvature\b|\bs-? ?shaped curv\w+|\b(?:right|left)ward curvature"
            r"|\b(?:lateral )?curvature of the (?:\w+ ){0,2}spine|\bspinal curvature\b"),
    wording("Kyphosis", r"\b(?:hyper)?kypho(?:sis|tic|scolio\w+)\b"),
    wording(
        "Degenerative Change",
        r"\bdegenerat\w+(?: (?:changes?|disease|disc disease|spurring|joint disease))?|\bspondylo\w+"
        r"|\bosteophyt\w*|\bspurring\b|\bspurs?\b|\b(?:osteo)?arthr(?:itis|itic|osis|opathy)\b"
        r"|\bdis[ck] (?:space )?(?:narrowing|disease)|\bendplate (?:sclerosis|changes?)|\bdish\b"
        r"|\bhypertrophic (?:changes?|spurring)|\bsyndesmophyt\w+",
    ),
    wording("Osteopenia", r"\bosteopen\w+|\bosteopor\w+|\bdeminerali[sz]\w+|\bbone (?:mineral )?loss\b"),
)  # fmt: skip

FRACTURES: tuple[Wording, ...] = (
    wording(
        "Rib Fracture",
        r"\b(?:ribs?|costal)\b(?: (?!and\b|or\b|no|may\b|with|is\b|are\b)[\w-]+){0,3}? (?:fractur\w+|fx)\b"
        r"|\b(?:fractur\w+|fx) (?:(?!and\b|or\b|no|with|is\b|are\b|may\b)[\w'-]+,? (?:and )?){0,6}?ribs?\b",
    ),
    wording(
        "Vertebral Fracture",
        rf"\b(?:compression|wedge|burst|{_SPINE})(?: (?!and\b|or\b|no|with|is\b|are\b|may\b)[\w-]+){{0,2}}?"
        r" (?:fractur\w+|compression\b(?: fractur\w+| deformit\w+)?)"
        rf"|\b(?:fractur\w+|compression) (?:deformit\w+ )?(?:of|in|at|involving) (?:the )?(?:[\w-]+ ){{0,3}}?"
        rf"{_SPINE}\b|\bcompression (?:deformit\w+|fractur\w+)|\bwedg(?:ing|e deformit\w+)"
        r"|\b(?:loss of|decreased|reduced) (?:[\w-]+ ){0,2}?height\b|\b(?:vertebra\w*|body) height loss"
        r"|\bheight loss (?:of|at|in)\b|\bvertebra\w* (?:body )?(?:is |are )?(?:\w+ly )?(?:collapse\w*"
        r"|compress\w+|wedged)|\b(?:collapse\w*|compress\w+|wedged) (?:of )?(?:the )?"
        r"(?:[\w-]+ )?vertebra\w*|\bwedged\b(?= (?:\w+ )?vertebra)",
    ),
    wording("Other Fracture", r"\bfractur\w+|\bfx\b"),
)

GROUPS: tuple[tuple[Wording, ...], ...] = (LUNGS, AIR, PLEURA_AND_LUNG, CHEST, FRACTURES)

SEPARATE = (PLEURA_AND_LUNG, CHEST)
"""Groups whose findings may share words: a hydropneumothorax is two."""
