"""What a service leaves behind of patients: reports with unusual headers, deletes, a kill, a stop.

    python -m tests.robustness.personal_data data/index --reports 200 --seed 1

Every report plants a name, a number, a date, an indication and a question of its own, in headers as
machines write them, in text chunks of images, in file names and in forms, over every route that
takes any, and in studies of a PACS; some have a prior study of the patient, with headers and a
report. Half of the reports are made and deleted. While the other half is made, and large uploads
are on their way, the server is killed with SIGKILL; it is started again, everything is deleted, and
it is stopped. The folder of the database, the log and the temporary folders are searched for all
that was planted, as UTF-8, UTF-16 and base64, and in names of files.

After the kill, what was deleted, and what belongs to no stored report, may be in the folder for
temporary files alone; after the stop nothing may be anywhere. Options of the server go behind
``--``.
"""

import argparse
import base64
import io
import json
import os
import random
import re
import socket
import sqlite3
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

import httpx
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.uid import generate_uid

from tests.robustness.kill import IndexServer, Server, split, start
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import LATER, STREAM
from tests.support.service.patient_archive import archive

STEM = "quelltopf"
"""All planted words contain it, so that one search finds them, also in base64."""
_WORD = re.compile(rb"quelltopf\d{4}[a-z]")
_NUMBER = re.compile(rb"(?<!\d)8\d{9}(?!\d)")
_DATE = re.compile(rb"(?<![0-9a-z])19\d\d[-./]?\d\d[-./]?\d\d(?![0-9a-z])")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}")
_CORES = tuple(
    base64.b64encode(b"\0" * shift + form)[4 * bool(shift) : -4]
    for shift in range(3)
    for form in (b"Quelltopf", b"quelltopf")
)
"""What base64 makes of the middle of the stem, by its place in a group of three bytes."""
_FIRST_DAY = date(1911, 1, 1)
_WAYS = 9
"""Of asking for a report, which patients take in turn."""
_MEGABYTES = 3
"""Of an upload that is on its way at the kill: more than is kept in memory."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What one report plants."""

    number: int

    def word(self, place: str) -> str:
        return f"Quelltopf{self.number:04d}{place}"

    @property
    def record(self) -> str:
        return f"8{self.number:09d}"

    @property
    def born(self) -> date:
        return _FIRST_DAY + timedelta(days=self.number)

    @property
    def headers(self) -> dict[str, str]:
        """Of a request."""
        names = ("authorization", "cookie", "user-agent", "x-request-id", "referer", "traceparent")
        return {name: f"{self.word('x')} {self.record}" for name in names}

    @property
    def indication(self) -> str:
        return f"Fever of {self.word('i')}"

    @property
    def question(self) -> str:
        return f"Is the heart of {self.word('q')} enlarged?"

    @property
    def prior_report(self) -> str:
        """Of the prior study; what it says of an opacity is quoted by a statement of change."""
        return (
            f"FINDINGS: Lung opacity of {self.word('o')}. The heart of {self.word('g')} is normal."
        )

    @property
    def texts(self) -> frozenset[bytes]:
        """What the service stores with a report until that is deleted."""
        words = (self.word(one) for one in "iqog")
        return frozenset(word.lower().encode() for word in words)

    @property
    def study(self) -> str:
        return str(generate_uid(entropy_srcs=[str(self.number)]))

    @property
    def header(self) -> dict[str, Any]:
        """As machines write it, one way or another."""
        day = self.born
        plain = f"{day:%Y%m%d}"
        dates = (plain, f"{day:%Y.%m.%d}", f"{day:%Y-%m-%d}", f"{plain}-{plain}")
        names = (
            f"{self.word('n')}^Jane^^Dr",
            f"{self.word('n')} Jane",
            f"{self.word('n')}=\u67f3=\u3084",
            f"{self.word('n')}\\{self.word('m')}",
            f"{self.word('n')}\x00\x07",
        )
        pick = self.number
        return {
            "PatientName": names[pick % len(names)],
            "PatientID": self.record,
            "PatientBirthDate": dates[pick % len(dates)],
            "PatientSex": ("F", "U", "male", "")[pick % 4],
            "PatientAge": ("031Y", "31", self.word("a"))[pick % 3],
            "StudyDate": dates[(pick + 1) % len(dates)],
            "StudyTime": ("101500", "10:15:00", self.word("t"))[pick % 3],
            "AccessionNumber": self.word("c") * (1 + pick % 3),
            "ReferringPhysicianName": self.word("r"),
            "InstitutionName": self.word("s"),
            "PatientComments": f"{self.word('p')} {self.record}",
            "AdditionalPatientHistory": self.word("h"),
            "OtherPatientIDs": f"{self.record}\\{self.record}",
            "SpecificCharacterSet": ("ISO_IR 100", "ISO_IR 192", self.word("e"))[pick % 3],
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": generate_uid(entropy_srcs=[str(pick), "series"]),
        }

    def file(self, folder: Path, kind: str, *, prior: bool = False) -> tuple[str, bytes]:
        """A radiograph, of the prior study with ``prior``, with what is planted in it, and a file
        name."""
        pixels = draw_radiograph(self.number + 10_000 * prior, size=(160, 144))
        stream = io.BytesIO()
        if kind == "dcm":
            with warnings.catch_warnings(action="ignore"):
                path = write_dicom(folder / f"{self.number}.dcm", pixels, **self.header)
            stream.write(path.read_bytes())
            path.unlink()
        elif kind == "png":
            info = PngInfo()
            info.add_text("Comment", f"{self.word('k')} {self.record} {self.born:%Y%m%d}.")
            Image.fromarray(pixels).save(stream, "PNG", pnginfo=info)
        else:
            comment = f"{self.word('k')} {self.record} {self.born:%Y%m%d}.".encode()
            Image.fromarray(pixels).save(stream, "JPEG", quality=95, comment=comment)
        return f"{self.word('f')} {self.record} {self.born:%Y%m%d}.{kind}", stream.getvalue()


def patients(count: int) -> list[Patient]:
    return [Patient(number=number) for number in range(count)]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A server whose system-wide folder for temporary files is one that is searched."""

    imports: ClassVar[Sequence[str]] = (__name__, *IndexServer.imports)
    server: Server
    folder: Path

    def __call__(self, database: Path, port: int) -> None:
        os.environ["TMPDIR"] = str(self.folder)
        tempfile.tempdir = None
        self.server(database, port)


@dataclass(kw_only=True)
class Outcome:
    """What was found; the lists are empty where all is well."""

    answers: Counter[str] = field(default_factory=Counter)
    planted: int = 0
    searched: Counter[str] = field(default_factory=Counter)
    """Bytes by moment."""
    left: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.left


@dataclass(frozen=True, kw_only=True)
class Find:
    """Something planted, in a file or in its name."""

    what: bytes
    path: Path


def planted_in(data: bytes) -> Iterator[bytes]:
    """Yield the words, numbers and dates of patients in bytes, in whatever way they are written."""
    for form in (data, data.replace(b"\0", b"")):  # UTF-16 holds a zero byte for each letter
        low = form.lower()
        yield from _WORD.findall(low)
        yield from _NUMBER.findall(low)
        yield from (re.sub(rb"\D", b"", one) for one in _DATE.findall(low))
    if any(core in data for core in _CORES):
        for one in _BASE64.findall(data):
            for cut in range(4):
                whole = one[cut : len(one) - (len(one) - cut) % 4]
                yield from _WORD.findall(base64.b64decode(whole).lower())


def search(folders: Iterable[Path], patients: Sequence[Patient]) -> tuple[list[Find], int]:
    """Return what is found of the patients below the folders, and how many bytes were searched."""
    known = {patient.record.encode() for patient in patients}
    known |= {f"{patient.born:%Y%m%d}".encode() for patient in patients}
    found, size = [], 0
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            data = str(path).encode()
            with suppress(OSError):  # it was removed meanwhile
                if path.is_file():
                    data += b"\n" + path.read_bytes()
            size += len(data)
            hits = {one for one in planted_in(data) if one in known or _WORD.fullmatch(one)}
            found += [Find(what=one, path=path) for one in hits]
    return found, size


def run(server: Server, work_dir: Path, *, reports: int, seed: int, clients: int = 4) -> Outcome:
    """Plant, delete, kill, start again, delete, stop; and search after the kill and the stop."""
    return _Run(server, work_dir, reports, random.Random(seed), clients).run()


class _Run:
    def __init__(
        self, server: Server, work_dir: Path, reports: int, draw: random.Random, clients: int
    ) -> None:
        self._temporary = work_dir / "system temporary"
        self._drawn = work_dir / "drawn"
        self._served = work_dir / "service"
        for folder in (self._temporary, self._drawn, self._served):
            folder.mkdir()
        self._server = Watched(server=server, folder=self._temporary)
        self._database = self._served / "app.sqlite3"
        self._own = self._served / "app.sqlite3.tmp"
        self._patients = patients(reports)
        kinds = ("dcm", "png", "dcm", "jpg")
        self._files = {  # here, because warnings are silenced for one thread alone
            one: one.file(self._drawn, kinds[one.number // _WAYS % 4]) for one in self._patients
        }
        self._dicoms = {one: one.file(self._drawn, "dcm") for one in self._patients}
        self._priors = {one: one.file(self._drawn, "dcm", prior=True) for one in self._patients}
        self._draw = draw
        self._clients = clients
        self._outcome = Outcome(planted=reports)
        self._deleted: set[bytes] = set()
        self._shared = _entries(Path("/dev/shm")), _entries(Path("/var/tmp"))

    def run(self) -> Outcome:
        half = len(self._patients) // 2
        process, address = start(self._server, self._database, self._served / "server.log")
        try:
            with self._client(address, process) as client:
                self._send(client, self._patients[:half])
                self._delete_all(client)
                self._deleted = {text for one in self._patients[:half] for text in one.texts}
                with ThreadPoolExecutor(1) as pool, ExitStack() as open_uploads:
                    late = self._patients[half:]
                    on_the_way = late[:: max(1, len(late) // 8)]
                    for patient in on_the_way:
                        open_uploads.enter_context(self._half_an_upload(address, patient))
                    sending = pool.submit(
                        self._send, client, [one for one in late if one not in on_the_way]
                    )
                    self._until_some(client)
                    process.kill()
                    process.join()
                    sending.result()
                    for patient in on_the_way:
                        self._deleted |= patient.texts  # they were never taken
        finally:
            process.kill()
            process.join()
        self._after_the_kill()
        self._scrap()
        process, address = start(self._server, self._database, self._served / "server.log")
        try:
            with self._client(address, process) as client:
                if list(self._own.rglob("*scrap*")):
                    self._outcome.left.append("the next start did not empty the folder")
                self._settle(client)
                self._send(client, self._patients[-half // 4 :])
                self._settle(client)
                self._delete_all(client)
            process.terminate()
            process.join(120)
            if process.exitcode is None:
                self._outcome.left.append("the server did not stop")
        finally:
            process.kill()
            process.join()
        self._after_the_stop()
        return self._outcome

    @contextmanager
    def _client(self, address: str, process: BaseProcess) -> Iterator[httpx.Client]:
        """Wait for the server to answer."""
        with httpx.Client(base_url=address, timeout=600) as client:
            until = time.monotonic() + 600
            while not self._answers(client):
                if not process.is_alive() or time.monotonic() > until:
                    log = (self._served / "server.log").read_text(errors="replace")
                    raise SystemExit(f"error: the server did not start: {log[-2000:]}")
                time.sleep(0.1)
            yield client

    @staticmethod
    def _answers(client: httpx.Client) -> bool:
        with suppress(httpx.TransportError):
            return client.get("/health/live").status_code == 200
        return False

    def _send(self, client: httpx.Client, patients: Sequence[Patient]) -> None:
        with ThreadPoolExecutor(self._clients) as pool:
            list(pool.map(lambda one: self._send_one(client, one), patients))

    def _send_one(self, client: httpx.Client, patient: Patient) -> None:
        """Send one report by the route that is its turn, and use it; end with the server."""
        name, data = self._files[patient]
        files = [("images", (name, data))]
        form = {"indication": patient.indication}
        before = [*files, ("prior_images", self._priors[patient])]
        compared = {**form, "prior_report": patient.prior_report}
        way = patient.number % _WAYS
        with suppress(httpx.TransportError):
            if way == 0:
                answer = client.post("/reports", files=before, data=compared)
            elif way == 1:
                answer = client.post("/reports", files=before, data=compared, headers=LATER)
            elif way == 2:
                answer = client.post("/reports", files=before, data=compared, headers=STREAM)
            elif way == 3:
                answer = client.post(
                    "/answers", files=files, data={**form, "question": patient.question}
                )
            elif way == 4:
                answer = client.post("/batches", files=files * 2, data=form)
            elif way == 5:
                answer = self._store(client, patient)
            elif way == 6:
                answer = client.post("/v1/chat/completions", json=self._chat(patient, data))
            elif way == 7:
                answer = client.post("/classifications", files=files, data=form, headers=LATER)
            else:
                answer = self._from_pacs(client, patient)
            self._count(f"{way} {answer.status_code}")
            self._count(f"search {client.post('/searches', files=files).status_code}")
            client.post("/searches", files=files, data={"exclude_patient": patient.record})
            client.post("/images", files={"image": (name, data)})
            client.get("/generations", params={"text": patient.word("u")})
            client.get(f"/cases/local:{patient.word('v')}", headers=patient.headers)
            client.post("/reports", files=[("images", (name, data[: len(data) // 2]))], data=form)
            if way == 0 and answer.status_code == 201:
                self._use(client, answer.headers["location"], patient, (name, data))

    def _use(
        self, client: httpx.Client, address: str, patient: Patient, file: tuple[str, bytes]
    ) -> None:
        """Comment on a report and export it, for its patient."""
        comment = f"{patient.word('i')} is not mentioned"
        client.post(f"{address}/feedback", json={"kind": "edited", "text": comment})
        client.post(f"{address}/pdf", files={"images": file})
        client.post(f"{address}/dicom-sr", files={"image": file})
        for path in ("map", "dicom-sc"):
            observed = {"observation": "Edema"}
            client.post(f"{address}/{path}", files={"image": file}, data=observed)
        client.post(f"{address}/fhir", files={"subject": (None, f"Patient/{patient.record}")})
        self._count(f"fhir {client.get(f'{address}/fhir').status_code}")

    def _store(self, client: httpx.Client, patient: Patient) -> httpx.Response:
        _, data = self._dicoms[patient]
        boundary = patient.word("b")
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        body = head + data + f"\r\n--{boundary}--\r\n".encode()
        return client.post("/studies", content=body, headers={"content-type": kind})

    def _from_pacs(self, client: httpx.Client, patient: Patient) -> httpx.Response:
        """Search for the patient, report on the study found, and send the report back."""
        found = client.post("/pacs/searches", json={"patient_id": patient.record})
        self._count(f"pacs search {found.status_code}")
        asked = {"study": patient.study, "indication": patient.indication}
        answer = client.post("/pacs/reports", json=asked)
        if answer.status_code == 201:
            sent = {
                "generation": answer.json()["id"],
                "study": patient.study,
                "target": found.json()["target"],
            }
            sending = client.post("/pacs/send-back", json=sent)
            self._count(f"pacs sent {sending.status_code}")
        return answer

    @staticmethod
    def _chat(patient: Patient, data: bytes) -> dict[str, Any]:
        url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        said = [
            {"type": "text", "text": patient.question},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        return {"model": "grounded-cxr-ask", "messages": [{"role": "user", "content": said}]}

    def _half_an_upload(self, address: str, patient: Patient) -> socket.socket:
        """Send the first megabytes of a form or of a DICOM store, and no more."""
        url = httpx.URL(address)
        connection = socket.create_connection((url.host, url.port))
        name, data = self._dicoms[patient]
        head = (
            "--part\r\nContent-Disposition: form-data; name=indication\r\n\r\n"
            f"{patient.indication}\r\n--part\r\n"
            f'Content-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'
        )
        path, kind = "/reports", "multipart/form-data; boundary=part"
        if patient.number % 3 == 0:
            path, kind = "/studies", 'multipart/related; type="application/dicom"; boundary=part'
            head = "--part\r\nContent-Type: application/dicom\r\n\r\n"
        body = head.encode() + data * (_MEGABYTES * 2**20 // len(data))
        request = (
            f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {2 * len(body)}\r\n\r\n"
        )
        connection.sendall(request.encode() + body)
        return connection

    def _until_some(self, client: httpx.Client) -> None:
        """Wait until the second half is well under way."""
        before = self._outcome.answers.total()
        until = time.monotonic() + 600
        wanted = max(4, len(self._patients) // 2)
        while self._outcome.answers.total() - before < wanted and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(self._draw.uniform(0, 0.5))

    def _settle(self, client: httpx.Client) -> None:
        """Wait until no accepted study is left."""
        until = time.monotonic() + 600
        while time.monotonic() < until:
            with closing(sqlite3.connect(self._database)) as connection:
                (left,) = connection.execute(
                    "SELECT count(*) FROM job_studies WHERE status IN ('queued', 'running')"
                ).fetchone()
            if left == 0:
                return
            time.sleep(0.2)

    def _delete_all(self, client: httpx.Client) -> None:
        self._settle(client)
        while found := client.get("/generations", params={"limit": 100}).json()["generations"]:
            self._draw.shuffle(found)
            for one in found:
                answer = client.delete(f"/generations/{one['id']}")
                self._count(f"delete {answer.status_code}")

    def _scrap(self) -> None:
        """Leave what a killed library leaves."""
        self._own.mkdir(mode=0o700, exist_ok=True)
        (self._own / "scrap").write_text(self._patients[0].word("n"))

    def _after_the_kill(self) -> None:
        found = self._search("after the kill")
        kept = {text for patient in self._patients for text in patient.texts} - self._deleted
        for one in found:
            inside = self._own in one.path.parents or one.path == self._own
            if not inside and not (one.what in kept and one.path.parent == self._served):
                self._outcome.left.append(f"after the kill: {one.what.decode()} in {one.path}")
        if self._own.stat().st_mode & 0o777 != 0o700:
            self._outcome.left.append(f"{self._own} is open to others")

    def _after_the_stop(self) -> None:
        for one in self._search("after the stop"):
            self._outcome.left.append(f"after the stop: {one.what.decode()} in {one.path}")

    def _search(self, moment: str) -> list[Find]:
        shared = [_entries(Path("/dev/shm")), _entries(Path("/var/tmp"))]
        fresh = [
            path for now, before in zip(shared, self._shared, strict=True) for path in now - before
        ]
        found, size = search([self._served, self._temporary, *fresh], self._patients)
        self._outcome.searched[moment] = size
        return found

    def _count(self, what: str) -> None:
        self._outcome.answers[what] += 1


def _entries(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s INDEX [--reports N] [-- OPTIONS OF THE SERVER]"
    )
    parser.add_argument("index", type=Path)
    parser.add_argument("--reports", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    ours, behind = split(sys.argv[1:])
    arguments = parser.parse_args(ours)
    planted = patients(arguments.reports)
    with (
        tempfile.TemporaryDirectory() as drawn,
        archive(planted, Path(drawn)) as pacs,
        tempfile.TemporaryDirectory() as folder,
    ):
        server = IndexServer(index=arguments.index, options=["--pacs", pacs, *behind])
        outcome = run(server, Path(folder), reports=arguments.reports, seed=arguments.seed)
    print(json.dumps(dict(sorted(outcome.answers.items()))))
    print(f"{outcome.planted} patients planted; searched {dict(outcome.searched)} bytes")
    print(f"left: {len(outcome.left)}", *outcome.left[:20], sep="\n")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
