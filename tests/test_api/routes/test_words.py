"""SQL, HTML and formats in every field that takes words: stored and answered as words, or refused
in a sentence."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.support.service.services import a_png, an_app
from tests.support.service.writers import TalkingWriter

Client = TestClient[Any]
HTTP = "http://127.0.0.1"
RADIOGRAPH = a_png(1, size=(64, 64))
WORDS = (
    "'); DROP TABLE generations; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "%s %00 {0} ${7*7} {{7*7}}",
    "../../../etc/passwd",
)
Field = tuple[str, str, str, str]
"""Method, path, place (``form``, ``json``, ``query`` or ``path``) and name."""


def takes_words(schema: Mapping[str, Any]) -> bool:
    """Also lists of words, and words that may be left out; but no image."""
    inner = [schema.get("items", {}), *schema.get("oneOf", []), schema]
    return any(one.get("type") == "string" and one.get("format") != "binary" for one in inner)


def fields_of(app: Litestar) -> list[Field]:
    """Every field that takes words, out of the OpenAPI document; those inside of lists of objects
    have a test of their own."""
    document = app.openapi_schema.to_schema()
    found: list[Field] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for one in operation.get("parameters", []):
                if takes_words(one["schema"]):
                    found.append((method, path, one["in"], one["name"]))
            content = operation.get("requestBody", {}).get("content", {})
            for kind, media in content.items():
                name = media["schema"]["$ref"].rpartition("/")[2]
                place = "json" if kind == "application/json" else "form"
                properties = document["components"]["schemas"][name]["properties"]
                found += [
                    (method, path, place, field)
                    for field, schema in properties.items()
                    if takes_words(schema)
                ]
    return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return an_app(tmp_path_factory.mktemp("app"), backend=TalkingWriter())


@pytest.fixture(scope="module")
def client(app: Litestar) -> Iterator[Client]:
    with TestClient(app, base_url=HTTP) as client:
        yield client


@pytest.fixture(scope="module")
def made(client: Client) -> dict[str, Any]:
    """A stored report, which whatever is sent must leave as it is."""
    answer = client.post("/reports", files={"images": ("image.png", RADIOGRAPH)})
    report: dict[str, Any] = answer.json()
    return report


def send(client: Client, field: Field, words: str, generation: str) -> httpx.Response:
    method, path, place, name = field
    values = {"generation_id": generation, "batch_id": generation, "key": "drawn:s1", "number": "1"}
    if place == "path":
        values[name] = quote(words, safe="")
    address = path.format(**values)
    if place == "query":
        return client.request(method, address, params={name: words})
    if place == "json":
        needed: dict[str, Any] = {"kind": "edited", "text": "Clear."}
        if path.startswith("/v1"):
            needed = {"messages": [message(words)]}
        return client.request(method, address, json={**needed, name: words})
    if place == "form":
        data = {"question": "Is it?"} if path == "/answers" else {}
        data[name] = words
        files = {} if name in ("text", "case") else {"images": ("image.png", RADIOGRAPH)}
        return client.request(method, address, data=data, files=files)
    return client.request(method, address)


def message(words: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": words}, an_image(RADIOGRAPH)]}


def an_image(image: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{b64encode(image).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def check(answer: httpx.Response, what: object) -> None:
    assert answer.status_code < 500, (what, answer.text)
    kind = answer.headers["content-type"]
    assert kind.partition(";")[0] in ("application/json", "application/problem+json"), what
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status_code >= 400:
        assert answer.json()["detail"], what


@pytest.mark.parametrize("words", WORDS)
def test_hostile_text_in_every_field_is_only_text_or_refused(
    app: Litestar, client: Client, made: dict[str, Any], words: str
) -> None:
    fields = fields_of(app)
    assert len(fields) > 40 and {place for _, _, place, _ in fields} == {
        "form",
        "json",
        "path",
        "query",
    }
    for field in fields:
        check(send(client, field, words, made["id"]), field)
    stored = client.get(f"/generations/{made['id']}")
    assert stored.status_code == 200 and stored.json() == made
    assert client.get("/generations").json()["total"] >= 1


@pytest.mark.parametrize("words", WORDS)
def test_stored_text_is_verbatim(client: Client, words: str) -> None:
    data = {"indication": words, "question": words, "exclude_patient": words}
    image = {"images": (words, RADIOGRAPH)}
    answer = client.post("/answers", data=data, files=image).json()
    assert (answer["indication"], answer["question"]) == (words, words)
    assert client.get(f"/generations/{answer['id']}").json() == answer
    address = f"/generations/{answer['id']}/feedback"
    remark = {"kind": "edited", "text": words, "comment": words}
    assert client.post(address, json=remark).status_code == 201
    assert [(one["text"], one["comment"]) for one in client.get(address).json()] == [(words, words)]


@pytest.mark.parametrize("words", WORDS)
def test_hostile_text_in_a_chat_is_only_text(client: Client, words: str) -> None:
    for model in ("grounded-cxr-ask", words):
        asked = {"model": model, "messages": [message(words)]}
        check(client.post("/v1/chat/completions", json=asked), model)
    for part in ({"type": "image_url", "image_url": {"url": words}}, {"type": words}):
        broken = {"messages": [{"role": "user", "content": [part]}]}
        check(client.post("/v1/chat/completions", json=broken), part)
    broken = {"messages": [{"role": words, "content": words}]}
    check(client.post("/v1/chat/completions", json=broken), "role")


@pytest.mark.parametrize("words", WORDS)
def test_a_text_filter_finds_only_matching_reports(
    client: Client, made: dict[str, Any], words: str
) -> None:
    """As a quoted value: one that ended the quotes would find all, or nothing of what there is."""
    for name in ("text", "created_by", "task", "index_fingerprint", "image_sha256"):
        listed = client.get("/generations", params={name: words[:32]})
        assert listed.status_code == 200, name
        assert made["id"] not in [line["id"] for line in listed.json()["generations"]], name
