"""The outputs of every system for every study of a split, in one readable file.

outputs = Outputs.open(out_dir / "outputs.jsonl", about)    # resumes an interrupted run
outputs.append([ReportRow(system="with retrieval", study_id="7", text="...", context=(...))])
outputs.reports["with retrieval"]["7"].text

JSON Lines: the first line holds what the rest depends on, every other line is a row. Rows are only
ever appended, one batch at a time, so a killed run loses only the batch it was working on.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from db.errors import MismatchError, NotFoundError, UserError
from db.files import write_text
from db.labels import FINDINGS, State
from evaluation.outputs.names import IMAGE_FINDINGS_WITHHELD, IMAGE_ONLY
from retriever.options import Strategy

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class OutputsHeader:
    """What the outputs depend on; rows are appended only to a file with the same values."""

    source: str
    split: str
    index_fingerprint: str
    encoder: str
    encoder_sha256: str
    labeller: str
    """Of the indexed cases."""
    model: str
    adapter: str | None
    weights_sha256: str
    """Of model and adapter together."""
    prompt_version: str
    max_new_tokens: int
    strategy: Strategy = "similar"
    """How the cases in the prompts were chosen."""
    computed: str = "here"
    """Device and quantization of another machine that the model ran on, or the address of the
    server that runs it."""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """Encoder scores and search results for the images of a study."""

    study_id: str
    label_scores: Mapping[str, float] | None
    label_thresholds: Mapping[str, float] | None
    votes: Mapping[str, float]
    """Observation to the probability that the nearest cases vote for."""
    hits: tuple[tuple[str, float], ...]
    """``source/study_id`` and cosine, best first."""

    @property
    def sees(self) -> bool:
        """Whether the encoder sees a finding."""
        scores, least = self.label_scores or {}, self.label_thresholds or {}
        return any(scores[name] >= least.get(name, 0.5) for name in FINDINGS if name in scores)


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One report as the system wrote it, with its ``[n]``."""

    system: str
    study_id: str
    text: str
    context: tuple[str, ...] = ()
    """``source/study_id`` of the cases shown: ``[1]`` is the first."""
    indication: str = ""
    labels: Mapping[str, State] | None = None
    """Labels of a report that was copied from a case, whose text is its findings alone; None has
    the labeller read them from the text."""


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """The probability of yes against no, for the 14 observations."""

    system: str
    study_id: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """One question on one study, or on one image of a question set."""

    system: str
    questions: str
    """Name of the set."""
    question_id: str
    group: str
    """Study or image: the bootstrap resamples the questions of one group together."""
    question: str
    reference: str
    closed: bool
    """Whether the answer is one of few given choices, such as yes and no."""
    text: str
    context: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Among the answers of a system."""
        return f"{self.questions}/{self.question_id}"


Row = StudyRow | ReportRow | ClassRow | AnswerRow

_KINDS: dict[str, type[Row]] = {
    "study": StudyRow,
    "report": ReportRow,
    "classes": ClassRow,
    "answer": AnswerRow,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}

_FORMER_NAMES = {
    "film": "study",
    "film alone": IMAGE_ONLY,
    "what the film shows withheld": IMAGE_FINDINGS_WITHHELD,
}
"""Kinds and systems in files written before they were renamed."""


@dataclass(kw_only=True)
class Outputs:
    """The rows of one file, those read and those appended since."""

    path: Path
    about: OutputsHeader
    images: dict[str, StudyRow] = field(default_factory=dict)
    reports: dict[str, dict[str, ReportRow]] = field(default_factory=dict)
    """By system and study, as the next."""
    classes: dict[str, dict[str, ClassRow]] = field(default_factory=dict)
    answers: dict[str, dict[str, AnswerRow]] = field(default_factory=dict)
    """By system and `AnswerRow.key`."""
    _end: int
    """Bytes of the lines that are whole."""

    @classmethod
    def open(cls, path: Path, about: OutputsHeader) -> Self:
        """Create a file, or continue one of the same model, index and split.

        Raises MismatchError for a file made with others.
        """
        if not path.is_file() or not path.stat().st_size:
            write_text(path, json.dumps(asdict(about)) + "\n")
        outputs = cls.read(path)
        for one in fields(OutputsHeader):
            ours, there = getattr(about, one.name), getattr(outputs.about, one.name)
            if ours != there and one.name not in ("model", "adapter", "encoder"):
                raise MismatchError(
                    f"{path} holds outputs of another run ({one.name} {there!r}, not {ours!r}): "
                    "name another --out, or remove it"
                )
        return outputs

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises UserError for one that is missing or of another form.

        An unfinished last line, left by a killed run, is skipped, and `append` cuts it off.
        """
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: make it with --model")
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        first, *lines = whole.split(b"\n")
        try:
            about = OutputsHeader(**json.loads(first))
            if about.format_version != FORMAT_VERSION:
                raise ValueError(about.format_version)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path} holds no outputs that this version reads: create them again"
            ) from error
        outputs = cls(path=path, about=about, _end=len(whole) + 1)
        for number, line in enumerate(lines, start=2):
            try:
                values = json.loads(line)
                outputs._remember(_row(values))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise UserError(f"{path}, line {number} is no output: remove that line") from error
        return outputs

    def append(self, rows: Iterable[Row]) -> None:
        """Append rows and flush them to the disk."""
        added = list(rows)
        lines = [json.dumps({"kind": _NAMES[type(row)], **asdict(row)}) for row in added]
        with self.path.open("r+b") as stream:
            stream.seek(self._end)
            stream.truncate()
            stream.write("".join(line + "\n" for line in lines).encode())
            stream.flush()
            os.fsync(stream.fileno())
            self._end = stream.tell()
        for row in added:
            self._remember(row)

    def _remember(self, row: Row) -> None:
        if isinstance(row, StudyRow):
            self.images[row.study_id] = row
        elif isinstance(row, ReportRow):
            self.reports.setdefault(row.system, {})[row.study_id] = row
        elif isinstance(row, ClassRow):
            self.classes.setdefault(row.system, {})[row.study_id] = row
        else:
            self.answers.setdefault(row.system, {})[row.key] = row


def _row(values: dict[str, Any]) -> Row:
    for name in ("kind", "system"):
        if name in values:
            values[name] = _FORMER_NAMES.get(values[name], values[name])
    kind = _KINDS[values.pop("kind")]
    for name in ("context", "hits"):
        if name in values:
            values[name] = tuple(tuple(v) if isinstance(v, list) else v for v in values[name])
    return kind(**values)
