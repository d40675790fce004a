"""Export a generation as FHIR, PDF or DICOM SR."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from anyio.to_thread import run_sync
from litestar import Controller, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, FromPath, QueryParameter
from litestar.status_codes import HTTP_200_OK

from api.export.dicom_sr import to_dicom_sr
from api.export.fhir import Release, diagnostic_report, subject_of
from api.export.pdf import to_pdf
from api.export.study_header import StudyHeader
from api.middleware.access import READ, Caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.problems import GUARDED, problems
from api.pipeline.pipeline import Pipeline
from api.schemas.forms import ImageForm
from api.settings import Settings
from api.uploads import read_form, read_uploads
from db.app.database import AppDatabase
from db.app.generation import Generation
from db.errors import MismatchError
from indexer.images.radiograph import Radiograph

FHIR, PDF, DICOM = "application/fhir+json", "application/pdf", "application/dicom"


class ExportForm(msgspec.Struct, kw_only=True):
    """The images that a report was made from."""

    images: list[UploadFile]


class SubjectForm(msgspec.Struct, kw_only=True):
    """Whose report it is."""

    subject: Annotated[
        str,
        msgspec.Meta(
            max_length=600,
            description="A FHIR reference, relative or absolute.",
            examples=["Patient/123"],
        ),
    ]
    release: Annotated[Release, msgspec.Meta(description="Of FHIR.")] = "R5"


def _file(media_type: str, description: str) -> ResponseSpec:
    return ResponseSpec(
        bytes, media_type=media_type, description=description, generate_examples=False
    )


@dataclass(frozen=True, kw_only=True)
class Exports:
    """Exports what the caller may read, and enters it into the audit log."""

    database: AppDatabase
    audit: AuditQueue
    caller: Caller

    async def require(self, generation_id: UUID) -> None:
        """Raise NotFoundError for a generation that the caller does not see, before any work."""
        owner = self.caller.owner
        await run_sync(partial(self.database.generations.get, generation_id, owner=owner))

    async def write(
        self,
        generation_id: UUID,
        write: Callable[[Generation], bytes],
        media_type: str,
        images: tuple[Radiograph, ...] = (),
    ) -> Response[bytes]:
        """Return a stored generation as a file.

        Raises NotFoundError for one that the caller does not see, MismatchError for an image that
        it was not made from.
        """
        digests = [image.sha256 for image in images]

        def export() -> bytes:
            made = self.database.generations.get(generation_id, owner=self.caller.owner)
            if not set(digests) <= set(made.images_sha256):
                raise MismatchError(
                    "this is not an image that the report was made from: send that one"
                )
            return write(made)

        file = await run_sync(export)
        self.audit.add(
            "generation exported",
            self.caller.name,
            generation=str(generation_id),
            media_type=media_type,
            images_sha256=digests,
        )
        return Response(file, media_type=media_type)


def the_exports(
    database: NamedDependency[AppDatabase],
    audit: NamedDependency[AuditQueue],
    caller: NamedDependency[Caller],
) -> Exports:
    return Exports(database=database, audit=audit, caller=caller)


class ExportController(Controller):
    path = "/generations/{generation_id:uuid}"
    tags = ("exports",)
    opt = READ
    dependencies = {"exports": Provide(the_exports, sync_to_thread=False)}  # noqa: RUF012

    @get(
        "/fhir",
        operation_id="exportFhir",
        summary="A report as FHIR DiagnosticReport",
        media_type=FHIR,
        responses={
            200: ResponseSpec(
                dict[str, Any], media_type=FHIR, description="FHIR", generate_examples=False
            ),
            **problems(400, 404, *GUARDED),
        },
    )
    async def fhir(
        self,
        generation_id: FromPath[UUID],
        exports: NamedDependency[Exports],
        release: Annotated[Release, QueryParameter(description="Of FHIR.")] = "R5",
    ) -> Response[bytes]:
        """Return a preliminary report of an unnamed patient, with the PDF as its presented form."""
        return await exports.write(generation_id, partial(_to_fhir, release=release), FHIR)

    @post(
        "/fhir",
        operation_id="exportFhirOfPatient",
        summary="A report as FHIR DiagnosticReport of a patient",
        status_code=HTTP_200_OK,
        media_type=FHIR,
        before_request=read_form,
        responses={
            200: ResponseSpec(
                dict[str, Any], media_type=FHIR, description="FHIR", generate_examples=False
            ),
            **problems(400, 404, 408, 413, 422, 503, *GUARDED),
        },
    )
    async def fhir_of_patient(
        self,
        generation_id: FromPath[UUID],
        data: Annotated[SubjectForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        exports: NamedDependency[Exports],
    ) -> Response[bytes]:
        """Send the reference of the patient: it becomes the subject and is not stored."""
        write = partial(_to_fhir, release=data.release, subject=subject_of(data.subject))
        return await exports.write(generation_id, write, FHIR)

    @get(
        "/pdf",
        operation_id="exportPdf",
        summary="A report as PDF",
        media_type=PDF,
        responses={200: _file(PDF, "PDF"), **problems(400, 404, *GUARDED)},
    )
    async def pdf(
        self,
        generation_id: FromPath[UUID],
        exports: NamedDependency[Exports],
    ) -> Response[bytes]:
        """Print the sentences and cited cases; the images are not stored and not shown."""
        return await exports.write(generation_id, to_pdf, PDF)

    @post(
        "/pdf",
        operation_id="exportPdfWithImages",
        summary="A report as PDF with its images",
        status_code=HTTP_200_OK,
        media_type=PDF,
        before_request=read_form,
        responses={
            200: _file(PDF, "PDF"),
            **problems(400, 404, 408, 409, 413, 422, 503, *GUARDED),
        },
    )
    async def pdf_with_images(
        self,
        generation_id: FromPath[UUID],
        data: Annotated[ExportForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        exports: NamedDependency[Exports],
        pipeline: NamedDependency[Pipeline],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Show the images too: send those that the report was made from; others are refused."""
        await exports.require(generation_id)
        uploads = read_uploads(data.images, limit=settings.max_images)
        with pipeline.enter(caller):
            images = await pipeline.images.read(uploads, caller)
            write = partial(to_pdf, images=images)
            return await exports.write(generation_id, write, PDF, images)

    @get(
        "/dicom-sr",
        operation_id="exportDicomSr",
        summary="A report as DICOM Basic Text SR",
        media_type=DICOM,
        responses={200: _file(DICOM, "DICOM"), **problems(400, 404, *GUARDED)},
    )
    async def dicom_sr(
        self,
        generation_id: FromPath[UUID],
        exports: NamedDependency[Exports],
    ) -> Response[bytes]:
        """Return the report in a study of its own, without a patient."""
        return await exports.write(generation_id, to_dicom_sr, DICOM)

    @post(
        "/dicom-sr",
        operation_id="exportDicomSrInStudy",
        summary="A report as DICOM Basic Text SR in the study of its image",
        status_code=HTTP_200_OK,
        media_type=DICOM,
        before_request=read_form,
        responses={
            200: _file(DICOM, "DICOM"),
            **problems(400, 404, 408, 409, 413, 422, 503, *GUARDED),
        },
    )
    async def dicom_sr_in_study(
        self,
        generation_id: FromPath[UUID],
        data: Annotated[ImageForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        exports: NamedDependency[Exports],
        pipeline: NamedDependency[Pipeline],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Send a DICOM image that the report was made from: patient and study are copied from its
        header into the answer and not stored."""
        await exports.require(generation_id)
        (upload,) = read_uploads([data.image], limit=1)
        with pipeline.enter(caller):
            images = await pipeline.images.read([upload], caller)
            study = StudyHeader.of(await pipeline.images.study_attributes(upload, caller))
            write = partial(to_dicom_sr, study=study)
            return await exports.write(generation_id, write, DICOM, images)


def _to_fhir(made: Generation, *, release: Release, subject: str | None = None) -> bytes:
    report = diagnostic_report(made, release, pdf=to_pdf(made), subject=subject)
    return msgspec.json.encode(report)
