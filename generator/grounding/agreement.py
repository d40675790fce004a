"""Agreement among hits: weighted votes for findings, and the hits that support a sentence.

agreement = Agreement(retrieval, rank_decay=0.5)
agreement.share("Cardiomegaly"), agreement.support(candidate), agreement.citations(candidate)
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from db.app.generation import Citation
from db.index.store import Section, Sentence
from db.labels import FINDINGS, State
from generator.grounding.claims import Claims, read_claims, read_text
from generator.grounding.regions import TOPICS
from generator.grounding.report import cite
from generator.grounding.sentences import (
    SIDES,
    is_usable,
    overlap,
    tells_a_story,
    tidy,
    without_side,
)
from generator.grounding.support.evidence import Evidence, Support
from indexer.reports.labeller import label_sentence
from indexer.reports.sentences import has_redaction
from retriever.results import Hit, Retrieval

LEAST_SHARED = 2
"""Hits that must tell a cause or a history before a report does."""

_SAME_STORY = 0.5
"""Overlap in wording of two sentences that tell the same one."""


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
    by_rule: bool = False
    """Whether a rule worded it and not the hit."""


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
        self._sides: dict[str, set[frozenset[str]]] = {}
        for one in self.candidates:
            for claim in one.claims.atoms:
                if claim.state != "negative" and claim.sides:
                    self._sides.setdefault(claim.finding, set()).add(frozenset(claim.sides))
        self._sentences: dict[int, tuple[HitSentence, ...]] = {
            hit.rank: tuple(one for one in self.candidates if one.hit.rank == hit.rank)
            for hit in retrieval.hits
        }
        self._evidence = {
            rank: Evidence(
                [one.claims for one in sentences],
                quotable=[not has_redaction(one.sentence.text) for one in sentences],
                preferred=[one.usable for one in sentences],
            )
            for rank, sentences in self._sentences.items()
        }
        self._found: dict[
            tuple[str, tuple[tuple[str, State], ...]], dict[int, tuple[HitSentence, ...]]
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
        return sum(self._weights[rank] for rank in self.supporters(candidate.claims))

    def centrality(self, candidate: HitSentence) -> float:
        """Return how close the wording is to that of the supporting hits, 0 to 1."""
        quotes = self.supporters(candidate.claims)
        total = sum(self._weights[rank] for rank in quotes)
        return (
            sum(
                self._weights[rank] * overlap(candidate.claims.words, said[0].claims.words)
                for rank, said in quotes.items()
            )
            / total
        )

    def printable(self) -> tuple[HitSentence, ...]:
        """Return the sentences that may be reused and that at least one hit supports.

        Where hits name opposite sides of a finding, the side is removed from the sentence, or the
        sentence is dropped. A cause or a history needs `LEAST_SHARED` hits that tell it.
        """
        usable = [one for one in self.candidates if one.usable]
        printed = [self._without_side(one) if self._is_contested(one) else one for one in usable]
        return tuple(
            one
            for one in printed
            if one is not None and self.supporters(one.claims) and self._is_shared(one)
        )

    def _is_shared(self, candidate: HitSentence) -> bool:
        if not tells_a_story(candidate.text):
            return True
        telling = {
            one.hit.rank
            for one in self.candidates
            if tells_a_story(one.sentence.text)
            and overlap(one.claims.words, candidate.claims.words) >= _SAME_STORY
        }
        return len(telling) >= LEAST_SHARED

    def bare(self, text: str, section: Section) -> HitSentence:
        """A sentence in the words of a rule; the hits that support it, if any, are cited."""
        claims = read_text(text)
        said = Sentence(section=section, text=text, labels=claims.labels, refers_to_prior=False)
        return HitSentence(
            hit=self._retrieval.hits[0],
            sentence=said,
            claims=claims,
            text=text,
            usable=False,
            by_rule=True,
        )

    def _is_contested(self, candidate: HitSentence) -> bool:
        """Whether another sentence reports the same finding on the other side only."""
        for claim in candidate.claims.atoms:
            if claim.state == "negative" or len(claim.sides) != 1:
                continue
            if any(sides == SIDES - claim.sides for sides in self._sides.get(claim.finding, ())):
                return True
        return False

    def _without_side(self, candidate: HitSentence) -> HitSentence | None:
        bare = without_side(candidate.sentence.text)
        if bare is None or label_sentence(bare) != dict(candidate.sentence.labels):
            return None
        claims = read_claims(replace(candidate.sentence, text=bare))
        return replace(candidate, claims=claims, text=tidy(bare))

    def citations(self, candidate: HitSentence) -> tuple[Citation, ...]:
        """Cite the supporting hits by rank, each with its supporting sentences."""
        fingerprint = self._retrieval.index_fingerprint
        return tuple(
            cite(quote.hit, quote.sentence.text, fingerprint)
            for _, quotes in sorted(self.supporters(candidate.claims).items())
            for quote in quotes
        )

    def supporters(self, claims: Claims) -> Mapping[int, tuple[HitSentence, ...]]:
        """Map the rank of each supporting hit to its sentences, the closest in wording first."""
        key = (claims.text, tuple(sorted(claims.labels.items())))
        if key not in self._found:
            found = {rank: evidence.support(claims) for rank, evidence in self._evidence.items()}
            self._found[key] = {
                rank: tuple(self._sentences[rank][place] for place in said.sentences)
                for rank, said in found.items()
                if said.holds
            }
        return self._found[key]

    def support_of(self, rank: int, claims: Claims) -> Support:
        """Check claims against one hit; the result says what the hit states instead."""
        return self._evidence[rank].support(claims)

    def _naming(self, name: str) -> Collection[int]:
        if name in FINDINGS:
            return {
                hit.rank
                for hit in self._retrieval.hits
                if hit.case.labels.get(name) in ("positive", "uncertain")
            }
        return {one.hit.rank for one in self.candidates if name in one.claims.named}
