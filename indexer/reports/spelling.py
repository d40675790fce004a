"""The characters of a report, and words that a line break cut in two.

    plain_characters("ﬁne “opacities”")   # 'fine "opacities"'
    join_broken_words("cardio-\\nmegaly")           # 'cardiomegaly'

A section keeps its author's spelling: the labeller reads British and American forms alike.
"""

import re
import unicodedata

_CHARACTERS = str.maketrans(
    {
        "\u00ad": "",  # soft hyphen
        "\u200b": "",
        "\u200c": "",
        "\u200d": "",
        "\u2060": "",
        "\ufeff": "",
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
        "\ufb05": "st",
        "\ufb06": "st",
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u201b": "'",
        "\u2032": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u2033": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2212": "-",
        "\u2014": " - ",
        "\u2015": " - ",
        "\u2026": "...",
        "\uff1a": ":",
        "\u00a0": " ",
        "\u202f": " ",
        "\u3000": " ",
        **{chr(space): " " for space in range(0x2000, 0x200B)},
    }
)


def plain_characters(text: str) -> str:
    """Ligatures, curly quotes, dashes and special spaces as the plain characters they stand for."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text).translate(_CHARACTERS)


LONG_WORDS = frozenset(
    """
    atelectasis atelectases atelectatic cardiomegaly cardiomediastinal cardiopulmonary cardiac
    consolidation consolidations consolidative costophrenic cardiophrenic hemidiaphragm
    hemidiaphragms hemithorax hydropneumothorax hemothorax pneumothorax pneumothoraces pneumonia
    pneumonitis pneumomediastinum pneumoperitoneum pneumonectomy effusion effusions opacity
    opacities opacification opacified infiltrate infiltrates infiltration mediastinum mediastinal
    emphysema emphysematous interstitial parenchymal parenchyma pulmonary vascular vasculature
    bronchovascular bronchiectasis peribronchial tracheostomy endotracheal nasogastric orogastric
    pacemaker defibrillator catheter catheters sternotomy thoracotomy lobectomy thoracic vertebral
    scoliosis kyphosis osteophytes osteopenia degenerative compression fracture fractures
    calcification calcifications calcified granuloma granulomas granulomatous nodule nodules
    nodular nodularity metastasis metastases metastatic lymphadenopathy adenopathy congestion
    congestive edema oedema perihilar prominence prominent silhouette unremarkable unchanged
    significant abnormality abnormalities radiograph radiographs radiographic examination
    comparison tortuous tortuosity atherosclerotic enlargement enlarged hyperinflation
    hyperinflated hyperexpanded hypoinflation subsegmental subcutaneous subpleural bibasilar
    bilateral bilaterally retrocardiac suprahilar infrahilar diaphragm diaphragms diaphragmatic
    eventration elevation thickening fibrosis fibrotic reticular reticulonodular honeycombing
    pericardial cardiothoracic biventricular aneurysm aneurysmal dissection tuberculosis
    sarcoidosis bronchitis bronchopneumonia aspiration hernia hiatal
    """.split()
)
_BROKEN = re.compile(r"\b([^\W\d_]{2,16})(?:-[ \t]*\n?[ \t]*|[ \t]*\n[ \t]*)(?=([^\W\d_]{2,16})\b)")
_HYPHEN_AT_BREAK = re.compile(r"(?<=[^\W\d_])-[ \t]*\n[ \t]*(?=[^\W\d_])")


def join_broken_words(text: str) -> str:
    """Words that a line break or a hyphen cut in two, where the whole is a known word.

    Any other hyphen at the end of a line ("right-" over "sided") stays, without the break.
    """
    if "-" not in text and "\n" not in text:
        return text
    joined = _BROKEN.sub(
        lambda match: match[1] if f"{match[1]}{match[2]}".lower() in LONG_WORDS else match[0],
        text,
    )
    return _HYPHEN_AT_BREAK.sub("-", joined)
