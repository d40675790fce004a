"""The options of a report that name the patient's own prior study."""

import argparse
import datetime
from pathlib import Path

from db.errors import UserError
from generator.prior.request import PriorRequest


def add_prior_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--prior`` and what belongs to it."""
    group = parser.add_argument_group("the patient's own prior study")
    group.add_argument(
        "--prior",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="its images: the report then also says what is new, unchanged or no longer seen",
    )
    group.add_argument("--prior-date", type=_date, metavar="DATE", help="its date: 2026-05-03")
    group.add_argument("--prior-report", type=Path, metavar="FILE", help="its report, as text")
    group.add_argument("--study-date", type=_date, metavar="DATE", help="of the study itself")
    group.add_argument(
        "--find-prior", action="store_true", help="find it in the index, by --patient"
    )
    group.add_argument("--patient", metavar="ID", help="whose earlier study is found")


def prior_request(arguments: argparse.Namespace) -> PriorRequest | None:
    """What was given of a prior study; None for a verb without these options.

    Raises UserError for parts that do not fit together, or a file that cannot be read.
    """
    if "prior" not in arguments:
        return None
    path: Path | None = arguments.prior_report
    return PriorRequest.of(
        has_images=arguments.prior is not None,
        date=arguments.prior_date,
        report="" if path is None else _read(path),
        study_date=arguments.study_date,
        patient_id=arguments.patient,
        find=arguments.find_prior,
    )


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a date: write it like 2026-05-03"
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the report of the prior study, {path}, cannot be read as text") from error
