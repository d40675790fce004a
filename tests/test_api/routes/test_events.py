"""POST /reports as a stream of events."""

import time
from pathlib import Path
from typing import Any

import httpx
from litestar.testing import TestClient

from api.pipeline.backends import ExtractiveBackend
from db.app.generation import NOTICE, OodCheck
from db.errors import UserError
from tests.support.service.clients import STREAM, images, parsed
from tests.support.service.services import FakeRetriever, a_case, an_app, serving
from tests.support.service.writers import Talker


def test_stages_and_tokens_come_in_order_and_the_report_last(tmp_path: Path) -> None:
    writer = Talker()
    writer.go.set()
    with TestClient(an_app(tmp_path, backend=writer), base_url="http://127.0.0.1") as client:
        answer = client.post("/reports", files=images(1), headers=STREAM)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        happened = parsed(answer.text)
        report = happened[-1][1]
        assert client.get(f"/generations/{report['id']}").json() == report
    streamed = [data.get("stage") or data.get("text") for _, data in happened[:-1]]
    assert streamed == [
        NOTICE,
        "reading",
        "retrieving",
        "writing",
        "Lungs ",
        "drawn ",
        "clear.",
        "checking",
    ]
    assert [event for event, _ in happened] == [
        "notice",
        *["stage"] * 3,
        *["token"] * 3,
        "stage",
        "report",
    ]


def test_a_warning_of_unlike_images_comes_before_the_first_token(tmp_path: Path) -> None:
    writer = Talker()
    writer.go.set()
    ood = OodCheck(in_distribution=False, score=-9.0, threshold=-1.0, reason="unlike the drawn.")
    app = an_app(tmp_path, FakeRetriever([a_case(1)], ood=ood), backend=writer)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        happened = parsed(client.post("/reports", files=images(1), headers=STREAM).text)
    assert happened[0] == ("notice", {"text": NOTICE})
    names = [event for event, _ in happened]
    assert names.count("warning") == 1 and names.index("warning") < names.index("token")
    assert dict(happened)["warning"] == {"text": "Do not rely on this: unlike the drawn."}


def test_a_failure_is_the_last_event(tmp_path: Path) -> None:
    def refuse(_: Any) -> Any:
        raise UserError("nothing can be said")

    def break_down(_: Any) -> Any:
        raise RuntimeError("inner secret")

    for number, (write, status, says) in enumerate(
        ((refuse, 422, "nothing can be said"), (break_down, 500, "the server failed"))
    ):
        (tmp_path / str(number)).mkdir()
        app = an_app(tmp_path / str(number), backend=ExtractiveBackend(write))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answer = client.post("/reports", files=images(1), headers=STREAM)
            event, problem = parsed(answer.text)[-1]
            assert event == "problem" and problem["status"] == status
            assert says in problem["detail"] and "secret" not in problem["detail"]
            bad = client.post("/reports", files={"images": ("a.png", b"text")}, headers=STREAM)
            assert parsed(bad.text)[-1][1]["status"] == 422
            assert client.get("/generations").json()["total"] == 0


def test_tokens_are_sent_while_the_report_is_written(tmp_path: Path) -> None:
    writer = Talker()
    with (
        serving(an_app(tmp_path, backend=writer)) as address,
        httpx.stream("POST", f"{address}/reports", files=images(1), headers=STREAM) as answer,
    ):
        seen = ""
        for chunk in answer.iter_text():
            seen += chunk
            if "clear." in chunk and not writer.go.is_set():
                assert "report" not in [event for event, _ in parsed(seen)]
                writer.go.set()
    assert parsed(seen)[-1][0] == "report"


def test_a_disconnected_reader_stops_the_writing(tmp_path: Path) -> None:
    writer = Talker()
    with serving(an_app(tmp_path, backend=writer, capacity=1)) as address:
        with httpx.stream("POST", f"{address}/reports", files=images(1), headers=STREAM) as answer:
            for chunk in answer.iter_text():
                if "clear." in chunk:
                    break
        deadline = time.monotonic() + 60
        while writer.cancelled == 0 or httpx.get(f"{address}/health/ready").status_code == 503:
            assert time.monotonic() < deadline, "the writing went on"
            time.sleep(0.02)
        assert httpx.get(f"{address}/generations").json()["total"] == 0


def test_a_busy_server_answers_503_instead_of_a_stream(tmp_path: Path) -> None:
    writer = Talker()
    with (
        serving(an_app(tmp_path, backend=writer, capacity=1)) as address,
        httpx.stream("POST", f"{address}/reports", files=images(1), headers=STREAM) as first,
    ):
        chunks = first.iter_text()
        assert next(chunks)
        answer = httpx.post(f"{address}/reports", files=images(2), headers=STREAM)
        assert answer.status_code == 503 and "retry-after" in answer.headers
        writer.go.set()
        assert parsed("".join(chunks))[-1][0] == "report"
