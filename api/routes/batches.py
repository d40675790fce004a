"""POST /batches: many studies as one job that survives a restart."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import ClientException
from litestar.params import Body, FromPath
from litestar.status_codes import HTTP_202_ACCEPTED

from api.middleware.access import GENERATE, READ, Caller
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems
from api.pipeline.jobs import JobRunner
from api.pipeline.pipeline import Pipeline
from api.routes.generations import check_owner
from api.schemas.fields import MAX_INDICATION, SensitivityField
from api.schemas.forms import StudyForm
from api.schemas.jobs import BatchDocument
from api.settings import Settings
from api.uploads import Upload, read_form, read_uploads
from db.app.database import AppDatabase
from db.app.jobs.study import JobStudy
from db.errors import TooLargeError, UserError
from generator.request import GenerationRequest

MAX_PARTS = 6_000
"""2,000 images, the study of each, 1,000 indications, and the options."""


_Name = Annotated[str, msgspec.Meta(max_length=256)]


_Indication = Annotated[str, msgspec.Meta(max_length=MAX_INDICATION)]


class BatchForm(StudyForm, kw_only=True):
    """The images of many studies, and how to search with each."""

    study: Annotated[
        list[_Name],
        msgspec.Meta(
            description="The study of each image, in the order of the images; images with the same "
            "name are views of one study. Without it every image is its own study. The names are "
            "not stored."
        ),
    ] = msgspec.field(default_factory=list)
    indication: Annotated[
        list[_Indication],
        msgspec.Meta(
            description="Why the images were taken: once for all studies, or once per study, in "
            "the order in which the studies are first named. It is stored."
        ),
    ] = msgspec.field(default_factory=list)
    sensitivity: SensitivityField = "balanced"

    def requests(self, studies: int) -> list[GenerationRequest]:
        """One for each study. Raises UserError for a value out of range, or for indications that
        are neither one nor as many as the studies."""
        given = self.indication or [""]
        if len(given) not in (1, studies):
            raise UserError(
                f"{studies} studies and {len(given)} fields 'indication' were sent: send one for "
                "all studies, or one for each"
            )
        one_each = given * studies if len(given) == 1 else given
        options = self.options()
        return [
            GenerationRequest(options=options, indication=text, sensitivity=self.sensitivity)
            for text in one_each
        ]


class BatchController(Controller):
    path = "/batches"
    tags = ("batches",)

    @post(
        operation_id="createBatch",
        summary="Write reports for many studies",
        opt=GENERATE,
        status_code=HTTP_202_ACCEPTED,
        before_request=read_form,
        responses=problems(400, 408, 409, 413, 422, 503, *GUARDED),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[
            BatchForm,
            Body(media_type=RequestEncodingType.MULTI_PART, multipart_form_part_limit=MAX_PARTS),
        ],
        pipeline: NamedDependency[Pipeline],
        runner: NamedDependency[JobRunner],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[BatchDocument]:
        """Read all images, then answer; one unreadable image refuses the whole batch.

        A batch has at most 1,000 studies and 2,000 images. They are read and stored one study after
        another, and kept, without their headers, until each report is stored.
        """
        options = data.options()
        await pipeline.check_exclusions(options)
        uploads = read_uploads(
            data.images,
            limit=settings.max_batch_images,
            accept_as_chest=options.accept_as_chest,
        )
        studies = _studies(uploads, data.study, limit=settings.max_images)
        if len(studies) > settings.max_batch_studies:
            raise TooLargeError(
                f"{len(studies)} studies were sent, one batch may have "
                f"{settings.max_batch_studies:,}: send several batches"
            )
        requests = data.requests(len(studies))
        await runner.check_capacity(len(studies))

        async def receive() -> list[JobStudy]:
            async with runner.receive(caller) as job:
                for study, wanted in zip(studies, requests, strict=True):
                    await job.add(await pipeline.images.encode(study, caller), wanted)
            return job.studies

        with pipeline.enter(caller):
            accepted = await while_connected(request, receive)
        batch = BatchDocument.of(accepted)
        return Response(batch, headers={"Location": f"/batches/{batch.id}"})

    @get(
        "/{batch_id:uuid}",
        operation_id="getBatch",
        summary="Read the progress of a batch",
        opt=READ,
        responses=problems(400, 404, *GUARDED),
    )
    async def read(
        self,
        batch_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        caller: NamedDependency[Caller],
    ) -> BatchDocument:
        """List the studies of the batch in the order in which they were sent."""
        job = partial(database.jobs.job, batch_id, owner=caller.owner)
        return BatchDocument.of(await run_sync(job))

    @delete(
        "/{batch_id:uuid}",
        operation_id="cancelBatch",
        summary="Cancel what is left of a batch",
        opt=GENERATE,
        responses=problems(400, 404, *GUARDED),
    )
    async def cancel(
        self,
        batch_id: FromPath[UUID],
        database: NamedDependency[AppDatabase],
        runner: NamedDependency[JobRunner],
        caller: NamedDependency[Caller],
    ) -> None:
        """Cancel the unfinished studies; reports that are already stored stay."""
        studies = await run_sync(partial(database.jobs.job, batch_id, owner=caller.owner))
        check_owner(studies[0].created_by, caller)
        for study in studies:
            await runner.cancel(study.generation_id, caller)


def _studies(
    uploads: Sequence[Upload], names: Sequence[str], *, limit: int
) -> list[tuple[Upload, ...]]:
    """Group the uploads by study, in the order in which the studies are first named."""
    if not names:
        return [(upload,) for upload in uploads]
    if len(names) != len(uploads):
        raise ClientException(
            f"{len(uploads)} images and {len(names)} fields 'study' were sent: name the study of "
            "every image, or of none"
        )
    found: dict[str, list[Upload]] = {}
    for name, upload in zip(names, uploads, strict=True):
        found.setdefault(name, []).append(upload)
    largest = max(len(views) for views in found.values())
    if largest > limit:
        raise TooLargeError(
            f"a study of {largest} images was sent, one study may have {limit}: send its views only"
        )
    return [tuple(views) for views in found.values()]
