"""A service behind a proxy: who may pass on requests, whose address counts, and below a prefix."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from litestar.testing import TestClient

from api.middleware.rate_limit import Counters
from api.settings import Settings
from db.app.database import AppDatabase
from db.errors import UserError
from tests.support.service.clients import HTTP, LATER, images
from tests.support.service.services import an_app, serving

Client = TestClient[Any]
FORWARDED = (
    {"x-forwarded-for": "203.0.113.7"},
    {"X-Forwarded-Host": "cxr.example.org"},
    {"x-forwarded-proto": "https"},
    {"forwarded": "for=203.0.113.7"},
    {"via": "1.1 proxy"},
    {"x-real-ip": "203.0.113.7"},
)


@pytest.mark.parametrize("headers", FORWARDED, ids=lambda one: next(iter(one)))
def test_a_proxy_nobody_named_does_not_open_a_service_without_keys(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with serving(an_app(tmp_path)) as address:
        assert httpx.get(f"{address}/generations").status_code == 200
        for path in ("/", "/health", "/generations", "/cases/drawn:s1"):
            answer = httpx.get(f"{address}{path}", headers=headers)
            assert answer.status_code == 403, path
            assert "--trusted-proxy" in answer.json()["detail"]
    for proxy in ("127.0.0.1", "127.0.0.0/8"):
        with serving(an_app(tmp_path, trusted_proxies=(proxy,))) as address:
            assert httpx.get(f"{address}/generations", headers=headers).status_code == 200
    with serving(an_app(tmp_path, trusted_proxies=("10.0.0.1",))) as address:
        assert httpx.get(f"{address}/generations", headers=headers).status_code == 403


def left(address: str, forwarded: str | None) -> int:
    """How many requests the server still allows."""
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    answer = httpx.get(f"{address}/generations", headers=headers)
    return int(answer.headers["ratelimit-remaining"])


def test_the_limit_counts_the_address_that_the_trusted_proxy_names(tmp_path: Path) -> None:
    app = an_app(tmp_path, trusted_proxies=("127.0.0.1", "10.0.0.0/8"), requests_per_minute=30)
    with serving(app) as address:
        assert [left(address, "203.0.113.7") for _ in range(2)] == [29, 28]
        assert left(address, "203.0.113.8") == 29
        assert left(address, "2001:db8::1") == 29 and left(address, "[2001:db8::1]:4711") == 28
        # one client may send from each address of a /64
        assert left(address, "2001:db8::ffff:1:2:3") == 27
        assert left(address, "2001:db8:0:1::1") == 29
        assert left(address, "::ffff:203.0.113.7") == 27
        # what the client itself wrote comes first, and a second proxy of ours last
        assert left(address, "198.51.100.1, 203.0.113.7") == 26
        assert left(address, "198.51.100.2, 203.0.113.7:4711, 10.0.0.9") == 25
        assert left(address, None) == 29 and left(address, "unknown") == 28


def test_a_proxy_nobody_named_does_not_choose_the_address_that_is_counted(tmp_path: Path) -> None:
    with serving(an_app(tmp_path, require_keys=True, requests_per_minute=30)) as address:
        counts = [left(address, f"203.0.113.{number}") for number in range(3)]
    assert counts == [29, 28, 27]


def test_a_refused_key_is_entered_with_the_address_behind_the_proxy(tmp_path: Path) -> None:
    app = an_app(tmp_path, require_keys=True, trusted_proxies=("127.0.0.1",))
    with serving(app) as address:
        headers = {"x-forwarded-for": "203.0.113.7", "authorization": "Bearer no"}
        assert httpx.get(f"{address}/generations", headers=headers).status_code == 401
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        (entry,) = database.audit
    assert entry.details["address"] == "203.0.113.7"


def test_counters_expire_and_stay_few() -> None:
    async def count() -> None:
        counters = Counters(most=3)
        for number in range(5):
            await counters.set(f"old {number}", "1", expires_in=-1)
        assert counters.size == 0
        for number in range(5):
            await counters.set(f"new {number}", "1", expires_in=60)
            await counters.set("new 0", "2", expires_in=60)  # used again, so not the oldest
        assert counters.size == 3
        values = [await counters.get(f"new {number}") for number in range(5)]
        assert values == [b"2", None, None, b"1", b"1"]

    anyio.run(count)


def test_the_counters_of_a_server_are_these(tmp_path: Path) -> None:
    app = an_app(tmp_path, trusted_proxies=("127.0.0.1",))
    with serving(app) as address:
        for number in range(3):
            left(address, f"2001:db8:0:{number}::1")
    counters = app.stores.get("rate_limit")
    assert isinstance(counters, Counters) and counters.size == 3


PLANTED = "Quixotic"


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        (f"fe80::1%{PLANTED}", "fe80::1"),
        (f"[fe80::1%{PLANTED}]:80", "fe80::1"),
        (f"fe80::1%{PLANTED}%{'x' * 5_000}", "127.0.0.1"),
        (f"203.0.113.7:{PLANTED}", "203.0.113.7"),
        (f"[2001:db8::1]{PLANTED}", "2001:db8::1"),
        (f"203.0.113.7, {PLANTED}", "127.0.0.1"),
        ("203.0.113.07", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
    ids=lambda one: one[:40],
)
def test_no_text_of_a_forwarding_header_is_kept(tmp_path: Path, sent: str, counted: str) -> None:
    app = an_app(tmp_path, require_keys=True, trusted_proxies=("127.0.0.1",))
    with serving(app) as address:
        headers = {"x-forwarded-for": sent, "authorization": "Bearer no"}
        assert httpx.get(f"{address}/generations", headers=headers).status_code == 401
    (key,) = app.stores.get("rate_limit")._store  # type: ignore[attr-defined]
    assert PLANTED not in key and len(key) < 100
    with AppDatabase.open(tmp_path / "app.sqlite3") as database:
        (entry,) = database.audit
    assert entry.details["address"] == counted


@pytest.fixture(params=["/cxr", ""], ids=["kept", "stripped"])
def below(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Client, str]]:
    """A service at /cxr, and what its proxy leaves of that in front of each path."""
    with TestClient(an_app(tmp_path, root_path="/cxr"), base_url=HTTP) as client:
        yield client, str(request.param)


def test_addresses_in_answers_have_the_prefix(below: tuple[Client, str]) -> None:
    client, prefix = below
    made = client.post(f"{prefix}/reports", files=images(1))
    later = client.post(f"{prefix}/reports", files=images(1), headers=LATER)
    batch = client.post(f"{prefix}/batches", files=images(1))
    assert made.headers["location"] == f"/cxr/generations/{made.json()['id']}"
    assert later.headers["location"] == f"/cxr/generations/{later.json()['id']}"
    assert batch.headers["location"] == f"/cxr/batches/{batch.json()['id']}"
    assert client.get(made.headers["location"]).status_code == 200
    assert client.get(f"{prefix}/schema").json()["servers"] == [{"url": "/cxr"}]
    for path in ("/", "/page/page.js", "/health", "/schema/swagger"):
        assert client.get(f"{prefix}{path}").status_code == 200
    assert client.get("/cxrs/health").status_code == client.get("/cx/health").status_code == 404


def test_the_page_is_opened_with_the_slash_that_relative_addresses_need(tmp_path: Path) -> None:
    with TestClient(an_app(tmp_path, root_path="/cxr"), base_url=HTTP) as client:
        for path in ("/cxr", "/cxr/schema/swagger/"):
            answer = client.get(path, follow_redirects=False)
            assert answer.status_code == 307
            assert client.get(answer.headers["location"]).status_code == 200
        assert client.get("/cxr", follow_redirects=False).headers["location"] == "/cxr/"


def test_pages_of_other_origins_are_refused_unless_they_were_named(tmp_path: Path) -> None:
    theirs = {"origin": "https://viewer.example.org", "sec-fetch-site": "cross-site"}
    preflight = {**theirs, "access-control-request-method": "POST"}
    with TestClient(an_app(tmp_path), base_url=HTTP) as client:
        assert client.post("/reports", files=images(1), headers=theirs).status_code == 403
        for answer in (client.get("/health", headers=theirs), client.options("/", headers=theirs)):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    app = an_app(tmp_path, cors_origins=("https://viewer.example.org",))
    with TestClient(app, base_url=HTTP) as client:
        answer = client.post("/reports", files=images(1), headers=theirs)
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == theirs["origin"]
        assert "Location" in answer.headers["access-control-expose-headers"]
        answer = client.options("/reports", headers=preflight)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == theirs["origin"]
        for other in ("https://other.example.org", "http://viewer.example.org", "null"):
            headers = {**theirs, "origin": other}
            answer = client.post("/reports", files=images(1), headers=headers)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("trusted_proxies", (one,)) for one in ("proxy.example.org", "*", "", "127.0.0.1:80")),
        *(("root_path", one) for one in ("cxr", "/cxr/", "//cxr", "/a/../b", "/c x", "https://a")),
        *(
            ("cors_origins", (one,))
            for one in (
                "*",
                "null",
                "viewer.example.org",
                "https://a.b/c",
                "https://a.b/",
                "file://",
            )
        ),
    ],
)
def test_an_impossible_proxy_prefix_or_origin_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UserError, match="is no"):
        Settings(**{name: value})
