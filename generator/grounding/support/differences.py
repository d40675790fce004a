"""Differences between two mentions of a finding: side, place, degree, size, tip, certainty.

    differences(atoms("Large left effusion.")[0], atoms("Small right effusion.")[0])
    # ["says right, not left", "says mild or small, not severe or large"]

A positive finding may say less than the case, never more. A denial may be narrower than that of the
case: "no effusion" denies a large effusion on the left as well.
"""

from collections.abc import Collection, Iterable, Iterator

from indexer.reports.labelling.mention import Mention

_DEGREES = {
    "minimal": "minimal or tiny",
    "mild": "mild or small",
    "moderate": "moderate",
    "severe": "severe or large",
}

_LIES_IN: dict[str, frozenset[str]] = {
    "upper lobe": frozenset({"apex"}),
    "upper zone": frozenset({"apex", "upper lobe"}),
    "lower zone": frozenset({"base", "lower lobe", "costophrenic angle"}),
    "base": frozenset({"lower lobe", "lower zone", "costophrenic angle"}),
    "perihilar": frozenset({"suprahilar", "infrahilar", "hilum"}),
    "thoracic spine": frozenset(f"t{number}" for number in range(1, 13)),
    "lumbar spine": frozenset(f"l{number}" for number in range(1, 6)),
    "cervical spine": frozenset(f"c{number}" for number in range(1, 8)),
    "below the diaphragm": frozenset({"stomach", "duodenum"}),
}
"""A place to smaller ones within it."""

_CLOSE_MM = 0.05


def differences(claim: Mention, quote: Mention) -> list[str]:
    """Return what keeps ``quote`` from supporting ``claim``, as predicates of "case 2".

    Both are mentions of one finding. Empty if ``quote`` says as much.
    """
    if claim.state == "negative":
        return list(_wider(claim, quote))
    return list(_beyond(claim, quote))


def _beyond(claim: Mention, quote: Mention) -> Iterator[str]:
    """Yield what a positive or uncertain finding has and the quoted one lacks."""
    if state := _state(claim, quote):
        yield state
        return
    if not claim.sides <= quote.sides:
        yield _instead(quote.sides, claim.sides - quote.sides, "gives no side")
    if missing := [one for one in claim.location if not within(one, quote.location)]:
        yield _instead(quote.location, missing, "gives no place")
    if claim.degree and not _of_degree(claim, quote):
        yield _instead(map(_degree, quote.degree), map(_degree, claim.degree), "gives no degree")
    if sizes := [one for one in claim.size_mm if not _measured(one, quote.size_mm)]:
        yield _instead(map(_size, quote.size_mm), map(_size, sizes), "gives no size")
    if missing := [one for one in claim.tip if not within(one, quote.tip)]:
        yield _instead((f"tip at {one}" for one in quote.tip), missing, "gives no tip position")
    for wanted, said in ((claim.kind, quote.kind), (claim.age, quote.age)):
        if not wanted <= said:
            missing = sorted(wanted - said)
            yield _instead(said, missing, f"does not say {' or '.join(missing)}")


def _wider(claim: Mention, quote: Mention) -> Iterator[str]:
    """Yield how the quoted denial is narrower than the claimed one."""
    if state := _state(claim, quote):
        yield state
        return
    if quote.sides and not (claim.sides and claim.sides <= quote.sides):
        yield f"denies it only for {_listed(quote.sides)}"
    places = quote.location - {"focal", "diffuse"}
    if places and not (claim.location and all(within(one, places) for one in claim.location)):
        yield f"denies it only for {_listed(places)}"
    for wanted, said in (
        (claim.degree, quote.degree),
        (claim.age, quote.age),
        (claim.kind, quote.kind),
    ):
        if said and not (wanted and wanted <= said):
            yield f"denies it only if {_listed(map(_degree, said))}"
    if quote.size_mm and claim.size_mm != quote.size_mm:
        yield f"denies it only of {_listed(map(_size, quote.size_mm))}"


def _state(claim: Mention, quote: Mention) -> str | None:
    if claim.state != quote.state:
        if quote.state == "negative":
            return "denies it"
        if quote.state == "uncertain":
            return "is in doubt about it"
        return "reports it" if claim.state == "negative" else "is in no doubt about it"
    if claim.state == "uncertain" and (claim.certainty == "unlikely") != (
        quote.certainty == "unlikely"
    ):
        return "calls it unlikely" if quote.certainty == "unlikely" else "does not call it unlikely"
    return None


def overlap_in_place(denial: Mention, finding: Mention) -> bool:
    """Whether a denial denies a reported finding."""
    if denial.sides and finding.sides and not denial.sides & finding.sides:
        return False
    if denial.location and finding.location:
        inside = any(within(one, finding.location) for one in denial.location)
        if not inside and not any(within(one, denial.location) for one in finding.location):
            return False
    for axis in ("degree", "age", "kind", "size_mm"):
        narrowed, said = getattr(denial, axis), getattr(finding, axis)
        if narrowed and not set(narrowed) & set(said):
            return False
    return True


def at_one_place(one: Mention, other: Mention) -> bool:
    """Whether two findings can lie at the same place: neither side nor place keeps them apart."""
    if one.sides and other.sides and not one.sides & other.sides:
        return False
    if not (one.location and other.location):
        return True
    return any(within(place, other.location) for place in one.location) or any(
        within(place, one.location) for place in other.location
    )


def within(place: str, said: Collection[str]) -> bool:
    """Whether a place, or a smaller place within it, is named."""
    return place in said or not _LIES_IN.get(place, frozenset()).isdisjoint(said)


def _of_degree(claim: Mention, quote: Mention) -> bool:
    return claim.degree == quote.degree or (
        claim.degree == {"mild"} and quote.degree == {"minimal"}
    )


def _measured(size: float, sizes: Collection[float]) -> bool:
    return any(abs(size - one) <= _CLOSE_MM for one in sizes)


def _degree(name: str) -> str:
    return _DEGREES.get(name, name)


def _size(size: float) -> str:
    return f"{size / 10:g} cm" if size >= 10 else f"{size:g} mm"


def _listed(words: Iterable[str]) -> str:
    return " and ".join(sorted(words))


def _instead(said: Iterable[str], wanted: Iterable[str], nothing: str) -> str:
    there = _listed(said)
    return f"says {there}, not {_listed(wanted)}" if there else nothing
