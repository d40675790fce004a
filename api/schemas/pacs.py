"""Wire types of the PACS: what to search for, fetch and send back."""

from typing import Annotated
from uuid import UUID

import msgspec

from api.pacs.studies import MODALITIES, StudyQuery
from api.schemas.fields import (
    AcceptAsChestField,
    HitCountField,
    Id,
    IndicationField,
    SensitivityField,
)
from db.app.generation import NOTICE
from generator.request import GenerationRequest
from retriever.options import SearchOptions

_StudyUid = Annotated[
    str, msgspec.Meta(max_length=64, description="StudyInstanceUID.", examples=["1.2.840.99.1"])
]


class PacsSearch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which studies to list."""

    date: Annotated[
        str,
        msgspec.Meta(
            max_length=17,
            description="A day, or days of which one end may be left out.",
            examples=["20260101-20260131"],
        ),
    ] = ""
    modalities: Annotated[list[str], msgspec.Meta(min_length=1, max_length=8)] = msgspec.field(
        default_factory=lambda: list(MODALITIES)
    )
    patient_id: Annotated[str, msgspec.Meta(max_length=64)] = ""

    def query(self) -> StudyQuery:
        """Raises UserError for a value that cannot be searched for."""
        return StudyQuery(
            date=self.date,
            modalities=tuple(dict.fromkeys(self.modalities)),
            patient_id=self.patient_id,
        )


class PacsReport(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The study to report on, and how to search with it."""

    study: _StudyUid
    indication: IndicationField = ""
    sensitivity: SensitivityField = "balanced"
    k: HitCountField = 10
    exclude_patient: list[Id] = msgspec.field(default_factory=list)
    exclude_study: list[Id] = msgspec.field(default_factory=list)
    accept_as_chest: AcceptAsChestField = False

    def request(self) -> GenerationRequest:
        """Raises UserError for a value out of range."""
        options = SearchOptions(
            k=self.k,
            exclude_patient_ids=tuple(self.exclude_patient),
            exclude_study_ids=tuple(self.exclude_study),
            accept_as_chest=self.accept_as_chest,
        )
        return GenerationRequest(
            task="report",
            options=options,
            indication=self.indication,
            sensitivity=self.sensitivity,
        )


class SendBack(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which report to store in which study of the PACS."""

    generation: UUID
    study: _StudyUid
    target: Annotated[
        str,
        msgspec.Meta(
            max_length=2_000,
            description="The address of the PACS, as a search names it: nothing is sent elsewhere.",
        ),
    ]


class SentBack(msgspec.Struct, kw_only=True):
    """A preliminary, unverified DICOM SR that the PACS confirmed."""

    target: str
    study: str
    instance: str
    """Its SOPInstanceUID."""
    notice: str = NOTICE
