"""POST /reports and POST /searches: what comes back, and what bad input leaves behind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar.testing import TestClient

from db.app.database import AppDatabase
from db.app.generation import OodCheck
from tests.support.service.services import FakeRetriever, a_case, a_digest, a_png, an_app, serving

Answer = httpx.Response


@pytest.fixture
def retriever() -> FakeRetriever:
    return FakeRetriever([a_case(number) for number in (1, 2, 3, 4)])


@pytest.fixture
def client(tmp_path: Path, retriever: FakeRetriever) -> Iterator[TestClient[Any]]:
    app = an_app(tmp_path, retriever, max_images=3, max_body_bytes=2_000_000)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def send(client: TestClient[Any], *images: bytes, path: str = "/reports", **options: Any) -> Answer:
    files = [("images", (f"view {n}.png", image)) for n, image in enumerate(images)]
    return client.post(path, files=files, data=options)


def stored(client: TestClient[Any]) -> int:
    return int(client.get("/generations").json()["total"])


def the_problem(answer: Answer, status: int) -> str:
    """The detail of a problem document, after checking that it is one, of one sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    detail = problem["detail"]
    assert isinstance(detail, str) and detail and "\n" not in detail and "Traceback" not in detail
    return detail


def test_a_report_is_stored_with_citations_hits_and_origin(
    client: TestClient[Any], retriever: FakeRetriever
) -> None:
    answer = send(client, a_png(1))
    assert answer.status_code == 201
    report = answer.json()
    assert answer.headers["location"] == f"/generations/{UUID(report['id'])}"
    first = report["statements"][0]
    assert (first["text"], first["grounded"]) == ("Lungs drawn clear.", True)
    assert first["citations"] == [
        {
            "number": 1,
            "case": "drawn:s1",
            "source": "drawn",
            "study_id": "s1",
            "index_fingerprint": retriever.fingerprint,
            "quote": "Lungs drawn clear.",
            "score": pytest.approx(0.92),
            "case_available": True,
        }
    ]
    assert report["statements"][-1]["grounded"] is False
    assert [hit["study_id"] for hit in report["hits"]] == ["s1", "s2", "s3", "s4"]
    assert [hit["cited"] for hit in report["hits"]] == [True, True, True, False]
    assert report["excluded_cases"][0]["reason"] == "the same image"
    assert report["images_sha256"] == [a_digest(a_png(1))]
    assert report["created_at"] == "2026-05-04T03:02:01Z"
    assert report["notice"] == "Research use only, not for clinical use."
    assert client.get(answer.headers["location"]).json() == report


def test_options_reach_the_search_and_are_kept(
    client: TestClient[Any], retriever: FakeRetriever
) -> None:
    answer = send(
        client,
        a_png(1),
        a_png(2),
        k="2",
        strategy="similar",
        exclude_patient="p9",
        exclude_study=["s1", "s7"],
        keep_near_duplicates="true",
        distinct_reports="true",
        label="Edema",
        label_filter="partial",
        min_score="0.25",
        min_ratio="0.5",
        diversity="0.125",
        accept_as_chest="true",
    )
    assert answer.status_code == 201
    expected = {
        "k": 2,
        "strategy": "similar",
        "exclude_patient_ids": ["p9"],
        "exclude_study_ids": ["s1", "s7"],
        "exclude_near_duplicates": False,
        "distinct_reports": True,
        "labels": ["Edema"],
        "label_filter": "partial",
        "min_score": 0.25,
        "min_ratio": 0.5,
        "diversity": 0.125,
        "accept_as_chest": True,
    }
    assert answer.json()["options"] == {**expected, "sensitivity": "balanced"}
    call = retriever.calls[0]
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in call.items()} == expected
    assert [hit["study_id"] for hit in answer.json()["hits"]] == ["s2", "s3"]
    assert len(answer.json()["images_sha256"]) == 2
    assert set(retriever.words) == {(None, 0.5)}


def test_without_options_ten_cases_are_read_by_likeness_alone(
    client: TestClient[Any], retriever: FakeRetriever
) -> None:
    kept = send(client, a_png(1)).json()["options"]
    assert kept == {
        "k": 10,
        "strategy": "similar",
        "exclude_patient_ids": [],
        "exclude_study_ids": [],
        "exclude_near_duplicates": True,
        "distinct_reports": False,
        "labels": [],
        "label_filter": "none",
        "min_score": None,
        "min_ratio": None,
        "diversity": 0.0,
        "accept_as_chest": False,
        "sensitivity": "balanced",
    }


def test_a_report_has_no_words(client: TestClient[Any], retriever: FakeRetriever) -> None:
    assert send(client, a_png(1)).status_code == 201
    assert set(retriever.words) == {(None, 0.5)}
    refused = the_problem(send(client, a_png(1), text="effusion"), 422)
    assert refused.startswith("/reports has no field 'text'")
    assert the_problem(client.post("/reports", data={"k": "3"}), 400).startswith(
        "no image was sent"
    )


@pytest.mark.parametrize("usual", [True, False])
def test_the_ood_check_is_returned_stored_and_listed(
    client: TestClient[Any], retriever: FakeRetriever, usual: bool
) -> None:
    retriever.ood = OodCheck(in_distribution=usual, score=-4.5, threshold=-2.25, reason="drawn so")
    expected = {
        "in_distribution": usual,
        "score": -4.5,
        "threshold": -2.25,
        "reason": "drawn so",
    }
    assert send(client, a_png(1), path="/searches").json()["ood"] == expected
    report = send(client, a_png(1)).json()
    assert report["ood"] == expected
    retriever.ood = None
    assert client.get(f"/generations/{report['id']}").json()["ood"] == expected
    (line,) = client.get("/generations").json()["generations"]
    assert line["in_distribution"] is usual


def test_without_a_profile_the_ood_check_is_null(
    client: TestClient[Any],
) -> None:
    assert send(client, a_png(1), path="/searches").json()["ood"] is None
    report = send(client, a_png(1)).json()
    assert report["ood"] is None
    assert client.get(f"/generations/{report['id']}").json()["ood"] is None
    (line,) = client.get("/generations").json()["generations"]
    assert line["in_distribution"] is None


def test_a_search_returns_full_cases_and_stores_nothing(client: TestClient[Any]) -> None:
    answer = send(client, a_png(1), path="/searches", k="1")
    assert answer.status_code == 200
    (hit,) = answer.json()["hits"]
    assert (hit["number"], hit["score"]) == (1, pytest.approx(0.92))
    assert hit["case"]["findings"].startswith("Lungs drawn clear.")
    assert hit["case"]["labels"] == {"Cardiomegaly": "negative", "Lung Opacity": "uncertain"}
    assert "patient" not in answer.text
    assert stored(client) == 0


@pytest.mark.parametrize("path", ["/reports", "/searches"])
@pytest.mark.parametrize(
    ("image", "status", "says"),
    [
        (b"", 422, "view 0.png is empty"),
        (b"only text", 422, "view 0.png is not an image that can be read here"),
        (a_png(1)[:4000], 422, "view 0.png is damaged or cut short"),
        (b"\0" * 128 + b"DICM" + b"\0" * 40, 422, "view 0.png"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 2_100_000, 413, "too large for this server"),
    ],
    ids=["zero bytes", "text", "cut short", "broken dicom", "too large"],
)
def test_a_bad_image_gets_a_clear_error_and_leaves_nothing(
    client: TestClient[Any], path: str, image: bytes, status: int, says: str
) -> None:
    assert says in the_problem(send(client, image, path=path), status)
    assert stored(client) == 0


def test_one_bad_view_among_good_ones_stops_the_report(client: TestClient[Any]) -> None:
    assert "view 1.png" in the_problem(send(client, a_png(1), b"text"), 422)
    assert stored(client) == 0


def test_too_many_images_are_refused_before_they_are_decoded(client: TestClient[Any]) -> None:
    detail = the_problem(send(client, *[b"not decoded"] * 4), 413)
    assert detail == "4 images were sent, one study may have 3: send its views only"
    assert stored(client) == 0


@pytest.mark.parametrize(
    "request_parts",
    [
        {"data": {"k": "3"}},
        {"json": {"images": "none"}},
        {"content": b""},
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="images"; filename=""\r\n\r\n'
            b"\r\n--x--\r\n",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
    ],
    ids=["urlencoded", "json", "nothing", "no file chosen"],
)
def test_a_request_without_an_image_is_refused(
    client: TestClient[Any], request_parts: dict[str, Any]
) -> None:
    detail = the_problem(client.post("/reports", **request_parts), 400)
    assert detail.startswith("no image was sent")
    assert stored(client) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary in sight",
        b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n1',
        b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n' * 300 + b"--x--\r\n",
    ],
    ids=["no form", "bytes as text", "cut short", "many fields"],
)
def test_a_broken_form_is_the_clients_error(client: TestClient[Any], body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    the_problem(client.post("/reports", content=body, headers=headers), 400)
    assert stored(client) == 0


@pytest.mark.parametrize("charset", ["none", "punycode", "idna", "utf-16", "latin-1"])
def test_the_texts_of_a_form_are_utf_8(client: TestClient[Any], charset: str) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="indication"\r\n'
    kind = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/reports", content=part + kind + b"cough\r\n--x--\r\n", headers=headers)
    assert "UTF-8" in the_problem(answer, 415)
    for whole in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
        headers = {"content-type": f"{whole}; charset={charset}"}
        answer = client.post("/reports", content=b"k=1", headers=headers)
        assert "UTF-8" in the_problem(answer, 415)


def test_a_text_as_long_as_a_file_is_refused(client: TestClient[Any]) -> None:
    answer = client.post("/reports", files={"indication": (None, "x" * 200_000)})
    assert "too long" in the_problem(answer, 413)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"k": "0"}, "k"),
        ({"k": "1000"}, "k"),
        ({"k": "many"}, "k"),
        ({"min_score": "2"}, "min_score"),
        ({"min_ratio": "1.5"}, "min_ratio"),
        ({"diversity": "-0.1"}, "diversity"),
        ({"label_filter": "some"}, "label_filter"),
        ({"keep_near_duplicates": "perhaps"}, "keep_near_duplicates"),
        ({"exclude_study": "x" * 300}, "exclude_study"),
    ],
)
def test_an_impossible_option_is_named(
    client: TestClient[Any], options: dict[str, str], field: str
) -> None:
    assert field in the_problem(send(client, a_png(1), **options), 400)
    assert stored(client) == 0


def test_an_unknown_observation_is_named_with_those_that_exist(
    client: TestClient[Any], retriever: FakeRetriever
) -> None:
    detail = the_problem(send(client, a_png(1), label="Gout"), 422)
    assert "unknown observation 'Gout'" in detail and "Pleural Effusion" in detail
    assert retriever.calls == [] and stored(client) == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd is not"),
        ("..\\..\\boot.ini", "boot.ini is not"),
        ("/", "the image is not"),
        ("Röntgen 胸部.png", "Röntgen 胸部.png is not"),
        ("a" * 1000 + ".png", "a.png is not"),
        ("two\x1b[2Jlines.png", "lines.png is not"),
        ("<b>&amp;.png", "<b>&amp;.png is not"),
    ],
    ids=["path", "windows path", "slash", "unicode", "long", "escape", "html"],
)
def test_the_name_of_a_file_is_only_ever_a_name(
    client: TestClient[Any], tmp_path: Path, name: str, shown: str
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    answer = client.post("/reports", files=[("images", (name, b"text"))])
    detail = the_problem(answer, 422)
    assert shown in detail and len(detail) < 500
    assert "\x1b" not in detail
    assert client.post("/reports", files=[("images", (name, a_png(1)))]).status_code == 201
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_name_as_long_as_a_page_is_refused(client: TestClient[Any]) -> None:
    answer = client.post("/reports", files=[("images", ("a" * 20_000, a_png(1)))])
    assert "too long" in the_problem(answer, 400)


def test_a_defect_is_logged_and_tells_nothing(
    client: TestClient[Any], retriever: FakeRetriever, caplog: pytest.LogCaptureFixture
) -> None:
    retriever.error = RuntimeError("secret inner path")
    detail = the_problem(send(client, a_png(1)), 500)
    assert "secret" not in detail
    assert "secret inner path" in caplog.text and "Traceback" in caplog.text
    assert stored(client) == 0


def test_an_image_is_shown_as_the_search_sees_it(client: TestClient[Any]) -> None:
    answer = client.post("/images", files={"image": ("a.png", a_png(5))})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert a_digest(answer.content) == a_digest(a_png(5))
    assert "is not an image" in the_problem(
        client.post("/images", files={"image": ("a.png", b"text")}), 422
    )
    assert the_problem(client.post("/images", data={}), 400).startswith("no image was sent")


def test_many_at_once_get_each_their_own_report(tmp_path: Path, retriever: FakeRetriever) -> None:
    images = [a_png(seed, size=(128, 100)) for seed in range(8)]
    with serving(an_app(tmp_path, retriever)) as address:

        def report(image: bytes) -> dict[str, Any]:
            answer = httpx.post(
                f"{address}/reports", files={"images": ("image.png", image)}, timeout=60
            )
            assert answer.status_code == 201, answer.text
            answered: dict[str, Any] = answer.json()
            return answered

        with ThreadPoolExecutor(8) as pool:
            reports = list(pool.map(report, images))
    assert [r["images_sha256"] for r in reports] == [[a_digest(image)] for image in images]
    assert retriever.most_running == 1
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        store = database.generations
        for report_given in reports:
            kept = store.get(UUID(report_given["id"]))
            assert list(kept.images_sha256) == report_given["images_sha256"]
        assert store.page(limit=1).total == 8


@pytest.mark.parametrize("path", ["/reports", "/classifications", "/captions"])
def test_the_sensitivity_is_kept_and_an_unknown_one_refused(
    client: TestClient[Any], path: str
) -> None:
    made = send(client, a_png(1), path=path, sensitivity="specific")
    assert made.json()["options"]["sensitivity"] == "specific"
    refused = send(client, a_png(1), path=path, sensitivity="low")
    assert refused.status_code == 400 and "sensitivity" in refused.text


def test_every_task_states_the_same_observations(
    client: TestClient[Any], retriever: FakeRetriever
) -> None:
    retriever.ood = OodCheck(in_distribution=False, score=-9.0, threshold=-2.0, reason="a cat")
    made = [
        send(client, a_png(1), path=path).json()
        for path in ("/reports", "/classifications", "/captions")
    ]
    states = [{o["name"]: o["state"] for o in one["observations"] or ()} for one in made]
    assert states[1]["Lung Opacity"] == "present" and states[1]["Edema"] == "absent"
    assert all(one in ({}, states[1]) for one in states)
    assert all(one["warnings"][0] == "Do not rely on this: a cat." for one in made)
