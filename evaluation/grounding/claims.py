"""The findings that a sentence states, each checked against the texts that it cites.

    check_claim(claims_of("Large left effusion.")[0], [Evidence of "Small left effusion."]).parts
    # {"finding": True, "side": True, "degree": False, "certainty": True}

A finding holds if one cited text says it with its side, place, degree, certainty and time, by the
rules of `docs/citation-check.md`; other findings of the sentence may rest on other texts. For each
attribute that a present finding has, the check is repeated with that attribute alone. A finding
that compares with an earlier image never holds: no system is shown one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from db.labels import NO_FINDING
from generator.grounding.claims import read_text
from generator.grounding.support.evidence import Evidence, one_sided
from generator.grounding.support.finding_evidence import UnsupportedError
from indexer.reports.labelling.mention import Certainty, Mention
from indexer.reports.sentences import split_sentences

FINDING, SIDE, PLACE, DEGREE, CERTAINTY, TIME = (
    *("finding", "side", "place", "degree", "certainty", "time"),
)
PARTS = (FINDING, SIDE, PLACE, DEGREE, CERTAINTY, TIME)

_FIELDS: Mapping[str, tuple[str, ...]] = {
    SIDE: ("sides",),
    PLACE: ("location", "tip"),
    DEGREE: ("degree", "size_mm"),
    TIME: ("age", "comparison"),
}
"""What of a mention each attribute is."""

_SURE: Certainty = "definite"
_DOUBTFUL: Certainty = "possible"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A finding that a sentence states, or that it calls the whole image normal."""

    sentence: str
    mention: Mention | None
    """None: the image is called normal."""

    @property
    def is_present(self) -> bool:
        """Whether it is a finding, positive or uncertain, and not a denial."""
        return self.mention is not None and self.mention.state != "negative"


@dataclass(frozen=True, kw_only=True)
class ClaimCheck:
    """What cited texts say of a claim."""

    holds: bool
    parts: Mapping[str, bool]
    """Of a present finding: each of `PARTS` that it has, and whether the texts say it."""


@lru_cache(maxsize=1 << 15)
def claims_of(sentence: str) -> tuple[Claim, ...]:
    """Return the findings of a sentence, one a side, denials too; empty where it states none."""
    read = read_text(sentence)
    found = [Claim(sentence=sentence, mention=one) for one in one_sided(read.atoms)]
    if read.labels.get(NO_FINDING) == "positive":
        found.append(Claim(sentence=sentence, mention=None))
    return tuple(found)


@lru_cache(maxsize=1 << 14)
def evidence_of(text: str) -> Evidence:
    """Read a cited text once, however often it is cited."""
    return Evidence([read_text(one) for one in split_sentences(text)])


def check_claim(claim: Claim, texts: Sequence[Evidence]) -> ClaimCheck:
    """Check a claim against cited texts; with none it holds in no part."""
    mention = claim.mention
    if mention is None:
        normal = read_text(claim.sentence)
        return ClaimCheck(holds=any(one.support(normal) for one in texts), parts={})
    holds = not mention.comparison and _is_said(mention, claim.sentence, texts)
    if not claim.is_present:
        return ClaimCheck(holds=holds, parts={})
    bare = replace(
        mention,
        kind=frozenset(),
        **{field: type(getattr(mention, field))() for some in _FIELDS.values() for field in some},
    )
    at_all = (
        replace(bare, state="positive", certainty=_SURE),
        replace(bare, state="uncertain", certainty=_DOUBTFUL),
        replace(bare, state="uncertain", certainty="unlikely"),
    )
    parts = {
        FINDING: any(_is_said(one, claim.sentence, texts) for one in at_all),
        CERTAINTY: _is_said(bare, claim.sentence, texts),
    }
    for part, fields in _FIELDS.items():
        said = {field: getattr(mention, field) for field in fields}
        if any(said.values()):
            parts[part] = not said.get("comparison") and any(
                _is_said(replace(one, **said), claim.sentence, texts) for one in at_all
            )
    return ClaimCheck(holds=holds, parts=parts)


def holds_whole(sentence: str, text: Evidence) -> bool:
    """Whether one text alone supports everything that a sentence says."""
    return text.support(read_text(sentence)).holds


def _is_said(mention: Mention, sentence: str, texts: Iterable[Evidence]) -> bool:
    for text in texts:
        try:
            text.findings.saying(mention, sentence)
        except UnsupportedError:
            continue
        return True
    return False
