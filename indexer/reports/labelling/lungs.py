"""How reports word the findings of the lungs and the pleura."""

from indexer.reports.labelling.wording import IS, Wording, wording

_OPACITY = r"(?:opaci(?:t|f)\w+|densit\w+|lesions?|foc(?:us|i)|shadow(?:s|ing)?|infiltrat\w+)"
_BETWEEN = r"(?:(?!and\b|or\b|no\b|interstitial\b)[\w-]+ ){0,3}?"

LUNGS: tuple[Wording, ...] = (
    wording(
        "Granuloma",
        r"\b(?:calcified (?:[\w-]+ )?)?granuloma(?:s|ta)?\b|\b(?:old |prior |remote |previous "
        r"|chronic |healed )*granulomatous (?:disease|infection|change\w*|process\w*|calcif\w+"
        r"|exposure|residua\w*)|\bcalcified (?:(?!pleura|aort|is\b|are\b|no\b)[\w-]+,? (?:and "
        r"|or )?){0,4}?(?:nodul\w+|nodes?\b|lymph\w*(?: nodes?)?|adenopath\w+|hil(?:a|ar"
        r"|um)\b(?: (?:lymph )?(?:nodul\w+|nodes?|adenop\w+))?)|\b(?:nodul\w+|nodes?"
        r"|lymphadenopath\w+|adenopath\w+) (?:is |are |that (?:is|are) )?(?:densely |partially "
        r"|partly )?calcified\b|\bcalcif\w+ (?:of|in|within|at) (?:the )?(?:[\w-]+ ){0,2}(?:lymph"
        r"|nodes?\b|hil(?:a|ar|um))|\bcalcific (?:[\w-]+ )?(?:densit\w+|nodul\w+|foc(?:us|i)"
        r"|opacit\w+)|\b(?:hilar|nodal|lymph node|mediastinal|parenchymal|lung"
        r"|pulmonary) (?:and \w+ )?(?:lymph node )?calcifications?\b|\bcalcified (?:foc(?:us|i)"
        r"|densit\w+|opacit\w+)(?! (?:of|in|along) the aort)|\bhistoplasmosis\b|\bghon\b"
        r"|\branke\b",
    ),
    wording(
        "Pleural Thickening",
        r"\bpleural?(?:[- ]based)?(?: \w+){0,2}?,? (?:(?:and|or) (?:\w+ )?)?(?:thick\w*|plaques?"
        r"|scar\w*|calcifi\w+|cap(?:s|ping)?|fibrosis|plaquing)\b"
        r"|\bpleural effusions?,?(?: [\w-]+,?){0,4} (?:or|and|nor) (?:pleural )?thickening\b"
        r"|\bpleuroparenchymal(?! opac)(?: (?:scar|thick|fibro|change|disease)\w*)?"
        r"|\bpleural[- ]parenchymal (?:scar|thick|fibro|change)\w*|\bfibrothora\w+"
        r"|\bapical (?:pleural )?(?:cap(?:s|ping)?|thickening)\b|\bthick\w* (?:of"
        r"|along) the (?:[\w-]+ ){0,3}(?:pleura|fissure)\w*|\bthickened (?:[\w-]+ )?(?:pleura"
        r"|fissures?)|\b(?:pleura|fissures?) (?:(?:is|are|not|appears?|\w+ly) )*thick\w*"
        r"|\bfissur\w+ thickening|\basbestos\w* plaques?\b"
        r"|\bcalcified (?:\w+ )?(?:pleura\w*(?: plaques?)?|plaques?)|\bplaques? (?:along|of"
        r"|in) the (?:\w+ )?(?:pleura|diaphragm\w*)",
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
        r"(?! (?:effect|index))|\blump\b|\bspace[- ]occupying lesions?\b|\b(?:lung|pulmonary"
        r"|parenchymal|perihilar|focal|basilar|lobe|lobar) lesions?\b",
    ),
    wording(
        "Neoplasm",
        r"\btumors?\b|\bneoplas\w+|\b\w*carcinoma\w*\b|\bmalignan\w+|\bmetasta\w+|\bmets\b"
        r"|\bpancoast\w*|\b(?:lung|pulmonary|bronchogenic|bronchial) (?:cancer|ca\b|primary)"
        r"|\blymphoma\b|\blymphangitic\b",
    ),
    wording(
        "Bronchial Thickening",
        r"\b(?:peri)?bronch(?:ial|iolar|us|ovascular)? ?(?:\w+ )?(?:wall )?(?:thick\w*|cuffing)\b"
        rf"|\bbronch\w+ walls? {IS}thick\w*"
        r"|\bthick\w* (?:of the )?(?:peri)?bronch\w+(?: walls?)?|\bairway (?:wall )?thickening\b"
        r"|\bbronchiti[sc](?: changes?)?\b|\bbronchiolitis\b|\bcuffing\b",
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
        rf"(?<!vascular )\b(?:lung |interstitial |bronchovascular "
        rf"|pulmonary )?markings? {IS}(?:\w+ly )?"
        r"(?:increased|prominent|coarse\w*|accentuated|thickened)|\b(?:increased|coarse\w*"
        r"|prominent|accentuated|thickened|reticular|abnormal|heavy|chronic) (?:(?:and|lung"
        r"|bronchovascular|pulmonary|basilar|bibasilar|perihilar|bronchial|interstitial|central"
        r"|bilateral) ){0,3}markings?\b|(?:\b(?:increased|reticular|prominent|coarse\w*|diffuse"
        r"|bilateral) )?\binterstiti(?:al|um) (?:(?:lung |pulmonary )?(?:markings?|patterns?"
        r"|disease|changes?|prominence|thickening|process\w*|densit\w+|abnormalit\w+|coarsening"
        r"|findings?|opacit\w+|opacification|infiltrat\w+|pneumonitis|involvement|reticulation))"
        r"|\b(?:prominent|coarse\w*|thickened|increased) (?:pulmonary |lung )?interstiti\w+"
        r"|\b(?:prominence|coarsening|thickening|increase) (?:of"
        r"|in) the (?:[\w-]+ ){0,3}(?:interstiti\w+|(?:lung|bronchovascular"
        r"|interstitial) markings?)|\binterstitial prominence|\breticul(?:ar|ation\w*"
        r"|onodular)\b(?: (?:[\w-]+ )?(?:opaci\w+|densit\w+|shadowing|patterns?|markings?"
        r"|changes?|abnormalit\w+))?|\bild\b|\binterstitial(?= (?:or|and|/) (?:alveolar"
        r"|air-?space) opacit)|\bseptal thickening\b",
    ),
    wording("Infiltrate", r"\binfiltrat\w+"),
    wording(
        "Lung Opacity",
        r"(?<!radi)(?<!radio)(?<!radio-)\bopaci(?:t|f)\w+|\bground[- ]?glass\b"
        r"|\bair[- ]?space (?:disease|process\w*|densit\w+|change\w*|opaci\w+|filling|shadow\w*)"
        r"|\b(?:hazy |patchy |basal |lung )*shadowing\b|\bggos?\b|\b(?:increased|increasing|hazy"
        r"|patchy|streaky|linear|abnormal|ill[- ]defined|vague|basilar|lung|focal|asymmetric"
        r"|retrocardiac|airspace|parenchymal|pulmonary|bandlike|confluent|rounded|perihilar"
        r"|subtle|nonspecific|wedge[- ]shaped) (?:[\w-]+ ){0,2}?densit\w+|\bdensit\w+ (?:in"
        r"|within|at|over) the (?:[\w-]+ ){0,3}(?:lobe|lung|base|apex|lingula|zone)\w*"
        r"|\bhaziness\b|\bwhite-?out\b",
    ),
)
"""From the most exact to the most general."""

AIR: tuple[Wording, ...] = (
    wording(
        "Subcutaneous Emphysema",
        r"\b(?:subcutaneous|subcutaneus|subcut|soft[- ]tissue|chest wall|surgical"
        r"|sub-?q) (?:[\w-]+ ){0,2}?(?:emphysema|air|gas)\b|\b(?:emphysema|air|gas) (?:in|within"
        r"|along|of) the (?:[\w-]+ ){0,3}?(?:soft tissues?|chest wall|subcutaneous"
        r"|neck)(?: tissues?)?",
    ),
    wording(
        "Pneumomediastinum",
        r"\bpneumomediastin\w+|\bmediastinal (?:air|gas|emphysema)\b|\bpneumopericardium\b"
        r"|\bair in the mediastinum",
    ),
    wording(
        "Pneumoperitoneum",
        r"\bpneumoperitone\w+|\bfree (?:[\w-]+ ){0,2}?(?:air|gas)\b|\b(?:subdiaphragmatic"
        r"|intraperitoneal|infradiaphragmatic) (?:free )?(?:air|gas)\b|\b(?:air|gas"
        r"|lucency) (?:under|beneath|below) the (?:\w+ )?(?:hemi)?diaphragms?",
    ),
    wording(
        "Emphysema",
        r"\bemphysem\w+|\bco[pa]d\b|\bchronic obstructive (?:pulmonary|lung"
        r"|airways?)?(?: disease)?|\bobstructive (?:pulmonary|lung|airways?) disease|\bbull(?:a"
        r"|ae|ous)\b(?! et)|\bblebs?\b",
    ),
)

PLEURA_AND_LUNG: tuple[Wording, ...] = (
    wording(
        "Edema",
        r"\bedema\w*|\b(?:heart|cardiac|ventricular) failure|\bcongestive (?:heart "
        r"|cardiac )?failure|\bchf\b|\blvf\b|\b(?:fluid|volume) overload(?:ed)?\b|\bfailure\b"
        r"|\bdecompensation|\b(?<!hounsfield )b-lines\b|\bkerley(?:'?s)?(?: [ab])?(?: lines?)?"
        r"|\bseptal lines\b|\binterlobular septal thickening",
    ),
    wording(
        "Vascular Congestion",
        r"\b(?:pulmonary |central |venous )*(?:vascular|pulmonary|venous"
        r"|vessel) (?:\w+ )?(?:congestion|engorgement|redistribution|prominence"
        r"|hypertension(?= pattern))\b|\b(?:pulmonary )?venous hypertension\b|\bplethor\w+"
        r"|\bcongest(?:ion|ed)\b|\bcongestive (?:changes?|pattern|findings?)|\b(?:pulmonary "
        r"|central |lung )?(?:vascular\w*|vasculature|vessels?|vascular markings?)"
        rf" {IS}(?:\w+ly )?(?:congested|engorged|prominent|redistributed|increased)"
        r"|\bcephali[sz]\w+|\bupper lobe (?:blood |venous |vascular )?diversion|\b(?:prominent"
        r"|engorged|indistinct|congested|increased) (?:central |pulmonary "
        r"|perihilar )*(?:vascular\w*|vasculature|vessels)(?! pedicle)(?: markings?)?"
        r"|\b(?:prominence|indistinctness|engorgement) of the (?:central |pulmonary "
        r"|perihilar )*(?:vascul\w+|vessels)",
    ),
    wording("Consolidation", r"\bconsolidat\w+(?: opacit\w+)?"),
    wording(
        "Pneumonia",
        r"\blrti\b|\b(?:broncho|pleuro)?pneumoni(?:as?|tis|c)\b|\b(?:super)?infect(?:ion|ious"
        r"|ions|ive)\b|\bpna\b",
    ),
    wording(
        "Atelectasis",
        r"\batelec\w+(?: (?:opacit|densit|chang)\w+)?|(?<!vertebral )(?<!vertebra )(?<!body"
        r" )\bcollapse(?:d|s)?\b(?! (?:of )?(?:the )?(?:\w+ )?vertebra)",
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
        r"|ces)\b|\b(?:loculated|layering|free) fluid\b(?! level)|\bempyema\b|\bfluid (?:in"
        r"|within|along) the (?:\w+ ){0,3}fissures?|\bfissural fluid\b|\bfluid (?:in|within"
        r"|at the [\w ]{3,20} in) the pleural",
    ),
    wording(
        "Blunted Costophrenic Angle",
        r"\b(?:blunt\w*|loss(?= of the (?:\w+ )?costo)|obscur\w+|obliterat\w+"
        r"|effacement)\b(?: of (?:the |both )?(?:[\w-]+ ){0,2}?(?:costophrenic|cp) (?:angles?"
        r"|sulc\w+))?",
        r"\b(?:costo|cardio)?-?phrenic|\bcp angle|\bsulc(?:us|i)\b|\bcostophrenic|\bcpa\b",
    ),
)
