"""Reports of ChestX-ray14 images at a given specificity: which abnormal ones are given a finding.

    python -m bench.generation.normal_images write --index data/index \
        --nih-dir NIH --nih-dir NIH_HIRES --nih-dir NIH_128PX --split val --out ours_val.json
    python -m bench.generation.normal_images score --fit ours_val.json theirs_val.json \
        --measured ours_test.json theirs_test.json

``write`` writes the report that is served without a language model at each of `POINTS` in place of
the operating point, and keeps, for each image, the points at which the labeller reads a finding in
it (support devices apart, which the data set does not label). ``score`` takes the lowest point at
which `SPECIFICITY` of the normal images of the first files are given no finding, by system, and
counts the abnormal images of the others that are given one; patients are resampled. The two
specificities that come out differ, so the sensitivities are compared at equal specificity of the
measured images as well. `evaluation.log` has the rule for ``--split test``: once for each set of
weights, and logged.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from db.errors import UserError
from db.files import write_json
from db.labels import FINDINGS, named
from evaluation.log import append_run, require_first_run
from evaluation.metrics.bootstrap import PERCENTILES, RESAMPLES
from generator.assessment.assess import DEVICES, assess
from generator.assessment.calibration import SENSITIVITIES, Calibration
from generator.request import GenerationRequest
from generator.without_model import find_to_write, write_without_model
from indexer.images.reader import read_radiograph
from indexer.reports.labeller import label_report
from indexer.sources.nih_folders import read_nih_folders
from retriever.options import SearchOptions
from retriever.query import Query, image_queries
from retriever.search import Retriever

POINTS = tuple(round(0.02 * step, 2) for step in range(2, 46))
"""In place of the operating point."""
SPECIFICITY = 0.7
COLLECTION = "chestxray14 reports"
LOG = Path("results/test_log.jsonl")
K = 10
_BATCH = 16
_SEED = 0

Table = npt.NDArray[np.bool_]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("--index", type=Path, required=True)
    writing.add_argument("--nih-dir", type=Path, action="append", required=True)
    writing.add_argument("--split", choices=("val", "test"), default="val")
    writing.add_argument("--out", type=Path, required=True, metavar="FILE")
    writing.add_argument("--test-log", type=Path, default=LOG, metavar="FILE")
    writing.add_argument("--again", metavar="REASON")
    scoring = commands.add_parser("score")
    for name in ("fit", "measured"):
        scoring.add_argument(f"--{name}", type=Path, nargs=2, required=True, metavar="FILE")
    scoring.add_argument("--resamples", type=int, default=RESAMPLES)
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "write":
            write(arguments)
        else:
            score(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def write(arguments: argparse.Namespace) -> None:
    """Raises UserError where these weights were measured on test before."""
    retriever = Retriever.open(arguments.index)
    weights = retriever.index.manifest.encoder.weights_sha256
    if arguments.split == "test":
        require_first_run(arguments.test_log, weights, arguments.again, collection=COLLECTION)
    calibration = Calibration.find(retriever.index)
    images = [one for one in read_nih_folders(arguments.nih_dir) if one.part == arguments.split]
    if not images:
        raise UserError(f"the folders hold no image of a {arguments.split} patient")
    rows: list[dict[str, Any]] = []
    for start in tqdm(range(0, len(images), _BATCH), file=sys.stderr):
        some = images[start : start + _BATCH]
        queries = image_queries(retriever.encoder, [[read_radiograph(one.path)] for one in some])
        rows += [
            {
                "patient": image.patient_id,
                "normal": "No Finding" in image.labels,
                "named": given_a_finding(retriever, query, calibration),
            }
            for image, query in zip(some, queries, strict=True)
        ]
    document = {"weights_sha256": weights, "split": arguments.split, "images": rows}
    write_json(arguments.out, document)
    if arguments.split == "test":
        append_run(
            arguments.test_log,
            {"weights_sha256": weights, "collection": COLLECTION, "images": len(rows)},
            command=f"python -m bench.generation.normal_images write --split {arguments.split}",
            again=arguments.again,
        )


def given_a_finding(retriever: Retriever, query: Query, calibration: Calibration) -> list[bool]:
    """Whether the report at each of `POINTS` names a finding; equal findings give equal reports."""
    request = GenerationRequest(options=SearchOptions(k=K))
    votes = retriever.vote(query, request.options)
    known: dict[tuple[str, ...], bool] = {}
    found = []
    for point in POINTS:
        at = replace(calibration, operating_points=dict.fromkeys(SENSITIVITIES, point))
        present = assess(query, votes, calibration=at).present
        if present not in known:
            retrieval, _ = find_to_write(retriever, query, request.options, calibration=at)
            report = write_without_model(request, retrieval, votes, calibration=at)
            labels = label_report(one.text for one in report.statements)
            known[present] = bool(named(labels) & set(FINDINGS) - {DEVICES})
        found.append(known[present])
    return found


def score(arguments: argparse.Namespace) -> None:
    fitted = [point_of(_read(path)) for path in arguments.fit]
    measured = [_read(path) for path in arguments.measured]
    ours, theirs = measured
    if ours["patient"].tolist() != theirs["patient"].tolist():
        raise UserError("the two measured files are of other images")
    normal = ours["normal"]
    patients, of = np.unique(ours["patient"], return_inverse=True)
    draws = np.random.default_rng(_SEED).integers(
        0, len(patients), (arguments.resamples, len(patients))
    )
    counts = np.stack([np.bincount(draw, minlength=len(patients))[of] for draw in draws])
    everyone = np.ones((1, len(of)))
    print(f"{len(of)} images of {len(patients)} patients, {int(normal.sum())} normal")
    for name, rule in (("point fitted on the first files", False), ("equal specificity", True)):
        values = []
        for one, place in zip(measured, fitted, strict=True):
            calls = one["named"]
            both = []
            for weights in (everyone, counts):
                at = equal_point(calls, normal, weights) if rule else np.full(len(weights), place)
                both.append(
                    [rate(calls, ~normal, weights, at), 1 - rate(calls, normal, weights, at)]
                )
            values.append(both)
        print(name)
        for title, (whole, drawn) in zip(("ours", "theirs"), values, strict=True):
            for measure, value, some in zip(
                ("sensitivity", "specificity"), whole, drawn, strict=True
            ):
                print(f"  {title}: {measure} {interval(value[0], some)}")
        difference = values[0][1][0] - values[1][1][0]
        value = values[0][0][0][0] - values[1][0][0][0]
        print(f"  ours minus theirs: sensitivity {interval(value, difference)}")


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["images"]
        return {
            name: np.array([row[name] for row in rows]) for name in ("patient", "normal", "named")
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} was not written by this command: {error}") from error


def point_of(rows: dict[str, npt.NDArray[Any]]) -> int:
    """The place of the lowest point at which enough normal images are given no finding."""
    specific = 1 - rows["named"][rows["normal"]].mean(axis=0)
    reached = np.flatnonzero(specific >= SPECIFICITY)
    if not len(reached):
        raise UserError(f"no point gives a specificity of {SPECIFICITY}")
    return int(reached[0])


def rate(
    calls: Table, chosen: Table, weights: npt.NDArray[Any], at: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Share of the chosen images that are given a finding, by resample; ``at`` may lie between two
    points, whose rates are then mixed."""
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, calls.shape[1] - 1)
    mixed = calls[:, low] * (1 - (at - low)) + calls[:, high] * (at - low)
    of = weights[:, chosen]
    return (of * mixed.T[:, chosen]).sum(axis=1) / of.sum(axis=1)


def equal_point(calls: Table, normal: Table, weights: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The place between two points where the specificity is exactly `SPECIFICITY`, by resample."""
    of = weights[:, normal]
    specific = 1 - (of @ calls[normal]) / of.sum(axis=1, keepdims=True)
    specific = np.maximum.accumulate(specific, axis=1)
    places = np.arange(calls.shape[1])
    return np.array([np.interp(SPECIFICITY, row, places) for row in specific])


def interval(value: float, drawn: npt.NDArray[Any]) -> str:
    low, high = np.percentile(drawn, PERCENTILES)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
