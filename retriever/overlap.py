"""Whether an index holds a study that is to be held out: itself, its patient, or one of its images.

    overlap = Overlap([retriever])
    overlap.find_ids(source="mine", study_id="s9", patient_id="p17")
    # "its patient p17 is in data/index", or None
    overlap.find_images(radiographs)    # "data/index has the same image in study s4", or None
    overlap.warn()                      # of what could not be compared

Training refuses such a study for validation, and an evaluation refuses it altogether. Patients and
studies are compared by id within one source, because ids of two sources may coincide by chance;
images are compared by `retriever.near_duplicates`, whatever they are called.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from indexer.images.radiograph import Radiograph
from retriever.search import Retriever

_log = logging.getLogger(__name__)


class Overlap:
    """Several open indexes, asked for one study after another."""

    def __init__(self, retrievers: Sequence[Retriever]) -> None:
        self._retrievers = retrievers
        self._shared: set[str] = set()
        self._without_patient = 0

    def find_ids(self, *, source: str, study_id: str, patient_id: str | None) -> str | None:
        """Say where the study itself, or its patient, is indexed; None for nowhere."""
        self._without_patient += patient_id is None
        for retriever in self._retrievers:
            stored, place = retriever.index.cases, _place(retriever)
            patients = [patient_id] if patient_id else []
            known = stored.get(sorted(stored.ids_of(patient_ids=patients, study_ids=[study_id])))
            own = [case for case in known if case.source == source]
            if any(case.study_id == study_id for case in own):
                return f"it is in {place}"
            if own:
                return f"its patient {patient_id} is in {place}"
            if patient_id and any(case.patient_id == patient_id for case in known):
                self._shared.add(patient_id)
        return None

    def find_images(self, images: Sequence[Radiograph]) -> str | None:
        """Say where one of the images, or a near duplicate of it, is indexed; None for nowhere."""
        for retriever in self._retrievers:
            for case_id, reason in retriever.duplicates(images).items():
                (case,) = retriever.index.cases.get([case_id])
                return f"{_place(retriever)} has {reason} in study {case.study_id}"
        return None

    def warn(self) -> None:
        """Log what could not be compared."""
        if self._shared:
            some = ", ".join(sorted(self._shared)[:3])
            _log.warning(
                "%d patient ids also occur in the index under another source name (%s): if they "
                "are the same patients, give both the same --name",
                len(self._shared),
                some,
            )
        if self._without_patient:
            _log.warning(
                "%d held-out studies have no patient id: whether their patients are indexed cannot "
                "be checked",
                self._without_patient,
            )


def _place(retriever: Retriever) -> Path:
    """The directory that a user names, above the folders of its versions."""
    path = retriever.index.path
    return path.parent.parent if path.parent.name == "versions" else path
