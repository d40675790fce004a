"""Export a generation as PDF: its images, if given, its statements and the cases they cite."""

import io
from collections.abc import Sequence
from importlib.resources import as_file, files

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image

from api.export.text import (
    check_remarks,
    observation_lines,
    opening_lines,
    other_notes,
    printable,
    request_lines,
    software,
    title,
    with_marks,
)
from db.app.generation import NOTICE, Generation
from indexer.images.radiograph import Radiograph

_IMAGE_SIDE = 1200  # pixels of a printed image
_HEIGHT_MM = 95.0


class _Page(FPDF):
    """A4 with the notice at the foot of every page."""

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Roboto", size=8)
        self.cell(0, 8, f"{NOTICE}   {self.page_no()}/{{nb}}", align="C")


def to_pdf(generation: Generation, images: Sequence[Radiograph] = ()) -> bytes:
    """The file; ``images`` are those that the generation was made from."""
    page = _Page(format="A4")
    page.set_title(title(generation))
    page.set_creation_date(generation.created_at)
    for style, name in (("", "Regular"), ("B", "Bold")):
        with as_file(files("font_roboto") / "files" / f"Roboto-{name}.ttf") as path:
            page.add_font("Roboto", style=style, fname=path)
    page.set_auto_page_break(True, margin=18)
    page.add_page()
    for line in opening_lines(generation):
        _line(page, line, size=9, bold=True)
    _line(page, title(generation), size=16, bold=True)
    _line(page, f"{generation.created_at:%Y-%m-%d %H:%M} UTC, {software(generation)}", size=9)
    for line in request_lines(generation):
        _line(page, line)
    _images(page, images)
    for section in ("findings", "impression"):
        statements = [s for s in generation.statements if s.section == section]
        if statements:
            _heading(page, section.capitalize())
            for statement in statements:
                _line(page, with_marks(statement))
                for doubt in check_remarks(statement):
                    _line(page, doubt, size=8)
    if not generation.statements and generation.text:
        _line(page, generation.text)
    if generation.task == "classify" and generation.observations:
        _heading(page, "Observations")
        for line in observation_lines(generation):
            _line(page, line, size=9)
    _cited_cases(page, generation)
    for note in other_notes(generation):
        _line(page, f"Note: {note}", size=8)
    _line(page, f"Generation {generation.id}", size=8)
    _line(page, f"Index {generation.index.source} {generation.index.fingerprint}", size=8)
    return bytes(page.output())


def _heading(page: FPDF, text: str) -> None:
    page.ln(2)
    _line(page, text, size=12, bold=True)


def _line(page: FPDF, text: str, *, size: int = 10, bold: bool = False) -> None:
    page.set_font("Roboto", style="B" if bold else "", size=size)
    page.multi_cell(0, size * 0.5, printable(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(1)


def _images(page: FPDF, radiographs: Sequence[Radiograph]) -> None:
    if not radiographs:
        return
    width = (page.epw - 4 * (len(radiographs) - 1)) / len(radiographs)
    page.ln(1)
    top = page.get_y()
    for place, radiograph in enumerate(radiographs):
        image = Image.fromarray(radiograph.pixels)
        image.thumbnail((_IMAGE_SIDE, _IMAGE_SIDE), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        image.save(data, "PNG")
        page.image(
            data,
            x=page.l_margin + place * (width + 4),
            y=top,
            w=width,
            h=_HEIGHT_MM,
            keep_aspect_ratio=True,
        )
    page.set_y(top + _HEIGHT_MM + 3)


def _cited_cases(page: FPDF, generation: Generation) -> None:
    cases: dict[int, tuple[str, list[str]]] = {}
    for statement in generation.statements:
        for citation in statement.citations:
            name = f"{citation.source} {citation.study_id}, score {citation.score:.3f}"
            quotes = cases.setdefault(citation.number, (name, []))[1]
            if citation.quote not in quotes:
                quotes.append(citation.quote)
    if cases:
        _heading(page, "Cited cases")
    for number, (name, quotes) in sorted(cases.items()):
        _line(page, f"[{number}] {name}", bold=True)
        for quote in quotes:
            _line(page, f"“{quote}”", size=9)
