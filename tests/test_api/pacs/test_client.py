import io
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydicom.uid import (
    BasicTextSRStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from api.export.dicom_sr import to_dicom_sr
from api.pacs.address import PASSWORD, TOKEN, USER, credentials
from api.pacs.client import Pacs, check_images
from api.pacs.connection import PacsConnection, PacsError, PacsLimits
from api.pacs.studies import StudyQuery
from db.errors import NotFoundError, TooLargeError, UserError
from indexer.images.reader import read_radiograph
from tests.support.pacs import (
    STUDY,
    Answer,
    a_description,
    an_image,
    an_instance,
    answer,
    attribute,
    confirmed,
    related,
    scripted,
)
from tests.support.service.records import a_generation
from tests.support.service.services import free_port

JANUARY = StudyQuery(date="20260101-20260131", modalities=("CR",))


def pacs(url: str, auth: httpx2.Auth | None = None, **limits: Any) -> Pacs:
    settings = {"pauses": (0.0, 0.0), **limits}
    return Pacs(PacsConnection(url, auth=auth, limits=PacsLimits(**settings)))


def searched(url: str, query: StudyQuery = JANUARY, **limits: Any) -> Any:
    return anyio.run(pacs(url, **limits).search, query)


def fetched(url: str, **limits: Any) -> list[bytes]:
    return anyio.run(pacs(url, **limits).fetch, STUDY)


def test_a_search_asks_once_for_each_modality_and_lists_the_newest_study_first() -> None:
    old = a_description("1.2.3", **{"00080020": attribute("DA", "20260102")})
    query = StudyQuery(date="20260101-20260131", modalities=("DX", "CR"), patient_id="P 1&x=2")
    with scripted(answer([old, a_description()]), answer([a_description()])) as there:
        found = searched(there.url, query)
    assert [one.uid for one in found.studies] == [STUDY, "1.2.3"] and found.complete
    assert found.target == there.url
    asked = [httpx2.URL(one.target) for one in there.asked]
    assert {one.path for one in asked} == {"/dicom-web/studies"}
    assert [one.params["ModalitiesInStudy"] for one in asked] == ["DX", "CR"]
    assert all(one.params["StudyDate"] == "20260101-20260131" for one in asked)
    assert all(one.params["PatientID"] == "P 1&x=2" for one in asked)


def test_a_listed_study_has_no_name_and_no_control_characters() -> None:
    odd = a_description(**{"00081030": attribute("LO", "Chest\x1b[31m\npa")})
    with scripted(answer([odd])) as there:
        (study,) = searched(there.url).studies
    assert "Quixotic" not in repr(study)
    assert (study.description, study.patient_id, study.instances) == (
        "Chest [31m pa",
        "MRN-31415926",
        2,
    )


def test_an_empty_list_is_no_study() -> None:
    for nothing in (answer(status=204), answer([])):
        with scripted(nothing) as there:
            assert searched(there.url).studies == []


def test_a_search_says_when_there_are_more_studies_than_it_lists() -> None:
    many = [a_description(f"1.2.{number}") for number in range(4)]
    with scripted(answer(many)) as there:
        found = searched(there.url, max_studies=3)
    assert len(found.studies) == 3 and not found.complete


@pytest.mark.parametrize(
    "wrong",
    [
        {"date": "2026-01-01"},
        {"date": "20260230"},
        {"date": "-"},
        {"date": "20260102-20260101"},
        {"date": "2026010120260102"},
        {"modalities": ()},
        {"modalities": ("CR&limit=9",)},
        {"patient_id": "*"},
        {"patient_id": "a\nb"},
    ],
)
def test_a_query_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        StudyQuery(**wrong)


def test_days_may_be_open_at_one_end() -> None:
    for days in ("20260101", "20260101-", "-20260101", "20260101-20260101"):
        assert StudyQuery(date=days).date == days


def test_the_radiographs_of_a_study_are_fetched_as_they_are(tmp_path: Path) -> None:
    files = [an_image(tmp_path, number) for number in (1, 2)]
    listed = [an_instance(1), an_instance(7, BasicTextSRStorage), an_instance(2)]
    with scripted(answer(listed), *map(related, files)) as there:
        assert fetched(there.url) == files
    instances = f"/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1."
    assert [one.target for one in there.asked[1:]] == [f"{instances}1", f"{instances}2"]


@pytest.mark.parametrize(
    ("kinds", "best"),
    [
        ([SecondaryCaptureImageStorage, DigitalXRayImageStorageForPresentation], 2),
        ([DigitalXRayImageStorageForProcessing, SecondaryCaptureImageStorage], 1),
        ([SecondaryCaptureImageStorage, BasicTextSRStorage], 1),
    ],
)
def test_images_for_presentation_are_preferred(kinds: list[str], best: int, tmp_path: Path) -> None:
    listed = [an_instance(number, kind) for number, kind in enumerate(kinds, start=1)]
    with scripted(answer(listed), related(an_image(tmp_path))) as there:
        fetched(there.url)
    assert [one.target.rpartition(".")[2] for one in there.asked[1:]] == [str(best)]


def test_a_file_that_is_not_in_a_multipart_body_is_taken(tmp_path: Path) -> None:
    file = an_image(tmp_path)
    with scripted(answer([an_instance(1)]), answer(file, kind="application/dicom")) as there:
        assert fetched(there.url) == [file]


@pytest.mark.parametrize("nothing", [answer([]), answer(status=404), answer(status=204)])
def test_a_study_that_is_not_there_is_not_found(nothing: bytes) -> None:
    with scripted(nothing) as there, pytest.raises(NotFoundError, match=f"no study {STUDY}"):
        fetched(there.url)


def test_a_study_without_a_radiograph_is_not_found() -> None:
    listed = answer([an_instance(1, BasicTextSRStorage)])
    with scripted(listed) as there, pytest.raises(NotFoundError, match="no radiograph"):
        fetched(there.url)
    assert len(there.asked) == 1


def test_a_study_of_many_radiographs_is_refused_before_any_is_fetched() -> None:
    listed = answer([an_instance(number) for number in range(9)])
    with scripted(listed) as there, pytest.raises(TooLargeError, match="9 radiographs"):
        fetched(there.url)
    assert len(there.asked) == 1


@pytest.mark.parametrize("study", ["", "1.2/../3", "1..2", "1.2?x", "a", "1" * 65, "1.2\n"])
def test_only_an_identifier_becomes_part_of_an_address(study: str) -> None:
    with scripted(answer([])) as there, pytest.raises(UserError, match="is not a StudyInstanceUID"):
        anyio.run(pacs(there.url).fetch, study)
    assert not there.asked


def test_a_pacs_that_is_down_is_one_sentence() -> None:
    with pytest.raises(PacsError, match=r"cannot be reached: check the address, and that it runs$"):
        searched(f"http://127.0.0.1:{free_port()}/dicom-web")


def silent() -> Iterator[bytes]:
    threading.Event().wait(3)
    yield b""


def dripping(start: bytes) -> Iterator[bytes]:
    """A byte now and then, never the last."""
    yield start
    while True:
        threading.Event().wait(0.02)
        yield b" "


@pytest.mark.parametrize(
    ("slow", "limits", "sentence"),
    [
        (silent, {"silent_seconds": 0.2}, "sent nothing for 0.2 seconds"),
        (silent, {"seconds": 0.5}, "did not answer within 0.5 seconds"),
        (lambda: dripping(b"HTTP/1.1 200 Drawn\r\nX-Slow: "), {"seconds": 0.5}, "within 0.5"),
        (
            lambda: dripping(b"HTTP/1.1 200 Drawn\r\nContent-Length: 1000000\r\n\r\n["),
            {"seconds": 0.5},
            "within 0.5 seconds",
        ),
    ],
)
def test_a_slow_pacs_is_one_sentence(slow: Any, limits: dict[str, float], sentence: str) -> None:
    with scripted(lambda _: slow()) as there, pytest.raises(PacsError, match=sentence):
        searched(there.url, **limits)


DEEP = b'[{"00081199":' + b'{"Value":[' * 100_000
NO_UID = [{"00080020": attribute("DA", "20260115")}]


@pytest.mark.parametrize(
    "nonsense",
    [
        answer(b"<html>Welcome</html>", kind="text/html"),
        answer({"studies": []}),
        answer([17]),
        answer([{"0020000D": "1.2"}]),
        answer([{"0020000D": {"Value": "1.2"}}]),
        answer(NO_UID),
        answer([a_description("1.2/../../system")]),
        answer(b"\xff\xfe[]"),
        answer(DEEP),
        answer(b"[]", Content_Encoding="gzip"),
        answer(status=404),
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 Drawn\r\nContent-Length: 99\r\n\r\n[]",
    ],
)
def test_nonsense_is_one_sentence(nonsense: bytes) -> None:
    with scripted(nonsense) as there, pytest.raises(PacsError, match="check that this is the addr"):
        searched(there.url)


@pytest.mark.parametrize(
    "nonsense",
    [
        answer([]),
        related(),
        related(b"one", b"two"),
        related(b"one", boundary="other"),
        answer(b"--drawn\r\n", kind="multipart/related; boundary=drawn"),
        answer(b"x", kind="multipart/related"),
    ],
)
def test_a_file_that_is_nonsense_is_one_sentence(nonsense: bytes) -> None:
    with (
        scripted(answer([an_instance(1)]), nonsense) as there,
        pytest.raises(PacsError, match="check that this is the address of its DICOMweb"),
    ):
        fetched(there.url)


def test_a_huge_answer_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 Drawn\r\nContent-Type: application/dicom\r\n\r\n"
        for _ in range(10_000):
            sent.append(1)
            yield b"x" * 10_000

    with (
        scripted(lambda _: endless()) as there,
        pytest.raises(PacsError, match="sent more than 50,000 bytes"),
    ):
        searched(there.url, max_document_bytes=50_000)
    assert len(sent) < 10_000


def test_the_bytes_of_all_images_of_a_study_are_bounded(tmp_path: Path) -> None:
    file = an_image(tmp_path)
    listed = answer([an_instance(1), an_instance(2)])
    with scripted(listed, related(file)) as there, pytest.raises(PacsError, match="sent more than"):
        fetched(there.url, max_bytes=len(file) + 1_000)
    assert len(there.asked) == 3


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, rf"refuses access \(401\): set {TOKEN}"),
        (403, r"refuses access \(403\)"),
        (400, r"status 400: see its log"),
        (500, r"status 500: see its log"),
    ],
)
def test_a_refusal_is_one_sentence_and_is_not_repeated(status: int, sentence: str) -> None:
    with (
        scripted(answer(b"x" * 200_000, status=status)) as there,
        pytest.raises(PacsError, match=sentence),
    ):
        searched(there.url)
    assert len(there.asked) == 1


def test_a_redirection_is_not_followed() -> None:
    with scripted(answer([])) as elsewhere:
        away = answer(status=302, Location=f"{elsewhere.url}/studies")
        with scripted(away) as there, pytest.raises(PacsError, match="redirects elsewhere"):
            searched(there.url)
    assert not elsewhere.asked


@pytest.mark.parametrize("busy", [answer(status=503), answer(status=429), b""])
def test_a_busy_pacs_is_asked_again_and_not_for_ever(busy: Answer) -> None:
    with scripted(busy, busy, answer([a_description()])) as there:
        assert len(searched(there.url).studies) == 1
    with scripted(busy) as there, pytest.raises(PacsError, match=r"again later|valid HTTP answer"):
        searched(there.url)
    assert len(there.asked) == 3


def test_a_report_is_sent_once_and_is_stored_when_the_pacs_says_so() -> None:
    sr = to_dicom_sr(a_generation())
    with scripted(lambda asked: answer(confirmed(instance_of(asked.body)))) as there:
        instance = anyio.run(pacs(there.url).store, sr)
    (asked,) = there.asked
    assert (asked.method, asked.target) == ("POST", "/dicom-web/studies")
    assert asked.headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert sr in asked.body and instance.encode() in sr


def instance_of(body: bytes) -> str:
    file = body[body.index(b"\r\n\r\n") + 4 :]
    return str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID)


REFUSED = {"00081198": attribute("SQ", {"00081197": attribute("US", 0xA700)})}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (answer(REFUSED, status=409), r"refused the report \(reason A700H\)"),
        (answer(REFUSED, status=202), "refused the report"),
        (answer({}), "did not confirm"),
        (answer(confirmed("1.2.3")), "did not confirm"),
        (answer([]), "no DICOM JSON"),
        (answer({"00081199": attribute("SQ", 17)}), "no DICOM JSON"),
        (answer(b""), "no DICOM JSON"),
        (answer(status=404), "no place to store"),
        (answer(status=503), "busy"),
    ],
)
def test_a_report_that_is_not_confirmed_is_one_sentence(told: bytes, sentence: str) -> None:
    with scripted(told) as there, pytest.raises(PacsError, match=sentence):
        anyio.run(pacs(there.url).store, to_dicom_sr(a_generation()))
    assert len(there.asked) == 1


def test_an_image_of_another_study_is_refused(tmp_path: Path) -> None:
    image = read_radiograph(an_image(tmp_path))
    check_images([image], STUDY, "")
    with pytest.raises(PacsError, match="not of the study asked for"):
        check_images([image], "1.2.3", "http://127.0.0.1")


def header_sent(environment: dict[str, str]) -> str | None:
    with scripted(answer([])) as there:
        auth = credentials(there.url, environment)
        anyio.run(pacs(there.url, auth).search, JANUARY)
    return there.asked[0].headers.get("authorization")


def test_credentials_come_from_the_environment_or_a_netrc_file(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login desk password drawn-two\n")
    other = tmp_path / "other"
    other.write_text("machine pacs.example login desk password drawn-two\n")
    for path in (file, other):
        path.chmod(0o600)
    assert header_sent({TOKEN: "drawn-token", "NETRC": str(file)}) == "Bearer drawn-token"
    assert header_sent({USER: "ward", PASSWORD: "drawn", "NETRC": str(file)}) == (
        "Basic d2FyZDpkcmF3bg=="
    )
    assert header_sent({"NETRC": str(file)}) == "Basic ZGVzazpkcmF3bi10d28="
    assert header_sent({"NETRC": str(other)}) is None


def test_credentials_that_cannot_be_used_are_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 password drawn-secret drawn-secret\n")
    url = "http://127.0.0.1/dicom-web"
    for environment in (
        {USER: "drawn-secret"},
        {PASSWORD: "drawn-secret"},
        {TOKEN: "drawn-secret\r\nX: y"},
        {"NETRC": str(file)},
    ):
        with pytest.raises(UserError) as refused:
            credentials(url, environment)
        assert "drawn-secret" not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_a_password_is_not_sent_in_the_clear_to_another_machine() -> None:
    auth = httpx2.BasicAuth("ward", "drawn-secret")
    with pytest.raises(UserError, match="use https"):
        PacsConnection("http://pacs.example/dicom-web", auth=auth)
    PacsConnection("https://pacs.example/dicom-web", auth=auth)
    PacsConnection("http://pacs.example/dicom-web")


@pytest.mark.parametrize(
    "url",
    [
        "pacs.example",
        "ftp://pacs.example",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "https://pacs.example/?x=1",
        "https://pacs.example/#x",
        "https://ward:drawn-secret@pacs.example/",
        "http://[::1",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UserError) as refused:
        PacsConnection(url)
    assert "drawn-secret" not in str(refused.value)


def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with scripted(answer([a_description()]), tls=context) as there:
        with pytest.raises(PacsError, match=r"the certificate of the PACS .* is not trusted"):
            searched(there.url)
        assert not there.asked
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert len(searched(there.url).studies) == 1


def self_signed(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "drawn")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "drawn.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
