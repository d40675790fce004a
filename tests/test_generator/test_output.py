"""What a terminal shows first."""

from dataclasses import replace

from api.export.text import opening_lines
from db.app.generation import NOTICE
from generator.output import page
from grounded_cxr.report import Report
from tests.support.service.records import a_generation

WARNINGS = ("Do not rely on this: no whole film.", "The report has no impression.")


def test_warnings_are_the_first_lines_on_every_surface() -> None:
    made = replace(a_generation(), warnings=WARNINGS)
    assert page(made).splitlines()[:2] == [f"WARNING: {line}" for line in WARNINGS]
    html = Report(generation=made)._repr_html_()
    places = [html.index(line) for line in (*WARNINGS, "A calm film.")]
    assert places == sorted(places)
    assert list(opening_lines(made)) == [NOTICE, *WARNINGS]


def test_how_files_were_read_comes_last_and_is_no_note() -> None:
    lines = page(a_generation()).splitlines()
    assert lines.index("note: one note") < lines.index("image files: mid-tones balanced")
    assert lines[-1] == NOTICE


def test_a_generation_stored_before_there_were_warnings_opens_with_that_of_its_images() -> None:
    old = replace(a_generation(), warnings=())
    assert list(opening_lines(old)) == [NOTICE, "Do not rely on this: no whole film."]


def test_a_report_prints_its_text_and_classes_print_their_states() -> None:
    made = a_generation()
    assert "probability" not in page(made)
    table = page(replace(made, task="classify"))
    (line,) = [line for line in table.splitlines() if line.startswith("Edema")]
    assert line.split() == ["Edema", "0.25", "0.12-0.50", "possible", "-", "0.50", "0.12"]
