"""The page: studies of a PACS are searched for, reported on, and sent back if told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection
from tests.support.pacs import STUDY, Scripted, an_image, holding, scripted
from tests.support.page.browser import SIZES, Browser
from tests.support.page.service import MarkingWriter, a_page
from tests.support.service.services import FakeRetriever, serving

pytest_plugins = ["tests.support.page.fixtures"]


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(holding(an_image(tmp_path, 1))) as found:
        yield found


@pytest.fixture
def beside(
    there: Scripted, tmp_path: Path, retriever: FakeRetriever, writer: MarkingWriter
) -> Iterator[str]:
    """The address of a service with this PACS."""
    pacs = Pacs(PacsConnection(there.url))
    with serving(a_page(tmp_path, retriever, writer, pacs=pacs)) as address:
        yield address


def sent(there: Scripted) -> int:
    return sum(asked.method == "POST" for asked in there.asked)


@pytest.mark.parametrize("size", SIZES)
def test_a_study_is_searched_for_reported_on_and_sent_back_on_the_second_press(
    browser: Browser, beside: str, there: Scripted
) -> None:
    browser.greeted(beside)
    browser.press("#pacs summary")
    browser.wait("#pacs-patient").send_keys("MRN-31415926")
    browser.script("document.getElementById('pacs-from').value = '2026-01-01'")
    browser.key(Keys.ENTER)
    row = browser.wait("#pacs-list button")
    assert "Patient MRN-31415926" in row.text and "2026-01-15" in row.text
    assert browser.one("#pacs-count").text == "1 study"
    asked = there.asked[0].target
    assert "StudyDate=20260101-" in asked and "PatientID=MRN-31415926" in asked

    row.send_keys(Keys.ENTER)
    browser.wait(".statement")
    assert "not stored" in browser.one("#viewer").text
    browser.wait("#send-back").send_keys(Keys.ENTER)
    where = browser.wait("#send-where").text
    assert there.url in where and STUDY in where and "research use only" in where
    assert browser.focused() == "send-not" and sent(there) == 0
    browser.key(Keys.ENTER)
    browser.hidden("#send-where")
    assert browser.focused() == "send-back" and sent(there) == 0
    browser.key(Keys.ENTER)
    browser.press("#send-really")
    browser.says("#pacs-send", f"Sent to {there.url}.")
    assert sent(there) == 1 and browser.focused() == "send-back"
    assert not browser.alert()


def test_a_report_that_is_opened_again_cannot_be_sent_by_mistake(
    browser: Browser, beside: str, there: Scripted
) -> None:
    browser.greeted(beside)
    browser.press("#pacs summary")
    browser.press("#pacs-search")
    browser.press("#pacs-list button")
    browser.wait("#send-back")
    browser.press("#clear")
    browser.hidden("#send-back")
    assert sent(there) == 0


def test_a_pacs_that_fails_is_said_in_one_sentence(
    browser: Browser, tmp_path: Path, retriever: FakeRetriever, writer: MarkingWriter
) -> None:
    pacs = Pacs(PacsConnection("http://127.0.0.1:9/dicom-web"))
    with serving(a_page(tmp_path, retriever, writer, pacs=pacs)) as address:
        browser.greeted(address)
        browser.press("#pacs summary")
        browser.press("#pacs-search")
        assert "cannot be reached" in browser.failure()


def test_without_a_pacs_there_is_no_fold(browser: Browser, address: str) -> None:
    browser.greeted(address)
    assert not browser.one("#pacs").is_displayed()
