"""The answers that docs/serve.md shows are those that the service gives."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.conftest import ROOT
from tests.support.service.clients import STREAM, images
from tests.support.service.services import FakeRetriever, a_case, an_app
from tests.support.service.writers import Talker

PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
BLOCK = re.compile(r'^```json title="(\w+)"\n(.*?)^```', re.DOTALL | re.MULTILINE)
SHOWN = {name: json.loads(text) for name, text in BLOCK.findall(PAGE)}
SHOWN_IDS = {"id", "generation"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient[Any]]:
    writer = Talker()
    writer.go.set()
    app = an_app(tmp_path, FakeRetriever([a_case(1)]), backend=writer)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def check(shown: Any, given: Any) -> None:
    """What is shown is given, with the same values but for ids; more may be given."""
    if isinstance(shown, dict):
        for name in shown.keys() - SHOWN_IDS:
            check(shown[name], given[name])
        assert given.keys() >= shown.keys()
    elif isinstance(shown, list):
        assert len(shown) == len(given)
        for one, other in zip(shown, given, strict=True):
            check(one, other)
    elif isinstance(shown, float):
        assert given == pytest.approx(shown)
    else:
        assert given == shown


def test_answers_are_as_shown(client: TestClient[Any]) -> None:
    for name, path, fields in (
        ("report", "/reports", {}),
        ("batch", "/batches", {}),
        ("problem", "/reports", {"question": "Is it?"}),
    ):
        answer = client.post(path, files=images(1), data=fields)
        check(SHOWN[name], answer.json())


def test_a_stream_is_as_shown(client: TestClient[Any]) -> None:
    found = re.search(r"^```text\n(event: .*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    answer = client.post("/reports", files=images(1), headers=STREAM)
    progress, _, rest = answer.text.replace("\r\n", "\n").partition("event: report\n")
    assert progress.strip() == found.group(1).strip() and rest.startswith("data: {")
