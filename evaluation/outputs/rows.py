"""What every system said of every study of a split, in one file that anyone can look into.

outputs = Outputs.open(out_dir / "outputs.jsonl", about)    # taken up again where it stopped
outputs.append([ReportRow(system="with retrieval", study_id="7", text="...", context=(...))])
outputs.reports["with retrieval"]["7"].text

JSON Lines: the first says what the rest depends on, every other one is a row. Rows are only ever
added, a batch at a time, so that a run that is killed loses the batch it was at.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from db.errors import MismatchError, NotFoundError, UserError
from db.labels import FINDINGS, State

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class About:
    """What outputs depend on; a file of others is not added to."""

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
    computed: str = "here"
    """Where the model ran, if not here, and in which form."""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """What encoder and search make of the images of a study."""

    study_id: str
    label_scores: Mapping[str, float] | None
    label_thresholds: Mapping[str, float] | None
    votes: Mapping[str, float]
    """Observation to the share of the many cases that vote."""
    hits: tuple[tuple[str, float], ...]
    """``source/study_id`` and cosine, best first."""

    @property
    def sees(self) -> bool:
        """Whether the encoder sees a finding."""
        scores, least = self.label_scores or {}, self.label_thresholds or {}
        return any(scores[name] >= least.get(name, 0.5) for name in FINDINGS if name in scores)


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One report as it was written, with its ``[n]``."""

    system: str
    study_id: str
    text: str
    context: tuple[str, ...] = ()
    """``source/study_id`` of the cases shown: ``[1]`` is the first."""
    indication: str = ""
    labels: Mapping[str, State] | None = None
    """Of a report that was not written but taken whole, whose text is its findings alone; None
    has them read from the text."""


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """Yes against no, for the 14 observations."""

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
    """Study or image: questions with the same one are drawn together."""
    question: str
    reference: str
    closed: bool
    """Whether yes or no, or another of few given answers, is asked for."""
    text: str
    context: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Among the answers of a system."""
        return f"{self.questions}/{self.question_id}"


Row = StudyRow | ReportRow | ClassRow | AnswerRow

_KINDS: dict[str, type[Row]] = {
    "film": StudyRow,
    "report": ReportRow,
    "classes": ClassRow,
    "answer": AnswerRow,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(kw_only=True)
class Outputs:
    """The rows of one file, those that were read and those added since."""

    path: Path
    about: About
    images: dict[str, StudyRow] = field(default_factory=dict)
    reports: dict[str, dict[str, ReportRow]] = field(default_factory=dict)
    """By system and study, as the next."""
    classes: dict[str, dict[str, ClassRow]] = field(default_factory=dict)
    answers: dict[str, dict[str, AnswerRow]] = field(default_factory=dict)
    """By system and `AnswerRow.key`."""
    _end: int
    """Bytes of the lines that are whole."""

    @classmethod
    def open(cls, path: Path, about: About) -> Self:
        """Begin a file, or go on with one of the same model, index and split.

        Raises MismatchError for a file of others.
        """
        if not path.is_file() or not path.stat().st_size:
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting = path.with_name(path.name + ".tmp")
            waiting.write_text(json.dumps(asdict(about)) + "\n", encoding="utf-8")
            waiting.replace(path)
        outputs = cls.read(path)
        for one in fields(About):
            ours, there = getattr(about, one.name), getattr(outputs.about, one.name)
            if ours != there and one.name not in ("model", "adapter", "encoder"):
                raise MismatchError(
                    f"{path} holds outputs of another run ({one.name} {there!r}, not {ours!r}): "
                    "name another --out, or remove it"
                )
        return outputs

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises UserError for a file that is missing or no such file.

        A last line that a killed run left unfinished is not read, and is cut off by `append`.
        """
        if not path.is_file():
            raise NotFoundError(f"{path} does not exist: make it with --model")
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        first, *lines = whole.split(b"\n")
        try:
            about = About(**json.loads(first))
            if about.format_version != FORMAT_VERSION:
                raise ValueError(about.format_version)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path} holds no outputs that this version reads: make them again"
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
        """Add rows and have them on the disk before this returns."""
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
    kind = _KINDS[values.pop("kind")]
    for name in ("context", "hits"):
        if name in values:
            values[name] = tuple(tuple(v) if isinstance(v, list) else v for v in values[name])
    return kind(**values)
