"""Answers, classes and captions: with a language model and without one."""

import json
import re
import sqlite3
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from db.app.database import AppDatabase
from db.labels import OBSERVATIONS
from tests.support.service.clients import HTTP, LATER, STREAM, parsed, settled
from tests.support.service.services import FakeRetriever, a_case, a_png, an_app
from tests.support.service.writers import TalkingWriter, WithoutAnswers

TASKS = {
    "/reports": ("report", "report"),
    "/answers": ("ask", "answer"),
    "/classifications": ("classify", "classification"),
    "/captions": ("caption", "caption"),
}
Client = TestClient[Any]


@pytest.fixture
def retriever() -> FakeRetriever:
    return FakeRetriever([a_case(number) for number in (1, 2, 3, 4)])


@pytest.fixture
def client(tmp_path: Path, retriever: FakeRetriever) -> Iterator[Client]:
    """With a language model."""
    app = an_app(tmp_path, retriever, TalkingWriter())
    with TestClient(app, base_url=HTTP) as client:
        yield client


@pytest.fixture
def bare(tmp_path: Path, retriever: FakeRetriever) -> Iterator[Client]:
    """Without one."""
    with TestClient(an_app(tmp_path, retriever), base_url=HTTP) as client:
        yield client


def send(client: Client, path: str, headers: dict[str, str] | None = None, **data: Any) -> Any:
    given = {"question": "Is the heart enlarged?"} if path == "/answers" else {}
    files = {"images": ("a.png", a_png(1, size=(64, 64)))}
    return client.post(path, files=files, data=given | data, headers=headers or {})


@pytest.mark.parametrize("path", TASKS)
def test_each_task_gives_a_stored_generation(client: Client, path: str) -> None:
    answer = send(client, path, indication=" dyspnea \n since May ")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    task, _ = TASKS[path]
    assert (made["task"], made["indication"]) == (task, "dyspnea since May")
    assert made["question"] == ("Is the heart enlarged?" if task == "ask" else None)
    assert made["origin"]["model"] == "drawn-model"
    assert made["origin"]["prompt_version"] == "drawn-prompts" and made["origin"]["seed"] == 0
    assert "indication" not in made["options"] and "question" not in made["options"]
    assert client.get(answer.headers["location"]).json() == made
    (line,) = client.get("/generations", params={"task": task}).json()["generations"]
    assert (line["id"], line["question"]) == (made["id"], made["question"])
    assert client.get("/generations", params={"task": "other"}).json()["total"] == 0


@pytest.mark.parametrize("path", TASKS)
def test_each_task_streams_its_progress(client: Client, path: str) -> None:
    happened = parsed(send(client, path, STREAM).text)
    task, last = TASKS[path]
    assert [event for event, _ in happened if event != "token"] == ["notice", *["stage"] * 4, last]
    assert happened[-1][1]["task"] == task
    tokens = "".join(data["text"] for event, data in happened if event == "token")
    expected = {"ask": "Yes. [1][9]", "classify": ""}.get(task)
    assert tokens.startswith("Findings: ") if expected is None else tokens == expected


@pytest.mark.parametrize("path", TASKS)
def test_each_task_can_be_asked_for_later(client: Client, path: str) -> None:
    answer = send(client, path, LATER, indication="dyspnea")
    assert answer.status_code == 202
    assert answer.json()["task"] == TASKS[path][0]
    made = settled(client, answer.headers["location"])
    now = send(client, path, indication="dyspnea").json()
    differ = {"id", "created_at"}
    assert {k: v for k, v in made.items() if k not in differ} == {
        k: v for k, v in now.items() if k not in differ
    }


def test_an_answer_is_one_statement_with_what_the_check_found(client: Client) -> None:
    made = send(client, "/answers", question="  Is the\nheart\x00 enlarged? ").json()
    assert made["question"] == "Is the heart enlarged?"
    (statement,) = made["statements"]
    assert (statement["section"], statement["text"]) == ("impression", "Yes.")
    assert [citation["case"] for citation in statement["citations"]] == ["drawn:s1"]
    assert statement["removed_citations"] == [{"number": 9, "reason": "no case has this number"}]
    assert statement["image_support"] == 0.75 and statement["citations_added"] is False
    assert made["text"] == "Yes."


def test_a_contradicted_statement_names_the_contradiction(client: Client) -> None:
    said = [one["contradiction"] for one in send(client, "/reports").json()["statements"]]
    assert said == [None, "classifier score for Lung Opacity is 0.75", None, None]


@pytest.mark.parametrize("question", ["", " ", "\n\t\x00"])
def test_an_empty_question_is_refused(client: Client, question: str) -> None:
    answer = send(client, "/answers", question=question)
    assert answer.status_code in (400, 422)
    assert "question" in answer.json()["detail"]


def test_text_fields_have_limits(client: Client) -> None:
    for path, name, length in (
        ("/answers", "question", 301),
        ("/answers", "indication", 1001),
        ("/reports", "indication", 1001),
    ):
        answer = send(client, path, **{name: "x" * length})
        assert answer.status_code == 400 and name in answer.json()["detail"]
    missing = client.post("/answers", files={"images": ("a.png", a_png(1, size=(64, 64)))})
    assert missing.status_code == 400 and "question" in missing.json()["detail"]


@pytest.mark.parametrize(
    "words", ["'; DROP TABLE generations; --", '<script>alert("x")</script>', "\u202e胸 ünï 🫁"]
)
def test_a_hostile_question_is_only_text(client: Client, words: str) -> None:
    made = send(client, "/answers", question=words, indication=words).json()
    kept = "".join(one for one in words if one.isprintable()).strip()
    address = f"/generations/{made['id']}"
    assert (made["question"], made["indication"]) == (kept, kept)
    assert client.get(address).json() == made
    for export in ("fhir", "pdf", "dicom-sr"):
        exported = client.get(f"{address}/{export}")
        assert exported.status_code == 200
    narrative = client.get(f"{address}/fhir").json()["text"]["div"]
    assert "<script>" not in narrative and escape(kept) in narrative


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there an effusion?", r"No, no pleural effusion is seen \(0\.\d\d\)\."),
        ("Is the nodule calcified?", r"No lung lesion is seen \(0\.\d\d\)\."),
        ("What is the capital of France?", r"This (?:answers|describes) .+\."),
        ("Is the aorta tortuous?", r"Whether there is tortuous aorta is not assessed; .+\."),
    ],
)
def test_without_a_model_the_assessment_answers(bare: Client, question: str, answer: str) -> None:
    made = send(bare, "/answers", question=question)
    assert made.status_code == 201
    (statement,) = made.json()["statements"]
    assert re.fullmatch(answer, statement["text"])
    assert "ask" in bare.get("/health").json()["tasks"]


def test_a_backend_without_answers_refuses_questions_before_an_image_is_read(
    tmp_path: Path,
) -> None:
    with TestClient(an_app(tmp_path, backend=WithoutAnswers()), base_url=HTTP) as client:
        for headers in ({}, STREAM, LATER):
            answer = client.post(
                "/answers",
                files={"images": ("a.png", b"no image")},
                data={"question": "Is it?"},
                headers=headers,
            )
            assert answer.status_code == 409
            assert answer.headers["content-type"] == "application/problem+json"
            assert "does not ask" in answer.json()["detail"]
        assert "ask" not in client.get("/health").json()["tasks"]
        assert client.get("/generations").json()["total"] == 0


def test_with_a_model_the_health_check_names_it(client: Client) -> None:
    health = client.get("/health").json()
    assert health["tasks"] == ["report", "ask", "classify", "caption"]
    expected = {
        "name": "drawn-model",
        "adapter": "drawn-adapter",
        "prompt_version": "drawn-prompts",
    }
    assert health["model"] == expected


def test_classes_without_a_model_are_votes_and_label_head_uncalibrated(
    bare: Client, retriever: FakeRetriever
) -> None:
    made = send(bare, "/classifications", k="2", exclude_study="s4").json()
    assert [one["name"] for one in made["observations"]] == list(OBSERVATIONS)
    by_name = {one["name"]: one for one in made["observations"]}
    opacity = by_name["Lung Opacity"]
    assert opacity["probability"] == pytest.approx(0.7071, abs=1e-3)  # mean log-odds of .66, .75
    assert (opacity["knn"], opacity["knn_low"], opacity["knn_high"]) == (0.66, 0.5, 0.75)
    assert (opacity["label_head"], opacity["language_model"], opacity["cases"]) == (
        0.75,
        None,
        [1, 2],
    )
    assert by_name["Edema"]["label_head"] is None and by_name["Edema"]["probability"] < 0.01
    (statement,) = made["statements"]
    assert statement["text"] == "Lung Opacity, probability 0.71."
    assert [c["study_id"] for c in statement["citations"]] == ["s1", "s2"]
    assert made["calibrated_on"] is None
    assert "the probabilities are not calibrated" in made["notes"]
    assert made["generator"] == "votes-2" and made["origin"]["model"] is None
    assert [hit["study_id"] for hit in made["hits"]] == ["s1", "s2"]
    assert all(one == {"s1", "s2", "s3"} for one in retriever.voters)


def test_classes_with_a_model_name_the_calibration_studies(client: Client) -> None:
    made = send(client, "/classifications").json()
    assert made["calibrated_on"] == "drawn val"
    assert {one["language_model"] for one in made["observations"]} == {0.75}


def test_a_caption_without_a_model_is_one_statement_of_the_report(bare: Client) -> None:
    made = send(bare, "/captions").json()
    assert [one["text"] for one in made["statements"]] == ["No case says this."]


def test_the_request_of_a_job_survives_a_restart(tmp_path: Path) -> None:
    held = TalkingWriter(hold=True)
    with TestClient(an_app(tmp_path, backend=held), base_url=HTTP) as client:
        address = send(client, "/answers", LATER, indication="dyspnea").headers["location"]
    with TestClient(an_app(tmp_path, backend=TalkingWriter()), base_url=HTTP) as client:
        made = settled(client, address)
    assert made["question"] == "Is the heart enlarged?" and made["indication"] == "dyspnea"
    assert made["statements"][0]["text"] == "Yes."


def test_a_job_of_a_server_without_answers_says_why_it_failed(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path, backend=TalkingWriter(hold=True)), base_url=HTTP) as client:
        address = send(client, "/answers", LATER).headers["location"]
    with TestClient(an_app(tmp_path, backend=WithoutAnswers()), base_url=HTTP) as client:
        failed = settled(client, address)
    assert failed["status"] == "failed" and "does not ask" in failed["detail"]


def test_a_study_that_an_earlier_version_accepted_becomes_a_report(tmp_path: Path) -> None:
    held = TalkingWriter(hold=True)
    with TestClient(an_app(tmp_path, backend=held), base_url=HTTP) as client:
        address = send(client, "/reports", LATER).headers["location"]
    with sqlite3.connect(tmp_path / "app.sqlite3") as connection:
        connection.execute("UPDATE job_studies SET options = ?", [json.dumps({"k": 2})])
    connection.close()
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        made = settled(client, address)
    assert made["task"] == "report" and len(made["hits"]) == 2


def test_the_audit_log_records_the_task_and_no_text(tmp_path: Path, client: Client) -> None:
    send(client, "/answers", question="Has Zebedee an effusion?", indication="Zebedee")
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        (entry,) = list(database.audit)
        assert entry.action == "ask" and "Zebedee" not in str(entry)
