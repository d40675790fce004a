"""The page of the OpenAPI document comes from installed files and calls nobody else."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from litestar.testing import TestClient

from tests.support.service.clients import HTTP
from tests.support.service.services import an_app


@pytest.fixture
def client(tmp_path: Any) -> Iterator[TestClient[Any]]:
    with TestClient(an_app(tmp_path, require_keys=True), base_url=HTTP) as client:
        yield client


def test_everything_the_page_loads_is_served_here_without_a_key(client: TestClient[Any]) -> None:
    page = client.get("/schema/swagger")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for address in loaded:
        assert not address.startswith("/")
        assert client.get(urljoin("/schema/swagger", address)).status_code == 200, address
    assert "http" not in page.text and not re.search(r"<script>|<style|style=", page.text)
    starter = client.get("/page/swagger.js").text
    assert "http" not in starter and "validatorUrl: null" in starter


def test_only_the_files_of_the_page_are_served(client: TestClient[Any]) -> None:
    for name in ("swagger-editor-bundle.js", "oauth2-redirect.html", "..%2f__init__.py"):
        assert client.get(f"/schema/swagger/{name}").status_code == 404


def test_the_document_itself_still_needs_a_key(client: TestClient[Any]) -> None:
    assert client.get("/schema").status_code == 401
