"""A caller's request: a task, and how to search for its prior cases."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from db.errors import UserError
from generator.assessment.calibration import SENSITIVITIES, Sensitivity
from generator.prior.request import PriorRequest
from generator.prompts import MAX_QUESTION, Task
from retriever.options import SearchOptions


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One text to write about the images of one study.

    Raises UserError for the task ``ask`` without a question, or with one that is too long.
    """

    options: SearchOptions
    task: Task = "report"
    question: str | None = None
    indication: str | None = None
    """Why the images were taken; stored as it is given here."""
    sensitivity: Sensitivity = "balanced"
    """Which operating point decides what is present; the same for every task."""
    prior: PriorRequest | None = None
    """The patient's own prior study to compare with; for a report only."""

    def __post_init__(self) -> None:
        for name in ("question", "indication"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else _plain(given) or None)
        if self.sensitivity not in SENSITIVITIES:
            raise UserError(
                f"unknown sensitivity '{self.sensitivity}': use {', '.join(SENSITIVITIES)}"
            )
        if self.task == "ask" and self.question is None:
            raise UserError("the question is empty: ask something about the image")
        if self.question is not None and len(self.question) > MAX_QUESTION:
            raise UserError(
                f"a question may have {MAX_QUESTION} characters, not {len(self.question)}"
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the options of the search stand beside the rest."""
        own = {
            "task": self.task,
            "question": self.question,
            "indication": self.indication,
            "sensitivity": self.sensitivity,
            "prior": None if self.prior is None else self.prior.to_json(),
        }
        stored: dict[str, Any] = json.loads(json.dumps({**asdict(self.options), **own}))
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; also reads what earlier versions stored, which had no task."""
        known = {field.name for field in fields(SearchOptions)}
        options: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in stored.items()
            if name in known
        }
        return cls(
            options=SearchOptions(**options),
            task=stored.get("task", "report"),
            question=stored.get("question"),
            indication=stored.get("indication"),
            sensitivity=stored.get("sensitivity", "balanced"),
            prior=None if stored.get("prior") is None else PriorRequest.from_json(stored["prior"]),
        )


def _plain(text: str) -> str:
    """Join into one line of printable characters, which XML can hold."""
    printable = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(printable.split())
