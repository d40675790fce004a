"""Turn a grounded report into the generation that is stored and printed.

generation = to_generation(report, retrieval, request, created_at=now, created_by="ward",
                           origin=origin_of(encoder.spec))

The raw output of a language model is not kept: it may contain a sentence of a case that is removed
later. Each statement records its removed citations.
"""

import importlib.metadata
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID, uuid4

from db.app.generation import Citation, Generation, GenerationHit, IndexReference, Origin
from generator.assessment.situation import study_warnings, technical
from generator.grounding.report import GroundedReport
from generator.localization.regions import find_regions
from generator.prior.check import without_unfounded
from generator.request import GenerationRequest
from indexer.encoder.spec import EncoderSpec
from retriever.results import Hit, Retrieval


def origin_of(encoder: EncoderSpec) -> Origin:
    """This program and the encoder, without a language model."""
    return Origin(
        program=importlib.metadata.version("grounded-cxr"),
        encoder=encoder.name,
        encoder_sha256=encoder.weights_sha256,
    )


def to_generation(
    report: GroundedReport,
    retrieval: Retrieval,
    request: GenerationRequest,
    *,
    created_at: datetime,
    created_by: str,
    origin: Origin,
    generation_id: UUID | None = None,
) -> Generation:
    """A report and the search behind it; only citations that hold are kept.

    ``created_at`` is aware; ``generation_id`` is a new one where none is given. The model of
    ``origin`` is kept only if it could write.
    """
    report = without_unfounded(without_unsupported(report))
    if report.instead_of_model:
        origin = Origin(
            program=origin.program, encoder=origin.encoder, encoder_sha256=origin.encoder_sha256
        )
    assessment = None if report.assessment is None else report.assessment.with_cases(report.hits)
    notes, technical_notes = technical(tuple(dict.fromkeys((*retrieval.notes, *report.notes))))
    return Generation(
        id=generation_id or uuid4(),
        created_at=created_at,
        created_by=created_by,
        task=request.task,
        question=request.question,
        indication=request.indication,
        warnings=tuple(dict.fromkeys((*study_warnings(retrieval), *report.warnings))),
        text=report.text,
        generator=report.generator,
        origin=origin,
        index=IndexReference(fingerprint=report.index_fingerprint, source=retrieval.source),
        images_sha256=retrieval.images_sha256,
        options={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in {
                **asdict(request.options),
                "strategy": retrieval.strategy,
            }.items()
            if name != "text_weight"  # no words are searched with
        }
        | {"sensitivity": request.sensitivity},
        notes=notes,
        technical_notes=technical_notes,
        label_scores=report.label_scores,
        ood=retrieval.ood,
        statements=report.statements,
        observations=None if assessment is None else assessment.observations,
        calibrated_on=None if assessment is None else assessment.calibrated_on,
        regions=find_regions(retrieval.views),
        prior=report.prior,
        hits=tuple(
            GenerationHit(
                number=hit.rank,
                source=hit.case.source,
                study_id=hit.case.study_id,
                score=hit.score,
            )
            for hit in report.hits
        ),
        excluded_cases=retrieval.excluded_cases,
    )


def without_unsupported(report: GroundedReport) -> GroundedReport:
    """The report without citations whose number is no hit or whose quote is not in its case.

    A sentence that loses its last citation rests on the image alone; a note says how many were
    removed. Whatever the generator, no stored citation points to something that is not there.
    """
    hits = {hit.rank: hit for hit in report.hits}
    removed = 0
    statements = []
    for statement in report.statements:
        kept = tuple(c for c in statement.citations if _holds(c, hits.get(c.number)))
        removed += len(statement.citations) - len(kept)
        statements.append(replace(statement, citations=kept))
    if removed == 0:
        return report
    note = f"{removed} citations were removed: the cited report does not say what they quote"
    return replace(report, statements=tuple(statements), notes=(*report.notes, note))


def _holds(citation: Citation, hit: Hit | None) -> bool:
    if hit is None or (hit.case.source, hit.case.study_id) != (citation.source, citation.study_id):
        return False
    said = [sentence.text for sentence in hit.case.sentences]
    return citation.quote in said or citation.quote in hit.case.report
