"""How reports word the findings of heart, mediastinum, diaphragm and bones."""

from indexer.reports.labelling.wording import IS, Wording, wording

_SPINE = r"(?:vertebra\w*|spin(?:e|al)|thoracic|lumbar|[tl] ?-?\d{1,2}|disc|dis[ck]s?)"

CHEST: tuple[Wording, ...] = (
    wording(
        "Hyperinflation",
        r"\bhyper-?(?:inflat\w+|expan\w+|aerat\w+|lucen\w+|distend\w+)|\boverinflat\w+"
        r"|\bover-?expan\w+|\bair[- ]?trapping\b|\b(?:increased|large) lung volumes?"
        rf"|\blung volumes? {IS}(?:increased|large|high)"
        r"|\bflatten\w* (?:of )?(?:(?:the|both|bilateral|hemi-?) ?)*(?:hemi-?)?diaphragm\w*"
        rf"|\b(?:hemi)?diaphragms? {IS}flat(?:ten\w*)?\b|\bflat (?:hemi)?diaphragms?"
        r"|\bincreased retrosternal (?:air ?-?space|clear space|space|lucency)",
    ),
    wording(
        "Low Lung Volumes",
        r"\b(?:low|lower|small|diminished|reduced|decreased|shallow) (?:lung |inspiratory"
        r" )?volumes?\b"
        rf"|\b(?:lung )?volumes? {IS}(?:low|small|reduced|diminished)\b"
        r"|\bhypo(?:inflat\w+|ventilat\w+|aerat\w+|expan\w+)|\bunder-?(?:inflat\w+|aerat\w+)"
        r"|\b(?:shallow|poor|low|suboptimal|limited|decreased|incomplete|submaximal) (?:degree of "
        r"|lung )?(?:inspirat\w+(?: effort)?|inflation|expansion|aeration)|\bpoorly (?:inflated"
        r"|expanded|aerated)",
    ),
    wording(
        "Enlarged Cardiomediastinum",
        r"\b(?:cardio)?mediastin(?:al|um)(?: \w+)? (?:widening|enlargement|prominence|fullness)\b"
        r"|\b(?:widening|enlargement|prominence|fullness) of (?:the )?(?:[\w-]+ ){0,2}?"
        r"(?:cardio)?mediastin\w+(?: (?:silhouette|contours?|shadow))?"
        r"|\b(?:widened|enlarged|prominent|wide) (?:[\w-]+ )?(?:cardio)?mediastin\w+\b"
        r"(?! (?:and hilar |\w+ )?(?:lymph|nod|mass|aden))(?: (?:silhouette|contours?|shadow))?",
    ),
    wording(
        "Cardiomegaly",
        r"\bcardiomeg\w+|\b(?:cardiac|heart) enlargement\b"
        r"|\b(?:enlargement|prominence|increase in (?:the )?size) of the (?:right |left )?"
        r"(?:heart|cardiac (?:silhouette|shadow|contours?|size))\b(?! border)"
        r"|\bincreased? (?:in )?(?:heart|cardiac) size\b|\b(?:left )?ventricular enlargement\b"
        r"|\benlarged,? (?:\w+,? )?heart\b"
        r"|\b(?:enlarged|prominent|large|dilated) (?:\w+ )?(?:heart|cardiac)\b"
        r"(?: (?:silhouette|shadow|contours?|size))?|\bcardiac dilat\w+",
    ),
    wording(
        "Mediastinal Shift",
        r"\b(?:trache\w+|mediastin\w+|cardiac|heart) (?:(?!silhouette|size)[\w-]+"
        r" ){0,4}?(?:shift\w*"
        r"|deviat\w+|displac\w+|pushed|pulled)\b|\b(?:shift\w*|deviat\w+|displacement) of (?:the"
        r" )?"
        r"(?:[\w-]+ ){0,2}(?:trache\w+|mediastin\w+|midline|heart)(?: structures)?"
        r"|\bmidline shift\b",
    ),
    wording(
        "Lymphadenopathy",
        r"(?<=\bno )nodes\b|"
        rf"\b(?:lymph )?nodes? {IS}(?:enlarged|prominent)\b"
        r"|\b(?:lymph)?adenopath\w+|\blymphadenopath\w+|\b(?:enlarged|prominent|bulky) (?:\w+"
        r" ){0,2}"
        r"(?:lymph )?nodes?\b|\b(?:lymph )?nod(?:e|al) enlargement",
    ),
    wording(
        "Hilar Enlargement",
        rf"\bhil(?:ar|um|a) (?:shadows? |contours? )?{IS}(?:\w+ly )?(?:enlarge\w*|prominen\w+|bulky"
        r"|full(?:ness)?\b|promin\w+)|\b(?:enlarge\w*|prominen\w+|full(?:ness)?|bulky|large)"
        r" (?:of (?:the )?)?(?:(?:right|left|bilateral|both|the) )*hil(?:a|ar|um)\b(?! (?:and \w+"
        r" \w+ )?(?:lymph|aden|nod|mass))(?: \w*contours?)?"
        r"|\b(?:enlarge\w*|prominen\w+|dilat\w+) (?:(?:of|the|central|main|right|left) )*"
        r"pulmonary (?:arter\w+|outflow)|\bpulmonary (?:arter\w+|outflow tract) (?:(?:is|are"
        r"|appears?"
        r"|segment) )*(?:\w+ly )?(?:enlarge\w*|prominen\w+|dilat\w+)"
        r"|\bpulmonary (?:arterial )?hypertension\b",
    ),
    wording(
        "Tortuous Aorta",
        r"(?:\b|(?<=\bnon))(?:tortuo\w+|unfold\w*|uncoil\w*|elongat\w+|tortuosity)\b",
        r"\baort\w+|\bgreat vessels|\bthoracic vessels|\barch\b|\bmediastin",
    ),
    wording(
        "Aortic Calcification",
        r"(?:\b|(?<=\bnon))calcif\w+|\batheroscl\w+|\barterioscl\w+|\batheroma\w*"
        r"|\bsclerotic\b(?= (?:\w+ )?aort)"
        r"|(?<=aorta is )sclerotic",
        r"\baort\w+|\barch\b|\bthoracic vessels|\bknob\b|\bknuckle\b",
    ),
    wording(
        "Aortic Enlargement",
        r"\b(?:dilat\w+|ectas\w+|ectat\w+|aneurysm\w*)\b(?! (?:\w+ )?(?:bowel|pulmonary|bronch"
        r"|loops"
        r"|esoph|stomach|vessels|heart|cardiac|ventric|airway|colon))(?! of the (?:\w+ )?(?:esoph"
        r"|bowel"
        r"|pulmonary|heart|stomach|colon|bronch))"
        rf"|\baort(?:a|ic) (?:(?:knob|arch|root|contour|shadow) )?{IS}(?:enlarge\w*|prominen\w+)"
        r"|\b(?:enlarge\w*|prominen\w+)"
        r" (?:(?:of|the|and|tortuous|thoracic|ascending|descending) ){0,4}aort\w+(?: knob| arch)?"
        r"|\b(?:aortic|thoracic) aneurysm\w*",
        r"\baort\w*|\barch\b|\bthoracic vessels|\baneurysm",
    ),
    wording(
        "Elevated Hemidiaphragm",
        r"\b(?:elevat\w+|raised|eventrat\w+|high[- ]riding"
        r"|(?<!too )high(?=(?: \w+)? (?:hemi)?diaph|[,.;]|$))\b"
        r"(?: (?:of )?(?:the )?(?:(?:left|right|both|bilateral) )?(?:hemi)?diaphragms?\b)?",
        r"diaphragm|eventrat",
    ),
    wording("Hernia", r"\bhernia\w*\b|\bintrathoracic stomach\b"),
    wording("Scoliosis", r"\b(?:dextro|levo|kypho|roto)?-?scolio\w+|\bdextrocurvature\b"
            r"|\blevocurvature\b|\bs-? ?shaped curv\w+|\b(?:right|left)ward curvature"
            r"|(?<!kyphotic )\b(?:lateral )?curvature of the (?:\w+ ){0,2}spine|\bspinal"
            r" curvature\b"),
    wording("Kyphosis", r"\b(?:hyper)?kypho(?:sis|tic|scolio\w+)\b"),
    wording(
        "Degenerative Change",
        r"\bdegenerat\w+(?: (?:changes?|disease|disc disease|spurring|joint disease))?"
        r"|\bspondyl\w+"
        r"|\bosteophyt\w*|\bdjd\b|\boa\b|\bddd\b|\bspurring\b|\bspurs?\b|\b(?:osteo)?arthr(?:itis"
        r"|itic|osis|opathy)\b"
        r"|\bdis[ck] (?:space )?(?:narrowing|disease)|\bendplate (?:sclerosis|changes?)|\bdish\b"
        r"|\bhypertrophic (?:changes?|spurring)|\bsyndesmophyt\w+",
    ),
    wording(
        "Osteopenia",
        r"\b(?:reduced|decreased|low|diminished) bon[ey] (?:mineral )?(?:density|mineralization)"
        r"|\bosteopen\w+|\bosteopor\w+|\bdeminerali[sz]\w+|\bbone (?:mineral )?loss\b",
    ),
)  # fmt: skip

FRACTURES: tuple[Wording, ...] = (
    wording(
        "Rib Fracture",
        r"\bbroken ribs?\b|\bribs?, ?\?\s?fractur\w+|\bribs?, (?:suspicious for|consistent with"
        r"|compatible with"
        r"|representing|possible|likely|probable"
        r"|suggest\w*|in keeping with) (?:[\w-]+ ){0,2}?fractur\w+"
        r"|\b(?:ribs?|costal)\b(?: (?!and\b|or\b|no|may\b|with|is\b|are\b)[\w-]+){0,3}?"
        r" (?:fractur\w+|fx)\b"
        r"|\b(?:fractur\w+|fx) (?:(?!and\b|or\b|no|with|is\b|are\b|may\b)[\w'-]+,? (?:and"
        r" )?){0,6}?ribs?\b",
    ),
    wording(
        "Vertebral Fracture",
        rf"\b(?:compression|wedge|burst|{_SPINE})(?: (?!and\b|or\b|no|with|is\b|are\b"
        rf"|may\b)[\w-]+){{0,2}}?"
        r" (?:fractur\w+|compression\b(?: fractur\w+| deformit\w+)?)"
        rf"|\b(?:fractur\w+|compression) (?:deformit\w+ )?(?:of|in|at|involving) (?:the"
        rf" )?(?:[\w-]+ ){{0,3}}?"
        rf"{_SPINE}\b|\bcompression (?:deformit\w+|fractur\w+)|\bwedg(?:ing|e deformit\w+)"
        r"|\b(?:loss of|decreased|reduced) (?:[\w-]+ ){0,2}?height\b|\b(?:vertebra\w*|body)"
        r" height loss"
        r"|\bheight loss (?:of|at|in)\b|\bvertebra\w* (?:body )?(?:is |are )?(?:\w+ly"
        r" )?(?:collapse\w*"
        r"|compress\w+|wedged)|\b(?:collapse\w*|compress\w+|wedged) (?:of )?(?:the )?"
        r"(?:[\w-]+ )?vertebra\w*|\bwedged\b(?= (?:\w+ )?vertebra)",
    ),
    wording("Other Fracture", r"\bfractur\w+|\bfx\b"),
)
