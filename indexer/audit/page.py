"""Write an audit as one self-contained HTML file, thumbnails and charts included."""

import base64
from collections.abc import Iterator
from html import escape
from itertools import groupby

from indexer.audit.plots import svg
from indexer.audit.result import Audit, AuditPart, Count, OutlierImage, Plot, SampleImage

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th:nth-child(1) { width: 34%; }
th:nth-child(2) { width: 9%; text-align: right; }
th:nth-child(3) { width: 16%; text-align: right; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid #8884; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.examples { font-size: .85em; overflow-wrap: anywhere; }
.note { color: light-dark(#595959, #a6a6a6); }
.images { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: 160px; }
figure img { max-width: 160px; background: #000; display: block; }
svg { display: block; max-width: 100%; font-size: 12px; fill: currentColor; }
svg rect { fill: #4a7ebb; }
figcaption { font-size: .8em; overflow-wrap: anywhere; }
"""


def page(audit: Audit) -> str:
    """Return the HTML document; all text from the data set is escaped."""
    title = f"Audit of {audit.source}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            f'<head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head>",
            "<body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>Split {escape(audit.split)}, {escape(audit.made_at)}. Licence: "
            f"{escape(audit.licence)}.</p>",
            *([f"<p>Compared with {escape(audit.against)}.</p>"] if audit.against else []),
            '<p class="note">This page shows images and study ids of the data set: it is as '
            "confidential as they are.</p>",
            *(line for part in audit.parts for line in _part(part)),
            *_plots(audit.plots),
            *_samples(audit.sample_images),
            *_gallery(audit.extreme_images),
            "</body></html>",
            "",
        ]
    )


def _part(part: AuditPart) -> Iterator[str]:
    yield f"<h2>{escape(part.name.capitalize())}</h2>"
    if part.note:
        yield f'<p class="note">{escape(part.note)}</p>'
    if part.counts:
        yield "<table><thead><tr><th>What</th><th>Count</th><th>Share</th><th>Examples</th></tr>"
        yield "</thead><tbody>"
        yield from map(_row, part.counts)
        yield "</tbody></table>"


def _row(count: Count) -> str:
    share = "" if not count.of else f"{100 * count.count / count.of:.1f} % of {count.of:,}"
    note = f'<br><span class="note">{escape(count.note)}</span>' if count.note else ""
    sentences = any(": " in example for example in count.examples)  # one per line
    examples = ("<br>" if sentences else ", ").join(map(escape, count.examples))
    return (
        f"<tr><td>{escape(count.name)}{note}</td>"
        f'<td class="number">{count.count:,}</td><td class="number">{share}</td>'
        f'<td class="examples">{examples}</td></tr>'
    )


def _plots(plots: tuple[Plot, ...]) -> Iterator[str]:
    for plot in plots:
        yield f"<h2>{escape(plot.name)}</h2>"
        yield from svg(plot)


def _samples(images: tuple[SampleImage, ...]) -> Iterator[str]:
    if images:
        yield "<h2>Images taken evenly from all</h2>"
        yield '<div class="images">'
        for image in images:
            yield _picture(image, escape(image.study_id))
        yield "</div>"


def _gallery(images: tuple[OutlierImage, ...]) -> Iterator[str]:
    yield "<h2>Outlying images</h2>"
    if not images:
        yield '<p class="note">No outlying images.</p>'
    for reason, group in groupby(images, key=lambda image: image.reason):
        yield f"<h3>{escape(reason.capitalize())}</h3>"
        yield '<div class="images">'
        yield from map(_figure, group)
        yield "</div>"


def _figure(image: OutlierImage) -> str:
    name = escape(image.path.rpartition("/")[2])
    return _picture(
        image,
        f"{escape(image.study_id)}<br>{name}<br>{image.value:.3g} (median {image.median:.3g})",
    )


def _picture(image: OutlierImage | SampleImage, caption: str) -> str:
    """Return a figure; ``caption`` is HTML."""
    content = base64.b64encode(image.thumbnail).decode("ascii")
    name = escape(image.path.rpartition("/")[2])
    return (
        f'<figure><img alt="{name}" src="data:image/jpeg;base64,{content}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
