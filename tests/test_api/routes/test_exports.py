"""FHIR, PDF and DICOM SR out; STOW-RS in; and no patient on the way."""

import io
import logging
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from fhir.resources.diagnosticreport import DiagnosticReport as ReportR5
from fhir.resources.R4B.diagnosticreport import DiagnosticReport as ReportR4B
from litestar.testing import TestClient
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from api.middleware.observability import JsonFormatter, TracebackFormatter
from api.pipeline.backends import ExtractiveBackend
from db.app.generation import NOTICE, OodCheck
from tests.support.dicoms import write_dicom
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import settled
from tests.support.service.services import (
    FakeRetriever,
    a_case,
    a_png,
    an_app,
    serving,
    write_report,
)
from tests.support.service.writers import TalkingWriter

Client = TestClient[Any]
STUDY = "1.2.826.0.1.3680043.8.498.1"


def a_dicom(tmp_path: Path, seed: int = 1, **header: Any) -> bytes:
    path = write_dicom(
        tmp_path / f"{seed}.dcm",
        draw_radiograph(seed, size=(96, 80)),
        SOPInstanceUID=generate_uid(entropy_srcs=[str(seed)]),
        **{"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.2", **header},
    )
    return path.read_bytes()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    cases = [
        a_case(1, sentences=("Lungs drawn <clear> & “wide”.", "Herz größer 胸.")),
        a_case(2),
    ]
    with TestClient(an_app(tmp_path, FakeRetriever(cases)), base_url="http://127.0.0.1") as client:
        yield client


def made_from(client: Client, image: bytes) -> str:
    answer = client.post("/reports", files={"images": ("image", image)})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize(("release", "model"), [("R5", ReportR5), ("R4B", ReportR4B)])
def test_a_report_is_a_valid_fhir_resource(client: Client, release: str, model: Any) -> None:
    address = made_from(client, a_png(1, size=(64, 64)))
    answer = client.get(f"{address}/fhir", params={"release": release})
    assert answer.headers["content-type"] == "application/fhir+json"
    resource = model.model_validate_json(answer.content)
    assert resource.status == "preliminary"
    assert resource.conclusion.startswith(f"{NOTICE} No case says this.")
    (form,) = resource.presentedForm
    assert form.contentType == "application/pdf"
    assert answer.json()["presentedForm"][0]["data"].startswith("JVBERi")
    assert resource.subject.type == "Patient" and resource.subject.reference is None
    device, provenance = resource.contained
    assert provenance.agent[0].who.reference == f"#{device.id}"
    assert provenance.target[0].reference == "#"
    assert (device.modelNumber, device.version[0].value) == ("drawn-1", version("grounded-cxr"))
    narrative = answer.json()["text"]["div"]
    assert "&lt;clear&gt; &amp;" in narrative and "[1] drawn s1" in narrative
    assert (resource.note is not None) if release == "R5" else "note" not in answer.json()


@pytest.mark.parametrize(("release", "model"), [("R5", ReportR5), ("R4B", ReportR4B)])
@pytest.mark.parametrize(
    "subject",
    [
        "Patient/123",
        "https://ehr.example.org/fhir/Patient/a-1.2/_history/4",
        "urn:uuid:0a1b2c3d-0000-4000-8000-0123456789ab",
    ],
)
def test_a_fhir_report_names_the_patient_who_was_sent(
    client: Client, release: str, model: Any, subject: str
) -> None:
    address = f"{made_from(client, a_png(1, size=(64, 64)))}/fhir"
    # the client sends a form as multipart only with a file
    fields = {"subject": (None, subject), "release": (None, release)}
    answer = client.post(address, files=fields)
    assert answer.status_code == 200, answer.text
    resource = model.model_validate_json(answer.content)
    assert (resource.subject.type, resource.subject.reference) == ("Patient", subject)
    assert resource.subject.display is None
    assert client.get(address).json()["subject"].keys() == {"type", "display"}


@pytest.mark.parametrize("subject", ["Jane Doe", "Device/1", "Patient/", "Patient/1\n", "/x"])
def test_a_subject_that_is_no_patient_is_refused(client: Client, subject: str) -> None:
    address = f"{made_from(client, a_png(1, size=(64, 64)))}/fhir"
    answer = client.post(address, files={"subject": (None, subject)})
    assert answer.status_code == 422 and "send it as Patient/ID" in answer.json()["detail"]
    assert "Jane" not in answer.text


def test_fhir_of_another_release_is_refused(client: Client) -> None:
    address = made_from(client, a_png(1, size=(64, 64)))
    assert client.get(f"{address}/fhir", params={"release": "STU3"}).status_code == 400


def test_a_pdf_shows_the_images_and_the_cited_cases(client: Client) -> None:
    image = a_png(1, size=(300, 200))
    address = made_from(client, image)
    bare = client.get(f"{address}/pdf")
    assert bare.headers["content-type"] == "application/pdf" and bare.content.startswith(b"%PDF")
    assert b"/Subtype /Image" not in bare.content
    full = client.post(f"{address}/pdf", files={"images": ("a.png", image)})
    assert full.status_code == 200 and full.content.count(b"/Subtype /Image") == 1
    other = client.post(f"{address}/pdf", files={"images": ("a.png", a_png(2, size=(64, 64)))})
    assert other.status_code == 409 and "not an image that" in other.json()["detail"]
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-", "-"], input=full.content, capture_output=True, check=True
        ).stdout.decode()
        assert "Lungs drawn <clear> & “wide”. [1]" in text and "Cited cases" in text


UNCHECKED = "W: The VR checker does not support this Specific Character Set: ISO_IR 192"
"""What DCMTK says of every file in UTF-8."""


def checked(sr: bytes, tmp_path: Path) -> Dataset:
    """Read back, and looked at by other people's programs where they are installed."""
    path = tmp_path / "report.dcm"
    path.write_bytes(sr)
    report = pydicom.dcmread(io.BytesIO(sr))
    if shutil.which("dsrdump") or os.environ.get("CI") == "true":
        dump = subprocess.run(
            ["dsrdump", "--print-long-values", str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Basic Text SR" in dump.stdout and "PRELIMINARY" in dump.stdout
        assert all(f'="{text}">' in dump.stdout for text in texts(report))
        complaints = [line for line in dump.stderr.splitlines() if line not in ("", UNCHECKED)]
        assert not complaints
    if shutil.which("dciodvfy"):
        ood = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        found = ood.stdout + ood.stderr
        assert "BasicTextSR" in found and "Error" not in found, found
    return report


def texts(item: Dataset) -> list[str]:
    own = [str(item.TextValue)] if item.get("TextValue") else []
    return own + [text for child in item.get("ContentSequence", []) for text in texts(child)]


def test_a_structured_report_reads_back(client: Client, tmp_path: Path) -> None:
    address = made_from(client, a_png(1, size=(64, 64)))
    answer = client.get(f"{address}/dicom-sr")
    assert answer.headers["content-type"] == "application/dicom"
    report = checked(answer.content, tmp_path)
    assert texts(report) == [
        NOTICE,
        "Lungs drawn <clear> & “wide”.",
        "Lungs drawn clear.",
        "No case says this. [image only]",
    ]
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert not report.PatientID and not report.PatientName
    again = pydicom.dcmread(io.BytesIO(client.get(f"{address}/dicom-sr").content))
    assert again.SOPInstanceUID == report.SOPInstanceUID


def test_a_structured_report_joins_the_study_of_its_image(client: Client, tmp_path: Path) -> None:
    image = a_dicom(tmp_path, PatientSex="O", StudyDate="20260102", StudyTime="101112")
    address = made_from(client, image)
    answer = client.post(f"{address}/dicom-sr", files={"image": ("a.dcm", image)})
    assert answer.status_code == 200, answer.text
    report = checked(answer.content, tmp_path)
    assert report.StudyInstanceUID == STUDY
    assert report.PatientName == "Quixotic^Zebedee" and report.StudyDate == "20260102"
    other = client.post(f"{address}/dicom-sr", files={"image": ("b.dcm", a_dicom(tmp_path, 2))})
    assert other.status_code == 409
    png = a_png(3, size=(64, 64))
    plain = client.post(f"{made_from(client, png)}/dicom-sr", files={"image": ("a.png", png)})
    assert plain.status_code == 422 and "not a DICOM file" in plain.json()["detail"]


ODD_HEADERS = [
    ({"PatientSex": "U"}, "PatientSex"),
    ({"PatientSex": "UNKNOWN"}, "PatientSex"),
    ({"PatientSex": "male"}, "PatientSex"),
    ({"PatientBirthDate": "1950"}, "PatientBirthDate"),
    ({"PatientBirthDate": "195001"}, "PatientBirthDate"),
    ({"PatientBirthDate": "00000000"}, "PatientBirthDate"),
    ({"PatientBirthDate": "19500230"}, "PatientBirthDate"),
    ({"StudyTime": "10:30:00"}, "StudyTime"),
    ({"StudyTime": "251112"}, "StudyTime"),
    ({"StudyDate": "20200101-20200105"}, "StudyDate"),
    ({"StudyDate": ["20200101", "20200105"]}, "StudyDate"),
    ({"PatientID": "7" * 65}, "PatientID"),
    ({"AccessionNumber": "ACCESSION NUMBER 4711"}, "AccessionNumber"),
    ({"StudyID": "two\nlines"}, "StudyID"),
    ({"PatientName": "Quixotic" * 9}, "PatientName"),
    ({"ReferringPhysicianName": "a=b=c=d"}, "ReferringPhysicianName"),
]


@pytest.mark.parametrize(("header", "keyword"), ODD_HEADERS)
def test_a_value_that_is_not_valid_is_left_out_of_a_structured_report(
    client: Client, tmp_path: Path, header: dict[str, Any], keyword: str
) -> None:
    image = a_dicom(tmp_path, **header)
    answer = client.post(f"{made_from(client, image)}/dicom-sr", files={"image": ("a.dcm", image)})
    assert answer.status_code == 200, answer.text
    report = checked(answer.content, tmp_path)
    assert not report.get(keyword)
    assert texts(report)[:2] == [NOTICE, f"Left out, not valid in the image's header: {keyword}."]
    assert report.StudyInstanceUID == STUDY


def test_ordinary_values_are_kept_in_a_structured_report(client: Client, tmp_path: Path) -> None:
    ordinary = {
        "PatientName": "Quixotic",
        "PatientID": "7" * 64,
        "PatientBirthDate": "19500228",
        "PatientSex": "F",
        "StudyDate": "20200229",
        "StudyTime": "2359",
        "ReferringPhysicianName": "",
    }
    image = a_dicom(tmp_path, **ordinary)
    answer = client.post(f"{made_from(client, image)}/dicom-sr", files={"image": ("a.dcm", image)})
    report = checked(answer.content, tmp_path)
    assert {keyword: str(report.get(keyword) or "") for keyword in ordinary} == ordinary
    assert not any("Left out" in text for text in texts(report))


def test_the_path_of_a_model_is_in_no_export(tmp_path: Path) -> None:
    def write(retrieval: Any) -> Any:
        return replace(write_report(retrieval), generator=f"/srv/{'deep/' * 20}llama, prompts-4")

    app = an_app(tmp_path, backend=ExtractiveBackend(write))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        address = made_from(client, a_png(1, size=(64, 64)))
        report = checked(client.get(f"{address}/dicom-sr").content, tmp_path)
        fhir = client.get(f"{address}/fhir").text
    assert report.ManufacturerModelName == "llama, prompts-4"
    assert "llama, prompts-4" in fhir and "/srv/" not in fhir


REASON = "the image is unlike the drawn images."
WARNING = f"Do not rely on this: {REASON}"


@pytest.fixture
def unusual(tmp_path: Path) -> Iterator[Client]:
    """A service that takes every image for one of another kind."""
    ood = OodCheck(in_distribution=False, score=-9.0, threshold=-1.0, reason=REASON)
    app = an_app(tmp_path, FakeRetriever([a_case(1)], ood=ood))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_every_export_begins_with_the_notice_and_the_warning(
    unusual: Client, tmp_path: Path
) -> None:
    address = made_from(unusual, a_png(1, size=(64, 64)))
    report = checked(unusual.get(f"{address}/dicom-sr").content, tmp_path)
    assert texts(report)[:2] == [NOTICE, WARNING]
    for release in ("R5", "R4B"):
        resource = unusual.get(f"{address}/fhir", params={"release": release}).json()
        assert resource["conclusion"].startswith(f"{NOTICE} {WARNING}")
        narrative = ElementTree.fromstring(resource["text"]["div"])
        assert list(narrative.itertext())[:2] == [NOTICE, WARNING]
        if release == "R5":
            assert [note["text"] for note in resource["note"]][:2] == [NOTICE, WARNING]
            assert sum(REASON in note["text"] for note in resource["note"]) == 1
    if shutil.which("pdftotext"):
        pdf = unusual.get(f"{address}/pdf").content
        printed = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True).stdout
        assert printed.decode().split("\n\n")[:2] == [NOTICE, WARNING]


def test_control_characters_are_in_no_export(tmp_path: Path) -> None:
    app = an_app(tmp_path, FakeRetriever([a_case(1, sentences=("Lungs\x01drawn\ufffeclear.",))]))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        address = made_from(client, a_png(1, size=(64, 64)))
        narrative = client.get(f"{address}/fhir").json()["text"]["div"]
        said = list(ElementTree.fromstring(narrative).itertext())
        assert "Lungs drawn clear. [1]" in said
        report = checked(client.get(f"{address}/dicom-sr").content, tmp_path)
        assert "Lungs drawn clear." in texts(report)
        assert client.get(f"{address}/pdf").content.startswith(b"%PDF")


@pytest.mark.parametrize("path", ["/reports", "/answers", "/classifications", "/captions"])
def test_every_format_exports_a_generation_of_the_language_model(tmp_path: Path, path: str) -> None:
    image = a_png(1, size=(64, 64))
    app = an_app(tmp_path, backend=TalkingWriter())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        made = client.post(
            path,
            files={"images": ("image", image)},
            data={"indication": "dyspnea"}
            | ({"question": "Is the heart enlarged?"} if path == "/answers" else {}),
        )
        assert made.status_code == 201, made.text
        address = made.headers["location"]
        for release, model in (("R5", ReportR5), ("R4B", ReportR4B)):
            resource = client.get(f"{address}/fhir", params={"release": release})
            model.model_validate_json(resource.content)
        pdf = client.get(f"{address}/pdf").content
        report = checked(client.get(f"{address}/dicom-sr").content, tmp_path)
    exported = {"fhir": resource.json()["text"]["div"], "sr": "\n".join(texts(report))}
    if shutil.which("pdftotext"):
        exported["pdf"] = " ".join(
            subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True)
            .stdout.decode()
            .split()
        )
    expected = {
        "/reports": [
            "No case says this. [image only]",
            "(contradicted by the image: classifier score",
            "(added by rule) (contradicted by the image",
        ],
        "/answers": [
            "Question: Is the heart enlarged?",
            "Yes.",
            "(citation 9 was removed: no case has this number)",
        ],
        "/classifications": [
            "Lung Opacity, probability 0.71.",
            "Edema: 0.00, absent (retrieved cases 0.00 (0.00 to 0.25), language model 0.75)",
        ],
        "/captions": ["No case says this. [image only]"],
    }
    for text in exported.values():
        for words in ("Indication: dyspnea", *expected[path]):
            assert words in text.replace("&#x27;", "'")


def test_images_sent_by_stow_become_one_report_per_study(tmp_path: Path) -> None:
    files = [
        a_dicom(tmp_path, 1),
        a_dicom(tmp_path, 2, StudyInstanceUID=f"{STUDY}.7"),
        a_dicom(tmp_path, 3),
    ]
    datasets = [pydicom.dcmread(io.BytesIO(file)) for file in files]
    with serving(an_app(tmp_path)) as address:
        with warnings.catch_warnings(action="ignore"):  # of the client's own libraries
            stored = DICOMwebClient(url=address).store_instances(datasets)
        urls = [item.RetrieveURL for item in stored.ReferencedSOPSequence]
        assert [i.ReferencedSOPInstanceUID for i in stored.ReferencedSOPSequence] == [
            dataset.SOPInstanceUID for dataset in datasets
        ]
        assert "FailedSOPSequence" not in stored
        assert urls[0] == urls[2] != urls[1]
        with httpx.Client(base_url=address) as client:
            views = [len(settled(client, url)["images_sha256"]) for url in urls[:2]]
        assert views == [2, 1]


def related(*parts: bytes, boundary: str = "x") -> dict[str, Any]:
    body = b"".join(
        b"--" + boundary.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n"
        for part in parts
    )
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return {
        "content": body + b"--" + boundary.encode() + b"--\r\n",
        "headers": {"content-type": kind},
    }


def test_an_instance_that_is_no_radiograph_is_named_and_the_others_are_accepted(
    client: Client, tmp_path: Path
) -> None:
    good, ct = a_dicom(tmp_path, 1), a_dicom(tmp_path, 2, Modality="CT")
    answer = client.post("/studies", **related(good, ct, b"text"))
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/dicom+json"
    failed = answer.json()["00081198"]["Value"]
    assert [item["00081197"]["Value"] for item in failed] == [[0xC000], [0xC000]]
    assert failed[0]["00081155"]["Value"] == [str(pydicom.dcmread(io.BytesIO(ct)).SOPInstanceUID)]
    assert len(answer.json()["00081199"]["Value"]) == 1
    assert client.post("/studies", **related(ct)).status_code == 409
    many = [a_dicom(tmp_path, seed) for seed in range(1, 10)]
    crowd = client.post("/studies", **related(*many)).json()
    assert crowd["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dicom", b"", 415),
        ("multipart/related; type=text/plain; boundary=x", b"--x\r\n\r\n\r\n--x--", 415),
        ('multipart/related; type="application/dicom"', b"--x\r\n\r\n\r\n--x--", 400),
        ('multipart/related; type="application/dicom"; boundary=x', b"nothing", 400),
        ('multipart/related; type="application/dicom"; boundary=x', b"--x--", 400),
        ('multipart/related; type="application/dicom"; boundary=ü', b"--x--", 400),
    ],
)
def test_a_body_that_is_no_store_request_is_refused(
    client: Client, kind: str, body: bytes, status: int
) -> None:
    headers = [(b"content-type", kind.encode())]
    answer = client.post("/studies", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


NAMES = {
    "PatientName": "Quixotic^Zebedee",
    "PatientID": "MRN-31415926",
    "OtherPatientIDs": "QX-2718",
    "PatientBirthDate": "19470203",
    "PatientAddress": "Larkspur Lane 12",
    "PatientTelephoneNumbers": "555-0199",
    "PatientMotherBirthName": "Wintergreen",
    "AccessionNumber": "ACC-99887",
    "StudyID": "STUDY-4711",
    "StudyDescription": "Chest of Quixotic",
    "SeriesDescription": "PA Quixotic",
    "ReferringPhysicianName": "Honeycomb^Agatha",
    "PerformingPhysicianName": "Marmalade^Otto",
    "OperatorsName": "Thistledown",
    "InstitutionName": "Saint Larkspur",
    "InstitutionAddress": "Larkspur Square",
    "StationName": "ROOM-QX",
    "ImageComments": "Quixotic, bed 7",
    "PatientComments": "calls himself Zeb",
    "RequestingPhysician": "Honeycomb^Agatha",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.31415",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.31416",
}
TELLING = (
    "Quixotic Zebedee 31415926 QX-2718 19470203 Larkspur 555-0199 Wintergreen ACC-99887 "
    "STUDY-4711 Honeycomb Marmalade Thistledown ROOM-QX himself 8.498.31415"
).split()


def test_nothing_that_names_a_patient_is_stored_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "images").mkdir()
    image = a_dicom(tmp_path / "images", 1, **NAMES)
    ct = a_dicom(tmp_path / "images", 2, **{**NAMES, "Modality": "CT"})
    broken = image[: len(image) - 4000]
    headers = {"x-request-id": "Quixotic-Zebedee"}
    name = "Quixotic^Zebedee 19470203.dcm"
    app = an_app(tmp_path)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.headers.update(headers)
        for data in (image, ct, broken):
            for path in ("/reports", "/searches", "/batches"):
                own = {"study": "Quixotic"} if path == "/batches" else {}
                client.post(path, files={"images": (name, data)}, data=own)
            client.post(
                "/reports", files={"images": (name, data)}, headers={"prefer": "respond-async"}
            )
            client.post("/images", files={"image": (name, data)})
            client.post("/studies", **related(data))
        client.get("/generations", params={"text": "Quixotic"})
        client.get("/Quixotic/Zebedee")
        for line in client.get("/generations").json()["generations"]:
            address = f"/generations/{line['id']}"
            made = client.get(address).text
            assert not [word for word in TELLING if word in made]
            client.post(f"{address}/dicom-sr", files={"image": (name, image)})
            for export in ("fhir", "pdf", "dicom-sr"):
                exported = client.get(f"{address}/{export}").content
                assert not [word for word in TELLING if word.encode() in exported]
        metrics = client.get("/metrics").text
    records = [r for r in caplog.records if r.name != "httpx"]  # the client's own
    log = "".join(JsonFormatter().format(record) for record in records)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert len(kept) > 50_000 and "request" in log
    for word in TELLING:
        assert word not in log and word not in metrics, word
        assert word.encode() not in kept, word


def test_an_odd_header_is_quoted_by_no_library(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    odd = {
        "PatientName": "Quixotic Zebedee",
        "PatientBirthDate": "Quixotic 1947",
        "PatientSex": "quixotic",
        "StudyDate": "Quixotic day",
        "StudyTime": "Quixotic o'clock",
        "PatientAge": "Quixotic old",
        "PatientWeight": None,
        "AccessionNumber": "Quixotic" * 9,
        "SpecificCharacterSet": "QUIXOTIC",
        "StudyInstanceUID": f"{STUDY}.007",
    }
    with warnings.catch_warnings(action="ignore"):
        image = a_dicom(tmp_path, **odd)
    caplog.clear()
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        app = an_app(tmp_path)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            for path in ("/reports", "/classifications", "/captions", "/searches", "/batches"):
                client.post(path, files={"images": ("a", image)})
            client.post("/images", files={"image": ("a", image)})
            client.post("/studies", **related(image))
            address = made_from(client, image)
            joined = client.post(f"{address}/dicom-sr", files={"image": ("a", image)})
            client.post(f"{address}/pdf", files={"images": ("a", image)})
    assert joined.status_code == 200, joined.text
    log = "".join(JsonFormatter().format(r) for r in caplog.records if r.name != "httpx")
    out = "".join((*capfd.readouterr(), log, *(str(one.message) for one in seen)))
    assert "quixotic" not in out.lower()


@pytest.mark.parametrize("formatter", [JsonFormatter(), TracebackFormatter("%(message)s")])
def test_a_traceback_quotes_no_header(formatter: logging.Formatter) -> None:
    name, born = "Quixotic", "19470203"
    try:
        try:
            raise ValueError(born)
        except ValueError as error:
            raise RuntimeError(name) from error
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("api", logging.ERROR, __file__, 1, "failed", None, info)
    line = formatter.format(record)
    for kept in ("builtins.ValueError", "builtins.RuntimeError", "raise ValueError(born)"):
        assert kept in line
    assert name not in line and born not in line


def test_a_traceback_shows_each_error_of_a_group() -> None:
    name = "Quixotic"
    try:
        raise ExceptionGroup(name, [ValueError(name), KeyError(name)])
    except ExceptionGroup as error:
        line = TracebackFormatter().formatException((type(error), error, error.__traceback__))
    for kept in ("builtins.ValueError", "builtins.KeyError", "builtins.ExceptionGroup"):
        assert kept in line
    assert name not in line
