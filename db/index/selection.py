"""Which cases a search may return, as rules about them rather than as a list of their ids.

selection = Selection(without_patients=("p17",), labels=(names_all(["Edema"]),))
selection.labels[0].holds(pack_states(states))        # in memory: (n,) bool
selection.conditions()                                # in PostgreSQL: SQL and its values

The states of the 14 observations of a case are packed into one number, two bits each
(`db.index.store.STATE_CODES`), so a rule on labels is a mask and a value.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from db.index.case import KEY, split_case_key
from db.index.store import STATE_CODES
from db.labels import FINDINGS, OBSERVATIONS, State

_DRAW, _RANGE = 2_654_435_761, 2**32
"""Multiplicative hashing: Knuth, The Art of Computer Programming, volume 3, section 6.4."""


def pack_states(states: np.ndarray) -> np.ndarray:
    """Pack the codes of the states of n cases, (n, 14), into (n,) int64."""
    packed: np.ndarray = states.astype(np.int64) @ (1 << (2 * np.arange(len(OBSERVATIONS))))
    return packed


@dataclass(frozen=True)
class LabelRule:
    """A condition on the packed states of a case."""

    mask: int
    value: int | None = None
    """What the states within the mask must be; None: not all of them 0."""

    def holds(self, packed: np.ndarray) -> np.ndarray:
        """Return for which of n cases it holds: (n,) bool."""
        kept = packed & self.mask
        found: np.ndarray = kept != 0 if self.value is None else kept == self.value
        return found

    @property
    def sql(self) -> str:
        return f"(states & {self.mask}) " + ("<> 0" if self.value is None else f"= {self.value}")


def names_all(findings: Iterable[str]) -> LabelRule:
    """All these findings are positive or uncertain."""
    bits = _bits(findings)
    return LabelRule(bits, bits)


def names_only(findings: Iterable[str]) -> LabelRule:
    """These findings are positive or uncertain, and no others."""
    return LabelRule(_bits(FINDINGS), _bits(findings))


def names_any(findings: Collection[str]) -> LabelRule:
    """At least one of these findings is positive or uncertain."""
    return LabelRule(_bits(findings))


def has_state(observation: str, state: State) -> LabelRule:
    place = 2 * OBSERVATIONS.index(observation)
    return LabelRule(3 << place, STATE_CODES[state] << place)


def _bits(findings: Iterable[str]) -> int:
    """The higher bit of a state is set where it is positive or uncertain."""
    return sum(2 << (2 * OBSERVATIONS.index(name)) for name in set(findings))


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The cases that a search may return: all, without some, and only those that pass rules."""

    without_cases: frozenset[int] = frozenset()
    without_patients: tuple[str, ...] = ()
    without_studies: tuple[str, ...] = ()
    """Ids of studies, or their keys (``source:study_id``)."""
    labels: tuple[LabelRule, ...] = ()
    """All of them must hold."""
    only_cases: frozenset[int] | None = None
    share: float = 1.0
    """The share of the cases, 0..1, that is drawn by a hash of their ids: to measure the recall of
    searches with filters."""

    def narrowed(self, *labels: LabelRule) -> Self:
        """Return a selection with further rules on labels."""
        return replace(self, labels=(*self.labels, *labels))

    def drawn(self, case_ids: np.ndarray) -> np.ndarray:
        """Return which of n cases are within ``share``: (n,) bool."""
        if self.share >= 1:
            return np.ones(len(case_ids), bool)
        found: np.ndarray = case_ids * _DRAW % _RANGE < self._least_hash
        return found

    @property
    def excludes(self) -> bool:
        """Whether it excludes patients or studies."""
        return bool(self.without_patients or self.without_studies)

    @property
    def _least_hash(self) -> int:
        return round(self.share * _RANGE)

    def label_sql(self) -> str:
        """Return the condition on the column ``states``."""
        return " AND ".join(["true", *(rule.sql for rule in self.labels)])

    def excluded_sql(self) -> tuple[str, tuple[object, ...]]:
        """Return the query of the ids of excluded patients' and studies' cases, and its values."""
        keys = [split_case_key(one) for one in self.without_studies if KEY.fullmatch(one)]
        return (  # joins, because planning "= ANY" of 22,000 values takes half a second
            "SELECT id FROM cases JOIN unnest(%s::text[]) AS excluded (patient_id) "
            "USING (patient_id) "
            "UNION ALL SELECT id FROM cases JOIN unnest(%s::text[]) AS excluded (study_id) "
            "USING (study_id) "
            "UNION ALL SELECT id FROM cases JOIN unnest(%s::text[], %s::text[]) "
            "AS excluded (source, study_id) USING (source, study_id)",
            (
                list(self.without_patients),
                list(self.without_studies),
                [source for source, _ in keys],
                [study_id for _, study_id in keys],
            ),
        )

    def conditions(self, *, states: Sequence[int] | None = None) -> tuple[str, tuple[object, ...]]:
        """Return the conditions on the table ``vectors``, and their values.

        ``states`` are those of all label sets that pass the rules: then the index of that column
        finds the cases.
        """
        where, values = ["true"], list[object]()
        if self.labels and states is not None:
            where.append("states = ANY(%s::integer[])")
            values.append(list(states))
        elif self.labels:
            where.append(self.label_sql())
        if self.excludes:
            excluded, more = self.excluded_sql()
            where.append(f"case_id NOT IN ({excluded})")
            values += more
        if self.without_cases:
            where.append("case_id <> ALL(%s::bigint[])")
            values.append(sorted(self.without_cases))
        if self.only_cases is not None:
            where.append("case_id = ANY(%s::bigint[])")
            values.append(sorted(self.only_cases))
        if self.share < 1:
            where.append(f"case_id * {_DRAW} %% {_RANGE} < {self._least_hash}")
        return " AND ".join(where), tuple(values)


ALL = Selection()
