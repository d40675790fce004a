"""Reports of a model on a server: what it may read, and that nothing it says passes unchecked."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest

from db.index.case import Case
from generator.engines import server as requests
from generator.engines.address import RemoteOptions
from generator.engines.openai import OpenAIModel, connect
from generator.generation import origin_of, to_generation
from generator.prompts import Task
from generator.request import GenerationRequest
from generator.tasks import TaskRunner
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.search import Retriever
from tests.support.dicoms import write_dicom
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.pacs import Asked
from tests.support.radiographs import draw_radiograph
from tests.support.service.model_server import (
    ModelAnswer,
    body_of,
    completion,
    failed,
    model_server,
    repeated,
    streamed,
)

SEEN = {"Cardiomegaly": 0.8, "Pleural Effusion": 0.7}
TASKS: tuple[Task, ...] = ("report", "ask", "classify", "caption")
QUESTION = "Is the aorta tortuous?"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSES", (0.01, 0.02))


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("index")
    build(JsonLines(write_studies(folder, 16)), ReportEncoder(SEEN), folder / "index")
    return Retriever.open(folder / "index", ReportEncoder(SEEN))


@contextmanager
def running(
    retriever: Retriever, told: ModelAnswer, options: RemoteOptions | None = None
) -> Iterator[tuple[TaskRunner, list[Asked]]]:
    with model_server(told) as (address, chats):
        model = connect(address, options)
        try:
            yield TaskRunner(retriever, model), chats
        finally:
            model.close()


def a_request(task: Task = "report", **more: Any) -> GenerationRequest:
    question = QUESTION if task == "ask" else None
    return GenerationRequest(task=task, question=question, options=SearchOptions(), **more)


def answers(text: str) -> ModelAnswer:
    """A text where one is streamed, and yes with its log-probability where it is scored."""

    def say(asked: Asked) -> Any:
        if body_of(asked).get("stream"):
            return streamed(text)
        return completion("yes", logprobs=[{"yes": -0.2, "no": -1.8}])

    return say


HOSTILE = (
    "Findings: A mass of 9 cm in the right lung [1]. The heart is enlarged [1][2][3][4][5][9][77].",
    "**Findings**\n1. Severe edema [case 1]\n2. Tension pneumothorax on the left [1-9]\n\n"
    "**Impression**\n- Cardiomegaly [1, 2, 3] [[4]] (5) [^2] [1](http://x)",
    '{"findings": "Large right effusion [2].", "impression": "Fracture of the 3rd rib [1]"}',
    "I cannot assist with that [1]. However, the lungs are clear [1][2][3][4] as in case 2 [2].",
    "[1][2][3]",
    "Findings: " + "The patient Mr. Drawn has pneumonia [3]. " * 30,
    "<b>Findings:</b> Small left effusion【2】 and cardiomegaly ¹ ² [１] [0] [-1] [1e3].",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("task", TASKS)
def test_no_citation_passes_that_the_cited_report_does_not_hold(
    retriever: Retriever, task: Task, text: str
) -> None:
    with running(retriever, answers(text)) as (runner, chats):
        study = runner.retrieve([draw_radiograph(99, size=(96, 80))])
        report = runner.write(a_request(task), study)
    assert chats
    generation = to_generation(
        report,
        study.retrieval,
        a_request(task),
        created_at=datetime.now(UTC),
        created_by="test",
        origin=origin_of(retriever.encoder.spec),
    )
    hits = {hit.number: hit for hit in generation.hits}
    for statement in generation.statements:
        assert not re.search(r"\[\s*\d", statement.text), statement.text
        for citation in statement.citations:
            case = retriever.index.cases.find(citation.source, citation.study_id)
            assert isinstance(case, Case) and citation.quote in case.report
            assert hits[citation.number].case == citation.case
            stated = {name for name, state in statement.labels.items() if state == "positive"}
            said = {n for n, s in case.labels.items() if s in ("positive", "uncertain")}
            assert stated <= said | {"No Finding", "Lung Opacity"}, (statement, case.labels)


def test_every_request_holds_pixels_and_reports_and_nothing_that_names_anyone(
    retriever: Retriever, tmp_path: Path
) -> None:
    """Of a DICOM file with a header, for every task, read byte by byte."""
    file = write_dicom(
        tmp_path / "secretname.dcm",
        draw_radiograph(99),
        PatientName="Secretname^Person",
        PatientID="SECRET-77",
        PatientBirthDate="19310203",
        AccessionNumber="ACC-4711",
        InstitutionName="Secret Hospital",
        StudyInstanceUID="1.2.840.99.7777",
    )
    secret = "secret indication"
    for options, is_sent in (
        (RemoteOptions(), False),
        (RemoteOptions(send_indication=True), True),
    ):
        with running(retriever, answers("The heart is enlarged. [1]"), options) as (runner, chats):
            study = runner.retrieve([file], indication=secret)
            for task in TASKS:
                runner.write(a_request(task), study)
        bodies = [asked.body.decode().lower() for asked in chats]
        assert len(bodies) == 17  # three texts and 14 questions
        heads = [f"{one.target} {json.dumps(dict(one.headers))}".lower() for one in chats]
        header = pydicom.dcmread(file, stop_before_pixels=True)
        names = {str(element.value).lower() for element in header if len(str(element.value)) > 5}
        names |= {"secretname", "secret-77", "acc-4711", "1.2.840", "19310203", str(tmp_path)}
        for hit in study.retrieval.hits:
            names |= {f'"{hit.case.study_id}"', f"{hit.case.source}:", f"{hit.case.patient_id} "}
        for one in (*heads, *bodies):
            assert not [name for name in names if name in re.sub(r"base64,[^\"]+", "", one)]
        assert [secret in body for body in bodies].count(True) == (len(bodies) if is_sent else 0)
        withheld = "the indication was not sent to the model server"
        assert (withheld in study.notes) != is_sent


def test_scores_of_drawn_answers_are_marked_in_every_text_they_reach(retriever: Retriever) -> None:
    with running(retriever, completion("Yes", "no", *["yes"] * 6)) as (runner, _):
        study = runner.retrieve([draw_radiograph(99, size=(96, 80))])
        classes = runner.write(a_request("classify"), study)
    assert any("shares of 8 drawn answers" in note for note in classes.notes)
    assert classes.assessment is not None
    found = [one.language_model for one in classes.assessment.observations]
    assert found == pytest.approx([7.5 / 9] * 14)
    with running(retriever, answers("")) as (runner, _):
        classes = runner.write(a_request("classify"), study)
    assert not any("drawn answers" in note for note in classes.notes)


@pytest.mark.parametrize("task", TASKS)
def test_without_its_server_a_request_is_answered_without_the_model_and_says_so(
    retriever: Retriever, task: Task
) -> None:
    request = a_request(task)
    with running(retriever, failed(503)) as (runner, _):
        study = runner.retrieve([draw_radiograph(99, size=(96, 80))])
        report = runner.write(request, study)
        generation = to_generation(
            report,
            study.retrieval,
            request,
            created_at=datetime.now(UTC),
            created_by="test",
            origin=runner.describe(origin_of(retriever.encoder.spec)),
        )
    assert "Written without the language model: the model server" in "".join(generation.warnings)
    assert "is busy or broken (status 503)." in "".join(generation.warnings)
    assert generation.origin is not None and generation.origin.model is None
    assert generation.origin.encoder == "reports"
    if task != "ask":
        assert generation.statements and all(one.citations for one in generation.statements)


def test_a_server_that_keeps_failing_is_left_alone_and_reports_go_on(retriever: Retriever) -> None:
    with running(retriever, repeated(lambda: failed(500))) as (runner, chats):
        study = runner.retrieve([draw_radiograph(99, size=(96, 80))])
        reports = [runner.write(a_request(), study) for _ in range(12)]
        model = runner.model
        assert isinstance(model, OpenAIModel)
    # Five failures open the circuit; retries of all requests together end with their budget.
    assert len(chats) == 5 + 10
    assert all(one.instead_of_model and one.statements for one in reports)
    assert "failed 5 times in a row" in reports[-1].warnings[0]
