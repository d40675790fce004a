"""Capitals, letters and the pieces that names are written with, in scripts that have capitals."""

import re
from dataclasses import dataclass

_SCRIPTS = (*range(0x41, 0x250), *range(0x370, 0x590), *range(0x1E00, 0x2000))
"""Latin, Greek, Cyrillic and Armenian."""
UPPER = "".join(chr(code) for code in _SCRIPTS if chr(code).isupper())
LOWER = "".join(chr(code) for code in _SCRIPTS if chr(code).islower())
LETTERS = "".join(chr(code) for code in _SCRIPTS if chr(code).isalpha()) + "\u0300-\u036f"

_TOKEN = re.compile(
    rf"(?<![\w'’^@/\\])(?<![^.]-)(?:[dDlL]['’]|[Aa]l-|[Ee]l-|['’ʻ‘](?=[{LETTERS}]{{2,12}}['’ʻ][{LETTERS}]))?[{UPPER}][{LETTERS}]{{0,24}}"
    rf"(?:['’ʻ][{LETTERS}]{{1,20}}|-[{LETTERS}]{{1,20}}){{0,3}}(?![\w@\\^])"
)
PARTICLES = frozenset(
    """
    van von vom zu zur zum de der den del della delle degli di da do dos das du des d' la le las
    los ten ter te het 't el al bin ibn ben bint binti binte binto abu ould wa ng y e af av san dal
    dalla dello lo dela delos nwa ní nic ó mac ap ferch ul ud
    """.split()
)
_MOST_PARTICLES = 3
_SUFFIX = re.compile(
    r"(?<=..)'(?:s|[nysm]?[ıiuüae]n?|[nı][ıiuü]n|[dt][ae]n?|ya|ye|l[ae]|[yn][ıiuü]|[ae])$"
)
"""The genitive, and the cases of Turkish names ("Ayşe'nin")."""


@dataclass(frozen=True, slots=True)
class Capital:
    """A word with a capital, and where it stands."""

    text: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """The word without case and genitive."""
        return _SUFFIX.sub("", self.text.replace("’", "'").casefold()).strip("'")

    @property
    def owner(self) -> bool:
        """Whether it is a genitive ("Roe's")."""
        return _SUFFIX.search(self.text.replace("’", "'").casefold()) is not None

    @property
    def initial(self) -> bool:
        """Whether it is one letter."""
        return len(self.text) == 1

    @property
    def capitals(self) -> bool:
        """Whether it is written in capitals throughout."""
        return len(self.text) > 1 and self.text.isupper()


def runs(text: str) -> list[list[Capital]]:
    """Return the words with capitals, neighbours together ("J. van der Berg" is one run)."""
    found: list[list[Capital]] = []
    previous: Capital | None = None
    for match in _TOKEN.finditer(text):
        token = Capital(match[0], match.start(), match.end())
        if previous is not None and _joined(previous, text[previous.end : token.start]):
            found[-1].append(token)
        else:
            found.append([token])
        previous = token
    return found


def _joined(previous: Capital, gap: str) -> bool:
    if gap in (" ", "  ") or (gap == ".-" and previous.initial):
        return True
    if len(gap) > 12 or not gap or gap[0] not in " .":
        return False
    if gap[0] == "." and not (previous.initial or previous.text in ("St", "ST", "Ma", "Th", "Chr")):
        return False
    return all(word in PARTICLES for word in gap.strip(". ").split(" ") if word)


def particles_before(text: str, start: int) -> int:
    """Return where the particles in front of a name begin ("van der " in "Dr. van der Berg")."""
    for _ in range(_MOST_PARTICLES):
        head = text[max(0, start - 8) : start]
        if not head.endswith(" "):
            break
        word = head.rstrip(" ").rpartition(" ")[2]
        if not word or word not in PARTICLES:
            break
        start -= len(head) - len(head.rstrip(" ")) + len(word)
    return start
