"""One HTML file of an evaluation: curves, tables, and the studies that went worst.

write_report(out_dir / "report.html", scores, outputs, references, source, plots, left_out)

The file loads nothing: plots and images are in it. It holds reports and images of patients.
"""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from db.app.generation import NOTICE
from db.errors import UserError
from db.files import write_text
from db.index.case import Case
from db.labels import named
from evaluation.outputs.names import EXTRACTIVE, WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs, ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import report_labels, rows_of, sentences
from evaluation.scores import Scores
from evaluation.tables import to_text
from indexer.images.reader import Limits
from indexer.ingest.studies import read_image
from indexer.sources.records import ImageRecord, Source, StudyRecord

WORST = 20
_SIDE = 320
"""Pixels of the longer side of an image."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
pre { font-size: 12.5px; line-height: 1.35; overflow-x: auto }
article { border-top: 1px solid #ccc; padding: 1rem 0 }
img { max-width: 100%; margin-right: .5rem; vertical-align: top }
blockquote { border-left: 3px solid #ccc; color: #444; margin: .3rem 0 .3rem 1rem; padding-left: .8rem }
.wrong { color: #a00 }
small { color: #777 }
"""  # noqa: E501 a line of CSS


_UNCITED = "<small>no citation</small>"


@dataclass(frozen=True, kw_only=True)
class WorstStudy:
    """A study with the findings that its report got wrong."""

    case: Case
    row: ReportRow
    missed: tuple[str, ...]
    invented: tuple[str, ...]


def worst_studies(outputs: Outputs, references: References) -> list[WorstStudy]:
    """The studies with most findings missed or invented, at most `WORST` and none without any.

    Of the language model with retrieval, as it writes, or else of the extractive report.
    """
    rows = rows_of(outputs, WITH_RETRIEVAL, references.studies)
    found = []
    for row in rows or rows_of(outputs, EXTRACTIVE, references.studies):
        case = references.cases[row.study_id]
        truth, said = named(case.labels), named(report_labels(row))
        if truth != said:
            found.append(
                WorstStudy(
                    case=case,
                    row=row,
                    missed=tuple(sorted(truth - said)),
                    invented=tuple(sorted(said - truth)),
                )
            )
    return sorted(found, key=lambda one: -len(one.missed) - len(one.invented))[:WORST]


def write_report(
    path: Path,
    scores: Scores,
    outputs: Outputs,
    references: References,
    source: Source,
    plots: Sequence[Path],
    notes: Iterable[str] = (),
) -> None:
    """Write the file; ``plots`` are PNG files to be copied into it."""
    worst = worst_studies(outputs, references)
    images = _images_of(source, {one.case.study_id for one in worst})
    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>Evaluation</title><style>{_STYLE}</style>',
        f"<h1>Evaluation: {escape(outputs.about.split)} of {escape(outputs.about.source)}</h1>",
        f"<p><strong>{escape(NOTICE)}</strong></p>",
        "<ul>",
        *(f"<li>{escape(note)}</li>" for note in (*notes, *scores.notes)),
        "</ul>",
        *_plots(plots),
        "<h2>Citations</h2>",
        *(
            f"<pre>{escape(to_text(one))}</pre>"
            for one in scores.tables
            if _of_citations(one.title)
        ),
        f"<h2>{_heading(len(worst), len(references.studies))}</h2>",
        *(line for one in worst for line in _study(one, references, images)),
        "<h2>All tables</h2>",
        f"<pre>{escape(scores.text())}</pre>",
        "</html>",
    ]
    write_text(path, "\n".join(parts) + "\n")


def _heading(worst: int, studies: int) -> str:
    if worst == WORST:
        return f"The {worst} worst studies of {studies}"
    return f"The worst studies: {worst} of {studies} have a finding missed or invented"


def _of_citations(title: str) -> bool:
    return title == "Grounding" or title.startswith("Over-reliance")


def _plots(plots: Sequence[Path]) -> Iterator[str]:
    for path in plots:
        yield f"<h2>{'ROC curves' if path.stem == 'roc' else path.stem.capitalize()}</h2>"
        yield f'<img alt="{escape(path.stem)}" src="{_data_url(path.read_bytes(), "png")}">'


def _study(
    one: WorstStudy, references: References, images: Mapping[str, Sequence[ImageRecord]]
) -> Iterator[str]:
    yield f"<article><h3>Study {escape(one.case.study_id)}</h3>"
    for kind, findings in (("missed", one.missed), ("invented", one.invented)):
        if findings:
            yield f'<p class="wrong">{kind}: {escape(", ".join(findings))}</p>'
    for image in images.get(one.case.study_id, ()):
        if (url := _thumbnail(image)) is not None:
            yield f'<img alt="{escape(image.view_position or "image")}" src="{url}">'
    yield f"<h4>Report of the study</h4><p>{escape(one.case.report)}</p>"
    yield f"<h4>Written: {escape(one.row.system)}</h4><ul>"
    cited: set[int] = set()
    for sentence in sentences(one.row.text):
        numbers = "".join(f"[{number}]" for number in sentence.numbers) or _UNCITED
        cited.update(sentence.numbers)
        yield f"<li>{escape(sentence.text)} {numbers}</li>"
    yield "</ul>"
    yield "<details open><summary>Reports that it cites</summary>"
    for number, hit in enumerate(references.hits(one.row.context), start=1):
        if number in cited:
            name = escape(one.row.context[number - 1])
            yield f"<blockquote>[{number}] {name}: {escape(hit.case.report)}</blockquote>"
    yield "</details></article>"


def _images_of(source: Source, wanted: set[str]) -> dict[str, tuple[ImageRecord, ...]]:
    return {
        record.study_id: record.images
        for record in source.records()
        if isinstance(record, StudyRecord) and record.study_id in wanted
    }


def _thumbnail(image: ImageRecord) -> str | None:
    """A small picture; None for an image that cannot be read."""
    try:
        pixels = read_image(image, Limits()).pixels
    except UserError:
        return None
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return _data_url(stream.getvalue(), "jpeg")


def _data_url(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
