"""Count which questions are declined or corrected, and which are answered.

    python -m bench.generation.questions --declined FILE --in-scope FILE
    python -m bench.generation.questions ... --present Edema --possible "Pleural Effusion"

Each file has one question a line. Those of the first are off the topic, ask what an X-ray does not
say, or take a finding for granted that is not seen; those of the second are on the image. They are
asked of one invented assessment, in which all findings but those given are absent. Prints every
question of the first file that is not turned away, and of the second that is. Exit code 1 where
less than 95 % are turned away that should be, or more than 5 % are declined that should not.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from db.errors import UserError
from db.labels import FINDINGS, OBSERVATIONS
from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import Calibration
from generator.questions.decide import decide
from retriever.results import Retrieval, View

LEAST_TURNED_AWAY = 0.95
MOST_DECLINED = 0.05
PRESENT, POSSIBLE, ABSENT = 0.8, 0.3, 0.1
"""Label scores, of which the assessment is made."""
CALIBRATION = Calibration(
    knn=0.0, label_head=1.0, operating_points={"high": 0.2, "balanced": 0.4, "specific": 0.9}
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What became of two lists of questions."""

    missed: tuple[str, ...]
    """Questions to turn away that were answered, or left to a language model."""
    declined: tuple[str, ...]
    """Questions on the image that were declined."""
    corrected: tuple[str, ...]
    """Questions on the image whose premise was corrected."""
    left: tuple[str, ...]
    """Questions on the image that are left to a language model."""
    turned_away: float
    """Share of the first list."""
    declined_share: float
    """Share of the second list."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--declined", type=Path, required=True, metavar="FILE")
    parser.add_argument("--in-scope", type=Path, required=True, metavar="FILE")
    parser.add_argument("--present", nargs="*", default=["Cardiomegaly", "Lung Opacity"])
    parser.add_argument("--possible", nargs="*", default=["Atelectasis"])
    arguments = parser.parse_args(argv)
    try:
        retrieval = invented(arguments.present, arguments.possible)
        score = measure(
            read(arguments.declined),
            read(arguments.in_scope),
            assess(retrieval, {}, calibration=CALIBRATION),
            retrieval,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"declined or corrected, of questions to turn away: {score.turned_away:.1%}")
    print(f"declined, of questions on the image: {score.declined_share:.1%}")
    for name in ("missed", "declined", "corrected", "left"):
        questions = getattr(score, name)
        print(f"{name}: {len(questions)}")
        for question in questions:
            print(f"  {question}")
    passed = score.turned_away >= LEAST_TURNED_AWAY and score.declined_share <= MOST_DECLINED
    return 0 if passed else 1


def read(path: Path) -> list[str]:
    """The questions of a file. Raises UserError for one that cannot be read or has none."""
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    questions = [line for line in found if line]
    if not questions:
        raise UserError(f"{path} has no question: write one a line")
    return questions


def invented(present: Sequence[str], possible: Sequence[str]) -> Retrieval:
    """A study with these findings, in a frontal and a lateral view, and no similar case."""
    if unknown := {*present, *possible} - set(FINDINGS):
        raise UserError(f"unknown finding {sorted(unknown)[0]!r}: use {', '.join(FINDINGS)}")
    scores = {
        name: PRESENT if name in present else POSSIBLE if name in possible else ABSENT
        for name in OBSERVATIONS
    }
    return Retrieval(
        hits=(),
        index_fingerprint="",
        source="invented",
        images_sha256=(),
        label_scores=scores,
        views=tuple(View(is_frontal=one, label_scores=None) for one in (True, False)),
    )


def measure(
    to_turn_away: Sequence[str],
    in_scope: Sequence[str],
    assessment: Assessment,
    retrieval: Retrieval,
) -> Score:
    """Ask every question of one study."""
    missed = []
    for question in to_turn_away:
        answer = decide(question, assessment, retrieval)
        if answer is None or not (answer.declined or answer.corrected):
            missed.append(question)
    found: dict[str, list[str]] = {"declined": [], "corrected": [], "left": []}
    for question in in_scope:
        answer = decide(question, assessment, retrieval)
        if answer is None:
            found["left"].append(question)
        elif answer.declined or answer.corrected:
            found["declined" if answer.declined else "corrected"].append(question)
    return Score(
        missed=tuple(missed),
        **{name: tuple(questions) for name, questions in found.items()},
        turned_away=1 - len(missed) / len(to_turn_away),
        declined_share=len(found["declined"]) / len(in_scope),
    )


if __name__ == "__main__":
    sys.exit(main())
