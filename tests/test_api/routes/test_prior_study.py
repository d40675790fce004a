"""The patient's own prior study over HTTP: its fields, what is stored of it, and its exports."""

import base64
import io
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from litestar.testing import TestClient

from api.pipeline.backends import ExtractiveBackend
from db.app.erasure import WITHDRAWN, erase
from retriever.search import Retriever
from tests.support.dicoms import write_dicom
from tests.support.service.clients import LATER
from tests.support.service.priors import (
    CALIBRATION,
    MarkedEncoder,
    build_priors,
    marked,
    marked_png,
)
from tests.support.service.services import an_app, serving

Client = TestClient[Any]
NOW, BEFORE = marked_png(40, Pleural_Effusion=0.95), marked_png(41, Cardiomegaly=0.95)
DATES = {"prior_date": "2026-05-03", "study_date": "2026-06-01"}
NEW = "Pleural effusion is new since 3 May 2026."
TEXT = 0x0040A160  # TextValue
TOLD = "Heart of Quellwasser is enlarged."


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    index = build_priors(tmp_path_factory.mktemp("served"))
    CALIBRATION.write(index / "calibration.json")
    return Retriever.open(index, MarkedEncoder())


@pytest.fixture
def client(tmp_path: Path, retriever: Retriever) -> Iterator[Client]:
    app = an_app(tmp_path, retriever, ExtractiveBackend(retriever=retriever))  # type: ignore[arg-type]
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def post(
    client: Client,
    form: dict[str, Any],
    *,
    now: bytes = NOW,
    before: bytes | None = BEFORE,
    path: str = "/reports",
    headers: dict[str, str] | None = None,
) -> Any:
    files = [("images", ("now.png", now))]
    if before is not None:
        files.append(("prior_images", ("before.png", before)))
    return client.post(path, files=files, data=form, headers=headers)


def changes(made: dict[str, Any]) -> dict[str, str]:
    return {one["change"]["kind"]: one["text"] for one in made["statements"] if one["change"]}


def test_a_report_compares_with_the_prior_study_that_was_sent(client: Client) -> None:
    answer = post(client, {**DATES, "prior_report": TOLD})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert changes(made) == {
        "new": NEW,
        "no longer seen": "Cardiomegaly, seen on 3 May 2026, is no longer seen.",
    }
    assert made["prior"]["date"] == "2026-05-03" and made["prior"]["study_date"] == "2026-06-01"
    assert len(made["prior"]["observations"]) == 14 and len(made["prior"]["images_sha256"]) == 1
    assert client.get(f"/generations/{made['id']}").json() == made
    assert changes(post(client, {}, before=None).json()) == {}


def test_a_report_for_later_compares_as_well_and_its_images_go(
    client: Client, tmp_path: Path
) -> None:
    answer = post(client, {**DATES, "prior_report": TOLD}, headers=LATER)
    assert answer.status_code == 202, answer.text
    for _ in range(600):
        made = client.get(answer.headers["location"]).json()
        if made["status"] not in ("queued", "running"):
            break
    assert set(changes(made)) == {"new", "no longer seen"}
    with sqlite3.connect(tmp_path / "app.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM job_images").fetchone() == (0,)
        [(options,)] = database.execute("SELECT options FROM job_studies").fetchall()
    assert json.loads(options) == {"task": "report"}


def test_an_earlier_study_of_the_index_is_found_for_a_named_patient(client: Client) -> None:
    form = {"find_prior": "true", "patient_id": "p1", "study_date": "2026-03-20"}
    answer = post(client, form, before=None)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["prior"]["case"] == "local:s2" and made["prior"]["date"] == "2026-03-03"
    assert not {hit["study_id"] for hit in made["hits"]} & {"s2", "s3"}
    assert "p1" not in json.dumps(made)
    later = post(client, form, before=None, headers=LATER)
    assert later.status_code == 202, later.text


@pytest.mark.parametrize(
    ("form", "before", "sentence"),
    [
        ({"prior_date": "2026-07-01", "study_date": "2026-06-01"}, BEFORE, "after the study of"),
        ({}, NOW, "the prior study has the same image as the study"),
        ({}, marked_png(41, frontal=False), "the prior study has no frontal view"),
        ({"prior_date": "2026-05-03"}, None, "send its images as well"),
        ({"patient_id": "p1"}, None, "ask for it to be found"),
        ({"find_prior": "true"}, None, "name the patient's id"),
        ({"find_prior": "true", "patient_id": "p8"}, None, "holds no study of patient 'p8'"),
        ({"prior_date": "May"}, BEFORE, ""),
    ],
)
def test_a_prior_study_that_cannot_be_compared_with_is_a_problem(
    client: Client, form: dict[str, str], before: bytes | None, sentence: str
) -> None:
    answer = post(client, form, before=before)
    assert answer.status_code in (400, 422), answer.text
    assert sentence in answer.json()["detail"]


def test_routes_of_other_tasks_refuse_the_fields_of_a_prior_study(client: Client) -> None:
    for path in ("/classifications", "/captions", "/searches"):
        answer = post(client, {}, path=path)
        assert answer.status_code == 422 and "prior_images" in answer.json()["detail"]


def test_exports_carry_the_comparison_and_its_date(client: Client) -> None:
    made = post(client, DATES).json()
    line = "Comparison: the patient's own prior study of 3 May 2026."
    fhir = client.get(f"/generations/{made['id']}/fhir").json()
    assert line in fhir["conclusion"] and NEW in fhir["conclusion"]
    assert NEW in fhir["text"]["div"] and "[compared with the prior study]" in fhir["text"]["div"]
    sr = client.get(f"/generations/{made['id']}/dicom-sr").content
    texts = [one.value for one in pydicom.dcmread(io.BytesIO(sr)).iterall() if one.tag == TEXT]
    assert line in texts
    assert any(one.startswith(f"{NEW} [compared with the prior study]") for one in texts)
    assert client.get(f"/generations/{made['id']}/pdf").content.startswith(b"%PDF")


def test_nothing_of_the_headers_of_a_prior_study_is_kept(client: Client, tmp_path: Path) -> None:
    headers = {"PatientID": "quell-1", "PatientName": "Quell^Jane", "StudyDate": "20260503"}
    path = write_dicom(tmp_path / "before.dcm", marked(41), ViewPosition="PA", **headers)
    made = post(client, {}, before=path.read_bytes())
    assert made.status_code == 201, made.text
    path.unlink()
    left = made.content + b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    for planted in (b"quell", b"Quell", b"20260503", b"2026-05-03"):
        assert planted not in left


def test_a_deleted_generation_takes_the_comparison_with_it(client: Client, tmp_path: Path) -> None:
    made = post(client, {**DATES, "prior_report": TOLD}).json()
    assert client.delete(f"/generations/{made['id']}").status_code == 204
    left = b"".join(one.read_bytes() for one in tmp_path.rglob("app.sqlite3*") if one.is_file())
    assert b"Quellwasser" not in left and made["prior"]["images_sha256"][0].encode() not in left


def test_an_erased_patient_is_withdrawn_as_a_prior_study(
    client: Client, tmp_path: Path, retriever: Retriever
) -> None:
    form = {"find_prior": "true", "patient_id": "p1", "study_date": "2026-03-20"}
    made = post(client, form, before=None).json()
    [case] = [one for one in retriever.index.cases.studies_of("p1") if one.study_id == "s2"]
    assert case.study_date == date(2026, 3, 3)
    quoted = [one["change"]["quote"] for one in made["statements"] if one["change"]]
    assert quoted == ["There is a pleural effusion."]
    done = erase(tmp_path / "app.sqlite3", [case], at=datetime(2026, 7, 1, tzinfo=UTC))
    assert (done.quotes, done.generations) == (1, 1) and done.own == (made["id"],)
    stored = client.get(f"/generations/{made['id']}").json()
    assert [one["change"]["quote"] for one in stored["statements"] if one["change"]] == [WITHDRAWN]


def test_an_agent_gets_what_changed(tmp_path: Path, retriever: Retriever) -> None:
    pytest.importorskip("mcp")
    from tests.test_api.routes.test_mcp import called, lines, refused

    backend = ExtractiveBackend(retriever=retriever)
    app = an_app(tmp_path, retriever, backend, mcp=True)  # type: ignore[arg-type]
    now, before = ([base64.b64encode(one).decode()] for one in (NOW, BEFORE))
    with serving(app) as address:
        made = called(address, "write_report", images=now, prior_images=before, **DATES)
        wrong = called(address, "write_report", images=now, **DATES)
    assert any(NEW in line for line in lines(made))
    assert "prior" in refused(wrong)
