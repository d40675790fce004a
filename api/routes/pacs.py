"""POST /pacs/searches, /pacs/reports, /pacs/send-back: work with the PACS of ``serve --pacs URL``.

The address of the PACS comes from the operator alone. Study and patient are named in the body, so
that no log of a proxy holds them. Nothing is sent to the PACS but a report whose request names it.

Every attempt is in the audit log, one that fails with the status of its answer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from api.export.dicom_sr import to_dicom_sr
from api.export.study_header import StudyHeader
from api.middleware.access import PACS, Caller
from api.middleware.audit_queue import AuditQueue
from api.middleware.connection import while_connected
from api.middleware.problems import GUARDED, problems, status_of
from api.pacs.client import Pacs, check_images, check_study_uid
from api.pacs.studies import PacsStudies
from api.pipeline.pipeline import Pipeline
from api.routes.generations import check_owner, document
from api.schemas.pacs import PacsReport, PacsSearch, SendBack, SentBack
from api.spool import Spool
from api.uploads import Upload, read_body
from db.app.database import AppDatabase
from db.app.generation import Generation
from db.errors import MismatchError, NotFoundError


class PacsController(Controller):
    path = "/pacs"
    tags = ("pacs",)
    opt = PACS
    request_max_body_size = 65_536

    @post(
        "/searches",
        operation_id="searchPacs",
        summary="Search the PACS for studies",
        status_code=HTTP_200_OK,
        before_request=read_body,
        responses=problems(400, 404, 408, 422, 502, 503, *GUARDED),
    )
    async def search(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[PacsSearch],
        pacs: NamedDependency[Pacs],
        pipeline: NamedDependency[Pipeline],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> PacsStudies:
        """List the studies of these days and modalities (QIDO-RS), newest first.

        404 if the server was started without `--pacs`. Nothing is stored but an audit entry, which
        names no patient and no study.
        """
        with _failure_entered("pacs search", pacs, audit, caller):
            query = data.query()
            with pipeline.enter(caller):
                found = await while_connected(request, partial(pacs.search, query))
            entry = pipeline.entry(
                "pacs searched",
                caller,
                pacs=pacs.url,
                date=query.date,
                modalities=list(query.modalities),
                by_patient=bool(query.patient_id),
                studies=len(found.studies),
            )
            await pipeline.admit(entry)
        return found

    @post(
        "/reports",
        operation_id="createPacsReport",
        summary="Write a report for one study of the PACS",
        status_code=HTTP_201_CREATED,
        before_request=read_body,
        responses=problems(400, 404, 408, 409, 413, 422, 502, 503, *GUARDED),
    )
    async def report(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[PacsReport],
        pacs: NamedDependency[Pacs],
        pipeline: NamedDependency[Pipeline],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> Response[Generation]:
        """Fetch the radiographs of the study (WADO-RS) and report on them as `POST /reports` does.

        The images are not stored, and nothing is sent to the PACS.
        """

        async def write() -> Generation:
            with pipeline.enter(caller):
                uploads = await _fetched(pacs, data.study, accept_as_chest=data.accept_as_chest)
                images = await pipeline.images.read(uploads, caller)
                check_images(images, data.study, pacs.url)
                return await pipeline.write(images, wanted, caller)

        with _failure_entered("pacs report", pacs, audit, caller):
            wanted = data.request()
            check_study_uid(data.study)
            await pipeline.check_exclusions(wanted.options)
            made = await while_connected(request, write)
        audit.add("pacs report", caller.name, pacs=pacs.url, generation=str(made.id))
        return Response(
            await document(pipeline.current, made),
            status_code=HTTP_201_CREATED,
            headers={"Location": f"/generations/{made.id}"},
        )

    @post(
        "/send-back",
        operation_id="sendBackToPacs",
        summary="Store a report in its study on the PACS",
        status_code=HTTP_201_CREATED,
        before_request=read_body,
        responses=problems(400, 404, 408, 409, 413, 422, 502, 503, *GUARDED),
    )
    async def send_back(
        self,
        data: JSONBody[SendBack],
        pacs: NamedDependency[Pacs],
        pipeline: NamedDependency[Pipeline],
        database: NamedDependency[AppDatabase],
        audit: NamedDependency[AuditQueue],
        caller: NamedDependency[Caller],
    ) -> SentBack:
        """Send the report as a preliminary, unverified DICOM SR (STOW-RS) to the study it is about.

        Its first line is the research-use line. Patient and study are copied from an image of the
        study and not stored here. A report is sent by its own key, and only to the `target` that
        the request names; sending it again stores no second one.
        """
        with _failure_entered("sending to pacs", pacs, audit, caller):
            if data.target.rstrip("/") != pacs.url:
                raise MismatchError(
                    f"this server sends to {pacs.url} alone: name it as 'target', or do not send"
                )
            get = partial(database.generations.get, data.generation, owner=caller.owner)
            made = await run_sync(get)
            check_owner(made.created_by, caller)
            check_study_uid(data.study)
            facts = {"generation": str(made.id), "pacs": pacs.url}
            with pipeline.enter(caller):
                sr = await _for_study(made, data.study, pacs, pipeline, caller)
                await pipeline.admit(pipeline.entry("sending to pacs", caller, **facts))
                instance = await pacs.store(sr)
            entry = pipeline.entry("sent to pacs", caller, **facts, instance=instance)
            await run_sync(database.audit.append, entry)
        return SentBack(target=pacs.url, study=data.study, instance=instance)


def the_pacs(pacs: Pacs | None) -> Pacs:
    """Raises NotFoundError on a server without a PACS."""
    if pacs is None:
        raise NotFoundError("this server knows no PACS: start it with --pacs URL")
    return pacs


@contextmanager
def _failure_entered(action: str, pacs: Pacs, audit: AuditQueue, caller: Caller) -> Iterator[None]:
    """Enter it into the audit log if the block raises, with the status of the answer."""
    try:
        yield
    except BaseException as error:  # the end of the server included
        status = status_of(error) if isinstance(error, Exception) else 503
        audit.add(f"{action} failed", caller.name, pacs=pacs.url, status=status)
        raise


async def _for_study(
    made: Generation, study_uid: str, pacs: Pacs, pipeline: Pipeline, caller: Caller
) -> bytes:
    """The structured report of a generation that was made from an image of the study."""
    uploads = await _fetched(pacs, study_uid, accept_as_chest=True)
    images = await pipeline.images.read(uploads, caller)
    check_images(images, study_uid, pacs.url)
    for upload, image in zip(uploads, images, strict=True):
        if image.sha256 in made.images_sha256:
            header = StudyHeader.of(await pipeline.images.study_attributes(upload, caller))
            header.check_patient()
            return await run_sync(to_dicom_sr, made, header)
    raise MismatchError("the report was not made from an image of this study")


async def _fetched(pacs: Pacs, study_uid: str, *, accept_as_chest: bool) -> list[Upload]:
    """The radiographs of a study, kept on disk while the request runs."""
    spool = await run_sync(Spool.open)
    files = await pacs.fetch_each(study_uid, spool.add)
    return [
        Upload(name=f"image {number} of the study", file=file, accept_as_chest=accept_as_chest)
        for number, file in enumerate(files, start=1)
    ]
