"""The page: public images of cases, from a server that stands in for their source."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.page.browser import SIZES, Browser
from tests.support.page.service import Images, MarkingWriter, a_page, written
from tests.support.service.services import FakeRetriever, a_case, a_png, serving

pytest_plugins = ["tests.support.page.fixtures"]

PATH = "/imgs/512/77/478/CXR478_IM-2110-1001.png"
NAME = Path("478_IM-2110-1001.dcm.jpg")


class Source:
    """Serves one image; ``asked`` are the paths of its requests, ``told`` their headers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: list[dict[str, str]] = []
        source, image = self, a_png(5)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked.append(self.path)
                source.told.append(dict(self.headers))
                self.send_response(200 if self.path == PATH else 404)
                self.end_headers()
                self.wfile.write(image if self.path == PATH else b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def source() -> Iterator[Source]:
    found = Source()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.mark.parametrize("size", SIZES)
def test_public_images_are_loaded_once_the_reader_was_told_and_has_pressed(
    browser: Browser, source: Source, tmp_path: Path, images: Images
) -> None:
    cases = [a_case(1, source="openi", study_id="478", images=[NAME]), a_case(2), a_case(3)]
    app = a_page(tmp_path, FakeRetriever(cases), MarkingWriter(), public_images=source.url)
    with serving(app) as url:
        report = written(browser, url, images)
        report.press(".statement .chip")
        told = report.says("#case .case-images", "Your browser then asks 127.0.0.1")
        assert "which cases" in told and source.asked == []
        report.press("#public-images")
        report.until(
            lambda: report.one("#case .stage img").get_property("naturalWidth") == 420, "no image"
        )
        report.press("#case .link")
        report.one("#case .preset").send_keys("Lung")  # its grey levels cannot be read
        report.script("document.querySelector('.hit').scrollIntoView()")
        report.until(lambda: report.all(".hit .thumbnail img"), "no thumbnail")
    assert set(source.asked) == {PATH}
    assert not any("Referer" in one or "Cookie" in one for one in source.told)
    assert report.complaints() == []


def test_nothing_is_offered_unless_the_server_was_started_so(
    browser: Browser, tmp_path: Path, images: Images
) -> None:
    cases = [a_case(1, source="openi", study_id="478", images=[NAME]), a_case(2), a_case(3)]
    with serving(a_page(tmp_path, FakeRetriever(cases), MarkingWriter())) as url:
        report = written(browser, url, images)
        report.press(".statement .chip")
        report.says("#case .case-images", "No image of this case")
        assert report.all("#public-images") == []
