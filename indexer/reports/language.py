"""The language of a report, so that rules made for English are not used on another.

    report_language("Das Herz ist normal groß. Kein Erguss.")    # 'de'
    is_foreign("Kein Pneumothorax.")                             # True: no label may be made of it

Whole texts are told by py3langid (all its languages), few words by the function words in them.
"""

import re
from functools import lru_cache
from typing import Any

ENGLISH = "en"
NAMES = {
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ca": "Catalan",
    "da": "Danish",
    "no": "Norwegian",
    "nb": "Norwegian",
    "nn": "Norwegian",
    "sv": "Swedish",
    "fi": "Finnish",
    "pl": "Polish",
    "cs": "Czech",
    "sk": "Slovak",
    "sl": "Slovene",
    "hr": "Croatian",
    "sr": "Serbian",
    "hu": "Hungarian",
    "ro": "Romanian",
    "bg": "Bulgarian",
    "ru": "Russian",
    "uk": "Ukrainian",
    "el": "Greek",
    "tr": "Turkish",
    "ar": "Arabic",
    "he": "Hebrew",
    "fa": "Persian",
    "hi": "Hindi",
    "zh": "Chinese",
    "ja": "Japanese",
    "ko": "Korean",
    "vi": "Vietnamese",
    "th": "Thai",
    "id": "Indonesian",
}
_FEW_WORDS = 8
_SURE = 0.9
_ENGLISH_WORDS = frozenset(
    """
    the of is are was were there with without and or no not for to at from by this that which within
    has have been normal clear lungs lung heart left right chest seen noted evidence unchanged
    stable
    size acute effusion mild moderate small large new lower upper lobe above below enlarged limits
    """.split()
)
_FOREIGN_WORDS = {
    "de": "kein keine keinen keiner keines nicht ohne und der die das des dem den ein eine eines"
    " einer"
    " ist sind mit im am beidseits rechts links beidseitig nachweis unauffällig regelrecht"
    " kleiner großer"
    " ausgeschlossen vergrößert normale normaler zustand nach bei zum zur vom auf über oder bereich"
    " infiltrate erguss verdacht unverändert frei zeichen hinweis nein rechtsseitiger rechtsseitige"
    " linksseitiger linksseitige atelektase atelektasen verschattung stauung kardiomegalie",
    "fr": "pas de du des le la les un une et est sont sans avec aucun aucune absence au aux à oui"
    " cardiomégalie"
    " droite gauche droit normale normales normal poumon discret discrète épanchement opacité non"
    " ni en"
    " dans sur présence bilatérale foyer",
    "es": "sin el la los las de del un una y es son con no se en derecho izquierdo derecha"
    " izquierda"
    " ausencia ni hay observa observan derrame normal evidencia bilateral pulmonar ningún ninguna"
    " leve",
    "it": "nessun nessuna nessuno non il lo la gli le di del della dei un una e è sono con senza in"
    " destra sinistra destro sinistro assenza né nei nella evidenza versamento assente assenti"
    " normale bilaterale lieve regolare",
    "nl": "geen niet de het een en is zijn met zonder van in op rechts links beiderzijds"
    " aanwijzingen"
    " voor bij normaal vergroot pleuravocht tekenen beeld afwijkingen beide",
    "pt": "sem o a os as de do da dos das um uma e é são com não em no na direito esquerdo direita"
    " esquerda ausência nem há derrame observa normal sinais bilateral nenhum nenhuma leve"
    " discreto",
}
_FOREIGN = {name: frozenset(words.split()) - {"no"} for name, words in _FOREIGN_WORDS.items()}
_ONLY_ENGLISH = (
    _ENGLISH_WORDS - {"no", "normal", "in", "is"} - frozenset().union(*_FOREIGN.values())
)
_SHARED = frozenset(
    "in a an on per via de la no normal bilateral der die at den am des as non op e o y os da"
    " infiltrate"
    " do con in le del voor bei".split()
)
"""Foreign words that English sentences have too, or names ("de novo", "a la"): they count only
beside another one."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ABSENT = re.compile(
    r"^(?:pas d|absence d|sin \w|sem \w|senza \w|zonder \w|ohne \w|kein|geen \w|ness?un|aucun"
    r"|ausencia d|"
    r"ausência d|assenza d|afwezigheid|no se |no hay |nicht |niet |não |non [eè'] )",
)


def report_language(text: str) -> str:
    """ISO 639-1 code of the language that a report is written in; English where that is open."""
    words = [word.lower() for word in _WORD.findall(text)]
    if not words:
        return ENGLISH
    english = sum(word in _ONLY_ENGLISH for word in words)
    if len(words) < _FEW_WORDS:
        return _of_few(words, text, english)
    code, probability = _identifier().classify(text.lower())
    if code == ENGLISH:
        return ENGLISH
    if english * 5 >= len(words) or (probability < _SURE and english):
        return ENGLISH
    known = _of_few(words, text, english)
    return code if probability >= _SURE or known == ENGLISH else known


def language_name(code: str) -> str:
    """The English name of a language, or its code where it has none here."""
    return NAMES.get(code, f"a language with the code '{code}'")


def is_foreign(sentence: str) -> bool:
    """Whether a sentence is not English, as far as its words tell."""
    return _is_foreign(sentence[:400])


@lru_cache(maxsize=65_536)
def _is_foreign(sentence: str) -> bool:
    if sentence.isascii() and not _has_foreign_word(sentence):
        return False
    return report_language(sentence) != ENGLISH


def _has_foreign_word(sentence: str) -> bool:
    return any(word.lower() in _ANY_FOREIGN for word in _WORD.findall(sentence))


_ANY_FOREIGN = frozenset(word for words in _FOREIGN.values() for word in words)


def _of_few(words: list[str], text: str, english: int) -> str:
    """By function words: another language where they outnumber the English ones."""
    counts = {name: sum(word in own for word in words) for name, own in _FOREIGN.items()}
    sure = {
        name: sum(word in own and word not in _SHARED for word in words)
        for name, own in _FOREIGN.items()
    }
    name = max(counts, key=lambda one: (sure[one], counts[one]))
    if _ABSENT.match(text.lower().lstrip()) and counts[name]:
        return name
    if counts[name] > english and (sure[name] or counts[name] > 1):
        return name
    if not text.isascii() and sum(not char.isascii() and char.isalpha() for char in text) * 3 > len(
        text
    ):
        return str(_identifier().classify(text.lower())[0])
    return ENGLISH


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
