"""Words that look like a finding of the chest, or like a cue, and are none."""

import re

_ELSEWHERE = (
    r"(?:renal|kidney|hepatic|liver|adrenal|breast|thyroid|abdominal|pelvic|splenic|spleen"
    r"|pancrea\w+|neck|brain|cerebral|intracranial|ovarian|colon\w*|rectal|gastric|prostat\w+"
    r"|axillary|retroperitoneal|skin|cutaneous|hiatal|uterine|bladder|scrotal|nasal|oral|head"
    r"|cardiac|atrial|intracardiac|esophageal|laryngeal)"
)
_LIMB = (
    r"(?:ankle|knee|elbow|wrist|leg|lower extremity|extremity|extremities|peripheral|pedal|foot"
    r"|feet|limb|facial|soft[- ]tissue|subcutaneous|chest wall|cerebral|brain|bone marrow|scrotal"
    r"|body wall|skin|macular|laryngeal|dependent|joint|hip|shoulder|pericardial|bowel)"
)

MASKED = re.compile(
    r"\bend[- ]?plates?\b(?! (?:sclerosis|changes?|degenerat))|\bplate-? ?like\b"
    r"|\bplate (?=atelecta)|\bgrowth plates?\b|\b(?:name|photographic|x-?ray) plates?\b"
    rf"|\b(?:pericardial|{_LIMB}) (?:(?:or|and) )?(?:effusions?|fluid)\b"
    r"|\beffusions? (?:of|in) the (?:\w+ )?(?:joint|knee|elbow|hip|pericard\w+|shoulder)"
    rf"|\b{_LIMB} (?:edema|densit\w+|mass(?:es)?|opacit\w+)"
    r"|\bedema (?:of|in) the (?:[\w-]+ )?(?:legs?|ankles?|extremit\w+|soft tissues?|brain|bowel)"
    r"|\b(?:renal|respiratory|hardware|kidney|liver|hepatic|multi-?organ|graft|treatment|device"
    r"|bone marrow|pump) failure"
    rf"|\b{_ELSEWHERE} (?:(?:and|or) \w+ )?(?:(?!lung|pulmonary|pleural)[\w-]+ )?(?:mass(?:es)?"
    r"|nodul\w+|lesions?|tumors?|cancers?|carcinomas?|neoplasms?|metasta\w+|malignan\w+"
    r"|densit\w+|abscess|scars?)\b"
    r"|\b(?:mass(?:es)?|nodul\w+|lesions?|tumors?|cancer|carcinoma|neoplasm|malignancy"
    r"|metasta\w+(?: (?:disease|lesions?))?)"
    r" (?:of|in|to|within) (?:the )?(?:(?:left|right|upper|lower) )*"
    r"(?:kidney|liver|breast|thyroid|abdomen|pelvis|spleen|pancreas|adrenal|neck|brain|ovary|colon"
    r"|prostate|bladder|bones?)\w*"
    r"|\b(?:cerebral|intracranial|popliteal|ventricular|septal|splenic|abdominal) aneurysm\w*"
    r"|\bmass effect|\bnipple shadows?|\b(?:body )?mass index"
    r"|\b(?:urinary(?: tract)?|wound|sinus|skin|throat|ear|dental|bladder|bone|bony|osseous"
    r"|joint) infections?"
    r"|\bbreast (?:prosthes[ie]s|implants?|tissue densit\w+)|\bdental (?:hardware|plates?)"
    r"|\b(?:ekg|ecg|telemetry|monitor\w*) (?:leads?|wires?|lines?|devices?)"
    r"|\b(?:external|overlying) (?:monitoring )?(?:leads?|wires?)\b"
    r"|\b(?:valv(?:e|ular)|annul\w+|mitral|coronary(?: arter\w+)?|costochondral|cartilage|rotator"
    r"|tracheobronchial|splenic(?: arter\w+)?|carotid|breast|tendon|ligament\w*|tracheal"
    r"|soft tissue|thyroid|vertebral|disc) calcifi\w+"
    r"|\bcalcified (?:\w+ )?(?:valve|annulus|coronar\w+|cartilages?|costochondral|splenic|uterine)"
    r"|\bcalcif\w+ (?:of|in) the (?:\w+ )?(?:valve|annulus|coronar\w+|costochondral|cartilage)\w*"
    r"|\b(?:inguinal|umbilical|ventral|incisional|femoral|abdominal wall|parastomal) hernia\w*"
    r"|\b(?:support |medical )?(?:lines|tubes|devices)(?: ?(?:and|/|,|&) ?(?:tubes|lines|devices"
    r"|drains))*"
    r" ?: (?!none|nil|no\b|negative|absent|not\b)"
    r"|\bdis[ck] herniat\w+|\bherniated (?:disc|disk|nucleus)\w*|\bhernia (?:repair|mesh)"
    r"|\bnasal (?:cannula|oxygen)|\bairway (?:disease )?(?:is|are) patent"
    r"|\bpneumonia (?:vaccin|severity)\w*"
)
"""Blanked before anything is looked for."""

CONDITION = re.compile(
    r"(?<!unclear )(?<!uncertain )(?<!known )(?<!certain )(?<!determine )\bif\b[^,;]{0,140}"
    r"|\b(?:should|were) (?:symptoms|there)\b[^,;]{0,100}"
    r"|\bshould\b(?=[^,;]{0,40}\b(?:suspect|concern|persist|clinical))[^,;]{0,100}"
    r"|\b(?:recommend\w*|suggest|advise\w*|consider) (?:\w+ )?(?:follow|repeat|further|ct"
    r"|correlation"
    r"|comparison|dedicated|chest ct|imaging|clinical)[^,;]{0,140}"
)
"""Advice and conditions: what they name is not said to be there."""

FOREIGN = re.compile(
    r"\b(?:keine?[nrms]?|nicht|ohne|und|oder|mit|pas d[e']|sans|aucune?|absence de|ni|geen|zonder"
    r"|niet"
    r"|nessun[ao]?|senza|assenza|sin|ausencia|sem|aus\u00eancia|n\u00e3o|nenhuma?|ingen)\b"
)
"""Words of other languages that deny or join: such a sentence is not read with English rules."""
