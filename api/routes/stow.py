"""POST /studies: receive images from an imaging system (STOW-RS, DICOM PS3.18 section 10.5).

Each study becomes a pending report; its images are kept, without their headers, until the report is
stored. The answer follows the standard: for each instance, a retrieve URL (that of the report) or
the reason for its refusal. The identifiers in the answer come from the request and are not stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from api.middleware.access import GENERATE, Caller
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems
from api.pipeline.jobs import JobRunner, ReceivedJob
from api.pipeline.pipeline import Pipeline
from api.pipeline.scheduler import BusyError
from api.settings import Settings
from api.uploads import Upload, check_place, read_related
from db.errors import UserError
from generator.request import GenerationRequest
from indexer.images.dicom import Identifiers
from indexer.images.radiograph import PngRadiograph, TwoPatientsError
from retriever.options import SearchOptions

DICOM_JSON = "application/dicom+json"
CANNOT_UNDERSTAND = 0xC000
"""Failure reason of PS3.18 table I.2-2: an instance that cannot be read as one radiograph."""
MISMATCH = 0xA900
"""Data set does not match: instances of two patients under one study UID."""
TOO_MANY = 0xA700
"""Out of resources: more instances of one study than the service takes."""

_STORE = ResponseSpec(
    dict[str, Any], media_type=DICOM_JSON, description="DICOM JSON", generate_examples=False
)


@dataclass(kw_only=True, eq=False)
class Instance:
    """One part of the request."""

    upload: Upload
    identifiers: Identifiers = field(default_factory=Identifiers)
    failure: int | None = None
    generation_id: UUID | None = None


class StowController(Controller):
    path = "/studies"
    tags = ("studies",)

    @post(
        operation_id="storeInstances",
        summary="Send DICOM images for reports (STOW-RS)",
        opt=GENERATE,
        status_code=200,
        media_type=DICOM_JSON,
        before_request=check_place,
        responses={
            200: _STORE,
            202: ResponseSpec(
                dict[str, Any],
                media_type=DICOM_JSON,
                description="Some instances were refused.",
                generate_examples=False,
            ),
            **problems(400, 408, 413, 415, 422, 503, *GUARDED),
            409: ResponseSpec(
                dict[str, Any],
                media_type=DICOM_JSON,
                description="All instances were refused.",
                generate_examples=False,
            ),
        },
    )
    async def store(
        self,
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
        runner: NamedDependency[JobRunner],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        """Accept a `multipart/related; type="application/dicom"` body, one instance per part."""
        boundary = _boundary(request.headers.get("content-type", ""))
        files = await read_related(request, boundary, most=settings.max_batch_images)
        instances = [Instance(upload=Upload(name="the instance", file=file)) for file in files]
        await runner.check_capacity(1)

        async def receive() -> None:
            for instance in instances:
                await _identify(instance, pipeline, caller)
            async with runner.receive(caller) as job:
                for study in _studies(instances):
                    await _keep(study, job, pipeline, caller, limit=settings.max_images)

        with pipeline.enter(caller):
            await while_connected(request, receive)
        taken = sum(one.failure is None for one in instances)
        status = 200 if taken == len(instances) else 202 if taken else 409
        answer = _answer(instances, settings.root_path)
        return Response(msgspec.json.encode(answer), status_code=status, media_type=DICOM_JSON)


def _boundary(content_type: str) -> str:
    """Return the boundary of a ``multipart/related`` body (RFC 2387) of DICOM instances.

    Raises a 415 for another content type and a 400 if there is none.
    """
    header = Message()
    header["Content-Type"] = content_type
    kind = header.get_param("type")
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/related" or kind != "application/dicom":
        raise HTTPException(
            status_code=415, detail='send multipart/related with type="application/dicom"'
        )
    if not boundary:
        raise HTTPException(status_code=400, detail="the Content-Type names no boundary")
    return boundary


async def _identify(instance: Instance, pipeline: Pipeline, caller: Caller) -> None:
    """Read the UIDs, which are empty if the part is not a DICOM file."""
    try:
        instance.identifiers = await pipeline.images.identify(instance.upload, caller)
    except BusyError:
        raise
    except UserError:
        instance.failure = CANNOT_UNDERSTAND


def _studies(instances: Sequence[Instance]) -> list[list[Instance]]:
    """Group the readable instances by study; one without a study UID is its own study."""
    found: dict[str, list[Instance]] = {}
    for place, instance in enumerate(instances):
        if instance.failure is None:
            found.setdefault(instance.identifiers.study or f"instance {place}", []).append(instance)
    return list(found.values())


async def _keep(
    study: Sequence[Instance], job: ReceivedJob, pipeline: Pipeline, caller: Caller, *, limit: int
) -> None:
    """Store the images of one study; refuse all if they are of two patients."""
    kept: list[Instance] = []
    images: list[PngRadiograph] = []
    for instance in study:
        if len(images) == limit:
            instance.failure = TOO_MANY
            continue
        try:
            images += await pipeline.images.encode([instance.upload], caller)
            kept.append(instance)
        except BusyError:
            raise
        except UserError:
            instance.failure = CANNOT_UNDERSTAND
    if not images:
        return
    try:
        stored = await job.add(images, GenerationRequest(options=SearchOptions(k=10)))
    except TwoPatientsError:
        for one in kept:
            one.failure = MISMATCH
    else:
        for one in kept:
            one.generation_id = stored.generation_id


def _answer(instances: Sequence[Instance], root_path: str) -> dict[str, Any]:
    """Build the store instances response (PS3.18 table I.2-1); PS3.5 allows relative URLs."""
    stored, failed = [], []
    for one in instances:
        item: dict[str, Any] = {
            "00081150": {"vr": "UI", "Value": _value(one.identifiers.sop_class)},
            "00081155": {"vr": "UI", "Value": _value(one.identifiers.instance)},
        }
        if one.failure is None:
            url = f"{root_path}/generations/{one.generation_id}"
            stored.append({**item, "00081190": {"vr": "UR", "Value": [url]}})
        else:
            failed.append({**item, "00081197": {"vr": "US", "Value": [one.failure]}})
    answer: dict[str, Any] = {}
    if stored:
        answer["00081199"] = {"vr": "SQ", "Value": stored}
    if failed:
        answer["00081198"] = {"vr": "SQ", "Value": failed}
    return answer


def _value(uid: str) -> list[str]:
    return [uid] if uid else []
