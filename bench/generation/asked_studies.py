"""Ask questions that a writer made of real studies, and count what is turned away.

    python -m bench.generation.asked_studies --index data/index --data-dir DIR --split-file FILE \
        --draw 30 --write studies.json
    python -m bench.generation.asked_studies ... --questions questions.jsonl

``--draw`` assesses studies of the split without a language model and writes what a writer needs to
know of each: its views, and its findings with their probabilities. ``--questions`` reads what was
written of them, one JSON object a line with ``study``, ``text`` and ``kind``: ``off-topic``,
``false-premise`` (takes something for granted that is not so) or ``in-scope``. Prints the share of
the first two that is declined or corrected and of the third that is declined, and every question
that is not. Exit code 1 as for `bench.generation.questions`.

An answer corrects where the question takes a finding for granted and the answer says that it is not
seen, be it as a sentence of its own or after a "No". What is left to a language model counts as
answered. Exit code and first figures are of the service with a language model; then come those
without one, which declines what the assessment and the cases do not tell.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from bench.generation.questions import LEAST_TURNED_AWAY, MOST_DECLINED
from bench.openi_split import add_split, split_of
from db.errors import UserError
from db.files import json_lines, write_text
from db.labels import FINDINGS
from evaluation.retrieval.studies import EvaluationStudy, embed, read_studies
from generator.assessment.assess import Assessment, assess
from generator.assessment.calibration import Calibration
from generator.questions.answer import DecidedAnswer
from generator.questions.decide import decide, decide_all
from generator.without_model import find_to_write
from retriever.options import SearchOptions
from retriever.results import Retrieval
from retriever.search import Retriever

Kind = Literal["off-topic", "false-premise", "in-scope"]
KINDS: tuple[Kind, ...] = ("off-topic", "false-premise", "in-scope")
STATES = ("present", "possible", "absent", "not assessable")
K = 10


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question of a study."""

    study: str
    text: str
    kind: Kind


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_split(parser)
    parser.add_argument("--draw", type=int, help="describe as many studies, chosen by hash")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where to describe them")
    parser.add_argument("--questions", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        if (arguments.questions is None) == (arguments.draw is None):
            raise UserError("give either --draw with --write, or --questions")
        if arguments.draw and arguments.write is None:
            raise UserError("give --write FILE for the studies that --draw describes")
        asked = read_asked(arguments.questions) if arguments.questions else []
        retriever = Retriever.open(arguments.index)
        source = split_of(arguments)
        studies, _ = read_studies(source, retriever)
        if arguments.draw:
            chosen = draw(studies, arguments.draw)
            found = [describe(study, one) for study, one, _ in assessed(retriever, chosen)]
            write_text(arguments.write, json.dumps(found, indent=1))
            return 0
        known = {one.study for one in asked}
        chosen = [study for study in studies if study.study_id in known]
        if missing := known - {study.study_id for study in chosen}:
            raise UserError(f"split '{arguments.split}' has no study {sorted(missing)[0]!r}")
        by_study = {
            study.study_id: (one, retrieval)
            for study, one, retrieval in assessed(retriever, chosen)
        }
        return measure(asked, by_study)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def draw(studies: Sequence[EvaluationStudy], count: int) -> list[EvaluationStudy]:
    """As many studies, the same ones at each call."""
    return sorted(studies, key=lambda one: sha256(one.study_id.encode()).hexdigest())[:count]


def assessed(
    retriever: Retriever, studies: Sequence[EvaluationStudy]
) -> Iterator[tuple[EvaluationStudy, Assessment, Retrieval]]:
    """Each study with its assessment and hits, without a language model."""
    calibration = Calibration.find(retriever.index)
    queries = embed(retriever.encoder, studies, "both")
    for study, query in zip(studies, queries, strict=True):
        retrieval, votes = find_to_write(
            retriever, query, SearchOptions(k=K), calibration=calibration
        )
        one = assess(retrieval, votes, calibration=calibration)
        yield study, one.with_cases(retrieval.hits), retrieval


def describe(study: EvaluationStudy, assessment: Assessment) -> dict[str, object]:
    """What a writer of questions is told of a study."""
    by_state = {
        state: {
            name: round(assessment[name].probability, 2)
            for name in FINDINGS
            if assessment[name].state == state
        }
        for state in STATES
    }
    views = [image.view_position or "unknown" for image in study.images]
    return {"id": study.study_id, "views": views, **by_state}


def read_asked(path: Path) -> list[Asked]:
    """The questions of a file. Raises UserError, which names the line."""
    found = []
    for place, row in json_lines(path):
        try:
            one = Asked(study=str(row["study"]), text=str(row["text"]), kind=row["kind"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{place}: give an object with study, text and kind") from error
        if one.kind not in KINDS:
            raise UserError(f"{place}: unknown kind: use {', '.join(KINDS)}")
        found.append(one)
    if not found:
        raise UserError(f"{path} has no question")
    return found


def measure(asked: Sequence[Asked], by_study: Mapping[str, tuple[Assessment, Retrieval]]) -> int:
    """Print what became of the questions, with a language model at hand and without one."""
    passed = True
    for title, answer_of in (("with a language model", decide), ("without one", decide_all)):
        counts = {kind: [0, 0] for kind in KINDS}
        wrong: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
        for one in asked:
            answer = answer_of(one.text, *by_study[one.study])
            turned_away = is_turned_away(answer, one.kind)
            counts[one.kind][0] += turned_away
            counts[one.kind][1] += 1
            if turned_away == (one.kind == "in-scope"):
                text = "left to the model" if answer is None else answer.text
                wrong[one.kind].append(f"{one.study}: {one.text} -> {text}")
        print(title)
        for kind in KINDS:
            part, whole = counts[kind]
            verb = "declined" if kind == "in-scope" else "declined or corrected"
            print(f"  {kind}: {part} of {whole} {verb}" + (f", {part / whole:.1%}" * bool(whole)))
            for line in wrong[kind]:
                print(f"    {line}")
        away, of = (sum(counts[kind][place] for kind in KINDS[:2]) for place in (0, 1))
        declined, in_scope = counts["in-scope"]
        print(f"  to turn away: {away} of {of}, {away / of:.1%}" if of else "")
        if answer_of is decide:
            passed = away >= LEAST_TURNED_AWAY * of and declined <= MOST_DECLINED * in_scope
    return 0 if passed else 1


def is_turned_away(answer: DecidedAnswer | None, kind: Kind) -> bool:
    """Whether a question is declined or, unless it is in scope, corrected; None is for a model."""
    if answer is None:
        return False
    return answer.declined or (answer.corrected and kind != "in-scope")


if __name__ == "__main__":
    sys.exit(main())
