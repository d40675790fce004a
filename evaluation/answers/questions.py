"""Questions for a model, each with its reference answer.

questions = report_questions(cases)                   # from reports and labels, seeded
questions = vqa_rad_questions(Path("vqa_rad"))      # of the VQA-RAD data set (Lau et al., 2018)
"""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from db.errors import UserError
from db.index.store import Case
from evaluation.answers.report_questions import draw_question
from evaluation.outputs.names import REPORT_QUESTIONS, VQA_RAD
from generator.context.build import Context
from generator.grounding.answers import is_yes
from generator.prompts import MAX_QUESTION

SEED = 0
A_STUDY = 2
"""Questions per study; fewer if its report answers fewer."""

_NOTHING = Context(hits=(), image_findings=None, indication="", text="")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question with its reference answer."""

    questions: str
    """Name of the set."""
    question_id: str
    group: str
    """Study id, or file name of an image: what the question is about."""
    text: str
    answer: str
    closed: bool
    """Whether the answer is one of few given choices, such as yes and no."""

    @property
    def key(self) -> str:
        """The key of its answers in `evaluation.outputs.rows`."""
        return f"{self.questions}/{self.question_id}"


def report_questions(cases: Iterable[Case]) -> list[Question]:
    """Draw questions that the reports answer; a study gets the same ones on every call."""
    questions = []
    for case in cases:
        asked: set[str] = set()
        for number in range(A_STUDY):
            draw = random.Random(f"{SEED}:{case.study_id}:{number}")
            found = draw_question(case, _NOTHING, draw)
            if found is None or found[0] in asked:
                continue
            asked.add(found[0])
            questions.append(
                Question(
                    questions=REPORT_QUESTIONS,
                    question_id=f"{case.study_id}-{number}",
                    group=case.study_id,
                    text=found[0],
                    answer=found[1],
                    closed=is_yes(found[1]) is not None,
                )
            )
    return questions


def vqa_rad_questions(folder: Path) -> list[Question]:
    """The questions of ``train.json``, as published: number answers become text.

    Raises UserError for a file of another form or an image that is not in ``images``.
    """
    path = folder / "train.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        questions = [
            Question(
                questions=VQA_RAD,
                question_id=str(row["qid"]),
                group=str(row["image_name"]),
                text=str(row["question"])[:MAX_QUESTION],
                answer=str(row["answer"]),
                closed=str(row["answer_type"]).strip() == "CLOSED",
            )
            for row in rows
        ]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not hold the questions of VQA-RAD") from error
    for question in questions:
        name = question.group
        if Path(name).name != name or not (folder / "images" / name).is_file():
            raise UserError(f"the image {name!r} of question {question.question_id} is not there")
    return questions
