"""Figures of `results/results.json` as Markdown: tables with intervals, and where they come
from."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from evaluation.classification.scores import MEAN
from evaluation.outputs.names import (
    EXTRACTIVE,
    IMAGE_FINDINGS_WITHHELD,
    NEAREST,
    REPORT_QUESTIONS,
    SERVED,
    WITH_RETRIEVAL,
    WITHOUT_RETRIEVAL,
)
from evaluation.tables import format_p

Cell = Sequence[float | None] | None
Rows = Mapping[str, Mapping[str, Cell]]

FRESH = "whose findings do not stand word for word in the index"
_REPORTS = ("CIDEr", "BLEU-4", "ROUGE-L", "label micro-F1")
_ALSO_FRESH = ("CIDEr", "label micro-F1")
_PAIRED = ("CIDEr", "ROUGE-L", "label micro-F1")
_RELYING = (SERVED, WITH_RETRIEVAL, WITHOUT_RETRIEVAL, IMAGE_FINDINGS_WITHHELD, EXTRACTIVE, NEAREST)
_HOW = ("as written", "numbers exchanged", "another image's hits")
JUDGED = "Citations judged by reading"
_CITATIONS = {
    "coverage": "sentences that state an observation and cite",
    "coverage of findings": "... that name a finding and cite",
    "precision": "numbers whose case says the sentence",
    "precision of findings": "... of sentences that name a finding",
}


def written(figures: Mapping[str, Any]) -> str:
    """Markdown that ends with a line break; empty where there are no figures."""
    parts = [_evaluation(figures[split]) for split in ("val", "test") if split in figures]
    if "vqa_rad" in figures:
        parts.append(_vqa_rad(figures["vqa_rad"]))
    if not parts:
        return ""
    parts.append("Written by `python -m results.make_tables` from `results/results.json`.")
    return "\n" + "\n\n".join(parts) + "\n\n"


def figure(cell: Cell, *, signed: bool = False) -> str:
    """``.507 [.336, .699]``; a difference has signs, and its p where it is known.

    Empty for none, a dash for undefined.
    """
    if cell is None:
        return ""
    if any(one is None for one in cell):
        return "-"
    value, low, high = (_number(one, signed) for one in cell[:3] if one is not None)
    p = "".join(f" {format_p(one)}" for one in cell[3:] if one is not None)
    return f"{value} [{low}, {high}]{p}"


def markdown(corner: str, rows: Rows, columns: Sequence[str], *, signed: bool = False) -> str:
    """Only rows that have any of the columns."""
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, cells in rows.items():
        texts = [figure(cells.get(column), signed=signed) for column in columns]
        if any(texts):
            lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def markdown_of_all(corner: str, rows: Rows) -> str:
    """As `markdown`, with every column that a row has, in the order in which they come."""
    return markdown(
        corner, rows, list(dict.fromkeys(name for cells in rows.values() for name in cells))
    )


def machine_line(machine: Mapping[str, Any]) -> str:
    gpu = f", {machine['gpu']}" if machine.get("gpu") else ""
    return f"{machine['processor']}, {machine['cores']} cores{gpu}"


def plain_command(command: str) -> str:
    """The command with files outside the checkout by their own names alone."""
    parts = []
    for part in shlex.split(command):
        away = part.startswith(("/", ".."))
        parts.append(PurePath(part).name if away else part)
    return shlex.join(parts)


def _evaluation(run: Mapping[str, Any]) -> str:
    about, (whole, *others) = run["about"], run["subsets"]
    fresh = others[0] if others else None
    adapter = f" with `{about['adapter']}`" if about["adapter"] else ""
    there = "" if about["computed"] == "here" else f"answered on {_computed(about['computed'])}, "
    head = (
        f"**{about['source']} {about['split']}**, {whole['studies']} studies; `{about['model']}`"
        f"{adapter}, weights {about['weights_sha256'][:12]}, {about['prompt_version']}, index "
        f"{about['index_fingerprint'][:12]}; {there}scored on {machine_line(run['run']['machine'])}"
        f", {run['run']['date'][:10]}; 95 % intervals of {run['resamples']} resamples, by\n"
        f"`{run['run']['command']}`"
    )
    if fresh is not None:
        head += f"\n(\\*: on the {fresh['studies']} studies {FRESH})"
    tables = run["tables"]
    parts = [head, _reports(whole, fresh), _paired(whole)]
    if "Grounding" in tables:
        parts.append(_citations(tables["Grounding"]))
    if JUDGED in tables:
        parts.append(markdown(_small(JUDGED), tables[JUDGED], _columns(tables[JUDGED])))
    for title, rows in tables.items():
        if title.startswith("Over-reliance"):
            turned = _turned(rows, _bold, _RELYING)
            parts.append(markdown(_small(title), turned, list(rows)))
        elif title == f"Questions: {REPORT_QUESTIONS}":
            parts.append(_answers("questions made from reports", rows))
    areas = {
        title.removeprefix("Classification: "): rows[MEAN]
        for title, rows in tables.items()
        if title.startswith("Classification: AUC") and MEAN in rows
    }
    if areas:
        parts.append(markdown(f"observations, {MEAN}", areas, _columns(areas)))
    return "\n\n".join(parts)


def _reports(whole: Mapping[str, Any], fresh: Mapping[str, Any] | None) -> str:
    rows: dict[str, dict[str, Cell]] = {}
    for system, found in whole["figures"].items():
        row = {name: found.get(name) for name in _REPORTS}
        if fresh is not None:
            also = fresh["figures"].get(system, {})
            row |= {f"{name}\\*": also.get(name) for name in _ALSO_FRESH}
        rows[_bold(system)] = row
    columns = [*_REPORTS, *(f"{n}\\*" for n in _ALSO_FRESH if fresh is not None)]
    return markdown("reports", rows, columns)


def _paired(whole: Mapping[str, Any]) -> str:
    first = next(iter(whole["figures"]))
    return markdown(f"{first} minus", whole["differences"], _PAIRED, signed=True)


def _citations(grounding: Rows) -> str:
    rows: dict[str, dict[str, Cell]] = {}
    for measure, title in _CITATIONS.items():
        rows[title] = {
            how: grounding.get(f"{measure}, {how}", {}).get(WITH_RETRIEVAL) for how in _HOW
        }
    return markdown("citations, before any repair", rows, _HOW)


def _vqa_rad(run: Mapping[str, Any]) -> str:
    head = (
        f"**VQA-RAD**, {run['images']} chest images, five folds by image, an adapter a fold tuned "
        f"on the others, each question taught with cases and without; {run['prompt_version']}; "
        f"answered on {_computed(run['computed'])}, {run['run']['date'][:10]}; images resampled"
    )
    return "\n\n".join([head, _answers("questions of VQA-RAD", run["table"])])


def _answers(corner: str, rows: Rows) -> str:
    """Systems as rows, and under them the paired differences of one to the others."""
    plain = {name: cells for name, cells in rows.items() if " minus" not in name}
    parts = [markdown(corner, _turned(plain, _bold, _columns(plain)), list(plain))]
    paired: dict[str, dict[str, Mapping[str, Cell]]] = {}
    for name, cells in rows.items():
        if " minus" in name:
            measure, _, system = name.partition(": ")
            paired.setdefault(system, {})[measure] = cells
    for system, found in paired.items():
        turned = _turned(found, str, _columns(found))
        parts.append(markdown(system, turned, list(found), signed=True))
    return "\n\n".join(parts)


def _turned(
    rows: Rows, name: Callable[[str], str], columns: Sequence[str]
) -> dict[str, dict[str, Cell]]:
    """These columns as rows."""
    return {
        name(column): {row: cells.get(column) for row, cells in rows.items()} for column in columns
    }


def _columns(rows: Rows) -> list[str]:
    return list(dict.fromkeys(column for cells in rows.values() for column in cells))


def _bold(system: str) -> str:
    return f"**{system}**" if system in (SERVED, WITH_RETRIEVAL) else system


def _computed(where: str) -> str:
    """``NVIDIA H100, none`` with what the second word is."""
    device, _, quantization = where.rpartition(", ")
    return f"{device} (quantization {quantization})"


def _small(title: str) -> str:
    return title[:1].lower() + title[1:]


def _number(value: float, signed: bool) -> str:
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text
