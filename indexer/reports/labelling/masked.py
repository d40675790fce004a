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
    r"|nodul\w+|lesions?|tumors?|cancers?|carcinomas?|neoplasms?|metasta\w+|malignan\w+|densit\w+"
    r"|abscess|scars?)\b|\b(?:mass(?:es)?|nodul\w+|lesions?|tumors?|cancer|carcinoma|neoplasm"
    r"|malignancy|metasta\w+(?: (?:disease|lesions?))?) (?:of|in|to|within) (?:the )?(?:(?:left"
    r"|right|upper|lower) )*(?:kidney|liver|breast|thyroid|abdomen|pelvis|spleen|pancreas|adrenal"
    r"|neck|brain|ovary|colon|prostate|bladder|bones?)\w*|\b(?:cerebral|intracranial|popliteal"
    r"|ventricular|septal|splenic|abdominal) aneurysm\w*|\b(?:axillary|inguinal|cervical"
    r"|supraclavicular|retroperitoneal) (?:lymph)?(?:adenopath\w+|nodes?)|\bmass effect"
    r"|\bno (?:evidence of )?(?:\w+ )?(?:leads?|wires?|hardware|screws?|catheters?"
    r"|lines?) (?:fracture|break|discontinuity|complication|kink|failure)\w*|\bnipple shadows?"
    r"|\b(?:body )?mass index|\b(?:urinary(?: tract)?|wound|sinus|skin|throat|ear|dental|bladder"
    r"|bone|bony|osseous|joint) infections?|\bbreast (?:prosthes[ie]s|implants?|tissue densit\w+)"
    r"|\bdental (?:hardware|plates?)|\b(?:ekg|ecg|telemetry|monitor\w*) (?:leads?|wires?|lines?"
    r"|devices?)|\b(?:external|overlying) (?:monitoring )?(?:leads?|wires?)\b|\b(?:valv(?:e|ular)"
    r"|annul\w+|mitral|coronary(?: arter\w+)?|costochondral|cartilage|rotator|tracheobronchial"
    r"|splenic(?: arter\w+)?|carotid|breast|tendon|ligament\w*|tracheal|soft tissue|thyroid"
    r"|vertebral|disc) calcifi\w+|\bcalcified (?:\w+ )?(?:valve|annulus|coronar\w+|cartilages?"
    r"|costochondral|splenic|uterine)|\bcalcif\w+ (?:of|in) the (?:\w+ )?(?:valve|annulus"
    r"|coronar\w+|costochondral|cartilage)\w*|\b(?:inguinal|umbilical|ventral|incisional|femoral"
    r"|abdominal wall|parastomal) hernia\w*|\b(?:support |medical )?(?:lines|tubes"
    r"|devices)(?: ?(?:and|/|,|&) ?(?:tubes|lines|devices|drains))* ?: (?!none|nil|no\b|negative"
    r"|absent|not\b|present|yes\b|seen|unchanged|stable|as (?:before|described|above))"
    r"|\bdis[ck] herniat\w+|\bherniated (?:disc|disk|nucleus)\w*|\bhernia (?:repair|mesh)"
    r"|\bnasal (?:cannula|oxygen)|\bairway (?:disease )?(?:is|are) patent|\bpneumonia (?:vaccin"
    r"|severity)\w*"
)
"""Blanked before anything is looked for."""

CONDITION = re.compile(
    r"(?<!unclear )(?<!uncertain )(?<!known )(?<!certain )(?<!determine )\bif\b[^,;]{0,140}"
    r"|\b(?:should|were) (?:symptoms|there)\b[^,;]{0,100}|\bshould\b(?=[^,;]{0,40}\b(?:suspect"
    r"|concern|persist|clinical))[^,;]{0,100}|\b(?:recommend\w*|suggest|advise\w*"
    r"|consider) (?:\w+ )?(?:follow|repeat|further|ct|correlation|comparison|dedicated|chest ct"
    r"|imaging|clinical)[^,;]{0,140}"
)
"""Advice and conditions: what they name is not said to be there."""

FOREIGN = re.compile(
    r"\b(?:keine?[nrms]?|nicht|ohne|und|oder|mit|pas d[e']|sans|aucune?|absence de|ni|geen|zonder"
    r"|niet|nessun[ao]?|senza|assenza|sin|ausencia|sem|aus\u00eancia|n\u00e3o|nenhuma?|ingen)\b"
)
"""Words of other languages that deny or join: such a sentence is not read with English rules."""
