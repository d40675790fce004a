"""General knowledge, and causes."""

GENERAL = "This describes the chest X-ray and does not answer questions of general knowledge."
CAUSE = "The cause cannot be told from the chest X-ray alone."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"^\W*(?:(?:can|could|would) you |please )?(?:what is|what's|whats|what are|define"
        r"|explain|tell me)(?: to me)?(?: meant by| what| about| a| an"
        r"| the meaning of)? (?:term )?(?!(?:the|this|that|these|those|seen|shown|visible"
        r"|abnormal|wrong|there|present|on|in|your|some|any|going|happening|noted|found"
        r"|located|heart|cardiac|lungs?|bones?|you|if|whether|what|where|which|how|up|his|her"
        r"|their|its|my|we|i|your|most|unusual|of|not|it|about|everything|all|anything|each|more"
        r"|main"
        r"|findings|abnormalities|and|please|odd|bad|strange|weird"
        r"|significant)\b)(?!.*\b(?:the|this|in|at|on|that|seen|can|located|side|here|there"
        r"|image|x-?ray|finding|lung)\b)[a-z -]+?(?: is| are)?\W*$|\bwhat does (?:a |an "
        r"|the )?(?:\w+ )?(?:\w+ )?mean\b|\bmeaning of\b|\bdefin(?:e|ition)\b"
        r"|\bexplain (?:to me )?(?:how|why|what (?:an?|is|are) )|\bhow (?:do|does|did|can|is"
        r"|are) (?:you|one|we|doctors|radiologists|an?|the|x-?rays?|lungs?|hearts?|\w+|people"
        r"|[a-z]+ [a-z]+) (?:[\w-]+ ){0,4}?(?:works?|determine|diagnos\w+|develops?|forms?"
        r"|happens?|functions?|pump|breathe|caused|made|spread|hurt|damage|affect|kill|grow"
        r"|measured|transmitted|treated|detected|come about)\b|\bwho (?:discovered|invented"
        r"|was|wrote|won|described|first)\b|\b(?:famous|invented|inventor|discovered|nobel"
        r"|first described)\b|\bhow (?:common|frequent|rare|many people|many patients"
        r"|much does|expensive|prevalent|often does)\b|\bwhat percent|\bcosts?\b|\bprice\b"
        r"|\bteach\b|\bhow to \w+|\bwhat does an? (?:normal|healthy|typical|good|bad)"
        r"|\bhow (?:do|can|would) (?:i|we|you|one|radiologists|doctors) (?:become|learn|read"
        r"|tell|know|diagnose|distinguish|recogni[sz]e|spot)\b|\bwhat (?:usually |normally "
        r"|typically |generally |often )?(?:causes|triggers)\b|\b(?:can|could|does|do|will"
        r"|would) (?:[\w-]+ ){1,3}?(?:cause|lead to|result in|prevent|increase|worsen|damage"
        r"|trigger)s?\b|\bwhy (?:do|does|are|is) (?:people|patients|smokers|x-?rays|the sky"
        r"|doctors)|\bdifference between\b|\bdiffers? from\b|\bhistory of (?:the )?(?:x-?ray"
        r"|radiolog|medicine)|\b(?:list|name) (?:the |some |all )?(?:causes|types|risk"
        r"|symptoms|complications|kinds)|\bwhat (?:are|is) (?:the )?(?:\w+ )?(?:causes?|types?"
        r"|complications?|incidence|prevalence|pathophysiology|mechanism|definition|symptoms"
        r"|signs of|stages|normal (?:range|size|value|width)|treatment)|\b(?:hereditary"
        r"|genetic|inherited|contagious|preventable|congenital disease|transmitted|infectious"
        r"|runs? in families)\b|\b(?:usually|typically|generally|in general|normally"
        r"|always) (?:cause|mean|look|happen|present|appear|occur|affect)|\bin (?:medicine"
        r"|history|the world|general|animals|dogs|cats|children usually)\b",
        GENERAL,
    ),
    (
        r"\bwhat (?:is|are|was) (?:the |this |these |that )?(?:\w+ ){1,3}?(?:caused by|due to"
        r"|from)\b|\bwhat (?:caused|is causing|led to|explains|brought|made|makes|triggered"
        r"|gave)|\b(?:causes?|etiology|aetiology|reasons?|origin) (?:of|for|is|be)\b"
        r"|^\W*(?:so |and |but )?why\b|^\W*how come\b|\bhow did (?:he|she|i|they|it|this"
        r"|the patient) (?:get|catch|happen|develop|come)|\b(?:is|was|are|could|can"
        r"|might) (?:it|this|that|these|(?:the|his|her"
        r"|my) \w+(?: \w+)?) (?:\w+ )?(?:be )?(?:because|caused|due to|from (?!the |midline"
        r"|an? )|related to|the result|secondary to|a consequence)\b|\bthat did (?:it|this)\b"
        r"|\bto blame\b|\bfault\b|\b(?:covid|flu|virus|bacteri\w+|fung\w+|viral|smoking"
        r"|asbestos|work|pollution|trauma|accident)\b.*\bor\b.*\b(?:covid|flu|virus|bacteri\w+"
        r"|fung\w+|viral|smoking|asbestos|pollution|trauma|accident)\b",
        CAUSE,
    ),
)  # fmt: skip
