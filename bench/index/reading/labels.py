"""Labels and attributes: the writer's against ours."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from bench.index.reading.counts import f1, listed, mean, share
from db.findings import FINDING
from db.labels import NO_FINDING, State
from indexer.reports.labelling.mention import Mention

STATES: tuple[State, ...] = get_args(State)
ATTRIBUTES = {
    "side": "sides",
    "location": "location",
    "tip": "tip",
    "degree": "degree",
    "size_mm": "size_mm",
    "certainty": "certainty",
    "comparison": "comparison",
    "age": "age",
    "kind": "kind",
}
"""Names of the attributes in a file, and in a `Mention`."""
_RANK = {"negative": 0, "uncertain": 1, "positive": 2}

Row = Mapping[str, Any]
"""A line of a file."""
WrittenLabels = Mapping[str, State | None]
"""A writer's labels; None where two readings are right."""


@dataclass
class LabelScore:
    """States of the findings, or of the observations."""

    counts: dict[str, dict[State, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: {state: Counter() for state in STATES})
    )
    """`right`, `ours` and `theirs`, of each name and state."""
    errors: list[str] = field(default_factory=list)

    def add(self, text: str, theirs: WrittenLabels, ours: Mapping[str, State]) -> None:
        """Compare the labels of one text; names that the writer left open are skipped."""
        for name in sorted({*theirs, *ours}):
            wanted, found = theirs.get(name), ours.get(name)
            if name in theirs and wanted is None:
                continue
            counts = self.counts[name]
            if found is not None:
                counts[found]["ours"] += 1
            if wanted is not None:
                counts[wanted]["theirs"] += 1
                counts[wanted]["right"] += wanted == found
            if wanted != found:
                self.errors.append(f"{name}: {found or '-'}, writer {wanted or '-'} | {text}")

    def pooled(self, state: State) -> float:
        """F1 of a state over all names together."""
        return f1(sum((states[state] for states in self.counts.values()), Counter[str]()))

    def mean(self, state: State) -> float:
        """F1 of a state averaged over the names to which anyone gives it."""
        given = [states[state] for states in self.counts.values() if states[state]]
        return mean([f1(one) for one in given])

    @property
    def macro(self) -> float:
        """Mean of the pooled F1 of the three states."""
        return mean([self.pooled(state) for state in STATES])


@dataclass
class AttributeScore:
    """Attributes of findings whose state is right, in sentences where the writer gives any."""

    right: Counter[str] = field(default_factory=Counter)
    """Equal to the writer's, for each attribute."""
    named: Counter[str] = field(default_factory=Counter)
    """By the writer."""
    added: Counter[str] = field(default_factory=Counter)
    """By us, where the writer names none."""
    errors: list[str] = field(default_factory=list)

    def add(self, row: Row, told: str, found: Sequence[Mention]) -> None:
        """Compare the attributes of one sentence, as sets of values."""
        if "attributes" not in row:
            return
        for name, state in row["findings"].items():
            said = [one for one in found if one.finding == name and one.state == state]
            for key in ATTRIBUTES if said else ():
                wanted = _as_set(row["attributes"].get(name, {}).get(key))
                ours = _values(said, key)
                self.named[key] += bool(wanted)
                self.right[key] += bool(wanted) and ours == wanted
                is_added = not wanted and bool(ours) and key != "certainty"
                self.added[key] += is_added
                if is_added or (wanted and ours != wanted):
                    values = f"{listed(ours)}, writer {listed(wanted)}"
                    self.errors.append(f"{name}, {key}: {values} | {told}")

    @property
    def accuracy(self) -> float:
        """Share of the attributes named by the writer that we give the same values."""
        return share(self.right.total(), self.named.total())


def merged(found: Iterable[Mention]) -> dict[str, State]:
    """Findings of a text: positive over uncertain over negative."""
    labels: dict[str, State] = {}
    for one in found:
        _raise(labels, one.finding, one.state)
    return labels


def observations(row: Row) -> dict[str, State | None]:
    """Roll the writer's findings up to the 14 observations.

    An observation is open where a finding of it is and no other one makes it positive.
    """
    labels: dict[str, State] = {}
    unclear: set[str] = set()
    named: WrittenLabels = row["findings"]
    for name, state in named.items():
        parent = FINDING[name].parent
        is_congestion = name == "Vascular Congestion"
        if parent is None:
            continue
        if state is None:
            unclear.add(parent)
        else:
            _raise(labels, parent, "uncertain" if is_congestion and state == "positive" else state)
    rolled: dict[str, State | None] = {**labels}
    rolled.update({name: None for name in unclear if labels.get(name) != "positive"})
    if row["no_finding"] is not False:
        rolled[NO_FINDING] = "positive" if row["no_finding"] else None
    return rolled


def _raise(labels: dict[str, State], name: str, state: State) -> None:
    if name not in labels or _RANK[state] > _RANK[labels[name]]:
        labels[name] = state


def _values(said: Sequence[Mention], key: str) -> frozenset[object]:
    return frozenset().union(*(_as_set(getattr(one, ATTRIBUTES[key])) for one in said))


def _as_set(value: Any) -> frozenset[object]:
    if not value:
        return frozenset()
    return frozenset([value] if isinstance(value, str | int | float) else value)
