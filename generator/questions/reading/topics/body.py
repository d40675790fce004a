"""What an X-ray of the chest does not show."""

NOT_SHOWN = "A chest X-ray does not measure or show this."
OTHER_PART = "A chest X-ray does not show this part of the body."

OTHER_EXAMINATION = "This describes the chest X-ray and no other examination."

_OTHER_IMAGING = (
    r"(?:cta?|ctpa|hrct|cat[ -]?scans?|mr|mri|mra|pet(?:[ -]?ct)?|spect|ultrasounds?|sonogra\w+"
    r"|ultrasonogra\w+|echo|echos|echocardiogra\w+|mammogra\w+|angiogra\w+|v ?/ ?q"
    r"|scintigra\w+|bone scans?|endoscop\w+|bronchoscop\w+|gastroscop\w+|colonoscop\w+"
    r"|fluoroscop\w+"
    r"|tomogra\w+|dexa|barium \w+|biops(?:y|ies)|patholog(?:y|ist) slides?|histology"
    r"|spirometry|holter|(?:contrast|contrast-enhanced|nuclear|thyroid|bone density) scans?)"
)
_DETERMINER = r"(?:the|this|that|these|those|my|his|her|their|your|our|an?)"

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"^(?!.*\b(?:x-? ?rays?|cxr|radiographs?|films?)\b).*(?:"
        rf"\b(?:on|in|from|of|by|with|at|per|to|read|interpret|view|see|examine) {_DETERMINER} "
        rf"(?:[\w-]+ ){{0,3}}?{_OTHER_IMAGING}\b"
        rf"|\b(?:on|in|from|by|per) {_OTHER_IMAGING}\b"
        rf"|\b(?:does|do|did|is|are|was|what|how|when|which) (?:[\w-]+ ){{0,3}}?{_OTHER_IMAGING} "
        r"(?:\w+ ){0,4}?(?:show\w*|find\w*|say|says|said|look\w*|suggest\w*|reveal\w*|mean|normal"
        r"|abnormal|positive|negative|demonstrat\w+|come back|ok|okay|clear|conclude\w*"
        r"|report\w*)\b"
        rf"|^\W*(?:what about|how about|and) {_DETERMINER} (?:[\w-]+ ){{0,2}}?{_OTHER_IMAGING}\b)",
        OTHER_EXAMINATION,
    ),
    (
        r"\b(?:(?:sputum|urine|wound|throat|stool|blood|bacterial) (?:cultures?|samples?|smears?"
        r"|swabs?)"
        r"|swabs?|cultures?|gram stain|(?:was|is) the (?:sputum|urine|stool|blood) |(?:which|what)"
        r" (?:organism|bacteri\w+|germ|bug|virus|microbe|strain)s?\b|stress test|treadmill"
        r"|biomarkers?"
        r"|antibod(?:y|ies)|antigen|pcr|reaction to (?:the )?(?:contrast|dye)"
        r"|(?:contrast|dye) (?:in|into|within) (?:the |her |his )?(?:vessels?|veins?|arter\w+"
        r"|blood)"
        r"|hounsfield|t[12][ -](?:weighted|signal)|signal intensit\w+|diffusion restriction"
        r"|fdg|suv|tracer|(?:contrast|arterial|rim|ring|venous) (?:enhanc\w+|phase|uptake)"
        r"|(?:iv|oral|rectal|post|pre|non)[ -]contrast|gadolinium|slice thickness"
        r"|window (?:width|level)"
        r"|contrast (?:agent|medium|media|material|dye|used|given|injected|administered|enhanced"
        r"|study"
        r"|scan|film|image)|(?:give|given|gave|inject\w*|administ\w+|use|used|receive\w*|get|had|with"
        r"|without|any) (?:the |any |some |iv |oral )*(?:contrast|dye)(?! (?:between|from"
        r"|and bright))"
        r"|perfusion (?:defect|mismatch)s?|echogenic\w*|doppler|lights? up"
        r"|(?:lung|vital|total lung) capacity|lit(?:re|er)s of air"
        r"|(?:leaky|leaking|regurgitant|stenotic|stenosed) (?:\w+ )?valves?)\b",
        NOT_SHOWN,
    ),
    (
        r"\b(?:e[ck]g(?! (?:leads?|wires?|electrodes?|stickers?|pads?|cables?|dots?))"
        r"|ejection fraction|h(?:a)?emoglobin|blood (?:test|count|pressure|sugar"
        r"|gas|type|group)|creatinine|troponin|oxygen sat\w*|o2 sats?|sats|spo2"
        r"|an(?:a)?emi[ac]|cholesterol|lung function|fev1|bnp|crp|white (?:cell|blood)|wbc"
        r"|potassium|sodium|glucose|heart (?:rate|rhythm|murmur|beat)|arrhythmia"
        r"|palpitations|afib|atrial fibrillation|breath sounds|wheez\w+|depression|dementia"
        r"|alzheimer\w*|autism|adhd|iq)\b",
        NOT_SHOWN,
    ),
    (
        r"\b(?:brain|skull|(?<!humeral )head(?! of)|intracranial|kidneys?|renal|bladder"
        r"|gall\s?bladder"
        r"|gallstones?|liver|hepatic|spleen|pancreas|prostate|uterus|ovar(?:y|ies)|fetus"
        r"|foetus|knees?|ankles?|wrists?|fingers?|toes?|foot|(?<!off her )(?<!off his )feet"
        r"|hips?|pelvis|femur|tibia|teeth|tooth|carotids?"
        r"|coronar\w+(?! (?:arter\w+ )?(?:calcif\w+|stents?|clips?|bypass))|ureters?|molars?"
        r"|dental"
        r"|jaw|eyes?|ears?|nose|sinus(?:es|itis)?|appendi\w+|colon|rectum|bowels?(?! gas)"
        r"|intestin\w+|tonsils?|elbows?|(?<!right )(?<!left )(?<!other )hands?|legs?|lumbar"
        r"|sacr\w+|lower back|rotator cuffs?|groins?|thighs?|cal(?:f|ves)|testic\w+|hair"
        r"|tongue)\b(?! (?:side|shadow|outline|edge|silhouette|border))"
        r"|\bstomach (?:lining|ulcer|ache|pain"
        r"|cancer|acid)|\b(?:cancer|tumou?r|mass|ulcer|pain|lump)s? (?:\w+ )?(?:in"
        r"|of) (?:\w+ )?(?:stomach|tummy|belly|abdomen)",
        OTHER_PART,
    ),
)  # fmt: skip
