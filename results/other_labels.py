"""The tables of other labels in docs/results.md: other references, and images of another hospital.

python -m results.other_labels --references references.json --nih DIR/labels.json
python -m results.other_labels                 # again, from the figures that are committed

``bench.evaluation.label_references --out references.json`` scores the outputs of Open-I against the
public labels and MeSH, ``evaluation labels ENCODER --index INDEX --split val --out DIR`` the same
encoder and an index of Open-I on ChestX-ray14. The figures are kept in
``results/other_labels.json``; those that are not given stay as they were. The tables go between the
two marks in docs/results.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_json, write_text
from results.make_tables import PAGE, ROOT, between, read_json, table_rows
from results.tables import markdown

FIGURES = ROOT / "results" / "other_labels.json"
BEGIN, END = "<!-- other labels -->", "<!-- other labels end -->"
SPLIT = "val"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--references", type=Path, metavar="FILE")
    parser.add_argument("--nih", type=Path, metavar="FILE")
    parser.add_argument("--figures", type=Path, default=FIGURES, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        figures = read_json(arguments.figures) if arguments.figures.is_file() else {}
        if arguments.references is not None:
            figures["references"] = references(read_json(arguments.references))
        if arguments.nih is not None:
            figures["nih"] = nih(read_json(arguments.nih))
        page = arguments.page.read_text(encoding="utf-8")
        page = between(page, BEGIN, END, f"\n{tables(figures)}\n\n")
        if arguments.references is not None or arguments.nih is not None:
            write_json(arguments.figures, figures)
        write_text(arguments.page, page)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def references(document: Mapping[str, Any]) -> dict[str, Any]:
    """Check what ``bench.evaluation.label_references`` wrote. Raises UserError."""
    try:
        (table,) = document["tables"]
        about = document["about"]
        if not about["split"].startswith(f"{SPLIT} of"):
            raise UserError(f"these figures are on {about['split']}, not {SPLIT}")
        return {"about": about, "notes": table["notes"], "table": table_rows(table)}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "the file holds no figures of references: make it with "
            "'python -m bench.evaluation.label_references --out FILE'"
        ) from error


def nih(document: Mapping[str, Any]) -> dict[str, Any]:
    """Check what ``evaluation labels --index`` wrote. Raises UserError."""
    try:
        about = document["about"]
        if about["split"] != SPLIT:
            raise UserError(f"these figures are on {about['split']}, not {SPLIT}")
        kept = {name: table_rows({"rows": _as_rows(document[name])}) for name in ("figures", "F1")}
        return {"about": {**about, "encoders": list(about["encoders"].values())}, **kept}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the file holds no figures of images ({error} is missing): make it with "
            "'python -m evaluation labels ENCODER --index INDEX --split val --out DIR'"
        ) from error


def tables(figures: Mapping[str, Any]) -> str:
    """Markdown with what the figures depend on above each table."""
    parts = []
    if "references" in figures:
        found = figures["references"]
        about = found["about"]
        parts += [
            f"**{about['split']}**, {about['studies']} studies, index "
            f"{about['index_fingerprint'][:12]}, `{about['labeller']}`; "
            f"{found['notes'][0].partition('; ')[2]}",
            _table("Open-I, by reference", found["table"]),
        ]
    if "nih" in figures:
        found = figures["nih"]
        about = found["about"]
        parts += [
            f"**ChestX-ray14 {about['split']}**, {about['images']} images of {about['patients']} "
            f"patients; index of {about['index']['source']} {about['index']['fingerprint'][:12]}, "
            f"`{about['index']['labeller']}`",
            _table("AUC, ChestX-ray14 (images)", found["figures"]),
            _table("F1, ChestX-ray14 (images)", found["F1"]),
        ]
    parts.append("Written by `python -m results.other_labels` from `results/other_labels.json`.")
    return "\n\n".join(parts)


def _table(corner: str, rows: Mapping[str, Any]) -> str:
    return markdown(
        corner, rows, list(dict.fromkeys(column for cells in rows.values() for column in cells))
    )


def _as_rows(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Intervals as a stored table has them."""
    return {
        row: {column: {"interval": interval} for column, interval in each.items()}
        for row, each in cells.items()
    }


if __name__ == "__main__":
    sys.exit(main())
