"""What a system submits to the citation benchmark: one JSON file, read and checked.

    submission = read_submission(Path("nearest_case.json"))
    submission.reports[0].sentences, submission.reports[0].citations

    {"format": "citations-1", "system": "nearest case", "split": "val",
     "reports": [{"study_id": "17",
                  "sentences": ["The heart is enlarged."],
                  "citations": [[1]],
                  "cited_texts": [{"case": "openi:4", "start": 0, "end": 22}]}]}

``citations`` has a list of numbers for each sentence; 1 is the first of ``cited_texts``. A number
beyond the last is no broken file but a citation of nothing, and is scored as one. Any text may be
given as a passage of an indexed report, by case and character offsets, so that no report leaves
the data set that it belongs to. ``docs/citation-benchmark.md`` is the protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from db.errors import NotFoundError, UserError
from db.files import write_text

FORMAT = "citations-1"
FORM = "docs/citation-benchmark.md has the form"


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A part of an indexed report, or all of it."""

    case: str
    """``source:study_id``."""
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The first character, from 0."""
    end: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The character after the last one; None for the end of the report."""


Text = str | Passage


@dataclass(frozen=True, kw_only=True)
class SubmittedReport:
    """The report of one study."""

    study_id: str
    sentences: tuple[Text, ...]
    citations: tuple[tuple[Annotated[int, msgspec.Meta(ge=1)], ...], ...]
    """Of each sentence, the numbers of its cited texts, from 1."""
    cited_texts: tuple[Text, ...]
    """Everything that was retrieved for the study, cited or not."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """All reports of one system."""

    format: str
    """`FORMAT`."""
    system: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    """The name on the leaderboard."""
    split: str
    """The part of the data set that was reported on."""
    reports: tuple[SubmittedReport, ...]
    about: str = ""
    """How the system works, in a sentence."""


def read_submission(path: Path) -> Submission:
    """Read one file. Raises UserError that names the file, the place in it and what is wrong."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Submission)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read ({error.strerror}): check the name") from error
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        problem = str(error).replace("`", "'").replace(" - at '$.", " at '")
        raise UserError(f"{path} is no submission: {problem}; {FORM}") from error
    if found.format != FORMAT:
        raise UserError(f"{path} has format '{found.format}', not '{FORMAT}': {FORM}")
    seen: set[str] = set()
    for report in found.reports:
        if report.study_id in seen:
            raise UserError(f"{path}: study {report.study_id} is there twice: leave one report")
        seen.add(report.study_id)
        if len(report.citations) != len(report.sentences):
            raise UserError(
                f"{path}: study {report.study_id} has {len(report.sentences)} sentences and "
                f"{len(report.citations)} lists of citations: give one list a sentence, [] for none"
            )
        for name, texts in (("sentence", report.sentences), ("cited text", report.cited_texts)):
            for number, text in enumerate(texts, start=1):
                if isinstance(text, str) and not text.strip():
                    raise UserError(
                        f"{path}: {name} {number} of study {report.study_id} is empty: leave it out"
                    )
    return found


def read_folder(folder: Path) -> dict[Path, Submission]:
    """Read the JSON files of a folder in the order of their names.

    Raises UserError where there is none, or two are of one system.
    """
    found = {path: read_submission(path) for path in sorted(folder.glob("*.json"))}
    if not found:
        raise NotFoundError(f"{folder} holds no submission: put one JSON file per system there")
    by_name: dict[str, Path] = {}
    for path, submission in found.items():
        first = by_name.setdefault(submission.system, path)
        if first != path:
            raise UserError(
                f"{first} and {path} are both of system '{submission.system}': rename one"
            )
    return found


def write_submission(submission: Submission, folder: Path) -> Path:
    """Write a submission as ``<system>.json``; returns the path."""
    stem = "_".join("".join(c if c.isalnum() else " " for c in submission.system).lower().split())
    path = folder / f"{stem}.json"
    encoded = msgspec.json.format(msgspec.json.encode(submission), indent=1)
    write_text(path, encoded.decode() + "\n")
    return path


def by_study(reports: Sequence[SubmittedReport]) -> dict[str, SubmittedReport]:
    """The reports by study id."""
    return {report.study_id: report for report in reports}
