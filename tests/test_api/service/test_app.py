"""What holds for every route: hosts, headers, problem documents, OpenAPI."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from openapi_spec_validator import validate

from tests.conftest import ROOT
from tests.support.service.services import a_png, an_app

HTTP = "http://127.0.0.1"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient[Any]]:
    sample = tmp_path / "sample.png"
    sample.write_bytes(a_png(3))
    with TestClient(an_app(tmp_path, sample_path=sample), base_url=HTTP) as client:
        yield client


def test_health_reports_index_versions_and_limits(client: TestClient[Any]) -> None:
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["index"]["fingerprint"] == "f1" * 32
    assert health["index"]["studies"] == 4
    assert health["limits"] == {"max_images": 8, "max_body_bytes": 256 * 1024 * 1024}
    assert health["sample"] is True
    assert health["tasks"] == ["report", "ask", "classify", "caption"]
    assert health["model"] is None and health["pacs"] is False
    assert set(health["versions"]) == {"grounded-cxr", "litestar", "python"}


def test_the_sample_image_is_served(client: TestClient[Any], tmp_path: Path) -> None:
    assert client.get("/sample").content == a_png(3)
    (tmp_path / "other").mkdir()
    with TestClient(an_app(tmp_path / "other"), base_url=HTTP) as bare:
        answer = bare.get("/sample")
        assert answer.status_code == 404
        assert "--sample" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/generations/no-uuid", 404),
        ("GET", "/generations/00000000-0000-0000-0000-000000000000", 404),
        ("GET", "/generations?limit=0", 400),
        ("GET", "/generations?before=x", 400),
        ("GET", "/cases/drawn:none", 404),
        ("GET", "/cases/nokey", 422),
        ("GET", "/cases/drawn:s1/images/9", 404),
        ("GET", "/page/..%2Fapp.py", 404),
        ("GET", "/page/settings.py", 404),
        ("GET", "/page/report", 404),
        ("GET", "/page/report/..%2F..%2Fapp.py", 404),
        ("PUT", "/reports", 405),
    ],
)
def test_every_error_is_a_problem_document(
    client: TestClient[Any], method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["title"] and problem["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/styles/page.css", "/page/icon.svg"])
def test_the_page_is_served_under_a_strict_policy(client: TestClient[Any], path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_every_script_of_the_page_exists(client: TestClient[Any]) -> None:
    folder = ROOT / "api" / "page"
    for path in {*folder.rglob("*.*")} - {folder / "index.html"}:
        answer = client.get(f"/page/{path.relative_to(folder).as_posix()}")
        assert answer.content == path.read_bytes()
    assert "text/javascript" in client.get("/page/page.js").headers["content-type"]


def test_a_browser_keeps_the_files_of_the_page_until_they_change(client: TestClient[Any]) -> None:
    page = client.get("/")
    (digest,) = set(re.findall(r'"page/([0-9a-f]{16})/', page.text))
    assert page.headers["cache-control"] == "no-cache"
    kept, plain = (client.get(f"/page/{part}page.js") for part in (f"{digest}/", ""))
    assert "immutable" in kept.headers["cache-control"] and kept.content == plain.content
    assert plain.headers["cache-control"] == "no-cache"
    assert client.get(f"/page/{digest[::-1]}/page.js").status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:9", 200),
        ("[::1]:8000", 200),
        ("attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("attacker.example:8000", 421),
        ("", 421),
    ],
)
def test_only_local_host_names_are_answered(
    client: TestClient[Any], host: str, status: int
) -> None:
    assert client.get("/health", headers={"host": host}).status_code == status
    assert client.get("/", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://attacker.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_cannot_start_a_report(
    client: TestClient[Any], headers: dict[str, str]
) -> None:
    answer = client.post("/reports", files={"images": ("a.png", a_png(1))}, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/generations").json()["total"] == 0


def test_the_own_page_and_other_programs_can_start_a_report(client: TestClient[Any]) -> None:
    own = {"origin": HTTP, "sec-fetch-site": "same-origin"}
    for headers in ({}, own):
        answer = client.post("/reports", files={"images": ("a.png", a_png(1))}, headers=headers)
        assert answer.status_code == 201


def test_the_openapi_document_is_valid_and_names_every_operation(client: TestClient[Any]) -> None:
    document = client.get("/schema/openapi.json").json()
    assert client.get("/schema").json() == document
    validate(document)
    operations = {
        operation["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        "createReport": ("post", "/reports"),
        "createAnswer": ("post", "/answers"),
        "createClassification": ("post", "/classifications"),
        "createCaption": ("post", "/captions"),
        "exportFhir": ("get", "/generations/{generation_id}/fhir"),
        "exportFhirOfPatient": ("post", "/generations/{generation_id}/fhir"),
        "exportPdf": ("get", "/generations/{generation_id}/pdf"),
        "exportPdfWithImages": ("post", "/generations/{generation_id}/pdf"),
        "exportDicomSr": ("get", "/generations/{generation_id}/dicom-sr"),
        "exportDicomSrInStudy": ("post", "/generations/{generation_id}/dicom-sr"),
        "exportDicomSc": ("post", "/generations/{generation_id}/dicom-sc"),
        "getMap": ("get", "/generations/{generation_id}/map"),
        "getMapOnImage": ("post", "/generations/{generation_id}/map"),
        "getCaseRegions": ("get", "/cases/{key}/images/{number}/regions"),
        "storeInstances": ("post", "/studies"),
        "listModels": ("get", "/v1/models"),
        "createChatCompletion": ("post", "/v1/chat/completions"),
        "createBatch": ("post", "/batches"),
        "getBatch": ("get", "/batches/{batch_id}"),
        "cancelBatch": ("delete", "/batches/{batch_id}"),
        "search": ("post", "/searches"),
        "listGenerations": ("get", "/generations"),
        "getGeneration": ("get", "/generations/{generation_id}"),
        "getCase": ("get", "/cases/{key}"),
        "getCaseImage": ("get", "/cases/{key}/images/{number}"),
        "previewImage": ("post", "/images"),
        "getSampleImage": ("get", "/sample"),
        "getHealth": ("get", "/health"),
        "isLive": ("get", "/health/live"),
        "isReady": ("get", "/health/ready"),
        "getMetrics": ("get", "/metrics"),
        "searchPacs": ("post", "/pacs/searches"),
        "createPacsReport": ("post", "/pacs/reports"),
        "sendBackToPacs": ("post", "/pacs/send-back"),
        "reloadIndex": ("post", "/index/reload"),
        "deleteGeneration": ("delete", "/generations/{generation_id}"),
        "createFeedback": ("post", "/generations/{generation_id}/feedback"),
        "listFeedback": ("get", "/generations/{generation_id}/feedback"),
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            errors = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert {"421", "500"} <= set(errors)
            for status, error in errors.items():
                expected = "application/problem+json"
                if (operation["operationId"], status) == ("storeInstances", "409"):
                    expected = "application/dicom+json"
                assert list(error["content"]) == [expected]
    schemas = document["components"]["schemas"]
    assert schemas["IndicationForm"]["required"] == ["images"]
    assert sorted(schemas["QuestionForm"]["required"]) == ["images", "question"]
