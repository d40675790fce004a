"""The web page, driven in headless Chromium on a desk and on a phone."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from retriever.verdict import Verdict
from tests.browser import SIZES, Browser, chromium
from tests.fakes import ThumbnailEncoder
from tests.page_service import (
    NASTY,
    QUESTION,
    Films,
    MarkingWriter,
    a_page,
    draw_films,
    drawn_cases,
)
from tests.services import FakeRetriever, a_case, serving

LIKE = Verdict(in_distribution=True, score=-0.4, threshold=-3.2, reason="like the index")
UNUSUAL = Verdict(in_distribution=False, score=-8.1, threshold=-3.2, reason="drawn sideways")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def browser(chrome: Browser, size: str) -> Browser:
    chrome.resize(size)
    return chrome


@pytest.fixture
def desk(chrome: Browser) -> Browser:
    chrome.resize("desktop")
    return chrome


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return draw_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def retriever(films: Films) -> FakeRetriever:
    return drawn_cases(films)


@pytest.fixture(scope="module")
def writer() -> MarkingWriter:
    return MarkingWriter()


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory,
    retriever: FakeRetriever,
    writer: MarkingWriter,
    films: Films,
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    with serving(a_page(folder, retriever, writer, sample_path=films.pa)) as url:
        yield url


@pytest.fixture
def report(browser: Browser, address: str, films: Films) -> Browser:
    """The page with a report on two views."""
    browser.greeted(address)
    browser.choose(films.pa, films.lateral)
    browser.write_report()
    return browser


def chip(browser: Browser, statement: int) -> WebElement:
    """The first number of a statement, once that is there."""
    lines = browser.until(lambda: browser.all(".statement"), "no statement")
    return lines[statement].find_element(By.CSS_SELECTOR, ".chip")


def press_chip(browser: Browser, statement: int) -> WebElement:
    found = chip(browser, statement)
    browser.script("arguments[0].scrollIntoView({block: 'center'})", found)
    found.click()
    return found


def feedback(browser: Browser) -> list[dict[str, Any]]:
    """What is stored about the report on the page."""
    return list(
        browser.driver.execute_async_script(
            "const done = arguments[0];"
            "fetch(`/generations/${location.hash.slice(1)}/feedback`)"
            ".then(r => r.json()).then(done)"
        )
    )


# the report and the cases it cites


def test_from_a_film_to_the_cited_case_with_its_sentence_marked(report: Browser) -> None:
    index = report.one("#index-line").get_property("textContent")
    assert "4 prior cases of drawn" in index and "model drawn-adapter" in index
    assert len(report.all("#viewer .thumb")) == 2
    assert report.one("#viewer .stage img").get_property("naturalWidth") == 420
    press_chip(report, 0)
    assert report.wait("#case mark").text == "Lungs drawn clear."
    panel = report.one("#case").text
    for shown in ("one", "similarity 0.92", "A drawing without disease."):
        assert shown in panel
    assert "Lung Opacity: uncertain" in panel
    report.until(
        lambda: report.one("#case .stage img").get_property("naturalWidth") == 420, "no image"
    )
    assert len(report.all("#case .thumb")) == 2
    assert report.all(".statement")[0].get_attribute("class") == "statement open"
    assert report.complaints() == []


def test_the_cited_case_stands_beside_the_film(report: Browser, size: str) -> None:
    press_chip(report, 0)
    report.wait("#case .stage")
    film, case = report.one("#film-column").rect, report.one("#case").rect
    if size == "desktop":
        assert film["x"] + film["width"] <= case["x"]
        stages = [report.one(f"{place} .stage").rect for place in ("#viewer", "#case")]
        assert abs(stages[0]["y"] - stages[1]["y"]) < 120
    else:
        window = report.script("return [scrollY, innerHeight, innerWidth]")
        assert abs(case["width"] - window[2]) < 2, "a sheet over the whole width"
        assert case["y"] + case["height"] <= window[0] + window[1] + 1
        assert report.one(".statement.open").rect["y"] < case["y"], "its sentence stays in sight"


def test_every_kind_of_statement_is_marked_for_what_it_is(report: Browser) -> None:
    supported, afterwards, against, alone = report.all(".statement")
    assert "unsupported" in str(alone.get_attribute("class"))
    assert alone.text == "No case says this. no prior case supports this"
    assert "Cited case\n1.00" in supported.text and "Film\n0.83" in supported.text
    assert "found afterwards" in afterwards.text and "Cited case\n0.62" in afterwards.text
    assert "[4] taken out: the cited report does not say this" in afterwards.text
    assert "against" in str(against.get_attribute("class"))
    assert "Against the film: the film's score for Edema is 0.81" in against.text
    widths = [r.get_attribute("width") for r in supported.find_elements(By.TAG_NAME, "rect")]
    assert widths == ["100", "83"]
    assert alone.value_of_css_property("background-color") != (
        supported.value_of_css_property("background-color")
    )


def test_hits_left_out_cases_notes_and_label_scores_are_shown(report: Browser) -> None:
    body = report.one("#report-body")
    for shown in ("A note of the generator.", "openi 77", "1 case left out"):
        assert shown in body.text
    assert "Uncalibrated" not in body.text
    report.press(".scores-block summary")
    for shown in ("Label scores of the encoder", "Uncalibrated", "Cardiomegaly", "0.75"):
        assert shown in body.text
    shares = [r.get_attribute("width") for r in report.all(".scores-block rect")]
    assert shares == ["75", "12.5"]
    report.press("#left-out summary")
    assert "drawn s-copy (1.00): the same film" in body.text
    report.press(".hit:nth-child(4)")
    link = report.wait("#case a")
    assert str(link.get_attribute("href")).startswith("https://openi.nlm.nih.gov/")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert "not on this machine" in report.says("#case", "not on this machine")


def test_text_of_cases_and_names_of_files_are_never_taken_for_html(
    browser: Browser, address: str, films: Films
) -> None:
    browser.greeted(address)
    browser.choose(films.nasty)
    browser.write_report()
    assert browser.one("#viewer .stage img").get_attribute("alt") == f"Film: {films.nasty.name}"
    assert browser.all(".statement")[2].text.startswith(NASTY)
    press_chip(browser, 2)
    assert browser.wait("#case mark").text == NASTY
    browser.press("#case-close")
    browser.one("#question").send_keys(NASTY)
    browser.press("#ask")
    assert NASTY in browser.says("#answers", NASTY)
    assert browser.all("main script, main img[src='x']") == []
    assert browser.driver.title == "Grounded chest X-ray reports"


def test_a_study_id_with_slash_and_umlaut_opens(report: Browser) -> None:
    press_chip(report, 1)
    assert report.wait("#case mark").text == "Costal angles drawn sharp."
    assert "Prior case a/b ü" in report.one("#case-title").text


def test_a_report_on_an_unusual_image_stands_under_a_warning(
    report: Browser, address: str, films: Films, retriever: FakeRetriever
) -> None:
    def looks() -> list[str]:
        element = report.wait(".statement")
        return [element.value_of_css_property(name) for name in ("color", "font-size")]

    assert report.all(".warning") == []
    usual = looks()
    retriever.verdict = UNUSUAL
    try:
        report.greeted(address)
        report.choose(films.pa)
        report.write_report()
        report.one("#question").send_keys(QUESTION)
        report.press("#ask")
        assert "Do not rely on this answer." in report.wait("#answers .warning").text
        stored = report.driver.current_url
    finally:
        retriever.verdict = None
    report.greeted(stored)
    warning = report.wait(".warning")
    assert warning.get_attribute("role") == "alert"
    assert "unlike the films in the index. Do not rely on this report." in warning.text
    assert "Drawn sideways." in warning.text
    assert "-8.10, flagged below -3.20" in warning.text
    body = report.one("#report-body")
    assert body.find_elements(By.CSS_SELECTOR, ":scope > *")[0] == warning
    assert all(one != other for one, other in zip(usual, looks(), strict=True))
    report.press("#history summary")
    assert "image unlike the index" in report.says("#history-list", "image unlike")
    report.press("#clear")
    assert report.all(".warning") == []
    assert "doubtful" not in str(report.one("#report-body").get_attribute("class"))


def test_the_least_similarity_reaches_the_search_and_stands_in_the_report(
    browser: Browser, address: str, films: Films, retriever: FakeRetriever
) -> None:
    retriever.verdict = LIKE
    try:
        browser.greeted(address)
        browser.press("#options summary")
        browser.wait("#label").send_keys("Edema")
        browser.one("#label-filter").send_keys("the very")
        browser.one("#min-score").send_keys("0.6")
        browser.one("#min-ratio").send_keys("0.5")
        browser.one("#diversity").send_keys("0.3")
        browser.one("#indication").send_keys("drawn for a test")
        browser.choose(films.pa)
        browser.write_report()
    finally:
        retriever.verdict = None
    call = retriever.calls[-1]
    assert (call["labels"], call["label_filter"]) == (("Edema",), "exact")
    assert (call["min_score"], call["min_ratio"], call["diversity"]) == (0.6, 0.5, 0.3)
    text = browser.one("#report-body").text
    assert "Only cases with a similarity of at least 0.60 and at least 0.50 of the best" in text
    assert "typicality of the film -0.40, flagged below -3.20" in text
    assert "Indication: drawn for a test" in text


# the films


def test_films_are_windowed_zoomed_panned_and_inverted_by_mouse_or_touch(
    browser: Browser, address: str, films: Films, size: str
) -> None:
    browser.greeted(address)
    browser.choose(films.pa)
    browser.wait("#viewer .stage img")
    readout = browser.one("#viewer .readout")

    def shown() -> str:
        return str(readout.get_property("textContent"))

    def moved() -> list[float]:
        """By how many pixels the film was moved, and how much it is enlarged."""
        style = browser.script("return document.querySelector('.stage img').style.transform")
        return [float(number) for number in re.findall(r"[-.\d]+", style)]

    assert shown() == "W 255  L 128  100 %"
    browser.script("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    box = browser.script(
        "const b = document.querySelector('.stage').getBoundingClientRect();"
        "return [b.left + b.width / 2, b.top + b.height / 2]"
    )
    if size == "desktop":
        stage = browser.one("#viewer .stage")
        ActionChains(browser.driver).drag_and_drop_by_offset(stage, -55, 20).perform()
        assert shown() == "W 200  L 148  100 %"
        wheel = {"x": box[0], "y": box[1], "deltaX": 0, "deltaY": -120}
        for _ in range(4):
            browser.cdp("Input.dispatchMouseEvent", type="mouseWheel", **wheel)
        browser.until(lambda: "244 %" in shown(), "no zoom")
        actions = ActionChains(browser.driver).key_down(Keys.SHIFT)
        actions.drag_and_drop_by_offset(stage, 15, 10).key_up(Keys.SHIFT).perform()
        assert moved() == pytest.approx([15, 10, 1.25**4], abs=1.5)
        ActionChains(browser.driver).double_click(stage).perform()
        assert shown() == "W 200  L 148  100 %"
    else:
        touch(browser, [[(box[0] - 30, box[1])], [(box[0] - 85, box[1] + 20)]], tool="window")
        assert shown() == "W 200  L 148  100 %"
        near = [(box[0] - 20, box[1]), (box[0] + 20, box[1])]
        far = [(box[0] - 40, box[1]), (box[0] + 40, box[1])]
        touch(browser, [near, far], tool="pan")
        assert "200 %" in shown()
        touch(browser, [[(box[0], box[1])], [(box[0] + 15, box[1] + 10)]], tool="pan")
        assert moved() == pytest.approx([15, 10, 2], abs=1.5)
    browser.press("#viewer .invert")
    assert browser.one("#viewer .invert").get_attribute("aria-pressed") == "true"
    slope = "return Number(document.querySelector('.viewer feFuncR').getAttribute('slope'))"
    assert browser.script(slope) == pytest.approx(-255 / 200)
    applied = browser.one(".stage img").value_of_css_property("filter")
    assert applied.startswith("url(")
    browser.press("#viewer .reset")
    assert shown() == "W 255  L 128  100 %"
    browser.press("#viewer .adjust summary")
    browser.wait("[data-slider=level]").send_keys(Keys.ARROW_RIGHT)
    assert shown() == "W 255  L 129  100 %"


def touch(browser: Browser, path: list[list[tuple[float, float]]], *, tool: str) -> None:
    """Fingers down at the first points, moved through the rest, and lifted."""
    browser.script("document.querySelector(arguments[0]).click()", f"[data-tool={tool}]")
    kinds = ["touchStart", *["touchMove"] * (len(path) - 1)]
    for kind, points in zip(kinds, path, strict=True):
        fingers = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
        browser.cdp("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
    browser.cdp("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_keys_work_the_viewer(browser: Browser, address: str, films: Films) -> None:
    browser.greeted(address)
    browser.choose(films.pa)
    browser.wait("#viewer .stage img")
    stage = browser.one("#viewer .stage")
    browser.script("arguments[0].focus()", stage)
    browser.key("+", "+", "+", "+", "i", Keys.ARROW_LEFT)
    ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(
        Keys.ARROW_RIGHT, Keys.ARROW_UP
    ).key_up(Keys.SHIFT).perform()
    readout = browser.one("#viewer .readout")
    assert readout.get_property("textContent") == "W 263  L 120  244 %"
    moved = browser.script("return document.querySelector('.stage img').style.transform")
    assert moved.startswith("translate(40px, 0px)")
    assert browser.one("#viewer .invert").get_attribute("aria-pressed") == "true"
    browser.key("0")
    assert readout.get_property("textContent") == "W 255  L 128  100 %"
    described = browser.one(f"#{stage.get_attribute('aria-describedby')}")
    assert "I inverts" in str(described.get_property("textContent"))


def test_a_dicom_and_a_dropped_film_are_shown(browser: Browser, address: str, films: Films) -> None:
    browser.greeted(address)
    browser.choose(films.dicom)
    browser.until(
        lambda: browser.one("#viewer .stage img").get_property("naturalWidth") == 420, "no film"
    )
    browser.script(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
        const dropped = new DataTransfer();
        dropped.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
        for (const name of ["dragover", "drop"]) {
          document.body.dispatchEvent(new DragEvent(name, {
            bubbles: true, cancelable: true, dataTransfer: dropped,
          }));
        }
        """,
        base64.b64encode(films.lateral.read_bytes()).decode(),
    )
    browser.until(lambda: len(browser.all("#viewer .thumb")) == 2, "the film was not taken")
    browser.press("#viewer .thumb:first-child")
    alt = browser.one("#viewer .stage img").get_attribute("alt")
    assert alt == "Film: film.dcm"
    browser.press("#clear")
    browser.gone("#viewer")
    assert not browser.one("#write").is_enabled()


def test_the_sample_film_is_reported_on_at_one_press(browser: Browser, address: str) -> None:
    browser.greeted(address)
    browser.press("#sample")
    assert browser.wait(".statement").text.startswith("Lungs drawn clear.")


# while it is written


def test_stages_and_tokens_are_shown_as_they_come_and_cancel_stops_the_writing(
    browser: Browser, address: str, films: Films, writer: MarkingWriter
) -> None:
    browser.greeted(address)
    browser.choose(films.pa)
    browser.wait("#write:enabled")
    before = writer.cancelled
    writer.go.clear()
    try:
        browser.press("#write")
        browser.until(
            lambda: "Lungs drawn clear. [1]" in browser.one("#draft").text, "no token came"
        )
        stages = [stage.text for stage in browser.all("#stages li")]
        assert stages == ["Reading the film", "Searching 4 prior cases", "Writing"]
        assert browser.one("#stages .now").text == "Writing"
        assert browser.one("#status").get_property("textContent") == "Writing"
        assert browser.one("#status").get_attribute("aria-live") == "polite"
        assert "not checked yet" in browser.one("#draft").text
        assert not browser.one("#write").is_enabled()
        browser.press("#cancel")
        browser.until(lambda: writer.cancelled == before + 1, "the writer was not told")
    finally:
        writer.go.set()
    browser.says("#stages", "Cancelled")
    assert not browser.one("#alert").is_displayed()
    assert browser.all(".statement") == []
    browser.write_report()
    assert "Report written in" in browser.one("#stages").text


def test_the_draft_stands_still_for_those_who_want_less_motion(desk: Browser, address: str) -> None:
    desk.greeted(address)

    def turning() -> str:
        return str(
            desk.script(
                """
                const stage = document.createElement("li");
                stage.className = "now";
                document.getElementById("stages").replaceChildren(stage);
                document.getElementById("progress").hidden = false;
                return getComputedStyle(stage, "::before").animationName;
                """
            )
        )

    assert turning() == "turn"
    desk.prefer(prefers_reduced_motion="reduce")
    try:
        assert turning() == "none"
    finally:
        desk.prefer()


# questions, classes, captions, words


def test_a_question_is_answered_with_chips_beneath_the_report(report: Browser) -> None:
    report.one("#question").send_keys(QUESTION)
    report.press("#ask")
    answer = report.wait(".answer[data-task=ask]")
    assert QUESTION in answer.text and f"No: {QUESTION}" in answer.text
    assert len(report.all("#report-body .statement")) == 4, "the report stays"
    report.press(".answer .chip")
    assert report.wait("#case mark").text == "Lungs drawn clear."
    assert report.all("#wrong") == []
    report.press("#case-close")
    report.press("#caption")
    assert "No case says this." in report.wait(".answer[data-task=caption]").text


def test_observations_have_bars_intervals_and_the_cases_that_name_them(report: Browser) -> None:
    report.press("#classify")
    report.wait(".answer[data-task=classify]")
    rows = report.all(".observations .score")
    assert len(rows) == 14
    first = rows[0]
    assert first.text.startswith("Lung Opacity")
    assert "cases 0.66 (0.50\u20130.75)" in first.text and "film 0.75" in first.text
    line = first.find_element(By.CSS_SELECTOR, ".interval")
    assert (line.get_attribute("x"), line.get_attribute("width")) == ("50", "25")
    assert "Not calibrated" in report.one(".observations").text
    chips = first.find_elements(By.CSS_SELECTOR, ".chip")
    assert len(chips) == 4
    report.script("arguments[0].scrollIntoView({block: 'center'})", chips[0])
    chips[0].click()
    report.wait("#case-title")


def test_a_server_without_a_language_model_says_so_where_one_would_ask(
    browser: Browser, tmp_path: Path, films: Films
) -> None:
    writer = MarkingWriter(("report", "classify", "caption"))
    with serving(
        a_page(tmp_path, FakeRetriever([a_case(1)], encoder=ThumbnailEncoder()), writer)
    ) as url:
        browser.greeted(url)
        assert not browser.one("#words").is_displayed(), "no words where none can be read"
        browser.choose(films.pa)
        browser.wait("#write:enabled")
        assert not browser.one("#question").is_enabled()
        note = browser.one("#asking-note").text
        assert "runs without a language model" in note and "--model" in note
        assert browser.one("#caption").is_enabled()


def test_words_find_cases_that_open(
    browser: Browser, address: str, films: Films, retriever: FakeRetriever
) -> None:
    browser.greeted(address)
    browser.press("#words summary")
    browser.wait("#text").send_keys(NASTY)
    assert not browser.one("#with-film").is_enabled()
    browser.press("#words-form button")
    hits = browser.wait(".hits")
    assert browser.one("#report-title").text == "Prior cases"
    assert len(browser.all(".hit")) == 4 and "A drawing without disease." in hits.text
    assert NASTY in browser.one("#report-body").text
    assert retriever.words[-1] == (NASTY, 0.5)
    browser.press(".hit")
    browser.says("#case .case-report", "Lungs drawn clear.")
    browser.press("#case-close")
    browser.choose(films.pa)
    browser.wait("#with-film:enabled")
    browser.press("#with-film")
    browser.script("document.getElementById('text-weight').value = 0.2")
    retriever.verdict = UNUSUAL
    try:
        browser.press("#words-form button")
        assert "Do not rely on these cases." in browser.wait(".warning").text
    finally:
        retriever.verdict = None
    assert retriever.words[-1] == (NASTY, 0.2)
    browser.write_report()
    assert browser.one("#report-title").text == "Report"
    assert browser.all(".warning") == []


# what a person makes of it


def test_a_report_is_accepted_edited_and_a_wrong_citation_marked(report: Browser) -> None:
    report.press("#accept")
    report.says("#remarks", "Accepted")
    report.press("#edit")
    field = report.wait("#edit-text")
    assert report.focused() == "edit-text"
    assert str(field.get_property("value")).startswith("FINDINGS\nLungs drawn clear.\n")
    field.clear()
    report.press("#edit-save")
    assert "empty" in report.failure()
    field.send_keys(f"Better words. {NASTY}")
    report.press("#edit-save")
    assert f"Better words. {NASTY}" in report.says("#remarks", "Better words.")
    assert not report.one("#editor").is_displayed()
    pressed = press_chip(report, 1)
    report.press("#wrong")
    report.says("#wrong", "Marked as wrong")
    assert "wrong" in str(pressed.get_attribute("class"))
    assert "marked as wrong" in str(pressed.get_attribute("aria-label"))
    kinds = [(f["kind"], f["text"], f["statement"], f["citation"]) for f in feedback(report)]
    assert kinds == [
        ("accepted", None, None, None),
        ("edited", f"Better words. {NASTY}", None, None),
        ("wrong_citation", None, 1, 2),
    ]
    report.greeted(report.driver.current_url)
    report.says("#remarks", "[2] of sentence 2 does not support it")
    assert "Better words." in report.one("#remarks").text
    assert "wrong" in str(chip(report, 1).get_attribute("class"))


def test_a_report_is_copied_and_printed(report: Browser) -> None:
    report.script(
        "window.printed = 0; window.print = () => { window.printed += 1; };"
        "navigator.clipboard.writeText = async (text) => { window.copied = text; };"
    )
    report.press("#copy")
    text = str(report.until(lambda: report.script("return window.copied"), "nothing was copied"))
    assert text.startswith("FINDINGS\nLungs drawn clear. [1]\n")
    assert "No case says this. [image only]" in text
    assert "[1] drawn one" in text and text.endswith("Research use only, not for clinical use.")
    report.press("#print")
    assert report.script("return window.printed") == 1
    pdf = base64.b64decode(report.cdp("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    report.cdp("Emulation.setEmulatedMedia", media="print")
    try:
        assert report.one(".notice").is_displayed() and report.one(".statement").is_displayed()
        for hidden in ("#film-column", "#review .review-tools", "#ask-form"):
            assert not report.one(hidden).is_displayed()
    finally:
        report.cdp("Emulation.setEmulatedMedia", media="")


def test_a_report_is_exported_in_the_formats_of_the_field(
    browser: Browser, address: str, films: Films, tmp_path: Path
) -> None:
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.greeted(address)
    browser.choose(films.dicom)
    browser.write_report()
    stem = browser.driver.current_url.split("#")[1][:8]

    def exported(entry: str, extension: str) -> bytes:
        browser.press("#export summary")
        buttons = browser.until(lambda: browser.all("#export-menu button"), "no menu")
        next(button for button in buttons if button.text == entry).click()
        path = tmp_path / f"report-{stem}.{extension}"
        browser.until(path.is_file, f"{entry} did not come: {browser.alert()}")
        data = path.read_bytes()
        path.unlink()
        return data

    assert exported("PDF", "pdf").startswith(b"%PDF")
    assert exported("PDF with the films", "pdf").startswith(b"%PDF")
    for release in ("FHIR R5", "FHIR R4B"):
        resource = json.loads(exported(release, "json"))
        assert (resource["resourceType"], resource["status"]) == ("DiagnosticReport", "preliminary")
    alone = exported("DICOM SR", "dcm")
    assert alone[128:132] == b"DICM" and b"Drawn^Person" not in alone
    assert b"Drawn^Person" in exported("DICOM SR with the film's patient", "dcm")


# history


def test_earlier_texts_are_listed_by_task_opened_and_deleted(report: Browser) -> None:
    stored = report.driver.current_url
    report.one("#question").send_keys(QUESTION)
    report.press("#ask")
    report.wait(".answer")
    report.press("#history summary")
    report.wait(".history-open")
    report.one("#history-task").send_keys("Answers")

    def kinds() -> set[bool]:
        return {"answer · " in row.text for row in report.all(".history-entry")}

    report.until(lambda: kinds() == {True}, "not filtered")
    assert QUESTION in report.one(".history-open").text
    report.press(".history-open")
    report.until(lambda: report.one("#report-title").text == "Answer", "it did not open")
    assert QUESTION in report.one("#report-body").text
    assert "Films are not stored" in report.one("#viewer").text
    assert not report.one("#question").is_enabled(), "there is no film to ask about"
    opened = report.driver.current_url
    assert opened != stored
    listed = len(report.all(".history-entry"))
    report.press(".history-entry .delete")
    assert report.driver.switch_to.active_element.text == "Delete for good"
    report.key(Keys.ENTER)
    report.until(lambda: len(report.all(".history-entry")) == listed - 1, "it stayed")
    report.says("#report-body", "No report of this film yet.")
    report.greeted(opened)
    assert "is stored here" in report.failure()
    report.greeted(stored)
    report.wait(".statement")


def test_the_history_has_pages_and_a_search_by_words(
    browser: Browser, address: str, films: Films
) -> None:
    browser.greeted(address)
    made = browser.driver.execute_async_script(
        """
        const done = arguments[1];
        const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
        (async () => {
          for (let made = 0; made < 11; made += 1) {
            const form = new FormData();
            form.append("images", new File([bytes], "pa.png"));
            await fetch("/captions", { method: "POST", body: form });
          }
          done(true);
        })();
        """,
        base64.b64encode(films.pa.read_bytes()).decode(),
    )
    assert made
    browser.press("#history summary")
    browser.one("#history-task").send_keys("Captions")
    browser.until(lambda: len(browser.all(".history-entry")) == 10, "no first page")
    browser.press("#history-more")
    browser.until(lambda: len(browser.all(".history-entry")) > 10, "no second page")
    browser.one("#history-text").send_keys("words of nobody", Keys.ENTER)
    browser.says("#history-list", "None yet.")


def test_a_stored_report_keeps_its_quotes_when_its_case_has_gone(
    report: Browser, retriever: FakeRetriever
) -> None:
    stored = report.driver.current_url
    gone, retriever.cases = retriever.cases[0], retriever.cases[1:]
    try:
        report.greeted(stored)
        report.press(".chip.gone")
        assert report.wait("#case mark").text == "Lungs drawn clear."
        assert "does not hold this case any more" in report.one("#case").text
    finally:
        retriever.cases = [gone, *retriever.cases]
    changed = replace(gone, findings="Other words.", sentences=())
    retriever.cases = [changed, *retriever.cases[1:]]
    try:
        report.greeted(stored)
        press_chip(report, 0)
        assert "no longer holds the quoted sentence" in report.says("#case", "no longer holds")
    finally:
        retriever.cases = [gone, *retriever.cases[1:]]


# keys, edges, safety


def test_the_keyboard_opens_and_closes_a_case_and_gives_the_focus_back(
    browser: Browser, address: str, films: Films
) -> None:
    browser.greeted(address)
    browser.choose(films.pa)
    browser.wait("#write:enabled")
    browser.until(lambda: browser.focused() == "write", "the focus did not move on")
    browser.key(Keys.ENTER)
    browser.wait(".statement")
    assert browser.focused() == "report"
    opener = chip(browser, 0)
    opener.send_keys(Keys.ENTER)
    browser.wait("#case mark")
    assert browser.focused() == "case-title"
    assert opener.get_attribute("aria-pressed") == "true"
    browser.key(Keys.ESCAPE)
    assert not browser.one("#case").is_displayed()
    assert browser.driver.switch_to.active_element == opener
    browser.key(Keys.TAB)
    focus = browser.driver.switch_to.active_element
    assert focus.get_attribute("class") == "chip"
    assert focus.value_of_css_property("outline-style") == "solid"


@pytest.mark.parametrize("width", [1400, 1000, 390])
def test_the_notice_stays_in_sight_and_nothing_runs_over_the_edge(
    chrome: Browser, address: str, films: Films, width: int
) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    chrome.cdp("Emulation.setDeviceMetricsOverride", **metrics)
    chrome.greeted(address)
    chrome.choose(films.pa)
    chrome.write_report()
    press_chip(chrome, 0)
    chrome.wait("#case mark")
    chrome.script("scrollTo(0, document.body.scrollHeight)")
    box = chrome.one(".notice").rect
    seen = chrome.script("return [scrollY, innerHeight]")
    assert seen[0] <= box["y"] <= seen[0] + seen[1] - box["height"]
    assert "not for clinical use" in chrome.one(".notice").text
    assert chrome.script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_page_asks_only_its_own_server_and_runs_no_inline_code() -> None:
    page = Path(__file__).parent.parent / "api" / "page"
    for path in page.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write"):
            assert unsafe not in text, path.name
    html = (page / "index.html").read_text(encoding="utf-8")
    assert "<style" not in html and " style=" not in html and " onclick=" not in html
