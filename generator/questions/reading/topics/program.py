"""Requests to the program itself, and for other work than reading the X-ray."""

OFF_TOPIC = "This answers questions about the findings of the chest X-ray only."
UNCHANGED = "This describes the chest X-ray and does not change it."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:ignore|disregard|forget|override|bypass|skip) (?:all |your |the |any |every "
        r"|these |those |my |of )*(?:previous|prior|above|earlier|instructions?|rules?"
        r"|guidelines?|guardrails?|safety|restrictions?|limits?|filters?|findings|assessment"
        r"|images?|x-?rays?)|\b(?:system|developer|hidden|initial|your) (?:prompt|message"
        r"|mode|instructions?|rules?)\b|^\W*(?:system|assistant|user|developer|admin|root"
        r"|human|ai)\s*[:>\]]|</?(?:system|script|inst|user|s|im_\w+|assistant)\b|\[/?inst\]"
        r"|<\||\bjailb\w+|\bunrestricted\b|\bdan\b(?! \w+'s)|\bdo anything now\b"
        r"|\bno (?:limits|restrictions|rules)\b|\byou are (?:now|no longer|a|an|my"
        r"|going to)\b|\bfrom now on\b|\bnew (?:rules|instructions?|task|role)\b|\b(?:act"
        r"|behave|respond|answer|reply|speak|talk) (?:like|as|only)\b|\boverride\b|\bpretend"
        r"|\b(?:make up|invent|fabricate|fake)\b|\bplay a game|\brole-?play|\bimagine (?:you"
        r"|that)|\bhypothetical|\b(?<!you )(?:answer|reply|respond|say|output|print|write|repeat"
        r"|return|type|begin|start|end|finish) (?:me )?(?:with|every|all|only|exactly|just"
        r"|your|the (?:word|words|text|following|phrase|above|sentence)|there (?:is|are)"
        r"|it is|that (?:there|the|it|this)|yes|no\b|hello|hi\b|normal|\"|')"
        r"|\breport (?:everything|it all|all|this) as\b|\b(?:reveal|leak|dump|delete|erase"
        r"|drop|exfiltrate|hack|decrypt|execute|sudo|curl|wget)\b|\b(?:print|output|repeat"
        r"|show|display|tell)\b.*\b(?:prompt|instructions?|password|api key|token|secret"
        r"|credentials?|above this|training data|source code)\b|\bselect \*|\btable\b.*;",
        OFF_TOPIC,
    ),
    (
        r"\byour (?:name|instructions?|rules?|prompt|favou?rite|opinion (?:on"
        r"|of) \w+ (?!x-?ray|film|image))|\b(?:are|were) you (?:an?|able|human|real|sure you"
        r"|chatgpt|gpt|sentient|conscious|alive|trained|happy|ok|better)\b|\bwho (?:made"
        r"|built|are|trained|created|owns) you\b|\bdo you (?:like|love|feel|dream|sleep|eat"
        r"|enjoy|want|believe in|get|ever|speak)\b|\bwhat (?:model|ai|llm"
        r"|language model) (?:are|is)\b|\bwhich (?:model|ai|llm)\b|\b(?:poem|joke|song|essay"
        r"|story|recipe|haiku|limerick|lyrics|rap|letter|e-?mail|tweet|blog|cv|resume"
        r"|invoice|certificate|prescription|sick note|referral letter)\b|\btranslat"
        r"|\b(?:python|javascript|sql|html|code|program|spreadsheet)\b|\bspell\b|\brhyme"
        r"|\b(?:weather|football|bitcoin|crypto\w*|stocks?|election|president|movie|netflix"
        r"|pizza|restaurants?|recipe|horoscope|lottery|wifi|password)\b"
        r"|\d\s*[-+*/x]\s*\d+\s*(?:=|\?|$)"
        r"|^\W*(?:please |just |now )*(?:say|state|claim|declare|write) (?:that )?(?:the|this|my)"
        r" [\w-]+(?: [\w-]+)? (?:is|are|looks?)\b"
        r"|^\W*(?:please |just |now )*(?:tell (?:me|us|them|him|her)|say|promise"
        r"|assure \w+) (?:that )?"
        r"(?:there(?:'s| is| are)|it(?:'s| is)|everything|i'?m|i am|he(?:'s| is)|she(?:'s| is))\b"
        r"|^\W*(?:(?:can|could|would|will) you |please |kindly |just |now )*(?:print|save|store"
        r"|upload"
        r"|download|forward|export|copy|share|attach|archive|sign)\b"
        r"|\b(?:draw|paint|sketch|sing|compose|generate|create) (?:me |us )?(?:an?|the|some)\b"
        r"|\bdo you know (?!if|whether|what|where|how|which|why)"
        r"|\b(?:doctor|radiologist|hospital|nurse|surgeon)s?\b (?:\w+ )?(?:any )?(?:good|competent"
        r"|reliable|trustworthy|qualified)\b",
        OFF_TOPIC,
    ),
    (
        r"^\W*(?:please |just |now )*(?:change|edit|alter|modify|correct|update|delete"
        r"|remove) (?:the"
        r"|your|this|that|all|every|any) (?:\w+ )?(?:diagnos[ie]s|reports?|findings?|answers?"
        r"|results?"
        r"|impression|conclusion|labels?|images?|x-?rays?)\b|"
        r"^\W*(?:(?:can|could|would|will) you |please |kindly )*(?:sharpen|enhance|rotate|flip|crop"
        r"|brighten|darken|zoom|invert|edit|recolou?r|resize|denoise)\b"
        r"|\b(?:can|could|would|will) (?:you|we|i) (?:please )?(?:improve|adjust|increase|change"
        r"|fix|turn|clean) (?:up )?(?:the |this |its )?(?:contrast|brightness|image|picture|quality"
        r"|resolution|sharpness|exposure|x-?ray|film)\b",
        UNCHANGED,
    ),
    (
        r"\b(?:su(?:e|ed|ing)|law ?suits?|law|laws|legal\w*|illegal\w*|lawyers?|attorneys?"
        r"|solicitors?|barristers?|courts?|judges?(?= |\W*$)(?! (?:the|this|it|whether|if|how))"
        r"|jur(?:y|ies)|litigat\w+|liab(?:le|ility)|malpractice|negligen\w+|compensation"
        r"|damages (?:claim|from)|testif\w+|testimony|expert witness|prosecut\w+|police"
        r"|(?:insurance|legal|injury|compensation|accident) claims?|claims? (?:against|for"
        r"|compensation)|(?:file|make|bring|press|win|lodge) (?:an? |the |any )?(?:\w+ )?(?:claims?"
        r"|charges|complaints?|case)|complain (?:about|to)|informed consent|copyright\w*"
        r"|hipaa|gdpr|confidential\w*|privacy|insurers?|insurance|my rights)\b",
        OFF_TOPIC,
    ),
)  # fmt: skip
