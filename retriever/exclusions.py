"""Check that every patient and study to exclude is in the index.

check_exclusions(index.cases, options)

An exclusion with a typing error would exclude nothing, and the study's own report could be cited.
"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Literal

from db.errors import UserError
from db.index.store import CaseStore
from retriever.options import SearchOptions

_MOST_COMPARED = 50_000
"""Ids among which one that was meant is looked for."""


def check_exclusions(cases: CaseStore, options: SearchOptions) -> None:
    """Raise UserError, suggesting a similar id, for an exclusion that matches no case."""
    _check(cases, "patient", options.exclude_patient_ids)
    _check(cases, "study", options.exclude_study_ids)


def _check(cases: CaseStore, what: Literal["patient", "study"], wanted: Collection[str]) -> None:
    for one in wanted:
        found = (
            cases.ids_of(patient_ids=[one]) if what == "patient" else cases.ids_of(study_ids=[one])
        )
        if found:
            continue
        meant = _similar(one, cases.some_ids(what, _MOST_COMPARED))
        shown = "".join(letter if letter.isprintable() else "?" for letter in one)[:80]
        raise UserError(
            f"no {what} '{shown}' to exclude: it is not in the index; "
            + (f"did you mean '{meant}'?" if meant else "check the id, or leave it out")
        )


def _similar(wanted: str, ids: Collection[str]) -> str | None:
    bare = wanted.strip().casefold()
    by_folded = {one.casefold(): one for one in ids}
    if bare in by_folded:
        return by_folded[bare]
    near = get_close_matches(bare, list(by_folded), n=1, cutoff=0.75)
    return by_folded[near[0]] if near else None
