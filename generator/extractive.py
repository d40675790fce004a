"""A report without a language model, composed of sentences that the hits agree on.

    retriever = Retriever.open(Path("data/index"))
    retrieval = retriever.search(["image.dcm"], k=10)
    print(write_report(retrieval, assessment=assess(retrieval, retriever.vote(query))))

The assessment says which findings are present; without one, and for findings outside the 14
observations, the hits vote. Sentences that state these are chosen, the best supported first, then
sentences on normal regions that no present finding contradicts. A present finding that no sentence
states is added by rule, with the hits that name it or on the image alone. No claim
repeats within findings or within impression, and each finding has one state in the whole report.
The impression restates the findings in other words. Sentences that compare with an earlier image,
have words removed by a de-identifier, or apply to one patient only (sizes, dates, advice) are never
used, nor are sentences with a side on which the hits disagree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from db.app.generation import Statement
from db.errors import UserError
from db.findings import Region
from db.index.store import Section
from db.labels import FINDINGS, NO_FINDING, State
from generator.assessment.assess import Assessment
from generator.assessment.situation import study_warnings, text_warnings
from generator.assessment.wording import wordings
from generator.grounding.agreement import Agreement, HitSentence
from generator.grounding.regions import REGIONS, TOPICS
from generator.grounding.report import GroundedReport
from generator.grounding.sentences import near_duplicates
from retriever.results import Retrieval

EXTRACTIVE_VERSION = "extractive-2"

LEAST_STATEMENTS = 3

ALWAYS_SAID: tuple[Region, ...] = ("heart", "lungs", "pleura")
"""Regions that the findings always mention, even with less agreement among the hits."""


@dataclass(frozen=True, kw_only=True)
class ExtractiveConfig:
    """How much agreement among hits is enough.

    The defaults were chosen on the val split of Open-I, before an assessment was given.
    """

    positive_share: float = 0.2
    """A finding is present if at least this share of the weighted hits names it."""
    agreement_share: float = 0.3
    """The same for further topics and for sentences about normal regions."""
    rank_decay: float = 0.25
    """A hit weighs 1 / rank^decay; 0 weighs all hits equally."""
    label_score_weight: float = 0.5
    """Weight of the encoder's label head against the hits, 0 to 1."""
    most_findings: int = 8
    """The most sentences in the findings."""

    def __post_init__(self) -> None:
        for name in ("positive_share", "agreement_share", "label_score_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if self.rank_decay < 0 or self.most_findings < 1:
            raise UserError("rank_decay must not be negative and most_findings at least 1")


DEFAULT = ExtractiveConfig()


def write_report(
    retrieval: Retrieval,
    config: ExtractiveConfig = DEFAULT,
    *,
    assessment: Assessment | None = None,
) -> GroundedReport:
    """Compose findings and impression from the hits; what no hit supports is added by rule.

    Raises UserError where there is no hit to write from.
    """
    if not retrieval.hits:
        raise UserError(
            "no prior case passes the rules of this search, so there is nothing to write from: "
            "exclude less or use a larger index"
        )
    draft = _Draft(retrieval, config, assessment)
    draft.write()
    statements = draft.statements()
    return GroundedReport(
        statements=statements,
        hits=retrieval.hits,
        generator=EXTRACTIVE_VERSION,
        index_fingerprint=retrieval.index_fingerprint,
        warnings=(
            *study_warnings(retrieval),
            *text_warnings(statements, draft.present, assessment),
        ),
        notes=retrieval.notes,
        label_scores=retrieval.label_scores,
        assessment=assessment,
    )


class _Draft:
    """One report being composed."""

    def __init__(
        self, retrieval: Retrieval, config: ExtractiveConfig, assessment: Assessment | None
    ) -> None:
        self._config = config
        self._assessment = assessment
        self._agreement = Agreement(retrieval, rank_decay=config.rank_decay)
        self._printable = self._agreement.printable()
        shares = self._agreement.shares()
        self._shares = {**shares, **_weights(shares, retrieval, config, assessment)}
        names = set(self._shares) - set(FINDINGS) if assessment else self._shares
        self._present = {
            name
            for name in names
            if self._shares[name]
            >= (config.agreement_share if name in TOPICS else config.positive_share)
        }
        if assessment is not None:
            self._present |= set(assessment.present)
        self._may_be = set(self._shares)
        if assessment is not None:
            self._may_be -= set(FINDINGS) - {*assessment.present, *assessment.possible}
        self._states: dict[str, State] = {}
        self._chosen: dict[Section, list[HitSentence]] = {"findings": [], "impression": []}

    def write(self) -> None:
        for also in (frozenset[str](), frozenset(TOPICS), frozenset(self._may_be)):
            self._say_present("findings", also)
        self._say_normal(self._config.agreement_share)
        for region in ALWAYS_SAID:
            if not any(region in one.claims.regions for one in self._chosen["findings"]):
                self._say_normal(self._config.agreement_share / 3, only=region)
        self._say_bare("findings")
        self._say_present("impression")
        self._say_bare("impression")
        self._sum_up()
        for least in (self._config.agreement_share / 2, 0.0):
            self._say_normal(least, up_to=LEAST_STATEMENTS - len(self._chosen["impression"]))
        self._say_anything()

    def _say_present(self, section: Section, also: frozenset[str] = frozenset()) -> None:
        """Add sentences for all present findings, the one that gains the most agreement first.

        Sentences may also name findings in ``also``, which count as present from then on.
        """

        def gain(one: HitSentence) -> float:
            fresh = (one.claims.named & self._present) - self._said(section)
            support = self._agreement.support(one)
            if section == "impression" and one.sentence.section != section:
                support /= 2
                fresh &= set(FINDINGS)
            general = 1 / (1 + len(one.claims.particulars) / 10)
            return general * support * sum(self._shares.get(name, 0.0) for name in fresh)

        while self._choose(section, gain, also):
            pass

    def _say_bare(self, section: Section) -> None:
        """Add the bare name of each present finding that no sentence states.

        In the impression only where it would be empty.
        """
        if self._assessment is None or (section == "impression" and self._chosen[section]):
            return
        for name in FINDINGS:
            if name in self._present and name not in self._said(section):
                said = [one.text for chosen in self._chosen.values() for one in chosen]
                forms = [
                    self._agreement.bare(text, section)
                    for text in wordings(name, section, beside=said)
                ]
                supported = [one for one in forms if self._agreement.supporters(one.claims)]
                for one in (*supported, forms[0]):
                    if self._admits(one, section, frozenset()):
                        self._chosen[section].append(one)
                        self._states.update(one.claims.states)
                        break

    def _say_normal(
        self, least: float, up_to: int | None = None, only: Region | None = None
    ) -> None:
        """Add sentences about normal regions that at least this share of the hits supports."""
        up_to = self._config.most_findings if up_to is None else up_to

        def gain(one: HitSentence) -> float:
            support = self._agreement.support(one)
            region = one.claims.region
            if one.claims.named or region not in ((only,) if only else REGIONS[:-1]):
                return 0.0
            if support < least:
                return 0.0
            return support * len(one.claims.keys)

        while len(self._chosen["findings"]) < up_to and self._choose("findings", gain):
            pass

    def _sum_up(self) -> None:
        """Add one sentence on the chest as a whole if no present finding contradicts it."""

        def gain(one: HitSentence) -> float:
            whole = one.claims.normal >= {"lungs"} or NO_FINDING in one.claims.labels
            if one.claims.named or one.sentence.section != "impression" or not whole:
                return 0.0
            return self._agreement.support(one)

        self._choose("impression", gain)

    def _say_anything(self) -> None:
        """Fill a short report with other sentences of the nearest hits, but no new finding."""

        def gain(one: HitSentence) -> float:
            return 1 / one.hit.rank

        while sum(map(len, self._chosen.values())) < LEAST_STATEMENTS and self._choose(
            "findings", gain, frozenset(TOPICS)
        ):
            pass

    def _choose(
        self,
        section: Section,
        gain: Callable[[HitSentence], float],
        also: frozenset[str] = frozenset(),
    ) -> bool:
        """Add the admissible sentence with the largest gain; False if there is none."""
        open_to = [
            (one, value)
            for one in self._printable
            if self._admits(one, section, also) and (value := gain(one)) > 0
        ]
        if not open_to:
            return False
        top = max(value for _, value in open_to)
        best = max(
            (one for one, value in open_to if value > top - 1e-9),
            key=lambda one: (
                one.sentence.section == section,
                round(self._agreement.centrality(one), 6),
                -len(one.text),
                -one.hit.rank,
            ),
        )
        self._chosen[section].append(best)
        self._states.update(best.claims.states)
        self._present |= best.claims.named
        return True

    def _admits(self, one: HitSentence, section: Section, also: frozenset[str]) -> bool:
        claims = one.claims
        return (
            claims.named <= self._present | also
            and not claims.denies(self._present)
            and not (self._assessment and self._assessment.contradicted(claims.labels))
            and all(self._states.get(n, state) == state for n, state in claims.states.items())
            and not claims.keys & self._said(section)
            and not any(
                near_duplicates(claims.words, other.claims.words)
                for part, chosen in self._chosen.items()
                for other in chosen
                if part == section or not one.by_rule
            )
        )

    def _said(self, section: Section) -> frozenset[str]:
        return frozenset(key for one in self._chosen[section] for key in one.claims.keys)

    def statements(self) -> tuple[Statement, ...]:
        """Return the statements in the usual order; positives lead each region."""
        return tuple(
            Statement(
                section=section,
                text=one.text,
                citations=self._agreement.citations(one),
                labels=dict(one.claims.labels),
                added_by_rule=one.by_rule,
            )
            for section, chosen in self._chosen.items()
            for one in sorted(
                chosen,
                key=lambda one: (REGIONS.index(one.claims.region), not one.claims.named),
            )
        )

    @property
    def present(self) -> tuple[str, ...]:
        """The observations that the report ought to state."""
        return tuple(name for name in FINDINGS if name in self._present)


def _weights(
    shares: Mapping[str, float],
    retrieval: Retrieval,
    config: ExtractiveConfig,
    assessment: Assessment | None,
) -> dict[str, float]:
    """How much each finding counts among the others: its probability, or share and label score."""
    if assessment is not None:
        return {name: assessment[name].probability for name in FINDINGS}
    scores, weight = retrieval.label_scores, config.label_score_weight
    if scores is None or not weight:
        return {}
    return {
        name: (1 - weight) * share + weight * scores[name]
        for name, share in shares.items()
        if name in scores
    }
