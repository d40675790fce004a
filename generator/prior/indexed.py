"""Find a patient's earlier study in the index, for a caller who names the patient and asks for it.

case, request = find_prior(retriever.index.cases, request, options)
images = read_case(case)                # where their files are on this machine
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from db.errors import UserError
from db.index.case import Case, case_key
from generator.prior.request import PriorRequest, written
from indexer.images.radiograph import Limits, Radiograph, restore_size
from indexer.images.reader import read_radiograph
from retriever.options import SearchOptions


class PatientCases(Protocol):
    """The part of ``db.index.store.CaseStore`` that is used here."""

    def studies_of(self, patient_id: str) -> list[Case]: ...


def find_prior(
    cases: PatientCases, request: PriorRequest, options: SearchOptions
) -> tuple[Case, PriorRequest]:
    """The latest study of the patient up to the date of the study, and the request that names it.

    Studies that ``options`` excludes are passed over, which is how a caller leaves out the study
    itself where it is indexed. Raises UserError where there is none, or several data sets have a
    patient of this id.
    """
    assert request.patient_id is not None
    studies = cases.studies_of(request.patient_id)
    name = _shown(request.patient_id)
    if not studies:
        raise UserError(f"the index holds no study of patient '{name}': check the id")
    if len({one.source for one in studies}) > 1:
        raise UserError(
            f"several data sets of the index have a patient '{name}': send the images of the "
            "prior study instead"
        )
    left = [one for one in studies if not _excluded(one, options.exclude_study_ids)]
    dated = [one for one in left if one.study_date is not None]
    if left and not dated:
        raise UserError(
            f"the index has no dates of the studies of patient '{name}', so none is known to be "
            "earlier: index them with a study_date, or send the images of the prior study"
        )
    earlier = [
        one
        for one in dated
        if request.study_date is None
        or (one.study_date or request.study_date) <= request.study_date
    ]
    if not earlier:
        until = "" if request.study_date is None else f" up to {written(request.study_date)}"
        raise UserError(f"the index holds no earlier study of patient '{name}'{until}")
    case = earlier[-1]
    key = case_key(case.source, case.study_id)
    return case, replace(request, date=case.study_date, report=case.report, case=key)


def read_case(case: Case) -> list[Radiograph]:
    """Decode the images of a case, from their files.

    Raises UserError where a file is not on this machine or cannot be read.
    """
    found = []
    for number, image in enumerate(case.images, start=1):
        path = None if image.path is None else Path(image.path)
        if path is None or not path.is_file():
            raise UserError(
                f"image {number} of the prior study {_shown(case.study_id)} is not on this "
                "machine: send the images of the prior study"
            )
        read = read_radiograph(path, limits=Limits(accept_as_chest=True))  # as when it was indexed
        pixels = restore_size(read.pixels, image.width, image.height)
        found.append(replace(read, pixels=pixels, view_position=image.view_position, subject=None))
    return found


def _excluded(case: Case, studies: Collection[str]) -> bool:
    return case.study_id in studies or case_key(case.source, case.study_id) in studies


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:80]
