"""Invented studies to train on, each with the cases that a search found for it."""

from collections.abc import Mapping, Sequence

from db.index.store import Case
from finetune.examples.folder import encode_canvas
from finetune.examples.studies import TrainingStudy
from tests.support.cases import a_case, a_retrieval
from tests.support.models.mllama_models import drawn_canvas


def a_training_study(
    number: int,
    findings: str,
    hits: Sequence[str | Case],
    *,
    impression: str = "",
    scores: Mapping[str, float] | None = None,
    patient_id: str | None = None,
    indication: str = "",
) -> TrainingStudy:
    """``scores`` are label scores of the image; a hit is a case, or the findings of one."""
    case = a_case(number, findings, impression, patient_id=patient_id, indication=indication)
    cases = [
        hit if isinstance(hit, Case) else a_case(100 * number + place, hit)
        for place, hit in enumerate(hits, start=1)
    ]
    return TrainingStudy(
        case=case,
        retrieval=a_retrieval(cases, scores or {}),
        canvas=encode_canvas(drawn_canvas(1, number)),
    )
