"""Treatment, follow-up and prognosis."""

_WHO = r"(?:i|we|he|she|they|you|one|someone|(?:the|this|my|his|her|our|your) \w+|patients?|pt)"

_TEST = (
    r"(?:cts?|mris?|pets?|ultrasounds?|echo\w*|biops\w+|bronchoscop\w+|tests?|scans?|blood(?:s"
    r"| work)?|x-?rays?|imaging|ecgs?|ekgs?|spirometry|cultures?|decubitus|labs?|swabs?"
    r"|thoracentesis|endoscopy|mammogram)"
)

_DRUG = (
    r"(?:antibiotics?|diuretics?|steroids?|pills?|tablets?|inhalers?|vaccin\w+|aspirin"
    r"|ibuprofen|paracetamol|acetaminophen|penicillin|amoxicillin|furosemide|lasix|heparin"
    r"|warfarin|statins?|insulin|morphine|opioids?|prednis\w+|albuterol|salbutamol|chemo\w*"
    r"|radiotherapy|oxygen therapy|painkillers?|medications?|medicines?|meds|drugs?|ventilator"
    r"|\w+(?:cillin|mycin|floxacin|pril|olol|azole))"
)

TREATMENT = "This describes the chest X-ray and gives no advice on treatment."
FOLLOW_UP = "This describes the chest X-ray and gives no advice on follow-up or further tests."
PROGNOSIS = "A chest X-ray does not say how the illness will go on."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"\btreat(?:ed|ment|ments|able|ing)?\b|\btherap(?:y|ies|ist)\b|\bmedicat(?:e|ed)\b"
        r"|\b(?:what|which|how much|how many|any|some|more|give|need|take|on|start|stop"
        rf"|prescrib\w+|would|will|should|could|is|are|need) (?:\w+ ){{0,4}}?{_DRUG}\b|\b{_DRUG}"
        rf" (?:should"
        r"|would|will|work|help|is (?:best|ok|safe)|be|dos|need)|\bdos(?:e|es|age|ing)\b"
        r"|\b\d+ ?mg\b|\bprescri|\b(?:need|needs|require|requires|undergo|candidate for|plan"
        r"|planned|fit for|before|help|helps|without|avoid|consider|is|would|for|get|have"
        r"|having) (?:an? |the |any |heart |lung |open |emergency |urgent )*(?:surgery"
        r"|operation|transplant|resection|stent|bypass)\b|\b(?:surgery|operation"
        r"|transplant) (?:needed|required|an option|help|indicated|necessary)|\boperate\b"
        r"|\bmanage(?:d|ment)?\b|\b(?:how|what) (?:do|can|should|would|must|could|shall|to"
        rf"|does|did|might) {_WHO}?\s*\b(?:do\b(?! you (?:see|think|make))|take|give|fix|heal|help"
        rf"|stop"
        r"|get rid|cure|treat|manage|drain|prevent|avoid|lower|reduce|relieve|eat|drink|use)"
        rf"|\b(?:should|must|need to|needs to|ought to|shall) {_WHO} (?!see (?:an?y?|any) (?:eff"
        r"|nod))(?:\w+ ){0,2}?(?:be |take|receive|get|use|start|stop|do|go|admit|intubate"
        r"|drain|give|eat|drink|rest|quit|wear|put|remove|operate|discharge|refer|call|see"
        r"|come|repeat|order|book|worry)|\b(?:be |been )(?:drained|intubated|removed|admitted"
        r"|hospitali[sz]ed|given|replaced|pulled|discharged|started|advanced|withdrawn"
        r"|operated)\b|\b(?:drain|aspirate|tap|pull|remove|advance|insert|put in|place) (?:it"
        r"|this|the|an?)\b|\bthoracentesis\b|\bchemotherapy|\bcur(?:e|es|ed|able)\b"
        r"|\bwhat helps\b|\bhospitali[sz]|\b(?:admit|admission|discharge)\b(?! from)|\b(?:safe"
        r"|ok|okay|fine|fit|allowed|able|ready|well enough|healthy enough"
        r"|good enough) (?:for \w+ )?(?:to (?!say|call|look|read|see|rule|me\b|you\b|my\b)|for"
        r" (?!age|his age"
        r"|her age))|\b(?:go|drive|fly|travel|swim|run|exercise|work|play|scuba|dive) (?:home"
        r"|abroad|back|again|marathons?|safely|sports?)\b|\b(?:exercise|diet|smoking cessation"
        r"|quit smoking|flight|home remed\w+|vitamins?|herbal|acupuncture|massage"
        r"|physiotherapy)\b|\bpain ?(?:relief|killer)|\bfor the pain\b|\bplan\b|\b(?:can|shall"
        r"|should|could|do) we (?!see|say|tell|rule|exclude|be|call|assume|find)\w+ (?:\w+"
        r" )?(?:today|now|tonight|tomorrow)|\bbronch\b|\bextubate|\bnpo\b|\bbi-?pap\b|\bcpap\b"
        r"|\bnebuli[sz]\w+",
        TREATMENT,
    ),
    (
        r"\bfollow[\s-]?ups?\b|\badvi[sc]e|\brepeat(?:ed|ing)? (?:the|an?|this|film|x-?ray"
        r"|imaging|in|after|cxr)|\bx-?ray (?:be )?repeated\b|\bfurther (?:imaging|tests?"
        rf"|testing|work|investig\w+|views)|\b{_TEST}\b.*\b(?:ordered|needed|done|obtained"
        rf"|performed"
        r"|required|necessary|worth|indicated|warranted|help|useful|next|recommended)\b"
        r"|\b(?:order|schedule|get|need|needed|needs|require[sd]?|warrant\w*|indicated|book"
        r"|arrange|do|request|recommend\w*|worth|suggest|want|run|prefer) (?:me |him |her |us "
        r"|them )?(?:an? |another |any |more |the |some |chest |lateral |follow-?up |urgent "
        rf"|repeat )*{_TEST}\b(?! (?:of|image|or|scan\?))|\bwarrant|\bwhat (?:test|procedure|next)"
        r"|\bwhich (?:test|specialist|doctor|department|ward)|\bnext (?:step|steps|exam|test"
        r"|image|scan|x-?ray|appointment|visit)|\bwork-?up\b|\brecommend|\bcome back\b"
        r"|\bsee (?:a|my|the|his|her) (?:doctor|specialist|gp|pulmonologist|cardiologist"
        r"|surgeon|oncologist)|\brefer(?:red|ral)?\b|\bscreen(?:ed|ing)\b|\b(?:who"
        r"|whom) (?:should|do|can|to) (?:\w+ )?(?:call|ask|see|contact)|\bappointment"
        r"|\bhow (?:often|soon)\b|\bsecond opinion\b|\bcardiology|\bshould (?:i|we|the patient"
        r"|he|she|they|you)\b|^\W*should\b|\b(?:book|refer|schedule|arrange|transfer|call|page"
        r"|notify|text|fax|order)\b (?:an?|him|her|me|the|them|us|to|my|dr)\b",
        FOLLOW_UP,
    ),
    (
        r"\bprognos|\bsurviv|\blife expectancy|\bhow long\b(?! is the (?:tube|line|catheter))"
        r"|\bwill\b(?! you (?:tell|check|look|read|describe|confirm|please))|\bgoing to (?:die"
        r"|recover|live|get|need|be|kill|come|go|last|make|have)|\bdie[sd]?\b|\bdying\b"
        r"|\bdeath\b|\bdeadly\b|\bfatal\b|\bkill|\brecover|\bcontagious|\binfectious\b"
        r"|\bdangerous\b|\blife[\s-]?threatening|\bhow (?:serious|worried|urgent|dangerous"
        r"|concerned)|\bemergency\b|\bchances? of (?:surviv|recover|dying|living|getting|it"
        r"|him|her)|\brisk\b|\b(?:could|can|might|would) (?:it|this|that|they"
        r"|the \w+) (?:come back|go away|get|turn|become|spread|recur|heal|burst|rupture|grow"
        r"|kill|lead|progress|return|clear up)|\b(?:come|came) back\b|\bgo(?:es)? away\b"
        r"|\bheal(?:s|ed)?\b(?= |\?|$)(?! (?:rib|fract))(?<!healed)|\bcatch (?:it|this)"
        r"|\brun marathons?\b|\bstage (?:of cancer|is)|\b(?:die|live) (?:of|from|with)\b"
        r"|\bscale of",
        PROGNOSIS,
    ),
)  # fmt: skip
