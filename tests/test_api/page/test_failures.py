"""What the page says when a request fails or is refused, and how it asks for the API key."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from db.app.database import AppDatabase
from db.errors import UserError
from tests.support.page.browser import Browser, Keys
from tests.support.page.service import Images, MarkingWriter, a_page
from tests.support.service.services import FakeRetriever, serving

pytest_plugins = ["tests.support.page.fixtures"]


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, retriever: FakeRetriever, writer: MarkingWriter
) -> Iterator[str]:
    """A small service: one place, two images a study, 200 kB a request."""
    folder = tmp_path_factory.mktemp("served")
    app = a_page(folder, retriever, writer, capacity=1, max_images=2, max_body_bytes=200_000)
    with serving(app) as url:
        yield url


@pytest.fixture
def ready(browser: Browser, address: str, images: Images) -> Browser:
    """The page with an image, before anything is written."""
    browser.greeted(address)
    browser.choose(images.pa)
    browser.wait("#write:enabled")
    return browser


def a_key(folder: Path, *scopes: str) -> str:
    with AppDatabase.open(folder / "app.sqlite3") as database:
        return database.keys.add("-".join(scopes), scopes, at=datetime.now(UTC))


def give_key(browser: Browser, key: str) -> None:
    field = browser.wait("#key")
    assert browser.focused() == "key"
    field.send_keys(key, Keys.ENTER)


def test_a_key_is_asked_for_kept_in_the_tab_alone_and_asked_for_again_when_revoked(
    browser: Browser, tmp_path: Path, images: Images, retriever: FakeRetriever
) -> None:
    key, reading = a_key(tmp_path, "read", "generate"), a_key(tmp_path, "read")
    with serving(a_page(tmp_path, retriever, MarkingWriter(), require_keys=True)) as url:
        browser.greeted(url)
        browser.says("#key-reason", "requires an API key")
        assert browser.one("#key").get_attribute("type") == "password"
        give_key(browser, "cxr_wrong")
        browser.says("#key-reason", "does not recognise this API key")
        give_key(browser, key)
        browser.hidden("#key-dialog")
        browser.choose(images.pa)
        browser.write_report()
        browser.press(".statement .chip")
        browser.until(
            lambda: browser.one("#case .stage img").get_property("naturalWidth") == 420,
            "the image of the case came without the key",
        )
        kept = browser.script("return [sessionStorage['api-key'], localStorage.length]")
        assert kept == [key, 0] and key not in browser.driver.page_source
        assert "key" not in browser.script("return document.cookie")

        browser.press("#case-close")
        browser.press("#key-open")
        give_key(browser, reading)
        browser.hidden("#key-dialog")
        browser.press("#write")
        assert "no scope 'generate'" in browser.failure()

        browser.press("#key-open")
        give_key(browser, key)
        browser.hidden("#key-dialog")
        with AppDatabase.open(tmp_path / "app.sqlite3") as database:
            database.keys.revoke("read-generate", at=datetime.now(UTC))
        browser.press("#accept")
        browser.says("#key-reason", "or it has been revoked")
        browser.press("#key-cancel")
        assert "requires an API key" in browser.failure()
        browser.press("#again")
        browser.wait("#key-dialog")


def test_a_rate_limited_key_shows_how_long_to_wait(
    browser: Browser, tmp_path: Path, images: Images, retriever: FakeRetriever
) -> None:
    key = a_key(tmp_path, "read", "generate")
    settings = {"require_keys": True, "requests_per_minute": 15}
    with serving(a_page(tmp_path, retriever, MarkingWriter(), **settings)) as url:
        browser.greeted(url)
        give_key(browser, key)
        browser.hidden("#key-dialog")
        browser.choose(images.pa)
        browser.wait("#write:enabled")
        headers = {"authorization": f"Bearer {key}"}
        for _ in range(15):
            httpx.get(f"{url}/generations", headers=headers)
        browser.press("#write")
        assert "Too many requests: try again in" in browser.failure()
        again = browser.one("#again")
        assert not again.is_enabled() and again.text.startswith("Try again in ")
        browser.press("#dismiss")
        browser.hidden("#alert")


def test_a_busy_server_is_tried_again_after_the_time_it_named(
    ready: Browser, address: str, images: Images, writer: MarkingWriter
) -> None:
    writer.go.clear()
    files = {"images": ("pa.png", images.pa.read_bytes())}
    other = threading.Thread(target=lambda: httpx.post(f"{address}/captions", files=files))
    other.start()
    try:
        ready.until(lambda: httpx.get(f"{address}/health/ready").status_code == 503, "not full")
        ready.press("#write")
        assert ready.failure()
        assert ready.says("#again", "Try again")
    finally:
        writer.go.set()
        other.join()
    ready.wait("#again:enabled")
    ready.press("#again")
    ready.wait(".statement")
    assert not ready.one("#alert").is_displayed()


def test_a_stopped_server_is_named_as_the_cause(
    browser: Browser, tmp_path: Path, images: Images, retriever: FakeRetriever
) -> None:
    with serving(a_page(tmp_path, retriever, MarkingWriter())) as url:
        browser.greeted(url)
        browser.choose(images.pa)
        browser.write_report()
    browser.press("#write")
    assert browser.failure() == "The server is not responding. Check that it is still running."
    assert browser.one("#again").is_enabled()
    assert browser.all(".statement"), "what was written stays"
    assert browser.one("#stages .failed").text == "Failed"


def test_a_connection_lost_while_writing_is_reported(ready: Browser) -> None:
    ready.script(
        """
        window.fetch = async () => new Response(new ReadableStream({
          start(controller) {
            const text = 'event: stage\\r\\ndata: {"stage":"writing"}\\r\\n\\r\\n'
              + ': ping\\r\\n\\r\\nevent: token\\r\\ndata: {"text":"Half"}\\r\\n\\r\\n';
            controller.enqueue(new TextEncoder().encode(text));
            setTimeout(() => controller.error(new TypeError("network error")), 50);
          },
        }));
        """
    )
    ready.press("#write")
    assert "The connection was lost before the answer was complete" in ready.failure()
    assert not ready.one("#draft").is_displayed()


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (RuntimeError("inner workings"), "The server failed on this request"),
        (UserError("the drawn index is empty: build it again"), "The drawn index is empty"),
    ],
)
def test_a_failing_search_is_reported_in_a_sentence(
    ready: Browser, retriever: FakeRetriever, error: Exception, shown: str
) -> None:
    retriever.error = error
    try:
        ready.press("#write")
        text = ready.failure()
    finally:
        retriever.error = None
    assert text.startswith(shown) and "inner workings" not in text


def test_a_bad_file_gets_a_sentence_and_keeps_the_report(ready: Browser, images: Images) -> None:
    ready.write_report()
    ready.choose(images.text)
    assert "text.png is not an image that can be read here" in ready.failure()
    assert ready.all(".statement")
    ready.choose(images.lateral)
    ready.hidden(".statement")
    assert not ready.one("#alert").is_displayed()
    ready.hidden(".thumb")


def test_the_name_of_a_file_is_shown_as_it_is(ready: Browser, tmp_path: Path) -> None:
    named = tmp_path / "my chest image.png"
    named.write_bytes(b"no image at all")
    ready.choose(named)
    assert ready.failure().startswith("my chest image.png is not an image")


def test_too_many_or_too_large_images_are_not_sent(
    ready: Browser, images: Images, tmp_path: Path
) -> None:
    ready.choose(images.lateral, images.case)
    assert (
        ready.failure() == "A study may have at most 2 images. Choose the views of one study only."
    )
    large = tmp_path / "large.dcm"
    large.write_bytes(bytes(300_000))
    ready.press("#clear")
    ready.choose(large)
    assert "larger than the" in ready.failure()


def test_a_pending_report_is_shown_as_pending(
    browser: Browser, address: str, images: Images, writer: MarkingWriter
) -> None:
    writer.go.clear()
    try:
        later = httpx.post(
            f"{address}/reports",
            files={"images": ("pa.png", images.pa.read_bytes())},
            headers={"Prefer": "respond-async"},
        )
        assert later.status_code == 202
        browser.greeted(f"{address}/#{later.json()['id']}")
        assert "This report is " in browser.failure()
    finally:
        writer.go.set()
    browser.until(lambda: httpx.get(f"{address}{later.headers['location']}").status_code == 200, "")
    browser.wait("#again:enabled")
    browser.press("#again")
    browser.wait(".statement")
