"""How reports word the findings of the lungs and the pleura."""

from indexer.reports.labelling.wording import IS, Wording, wording

_OPACITY = r"(?:opaci(?:t|f)\w+|densit\w+|lesions?|foc(?:us|i)|shadow(?:s|ing)?|infiltrat\w+)"
_BETWEEN = r"(?:(?!and\b|or\b|no\b|interstitial\b)[\w-]+ ){0,3}?"

LUNGS: tuple[Wording, ...] = (
    wording(
        "Granuloma",
        r"\bgranuloma(?:s|ta)?\b|\b(?:old |prior |remote |previous |chronic |healed )*"
        r"granulomatous (?:disease|infection|change\w*|process\w*|calcif\w+|exposure|residua\w*)"
        r"|\bcalcified (?:(?!pleura)[\w-]+,? (?:and |or )?){0,4}?(?:nodul\w+|nodes?\b|lymph\w*"
        r"(?: nodes?)?|adenopath\w+|hil(?:a|ar|um)\b(?: (?:lymph )?(?:nodul\w+|nodes?"
        r"|adenop\w+))?)"
        r"|\b(?:nodul\w+|nodes?|lymphadenopath\w+|adenopath\w+) (?:is |are |that (?:is|are) )?"
        r"(?:densely |partially |partly )?calcified\b"
        r"|\bcalcif\w+ (?:of|in|within|at) (?:the )?(?:[\w-]+ ){0,2}(?:lymph|nodes?\b|hil(?:a|ar"
        r"|um))"
        r"|\bcalcific (?:[\w-]+ )?(?:densit\w+|nodul\w+|foc(?:us|i)|opacit\w+)"
        r"|\b(?:hilar|nodal|lymph node|mediastinal|parenchymal|lung|pulmonary) (?:and \w+ )?"
        r"(?:lymph node )?calcifications?\b|\bcalcified (?:foc(?:us|i)|densit\w+|opacit\w+)"
        r"(?! (?:of|in|along) the aort)|\bhistoplasmosis\b|\bghon\b|\branke\b",
    ),
    wording(
        "Pleural Thickening",
        r"\bpleural?(?:[- ]based)?(?: \w+){0,2}?,? (?:(?:and|or) (?:\w+ )?)?"
        r"(?:thick\w*|plaques?|scar\w*|calcifi\w+|cap(?:s|ping)?|fibrosis|plaquing)\b"
        r"|\bpleural effusions?,?(?: [\w-]+,?){0,4} (?:or|and|nor) (?:pleural )?thickening\b"
        r"|\bpleuroparenchymal(?! opac)(?: \w+){0,2}|\bpleural parenchymal (?:scar|thick|fibro"
        r"|change)\w*"
        r"|\bfibrothora\w+|\bapical (?:pleural )?(?:cap(?:s|ping)?|thickening)\b"
        r"|\bthick\w* (?:of|along) the (?:[\w-]+ ){0,3}(?:pleura|fissure)\w*|\bthickened"
        r" (?:[\w-]+ )?"
        r"(?:pleura|fissures?)|\b(?:pleura|fissures?) (?:(?:is|are|not|appears?|\w+ly) )*thick\w*"
        r"|\bfissur\w+ thickening|\basbestos\w* plaques?\b|\bcalcified (?:\w+ )?(?:pleura\w*"
        r"(?: plaques?)?|plaques?)|\bplaques? (?:along|of|in) the (?:\w+ )?(?:pleura"
        r"|diaphragm\w*)",
    ),
    wording(
        "Cavity",
        r"\bcavit(?:y|ies|ation\w*|ary|ating|ated)\b"
        rf"(?: (?:[\w-]+ )?(?:{_OPACITY}|mass(?:es)?|nodules?|disease|changes?|process))?",
    ),
    wording(
        "Nodule",
        r"\b(?:micro)?nodul(?:e|es)\b|\bnodularit\w+|\bcoin lesions?\b|\bspns?\b"
        rf"|\bnodular(?:[ -]like)? {_BETWEEN}{_OPACITY}|\bnodular foc\w+",
    ),
    wording(
        "Mass",
        rf"\bmass-? ?like (?:[\w-]+ )?{_OPACITY}|(?<!air space )(?<!body )\bmass(?:es)?\b"
        r"(?! (?:effect|index))|\blump\b|\bspace[- ]occupying lesions?\b"
        r"|\b(?:lung|pulmonary|parenchymal|perihilar|focal|basilar|lobe|lobar) lesions?\b",
    ),
    wording(
        "Neoplasm",
        r"\btumors?\b|\bneoplas\w+|\b\w*carcinoma\w*\b|\bmalignan\w+|\bmetasta\w+|\bmets\b"
        r"|\bpancoast\w*"
        r"|\b(?:lung|pulmonary|bronchogenic|bronchial) (?:cancer|ca\b|primary)|\blymphoma\b"
        r"|\blymphangitic\b",
    ),
    wording(
        "Bronchial Thickening",
        r"\b(?:peri)?bronch(?:ial|iolar|us|ovascular)? ?(?:\w+ )?(?:wall )?(?:thick\w*|cuffing)\b"
        rf"|\bbronch\w+ walls? {IS}thick\w*"
        r"|\bthick\w* (?:of the )?(?:peri)?bronch\w+"
        r"(?: walls?)?|\bairway (?:wall )?thickening\b|\bbronchiti[sc](?: changes?)?\b"
        r"|\bbronchiolitis\b|\bcuffing\b",
    ),
    wording("Bronchiectasis", r"\bbronchiecta\w+|\bdilated (?:bronchi|airways)\b"),
    wording(
        "Fibrosis",
        r"\bfibrosis\b|\bfibrotic(?: (?:changes?|scarring|disease|bands?|lung disease))?\b"
        r"|\buip\b(?: pattern)?|\bhoneycomb\w*|\bfibro(?:nodular|calcific)\w*(?: \w+)?",
    ),
    wording(
        "Scarring",
        r"(?<!skin )(?<!surgical )(?<!sternotomy )\bscar(?:s|ring|red)?\b|\bcicatri\w+"
        r"|\bscar-?like (?:opaci\w+|densit\w+)",
    ),
    wording(
        "Interstitial Pattern",
        rf"(?<!vascular )\b(?:lung |interstitial |bronchovascular |pulmonary )?markings?"
        rf" {IS}(?:\w+ly )?"
        r"(?:increased|prominent|coarse\w*|accentuated|thickened)"
        r"|\b(?:increased|coarse\w*|prominent|accentuated|thickened|reticular|abnormal|heavy"
        r"|chronic)"
        r" (?:(?:and|lung|bronchovascular|pulmonary|basilar|bibasilar|perihilar|bronchial"
        r"|interstitial|central|bilateral) ){0,3}markings?\b"
        r"|(?:\b(?:increased|reticular|prominent|coarse\w*|diffuse|bilateral) )?\binterstiti(?:al"
        r"|um)"
        r" (?:(?:lung |pulmonary )?(?:markings?|patterns?|disease|changes?|prominence"
        r"|thickening|process\w*|densit\w+|abnormalit\w+|coarsening|findings?"
        r"|opacit\w+|opacification|infiltrat\w+|pneumonitis|involvement|reticulation))"
        r"|\b(?:prominent|coarse\w*|thickened|increased) (?:pulmonary |lung )?interstiti\w+"
        r"|\b(?:prominence|coarsening|thickening|increase) (?:of|in) the (?:[\w-]+"
        r" ){0,3}(?:interstiti\w+"
        r"|(?:lung|bronchovascular|interstitial) markings?)"
        r"|\binterstitial prominence"
        r"|\breticul(?:ar|ation\w*|onodular)\b(?: (?:[\w-]+ )?(?:opaci\w+|densit\w+|shadowing"
        r"|patterns?"
        r"|markings?|changes?|abnormalit\w+))?|\bild\b|\binterstitial(?= (?:or|and|/) (?:alveolar"
        r"|air-?space) opacit)|\bseptal thickening\b",
    ),
    wording("Infiltrate", r"\binfiltrat\w+"),
    wording(
        "Lung Opacity",
        r"(?<!radi)(?<!radio)(?<!radio-)\bopaci(?:t|f)\w+|\bground[- ]?glass\b"
        r"|\bair[- ]?space (?:disease|process\w*|densit\w+|change\w*|opaci\w+|filling|shadow\w*)"
        r"|\b(?:hazy |patchy |basal |lung )*shadowing\b|\bggos?\b"
        r"|\b(?:increased|increasing|hazy|patchy|streaky|linear|abnormal|ill[- ]defined|vague"
        r"|basilar|lung"
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
        r"\b(?:subcutaneous|subcutaneus|subcut|soft[- ]tissue|chest wall|surgical|sub-?q)"
        r" (?:[\w-]+ ){0,2}?"
        r"(?:emphysema|air|gas)\b|\b(?:emphysema|air|gas) (?:in|within|along|of) the (?:[\w-]+"
        r" ){0,3}?"
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
        r"\bemphysem\w+|\bco[pa]d\b|\bchronic obstructive (?:pulmonary|lung|airways?)?(?: disease)?"
        r"|\bobstructive (?:pulmonary|lung|airways?) disease|\bbull(?:a|ae|ous)\b(?! et)"
        r"|\bblebs?\b",
    ),
)

PLEURA_AND_LUNG: tuple[Wording, ...] = (
    wording(
        "Edema",
        r"\bedema\w*|\b(?:heart|cardiac|ventricular) failure|\bcongestive (?:heart |cardiac"
        r" )?failure"
        r"|\bchf\b|\blvf\b|\b(?:fluid|volume) overload(?:ed)?\b|\bfailure\b|\bdecompensation"
        r"|\bkerley(?:'?s)?"
        r"(?: [ab])?(?: lines?)?|\bseptal lines\b|\binterlobular septal thickening",
    ),
    wording(
        "Vascular Congestion",
        r"\b(?:pulmonary |central |mild |venous )*(?:vascular|pulmonary|venous|vessel) (?:\w+ )?"
        r"(?:congestion|engorgement|redistribution|prominence|hypertension(?= pattern))\b"
        r"|\b(?:pulmonary )?venous hypertension\b|\bplethor\w+|\bcongest(?:ion|ed)\b"
        r"|\bcongestive (?:changes?|pattern|findings?)"
        r"|\b(?:pulmonary |central |lung )?(?:vascular\w*|vasculature|vessels?|vascular markings?)"
        rf" {IS}(?:\w+ly )?(?:congested|engorged|prominent|redistributed|increased)"
        r"|\bcephali[sz]\w+|\bupper lobe (?:blood |venous |vascular )?diversion|\b(?:prominent"
        r"|engorged|indistinct|congested|increased)"
        r" (?:central |pulmonary |perihilar )*(?:vascular\w*|vasculature|vessels)(?! pedicle)(?:"
        r" markings?)?"
        r"|\b(?:prominence|indistinctness|engorgement) of the (?:central |pulmonary |perihilar )*"
        r"(?:vascul\w+|vessels)",
    ),
    wording("Consolidation", r"\bconsolidat\w+(?: opacit\w+)?"),
    wording(
        "Pneumonia",
        r"\blrti\b|\b(?:broncho|pleuro)?pneumoni(?:as?|tis|c)\b|\b(?:super)?infect(?:ion|ious|ions|ive)\b"
        r"|\bpna\b",
    ),
    wording(
        "Atelectasis",
        r"\batelec\w+(?: (?:opacit|densit)\w+)?"
        r"|(?<!vertebral )(?<!vertebra )(?<!body )\bcollapse(?:d|s)?\b"
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
        r"|\bhemopneumothora\w+|\bhem(?:at)?othora(?:x|ces)\b|\b(?:hydro|chylo|pyo)thora(?:x"
        r"|ces)\b|\b(?:loculated|layering|free) fluid\b(?! level)|\bempyema\b"
        r"|\bfluid (?:in|within|along) the (?:\w+ ){0,3}fissures?"
        r"|\bfissural fluid\b|\bfluid (?:in|within|at the [\w ]{3,20} in) the pleural",
    ),
    wording(
        "Blunted Costophrenic Angle",
        r"\b(?:blunt\w*|loss(?= of the (?:\w+ )?costo)|obscur\w+|obliterat\w+|effacement)\b",
        r"\b(?:costo|cardio)?-?phrenic|\bcp angle|\bsulc(?:us|i)\b|\bcostophrenic|\bcpa\b",
    ),
)
