"""The routes of ``serve --pacs URL``, against a PACS whose answers are scripted."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from litestar.testing import TestClient

from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection, PacsLimits
from db.app.audit_log import AuditEntry
from db.app.database import AppDatabase
from db.app.generation import NOTICE, OodCheck
from tests.support.pacs import (
    STUDY,
    Scripted,
    a_description,
    an_image,
    an_instance,
    answer,
    holding,
    related,
    scripted,
)
from tests.support.service.clients import HTTP, images
from tests.support.service.services import NOW, FakeRetriever, a_case, an_app, free_port

Client = TestClient[Any]
WANTED = {"study": STUDY}
NO_ID = "00000000-0000-0000-0000-000000000000"
PLANTED = ("Quixotic", "Zebedee", "MRN-31415926", "19470203", STUDY, "A17")
"""What no log, audit entry or stored report may hold of a header or a request."""


@contextmanager
def beside(
    url: str, tmp_path: Path, retriever: FakeRetriever | None = None, **settings: Any
) -> Iterator[Client]:
    """A client of a service beside the PACS at ``url``."""
    limits = PacsLimits(pauses=(0.0,), seconds=20)
    pacs = Pacs(PacsConnection(url, limits=limits))
    app = an_app(tmp_path, retriever, pacs=pacs, **settings)
    with TestClient(app, base_url=HTTP) as client:
        yield client


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(holding(an_image(tmp_path, 1), an_image(tmp_path, 2))) as found:
        yield found


@pytest.fixture
def client(there: Scripted, tmp_path: Path) -> Iterator[Client]:
    with beside(there.url, tmp_path) as client:
        yield client


def audited(tmp_path: Path) -> list[AuditEntry]:
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        return list(database.audit)


def sent_to(there: Scripted) -> list[pydicom.Dataset]:
    """The reports that the PACS was sent."""
    bodies = [asked.body for asked in there.asked if asked.method == "POST"]
    return [pydicom.dcmread(io.BytesIO(b[b.index(b"\r\n\r\n") + 4 :])) for b in bodies]


def test_studies_are_searched_for_and_listed(client: Client, there: Scripted) -> None:
    asked = {"date": "20260101-20260131", "modalities": ["CR"], "patient_id": "MRN-31415926"}
    found = client.post("/pacs/searches", json=asked)
    assert found.status_code == 200, found.text
    assert found.json() == {
        "target": there.url,
        "complete": True,
        "studies": [
            {
                "uid": STUDY,
                "date": "20260115",
                "time": "101500",
                "modalities": ["CR"],
                "description": "",
                "patient_id": "MRN-31415926",
                "accession_number": "",
                "instances": 2,
            }
        ],
    }


def test_a_study_is_fetched_and_reported_on_and_nothing_is_sent(
    client: Client, there: Scripted
) -> None:
    made = client.post("/pacs/reports", json={**WANTED, "k": 2, "indication": "cough"})
    assert made.status_code == 201, made.text
    report = made.json()
    assert len(report["images_sha256"]) == 2 and report["indication"] == "cough"
    assert client.get(made.headers["location"]).json() == report
    assert all(asked.method == "GET" for asked in there.asked)


def test_a_report_is_sent_back_preliminary_unverified_and_research_use_first(
    client: Client, there: Scripted
) -> None:
    made = client.post("/pacs/reports", json=WANTED).json()
    asked = {"generation": made["id"], "study": STUDY, "target": there.url}
    sent = client.post("/pacs/send-back", json=asked)
    assert sent.status_code == 201, sent.text
    (report,) = sent_to(there)
    assert sent.json() == {
        "target": there.url,
        "study": STUDY,
        "instance": report.SOPInstanceUID,
        "notice": NOTICE,
    }
    assert report.StudyInstanceUID == STUDY and report.PatientID == "MRN-31415926"
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert report.ContentSequence[0].TextValue == NOTICE
    client.post("/pacs/send-back", json=asked)
    assert sent_to(there)[1].SOPInstanceUID == report.SOPInstanceUID


def test_a_warning_comes_second_in_what_is_sent(there: Scripted, tmp_path: Path) -> None:
    unlike = OodCheck(in_distribution=False, score=-4.0, threshold=-2.0, reason="no radiograph")
    with beside(there.url, tmp_path, FakeRetriever([a_case(1)], ood=unlike)) as client:
        made = client.post("/pacs/reports", json=WANTED).json()
        client.post(
            "/pacs/send-back",
            json={"generation": made["id"], "study": STUDY, "target": there.url},
        )
    (report,) = sent_to(there)
    assert "no radiograph" in report.ContentSequence[1].TextValue


@pytest.mark.parametrize(
    ("changed", "status", "sentence"),
    [
        ({"target": "http://elsewhere.example/dicom-web"}, 409, "sends to http://127.0.0.1"),
        ({"study": "1.2.3"}, 404, "holds no study 1.2.3"),
        ({"study": "../system"}, 422, "not a StudyInstanceUID"),
        ({"generation": NO_ID}, 404, "no generation"),
        ({"target": None}, 400, "target"),
        ({"force": True}, 400, "force"),
    ],
)
def test_only_the_own_report_goes_to_its_study_at_the_named_target(
    client: Client, there: Scripted, changed: dict[str, Any], status: int, sentence: str
) -> None:
    made = client.post("/pacs/reports", json=WANTED).json()
    asked = {"generation": made["id"], "study": STUDY, "target": there.url, **changed}
    refused = client.post("/pacs/send-back", json=asked)
    assert refused.status_code == status and sentence in refused.json()["detail"], refused.text
    assert not sent_to(there)


def test_a_report_of_other_images_is_not_sent(client: Client, there: Scripted) -> None:
    made = client.post("/reports", files=images(7)).json()
    refused = client.post(
        "/pacs/send-back", json={"generation": made["id"], "study": STUDY, "target": there.url}
    )
    assert refused.status_code == 409 and "not made from an image" in refused.json()["detail"]
    assert not sent_to(there)


def test_a_report_is_not_sent_for_a_patient_whose_id_is_not_valid(tmp_path: Path) -> None:
    image = an_image(tmp_path, PatientID=["one", "two"])
    with scripted(holding(image)) as there, beside(there.url, tmp_path) as client:
        made = client.post("/pacs/reports", json=WANTED).json()
        asked = {"generation": made["id"], "study": STUDY, "target": there.url}
        refused = client.post("/pacs/send-back", json=asked)
    assert refused.status_code == 422 and "PatientID" in refused.json()["detail"]
    assert not sent_to(there)


def test_an_image_of_another_study_is_not_reported_on(tmp_path: Path) -> None:
    wrong = an_image(tmp_path, StudyInstanceUID="1.2.3")
    with scripted(holding(wrong)) as there, beside(there.url, tmp_path) as client:
        refused = client.post("/pacs/reports", json=WANTED)
        assert refused.status_code == 502
        assert "not of the study asked for" in refused.json()["detail"]
        assert client.get("/generations").json()["total"] == 0


@pytest.mark.parametrize(
    "answers",
    [
        [answer(b"<html>", kind="text/html")],
        [answer(status=401)],
        [answer(status=503)],
        [answer([an_instance(1)]), answer(b"<html>", kind="text/html")],
    ],
)
def test_a_pacs_that_fails_is_a_502_with_one_sentence(answers: list[bytes], tmp_path: Path) -> None:
    with scripted(*answers) as there, beside(there.url, tmp_path) as client:
        refused = client.post("/pacs/reports", json=WANTED)
        assert refused.status_code == 502 and there.url in refused.json()["detail"]


def test_an_image_that_cannot_be_read_is_a_422(tmp_path: Path) -> None:
    answers = answer([an_instance(1)]), related(b"no image at all")
    with scripted(*answers) as there, beside(there.url, tmp_path) as client:
        refused = client.post("/pacs/reports", json=WANTED)
        assert refused.status_code == 422 and "image 1 of the study" in refused.json()["detail"]


def test_a_pacs_that_is_down_is_a_502(tmp_path: Path) -> None:
    with beside(f"http://127.0.0.1:{free_port()}/dicom-web", tmp_path) as client:
        refused = client.post("/pacs/searches", json={})
        assert refused.status_code == 502 and "cannot be reached" in refused.json()["detail"]
        assert client.get("/health/ready").status_code == 200


def test_a_server_without_a_pacs_says_so(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        for path, body in (("searches", {}), ("reports", WANTED)):
            refused = client.post(f"/pacs/{path}", json=body)
            assert refused.status_code == 404 and "--pacs URL" in refused.json()["detail"]


def test_the_pacs_needs_a_scope_of_its_own_and_the_own_report(
    there: Scripted, tmp_path: Path
) -> None:
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        keys = {
            name: {"authorization": f"Bearer {database.keys.add(name, scopes, at=NOW)}"}
            for name, scopes in (
                ("ward", ["read", "generate"]),
                ("archive", ["pacs"]),
                ("other", ["pacs"]),
            )
        }
    with beside(there.url, tmp_path, require_keys=True) as client:
        for path in ("searches", "reports", "send-back"):
            assert client.post(f"/pacs/{path}", json={}).status_code == 401
            assert client.post(f"/pacs/{path}", json={}, headers=keys["ward"]).status_code == 403
        assert not there.asked
        made = client.post("/pacs/reports", json=WANTED, headers=keys["archive"]).json()
        asked = {"generation": made["id"], "study": STUDY, "target": there.url}
        refused = client.post("/pacs/send-back", json=asked, headers=keys["other"])
        assert refused.status_code in (403, 404) and not sent_to(there)
        sent = client.post("/pacs/send-back", json=asked, headers=keys["archive"])
        assert sent.status_code == 201


def test_what_is_asked_of_the_pacs_is_audited_without_patient_or_study(
    there: Scripted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with beside(there.url, tmp_path) as client:
        client.post("/pacs/searches", json={"patient_id": "MRN-31415926"})
        made = client.post("/pacs/reports", json=WANTED).json()
        asked = {"generation": made["id"], "study": STUDY, "target": there.url}
        sent = client.post("/pacs/send-back", json=asked).json()
    entries = {entry.action: entry.details for entry in audited(tmp_path)}
    assert entries.keys() == {
        *("pacs searched", "report", "pacs report", "sending to pacs", "sent to pacs")
    }
    assert entries["pacs report"] == {"generation": made["id"], "pacs": there.url}
    assert entries["pacs searched"]["by_patient"] is True
    assert entries["sent to pacs"] == {
        "generation": made["id"],
        "pacs": there.url,
        "instance": sent["instance"],
    }
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("app.sqlite3*"))
    logged = "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpx")
    )
    for planted in PLANTED:
        assert planted not in logged + json.dumps(made), planted
        assert planted.encode() not in kept, planted


FAILING: list[list[bytes]] = [
    [answer(status=503)],
    [answer(b"<html>", kind="text/html")],
    [answer(status=401)],
]


@pytest.mark.parametrize("answers", FAILING, ids=["busy", "nonsense", "refuses"])
def test_what_fails_with_the_pacs_is_audited_with_its_status(
    answers: list[bytes], tmp_path: Path
) -> None:
    with scripted(*answers) as there, beside(there.url, tmp_path) as client:
        made = client.post("/reports", files=images(1)).json()
        asked = {"generation": made["id"], "study": STUDY, "target": there.url}
        assert client.post("/pacs/searches", json={}).status_code == 502
        assert client.post("/pacs/reports", json=WANTED).status_code == 502
        assert client.post("/pacs/send-back", json=asked).status_code == 502
    _, *failed = audited(tmp_path)
    assert [entry.action for entry in failed] == [
        *("pacs search failed", "pacs report failed", "sending to pacs failed")
    ]
    assert [entry.details for entry in failed] == [{"pacs": there.url, "status": 502}] * 3


def test_every_refused_attempt_is_audited_without_what_was_asked(tmp_path: Path) -> None:
    with beside(f"http://127.0.0.1:{free_port()}/dicom-web", tmp_path) as client:
        client.post("/pacs/reports", json=WANTED)  # it is down
        client.post("/pacs/reports", json={"study": "../Quixotic"})
        client.post("/pacs/searches", json={"date": "19470203-1"})
        client.post("/pacs/send-back", json={"generation": NO_ID, "study": STUDY, "target": "x"})
    entries = audited(tmp_path)
    assert [(entry.action, entry.details["status"]) for entry in entries] == [
        ("pacs report failed", 502),
        ("pacs report failed", 422),
        ("pacs search failed", 422),
        ("sending to pacs failed", 409),
    ]
    assert not [planted for planted in PLANTED if planted in str(entries)]


def test_nothing_is_sent_for_a_key_that_is_revoked_meanwhile(
    there: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        key = database.keys.add("archive", ["pacs"], at=NOW)
    with beside(there.url, tmp_path, require_keys=True) as client:
        client.headers["authorization"] = f"Bearer {key}"
        made = client.post("/pacs/reports", json=WANTED).json()
        asked = {"generation": made["id"], "study": STUDY, "target": there.url}
        fetch = Pacs.fetch_each

        async def revoking(*arguments: Any) -> Any:
            with AppDatabase.open(tmp_path / "app.sqlite3") as database:
                database.keys.revoke("archive", at=NOW)
            return await fetch(*arguments)

        monkeypatch.setattr(Pacs, "fetch_each", revoking)
        refused = client.post("/pacs/send-back", json=asked)
        assert refused.status_code == 403 and "revoked" in refused.json()["detail"]
    assert not sent_to(there)


def test_a_search_that_finds_more_says_so(tmp_path: Path) -> None:
    many = [a_description(f"1.2.{number}") for number in range(300)]
    with scripted(answer(many)) as there, beside(there.url, tmp_path) as client:
        found = client.post("/pacs/searches", json={"modalities": ["CR"]}).json()
    assert len(found["studies"]) == 200 and found["complete"] is False
