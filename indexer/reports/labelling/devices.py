"""How reports word tubes, lines and implants."""

import re

from indexer.reports.labelling.wording import Wording, wording

_LINE = r"(?:catheters?|lines?|cvc|cvl)"
_ACCESS = (
    r"(?:central|venous|(?:hemo)?dialysis|[rl]?ij|jugular|subclavian|femoral|hickman|quinton"
    r"|tunneled|vas-?cath\w*)"
)

DEVICES: tuple[Wording, ...] = (
    wording(
        "Endotracheal Tube",
        r"\b(?:endotracheal|et|tracheal|breathing) (?:\w+ )?tubes?\b|\bett\b|\bendotracheal\b"
        r"|(?<=\bex)tubat\w+|\bintubat\w+",
    ),
    wording(
        "Tracheostomy Tube",
        r"\btracheostomy(?: (?:tube|cannula|appliance|device))?\b|\btrachy?(?: tube)?\b",
    ),
    wording(
        "Enteric Tube",
        r"\b(?:(?:naso|oro)-?(?:gastric|enteric|duodenal|jejunal)|enteric|feeding|gastric|ng|og"
        r"|ngt"
        r"|esophageal|duodenal|weighted|ryles?|ryle's|peg) ?-?(?:\w+ )?tubes?\b|\bngt\b|\bogt\b"
        r"|\bdobb?-? ?hof\w*"
        r"(?: (?:feeding )?tube)?|\b(?:ng|og)(?= (?:and|or|tip|in|/))"
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
        r"|(?:(?:chest|infusion|venous|access|chest wall|subclavian|jugular|ij|implanted) "
        r"(?:\w+ )?)?(?<!side )(?<!side-)ports?(?! (?:of|sites?)))\b(?: (?:catheter"
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
        r"|intercostal) "
        r"(?:(?:pigtail|pleural|drainage|drain) )*(?:tubes?|drains?|catheters?)\b|\bpigtails?\b"
        r"|(?<!biliary )(?<!abdominal )(?<!surgical )(?<!jp )(?<!peritoneal )"
        r"(?<!hepatic )\bdrains?\b(?! (?:to|into))"
        r"|\bthoracostomy\b|\biccs?\b|\bpleurx\b(?: catheter)?|\bicd (?:drain|tube)",
    ),
    wording(
        "Pacemaker",
        r"\bppm\b|\b(?:cardiac |permanent |transvenous |biventricular |dual[- ]|single[- ]|lead "
        r"|chamber )*"
        r"(?:pace[- ]?makers?|pacers?|pacing)\b(?:(?: and)? (?:device|wires?|leads?|generator"
        r"|defibrillator|electrodes?))*"
        r"|\b(?:a?icds?|crt-?[dp]?)\b(?: (?:leads?|generator|device))?|\bdefibrillat\w+(?:"
        r" leads?)?"
        r"|(?<!ekg )(?<!ecg )(?<!telemetry )(?<!monitor )(?<!monitoring )(?<!stimulator )(?<!dual"
        r" )(?<!single )(?<!dual-)(?<!single-)\bleads?\b(?! (?:to|us))"
        r"|\bcardiac (?:rhythm |conduction )?devices?\b|\bpulse generator\b",
    ),
    wording(
        "Valve Prosthesis",
        r"\b(?:prosthetic|mechanical|artificial|bioprosthetic|replacement|porcine|metallic|st\.?"
        r" jude"
        r"|replaced) (?:\w+ ){0,2}?valv\w+|\b(?:(?:aortic|mitral|tricuspid|cardiac|heart) )?"
        r"valv(?:e|ular|es)"
        r" (?:replacements?|prosthes[ie]s|prosthetic|rings?)|\b(?:mitral|tricuspid"
        r"|annuloplasty) ring\b|\btissue valves?\b|\bvalvuloplasty\b|\btav[ir]\b|\bavr\b"
        r"|\bmvr\b|\bannuloplasty\b|\bprosthes[ie]s\b(?= (?:in|at) the (?:aortic|mitral))"
        r"|(?:^|, |\band |\bor |\bno |\bheart |\bcardiac )valves?\b(?=[,.;]|$| or| in (?:place"
        r"|situ))"
        r"|\bvalve (?:is|are) (?:in place|present|noted|seen)",
    ),
    wording(
        "Sternotomy Wires",
        r"\b(?:median |prior |intact )*sternotom\w+(?: (?:and \w+ )?(?:wires?|sutures?|changes?))?"
        r"|\b(?:sternal|cerclage)(?: \w+)? (?:wires?|sutures?)|(?<!pacing )\bwires?\b",
    ),
    wording(
        "Surgical Clips",
        r"\b(?:surgical |cholecystectomy |vascular |metallic |hemostatic |bypass "
        r"|cabg )*(?:hemo)?clips?\b"
        r"|\b(?:surgical|skin|suture) staples?|\b(?:staple|suture) lines?\b|\bsurgical sutures?\b",
    ),
    wording(
        "Other Device",
        r"\bcatheters?\b|\btub(?:es?|ing)\b|\bcannulas?\b|\bsupport (?:devices?|apparatus"
        r"|equipment"
        r"|lines?|hardware)|\b(?:medical |assist |monitoring )?devices?\b|\bhardware\b|\bscrews?\b"
        r"|\bplates?\b|\brods?\b|\bfixation\b|\barthroplast\w+|\b(?:embolization )?(?<!tube"
        r" )(?<!catheter )coils?\b(?! (?:with|in|up|over|back|around))"
        r"|\bdrains?\b|\b(?:nerve |vagal |spinal |cord |neuro)*stimulators?\b|\b(?:ivc|cava(?:l)?)"
        r" filters?\b|\bballoon pump\b|\biabp\b|\bloop recorder\b|\bventriculoperitoneal shunt"
        r"|\bvp shunt\b|\bshunt (?:catheter|tubing)|\bprosthes[ie]s\b|\bprosthetic\b|\blvad\b"
        r"|\becmo\b|\bimpella\b|\blines? ?(?:and|or|/|,) ?tubes?\b|\btubes? ?(?:and|or|/)"
        r" ?lines?\b"
        r"|\b(?:arterial|support|iv|monitoring|vascular|indwelling) (?:\w+ ){0,2}?lines?\b"
        r"|\bharrington\b",
    ),
)
"""From the most exact to the most general."""

BREAKS = re.compile(
    r"\b(?:wires?|leads?|hardware|screws?),?(?: [\w-]+){0,5} fractured?\b"
    r"|\bfractured? (?:of )?(?:the |one |a )?(?:\w+ )?(?:wires?|leads?|hardware|screws?)\b"
)
"""A broken device: the break is no fracture."""
