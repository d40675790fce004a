"""The patient, other patients, and earlier images of the patient."""

OTHER_PATIENT = "This describes the X-ray that was given, and no other patient's."
EARLIER = "There is no earlier image to compare with."
PATIENT = "The pixels of a chest X-ray do not say who the patient is or how the patient feels."

_ONE_OF_TWO = r"(?:\W*$| (?:side|lung|one|half|hilum|lobe|hemi\w+|apex|base|zone)s?\b)"
_OTHER_SIDE = (
    r" (?:(?:the|its|that of|those of|of|on|in|one|both) )*(?:left|right|opposite|contralateral"
    r"|normal"
    rf"|bas[ei]s?|ap(?:ex|ices)|upper|lower|middle|top|bottom|other{_ONE_OF_TWO})"
)
"""Where the two sides, or two parts, of one image are compared, and not two images."""
_RELATIVE = (
    r"(?:mothers?|fathers?|mums?|moms?|dads?|parents?|(?:half-?)?sisters?|(?:half-?)?brothers?"
    r"|siblings?|grand\w+|aunts?|uncles?|cousins?|relatives?|relations|twins?|wife|husband|spouse"
    r"|family|folks|kin|ancestors?)"
)
_THEIRS = r"(?:his|her|their|(?:the |this )?(?:patient|man|woman|person)['’]?s)"
_IN_FAMILY = (
    r"(?:in|within|of|throughout|across) (?:the|his|her|my|our|your|their"
    r"|(?:the |this )?patient['’]?s) (?:\w+ )?(?:family|families|house(?:hold)?|relatives"
    r"|bloodline)\b"
)
_ASKED_AFTER = r"[,;.:] *(?:and |so |but )?(?:is|are|does|do|can|could|any|what|where|which|has)\b"
"""A question after what was mentioned: "a family history of cancer, is there a nodule?"."""

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:my|his|her|our|their|an?) (?:[\w-]+ )?(?:dog|cat(?![ -]?scan)|horse|rabbit"
        r"|puppy|kitten|cow|parrot|hamster|calf)(?:['’]?s)?\b"
        r"|\bveterinar\w+"
        r"|\bwhich (?:patient|person) (?:has|had|is|was|looks)\b|\bpatient (?:no\.? ?)?\d+"
        r"|\breports? (?:of|for|on) (?!this|the (?:image|x-?ray"
        r"|film)|me\b|my\b|these|it\b)\w|\b(?:other|another|next|different|previous|second"
        r"|neighbou?ring) (?:patient|person)\b|\b(?:patient|person|man|woman|one|guy"
        r"|lady) (?:in the )?(?:next|from (?:yesterday|last|bed)|in (?:bed|room|ward))"
        r"|\b(?:bed|room|ward) \d|\bnext (?:bed|door)\b|\beverybody else|\b(?:all|other"
        r"|how many) (?:the |your |of the )?(?:patients|people) (?:in|here|today|had)"
        r"|\b(?:mrn|patient (?:id|number|no))\b|\bcompared? (?:this |it )?(?:to"
        rf"|with) (?:the |an? )?(?:other(?!{_ONE_OF_TWO})|another|my (?!last|old|prev)\w+'s)",
        OTHER_PATIENT,
    ),
    (
        r"\b(?:chang(?:e|ed|es|ing)|progress\w*|improv\w*|worse\w*|better|larger|smaller"
        r"|bigger|increas\w*|decreas\w*|grown|growing|stable|resolv\w*|new|same"
        r"|different)\b(?=.*\b(?:since|than (?:last|before|it was|the (?:last|prior|previous"
        rf"|old|one)|(?:on|in)(?!{_OTHER_SIDE})|yesterday|monday)|compared(?! (?:to"
        rf"|with){_OTHER_SIDE})"
        r"|last|prior|previous|before|earlier|yesterday|ago)\b)|\bcompar\w+ (?:to"
        rf"|with)\b(?!{_OTHER_SIDE})|\b(?:prior|previous|earlier|last|old"
        r"|baseline) (?:image|study|film|x-?ray|exam|radiograph|scan|cxr|one|visit|admission"
        r"|radiologist|report)|\binterval (?:change|progress\w*|develop\w*|increase"
        r"|improv\w*|growth)|\bsince (?:the )?(?:last|prior|previous|yesterday|january"
        r"|february|march|april|may|june|july|august|september|october|november|december"
        r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|admission|surgery)"
        r"|\b(?:has|have|had|did) (?:it|this|that|they|things|anything|(?:the|his|her"
        r"|my) [\w ]{2,40}?) (?:\w+ )?(?:changed|worsened|improved|improving|grown|growing"
        r"|progressed|progressing|resolved|resolving|increased|increasing|decreased|shrunk"
        r"|shrinking|cleared(?: up)?|got(?:ten)? (?:worse|better|bigger|smaller)|unchanged"
        r"|any better|stable|chang(?:e|ing)|improve|grow|shrink|worsen|worsening|evolv\w+"
        r"|moved|migrated|newer|older)\b|\b(?:is|are) (?:it|this|that|they|things|(?:the|his"
        r"|her|my) [\w ]{2,40}?) (?:\w+ )?(?:improving|growing|progressing|resolving"
        r"|worsening|changing|shrinking|evolving|stable|unchanged|resolved|improved|worse"
        r"|better|smaller|larger|bigger)(?! than (?:it|they|half|normal|usual|the"
        rf" (?:left|right|other)|(?:on|in|at){_OTHER_SIDE}|expected)"
        rf"| (?:on|in|at|towards?){_OTHER_SIDE})\b|\b(?:versus"
        r"|vs\.?|against|relative to) (?:the |an? |his |her |my )?(?:ct|x-?ray|film|last"
        r"|prior|previous|study|scan|baseline|old)\b|\bgetting (?:worse|better|larger"
        r"|smaller|bigger)|\b(?:any|some) (?:change|improvement|progress\w*|better)\b"
        r"|\balready there\b|\b(?:than|from|since|like|as|there|seen|film|x-?ray|one|was"
        r"|were|already)\b.*\b(?:week|month|year|day)s? ago\b|\bover (?:time|the (?:last"
        r"|past))|\b(?:since|from|than|like|of|to) yesterday\b|\byesterday's|\bused to be\b"
        r"|\b(?:[a-z]+er|more|less|worse)(?: [\w-]+)? than (?:on|at admission|before|when"
        r"|it was|they were"
        r"|last|previous\w*|prior|earlier|yesterday|ever|the (?:first|other|old|last) (?:one|film"
        r"|image|x-?ray|time))\b"
        r"|\bprogress(?:ed|ion|ing)\b|\b(?:there|seen|visible|present|from|looked?|was|film"
        r"|x-?ray) (?:\w+ )?in (?:19|20)\d\d\b",
        EARLIER,
    ),
    (
        r"\bhow old\b|\b(?<!for )(?:patient(?:'s)?|person(?:'s)?|his|her|their|whose|my"
        r"|the) (?:\w+ )?(?:age|sex|gender|name|weight|height|race|ethnicity|birth\w*|job"
        r"|occupation|address|blood pressure|temperature|heart rate|pulse|insurance|mood"
        r"|religion|phone|email|nationality)\b|\b(?:age|sex|gender|name|weight|race"
        r"|identity) (?:of|is|would|are)\b|\b(?:what|roughly what|which) (?:age|sex|gender"
        r"|name|race|weight)\b|\bwhose\b|\b(?:is|was|am|are) (?:she|i|he|they|the patient"
        r"|this patient|this woman) (?:\w+ )?pregnant|\bbelongs? to\b|\b(?:of|like"
        r"|from) (?:an? )?(?:smoker|drinker|alcoholic)|\boverweight\b|\bobese\b"
        r"|\b(?:male or female|man or (?:a )?woman|boy or (?:a )?girl|pregnancy)\b"
        r"|\bis (?:this|it|he|she|the (?:patient|person)) (?:an? )?(?:male|female|man|woman"
        r"|boy|girl|smoker|child|adult|alcoholic|in pain|coughing|breathless|short of breath"
        r"|feeling|depressed|anxious|confused|drunk|tired|happy|sad|conscious|alive|dead|married|tall|overweight|obese|thin"
        r"|young|elderly)\b|\bis (?:he|she|the (?:patient|person)) (?:very )?old\b|\b(?:does|do"
        r"|did|has|have) (?:the patient|this patient|this person|he|she|they|i|this man"
        r"|this woman) (?:ever |currently |still |have |had |also |feel |suffer from |an? "
        r"|any |been |got )*(?:smoke[sd]?|drink|drinks|vape|cough|fever|pain|chest pain"
        r"|sympt\w+|allerg\w+|feel|feeling|hurt|ache|nausea|sweats|travel|work|live|kids"
        r"|children|sleep|alcohol)\b|\b(?:what|which|any|list the) (?:are )?(?:the |his "
        r"|her |my |other )?symptoms\b|\bwho is (?:the|this|that)\b|\bfeel(?:s|ing)? (?:ill"
        r"|sick|better|worse|pain|like)|\bhow (?:does|do|is|are) (?:he|she|they|the patient"
        r"|you|i) (?:feel|doing|today|breath)|\bwhen was (?:this|the|it)|\bwhat (?:day|date"
        r"|time|year)\b|\bwhich (?:hospital|country|city|town|clinic|radiographer|doctor)\b"
        r"|\bwhere was (?:this|the|it)\b|\bwho (?:took|ordered|read|wrote|signed|reported"
        r"|referred|did|performed)\b|\bmuch does (?:he|she|the patient)|\bhow (?:tall|heavy"
        r"|fat)\b|\bdate (?:is|was|of|on)\b|\bmedical history\b"
        r"|\bdoes it hurt\b|\bwhat job\b",
        PATIENT,
    ),
    (
        rf"\b(?:(?:did|does|do|has|have|had|is|was|were|are|how|when|what|why|which|any)\b.*"
        rf"\b{_THEIRS} (?:\w+ ){{0,2}}{_RELATIVE}\b|(?:any|some|who|every|no)(?:one"
        rf"|body)? (?:else )?"
        rf"(?:\w+ ){{0,2}}{_IN_FAMILY}|(?:what|which|any|do|does|did|has|have|is|are|was|how)\b.*"
        rf"\b(?:runs?|running) {_IN_FAMILY}|(?:do|did|does|has|have|any|which) (?:of )?(?:the "
        rf"|any |other )*"
        rf"(?:relatives|siblings|parents|grandparents|relations|family members?)\b"
        rf"|famil(?:y|ial) (?:\w+ )?(?:history|background|predisposition|members?|tree|link)\b"
        rf"|common {_IN_FAMILY}|(?:hereditary|inherit\w*|genetic\w*|familial|genes?|mutations?)\b)"
        rf"(?!.*{_ASKED_AFTER})",
        PATIENT,
    ),
    (
        r"\b(?:he|she|they|i|patient|person|man|woman)\b.*\b(?:exposed|exposures?) to\b"
        rf"(?!.*{_ASKED_AFTER})",
        PATIENT,
    ),
    (
        r"\bhow many (?:other |more |earlier |such |chest )*(?:x-? ?rays?|scans?|films?|cts?"
        r"|images?|exams?)"
        r" (?:has|have|had|did|does|do|will|should|can) (?:she|he|they|i|we|you|the patient)\b",
        EARLIER,
    ),
)  # fmt: skip
