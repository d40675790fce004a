"""Requests made from the OpenAPI document, also wrong ones: every answer is a documented one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from litestar import Litestar
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.services import a_png, an_app, serving

EXAMPLES = 6
"""Of each operation; bench/fuzz.py takes more."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return an_app(tmp_path_factory.mktemp("app"))


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
                answer = case.call(timeout=30)
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
    assert check_operations(app, address, examples=EXAMPLES) >= 24


def test_a_film_in_every_format_is_really_sent(address: str, tmp_path: Path) -> None:
    """The generated uploads are no films; this one is, so the way to a report is documented too."""
    import httpx

    answer = httpx.post(f"{address}/reports", files={"images": ("a.png", a_png(1))})
    assert answer.status_code == 201
