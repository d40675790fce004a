"""The page of the blinded review: reports of a file, graded by keys, saved as ratings."""

import json
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from evaluation.readers.grades import read_grades
from tests.support.page.browser import SIZES, Browser

pytest_plugins = ["tests.support.page.fixtures"]

SECRET = "Quelltopf said the lungs are clear."


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    rows = [
        {
            "study": "s1",
            "system": "system-a",
            "patient": "p1",
            "sentences": [SECRET, "No effusion."],
        },
        {
            "study": "s1",
            "system": "system-b",
            "text": "Heart is big. Lungs clear.",
            "reference": "R.",
        },
        {"study": "s2", "system": "system-a", "sentences": ["Drawn wide."]},
    ]
    path = tmp_path / "reports.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def begin(browser: Browser, address: str, reports: Path, reader: str) -> None:
    browser.open(f"{address}/page/review.html")
    browser.wait("#reader").send_keys(reader)
    browser.one("#reports").send_keys(str(reports))
    browser.press("#begin")
    browser.wait("#reading")


@pytest.mark.parametrize("size", SIZES)
def test_a_reader_grades_every_sentence_and_report_by_keys_and_saves_the_ratings(
    browser: Browser, address: str, reports: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
    begin(browser, address, reports, "Anna B")
    before = browser.script("return performance.getEntriesByType('resource').length")
    assert browser.violations() == []
    for report in range(1, 4):
        browser.says("#reading-title", f"Report {report} of 3")
        assert "system-" not in browser.one("main").text
        assert not browser.one("#next").is_enabled()
        for _ in browser.all(".graded-sentence"):
            browser.key("2")
        browser.key("3")
        assert browser.one("#next").is_enabled()
        browser.key(Keys.ENTER)
    (path,) = browser.until(lambda: list(saved.glob("ratings-Anna-B.jsonl")), "nothing was saved")
    browser.until(lambda: path.stat().st_size > 0, "an empty file")
    found = {one.item: one for one in read_grades([path])}
    assert [found[n].system for n in range(3)] == ["system-a", "system-b", "system-a"]
    assert [len(found[n].sentences) for n in range(3)] == [2, 2, 1]
    assert all(set(one.sentences) == {1} and one.report == 2 for one in found.values())
    assert all(0 <= one.seconds < 600 for one in found.values())
    assert found[0].patient == "p1" and found[2].patient == "s2"
    after = browser.script("return performance.getEntriesByType('resource').length")
    assert after == before, "the file is sent nowhere"
    kept = browser.script("return JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "Quelltopf" not in kept
    assert browser.complaints() == []


def test_each_reader_has_an_order_of_their_own_and_the_same_again(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    many = tmp_path / "many.jsonl"
    rows = [{"study": f"s{n}", "system": "a", "sentences": [f"Report {n}."]} for n in range(20)]
    many.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    def first(reader: str) -> list[str]:
        begin(browser, address, many, reader)
        shown = []
        for _ in range(4):
            shown.append(browser.one(".graded-sentence p").text)
            browser.key("1", "1", Keys.ENTER)
        browser.script("window.onbeforeunload = null")
        return shown

    anna = first("Anna")
    assert anna == first("Anna") and anna != first("Ben")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Line 1 is not JSON."),
        ('{"study": "a"}', 'needs "study", "system"'),
        ("", "no report"),
    ],
)
def test_a_file_that_holds_no_reports_is_refused_with_the_reason(
    browser: Browser, address: str, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "reports.jsonl"
    path.write_text(text, encoding="utf-8")
    browser.open(f"{address}/page/review.html")
    browser.wait("#reader").send_keys("Anna")
    browser.one("#reports").send_keys(str(path))
    browser.press("#begin")
    assert words in browser.wait("#alert").text
