"""General knowledge, and causes."""

GENERAL = "This describes the chest X-ray and does not answer questions of general knowledge."
CAUSE = "The cause cannot be told from the chest X-ray alone."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"^\W*(?:(?:can|could|would) you |please )?(?:what is|what's|whats|what are|define"
        r"|explain|tell me)(?: to me)?(?: meant by| what| about| a| an"
        r"| the meaning of)? (?:term )?(?!(?:the|this|that|these|those|seen|shown|visible"
        r"|abnormal|wrong|there|present|on|in|your|some|any|going|happening|noted|found"
        r"|located|heart|cardiac|lungs?|bones?|you|if|whether|what|where|which|how|up|his"
        r"|her|their|its|my|we|i|your|most|unusual|of|not|it|about|everything|all|anything"
        r"|each|more|main|findings|abnormalities|and|please|odd|bad|strange|weird"
        r"|significant)\b)(?!.*\b(?:the|this|in|at|on|that|seen|can|located|side|here|there"
        r"|image|x-?ray|finding|lung)\b)[a-z -]+?(?: is| are)?\W*$|\bwhat does (?:a |an "
        r"|the )?(?:\w+ )?(?:\w+ )?mean\b|\bmeaning of\b|\bdefin(?:e|ition)\b"
        r"|\bexplain (?:to me )?(?:how|why|what (?:an?|is|are) )|\bhow (?:do|does|did|can|is"
        r"|are) (?:you|one|we|doctors|radiologists|an?|the|x-?rays?|lungs?|hearts?|\w+"
        r"|people|[a-z]+ [a-z]+) (?:[\w-]+ ){0,4}?(?:works?|determine|diagnos\w+|develops?"
        r"|forms?|happens?|functions?|pump|breathe|caused|made|spread|hurt|damage|affect"
        r"|kill|grow|measured|transmitted|treated|detected|come about)\b|\bwho (?:discovered"
        r"|invented|was|wrote|won|described|first)\b|\b(?:famous|invented|inventor"
        r"|discovered|nobel|first described)\b|\bhow (?:common|frequent|rare|many people"
        r"|many patients|much does|expensive|prevalent|often does)\b|\bwhat percent"
        r"|\bcosts?\b|\bprice\b|\bteach\b|\bin (?:the|a) (?:human )?body\b"
        r"|\bexplain the \w+ sign\b|\bhow to \w+|\bwhat does an? (?:normal|healthy|typical"
        r"|good|bad)|\bhow (?:do|can|would) (?:i|we|you|one|radiologists|doctors) (?:become"
        r"|learn|read|tell|know|diagnose|distinguish|recogni[sz]e|spot)\b|\bwhat (?:usually "
        r"|normally |typically |generally |often )?(?:causes|triggers)\b|\b(?:can|could|does"
        r"|do|will|would) (?:[\w-]+ ){1,3}?(?:cause|lead to|result in|prevent|increase"
        r"|worsen|damage|trigger)s?\b|\bwhy (?:do|does|are|is) (?:people|patients|smokers"
        r"|x-?rays|the sky|doctors)|\bdifference between\b|\bdiffers? from\b"
        r"|\bhistory of (?:the )?(?:x-?ray|radiolog|medicine)|\b(?:list|name) (?:the |some "
        r"|all )?(?:causes|types|risk|symptoms|complications|kinds)|\bwhat (?:are"
        r"|is) (?:the )?(?:\w+ )?(?:causes?|types?|complications?|incidence|prevalence"
        r"|pathophysiology|mechanism|definition|symptoms|signs of|stages|normal (?:range"
        r"|size|value|width)|treatment)|\b(?:hereditary|genetic|inherited|contagious"
        r"|preventable|congenital disease|transmitted|infectious|runs? in families)\b"
        r"|\b(?:usually|typically|generally|in general|normally|always) (?:cause|mean|look"
        r"|happen|present|appear|occur|affect)|\bin (?:medicine|history|the world|general"
        r"|animals|dogs|cats|children usually)\b",
        GENERAL,
    ),
    (
        r"\bwhat (?:is|are|was) (?:the |this |these |that )?(?:\w+ ){1,3}?(?:caused by"
        r"|due to|from)\b|\bwhat (?:caused|is causing|led to|explains|brought|made|makes"
        r"|triggered|gave)|\b(?:causes?|etiology|aetiology|reasons?|origin) (?:of|for|is"
        r"|be)\b(?! (?:concern|worry|alarm))|^\W*(?:so |and |but )?why\b|^\W*how come\b"
        r"|\bhow did (?:he|she|i|they|it|this|the patient) (?:get|catch|happen|develop|come)"
        r"|\b(?:is|was|are|could|can|might) (?:it|this|that|these|(?:the|his|her"
        r"|my) \w+(?: \w+)?) (?:\w+ )?(?:be )?(?:because|caused|due to|from (?!the |midline"
        r"|an? )|related to|the result|secondary to|a consequence)\b|\bthat did (?:it"
        r"|this)\b|\bto blame\b|\bfault\b|\b(?:covid|flu|virus|bacteri\w+|fung\w+|viral"
        r"|smoking|asbestos|work|pollution|trauma|accident)\b.*\bor\b.*\b(?:covid|flu|virus"
        r"|bacteri\w+|fung\w+|viral|smoking|asbestos|pollution|trauma|accident)\b",
        CAUSE,
    ),
)  # fmt: skip
