"""Requests made from the OpenAPI document, also wrong ones: every answer is a documented one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from litestar import Litestar
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.service.services import a_png, an_app, serving
from tests.support.service.writers import TalkingWriter, WithoutAnswers

EXAMPLES = 6
"""Of each operation; tests/robustness/fuzz.py takes more."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return an_app(tmp_path_factory.mktemp("app"), backend=TalkingWriter())


@pytest.fixture(scope="module")
def address(app: Litestar) -> Iterator[str]:
    with serving(app) as address:
        yield address


def check_operations(app: Litestar, address: str, *, examples: int) -> int:
    """Every operation, with data that fits its schema and data that does not. Returns how many."""
    schema = schemathesis.openapi.from_dict(app.openapi_schema.to_schema())
    schema.config.update(base_url=address)
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Any) -> None:
                answer = case.call(timeout=60)
                case.validate_response(
                    answer,
                    checks=[
                        schemathesis.checks.not_a_server_error,
                        status_code_conformance,
                        content_type_conformance,
                        response_schema_conformance,
                    ],
                )

            with suppress(Unsatisfiable):  # nothing wrong can be sent where nothing is asked for
                ask()
        count += 1
    return count


def test_every_operation_answers_as_documented(app: Litestar, address: str) -> None:
    assert check_operations(app, address, examples=EXAMPLES) == 38


@pytest.mark.parametrize("path", ["/reports", "/answers", "/classifications", "/captions"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 201), ({"accept": "text/event-stream"}, 200), ({"prefer": "respond-async"}, 202)],
    ids=["at once", "in steps", "later"],
)
def test_results_of_a_real_image_are_as_documented(
    app: Litestar, address: str, path: str, headers: dict[str, str], status: int
) -> None:
    """The generated uploads are no images; this one is."""
    schema = schemathesis.openapi.from_dict(app.openapi_schema.to_schema())
    answer = requests.post(
        f"{address}{path}",
        files={"images": ("a.png", a_png(1, size=(64, 64)))},
        data={"indication": "dyspnea"}
        | ({"question": "Is the heart enlarged?"} if path == "/answers" else {}),
        headers=headers,
        timeout=60,
    )
    assert answer.status_code == status, answer.text
    schema[path]["POST"].validate_response(answer)
    if status == 201:
        stored = requests.get(f"{address}{answer.headers['location']}", timeout=60)
        schema["/generations/{generation_id}"]["GET"].validate_response(stored)


def test_a_server_without_answers_refuses_questions_as_documented(tmp_path: Path) -> None:
    bare = an_app(tmp_path, backend=WithoutAnswers())
    schema = schemathesis.openapi.from_dict(bare.openapi_schema.to_schema())
    with serving(bare) as address:
        image = {"images": ("a.png", a_png(1, size=(64, 64)))}
        answer = requests.post(
            f"{address}/answers", files=image, data={"question": "Is it?"}, timeout=60
        )
    assert answer.status_code == 409
    schema["/answers"]["POST"].validate_response(answer)
