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
        r"|\b(?:what|which|how much|how many|any|some|more|give|need|take|start|stop"
        rf"|prescrib\w+|would|will|should|could|is|are|need) (?:\w+ ){{0,4}}?{_DRUG}\b|\b{_DRUG}"
        rf" (?:should"
        r"|would|will|work|help|is (?:best|ok|safe)|be|dos|need)|\bdos(?:e|es|age|ing)\b"
        r"|\b(?:needs?|requires?) (?:an? |the |another |more )?(?:chest |drainage |breathing "
        r"|feeding )?(?:tubes?|drains?|catheter|intubation|ventilation|pacemaker|line)\b"
        r"|\b\d+ ?mg\b|\bprescri|\b(?:need|needs|require|requires|undergo|candidate for|plan"
        r"|planned|fit for|before|help|helps|without|avoid|consider|is|would|for|get|have"
        r"|having) (?:an? |the |any |heart |lung |open |emergency |urgent )*(?:surgery"
        r"|operation|transplant|resection|stent|bypass)\b|\b(?:surgery|operation"
        r"|transplant) (?:needed|required|an option|help|indicated|necessary)|\boperate\b"
        r"|\bcandidate\b|\bmanage(?:d|ment)?\b|\b(?:how|what) (?:do|can|should|would|must"
        rf"|could|shall|to|does|did|might) {_WHO}?\s*\b(?:do\b(?! you (?:see|think|make))|take"
        r"|give|fix|heal|help|stop|get rid|cure|treat|manage|drain|prevent|avoid|lower"
        r"|reduce|relieve|eat|drink|use)|\b(?:should|must|need to|needs to|ought to"
        rf"|shall) {_WHO} (?!(?:expect|be seeing|think|look|say|assume|see)\b)(?:\w+"
        rf" ){{0,2}}?(?:be "
        r"|take|receive|get|use|start|stop|do|go|admit|intubate|drain|give|eat|drink|rest"
        r"|quit|wear|put|remove|operate|discharge|refer|call|see|come|repeat|order|book"
        r"|worry)|\bbe (?:drained|intubated|removed|admitted|hospitali[sz]ed|given|replaced"
        r"|pulled|discharged|started|advanced|withdrawn|operated)\b|\b(?:drain|aspirate|tap"
        r"|pull|remove|advance|insert|put in|place) (?:it|this|the|an?)\b|\bcur(?:e|es|ed"
        r"|able)\b|\bwhat helps\b|\bhospitali[sz]|^\W*(?:admit|discharge)\b|\b(?:to|should"
        r"|can|needs?|requires?|for) (?:an? )?(?:admit|admission|discharge)\b|\b(?:safe|ok"
        r"|okay|fine|fit|allowed|able|ready|well enough|healthy enough"
        r"|good enough) (?:for \w+ )?(?:to (?!say|call|look|read|see|rule|me\b|you\b|my\b)"
        r"|for (?!age|his age|her age))|\b(?:go|drive|fly|travel|swim|run|exercise|work|play"
        r"|scuba|dive) (?:home|abroad|back|again|marathons?|safely|sports?)\b|\b(?:exercise"
        r"|diet|smoking cessation|quit smoking|flight|home remed\w+|vitamins?|herbal"
        r"|acupuncture|massage|physiotherapy)\b|\bpain ?(?:relief|killer)|\bfor the pain\b"
        r"|\bplan\b|\b(?:can|shall|should|could|do) we (?!see|say|tell|rule|exclude|be|call"
        r"|assume|find)\w+ (?:\w+ )?(?:today|now|tonight|tomorrow)|\bbronch\b|\bextubate"
        r"|\bwould (?:an?|another|more|some) (?:[\w-]+ ){1,3}?(?:help|make sense|improve"
        r"|do any good"
        r"|be (?:an? |the )?(?:right|best|good|better|useful|helpful|wise|sensible|appropriate"
        r"|enough"
        r"|needed|necessary|option|of use|safe)\b)"
        r"|\bnpo\b|\bbi-?pap\b|\bcpap\b|\bnebuli[sz]\w+",
        TREATMENT,
    ),
    (
        r"\bfollow[\s-]?ups?\b(?!(?: of| to| on)? ?(?:film|x-?ray|cxr|image|study|chest|exam"
        r"|radiograph|pneumo|eff|ptx|nodul|:|,))|\badvi[sc]e|\brepeat(?:ed|ing)? (?:the|an?"
        r"|this|film|x-?ray|imaging|in|after|cxr)|\bx-?ray (?:be )?repeated\b"
        rf"|\bfurther (?:imaging|tests?|testing|work|investig\w+|views)|\b{_TEST}\b.*\b(?:ordered"
        r"|needed|done|obtained|performed|required|necessary|worth|indicated|warranted|help"
        r"|useful|next|recommended)\b|\b(?:order|schedule|get|need|needed|needs|require[sd]?"
        r"|warrant\w*|indicated|book|arrange|do|request|recommend\w*|worth|suggest|want|run"
        r"|prefer) (?:me |him |her |us |them )?(?:an? |another |any |more |the |some |chest "
        rf"|lateral |follow-?up |urgent |repeat )*{_TEST}\b(?! (?:of|image|or|scan\?))|\bwarrant"
        r"|\bwhat (?:test|procedure|next)|\bwhich (?:test|specialist|doctor|department|ward)"
        r"|\bnext (?:step|steps|exam|test|image|scan|x-?ray|appointment|visit)|\bwork-?up\b"
        r"|\brecommend|\bcome back\b|\bsee (?:a|my|the|his|her) (?:doctor|specialist|gp"
        r"|pulmonologist|cardiologist|surgeon|oncologist)|\brefer (?:him|her|me|them|to|this"
        r"|the)\b|\bbe referred\b|\breferral\b|\bscreen(?:ed)? for\b|\bneeds? screening\b"
        r"|\b(?:who|whom) (?:should|do|can|to) (?:\w+ )?(?:call|ask|see|contact)"
        r"|\bappointment|\bhow (?:often|soon)\b|\bsecond opinion\b|\bcardiology"
        r"|\b(?:should|shall) (?:i|we|the patient|he|she|they|you)\b(?! (?:expect|be seeing"
        r"|think|look"
        r"|call|say|assume|see (?!an? (?:\w+ )?(?:doctor|specialist|gp|surgeon))))"
        r"|^\W*should (?!(?:i"
        r"|we|you|one) (?:expect|be seeing|think|look|call|say|assume|see (?!an? (?:doctor"
        r"|specialist|gp|surgeon))))|\b(?:book|refer|schedule|arrange|transfer"
        r"|(?<!you )(?<!we )(?<!i )call"
        r"|call(?= (?:an?|the|my) (?:\w+ )?(?:doctor|nurse|ambulance|surgeon|family|team"
        r"|hospital|ward"
        r"|cardiologist|specialist|taxi|cab))|page"
        r"|notify|text|fax|order)\b (?:an?|him|her|me|the|them|us|to|my|dr)\b",
        FOLLOW_UP,
    ),
    (
        r"\bprognos|\bsurviv|\blife expectancy|\bhow long\b(?! is the (?:tube|line"
        r"|catheter))|\bwill\b(?! you (?:tell|check|look|read|describe|confirm|please))"
        r"|\bgoing to (?:die|recover|live|get|need|be|kill|come|go|last|make|have)"
        r"|\bdie[sd]?\b|\bdying\b|\bdeath\b|\bdeadly\b|\bfatal\b|\bkill|\brecover"
        r"|\bcontagious|\binfectious\b|(?<!anything )\bdangerous\b"
        r"|(?<!anything )\blife[\s-]?threatening"
        r"|\bhow (?:serious|worried|urgent|dangerous|concerned)|(?<!like an )\bemergency\b"
        r"|\bchances? of (?:surviv|recover|dying|living|getting|it|him|her)|\brisks?\b"
        r"|\b(?:could|can|might|would) (?:it|this|that|they|the \w+) (?:come back|go away"
        r"|get|turn|become|spread|recur|heal|burst|rupture|grow|kill|lead|progress|return"
        r"|clear up)|\b(?:odds|chances?|likelihood|probability) of .{0,40}\b(?:coming back|recur\w*"
        r"|spreading|returning|dying|surviv\w+|recover\w+)|\b(?:come|came) back\b"
        r"|\bgo(?:es)? away\b|\bheal(?:s|ed)?\b(?= |\?"
        r"|$)(?! (?:rib|fract))(?<!healed)|\bcatch (?:it|this)|\brun marathons?\b"
        r"|\bstage (?:of cancer|is)|\b(?:die|live) (?:of|from|with)\b|\bscale of",
        PROGNOSIS,
    ),
)  # fmt: skip
