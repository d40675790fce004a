"""Search among the cases that the rules of a search leave, wherever the index is.

vectors = open_selective(index, case_ids, packed_states)
vectors.select(query, 5, Selection(without_patients=("p17",), labels=(names_all(["Edema"]),)))

On a server the rules are conditions of its query. The files of an index are searched by ids, which
are looked up here.
"""

from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from db.index.selection import Selection
from db.index.store import CaseStore
from indexer.index import Index
from indexer.vectors.store import VectorStore

_REMEMBERED = 64
"""Selections whose excluded cases are kept: one search asks for the same ones several times."""


@runtime_checkable
class SelectiveVectors(Protocol):
    """Vectors that are searched by rules."""

    def select(
        self, query: np.ndarray, k: int, selection: Selection
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest ids of the selection and their cosines, best first.

        query: (dim,) float32, unit length. There are fewer if fewer are left.
        """
        ...

    def vector(self, case_id: int) -> np.ndarray:
        """Return the vector of one case: (dim,) float32."""
        ...


def open_selective(
    index: Index, case_ids: npt.NDArray[np.intp], packed: npt.NDArray[np.int64]
) -> SelectiveVectors:
    """Return the vectors of an index; ``case_ids`` (cases,) ascend, ``packed`` are their states."""
    if isinstance(index.vectors, SelectiveVectors):
        return index.vectors
    return _FileVectors(index.vectors, index.cases, case_ids, packed)


class _FileVectors:
    """Looks up the ids of a selection, and searches the files by them."""

    def __init__(
        self,
        vectors: VectorStore,
        cases: CaseStore,
        case_ids: npt.NDArray[np.intp],
        packed: npt.NDArray[np.int64],
    ) -> None:
        self._vectors = vectors
        self._case_ids = case_ids
        self._packed = packed
        self._excluded = lru_cache(_REMEMBERED)(
            lambda patients, studies: cases.ids_of(patient_ids=patients, study_ids=studies)
        )

    def select(
        self, query: np.ndarray, k: int, selection: Selection
    ) -> tuple[np.ndarray, np.ndarray]:
        excluded = selection.without_cases
        if selection.excludes:
            excluded |= self._excluded(selection.without_patients, selection.without_studies)
        return self._vectors.search(query, k, exclude=excluded, only=self._allowed(selection))

    def vector(self, case_id: int) -> np.ndarray:
        return self._vectors.vector(case_id)

    def _allowed(self, selection: Selection) -> npt.NDArray[np.intp] | None:
        """Return the ids that pass the rules on labels and ids; None if all do."""
        if not selection.labels and selection.only_cases is None:
            return None
        kept = np.ones(len(self._case_ids), bool)
        for rule in selection.labels:
            kept &= rule.holds(self._packed)
        if selection.only_cases is not None:
            kept &= np.isin(self._case_ids, list(selection.only_cases))
        found: npt.NDArray[np.intp] = self._case_ids[kept]
        return found
