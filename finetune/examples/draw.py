"""Prompts and answers to train on, exactly as the service will send them.

pack = build_pack(studies, val_studies, ExampleOptions(passes=6), count_tokens=count, about={...})
pack.save(Path("data/examples"))

Every pass over a study draws a context anew: now and then none at all, some of its cases exchanged
for cases that have nothing to do with the image, their order shuffled, so that the model learns to
read before it copies. In most of the prompts the findings that the image is said to show are those
of its report: the encoder's own are right too seldom for a model to learn from them alone that
they are to be followed, and that cases are there for words and not for findings.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from db.errors import UserError
from db.index.store import Case
from db.labels import FINDINGS, NO_FINDING, OBSERVATIONS, named
from evaluation.answers.report_questions import draw_question
from finetune.examples.folder import Example, ExampleFolder
from finetune.examples.options import ExampleOptions
from finetune.examples.studies import TrainingStudy
from finetune.examples.targets import caption_answer, report_answer
from generator.context.build import (
    REPORT_CONTEXT,
    SHORT_CONTEXT,
    Context,
    ContextOptions,
    select_hits,
    targets,
    write_context,
)
from generator.context.shown_case import CountTokens
from generator.prompts import (
    NO,
    PROMPT_VERSION,
    YES,
    ask_prompt,
    caption_prompt,
    classify_prompts,
    report_prompt,
)
from retriever.case_filter import normalise_report
from retriever.results import Hit


def build_pack(
    train: Sequence[TrainingStudy],
    val: Sequence[TrainingStudy],
    options: ExampleOptions,
    *,
    count_tokens: CountTokens,
    about: Mapping[str, Any],
) -> ExampleFolder:
    """Raises UserError where no study gives an example."""
    examples = list(train_examples(train, options, count_tokens))
    if not examples:
        raise UserError("no study gives an example: none has a report that can be shown and cited")
    chosen = list(val_examples(val, len(train), options, count_tokens))
    files = [np.frombuffer(study.canvas, np.uint8) for study in (*train, *val)]
    return ExampleFolder(
        train=examples,
        val=chosen,
        about={**about, "prompt_version": PROMPT_VERSION, "options": asdict(options)},
        canvas_data=np.concatenate(files),
        canvas_ends=np.cumsum([len(file) for file in files]),
    )


def train_examples(
    studies: Sequence[TrainingStudy], options: ExampleOptions, count_tokens: CountTokens
) -> Iterator[Example]:
    """Every pass over all studies; seeded by study and pass, whatever else is in the set."""
    drawer = _Drawer(studies, options, count_tokens)
    for number in range(options.passes):
        for place, study in enumerate(studies):
            draw = random.Random(f"{options.seed}:{number}:{study.case.study_id}")
            yield from drawer.examples(study, place, draw)


def val_examples(
    studies: Sequence[TrainingStudy],
    first_canvas: int,
    options: ExampleOptions,
    count_tokens: CountTokens,
) -> Iterator[Example]:
    """One of each task a study, with the context that a service would build."""
    plain = replace(
        options,
        empty=0.0,
        distracted=0.0,
        thinned=0.0,
        shuffled=0.0,
        report_findings=0.0,
        report_findings_short=0.0,
        no_indication=0.0,
        ask=1.0,
        classify=1.0,
        caption=1.0,
    )
    drawer = _Drawer(studies, plain, count_tokens)
    for place, study in enumerate(studies):
        draw = random.Random(f"{options.seed}:val:{study.case.study_id}")
        yield from drawer.examples(study, first_canvas + place, draw)


KEPT_WHEN_THINNED = 0.3
"""Share of the hits."""


class _Drawer:
    """Draws examples of a study; any hit of any study may distract."""

    def __init__(
        self, studies: Sequence[TrainingStudy], options: ExampleOptions, count_tokens: CountTokens
    ) -> None:
        self._options = options
        self._count_tokens = count_tokens
        self._others = [hit for study in studies for hit in study.retrieval.hits[-2:]]

    def examples(self, study: TrainingStudy, canvas: int, draw: random.Random) -> Iterator[Example]:
        options, case = self._options, study.case

        def example(task: str, prompt: str, answer: str) -> Iterator[Example]:
            if answer:
                yield Example(
                    task=task,
                    study_id=case.study_id,
                    prompt=prompt,
                    answer=answer,
                    canvas=canvas,
                )

        context = self._context(study, REPORT_CONTEXT, draw, options.report_findings)
        if case.findings:  # without them a report would be taught to have none
            answer = report_answer(case, context, study.retrieval)
            yield from example("report", report_prompt(context).text, answer)
        if draw.random() < options.ask:
            context = self._context(study, SHORT_CONTEXT, draw, options.report_findings_short)
            found = draw_question(case, context, draw)
            if found is not None:
                yield from example("ask", ask_prompt(context, found[0]).text, found[1])
        if draw.random() < options.classify:
            context = self._context(study, SHORT_CONTEXT, draw, options.report_findings_short)
            name = _observation(study, draw)
            (prompt,) = classify_prompts(context, [name])
            yield from example("classify", prompt.text, YES if _shows(study, name) else NO)
        if draw.random() < options.caption:
            context = self._context(study, SHORT_CONTEXT, draw, options.report_findings)
            answer = caption_answer(case, context, study.retrieval)
            yield from example("caption", caption_prompt(context).text, answer)

    def _context(
        self,
        study: TrainingStudy,
        shown: ContextOptions,
        draw: random.Random,
        report_findings: float,
    ) -> Context:
        options = self._options
        seen = study.retrieval.image_findings
        if seen is not None and draw.random() < report_findings:
            seen = tuple(name for name in FINDINGS if name in named(study.case.labels))
        candidates = list(study.retrieval.hits)
        if candidates and draw.random() < options.thinned:
            candidates = [
                hit for hit in candidates if draw.random() < KEPT_WHEN_THINNED
            ] or candidates[:1]
        shown = shown.of(study.retrieval.strategy)
        hits = select_hits(candidates, targets(study.retrieval, seen or ()), shown)
        if draw.random() < options.empty:
            hits = []
        elif hits and draw.random() < options.distracted:
            hits = self._distracted(hits, study, draw)
        if draw.random() < options.shuffled:
            draw.shuffle(hits)
        unsaid = draw.random() < options.no_indication
        return write_context(
            hits,
            seen,
            count_tokens=self._count_tokens,
            indication="" if unsaid else study.case.indication,
            max_tokens=shown.max_tokens,
        )

    def _distracted(self, hits: list[Hit], study: TrainingStudy, draw: random.Random) -> list[Hit]:
        own = {study.case.study_id, *(hit.case.study_id for hit in hits)}
        changed = list(hits)
        for place in draw.sample(range(len(hits)), min(len(hits), draw.randint(1, 3))):
            outlier = draw.choice(self._others)
            if outlier.case.study_id not in own and not of_one(outlier.case, study.case):
                changed[place] = outlier
                own.add(outlier.case.study_id)
        return changed


def of_one(case: Case, own: Case) -> bool:
    """Whether a case is of the same patient, or says word for word the same."""
    same_patient = own.patient_id is not None and case.patient_id == own.patient_id
    return same_patient or normalise_report(case.report) == normalise_report(own.report)


def _observation(study: TrainingStudy, draw: random.Random) -> str:
    """One to ask for: half of the time one that is there, where any is."""
    there = [name for name in OBSERVATIONS if _shows(study, name)]
    if there and draw.random() < 0.5:
        return draw.choice(there)
    return draw.choice([name for name in OBSERVATIONS if name not in there])


def _shows(study: TrainingStudy, name: str) -> bool:
    if name == NO_FINDING:
        return study.case.labels.get(name) == "positive"
    return name in named(study.case.labels)
