"""The patient, other patients, and earlier images of the patient."""

OTHER_PATIENT = "This describes the X-ray that was given, and no other patient's."
EARLIER = "There is no earlier image to compare with."
PATIENT = "The pixels of a chest X-ray do not say who the patient is or how the patient feels."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"\bpatient (?:no\.? ?)?\d+|\breports? (?:of|for|on) (?!this|the (?:image|x-?ray|film)"
        r"|me\b|my\b|these|it\b)\w"
        r"|\b(?:other|another|next|different|previous|second|neighbou?ring) (?:patient"
        r"|person)\b|\b(?:patient|person|man|woman|one|guy|lady) (?:in the )?(?:next"
        r"|from (?:yesterday|last|bed)|in (?:bed|room|ward))|\b(?:bed|room|ward) \d"
        r"|\bnext (?:bed|door)\b|\beverybody else|\b(?:all|other|how many) (?:the |your "
        r"|of the )?(?:patients|people) (?:in|here|today|had)|\b(?:mrn|patient (?:id|number"
        r"|no))\b|\bcompared? (?:this |it )?(?:to|with) (?:the |an? )?(?:other|another"
        r"|my (?!last|old|prev)\w+'s)",
        OTHER_PATIENT,
    ),
    (
        r"\b(?:chang(?:e|ed|es|ing)|progress\w*|improv\w*|worse\w*|better|larger|smaller"
        r"|bigger|increas\w*|decreas\w*|grown|growing|stable|resolv\w*|new|same"
        r"|different)\b(?=.*\b(?:since|than (?:last"
        r"|before|it was|the (?:last|prior|previous|old|one)|on|in|yesterday|monday)|compared"
        r"|last|prior|previous|before|earlier"
        r"|yesterday|ago)\b)|\bcompar\w+ (?:to|with)\b|\b(?:prior|previous|earlier|last|old"
        r"|baseline) (?:image|study|film|x-?ray|exam|radiograph|scan|cxr|one|visit|admission)"
        r"|\binterval (?:change|progress\w*|develop\w*|increase|improv\w*|growth)"
        r"|\bsince (?:the )?(?:last|prior|previous|yesterday|january|february|march|april|may"
        r"|june|july|august|september|october|november|december|monday|tuesday|wednesday"
        r"|thursday|friday|saturday|sunday|admission|surgery)|\b(?:has|have|had"
        r"|did) (?:it|this|that|they|things|anything|(?:the|his|her|my) [\w ]{2,40}?) (?:\w+"
        r" )?(?:changed|worsened|improved|improving|grown|growing"
        r"|progressed|progressing|resolved|resolving|increased|increasing|decreased|shrunk"
        r"|shrinking|cleared(?: up)?|got(?:ten)? (?:worse|better|bigger|smaller)|unchanged"
        r"|any better|stable|chang(?:e|ing)|improve|grow|shrink|worsen|worsening|evolv\w+"
        r"|moved|migrated|newer|older)\b|\b(?:is|are) (?:it|this|that|they|things|(?:the|his|her"
        r"|my)"
        r" [\w ]{2,40}?) (?:\w+ )?(?:improving|growing|progressing|resolving|worsening|changing"
        r"|shrinking"
        r"|evolving|stable|unchanged|resolved|improved|worse|better|smaller|larger|bigger)(?!"
        r" than (?:it"
        r"|they|half|normal))\b|\b(?:versus|vs\.?|against|relative to) (?:the |an? |his |her |my )?"
        r"(?:ct|x-?ray|film|last|prior|previous|study|scan|baseline|old)\b|\bgetting (?:worse"
        r"|better|larger|smaller|bigger)|\b(?:any"
        r"|some) (?:change|improvement|progress\w*|better)\b|\balready there\b|\b(?:week|month"
        r"|year|day)s? ago\b|\bover (?:time|the (?:last|past))|\byesterday\b|\bused to be\b"
        r"|\bprogress(?:ed|ion|ing)\b|\bin (?:19|20)\d\d\b",
        EARLIER,
    ),
    (
        r"\bhow old\b|\b(?:patient(?:'s)?|person(?:'s)?|his|her|their|whose|my"
        r"|the) (?:\w+ )?(?:age|sex|gender|name|weight|height|race|ethnicity|birth\w*|job"
        r"|occupation|address|blood pressure|temperature|heart rate|pulse|insurance|mood"
        r"|religion|phone|email|nationality)\b|\b(?:age|sex|gender|name|weight|race"
        r"|identity) (?:of|is|would|are)\b|\b(?:what|roughly what|which) (?:age|sex|gender"
        r"|name|race|weight)\b|\bwhose\b|\bbelongs? to\b|\b(?:of|like|from) (?:an? )?(?:smoker"
        r"|drinker"
        r"|alcoholic)|\boverweight\b|\bobese\b|\b(?:male or female|man or (?:a )?woman"
        r"|boy or (?:a )?girl|pregnant|pregnancy)\b|\bis (?:this|it|he|she|the (?:patient"
        r"|person)) (?:an? )?(?:male|female|man|woman|boy|girl|smoker|child|adult|alcoholic"
        r"|in pain|coughing|breathless|short of breath|feeling|conscious|alive|dead|married"
        r"|tall|overweight|obese|thin)\b|\b(?:does|do|did|has|have) (?:the patient"
        r"|this patient|this person|he|she|they|i|this man|this woman) (?:ever |currently "
        r"|still |have |had |also |feel |suffer from |an? |any |been |got )*(?:smoke[sd]?"
        r"|drink|drinks|vape|cough|fever|pain|chest pain|sympt\w+|allerg\w+|feel|feeling|hurt"
        r"|ache|nausea|sweats|travel|work|live|kids|children|sleep|alcohol)\b|\b(?:what|which"
        r"|any|list the) (?:are )?(?:the |his |her |my |other )?symptoms\b|\bwho is (?:the"
        r"|this|that)\b|\bfeel(?:s|ing)? (?:ill|sick|better|worse|pain|like)|\bhow (?:does|do"
        r"|is|are) (?:he|she|they|the patient|you|i) (?:feel|doing|today|breath)"
        r"|\bwhen was (?:this|the|it)|\bwhat (?:day|date|time|year)\b|\bwhich (?:hospital"
        r"|country|city|town|clinic|radiographer|doctor)\b|\bwhere was (?:this|the|it)\b"
        r"|\bwho (?:took|ordered|read|wrote|signed|reported|referred|did|performed)\b"
        r"|\bmuch does (?:he|she|the patient)|\bhow (?:tall|heavy|fat)\b|\bdate (?:is|was|of"
        r"|on)\b|\bmedical history\b|\bfamily history\b|\bdoes it hurt\b|\bwhat job\b",
        PATIENT,
    ),
)  # fmt: skip
