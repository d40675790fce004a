"""Decide whether a report supports a statement: finding by finding, each with its attributes.

    found = support("Left effusion.", "Right effusion and left lower lobe atelectasis.")
    found.holds         # False
    found.reason        # "says right, not left (pleural effusion)"

A finding holds if one mention of it in the report has the same state and certainty and at least the
side, place, degree, size, tip and kind of the statement; the statement may say less. A denial holds
if the report denies as much and reports none of it. An organ called normal must be called normal in
the report; a statement without finding or organ must be there in the same words. A statement that
compares with an earlier image never holds, because no earlier image is shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from db.labels import NO_FINDING
from generator.grounding.claims import Claims, read_text
from generator.grounding.sentences import compares_with_prior, overlap
from generator.grounding.support.atoms import joined
from generator.grounding.support.finding_evidence import FindingEvidence, UnsupportedError
from generator.grounding.support.hierarchy import OPPOSED_TO_NORMAL, common_name
from generator.grounding.support.organs import is_named_by, is_normal
from generator.grounding.support.pairing import BOTH
from generator.grounding.support.terms import missing_terms, terms_beside
from generator.grounding.support.wording import (
    is_acute,
    leaves_a_rest,
    leftover_clauses,
    qualifiers,
    same_words,
)
from indexer.reports.labelling.mention import Mention
from indexer.reports.sentences import split_sentences

_SAID_BY_NAME = {
    "Aortic Calcification": frozenset({"atherosclerotic"}),
    "Interstitial Pattern": frozenset({"interstitial", "reticular"}),
}
"""Distinguishing words that are among the names of a finding."""

COMPARES = "cannot say how this image has changed"


@dataclass(frozen=True, kw_only=True)
class Support:
    """The result of a check."""

    holds: bool
    reason: str = ""
    """What the report says instead, a predicate of "case 2"; empty if it holds."""
    sentences: tuple[int, ...] = ()
    """Indices of the supporting sentences, the closest in wording first."""

    def __bool__(self) -> bool:
        return self.holds


def support(statement: str, report: str | Sequence[str]) -> Support:
    """Check a statement against a report, given as text or as sentences."""
    sentences = split_sentences(report) if isinstance(report, str) else report
    return Evidence([read_text(one) for one in sentences]).support(read_text(statement))


class Evidence:
    """A report, read once for any number of statements.

    ``quotable`` marks sentences that may be quoted, ``preferred`` those to quote before others.
    """

    def __init__(
        self,
        sentences: Sequence[Claims],
        *,
        quotable: Sequence[bool] | None = None,
        preferred: Sequence[bool] | None = None,
    ) -> None:
        self.sentences = tuple(sentences)
        self._preferred = tuple(preferred) if preferred is not None else (True,) * len(sentences)
        self._quotable = tuple(quotable) if quotable is not None else (True,) * len(sentences)
        self.findings = FindingEvidence(
            [one.text for one in self.sentences], quotable=self._quotable
        )

    def support(self, claims: Claims) -> Support:
        """Check that the report supports every claim of a statement."""
        try:
            return Support(holds=True, sentences=self._sentences(claims))
        except UnsupportedError as error:
            return Support(holds=False, reason=str(error))

    def _sentences(self, claims: Claims) -> tuple[int, ...]:
        if claims.truncated:
            raise UnsupportedError("cannot be compared with a sentence of this length")
        if compares_with_prior(claims.text):
            raise UnsupportedError(COMPARES)
        said: list[frozenset[int]] = []
        for one in one_sided(claims.atoms):
            said += self.findings.saying(one, claims.text)
        for one, other in joined(claims.text, claims.atoms):
            self.findings.check_together(one, other, claims.text)
        if claims.labels.get(NO_FINDING) == "positive":
            said.append(self._normal_image(claims))
        else:
            said += [
                self._normal_organ(organ, acute_only)
                for organ, acute_only in claims.organs.items()
                if not any(is_named_by(organ, one.finding) for one in claims.atoms)
            ]
        if not said:
            said.append(self._same_words(claims))
        chosen = self._fewest(said, claims)
        self._check_rest(claims, chosen)
        return chosen

    def _normal_image(self, claims: Claims) -> frozenset[int]:
        acute = is_acute(claims.text)
        for name in OPPOSED_TO_NORMAL:
            if self.findings.names(name):
                raise UnsupportedError(f"reports {common_name(name)}")
        found = {
            place
            for place, one in enumerate(self.sentences)
            if self._quotable[place]
            and one.labels.get(NO_FINDING) == "positive"
            and (acute or not is_acute(one.text))
        }
        if not found:
            raise UnsupportedError("does not call the image normal")
        return frozenset(found)

    def _normal_organ(self, organ: str, acute_only: bool) -> frozenset[int]:
        found = {
            place
            for place, one in enumerate(self.sentences)
            if self._quotable[place]
            and is_normal(organ, acute_only, one.organs)
            and not leaves_a_rest(one.text)
        }
        if not found:
            raise UnsupportedError(f"does not call the {organ} normal")
        return frozenset(found)

    def _same_words(self, claims: Claims) -> frozenset[int]:
        found = {
            place
            for place, one in enumerate(self.sentences)
            if self._quotable[place] and same_words(claims.text, one.text)
        }
        if not found:
            raise UnsupportedError("does not say this in these words")
        return frozenset(found)

    def _fewest(self, said: Sequence[frozenset[int]], claims: Claims) -> tuple[int, ...]:
        """Choose few sentences that together support all parts, the closest in wording first."""
        chosen: list[int] = []
        open_parts = list(said)
        while open_parts:
            best = max(
                sorted(set().union(*open_parts)),
                key=lambda place: (
                    sum(place in one for one in open_parts),
                    self._preferred[place],
                    overlap(self.sentences[place].words, claims.words),
                ),
            )
            chosen.append(best)
            open_parts = [one for one in open_parts if best not in one]
        return tuple(chosen)

    def _check_rest(self, claims: Claims, chosen: Sequence[int]) -> None:
        """Check what no finding carries: distinguishing words, and clauses without a finding."""
        texts = [self.sentences[place].text for place in chosen]
        if any(one.state != "negative" for one in claims.atoms):
            lacking = qualifiers(claims.text) - frozenset[str]().union(*map(qualifiers, texts))
            for one in claims.atoms:
                lacking -= _SAID_BY_NAME.get(one.finding, frozenset())
            if lacking:
                raise UnsupportedError(f"does not say {' or '.join(sorted(lacking))}")
        terms = terms_beside(claims.text, claims.atoms) if claims.atoms else ()
        if lacking_terms := missing_terms(terms, [one.text for one in self.sentences]):
            raise UnsupportedError(f"does not mention {' or '.join(lacking_terms)}")
        for clause in leftover_clauses(claims.text, claims.atoms):
            if read_text(clause).organs or read_text(clause).labels:
                continue
            if not any(same_words(clause, one.text, part=True) for one in self.sentences):
                raise UnsupportedError(f"does not say “{clause}”")


def one_sided(found: Sequence[Mention]) -> Iterator[Mention]:
    """Yield findings of one side each; different sentences may support them."""
    for one in found:
        if one.state != "negative" and one.sides == BOTH:
            for side in sorted(BOTH):
                yield replace(one, sides=frozenset({side}))
        else:
            yield one
