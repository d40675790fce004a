"""Search a PACS for studies, fetch the radiographs of one, and store a report in it.

pacs = Pacs(PacsConnection("https://pacs.example/dicom-web"))
found = await pacs.search(StudyQuery(date="20260101-20260131", modalities=("DX", "CR")))
files = await pacs.fetch(found.studies[0].uid)
instance = await pacs.store(sr)

By QIDO-RS, WADO-RS and STOW-RS (DICOM PS3.18, chapter 10). Files are returned as they were sent
and not parsed here.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
import pydicom
from anyio.to_thread import run_sync
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from api.pacs.connection import PacsConnection, PacsError, PacsRequests, Reply, nonsense
from api.pacs.documents import (
    DICOM,
    DICOM_JSON,
    Description,
    as_only_part,
    description,
    descriptions,
    is_uid,
    items,
    only_part,
    text,
    uid,
)
from api.pacs.studies import PacsStudies, PacsStudy, StudyQuery
from db.errors import NotFoundError, TooLargeError, UserError
from indexer.images.radiograph import Radiograph, quiet_decoders

_PREFERRED = (
    frozenset({ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation}),
    frozenset({DigitalXRayImageStorageForProcessing}),
    frozenset({SecondaryCaptureImageStorage}),
)
"""Kinds of images, the best first: only those of the first kind that a study has are fetched."""

Sent = TypeVar("Sent")
Parsed = TypeVar("Parsed")

_CLASS, _INSTANCE, _SERIES = "00080016", "00080018", "0020000E"
_STORED, _FAILED, _OF_INSTANCE, _REASON = "00081199", "00081198", "00081155", "00081197"


class Pacs:
    """A PACS at one address."""

    def __init__(self, connection: PacsConnection) -> None:
        self._connection = connection
        self._limits = connection.limits
        self._fetching = anyio.Semaphore(2)  # studies that arrive at the same time

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self._connection.url

    async def search(self, query: StudyQuery) -> PacsStudies:
        """Raises PacsError if the PACS does not answer as it should."""
        most, found, complete = self._limits.max_studies, dict[str, PacsStudy](), True
        async with self._connection.opened() as requests:
            for modality in query.modalities:
                reply = await self._document(
                    requests, "studies", query.parameters(modality, most + 1)
                )
                if reply.status == 404:
                    raise nonsense(self.url, "no list of studies (404)")
                listed = [self._parsed(PacsStudy.of, one) for one in self._listed(reply)]
                complete = complete and len(listed) <= most
                found |= {study.uid: study for study in listed[:most]}
        newest = sorted(found.values(), key=lambda one: (one.date, one.time), reverse=True)
        return PacsStudies(
            target=self.url, studies=newest[:most], complete=complete and len(newest) <= most
        )

    async def fetch(self, study_uid: str) -> list[bytes]:
        """Return the radiographs of a study as DICOM files; otherwise as `fetch_each`."""
        return await self.fetch_each(study_uid, lambda file: file)

    async def fetch_each(self, study_uid: str, keep: Callable[[bytes], Parsed]) -> list[Parsed]:
        """Call ``keep``, in a thread, with each radiograph of a study; return what it returns.

        The radiographs are DICOM files, and no more than one is in memory at a time.
        Those for presentation; where there are none, those for processing, or secondary captures.
        Raises NotFoundError for a study that is not there or has no radiograph, TooLargeError above
        a limit, PacsError as `search` does.
        """
        check_study_uid(study_uid)
        async with self._fetching, self._connection.opened() as requests:
            reply = await self._document(requests, f"studies/{study_uid}/instances", {})
            listed = () if reply.status == 404 else self._listed(reply)
            places = self._radiographs(study_uid, listed)
            kept, left = [], self._limits.max_bytes
            for series, instance in places:
                path = f"studies/{study_uid}/series/{series}/instances/{instance}"
                file = await self._file(requests, path, left)
                left -= len(file)
                kept.append(await run_sync(keep, file))
        return kept

    async def store(self, sr: bytes) -> str:
        """Send a structured report and return its SOPInstanceUID.

        Raises PacsError unless the PACS confirms that it has stored it.
        """
        instance = await run_sync(_instance_of, sr)
        body, content_type = as_only_part(sr)
        async with self._connection.opened() as requests:
            reply = await requests.post(
                "studies", body=body, content_type=content_type, accept=DICOM_JSON
            )
        if reply.status == 404:
            raise nonsense(self.url, "no place to store (404)")
        answer = self._parsed(description, reply.body)
        failed = self._parsed(partial(items, tag=_FAILED), answer)
        if failed:
            reason = text(failed[0], _REASON)
            code = f" (reason {int(reason):04X}H)" if reason.isdecimal() else ""
            raise PacsError(f"the PACS {self.url} refused the report{code}: see its log")
        stored = self._parsed(partial(items, tag=_STORED), answer)
        if instance not in [text(one, _OF_INSTANCE) for one in stored]:
            raise PacsError(f"the PACS {self.url} did not confirm the report: look for it there")
        return instance

    async def _document(self, requests: PacsRequests, path: str, params: dict[str, Any]) -> Reply:
        limit = self._limits.max_document_bytes
        return await requests.get(path, accept=DICOM_JSON, limit=limit, params=params)

    def _listed(self, reply: Reply) -> Sequence[Description]:
        return self._parsed(descriptions, reply.body)

    def _parsed(self, parse: Callable[[Sent], Parsed], sent: Sent) -> Parsed:
        try:
            return parse(sent)
        except ValueError as error:
            raise nonsense(self.url, str(error)) from error

    def _radiographs(self, study_uid: str, listed: Sequence[Description]) -> list[tuple[str, str]]:
        """Series and instance of each image to fetch."""
        if not listed:
            raise NotFoundError(f"the PACS {self.url} holds no study {study_uid}")
        for kinds in _PREFERRED:
            found = [one for one in listed if text(one, _CLASS) in kinds]
            if len(found) > self._limits.max_images:
                raise TooLargeError(
                    f"study {study_uid} has {len(found)} radiographs, one report takes "
                    f"{self._limits.max_images}: export the views wanted and send those"
                )
            if found:
                return [
                    (
                        self._parsed(partial(uid, tag=_SERIES), one),
                        self._parsed(partial(uid, tag=_INSTANCE), one),
                    )
                    for one in found
                ]
        raise NotFoundError(f"study {study_uid} holds no radiograph")

    async def _file(self, requests: PacsRequests, path: str, limit: int) -> bytes:
        accept = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
        reply = await requests.get(path, accept=accept, limit=max(limit, 1))
        if reply.status == 404:
            raise NotFoundError(f"an image is no longer on the PACS {self.url}: search again")
        return self._parsed(partial(only_part, content_type=reply.content_type), reply.body)


def check_images(images: Sequence[Radiograph], study_uid: str, url: str) -> None:
    """Raises PacsError if the PACS sent images of another study than the one asked for."""
    for image in images:
        if image.subject is None or image.subject.study_id != study_uid:
            raise nonsense(url, "an image that is not of the study asked for")


def check_study_uid(study_uid: str) -> None:
    """Raises UserError for text that is not a StudyInstanceUID."""
    if not is_uid(study_uid):
        raise UserError(
            f"'{study_uid[:64]}' is not a StudyInstanceUID: take one from a search of the PACS"
        )


def _instance_of(sr: bytes) -> str:
    with quiet_decoders():
        return str(pydicom.dcmread(io.BytesIO(sr), stop_before_pixels=True).SOPInstanceUID)
