"""POST /studies: receive images from an imaging system (STOW-RS, DICOM PS3.18 section 10.5).

Each study becomes a pending report; its images are kept, without their headers, until the report is
stored. The answer follows the standard: for each instance, a retrieve URL (that of the report) or
the reason for its refusal. The identifiers in the answer come from the request and are not stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any
from uuid import UUID

import msgspec
import pydicom
from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from pydicom.filebase import DicomBytesIO

from api.middleware.access import GENERATE, Caller
from api.middleware.problems import GUARDED, problems
from api.pipeline.jobs import JobRunner
from api.pipeline.pipeline import Pipeline
from api.settings import Settings
from api.uploads import Upload, read_body
from db.errors import UserError
from generator.request import GenerationRequest
from indexer.images.radiograph import Radiograph, TwoPatientsError, as_one_study, quiet_decoders
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

    data: bytes
    study_uid: str = ""
    class_uid: str = ""
    instance_uid: str = ""
    image: Radiograph | None = None
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
        before_request=read_body,
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
        content_type = request.headers.get("content-type", "")
        parts = split_related(await request.body(), content_type)
        instances = await run_sync(lambda: [_identify(part) for part in parts])
        with pipeline.enter(caller):
            for instance in instances:
                await _read(instance, pipeline, caller)
            studies = [
                study
                for study in _studies(instances, limit=settings.max_images)
                if _is_of_one_patient(study)
            ]
            if studies:
                images = [tuple(_image(one) for one in study) for study in studies]
                wanted = GenerationRequest(options=SearchOptions(k=10))
                accepted = await runner.accept(images, [wanted] * len(images), caller)
                for study, job in zip(studies, accepted, strict=True):
                    for one in study:
                        one.generation_id = job.generation_id
        taken = sum(one.failure is None for one in instances)
        status = 200 if taken == len(instances) else 202 if taken else 409
        answer = _answer(instances)
        return Response(msgspec.json.encode(answer), status_code=status, media_type=DICOM_JSON)


def split_related(body: bytes, content_type: str) -> list[bytes]:
    """Split a ``multipart/related`` body (RFC 2387) of DICOM instances into its parts.

    Raises a 415 for another content type and a 400 for a body without parts.
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
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    parts = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        _, gap, data = piece.partition(b"\r\n\r\n")
        if gap:
            parts.append(data)
    if not parts:
        raise HTTPException(
            status_code=400, detail="the body has no parts, or is cut short: send it again"
        )
    return parts


def _identify(data: bytes) -> Instance:
    """Read the UIDs that identify an instance; empty if the part is not a DICOM file."""
    instance = Instance(data=data)
    try:
        with quiet_decoders():
            header = pydicom.dcmread(DicomBytesIO(data), stop_before_pixels=True)
            instance.study_uid = str(header.get("StudyInstanceUID") or "")
            instance.class_uid = str(header.get("SOPClassUID") or "")
            instance.instance_uid = str(header.get("SOPInstanceUID") or "")
    except Exception:  # pydicom raises many types, with messages that quote the header
        instance.failure = CANNOT_UNDERSTAND
    return instance


async def _read(instance: Instance, pipeline: Pipeline, caller: Caller) -> None:
    if instance.failure is not None:
        return
    try:
        upload = Upload(name="the instance", data=instance.data)
        (instance.image,) = await pipeline.read([upload], caller)
    except UserError:
        instance.failure = CANNOT_UNDERSTAND


def _studies(instances: Sequence[Instance], *, limit: int) -> list[list[Instance]]:
    """Group the readable instances by study; one without a study UID is its own study."""
    found: dict[str, list[Instance]] = {}
    for place, instance in enumerate(instances):
        if instance.failure is not None:
            continue
        study = found.setdefault(instance.study_uid or f"instance {place}", [])
        if len(study) < limit:
            study.append(instance)
        else:
            instance.failure = TOO_MANY
    return list(found.values())


def _is_of_one_patient(study: Sequence[Instance]) -> bool:
    """Refuse all instances of a study if they are of two patients."""
    try:
        as_one_study([_image(one) for one in study])
    except TwoPatientsError:
        for one in study:
            one.failure = MISMATCH
        return False
    return True


def _image(instance: Instance) -> Radiograph:
    assert instance.image is not None
    return instance.image


def _answer(instances: Sequence[Instance]) -> dict[str, Any]:
    """Build the store instances response (PS3.18 table I.2-1); PS3.5 allows relative URLs."""
    stored, failed = [], []
    for one in instances:
        item: dict[str, Any] = {
            "00081150": {"vr": "UI", "Value": [one.class_uid] if one.class_uid else []},
            "00081155": {"vr": "UI", "Value": [one.instance_uid] if one.instance_uid else []},
        }
        if one.failure is None:
            url = f"/generations/{one.generation_id}"
            stored.append({**item, "00081190": {"vr": "UR", "Value": [url]}})
        else:
            failed.append({**item, "00081197": {"vr": "US", "Value": [one.failure]}})
    answer: dict[str, Any] = {}
    if stored:
        answer["00081199"] = {"vr": "SQ", "Value": stored}
    if failed:
        answer["00081198"] = {"vr": "SQ", "Value": failed}
    return answer
