"""The words of attributes, against the plain text of a sentence."""

import re

from indexer.reports.labelling.mention import Age, Comparison, Degree


def _table(*rows: tuple[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((value, re.compile(pattern)) for value, pattern in rows)


RIGHT = re.compile(
    r"\bright(?:ward)?\b(?! (?:ventric|atri|main ?stem|main bronch))|\brt\b"
    r"|(?<![\w'.])r(?=[ )-](?!lateral decub))|\br[uml][lz]\b|\brij\b|\bright-?sided\b"
)
LEFT = re.compile(
    r"\bleft(?:ward)?\b(?! (?:ventric|atri|main ?stem|main bronch))|\blt\b"
    r"|(?<![\w'.])l(?=[ )-](?!\d\b))|\bl[ulm][lz]\b|\blij\b|\blingul\w+|\bleft-?sided\b"
)
BOTH = re.compile(
    r"\bbilateral\w*|\bboth\b|\bbi-?(?:basilar|basal|apical|hilar|lateral|lobar)\w*|\bbases\b"
    r"|\bapices\b|\bhemidiaphragms\b|\bbilat\b|\bon either side\b|\bhila\b"
)

LOCATIONS = _table(
    ("upper lobe", r"\bupper(?:,? (?:and|or|&|middle|mid|lower|to))* lobes?\b|\b[rl]ul\b|\bupper"
                   r" and (?:left |right )?(?:lower|middle) lobes?\b"),
    ("middle lobe", r"\b(?:middle|mid)(?:,? (?:and|or|lower))* lobes?\b|\brml\b"),
    ("lower lobe", r"\blower(?:,? (?:and|or))? lobes?\b|\b[rl]ll\b|\blower lobar\b"),
    ("lingula", r"\blingul\w+"),
    ("apex", r"\bap(?:ex|ices|ical)\b|\bbiapical\b"),
    ("upper zone", r"\b[rl]uz\b|\bupper (?:lung )?(?:zones?|fields?|lungs?|hemithora\w+)\b"
                   r"|\bupper lung"),
    ("mid zone", r"\b[rl]mz\b|\bmid(?:dle)?[- ]?(?:lung )?(?:zones?|fields?|lungs?)\b"
                 r"|\bmid-?lungs?\b"),
    ("lower zone", r"\b[rl]lz\b|\blower (?:lung )?(?:zones?|fields?|lungs?|hemithora\w+)\b"),
    ("base", r"\bbas(?:e|es|al|ilar)\b|\bbi-?bas(?:al|ilar)\w*"),
    ("perihilar", r"\bperi-?hilar\b"),
    ("suprahilar", r"\bsupra-?hilar\b"),
    ("infrahilar", r"\binfra-?hilar\b"),
    ("hilum", r"(?<!peri)(?<!supra)(?<!infra)(?<![\w-])hil(?:um|ar|a)\b"),
    ("retrocardiac", r"\bretro-?cardiac\b|\bbehind the heart\b"),
    ("costophrenic angle", r"\b(?:costophrenic|cp) (?:angles?|sulc\w+|recess\w*)|\bcpas?\b"),
    ("fissure", r"\bfissur\w+"),
    ("paratracheal", r"\bparatracheal\b"),
    ("peripheral", r"\bperipher(?:al|y|ally)\b(?! inserted)"),
    ("central", r"\bcentral(?:ly)?\b(?! (?:venous|line|cath))"),
    ("diffuse", r"\bdiffuse(?:ly)?\b|\bthroughout\b|\bwidespread\b"),
    ("focal", r"\bfocal\b"),
    ("anterior", r"\banterior(?:ly)?\b"),
    ("posterior", r"\bposterior(?:ly)?\b"),
    ("lateral", r"\blateral(?:ly)?\b(?! (?:view|radiograph|film|projection|image))(?!\s*(?:$"
                r"|[.,;]))"),
    ("medial", r"\bmedial(?:ly)?\b"),
    ("aortic arch", r"\b(?:aortic )?(?:arch|knob|knuckle)\b"),
    ("ascending aorta", r"\bascending (?:thoracic )?aort"),
    ("descending aorta", r"\bdescending (?:thoracic )?aort"),
)  # fmt: skip

DEVICE_PLACES = tuple(
    row for row in LOCATIONS if row[0] not in ("central", "peripheral", "diffuse", "focal", "hilum")
)

BONES = _table(
    ("clavicle", r"\bclavic\w+"),
    ("humerus", r"\bhumer\w+"),
    ("scapula", r"\bscapul\w+"),
    ("sternum", r"\bstern(?:um|al)\b(?! wires?)"),
    ("shoulder", r"\bshoulders?\b|\bglenohumeral\b|\bacromio\w+"),
    ("thoracic spine", r"\bthoracic\b(?! aort)|\bt[- ]spine\b|\bmid-?thoracic\b"),
    ("lumbar spine", r"\blumbar\b|\bl[- ]spine\b"),
    ("cervical spine", r"\bcervical\b"),
)  # fmt: skip

_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
)
RIB_NUMBER = re.compile(
    r"\b(?P<number>\d{1,2})(?:st|nd|rd|th)?(?:,? ?(?:and|through|to|-|,) ?\d{1,2}(?:st|nd|rd"
    r"|th)?)*(?= (?:\w+ ){0,2}ribs?\b)|\bribs? (?P<after>\d{1,2})\b(?:,? ?(?:and|through|to|-|,)"
    r" ?\d{1,2})*|\b(?P<word>" + "|".join(_ORDINALS) + r")\b(?= (?:[\w-]+ ){0,5}?ribs?\b)"
)
VERTEBRA = re.compile(r"\b(?P<level>[tlc]) ?-?(?P<number>\d{1,2})\b")
ORDINAL = {word: number + 1 for number, word in enumerate(_ORDINALS)}

TIPS = _table(
    ("cavoatrial junction", r"\b(?:cavo-?atrial|svc ?/ ?(?:ra|right atri\w+)|atrio-?caval)"
                            r" junction|\bsvc-?ra\b|\bcavoatrial\b"),
    ("svc", r"\b(?:svc|superior vena cava)\b(?! ?/ ?r)(?! ?-ra)"),
    ("right atrium", r"\bright atri\w+|\bra\b"),
    ("right ventricle", r"\bright ventric\w+|\brv\b"),
    ("left ventricle", r"\bleft ventric\w+"),
    ("brachiocephalic vein", r"\bbrachiocephalic|\binnominate"),
    ("axillary vein", r"\baxillary vein|\baxilla\b"),
    ("subclavian vein", r"(?<=in )(?:the )?(?:\w+ )?subclavian(?: vein)?|\bsubclavian vein"),
    ("jugular vein", r"\b(?:in|into|within|up) (?:the )?(?:\w+ )*jugular vein"),
    ("pulmonary artery", r"\b(?:pulmonary arter\w+|pulmonary outflow|interlobar arter\w+"
                         r"|(?:main|right|left|in|the) pa\b)(?! cath)"),
    ("ivc", r"\bivc\b|\binferior vena cava\b"),
    ("carina", r"\bcarina\w*"),
    ("right main bronchus", r"\bright (?:main ?-?stem|main)(?: ?bronchus)?\b(?! pulm)"),
    ("left main bronchus", r"\bleft (?:main ?-?stem|main)(?: ?bronchus)?\b(?! pulm)"),
    ("trachea", r"\b(?:mid|upper|lower|thoracic|distal|proximal) trachea|\b(?:in|within) the"
                r" trachea|\bclavic\w+|\bthoracic inlet\b"),
    ("esophagus", r"(?<!gastro)\besophag(?:us|eal)\b(?! (?:tube|hiatus))"),
    ("gastroesophageal junction", r"\b(?:gastroesophageal|ge|gastro-esophageal) junction"),
    ("stomach", r"\bstomach\b|\bgastric (?:body|fundus|antrum|bubble|lumen)"),
    ("duodenum", r"\bduoden\w+(?! tube)|\bpost-?pyloric\b"),
    ("below the diaphragm", r"\b(?:below|beneath|under|past|beyond) the (?:\w+"
                            r" )?(?:hemi)?diaphragm|\bsubdiaphragmatic\b"
                            r"|\bout of (?:the )?(?:field of )?view|\boff the (?:\w+ )?(?:film"
                            r"|image)"),
    ("apex", r"\bapex\b|\bapical(?:ly)?\b"),
    ("base", r"\bbas(?:e|ilar|al)\b"),
)  # fmt: skip

DEGREES: tuple[tuple[Degree, re.Pattern[str]], ...] = (
    ("minimal", re.compile(r"\b(?:minimal\w*|trace|tiny|minute|scant|punctate|sliver)\b")),
    ("mild", re.compile(r"\b(?:mild\w*|small|slight\w*(?! (?:better|improv|worse|increas|decreas"
                        r"|smaller|larger|less|more))|subtle|little|low[- ]grade"
                        r"|minor(?! fissure))\b(?! caliber)")),
    ("moderate", re.compile(r"\bmoderate\w*")),
    ("severe", re.compile(
        r"\b(?:severe\w*|large|marked\w*|massive|extensive|gross(?:ly)? enlarged|huge|substantial"
        r"|advanced|sizable|considerabl\w+|prominently"
        r"|significant(?:ly)?(?= enlarged))\b(?! lung vol)"
    )),
)  # fmt: skip

SIZE = re.compile(
    r"\b(?P<numbers>\d+(?:[.,]\d+)?(?: ?(?:x|by|-|to"
    r"|\u00d7) ?\d+(?:[.,]\d+)?){0,2}) ?-?(?P<unit>mm|millimet\w+|cm|centimet\w+)\b(?: (?:x"
    r"|by) (?P<second>\d+(?:\.\d+)?) ?(?:mm|cm)\b)?"
)
EARLIER_SIZE = re.compile(
    r"\b(?:from|previously|formerly|was|were|versus|compared (?:to"
    r"|with)) (?:approximately )?\d+(?:\.\d+)?(?: ?(?:x|by) ?\d+(?:\.\d+)?)? ?-?(?:mm|cm)\b"
)
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")

_PLACE = (
    r"(?:right|left|[rl]t|(?:(?:right|left|lung|both|upper|lower|mid|middle|extreme) )*"
    r"(?:bas(?:e|es)|ap(?:ex|ices)|zones?|lobes?|lungs?|hemithorax|periphery|hil(?:um|a)|fields?))\b"
)
BETWEEN_PLACES = re.compile(
    r"\b(?:more \w+|less \w+|worse|larger|bigger|smaller|greater)(?: (?:on|at|in|over|within"
    rf"|towards?) (?:the )?{_PLACE}(?![^,;.]{{0,30}}\bthan\b)"
    r"| than (?:that |those )?(?:(?:on|at|in|of) )?(?:the )?(?:right|left|other|opposite"
    r"|contralateral)\b)"
    r"|\bcompared (?:to|with) (?:that |those )?(?:(?:on|at|in|of) )?(?:the )?(?:right|left|other"
    r"|opposite|contralateral)\b"
)
"""Compares two places of one image: "more prominent on the right"."""

COMPARISONS: tuple[tuple[Comparison, re.Pattern[str]], ...] = (
    ("new", re.compile(
        r"\b(?:new|newly|interval (?:development|appearance)|development of|developed"
        r"|re-?accumulat\w+|recurrent|placement of|insertion of|(?:been|interval) (?:placed"
        r"|inserted)|not (?:previously|seen (?:on|in) (?:the )?(?:prior|previous)))\b"
    )),
    ("larger", re.compile(
        r"\b(?:larger|increas(?:ing|ed|e)(?! (?:lung )?(?:opaci|densit|mark|interst|bronchov"
        r"|retrost|ap diam|volumes?|vascul|lucen|attenuat|heart|cardiac))|worse\w*|progress(?:ed"
        r"|ing|ion|ive)|enlarging|has (?:\w+ )?enlarged|have (?:\w+ )?enlarged|grown|growing"
        r"|more (?:prominent|extensive|conspicuous|pronounced)"
        r"|greater than (?:on )?(?:the )?(?:prior|previous)|evolving|advanced further"
        r"|bigger)\b(?! than (?:the |on the )?(?:left|right|[lr])\b)"
    )),
    ("smaller", re.compile(
        r"\b(?:smaller|decreas(?:ing|ed|e)(?! (?:lung )?(?:volum|bone|height|inspir|disc|disk"
        r"|aerat))|improv\w+|diminish(?:ed|ing)|reduced(?! (?:lung )?vol)|less (?:prominent"
        r"|extensive|conspicuous|pronounced)|clearing|regress\w+|resolving|residual|shrunk"
        r"|shrunken|(?:nearly|almost) gone|better(?: aerated)?|(?:near(?:ly)?|almost|partial\w*"
        r"|incomplete\w*|mostly|largely)[- ](?:\w+ )?resol\w+)\b"
    )),
    ("unchanged", re.compile(
        r"\b(?:unchanged|stabl[ey]|stability|similar|persist\w*|remain(?:s|ed|ing)?|again|still"
        r"|re-?demonstrat\w+|no (?:\w+ ){0,2}(?:interval )?change|not (?:\w+ ){0,2}changed"
        r"|as before|without (?:\w+ ){0,2}change|constant|no longer (?:increas|enlarg)\w+"
        r"|continued?)\b"
    )),
    ("resolved", re.compile(
        r"(?<!un)(?<!nearly )(?<!almost )(?<!partially )(?<!incompletely )(?<!near )(?<!not"
        r" )\b(?:resolved|cleared|disappeared|no longer (?:\w+ly )?(?:seen|present|visible"
        r"|identified|evident|visualized|apparent)|(?<!near )(?<!near-)(?<!incomplete"
        r" )(?<!partial )(?:complete |interval )*resolution of)\b"
    )),
    ("removed", re.compile(r"\b(?:remov(?:ed|al)|withdrawn|extubat\w+|discontinued|pulled"
                           r"|explanted)\b")),
    ("changed", re.compile(
        r"\b(?:has (?:been )?(?:changed|advanced|retracted|repositioned|replaced|exchanged"
        r"|pulled back)|(?:interval|since) (?!increase|decrease|develop|resol|remov|change\b"
        r"|improv)\w+|compared? (?:to|with)|comparison|than (?:on |in |the )*(?:prior|previous"
        r"|before)|from (?:the )?(?:prior|previous)|on today'?s|previously)\b"
    )),
)  # fmt: skip

AGES: tuple[tuple[Age, re.Pattern[str]], ...] = (
    ("acute", re.compile(r"(?<!sub)\bacute(?:ly)?\b|\brecent\b")),
    ("chronic", re.compile(
        r"\b(?:chronic\w*|old|heal(?:ed|ing)|remote(?:ly)?|prior(?= \w)|longstanding"
        r"|long-standing|age[- ]indeterminate)\b(?! (?:stud|exam|film|radiograph|image|comparison"
        r"|ct|chest|x-ray))"
    )),
)  # fmt: skip

KINDS = _table(
    ("dextro", r"\bdextro|\b(?:convex|curvature|convexity)(?: to)?(?: the)? right|\brightward curv"
               r"|\bconvex\w*(?: [\w-]+){0,5}? to(?:wards?)? (?:the )?right"
               r"|\bright(?:ward)?[- ]convex|\bright(?:ward)? (?:thoracic )?scolio"),
    ("levo", r"\blevo|\b(?:convex|curvature|convexity)(?: to)?(?: the)? left|\bleftward curv"
             r"|\bconvex\w*(?: [\w-]+){0,5}? to(?:wards?)? (?:the )?left"
             r"|\bleft(?:ward)?[- ]convex|\bleft(?:ward)? (?:thoracic )?scolio"),
    ("hiatal", r"\bhiat(?:al|us)"),
    ("calcified", r"\bcalcif|\bcalcific\b"),
    ("compression", r"\bcompress"),
    ("loculated", r"\bloculat"),
    ("layering", r"\blayering"),
    ("tension", r"\btension\b"),
    ("subpulmonic", r"\bsub-?pulmonic"),
    ("cavitary", r"\bcavit"),
    ("linear", r"\b(?:linear|plate-?like|subsegmental|discoid|bandlike|band-like|streaky)\b"),
    ("patchy", r"\bpatchy"),
    ("hazy", r"\bhaz(?:y|iness)"),
    ("nodular", r"(?<!reticulo)\bnodular"),
    ("multifocal", r"\bmultifocal|\bmultiple\b|\bscattered\b"),
    ("spiculated", r"\bspiculat"),
    ("displaced", r"(?<!non)(?<!non-)\bdisplaced"),
    ("single lead", r"\bsingle[- ](?:lead|chamber)"),
    ("dual lead", r"\b(?:dual|two|double)[- ](?:lead|chamber)|\bbiventricular"),
    ("aortic", r"\baortic valv|\baortic position|\bavr\b|\btav[ir]\b|\baortic (?:and mitral"
               r" )?(?:valv|prosth)"),
    ("mitral", r"\bmitral|\bmvr\b"),
    ("tricuspid", r"\btricuspid"),
)  # fmt: skip
