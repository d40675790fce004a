"""Search one index in its files and in PostgreSQL, and compare hits, scores and order.

    python -m bench.index.server_equality data/index postgresql+psycopg://cxr@db.example/index

The index must be published there. Each search draws a query near an indexed case, k, patients,
studies and cases to exclude, and a filter on labels. Both searches must be exact: the files of an
index of up to 20,000 cases are, the server is below 50,000.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from db.engines.location import parse_location
from db.index.case import Case
from db.index.selection import (
    LabelRule,
    Selection,
    has_state,
    names_all,
    names_any,
    names_only,
    pack_states,
)
from db.labels import FINDINGS, OBSERVATIONS, STATES
from indexer.index import Index
from indexer.published.opening import open_index
from retriever.selected import SelectiveVectors, open_selective

_MOST_EXCLUDED = 40


def selective(index: Index) -> SelectiveVectors:
    """The vectors of an index, as a retriever searches them."""
    case_ids, states = index.cases.state_table()
    return open_selective(index, case_ids, pack_states(states))


class Searches:
    """Draws queries and selections for the cases of an index."""

    def __init__(self, index: Index, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._vectors = index.vectors
        self._cases = list(index.cases)

    def query(self) -> np.ndarray:
        """A unit vector (dim,) near that of a case, or on it."""
        dim = self._vectors.dim
        case = self._cases[self._draw.integers(len(self._cases))]
        noise = self._draw.standard_normal(dim) / np.sqrt(dim)
        query = self._vectors.vector(case.case_id) + self._draw.choice([0.0, 0.3, 1.0]) * noise
        unit: np.ndarray = (query / np.linalg.norm(query)).astype(np.float32)
        return unit

    def selection(self) -> Selection:
        patients = [case.patient_id for case in self._some() if case.patient_id is not None]
        studies = [
            case.study_id if self._draw.random() < 0.5 else f"{case.source}:{case.study_id}"
            for case in self._some()
        ]
        return Selection(
            without_patients=tuple(patients) if self._draw.random() < 0.6 else (),
            without_studies=tuple(studies) if self._draw.random() < 0.4 else (),
            without_cases=frozenset(case.case_id for case in self._some())
            if self._draw.random() < 0.3
            else frozenset(),
            labels=(self._rule(),) if self._draw.random() < 0.6 else (),
        )

    def _some(self) -> list[Case]:
        most = min(_MOST_EXCLUDED, len(self._cases))
        places = self._draw.permutation(len(self._cases))[: self._draw.integers(1, most)]
        return [self._cases[place] for place in places]

    def _rule(self) -> LabelRule:
        """A filter that a search, the strategy of findings or a text may ask for."""
        some = self._draw.permutation(FINDINGS)[: self._draw.integers(1, 4)].tolist()
        state = has_state(
            str(self._draw.choice(OBSERVATIONS)), STATES[self._draw.integers(len(STATES))]
        )
        rules = [names_all(some[:1]), names_any(some), names_only(some[:1]), names_only(()), state]
        return rules[self._draw.integers(len(rules))]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("url", type=parse_location)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    index, published = Index.open(arguments.index), open_index(arguments.url)
    files, server = selective(index), selective(published)
    draws, kinds, different = Searches(index, arguments.seed), Counter[str](), 0
    seconds = {"files": 0.0, "server": 0.0}
    for number in range(arguments.searches):
        query, selection = draws.query(), draws.selection()
        k = 1 + number % 50
        started = time.perf_counter()
        ids, scores = files.select(query, k, selection)
        between = time.perf_counter()
        found, theirs = server.select(query, k, selection)
        seconds["files"] += between - started
        seconds["server"] += time.perf_counter() - between
        if not (np.array_equal(found, ids) and np.array_equal(theirs, scores)):
            different += 1
            print(f"search {number} differs: k {k}, {selection}")
        kinds["excludes"] += selection.excludes
        kinds["filters"] += bool(selection.labels)
        kinds["finds fewer than k"] += len(ids) < k
    published.close()
    print(
        f"{arguments.searches} searches of {index.manifest.studies} cases, {different} different; "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    )
    for where, whole in seconds.items():
        print(f"{where}: {1000 * whole / arguments.searches:.2f} ms a search")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
