"""Medical terms that are no finding of the labeller, and yet must be in the cited report.

    terms_beside("Left effusion and pneumatocele.", atoms("Left effusion and pneumatocele."))
    # ["pneumatocele"]

Only words that name a disease or an abnormality are terms: by their Greek or Latin ending, or from
the list below. Other words (places, verbs, adjectives) may differ between two sentences that say
the same.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from generator.grounding.support.wording import qualifiers
from indexer.reports.labelling.mention import Mention

_TERM = re.compile(
    r"\b(?:(?!diagnos|prognos)\w{2,}(?:itis|oses|osis|omas?|omata|coeles?|celes?|ectas[ei]s|ectasia"
    r"|path(?:y|ies)|plasias?|penia|megaly|liths?|lithiasis|malacia|trophy|lysis|rrhages?|rrhaging"
    r"|listhesis|sarcomas?)"
    r"|abscess\w*|infarct\w*|embol(?:us|i|ism|isms)|thromb\w+|fistulas?|sequestrat\w+|azygos|situs"
    r"|dextrocardia|pectus|goit(?:er|re)s?|varic(?:es|eal)|ascites|ileus|volvulus|obstruct\w+"
    r"|gallstones?|calcul(?:us|i)|sarcoid\w*|asbest\w+|silico\w+|contusions?|lacerat\w+|dissect\w+"
    r"|ruptur\w+|tors(?:ion|ed)|gangren\w+|dislocat\w+|subluxat\w+|lytic|blastic|erosions?|eros?ive"
    r"|coarctat\w+|tamponade|ards|covid\w*|influenza|mucus|mucous|mucoid|plugging"
    r"|foreign bod(?:y|ies)|diverticul\w+|achalasia|atresia|agenesis|anomal(?:y|ies|ous)"
    r"|malformat\w+|congenital\w*"
    r"|rotator|myeloma|fung(?:al|us)|tubercul\w+|tb|cysts?|cystic|h(?:a)?emorrhag\w+|aspirat\w+)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 15)
def terms_beside(text: str, found: tuple[Mention, ...]) -> tuple[str, ...]:
    """Return the terms of a statement that are no part of a finding, in its order."""
    spans = [(one.start, one.end) for one in found]
    return tuple(
        match[0].lower()
        for match in _TERM.finditer(text)
        if not any(start < match.end() and match.start() < end for start, end in spans)
    )


def missing_terms(terms: Iterable[str], report: Sequence[str]) -> list[str]:
    """Return the terms that no sentence of a report has, in any of their forms."""
    words = {word for text in report for word in re.findall(r"[a-z]+", text.lower())}
    said = frozenset[str]().union(*map(qualifiers, report))
    return [term for term in terms if not _has(term, words) and not (qualifiers(term) & said)]


def _has(term: str, words: Iterable[str]) -> bool:
    first = term.split()[0]
    stem = first[: max(3, min(6, len(first) - 2))]
    return any(word.startswith(stem) for word in words)
