"""Against a real PACS: Orthanc with its DICOMweb plug-in, holding drawn images."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from litestar.testing import TestClient

from api.pacs.address import PASSWORD as PASSWORD_VARIABLE
from api.pacs.address import USER as USER_VARIABLE
from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection, PacsError, PacsLimits
from api.pacs.studies import StudyQuery
from db.app.generation import NOTICE
from db.errors import NotFoundError
from grounded_cxr.__main__ import main
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.pacs import PASSWORD, STUDY, USER, an_image, orthanc
from tests.support.service.clients import HTTP
from tests.support.service.services import an_app

OTHER = f"{STUDY}9"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A running Orthanc."""

    client: httpx.Client
    url: str
    files: list[bytes]
    """The two images of `STUDY` that it holds, beside one image of another study."""

    def pacs(self, password: str = PASSWORD) -> Pacs:
        return Pacs(PacsConnection(self.url, auth=httpx2.BasicAuth(USER, password)))

    def reports(self) -> list[dict[str, Any]]:
        """The structured reports of `STUDY`, as Orthanc shows them."""
        found = self.client.post(
            "/tools/find",
            json={
                "Level": "Instance",
                "Query": {"StudyInstanceUID": STUDY, "Modality": "SR"},
            },
        ).json()
        return [self.client.get(f"/instances/{one}/simplified-tags").json() for one in found]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("orthanc")
    other = {
        "StudyInstanceUID": OTHER,
        "SeriesInstanceUID": f"{OTHER}.1",
        "SOPInstanceUID": f"{OTHER}.1.1",
        "StudyDate": "20250301",
        "PatientID": "MRN-2",
    }
    files = [an_image(folder, 1), an_image(folder, 2, ViewPosition="LATERAL")]
    with orthanc(folder) as running:
        for file in (*files, an_image(folder, 3, **other)):
            assert running.client.post("/instances", content=file).is_success
        yield Archive(client=running.client, url=running.url, files=files)


def found(archive: Archive, **query: Any) -> list[str]:
    return [one.uid for one in anyio.run(archive.pacs().search, StudyQuery(**query)).studies]


def test_studies_are_found_by_date_modality_and_patient(archive: Archive) -> None:
    assert found(archive) == [STUDY, OTHER]
    assert found(archive, date="20260101-20260131") == [STUDY]
    assert found(archive, date="-20251231") == [OTHER]
    assert found(archive, date="20260115", modalities=("CR",)) == [STUDY]
    assert found(archive, modalities=("DX",)) == found(archive, date="20270101-") == []
    assert found(archive, patient_id="MRN-2") == [OTHER]
    study, _ = anyio.run(archive.pacs().search, StudyQuery()).studies
    assert (study.date, study.modalities, study.patient_id) == ("20260115", ["CR"], "MRN-31415926")
    assert study.instances == 2


def test_the_images_of_a_study_are_fetched_as_they_were_stored(archive: Archive) -> None:
    fetched = anyio.run(archive.pacs().fetch, STUDY)
    assert sorted(fetched) == sorted(archive.files)


def test_what_orthanc_does_not_hold_or_allow_is_one_sentence(archive: Archive) -> None:
    with pytest.raises(NotFoundError, match="holds no study"):
        anyio.run(archive.pacs().fetch, "1.2.3")
    with pytest.raises(PacsError, match="refuses access"):
        anyio.run(archive.pacs("wrong").search, StudyQuery())
    elsewhere = Pacs(
        PacsConnection(f"{archive.client.base_url}/app", auth=httpx2.BasicAuth(USER, PASSWORD))
    )
    with pytest.raises(PacsError, match="check that this is the address of its DICOMweb"):
        anyio.run(elsewhere.search, StudyQuery())


def check_shown(shown: dict[str, Any]) -> None:
    """A report in Orthanc: preliminary, unverified, of the patient, the research-use line first."""
    assert (shown["VerificationFlag"], shown["PreliminaryFlag"]) == ("UNVERIFIED", "PRELIMINARY")
    assert shown["CompletionFlag"] == "PARTIAL"
    assert shown["PatientID"] == "MRN-31415926" and shown["PatientName"] == "Quixotic^Zebedee"
    assert shown["ContentSequence"][0]["TextValue"] == NOTICE


def test_the_service_finds_fetches_reports_and_sends_back(archive: Archive, tmp_path: Path) -> None:
    before = len(archive.reports())
    with TestClient(an_app(tmp_path, pacs=archive.pacs()), base_url=HTTP) as client:
        listed = client.post("/pacs/searches", json={"date": "20260115"}).json()
        study = listed["studies"][0]["uid"]
        made = client.post("/pacs/reports", json={"study": study})
        assert made.status_code == 201, made.text
        assert len(archive.reports()) == before
        asked = {"generation": made.json()["id"], "study": study, "target": listed["target"]}
        sent = client.post("/pacs/send-back", json=asked)
        assert sent.status_code == 201, sent.text
        assert client.post("/pacs/send-back", json=asked).status_code == 201
    shown = [one for one in archive.reports() if one["SOPInstanceUID"] == sent.json()["instance"]]
    assert len(shown) == 1 and len(archive.reports()) == before + 1
    check_shown(shown[0])


def test_the_command_line_finds_fetches_reports_and_sends_back(
    archive: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = ReportEncoder({"Cardiomegaly": 0.8})
    build(JsonLines(write_studies(tmp_path / "studies", 8)), encoder, tmp_path / "index")
    monkeypatch.setattr("retriever.search.load_encoder", lambda name, **_: encoder)
    monkeypatch.setenv(USER_VARIABLE, USER)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    before = len(archive.reports())
    capsys.readouterr()

    assert main(["pacs", "search", archive.url, "--date", "20260101-20260131"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split("\t")[0] == STUDY and listed[-1] == f"1 study on {archive.url}"

    report = ["pacs", "report", archive.url, STUDY, str(tmp_path / "index"), "--model", "none"]
    assert main(report) == 0
    written = capsys.readouterr()
    assert "FINDINGS" in written.out and NOTICE in written.out and not written.err
    assert len(archive.reports()) == before

    assert main([*report, "--send-back"]) == 0
    target, stored = capsys.readouterr().err.splitlines()
    assert target.startswith(f"Sending to {archive.url}, study {STUDY}: a preliminary, unverified")
    assert target.endswith(NOTICE)
    instance = stored.removeprefix("stored as instance ")
    (shown,) = [one for one in archive.reports() if one["SOPInstanceUID"] == instance]
    check_shown(shown)
    assert PASSWORD not in target + stored + written.out


def test_an_orthanc_that_hangs_or_ends_is_one_sentence(tmp_path: Path) -> None:
    limits = PacsLimits(silent_seconds=1.0, pauses=(0.0,))
    with orthanc(tmp_path) as running:
        auth = httpx2.BasicAuth(USER, PASSWORD)
        pacs = Pacs(PacsConnection(running.url, auth=auth, limits=limits))
        running.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(PacsError, match="sent nothing for 1 seconds"):
                anyio.run(pacs.search, StudyQuery())
        finally:
            running.process.send_signal(signal.SIGCONT)
        unhurried = Pacs(PacsConnection(running.url, auth=auth))
        assert anyio.run(unhurried.search, StudyQuery()).studies == []
        running.process.terminate()
        running.process.wait(60)
        with pytest.raises(PacsError, match="cannot be reached"):
            anyio.run(pacs.search, StudyQuery())
