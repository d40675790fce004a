"""Over-reliance: is a finding copied from the context, and does one survive that only the image
has?

table = reliance_table({"with retrieval": rows, "without retrieval": others}, contexts, ...)

A finding is in the context where the report of a shown case names it, and seen where the encoder's
label head sees it on the image. The contexts are those of the first system for all of them: a
system that was not shown them tells how often a finding is written anyway.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from db.labels import FINDINGS, Labels, positives
from evaluation.metrics.bootstrap import Statistic
from evaluation.retrieval.run import RESAMPLES
from evaluation.tables import Share, Table, tabulate
from retriever.results import Retrieval

COPIED = "only in the context: copied"
SURVIVED = "only on the film, seen by the encoder: written"
UNSEEN = "only on the film, seen or not: written"
SHARED = "in both, seen by the encoder: written"


def reliance_table(
    written: Mapping[str, Sequence[Labels]],
    *,
    references: Sequence[Labels],
    retrievals: Sequence[Retrieval],
    contexts: Sequence[Sequence[Labels]],
    title: str = "Over-reliance",
    resamples: int = RESAMPLES,
) -> Table:
    """``written`` has the labels of each system's reports; ``contexts`` those of the shown cases.

    Everything in the order of the same studies.
    """
    there = positives(references, FINDINGS)  # (n, 13), as all below
    seen = np.array(
        [[name in (one.seen_findings or ()) for name in FINDINGS] for one in retrievals]
    ).reshape(there.shape)
    shown = np.array([positives(some, FINDINGS).any(axis=0) for some in contexts])
    asked = {
        COPIED: shown & ~there & ~seen,
        SURVIVED: ~shown & there & seen,
        UNSEEN: ~shown & there,
        SHARED: shown & there & seen,
    }
    rows: dict[str, dict[str, Statistic | Share]] = {}
    for system, labels in written.items():
        said = positives(labels, FINDINGS)
        for name, table in asked.items():
            share = Share(hits=(table & said).sum(axis=1), of=table.sum(axis=1))
            rows.setdefault(name, {})[system] = share
    return tabulate(
        title,
        rows,
        notes=(
            "pairs of a study and one of 13 findings; the contexts are those of the first system, "
            "for the others as well",
            f"{COPIED.split(':')[0]}: not in the reference and not seen on the film",
        ),
        resamples=resamples,
    )
