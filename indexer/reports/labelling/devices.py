"""How reports word tubes, lines and implants."""

import re

from indexer.reports.labelling.wording import Wording, wording

_LINE = r"(?:catheters?|lines?|cvc|cvl|sheaths?)"
_ACCESS = (
    r"(?:central|venous|sc|introducer|(?:hemo)?dialysis|[rl]?ij|jugular|subclavian|femoral"
    r"|hickman|quinton|tunneled|vas-?cath\w*)"
)

DEVICES: tuple[Wording, ...] = (
    wording(
        "Endotracheal Tube",
        r"\b(?:endotracheal|et|tracheal|breathing) (?:\w+ )?tubes?\b|\bett\b|\bendotracheal\b"
        r"|\bet(?= (?:and|or|/) )|(?<=\bex)tubat\w+|\bintubat\w+",
    ),
    wording(
        "Tracheostomy Tube",
        r"\btracheostomy(?: (?:tube|cannula|appliance|device))?\b|\btrachy?(?: tube)?\b",
    ),
    wording(
        "Enteric Tube",
        r"\b(?:(?:naso|oro)-?(?:gastric|enteric|duodenal|jejunal)|enteric|feeding|gastric|ng|og"
        r"|ngt|esophageal|duodenal|weighted|ryles?|ryle's|peg) ?-?(?:\w+ )?tubes?\b|\bngt\b"
        r"|\bogt\b|\bdobb?-? ?hof\w*(?: (?:feeding )?tube)?|\b(?:ng|og)(?= (?:and|or|tip|in|/))"
        r"|\bg-?tube\b|\bgastrostomy(?: tube)?",
    ),
    wording(
        "PICC",
        r"\bpicc\b(?: (?:line|catheter))?|\bperipheral(?:ly)?[- ]inserted(?: central)?(?: venous)?"
        rf"(?: {_LINE})?",
    ),
    wording(
        "Port Catheter",
        r"\b(?:port-?a-?cath\w*|porta-? ?cath\w*|(?:medi|power)-? ?ports?|infus-?a-?port"
        r"|(?:(?:chest|infusion|venous|access|chest wall|subclavian|jugular|ij"
        r"|implanted) (?:\w+ )?)?(?<!side )(?<!side-)ports?(?! (?:of|sites?)))\b(?: (?:catheter"
        r"|reservoir))?(?: tubing)?",
    ),
    wording(
        "Pulmonary Artery Catheter",
        r"\bswan-? ?ganz\b(?: catheter)?|\bswan\b|\bpa (?:catheter|line)\b|\bpac\b|\bsgc\b"
        r"|\bpulmonary arter(?:y|ial) (?:catheter|line)\b",
    ),
    wording(
        "Central Venous Catheter",
        rf"\b{_ACCESS}(?:[ -](?!tube|drain|port)[\w-]+){{0,3}}?[ -]{_LINE}\b|\bcv[cl]s?\b"
        rf"|\b{_LINE} (?:via|from) (?:a |the )?(?:\w+ )?(?:internal jugular|subclavian)"
        r"|\bperma?-?cath\w*|\bvas-? ?cath\w*|\bhickman\b|\bbroviac\b|\bquinton\b",
    ),
    wording(
        "Chest Tube",
        r"\b(?:chest|thoracostomy|thoracic|pleural|pigtail|mediastinal|apical|basilar"
        r"|intercostal) (?:(?:pigtail|pleural|drainage|drain) )*(?:tubes?|drains?|catheters?)\b"
        r"|\bpigtails?\b|(?<!biliary )(?<!abdominal )(?<!surgical )(?<!jp )(?<!peritoneal"
        r" )(?<!hepatic )\bdrains?\b(?! (?:to|into))|\bthoracostomy\b|\biccs?\b"
        r"|\bpleurx\b(?: catheter)?|\bicd (?:drain|tube)",
    ),
    wording(
        "Pacemaker",
        r"\bppm\b|\b(?:cardiac |permanent |transvenous |biventricular |dual[- ]|single[- ]|lead "
        r"|chamber )*(?:pace[- ]?makers?|pacers?|pacing)\b(?:(?: and)? (?:device|wires?|leads?"
        r"|generator|defibrillator|electrodes?))*|\b(?:a?icds?|crt-?[dp]?)\b(?: (?:leads?"
        r"|generator|device))?|\bdefibrillat\w+(?: leads?)?"
        r"|(?<!ekg )(?<!ecg )(?<!telemetry )(?<!monitor )(?<!monitoring )(?<!stimulator )(?<!dual"
        r" )(?<!single )(?<!dual-)(?<!single-)\bleads?\b(?! (?:to|us))|\bcardiac (?:rhythm "
        r"|conduction )?devices?\b|\bpulse generator\b",
    ),
    wording(
        "Valve Prosthesis",
        r"\b(?:prosthetic|mechanical|artificial|bioprosthetic|replacement|porcine|metallic"
        r"|st\.? jude|replaced) (?:\w+ ){0,2}?valv\w+|\b(?:(?:aortic|mitral|tricuspid|cardiac"
        r"|heart) )?valv(?:e|ular|es) (?:replacements?|prosthes[ie]s|prosthetic|rings?)"
        r"|\b(?:mitral|tricuspid|annuloplasty) ring\b|\btissue valves?\b|\bvalvuloplasty\b"
        r"|\btav[ir]\b|\bavr\b|\bmvr\b|\bannuloplasty\b|\bprosthes[ie]s\b(?= (?:in"
        r"|at) the (?:aortic|mitral))|(?:^|, |\band |\bor |\bno |\bheart "
        r"|\bcardiac )valves?\b(?=[,.;]|$| or| in (?:place|situ))|\bvalve (?:is|are) (?:in place"
        r"|present|noted|seen)",
    ),
    wording(
        "Sternotomy Wires",
        r"\b(?:median |prior |intact )*sternotom\w+(?: (?:and \w+ )?(?:wires?|sutures?"
        r"|changes?))?|\b(?:sternal|cerclage)(?: \w+)? (?:wires?|sutures?)|(?<!pacing )\bwires?\b",
    ),
    wording(
        "Surgical Clips",
        r"\b(?:surgical |cholecystectomy |vascular |metallic |hemostatic |bypass "
        r"|cabg )*(?:hemo)?clips?\b|\b(?:surgical|skin|suture) staples?|\b(?:staple"
        r"|suture) lines?\b|\bsurgical sutures?\b",
    ),
    wording(
        "Other Device",
        r"\bcatheters?\b|\btub(?:es?|ing)\b|\bcannulas?\b|\bsupport (?:devices?|apparatus"
        r"|equipment|lines?|hardware)|\b(?:medical |assist |monitoring )?devices?\b|\bhardware\b"
        r"|\bscrews?\b|\bplates?\b|\brods?\b|\bfixation\b|\barthroplast\w+"
        r"|\b(?:embolization )?(?<!tube )(?<!catheter )coils?\b(?! (?:with\b|within|in\b|up|over"
        r"|back|around))|\bdrains?\b|\b(?:nerve |vagal |spinal |cord |neuro)*stimulators?\b"
        r"|\b(?:ivc|cava(?:l)?) filters?\b|\bballoon pump\b|\biabp\b|\bloop recorder\b"
        r"|\bventriculoperitoneal shunt|\bvp shunt\b|\bshunt (?:catheter|tubing)"
        r"|\bprosthes[ie]s\b|\bprosthetic\b|\blvad\b|\becmo\b|\bimpella\b|\blines? ?(?:and|or|/"
        r"|,) ?tubes?\b|\btubes? ?(?:and|or|/) ?lines?\b|\b(?:arterial|support|iv|monitoring"
        r"|vascular|indwelling) (?:\w+ ){0,2}?lines?\b|\bharrington\b",
    ),
)
"""From the most exact to the most general."""

BREAKS = re.compile(
    r"\b(?:wires?|leads?|hardware|screws?),?(?: (?!or\b|nor\b|and\b|but\b|no|new\b|small\b|with"
    r"|ribs?\b|compress|clavic|left\b|right\b)[\w-]+){0,5} fractured?\b"
    r"|\bfractured? (?:of )?(?:the |one |a )?(?:\w+ )?(?:wires?|leads?|hardware|screws?)\b"
)
"""A broken device: the break is no fracture."""
