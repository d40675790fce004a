"""Functions of the project in the shape in which the cases of ``../shared/cases`` call them."""

from dataclasses import dataclass

from db.index.store import Sentence
from db.labels import State
from generator.grounding.support.atoms import atoms
from generator.grounding.support.evidence import support

_TOPICS = {
    "Aorta": ("Tortuous Aorta", "Aortic Calcification", "Aortic Enlargement"),
    "Calcified Nodes": ("Granuloma",),
    "Adenopathy": ("Lymphadenopathy",),
    "Raised Diaphragm": ("Elevated Hemidiaphragm",),
    "Free Air": ("Pneumoperitoneum",),
    "Spinal Curvature": ("Scoliosis", "Kyphosis"),
}
"""Names that the cases have for findings, where the table of findings has others."""

_RANK: dict[State, int] = {"negative": 0, "uncertain": 1, "positive": 2}


class _Topics:
    def __init__(self, text: str) -> None:
        self._states: dict[str, State] = {}
        for one in sorted(atoms(text), key=lambda one: _RANK[one.state]):
            self._states[one.finding] = one.state

    def get(self, name: str) -> State | None:
        said = [self._states[one] for one in _TOPICS.get(name, (name,)) if one in self._states]
        return max(said, key=_RANK.__getitem__, default=None)


@dataclass(frozen=True)
class ClaimsOfCase:
    """What a sentence claims, to be compared with another."""

    text: str

    @property
    def topics(self) -> _Topics:
        return _Topics(self.text)

    def supported_by(self, quote: "ClaimsOfCase") -> bool:
        return support(self.text, quote.text).holds


def read_claims(sentence: Sentence) -> ClaimsOfCase:
    return ClaimsOfCase(sentence.text)
