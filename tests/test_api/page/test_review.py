"""The page: what a person makes of a report."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.support.page.browser import Browser
from tests.support.page.service import (
    NASTY,
    Images,
    chip,
    press_chip,
)

pytest_plugins = ["tests.support.page.fixtures"]


def feedback(browser: Browser) -> list[dict[str, Any]]:
    """What is stored about the report on the page."""
    return list(
        browser.driver.execute_async_script(
            "const done = arguments[0];"
            "fetch(`/generations/${location.hash.slice(1)}/feedback`)"
            ".then(r => r.json()).then(done)"
        )
    )


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
    report.says("#remarks", "Citation [2] does not support sentence 2")
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
        for hidden in ("#image-column", "#review .review-tools", "#ask-form"):
            assert not report.one(hidden).is_displayed()
    finally:
        report.cdp("Emulation.setEmulatedMedia", media="")


def test_a_report_is_exported_as_fhir_pdf_dicom_and_maps(
    browser: Browser, address: str, images: Images, tmp_path: Path
) -> None:
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.greeted(address)
    browser.choose(images.dicom)
    browser.write_report()
    stem = browser.driver.current_url.split("#")[1][:8]

    def exported(entry: str, extension: str) -> bytes:
        browser.press("#export summary")
        buttons = browser.until(lambda: browser.all("#export-menu button"), "no menu")
        next(button for button in buttons if button.text == entry).click()
        path = tmp_path / f"report-{stem}.{extension}"
        # Chromium makes an empty file of the name first.
        browser.until(
            lambda: path.is_file() and path.stat().st_size,
            f"{entry} did not come: {browser.alert()}",
        )
        data = path.read_bytes()
        path.unlink()
        return data

    assert exported("PDF", "pdf").startswith(b"%PDF")
    assert exported("PDF with the X-rays", "pdf").startswith(b"%PDF")
    for release in ("FHIR R5", "FHIR R4B"):
        resource = json.loads(exported(release, "json"))
        assert (resource["resourceType"], resource["status"]) == ("DiagnosticReport", "preliminary")
    alone = exported("DICOM SR", "dcm")
    assert alone[128:132] == b"DICM" and b"Drawn^Person" not in alone
    assert b"Drawn^Person" in exported("DICOM SR with the X-ray's patient", "dcm")
    assert exported("Where: Lung Opacity, PNG", "png").startswith(b"\x89PNG")
    assert b"Drawn^Person" in exported("Where: Lung Opacity, DICOM SC", "dcm")
