"""The audit of Open-I, all of it, against what is known of this collection.

    python -m bench.index.openi_audit --data ../shared/data

Every count that differs is printed, and the exit code is 1. It takes half a minute; the tests audit
one study in eight.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from indexer.audit.result import Audit
from indexer.audit.run import audit
from indexer.sources.openi import OpenI
from indexer.sources.records import read_split

KNOWN: dict[tuple[str, str], tuple[int, int | None]] = {
    ("images", "read"): (7426, None),
    ("images", "FRONTAL"): (3794, None),
    ("images", "byte-identical pairs"): (3, None),
    ("images", "near-identical pairs"): (1, None),
    ("studies", "with a frontal image and a report"): (3666, None),
    ("comparisons", "of these with a frontal image and a report"): (1519, None),
    (
        "de-identification",
        "mark of a de-identifier in findings or impression, frontal studies",
    ): (1682, None),
    ("repeated texts", "distinct findings of frontal studies"): (2440, 3199),
    ("splits", "findings of test word for word in train"): (277, 590),
    ("splits", "patients in more than one split"): (0, None),
    ("sections", "median words of findings"): (29, None),
}
"""Count, and total where it is not that of other counts, by part and name."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args(argv).data / "openi"
    splits = read_split(folder / "r2gen_split.json")
    other = differences(audit(OpenI(data_dir=folder, splits=splits)))
    print(*other or ["all counts are the known ones"], sep="\n")
    return 1 if other else 0


def differences(found: Audit) -> list[str]:
    """A line for each count that is not the known one."""
    lines = []
    for (part, name), (known, total) in KNOWN.items():
        count = found.count(part, name)
        if count.count != known or total not in (None, count.of):
            lines.append(f"{part}: {name}: {count.count} of {count.of}, known {known} of {total}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
