"""Reports and how they are to be read."""

from dataclasses import dataclass

from indexer.reports.sections import parse


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A report with the exact text of each of its sections; those not named are empty."""

    text: str
    indication: str = ""
    comparison: str = ""
    findings: str = ""
    impression: str = ""
    left_out: tuple[str, ...] = ()
    """Kinds, each once."""
    unplaced: bool = False
    misplaced: bool | None = None
    """None: either."""
    notes: tuple[str, ...] = ()
    """Notes that must be there."""


def differences(expected: Expected) -> dict[str, tuple[object, object]]:
    """What is read otherwise: name to (read, expected)."""
    report = parse.parse_report(expected.text)
    pairs: dict[str, tuple[object, object]] = {
        name: (getattr(report, name), getattr(expected, name)) for name in parse.SECTIONS
    }
    kinds = {one.kind for one in report.left_out}
    pairs["left out"] = (sorted(kinds), sorted(expected.left_out))
    pairs["unplaced"] = (parse.UNPLACED in report.notes, expected.unplaced)
    if expected.misplaced is not None:
        pairs["misplaced"] = (parse.MISPLACED in report.notes, expected.misplaced)
    missing = set(expected.notes) - set(report.notes)
    pairs["notes"] = (missing, set())
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
