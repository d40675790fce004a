"""A PACS for tests: one whose answers are scripted, and a real Orthanc."""

import io
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage

from tests.support.dicoms import UID_ROOT, write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import free_port

STUDY = f"{UID_ROOT}.20"
USER, PASSWORD = "reading-room", "drawn-secret"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request that came in."""

    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes


Answer = bytes | Iterable[bytes]
"""A whole HTTP answer, or its pieces."""


@dataclass
class Scripted:
    """Where a scripted PACS listens, and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


def answer(
    body: bytes | object = b"",
    *,
    status: int = 200,
    kind: str = "application/dicom+json",
    **headers: str,
) -> bytes:
    """A whole answer; anything but bytes is sent as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Drawn",
        f"Content-Type: {kind}",
        f"Content-Length: {len(sent)}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent


@contextmanager
def scripted(
    *answers: Answer | Callable[[Asked], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    """Answer one request after the other as told, the last answer again and again."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http" if tls is None else "https"
    found = Scripted(url=f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/dicom-web")
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=greet, args=(connection,), daemon=True).start()

    def greet(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if tls is None:
                converse(connection)
            else:
                with tls.wrap_socket(connection, server_side=True) as secure:
                    converse(secure)

    def converse(connection: socket.socket) -> None:
        asked = _read(connection)
        if asked is None:
            return
        found.asked.append(asked)
        told = answers[min(len(found.asked), len(answers)) - 1]
        sent = told(asked) if callable(told) else told
        for piece in [sent] if isinstance(sent, bytes) else sent:
            connection.sendall(piece)
            if ended.is_set():
                return
        if tls is None:
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def _read(connection: socket.socket) -> Asked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, target, _ = first.split(" ")
    return Asked(method=method, target=target, headers=headers, body=body)


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def a_description(study: str = STUDY, **more: Any) -> dict[str, Any]:
    """Of a study, as QIDO-RS answers."""
    return {
        "0020000D": attribute("UI", study),
        "00080020": attribute("DA", "20260115"),
        "00080030": attribute("TM", "101500"),
        "00080061": attribute("CS", "CR"),
        "00100010": attribute("PN", {"Alphabetic": "Quixotic^Zebedee"}),
        "00100020": attribute("LO", "MRN-31415926"),
        "00201208": attribute("IS", 2),
        **more,
    }


def an_instance(number: int, kind: str = ComputedRadiographyImageStorage) -> dict[str, Any]:
    """Of an image of `STUDY`, as QIDO-RS answers."""
    return {
        "00080016": attribute("UI", kind),
        "00080018": attribute("UI", f"{STUDY}.1.{number}"),
        "0020000E": attribute("UI", f"{STUDY}.1"),
    }


def an_image(folder: Path, number: int = 1, **attributes: Any) -> bytes:
    """A drawn radiograph of `STUDY` as a DICOM file; ``attributes`` are DICOM keywords."""
    header = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "SOPInstanceUID": f"{STUDY}.1.{number}",
        "StudyDate": "20260115",
        "StudyTime": "101500",
        "AccessionNumber": "A17",
        **attributes,
    }
    path = folder / f"{number}.dcm"
    pixels = draw_radiograph(number, size=(128, 128))
    return write_dicom(path, pixels, **header).read_bytes()


def related(*files: bytes, boundary: str = "drawn") -> bytes:
    """An answer of WADO-RS."""
    parts = [b"\r\n--drawn\r\nContent-Type: application/dicom\r\n\r\n" + file for file in files]
    body = b"".join(parts) + b"\r\n--drawn--\r\n"
    return answer(body, kind=f'multipart/related; type="application/dicom"; boundary={boundary}')


def confirmed(instance: str) -> dict[str, Any]:
    """The answer of STOW-RS for a stored instance."""
    item = {"00081155": attribute("UI", instance)}
    return {"00081199": attribute("SQ", item)}


def holding(*files: bytes) -> Callable[[Asked], bytes]:
    """Answers of a PACS that holds the images of `STUDY`, and takes what is sent to it."""

    def told(asked: Asked) -> bytes:
        path = asked.target.partition("?")[0].removeprefix("/dicom-web/")
        if asked.method == "POST":
            file = asked.body[asked.body.index(b"\r\n\r\n") + 4 :]
            return answer(confirmed(str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID)))
        if path == "studies":
            return answer([a_description()])
        if path == f"studies/{STUDY}/instances":
            return answer([an_instance(number) for number, _ in enumerate(files, start=1)])
        if path.startswith(f"studies/{STUDY}/series/"):
            return related(files[int(path.rpartition(".")[2]) - 1])
        return answer(status=404)

    return told


ORTHANC = Path("/usr/sbin/Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc with DICOMweb."""

    client: httpx.Client
    """Of its own API."""
    url: str
    """Of its DICOMweb service."""
    process: subprocess.Popen[bytes]


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """Run an Orthanc that holds nothing yet, on a free port of this machine.

    The test is skipped where Orthanc is not installed.
    """
    if not (ORTHANC.is_file() and PLUGIN.is_file()) and os.environ.get("CI") != "true":
        pytest.skip("no Orthanc: apt-get install orthanc orthanc-dicomweb")
    port = free_port()
    config = folder / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "Name": "drawn",
                "StorageDirectory": str(folder / "storage"),
                "IndexDirectory": str(folder / "index"),
                "HttpPort": port,
                "DicomServerEnabled": False,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": True,
                "RegisteredUsers": {USER: PASSWORD},
                "Plugins": [str(PLUGIN)],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            }
        )
    )
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, config], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, auth=(USER, PASSWORD)) as client:
            _wait_for(client, process)
            yield Orthanc(client=client, url=f"{address}/dicom-web", process=process)
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/system").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("Orthanc did not start: see orthanc.log")
