"""The rows of the tables of wording.

All patterns are matched against ``Text.plain``. Within a group what a row has matched is taken from
the rows below it: a nodular opacity is a nodule and not also an opacity.
"""

import re
from dataclasses import dataclass

from db.findings import FINDING


@dataclass(frozen=True, slots=True)
class Span:
    """Where a finding is worded in the plain text."""

    finding: str
    start: int
    end: int

    @property
    def is_device(self) -> bool:
        return FINDING[self.finding].region == "devices"


@dataclass(frozen=True, slots=True)
class Wording:
    """One finding's wording."""

    finding: str
    pattern: re.Pattern[str]
    beside: re.Pattern[str] | None = None
    """What the sentence has to name as well: "tortuous" means the aorta only where it is named."""
    describes: bool = False
    """Whether it is a mere description where a row above finds the same finding by its name."""


def wording(
    finding: str, pattern: str, beside: str | None = None, *, describes: bool = False
) -> Wording:
    """A row of a table below."""
    return Wording(finding, re.compile(pattern), re.compile(beside) if beside else None, describes)


IS = (
    r"(?:(?:is|are|was|were|appears?|remains?|do|does|may|might|could|be|not|no longer|seems?|to"
    r"|being|has|have|been|minimally|mildly|moderately|slightly|somewhat|markedly|severely"
    r"|significantly|abnormally|both) )*"
)
"""A verb with all that can stand in it; a "not" or "may" inside is read as a cue."""
