"""A report as Python sees it: text for a terminal, JSON for a program, HTML for a notebook."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from PIL import Image

from db.app.generation import Generation, ScoreRegion, Statement
from db.app.observations import Change, Observation
from db.errors import UserError
from db.index.case import Case
from generator import output
from generator.localization.overlay import draw_overlay
from generator.prior.request import written
from indexer.images.radiograph import Radiograph
from indexer.images.reader import read_radiograph

IMAGE_SIDE, THUMBNAIL_SIDE = 320, 140
"""Pixels of the longer side, of the images of the study and of a cited case."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Report:
    """A report, an answer, classes or a caption of one study, with the cases it cites.

    ``str(report)`` is the text with citation marks, cited cases, notes and the notice. A notebook
    shows the images, the text and the cited cases.
    """

    generation: Generation
    """Every field that is stored and served: statements, citations, hits, notes, origin."""
    images: tuple[Radiograph, ...] = ()
    """The views of the study, as they were read."""
    prior_images: tuple[Radiograph, ...] = ()
    """Those of the patient's own prior study, where it was compared with one."""
    cases: Mapping[int, Case] = field(default_factory=dict)
    """The hits by the number that a citation ``[n]`` names."""

    @property
    def text(self) -> str:
        """Without citation marks."""
        return self.generation.text

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The sentences in order, each with ``citations`` and what their check found."""
        return self.generation.statements

    @property
    def findings(self) -> tuple[Statement, ...]:
        return tuple(one for one in self.statements if one.section == "findings")

    @property
    def impression(self) -> tuple[Statement, ...]:
        return tuple(one for one in self.statements if one.section == "impression")

    @property
    def observations(self) -> tuple[Observation, ...] | None:
        """The assessment: the 14 observations with their probabilities, 0..1, and states."""
        return self.generation.observations

    @property
    def regions(self) -> tuple[ScoreRegion, ...]:
        """What the score of each observation rests on, in each image; empty where the encoder
        cannot say."""
        return self.generation.regions

    def overlay(self, observation: str, image: int = 1) -> Image.Image:
        """Draw what the score of an observation rests on over an image, counted from 1.

        It is not the outline of a lesion; the caption says so. Raises NotFoundError where there is
        no such map.
        """
        region = self.generation.region(image, observation)
        return draw_overlay(region, self.images[image - 1].pixels)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the comparison with the prior study found and the report states."""
        return tuple(one.change for one in self.statements if one.change is not None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before the text, each a sentence."""
        return self.generation.warnings

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the reader, such as what the language model wrote and was left out."""
        return tuple(self.generation.notes)

    @property
    def cited_cases(self) -> dict[int, Case]:
        """The cases that at least one statement cites, by number."""
        cited = {one.number for statement in self.statements for one in statement.citations}
        return {number: case for number, case in self.cases.items() if number in cited}

    def to_json(self) -> str:
        """One JSON object with the keys that ``POST /reports`` answers with."""
        return output.as_json(self.generation)

    def __str__(self) -> str:
        return output.page(self.generation)

    def __repr__(self) -> str:
        start = " ".join(self.text.split())
        shown = f"{start[:57]}..." if len(start) > 60 else start
        count = len(self.cited_cases)
        return f"Report({shown!r}, {count} cited {'case' if count == 1 else 'cases'})"

    def _repr_html_(self) -> str:
        parts = [
            '<div style="max-width:62em">',
            *(f"<p><b>{escape(line)}</b></p>" for line in self.warnings),
            '<div style="display:flex;gap:1.2em;flex-wrap:wrap;align-items:flex-start">',
            f"<div>{''.join(_picture(one.pixels, IMAGE_SIDE) for one in self.images)}</div>",
            *self._prior(),
            '<div style="flex:1;min-width:18em">',
            *self._texts(),
            "</div></div>",
            *self._cited(),
            *(f'<div style="opacity:.75">note: {escape(note)}</div>' for note in self.notes),
            f'<p style="margin-top:.8em"><b>{escape(self.generation.notice)}</b></p></div>',
        ]
        return "\n".join(parts)

    def _prior(self) -> Iterator[str]:
        if self.prior_images:
            shown = "".join(_picture(one.pixels, IMAGE_SIDE) for one in self.prior_images)
            prior = self.generation.prior
            day = "" if prior is None or prior.date is None else f" of {written(prior.date)}"
            yield f"<div><b>Prior study{day}</b><br>{shown}</div>"

    def _texts(self) -> Iterator[str]:
        if self.generation.task == "classify":
            yield from _table(self.observations or ())
            return
        if self.generation.question:
            yield f"<p><i>{escape(self.generation.question)}</i></p>"
        for title, statements in (("Findings", self.findings), ("Impression", self.impression)):
            if statements:
                if self.generation.task == "report":
                    yield f"<b>{title}</b>"
                yield from (_sentence(statement) for statement in statements)

    def _cited(self) -> Iterator[str]:
        quotes: dict[int, list[str]] = {}
        for statement in self.statements:
            for one in statement.citations:
                if one.quote not in quotes.setdefault(one.number, []):
                    quotes[one.number].append(one.quote)
        scores = {hit.number: hit.score for hit in self.generation.hits}
        for number, case in self.cited_cases.items():
            said = "".join(f"<li>“{escape(quote)}”</li>" for quote in quotes[number])
            report = escape(case.report).replace("\n", "<br>")
            yield (
                f"<details><summary>[{number}] {escape(case.source)} {escape(case.study_id)}, "
                f"score {scores[number]:.3f}</summary>{_thumbnails(case)}<ul>{said}</ul>"
                f'<div style="opacity:.75">{report}</div></details>'
            )


def _sentence(statement: Statement) -> str:
    added = " <i>(added by rule)</i>" if statement.added_by_rule else ""
    against = statement.contradiction
    doubt = f' title="contradicted by the image: {escape(against)}"' if against else ""
    style = ' style="text-decoration:underline wavy"' if against else ""
    said = f"<span{style}>{escape(statement.text)}</span> <sup>{statement.marks}</sup>"
    return f"<div{doubt}>{said}{added}</div>"


def _table(observations: Sequence[Observation]) -> Iterator[str]:
    yield "<table><tr><th>observation</th><th>probability</th><th>state</th></tr>"
    for one in sorted(observations, key=lambda one: -one.probability):
        state = one.state or ""
        yield f"<tr><td>{escape(one.name)}</td><td>{one.probability:.2f}</td><td>{state}</td></tr>"
    yield "</table>"


def _thumbnails(case: Case) -> str:
    """The images of a case that are still where they were indexed."""
    shown = []
    for image in case.images:
        if image.path is not None and Path(image.path).is_file():
            try:
                shown.append(_picture(read_radiograph(image.path).pixels, THUMBNAIL_SIDE))
            except UserError:  # changed since; the report stands without it
                continue
    return f"<div>{''.join(shown)}</div>" if shown else ""


def _picture(pixels: object, side: int) -> str:
    """An ``img`` element that holds its pixels, (height, width) uint8, itself."""
    image = Image.fromarray(pixels)  # type: ignore[arg-type]
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    return (
        f'<img alt="chest X-ray" src="data:image/png;base64,{data}" '
        f'width="{image.width}" height="{image.height}" style="margin:2px">'
    )
