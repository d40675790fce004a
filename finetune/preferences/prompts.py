"""The prompts whose answers are compared: a study with its own cases, and with those of another.

for one in prompts_of(studies, options, count_tokens=model.count_tokens):
    one.prompt, one.check, one.foreign

A context of a study's own cases is the one that is served. In an exchanged one the cases were
retrieved for another image and name a finding that this study has not: an answer that names it too
has copied its context instead of following its image.
"""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from PIL import Image

from db.labels import named
from finetune.examples.draw import of_one
from finetune.examples.studies import TrainingStudy
from finetune.preferences.options import PairOptions
from generator.context.build import Context, build_context
from generator.context.shown_case import CountTokens
from generator.grounding.citations import CitationCheck
from generator.prompts import Prompt, report_prompt
from retriever.results import Retrieval

Kind = Literal["reward", "over-reliance"]

_TRIED = 50
"""Other studies at most whose cases are looked at for an exchange."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AskedStudy:
    """A prompt for a report, and what its answers are judged by."""

    kind: Kind
    study: TrainingStudy
    retrieval: Retrieval
    """With the hits that the context was made of."""
    context: Context
    foreign: frozenset[str] = frozenset()
    """Findings of the shown cases that neither the report names nor the encoder sees."""

    @cached_property
    def prompt(self) -> Prompt:
        image = Image.open(io.BytesIO(self.study.canvas)).convert("RGB")
        return report_prompt(self.context, image)

    @cached_property
    def check(self) -> CitationCheck:
        return CitationCheck(self.context, self.retrieval)


def prompts_of(
    studies: Sequence[TrainingStudy], options: PairOptions, *, count_tokens: CountTokens
) -> Iterator[AskedStudy]:
    """Seeded by study; studies without findings in their report are left out."""
    written = [study for study in studies if study.case.findings]
    for study in written:
        draw = random.Random(f"{options.seed}:pairs:{study.case.study_id}")
        unsaid = draw.random() < options.no_indication
        indication = "" if unsaid else study.case.indication
        yield AskedStudy(
            kind="reward",
            study=study,
            retrieval=study.retrieval,
            context=build_context(
                study.retrieval, count_tokens=count_tokens, indication=indication
            ),
        )
        if draw.random() < options.exchanged:
            others = draw.sample(written, min(_TRIED, len(written)))
            yield from _exchanged(study, others, indication, count_tokens)


def _exchanged(
    study: TrainingStudy,
    others: Sequence[TrainingStudy],
    indication: str,
    count_tokens: CountTokens,
) -> Iterator[AskedStudy]:
    """The study with the cases of the first other one that bring a foreign finding."""
    own = named(study.case.labels) | set(study.retrieval.image_findings or ())
    for other in others:
        if of_one(other.case, study.case):
            continue
        retrieval = _with_hits_of(study, other)
        context = build_context(retrieval, count_tokens=count_tokens, indication=indication)
        shown = frozenset[str]().union(*(named(hit.case.labels) for hit in context.hits))
        if shown - own:
            yield AskedStudy(
                kind="over-reliance",
                study=study,
                retrieval=retrieval,
                context=context,
                foreign=shown - own,
            )
            return


def _with_hits_of(study: TrainingStudy, other: TrainingStudy) -> Retrieval:
    """A search for one image that found the cases of another; none is the study's own."""
    hits = [hit for hit in other.retrieval.hits if not of_one(hit.case, study.case)]
    return replace(
        study.retrieval,
        hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)),
        wanted_findings=other.retrieval.wanted_findings,
    )
