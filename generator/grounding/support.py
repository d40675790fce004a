"""Agreement among hits: weighted votes for findings, and the hits that support a sentence.

agreement = Agreement(retrieval, rank_decay=0.5)
agreement.share("Cardiomegaly"), agreement.support(candidate), agreement.citations(candidate)
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from db.app.generation import Citation
from db.index.store import Sentence
from db.labels import FINDINGS, State
from generator.grounding.claims import Claims, read_claims
from generator.grounding.regions import TOPICS
from generator.grounding.report import cite
from generator.grounding.sentences import SIDES, is_usable, overlap, tidy, without_side
from indexer.reports.labeller import label_sentence
from indexer.reports.sentences import has_redaction
from retriever.results import Hit, Retrieval


@dataclass(frozen=True, kw_only=True)
class HitSentence:
    """A sentence of a hit with its claims."""

    hit: Hit
    sentence: Sentence
    claims: Claims
    text: str
    """The text as printed in a report."""
    usable: bool
    """Whether the sentence may be reused in a report; any sentence can be cited."""


class Agreement:
    """The hits of one search, each with a weight of 1 / rank^decay; weights sum to 1."""

    def __init__(self, retrieval: Retrieval, *, rank_decay: float) -> None:
        self._retrieval = retrieval
        raw: dict[int, float] = {hit.rank: float(hit.rank) ** -rank_decay for hit in retrieval.hits}
        total = sum(raw.values())
        self._weights = {rank: weight / total for rank, weight in raw.items()}
        self.candidates: tuple[HitSentence, ...] = tuple(
            HitSentence(
                hit=hit,
                sentence=sentence,
                claims=read_claims(sentence),
                text=tidy(sentence.text),
                usable=not sentence.refers_to_prior
                and is_usable(sentence.text)
                and read_claims(sentence).consistent,
            )
            for hit in retrieval.hits
            for sentence in hit.case.sentences
        )
        self._supporters: dict[
            tuple[str, tuple[tuple[str, State], ...]], dict[int, HitSentence]
        ] = {}

    def share(self, name: str) -> float:
        """Return the weight of the hits whose report names a finding or topic, 0 to 1."""
        return sum(self._weights[rank] for rank in self._naming(name))

    def shares(self) -> dict[str, float]:
        """Return the share of every finding and topic that a hit names, largest first."""
        found = {name: self.share(name) for name in (*FINDINGS, *TOPICS)}
        return dict(sorted(((n, s) for n, s in found.items() if s), key=lambda pair: -pair[1]))

    def support(self, candidate: HitSentence) -> float:
        """Return the weight of the hits that support a sentence, 0 to 1."""
        return sum(self._weights[rank] for rank in self._supported_by(candidate))

    def centrality(self, candidate: HitSentence) -> float:
        """Return how close the wording is to that of the supporting hits, 0 to 1."""
        quotes = self._supported_by(candidate)
        total = sum(self._weights[rank] for rank in quotes)
        return (
            sum(
                self._weights[rank] * overlap(candidate.claims.words, quote.claims.words)
                for rank, quote in quotes.items()
            )
            / total
        )

    def printable(self) -> tuple[HitSentence, ...]:
        """Return the sentences that may be reused.

        Where hits name opposite sides of a finding, the side is removed from the sentence, or the
        sentence is dropped.
        """
        usable = [one for one in self.candidates if one.usable]
        printed = [self._without_side(one) if self._is_contested(one) else one for one in usable]
        return tuple(one for one in printed if one is not None)

    def _is_contested(self, candidate: HitSentence) -> bool:
        """Whether another sentence reports the same finding on the other side only."""
        sides = candidate.claims.particulars & SIDES
        if len(sides) != 1:
            return False
        (other,) = SIDES - sides
        return any(
            one.claims.particulars & SIDES == {other} and one.claims.named & candidate.claims.named
            for one in self.candidates
        )

    def _without_side(self, candidate: HitSentence) -> HitSentence | None:
        bare = without_side(candidate.sentence.text)
        if bare is None or label_sentence(bare) != dict(candidate.sentence.labels):
            return None
        claims = read_claims(replace(candidate.sentence, text=bare))
        return replace(candidate, claims=claims, text=tidy(bare))

    def citations(self, candidate: HitSentence) -> tuple[Citation, ...]:
        """Cite the supporting hits by rank, each with its supporting sentence."""
        fingerprint = self._retrieval.index_fingerprint
        return tuple(
            cite(quote.hit, quote.sentence.text, fingerprint)
            for _, quote in sorted(self._supported_by(candidate).items())
        )

    def supporters(self, text: str, claims: Claims) -> Mapping[int, HitSentence]:
        """Map the rank of each supporting hit to its sentence closest in wording."""
        key = (text, tuple(sorted(claims.labels.items())))
        if key not in self._supporters:
            best: dict[int, tuple[tuple[bool, float], HitSentence]] = {}
            for one in self.candidates:
                if has_redaction(one.sentence.text) or not _says(one, text, claims):
                    continue
                closeness = (one.usable, overlap(one.claims.words, claims.words))
                rank = one.hit.rank
                if rank not in best or closeness > best[rank][0]:
                    best[rank] = (closeness, one)
            self._supporters[key] = {rank: quote for rank, (_, quote) in best.items()}
        return self._supporters[key]

    def _naming(self, name: str) -> Collection[int]:
        if name in FINDINGS:
            return {
                hit.rank
                for hit in self._retrieval.hits
                if hit.case.labels.get(name) in ("positive", "uncertain")
            }
        return {one.hit.rank for one in self.candidates if name in one.claims.named}

    def _supported_by(self, candidate: HitSentence) -> Mapping[int, HitSentence]:
        return self.supporters(candidate.text, candidate.claims)


def _says(quote: HitSentence, text: str, claims: Claims) -> bool:
    if quote.text.lower() == text.lower() and dict(quote.claims.labels) == dict(claims.labels):
        return True
    return claims.supported_by(quote.claims)
