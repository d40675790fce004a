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
        r"\b(?:low|lower|small|diminished|reduced|decreased|shallow) (?:lung "
        r"|inspiratory )?volumes?\b"
        rf"|\b(?:lung )?volumes? {IS}(?:low|small|reduced|diminished|decreased)\b"
        r"|\bhypo(?:inflat\w+|ventilat\w+|aerat\w+|expan\w+)|\bunder-?(?:inflat\w+|aerat\w+)"
        r"|\b(?:shallow|poor|low|suboptimal|limited|decreased|incomplete"
        r"|submaximal) (?:degree of |lung )?(?:inspirat\w+(?: effort)?|inflation|expansion"
        r"|aeration)|\bpoorly (?:inflated|expanded|aerated)",
    ),
    wording(
        "Enlarged Cardiomediastinum",
        r"\b(?:cardio)?mediastin(?:al|um)(?: \w+)? (?:widening|enlargement|prominence|fullness)\b"
        r"|\b(?:widening|enlargement|prominence|fullness) of (?:the )?(?:[\w-]+"
        r" ){0,2}?(?:cardio)?mediastin\w+(?: (?:silhouette|contours?|shadow))?|\b(?:widened"
        r"|enlarged|prominent|wide) (?:[\w-]+ )?(?:cardio)?mediastin\w+\b(?! (?:and hilar "
        r"|\w+ )?(?:lymph|nod|mass|aden))(?: (?:silhouette|contours?|shadow))?",
    ),
    wording(
        "Cardiomegaly",
        r"\bcardiomeg\w+|\b(?:cardiac|heart) enlargement\b|\b(?:enlargement|prominence"
        r"|increase in (?:the )?size) (?:of|in) (?:the )?(?:right |left )?(?:heart"
        r"|cardiac (?:silhouette|shadow|contours?|size))\b(?! border)"
        r"|\bincreased? (?:in )?(?:heart|cardiac) size\b|\b(?:left )?ventricular enlargement\b"
        r"|\benlarged,? (?:\w+,? )?heart\b|\b(?:enlarged|prominent|large"
        r"|dilated) (?:\w+ )?(?:heart|cardiac)\b(?: (?:silhouette|shadow|contours?|size))?"
        r"|\bcardiac dilat\w+",
    ),
    wording(
        "Mediastinal Shift",
        r"\b(?:tracheal?|mediastin\w+|cardiac|heart) (?:(?!silhouette"
        r"|size)[\w-]+ ){0,4}?(?:shift\w*|deviat\w+|displac\w+|pushed|pulled)\b|\b(?:shift\w*"
        r"|deviat\w+|displac\w+) (?:of )?(?:the )?(?:[\w-]+ ){0,2}(?:tracheal?|mediastin\w+"
        r"|midline|heart)(?: structures)?|\bmidline shift\b",
    ),
    wording(
        "Lymphadenopathy",
        r"(?<=\bno )nodes\b|"
        rf"\b(?:lymph )?nodes? {IS}(?:enlarged|prominent)\b"
        r"|\b(?:lymph)?adenopath\w+|\blymphadenopath\w+|\b(?:enlarged|prominent"
        r"|bulky) (?:\w+ ){0,2}(?:lymph )?nodes?\b|\b(?:lymph )?nod(?:e|al) enlargement",
    ),
    wording(
        "Hilar Enlargement",
        rf"\b(?:bi)?hil(?:ar|um|a) (?:shadows? |contours? )?{IS}(?:\w+ly )?(?:enlarge\w*"
        rf"|prominen\w+|bulky"
        r"|full(?:ness)?\b|promin\w+)|\b(?:enlarge\w*|prominen\w+|full(?:ness)?|bulky"
        r"|large) (?:of (?:the )?)?(?:(?:right|left|bilateral|both|the) )*hil(?:a|ar"
        r"|um)\b(?! (?:and \w+ \w+ )?(?:lymph|aden|nod|mass))(?: \w*contours?)?|\b(?:enlarge\w*"
        r"|prominen\w+|dilat\w+) (?:(?:of|the|central|main|right|left) )*pulmonary (?:arter\w+"
        r"|outflow)|\bpulmonary (?:arter\w+|outflow tract) (?:(?:is|are|appears?"
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
        r"|\bsclerotic\b(?= (?:\w+ )?aort)|(?<=aorta is )sclerotic",
        r"\baort\w+|\barch\b|\bthoracic vessels|\bknob\b|\bknuckle\b",
    ),
    wording(
        "Aortic Enlargement",
        r"\b(?:dilat\w+|ectas\w+|ectat\w+|aneurysm\w*)\b(?! (?:\w+ )?(?:bowel|pulmonary|bronch"
        r"|loops|esoph|stomach|vessels|heart|cardiac|ventric|airway"
        r"|colon))(?! of the (?:\w+ )?(?:esoph|bowel|pulmonary|heart|stomach|colon"
        r"|bronch))(?: (?:of the )?(?:thoracic |ascending |descending )*aorta\b)?"
        rf"|\baort(?:a|ic) (?:(?:knob|arch|root|contour|shadow) )?{IS}(?:enlarge\w*|prominen\w+)"
        r"|\b(?:enlarge\w*|prominen\w+) (?:(?:of|the|and|tortuous|thoracic|ascending"
        r"|descending) ){0,4}aort\w+(?: knob| arch)?|\b(?:aortic|thoracic) aneurysm\w*",
        r"\baort\w*|\barch\b|\bthoracic vessels|\baneurysm",
    ),
    wording(
        "Elevated Hemidiaphragm",
        r"\b(?:elevat\w+|raised|eventrat\w+|high[- ]riding"
        r"|(?<!too )high(?=(?: \w+)? (?:hemi)?diaph|[,.;]|$))\b(?: (?:of )?(?:the )?(?:(?:left"
        r"|right|both|bilateral) )?(?:hemi)?diaphragms?\b)?",
        r"diaphragm|eventrat",
    ),
    wording("Hernia", r"\bhernia\w*\b|\bintrathoracic stomach\b"),
    wording(
        "Scoliosis",
        r"\b(?:dextro|levo|kypho|roto)?-?scolio\w+|\b(?:dextro|levo)-?convex\w*(?: curvature)?"
        r"|\b(?:dextro|levo)curvature\b|\bs-? ?shaped curv\w+|\b(?:right|left)ward curvature"
        r"|(?<!kyphotic )\b(?:lateral )?curvature of the (?:\w+ ){0,2}spine|\bspin(?:e"
        r"|al) curvature\b",
    ),
    wording(
        "Scoliosis",
        r"\bconvex(?:ity)?(?: [\w-]+){0,5}? to(?:wards?)? (?:the )?(?:right|left)\b"
        r"|\bconvex(?:ity)? (?:right|left)\b|\b(?:right|left)(?:ward)?[- ]convex(?:ity)?\b",
        r"\bspin(?:e|al)\b|\bvertebra|\bthoraco-?lumbar\b|\blumbar\b|\bcurv\w+",
        describes=True,
    ),
    wording("Kyphosis", r"\b(?:hyper)?kypho(?:sis|tic|scolio\w+)\b"),
    wording(
        "Degenerative Change",
        r"\bdegenerat\w+(?: (?:changes?|disease|disc disease|spurring|joint disease))?"
        r"|\bspondyl\w+|\bosteophyt\w*|\bdjd\b|\bskeletal hyperostosis\b|\boa\b|\bddd\b"
        r"|\bspurring\b|\bspurs?\b|\b(?:osteo)?arthr(?:itis|itic|osis|opathy)\b"
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
        r"|compatible with|representing|possible|likely|probable|suggest\w*"
        r"|in keeping with) (?:[\w-]+ ){0,2}?fractur\w+|\b(?:ribs?|costal)\b(?: (?!and\b|or\b|no"
        r"|may\b|with|is\b|are\b)[\w-]+){0,3}? (?:fractur\w+|fx)\b|\b(?:fractur\w+"
        r"|fx) (?:(?!and\b|or\b|no|with|is\b|are\b|may\b)[\w'-]+,? (?:and )?){0,6}?ribs?\b",
    ),
    wording(
        "Vertebral Fracture",
        rf"\b(?:compression|wedge|burst|{_SPINE})(?: (?!and\b|or\b|no|with|is\b|are\b"
        rf"|may\b)[\w-]+){{0,2}}?"
        r" (?:fractur\w+|compression\b(?: fractur\w+| deformit\w+)?)"
        rf"|\b(?:fractur\w+|compression) (?:deformit\w+ )?(?:of|in|at"
        rf"|involving) (?:the )?(?:[\w-]+ ){{0,3}}?{_SPINE}\b|\bcompression (?:deformit\w+"
        rf"|fractur\w+)|\bwedg(?:ing|e deformit\w+)"
        r"|\b(?:loss of|decreased|reduced) (?:[\w-]+ ){0,2}?height\b|\b(?:vertebra\w*"
        r"|body) height loss|\bheight loss (?:of|at|in)\b|\bvertebra\w* (?:body )?(?:is "
        r"|are )?(?:\w+ly )?(?:collapse\w*|compress\w+|wedged)|\b(?:collapse\w*|compress\w+"
        r"|wedged) (?:of )?(?:the )?(?:[\w-]+ )?vertebra\w*|\bwedged\b(?= (?:\w+ )?vertebra)",
    ),
    wording("Other Fracture", r"\bfractur\w+|\bfx\b"),
)
