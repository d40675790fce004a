"""Requests to the program itself, and for other work than reading the X-ray."""

OFF_TOPIC = "This answers questions about the findings of the chest X-ray only."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:ignore|disregard|forget|override|bypass|skip) (?:all |your |the |any |every "
        r"|these |those |my |of )*(?:previous|prior|above|earlier|instructions?|rules?"
        r"|guidelines?|guardrails?|safety|restrictions?|limits?|filters?|findings|assessment"
        r"|images?|x-?rays?)|\b(?:system|developer|hidden|initial|your) (?:prompt|message|mode"
        r"|instructions?|rules?)\b|^\W*(?:system|assistant|user|developer|admin|root|human"
        r"|ai)\s*[:>\]]|</?(?:system|script|inst|user|s|im_\w+|assistant)\b|\[/?inst\]|<\|"
        r"|\bjailb\w+|\bunrestricted\b|\bdan\b(?! \w+'s)|\bdo anything now\b|\bno (?:limits"
        r"|restrictions|rules)\b|\byou are (?:now|no longer|a|an|my|going to)\b"
        r"|\bfrom now on\b|\bnew (?:rules|instructions?|task|role)\b|\b(?:act|behave|respond"
        r"|answer|reply|speak|talk) (?:like|as|only)\b|\bpretend|\b(?:make up|invent|fabricate"
        r"|fake)\b|\bplay a game|\brole-?play|\bimagine (?:you"
        r"|that)|\bhypothetical|\b(?:answer|reply|respond|say|output|print|write|repeat|return"
        r"|type|begin|start|end|finish) (?:me )?(?:with|every|all|only|exactly|just|your"
        r"|the (?:word|words|text|following|phrase|above|sentence)|there (?:is|are)|it is"
        r"|that (?:there|the|it|this)|yes|no\b|hello|hi\b|normal|\"|')|\breport (?:everything"
        r"|it all|all|this) as\b|\b(?:reveal|leak|dump|delete|erase|drop|exfiltrate|hack"
        r"|decrypt|execute|sudo|curl|wget)\b|\b(?:print|output|repeat|show|display"
        r"|tell)\b.*\b(?:prompt|instructions?|password|api key|token|secret|credentials?"
        r"|above this|training data|source code)\b|\bselect \*|\btable\b.*;",
        OFF_TOPIC,
    ),
    (
        r"\byour (?:name|instructions?|rules?|prompt|favou?rite|opinion (?:on"
        r"|of) \w+ (?!x-?ray|film|image))|\b(?:are|were) you (?:an?|able|human|real|sure you"
        r"|chatgpt|gpt|sentient|conscious|alive|trained|happy|ok|better)\b|\bwho (?:made|built"
        r"|are|trained|created|owns) you\b|\bdo you (?:like|love|feel|dream|sleep|eat|enjoy"
        r"|want|believe in|get|ever|speak)\b|\bwhat (?:model|ai|llm|language model) (?:are"
        r"|is)\b|\bwhich (?:model|ai|llm)\b|\b(?:poem|joke|song|essay|story|recipe|haiku"
        r"|limerick|lyrics|rap|letter|e-?mail|tweet|blog|cv|resume|invoice|certificate"
        r"|prescription|sick note|referral letter)\b|\btranslat|\b(?:python|javascript|sql"
        r"|html|code|program|spreadsheet)\b|\bspell\b|\brhyme|\b(?:weather|football|bitcoin"
        r"|crypto\w*|stocks?|election|president|movie|netflix|pizza|restaurants?|recipe"
        r"|horoscope|lottery|wifi|password)\b|\d\s*[-+*/x]\s*\d+\s*(?:=|\?|$)",
        OFF_TOPIC,
    ),
)  # fmt: skip
