"""The web page, driven in headless Chromium against a served application."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from indexer.images import encode_png
from retriever.verdict import Verdict
from tests.fakes import ThumbnailEncoder
from tests.films import draw_film
from tests.services import FakeRetriever, a_case, a_png, an_app, serving

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,900",
)
NASTY = "<script>document.title='broken in'</script><img src=x onerror=\"document.title='in'\">"


UNUSUAL = Verdict(in_distribution=False, score=-8.1, threshold=-3.2, reason="drawn sideways")


class Browser:
    """A window on the page, with the few things a person does there."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, selector: str) -> WebElement:
        """The first element of this kind, once it is in sight."""

        def visible(_: object) -> WebElement | None:
            found = self.all(selector)
            return found[0] if found and found[0].is_displayed() else None

        found: WebElement = WebDriverWait(self.driver, 20, ignored_exceptions=[Exception]).until(
            visible, f"{selector} did not appear"
        )
        return found

    def open(self, address: str) -> None:
        self.driver.get("about:blank")
        self.driver.get(address)
        WebDriverWait(self.driver, 20).until(
            lambda _: self.one("#index-line").get_property("textContent")
        )

    def choose(self, *paths: Path) -> None:
        self.one("#files").send_keys("\n".join(str(path) for path in paths))

    def write_report(self) -> None:
        self.wait("#write:enabled").click()
        self.wait(".statement")

    def focused(self) -> str:
        return str(self.driver.execute_script("return document.activeElement.id"))

    def complaints(self) -> list[str]:
        """What the console holds, but for answers of our own with a 4xx status."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [e["message"] for e in entries if "the server responded with" not in e["message"]]


def style_of(browser: Browser, selector: str) -> list[str]:
    """Colour and size of the text of the first element of this kind."""
    element = browser.wait(selector)
    return [element.value_of_css_property(name) for name in ("color", "font-size")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not (CHROMIUM.is_file() and DRIVER.is_file()):
        pytest.skip("chromium and chromium-driver are missing: apt-get install them")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=str(DRIVER))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    files = {
        "pa": a_png(1),
        "lateral": encode_png(draw_film(1, view="LATERAL")),
        "text": b"no image at all",
        "case": a_png(7),
    }
    for name, data in files.items():
        (folder / f"{name}.png").write_bytes(data)
    return {name: folder / f"{name}.png" for name in files}


@pytest.fixture(scope="module")
def retriever(films: dict[str, Path]) -> FakeRetriever:
    return FakeRetriever(
        [
            a_case(1, study_id="one", images=[films["case"]]),
            a_case(2, study_id="a/b ü", sentences=("Costal angles drawn sharp.", NASTY)),
            a_case(3, study_id="three", sentences=(NASTY, "Lungs drawn wide.")),
            a_case(4, study_id="77", source="openi"),
        ]
    )


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, retriever: FakeRetriever, films: dict[str, Path]
) -> Iterator[str]:
    app = an_app(tmp_path_factory.mktemp("served"), retriever, sample_path=films["pa"])
    with serving(app) as url:
        yield url


def test_from_a_film_to_the_cited_case_with_its_sentence_marked(
    browser: Browser, address: str, films: dict[str, Path]
) -> None:
    browser.open(address)
    assert "4 prior cases of drawn" in browser.one("#index-line").text
    browser.choose(films["pa"], films["lateral"])
    browser.write_report()
    assert len(browser.all(".thumb")) == 2
    assert browser.one(".viewer img").get_property("naturalWidth") == 420
    lines = browser.all(".statement")
    assert lines[0].text.startswith("Lungs drawn clear.")
    assert lines[-1].text == "No case says this. no prior case supports this"
    assert "unsupported" in str(lines[-1].get_attribute("class"))

    lines[0].find_element(By.TAG_NAME, "button").click()
    assert browser.wait("#case mark").text == "Lungs drawn clear."
    panel = browser.one("#case").text
    for shown in (
        "one",
        "similarity 0.92",
        "A drawing without disease.",
        "Lung Opacity: uncertain",
    ):
        assert shown in panel
    WebDriverWait(browser.driver, 10).until(
        lambda _: browser.one("#case img").get_property("naturalWidth") == 420
    )
    assert browser.complaints() == []


def test_hits_left_out_cases_notes_and_label_scores_are_shown(
    browser: Browser, address: str, films: dict[str, Path]
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.write_report()
    body = browser.one("#report-body")
    for shown in ("A note of the generator.", "openi 77", "1 case left out"):
        assert shown in body.text
    assert "Cardiomegaly" not in body.text
    browser.one("#scores summary").click()
    for shown in ("Label scores of the encoder", "Uncalibrated", "Cardiomegaly", "0.75"):
        assert shown in body.text
    shares = [r.get_attribute("width") for r in browser.all("#scores rect")]
    assert shares == ["75", "12.5"]
    browser.one("#left-out summary").click()
    assert "drawn s-copy (1.00): the same film" in body.text
    browser.all(".hit")[3].click()
    link = browser.wait("#case a")
    assert str(link.get_attribute("href")).startswith("https://openi.nlm.nih.gov/")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert "not on this machine" in browser.one("#case").text


def test_a_report_on_an_unusual_image_stands_under_a_warning(
    browser: Browser, address: str, films: dict[str, Path], retriever: FakeRetriever
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.write_report()
    assert browser.all(".warning") == []
    usual = style_of(browser, ".statement")
    retriever.verdict = UNUSUAL
    try:
        browser.open(address)
        browser.choose(films["pa"])
        browser.write_report()
        stored = browser.driver.current_url
    finally:
        retriever.verdict = None
    browser.open(stored)
    warning = browser.wait(".warning")
    assert warning.get_attribute("role") == "alert"
    assert "unlike the films in the index. Do not rely on this report." in warning.text
    assert "Drawn sideways." in warning.text and "-8.10" in warning.text
    body = browser.one("#report-body")
    assert body.find_elements(By.CSS_SELECTOR, ":scope > *")[0] == warning
    doubted = style_of(browser, ".statement")
    assert all(one != other for one, other in zip(usual, doubted, strict=True))
    browser.one("#history summary").click()
    assert "image unlike the index" in browser.wait("#history-list button").text
    browser.one("#clear").click()
    assert browser.all(".warning") == []
    assert "doubtful" not in str(browser.one("#report-body").get_attribute("class"))


def test_words_find_cases_that_open(
    browser: Browser, address: str, films: dict[str, Path], retriever: FakeRetriever
) -> None:
    browser.open(address)
    browser.one("#words summary").click()
    browser.wait("#text").send_keys(NASTY)
    assert not browser.one("#with-film").is_enabled()
    browser.one("#words-form button").click()
    hits = browser.wait(".hits")
    assert browser.one("#report-title").text == "Prior cases"
    assert len(browser.all(".hit")) == 4 and "A drawing without disease." in hits.text
    assert NASTY in browser.one("#report-body").text
    assert retriever.words[-1] == (NASTY, 0.5)
    browser.all(".hit")[0].click()
    assert "Lungs drawn clear." in browser.wait("#case .case-report").text

    browser.choose(films["pa"])
    WebDriverWait(browser.driver, 10).until(lambda _: browser.one("#with-film").is_enabled())
    browser.one("#with-film").click()
    browser.driver.execute_script("document.getElementById('text-weight').value = 0.2")
    retriever.verdict = UNUSUAL
    try:
        browser.one("#words-form button").click()
        assert "Do not rely on these cases." in browser.wait(".warning").text
    finally:
        retriever.verdict = None
    assert retriever.words[-1] == (NASTY, 0.2)
    browser.write_report()
    assert browser.one("#report-title").text == "Report"
    assert browser.all(".warning") == []
    assert browser.complaints() == []


def test_search_options_of_the_page_reach_the_search(
    browser: Browser, address: str, films: dict[str, Path], retriever: FakeRetriever
) -> None:
    browser.open(address)
    browser.one("#options summary").click()
    browser.wait("#label").send_keys("Edema")
    browser.one("#label-filter").send_keys("the very")
    browser.one("#min-ratio").send_keys("0.5")
    browser.one("#diversity").send_keys("0.3")
    browser.choose(films["pa"])
    browser.write_report()
    call = retriever.calls[-1]
    assert (call["labels"], call["label_filter"]) == (("Edema",), "exact")
    assert (call["min_ratio"], call["diversity"]) == (0.5, 0.3)


def test_the_page_offers_words_only_where_they_can_be_read(
    browser: Browser, tmp_path: Path
) -> None:
    retriever = FakeRetriever([a_case(1)], encoder=ThumbnailEncoder())
    with serving(an_app(tmp_path, retriever)) as url:
        browser.open(url)
        assert not browser.one("#words").is_displayed()


def test_text_of_cases_is_never_taken_for_html(
    browser: Browser, address: str, films: dict[str, Path]
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.write_report()
    third = browser.all(".statement")[2]
    assert third.text.startswith(NASTY)
    third.find_element(By.TAG_NAME, "button").click()
    assert browser.wait("#case mark").text == NASTY
    assert browser.all("main script, #case img[src='x'], #report img[src='x']") == []
    assert browser.driver.title == "Grounded chest X-ray reports"


def test_a_study_id_with_slash_and_umlaut_opens(
    browser: Browser, address: str, films: dict[str, Path]
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.write_report()
    browser.all(".statement")[1].find_element(By.TAG_NAME, "button").click()
    assert browser.wait("#case mark").text == "Costal angles drawn sharp."
    assert "Prior case a/b ü" in browser.one("#case-title").text


def test_the_keyboard_opens_and_closes_a_case_and_gives_the_focus_back(
    browser: Browser, address: str, films: dict[str, Path]
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.wait("#write:enabled")
    WebDriverWait(browser.driver, 10).until(lambda _: browser.focused() == "write")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait(".statement")
    chip = browser.one(".statement button")
    chip.send_keys(Keys.ENTER)
    browser.wait("#case mark")
    assert browser.focused() == "case-title"
    assert chip.get_attribute("aria-pressed") == "true"
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.one("#case").is_displayed()
    assert browser.driver.switch_to.active_element == chip
    assert browser.one("#status").get_attribute("aria-live") == "polite"


def test_a_bad_file_gets_a_sentence_and_keeps_the_report(
    browser: Browser, address: str, films: dict[str, Path]
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.write_report()
    browser.choose(films["text"])
    assert "text.png is not an image that can be read here" in browser.wait("#error").text
    assert browser.all(".statement")
    browser.choose(films["lateral"])
    WebDriverWait(browser.driver, 10).until(lambda _: not browser.all(".statement"))
    assert not browser.one("#error").is_displayed()
    assert len(browser.all(".thumb")) == 1


def test_a_failing_search_is_told_in_its_own_words(
    browser: Browser, address: str, films: dict[str, Path], retriever: FakeRetriever
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.wait("#write:enabled")
    retriever.error = RuntimeError("inner workings")
    try:
        browser.one("#write").click()
        text = browser.wait("#error").text
    finally:
        retriever.error = None
    assert "the server failed on this request" in text
    assert "inner workings" not in text


def test_the_sample_film_is_reported_on_at_one_press(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.wait("#sample").click()
    assert browser.wait(".statement").text.startswith("Lungs drawn clear.")


def test_a_stored_report_opens_again_from_its_address_and_from_the_history(
    browser: Browser, address: str, films: dict[str, Path], retriever: FakeRetriever
) -> None:
    browser.open(address)
    browser.choose(films["pa"])
    browser.write_report()
    stored = browser.driver.current_url
    assert "#" in stored
    gone, retriever.cases = retriever.cases[0], retriever.cases[1:]
    try:
        browser.open(stored)
        browser.wait(".chip.gone").click()
        assert browser.wait("#case mark").text == "Lungs drawn clear."
        assert "does not hold this case any more" in browser.one("#case").text
        browser.one("#history summary").click()
        browser.wait("#history-list button").click()
        browser.wait(".statement")
    finally:
        retriever.cases = [gone, *retriever.cases]


@pytest.mark.parametrize("width", [1400, 1000, 380])
def test_the_notice_stays_in_sight_and_nothing_runs_over_the_edge(
    browser: Browser, address: str, films: dict[str, Path], width: int
) -> None:
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        browser.open(address)
        browser.choose(films["pa"])
        browser.write_report()
        browser.one(".statement button").click()
        browser.wait("#case mark")
        browser.driver.execute_script("scrollTo(0, document.body.scrollHeight)")
        box = browser.one(".notice").rect
        seen = browser.driver.execute_script("return [scrollY, innerHeight]")
        assert seen[0] <= box["y"] <= seen[0] + seen[1] - box["height"]
        assert "not for clinical use" in browser.one(".notice").text
        assert browser.driver.execute_script(
            "return document.documentElement.scrollWidth <= innerWidth"
        )
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_only_its_own_server_and_runs_no_inline_code() -> None:
    page = Path(__file__).parent.parent / "api" / "page"
    for path in page.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write"):
            assert unsafe not in text, path.name
    html = (page / "index.html").read_text(encoding="utf-8")
    assert "<style" not in html and " style=" not in html and " onclick=" not in html
