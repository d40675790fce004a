"""The findings mentioned in a report, and the sentences that support a given one.

found = FindingEvidence(texts, quotable=[True] * len(texts))
found.saying(atom, text)        # indices of sentences, or UnsupportedError with the reason
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from generator.grounding.support.atoms import evidence_atoms
from generator.grounding.support.differences import at_one_place, differences, overlap_in_place
from generator.grounding.support.hierarchy import (
    common_name,
    denied_by,
    is_called_opacity,
    is_generic,
    opposed_to,
    said_by,
)
from generator.grounding.support.pairing import BOTH
from generator.grounding.support.wording import leaves_a_rest, same_words, sites
from indexer.reports.labelling.mention import Mention


class UnsupportedError(Exception):
    """A report does not support a claim; the message is what it says instead."""


class FindingEvidence:
    """Mentions of findings in the sentences of one report."""

    def __init__(self, texts: Sequence[str], *, quotable: Sequence[bool]) -> None:
        self._texts = texts
        self._quotable = quotable
        self._mentions: dict[str, list[tuple[int, Mention]]] = {}
        for place, text in enumerate(texts):
            for mention in evidence_atoms(text):
                self._mentions.setdefault(mention.finding, []).append((place, mention))

    def holds_at(self, place: int, finding: Mention) -> bool:
        """Whether a sentence reports a finding with its attributes, positive or uncertain."""
        return any(
            at == place
            and quote.state != "negative"
            and not differences(
                replace(finding, state=quote.state, certainty=quote.certainty), quote
            )
            for at, quote in self._mentions.get(finding.finding, ())
        )

    def mentions_at(self, place: int, name: str) -> bool:
        """Whether a sentence mentions a finding in any state."""
        return any(at == place for at, _ in self._mentions.get(name, ()))

    def instead(self, finding: Mention) -> str:
        """Return what the report says instead of a finding."""
        return self._compare(finding, (finding.finding,))[1]

    def denial(self, finding: Mention) -> int | None:
        """Return the index of a sentence that denies a finding, if the report denies it."""
        try:
            claim = replace(finding, state="negative", certainty="definite")
            return min(min(part) for part in self._denying(claim))
        except UnsupportedError:
            return None

    def names(self, name: str) -> bool:
        """Whether a finding is positive."""
        return any(one.state == "positive" for _, one in self._mentions.get(name, ()))

    def saying(self, claim: Mention, text: str) -> list[frozenset[int]]:
        """Return the sentences that support a finding, or one set for each side.

        Raises UnsupportedError if there is none.
        """
        wording = text[claim.start : claim.end]
        if claim.state == "negative":
            return self._denying(claim, wording, sites(text), in_part=leaves_a_rest(text))
        found, missing = self._compare(claim, said_by(claim, wording), wording, sites(text))
        if not found:
            raise UnsupportedError(missing)
        return [found]

    def check_together(self, one: Mention, other: Mention, text: str) -> None:
        """Raise UnsupportedError if two findings that come together lie apart in the report."""
        pairs = [
            [
                quote
                for name in said_by(claim, text[claim.start : claim.end])
                for _, quote in self._told(name, claim)
                if not differences(claim, quote)
            ]
            for claim in (one, other)
        ]
        if all(pairs) and not any(at_one_place(a, b) for a in pairs[0] for b in pairs[1]):
            names = " and ".join(common_name(claim.finding) for claim in (one, other))
            raise UnsupportedError(f"reports {names} in different places")

    def _compare(
        self,
        claim: Mention,
        names: Sequence[str],
        wording: str = "",
        site: frozenset[str] = frozenset(),
    ) -> tuple[frozenset[int], str]:
        found: set[int] = set()
        nearest: list[str] | None = None
        for name in names:
            for place, quote in self._told(name, claim):
                if not self._quotable[place]:
                    continue
                if name == "Other Device" and not self._same_device(
                    claim, place, quote, wording, site
                ):
                    continue
                if (
                    name == "Degenerative Change"
                    and site
                    and sites(self._texts[place])
                    and site.isdisjoint(sites(self._texts[place]))
                ):
                    continue
                beyond = differences(claim, quote)
                if not beyond:
                    found.add(place)
                elif nearest is None or (len(beyond), name != claim.finding) < (
                    len(nearest),
                    False,
                ):
                    nearest = beyond
        if nearest is None:
            return frozenset(found), f"does not mention {common_name(claim.finding)}"
        return frozenset(found), f"{', '.join(nearest)} ({common_name(claim.finding)})"

    def _told(self, name: str, claim: Mention) -> Iterator[tuple[int, Mention]]:
        """The mentions of a finding that may be what is claimed, with their sentences: an
        interstitial pattern is an opacity where it is called one."""
        for place, quote in self._mentions.get(name, ()):
            wording = self._texts[place][quote.start : quote.end]
            if (
                name == claim.finding
                or name != "Interstitial Pattern"
                or is_called_opacity(wording)
            ):
                yield place, quote

    def _same_device(
        self, claim: Mention, place: int, quote: Mention, wording: str, site: frozenset[str]
    ) -> bool:
        """Whether an Other Device can be the one claimed, by wording and site."""
        text = self._texts[place]
        quoted = text[quote.start : quote.end]
        if is_generic(quoted if claim.state == "negative" else wording):
            return True
        return (
            claim.finding == "Other Device"
            and same_words(wording, quoted, part=True)
            and site <= sites(text)
        )

    def _denying(
        self,
        claim: Mention,
        wording: str = "",
        site: frozenset[str] = frozenset(),
        *,
        in_part: bool = False,
    ) -> list[frozenset[int]]:
        for name in () if in_part else opposed_to(claim, wording):
            for _, quote in self._mentions.get(name, ()):
                if quote.state != "negative" and overlap_in_place(claim, quote):
                    doubt = "possible " if quote.state == "uncertain" else ""
                    raise UnsupportedError(f"reports {doubt}{common_name(name)}")
        names = denied_by(claim)
        found, missing = self._compare(claim, names, wording, site)
        whole = frozenset(
            place for place in found if in_part or not leaves_a_rest(self._texts[place])
        )
        if whole:
            return [whole]
        if found:
            raise UnsupportedError(f"leaves out a part ({common_name(claim.finding)})")
        if claim.sides:
            raise UnsupportedError(missing)
        halves = [
            self._compare(replace(claim, sides=frozenset({side})), names, wording, site)[0]
            for side in sorted(BOTH)
        ]
        if not all(halves):
            raise UnsupportedError(missing)
        return halves
