"""Measure how often 95 % intervals hold the true value, resampled by patient and by study.

    python -m bench.evaluation.coverage --sets 1000

Sets of studies are drawn from a population whose mean, label F1 and AUC are known. Half of what
varies between studies is the patient's own, so studies of one patient resemble each other. With one
study a patient both ways are the same; with eleven, intervals by study are too narrow. Exit code 1
where an interval by patient holds the truth in fewer than 91 or more than 97 of 100 sets.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from db.errors import UserError
from evaluation.metrics.bootstrap import Statistic, bootstrap, by_patient, check_resamples, mean_of
from evaluation.metrics.labels import f1_statistic
from evaluation.metrics.ranking import auc_statistic

OWN_SHARE = 0.5
"""Share of the variance that all studies of a patient have in common."""
LEAST, MOST = 0.91, 0.97
POPULATION = 400_000
BY_PATIENT, BY_STUDY = "by patient", "by study"


@dataclass(frozen=True, kw_only=True)
class Studies:
    """Studies with a reference label, and what a system says of each."""

    patients: npt.NDArray[np.intp]
    labels: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]

    @property
    def called(self) -> npt.NDArray[np.bool_]:
        return self.scores > 1


def draw(patients: int, studies: int, rng: np.random.Generator) -> Studies:
    """``studies`` of each of ``patients``; one in six shows the finding."""
    own = rng.normal(0, np.sqrt(OWN_SHARE), (patients, 1, 2))
    each = rng.normal(0, np.sqrt(1 - OWN_SHARE), (patients, studies, 2))
    state, noise = np.moveaxis((own + each).reshape(-1, 2), -1, 0)
    return Studies(
        patients=np.repeat(np.arange(patients), studies),
        labels=state > 1,
        scores=state + noise,
    )


def _f1(studies: Studies) -> Statistic:
    real, called = studies.labels, studies.called
    return f1_statistic(np.stack([real & called, ~real & called, real & ~called], -1)[:, None])


SCORES: dict[str, Callable[[Studies], Statistic]] = {
    "mean": lambda studies: mean_of(studies.scores),
    "label F1": _f1,
    "AUC": lambda studies: auc_statistic(studies.labels, studies.scores),
}


def coverage(
    *, sets: int, patients: int, studies: int, resamples: int, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Score to the share of sets whose interval holds the true value, `BY_PATIENT` and `BY_STUDY`.

    Raises UserError for less than one set or resample.
    """
    check_resamples(resamples)
    if min(sets, patients, studies) < 1:
        raise UserError("coverage needs at least one set, one patient and one study")
    rng = np.random.default_rng(seed)
    everyone = draw(POPULATION, 1, rng)
    truth = {name: score(everyone).value for name, score in SCORES.items()}
    held = {name: {BY_PATIENT: 0, BY_STUDY: 0} for name in SCORES}
    for number in tqdm(range(sets), disable=not sys.stderr.isatty()):
        drawn = draw(patients, studies, rng)
        for name, score in SCORES.items():
            alone = score(drawn)
            together = by_patient(alone, [f"p{one}" for one in drawn.patients])
            for way, statistic in ((BY_PATIENT, together), (BY_STUDY, alone)):
                found = bootstrap(statistic, resamples=resamples, seed=number)
                held[name][way] += found.low <= truth[name] <= found.high
    return {name: {way: count / sets for way, count in ways.items()} for name, ways in held.items()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sets", type=int, default=1_000, help="simulated sets (%(default)s)")
    parser.add_argument("--patients", type=int, default=293, help="of each set (%(default)s)")
    parser.add_argument("--resamples", type=int, default=500, help="(%(default)s)")
    arguments = parser.parse_args(argv)
    good = True
    print(
        f"{arguments.sets} sets of {arguments.patients} patients, 95 % intervals, held the truth:"
    )
    for studies in (1, 11):
        try:
            found = coverage(
                sets=arguments.sets,
                patients=arguments.patients,
                studies=studies,
                resamples=arguments.resamples,
            )
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        for name, shares in found.items():
            ways = ", ".join(f"{way} {share:.1%}" for way, share in shares.items())
            print(f"  {studies:2} studies a patient, {name:8}: {ways}")
            good &= LEAST <= shares[BY_PATIENT] <= MOST
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
