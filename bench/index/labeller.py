"""Agreement of the rule labeller with a public automatic labelling of Open-I reports.

    python -m bench.index.labeller --data ../shared/data --split train
    python -m bench.index.labeller --data ../shared/data --disagreements 60 --seed 0
    python -m bench.index.labeller --split val --out agreement.json    # for results.labellers

The reference is itself automatic (chexpert_labels_train_val.csv) and follows the FINDINGS section
(mean positive F1 on train .883; against both sections it is .830). Of 62 disagreements on val that
were read (all 29 on No Finding, all 23 on a positive label of the six, 10 on an uncertain one), the
text sides with the labeller in 43 (8 of them turn on "upper limits of normal"), with the reference
in 6, and 13 stay open: 9 of these because a "stable" heart or mediastinum is uncertain there and
says nothing here.
"""

import argparse
import csv
import random
import sys
import tarfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from db.files import write_json
from db.labels import NO_FINDING, OBSERVATIONS, State
from indexer.reports.labeller import LABELLER_VERSION, label_report, label_sentence
from indexer.reports.sentences import split_sentences

AIMED_AT = (
    "Cardiomegaly",
    "Lung Opacity",
    "Atelectasis",
    "Pleural Effusion",
    "Lung Lesion",
    "Fracture",
)
SECTIONS: dict[str, tuple[str, ...]] = {
    "findings": ("FINDINGS",),
    "impression": ("IMPRESSION",),
    "both": ("FINDINGS", "IMPRESSION"),
}
STATE_OF: dict[str, State] = {"1": "positive", "0": "negative", "-1": "uncertain"}


def read_reports(archive_path: Path) -> dict[str, dict[str, str]]:
    """Section label -> text, by study number."""
    reports = {}
    with tarfile.open(archive_path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".xml") else None
            if file is not None:
                root = ElementTree.parse(file).getroot()
                reports[Path(member.name).stem] = {
                    element.get("Label", ""): element.text or ""
                    for element in root.iter("AbstractText")
                }
    return reports


def read_reference(csv_path: Path, split: str) -> dict[str, dict[str, State]]:
    with csv_path.open(newline="") as file:
        return {
            row["study"]: {name: STATE_OF[row[name]] for name in OBSERVATIONS if row[name]}
            for row in csv.DictReader(file)
            if row["split"] == split
        }


def f1(ours: list[bool], theirs: list[bool]) -> float:
    both = sum(a and b for a, b in zip(ours, theirs, strict=True))
    return 2 * both / total if (total := sum(ours) + sum(theirs)) else float("nan")


def print_table(
    ours: Mapping[str, Mapping[str, State]], theirs: Mapping[str, Mapping[str, State]]
) -> None:
    print(f"{'F1':<28}" + "".join(f"{state:>18}" for state in get_args(State)))
    for name in OBSERVATIONS:
        cells = []
        for state in get_args(State):
            a = [ours[study].get(name) == state for study in theirs]
            b = [theirs[study].get(name) == state for study in theirs]
            cells.append(f"{f1(a, b):.3f} ({sum(a)}/{sum(b)})")
        mark = "*" if name in AIMED_AT else " "
        print(f"{mark} {name:<26}" + "".join(f"{cell:>18}" for cell in cells))
    mean, same = agreement(ours, theirs)
    print(f"mean positive F1 of the observations marked *: {mean:.3f}")
    print(f"agreement on {NO_FINDING}: {same:.3f} of {len(theirs)} studies")


def agreement(
    ours: Mapping[str, Mapping[str, State]], theirs: Mapping[str, Mapping[str, State]]
) -> tuple[float, float]:
    """Mean positive F1 of `AIMED_AT`, and the share of studies that agree on No Finding."""
    scores = [
        f1(
            [ours[study].get(name) == "positive" for study in theirs],
            [theirs[study].get(name) == "positive" for study in theirs],
        )
        for name in AIMED_AT
    ]
    same = sum((NO_FINDING in ours[study]) == (NO_FINDING in theirs[study]) for study in theirs)
    return sum(scores) / len(scores), same / len(theirs)


def print_disagreements(
    sentences: Mapping[str, list[str]],
    theirs: Mapping[str, Mapping[str, State]],
    *,
    names: tuple[str, ...],
    count: int,
    seed: int,
) -> None:
    """A random sample of (study, observation) that the two labellings name differently."""
    found = []
    for study, reference in theirs.items():
        labels = label_report(sentences[study])
        found += [
            (study, name, labels.get(name), reference.get(name))
            for name in names
            if "positive" in (labels.get(name), reference.get(name))
            and labels.get(name) != reference.get(name)
        ]
    print(f"{len(found)} disagreements on a positive label; {min(count, len(found))} shown")
    for study, name, ours, reference_state in random.Random(seed).sample(
        found, min(count, len(found))
    ):
        print(f"\n{study} {name}: ours {ours}, theirs {reference_state}")
        for sentence in sentences[study]:
            state = label_sentence(sentence).get(name)
            print(f"  {state or '':<10} {sentence}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds openi/")
    parser.add_argument("--split", choices=("train", "val"), default="train")
    parser.add_argument("--text", choices=tuple(SECTIONS), default="findings")
    parser.add_argument("--observation", choices=OBSERVATIONS, action="append")
    parser.add_argument("--disagreements", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the agreement as JSON")
    options = parser.parse_args(argv)
    folder = options.data / "openi"
    reports = read_reports(folder / "NLMCXR_reports.tgz")
    theirs = read_reference(folder / "chexpert_labels_train_val.csv", options.split)
    start = time.perf_counter()
    sentences = {
        study: [
            sentence
            for section in SECTIONS[options.text]
            for sentence in split_sentences(reports[study].get(section, ""))
        ]
        for study in theirs
    }
    ours = {study: label_report(sentences[study]) for study in theirs}
    seconds = time.perf_counter() - start
    print(
        f"{LABELLER_VERSION}, {options.split}, {options.text}: {len(theirs)} studies in "
        f"{seconds:.1f} s; in brackets: studies ours/theirs"
    )
    print_table(ours, theirs)
    if options.out is not None:
        mean, same = agreement(ours, theirs)
        measured = {"labeller": LABELLER_VERSION, "split": options.split, "studies": len(theirs)}
        write_json(options.out, {**measured, "mean F1": mean, "No Finding": same})
    if options.disagreements:
        print_disagreements(
            sentences,
            theirs,
            names=tuple(options.observation or AIMED_AT),
            count=options.disagreements,
            seed=options.seed,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
