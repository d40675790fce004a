"""What an X-ray of the chest does not show."""

NOT_SHOWN = "A chest X-ray does not measure or show this."
OTHER_PART = "A chest X-ray does not show this part of the body."

FORMS: tuple[tuple[str, str], ...] = (
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
        r"|sacr\w+|testic\w+|hair|tongue)\b(?! (?:side|shadow|outline|edge|silhouette|border))"
        r"|\bstomach (?:lining|ulcer|ache|pain"
        r"|cancer|acid)|\b(?:cancer|tumou?r|mass|ulcer|pain|lump)s? (?:\w+ )?(?:in"
        r"|of) (?:\w+ )?(?:stomach|tummy|belly|abdomen)",
        OTHER_PART,
    ),
)  # fmt: skip
