"""What an X-ray of the chest does not show, and the quality of the image."""

NOT_SHOWN = "A chest X-ray does not measure or show this."
OTHER_PART = "A chest X-ray does not show this part of the body."
QUALITY = "Exposure, position and quality of the image are not assessed."

FORMS: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:ecg|ekg|ejection fraction|h(?:a)?emoglobin|blood (?:test|count|pressure|sugar"
        r"|gas|type|group)|creatinine|troponin|oxygen sat\w*|o2 sats?|sats|spo2"
        r"|an(?:a)?emi[ac]|cholesterol|lung function|fev1|bnp|crp|white (?:cell|blood)|wbc"
        r"|potassium|sodium|glucose|heart (?:rate|rhythm|murmur|beat)|arrhythmia"
        r"|palpitations|afib|atrial fibrillation|breath sounds|wheez\w+|depression|dementia"
        r"|alzheimer\w*|autism|adhd|iq)\b",
        NOT_SHOWN,
    ),
    (
        r"\b(?:brain|skull|head(?! of)|intracranial|kidneys?|renal|bladder|gall\s?bladder"
        r"|gallstones?|liver|hepatic|spleen|pancreas|prostate|uterus|ovar(?:y|ies)|fetus"
        r"|foetus|knees?|ankles?|wrists?|fingers?|toes?|foot|(?<!off her )(?<!off his )feet"
        r"|hips?|pelvis|femur|tibia|teeth|tooth|carotids?|coronar\w+|ureters?|molars?|dental"
        r"|jaw|eyes?|ears?|nose|sinus(?:es)?|appendi\w+|colon|rectum|bowels?(?! gas)"
        r"|intestin\w+|tonsils?|elbows?|(?<!right )(?<!left )(?<!other )hands?|legs?|lumbar"
        r"|sacr\w+|testic\w+|hair|tongue)\b(?! side)|\bstomach (?:lining|ulcer|ache|pain"
        r"|cancer|acid)|\b(?:cancer|tumou?r|mass|ulcer|pain|lump)s? (?:\w+ )?(?:in"
        r"|of) (?:\w+ )?(?:stomach|tummy|belly|abdomen)",
        OTHER_PART,
    ),
    (
        r"\b(?:exposure|penetrat(?:ed|ion)|overexposed|underexposed|rotat(?:ed|ion)|quality"
        r"|artifacts?|blurr?y|resolution|technique|well[\s-]positioned|(?:full|good|adequate"
        r"|degree of|depth of) inspiration|inspired|inspiratory)\b",
        QUALITY,
    ),
)  # fmt: skip
