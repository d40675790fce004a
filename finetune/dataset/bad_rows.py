"""What is said of rows that cannot be trained on, and the file that lists all of them."""

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from db.errors import UserError
from db.files import write_text
from finetune.dataset.rows import RowError

_log = logging.getLogger(__name__)

_SHOWN = 3


def report_bad_rows(
    name: str, bad: Sequence[RowError], rows: int, *, skip: bool, listed: Path | None
) -> None:
    """List every bad row in the file ``listed``: its file, row, column and reason.

    Raises UserError that counts them and names the first, unless they are to be skipped.
    """
    if not bad:
        if listed is not None:
            listed.unlink(missing_ok=True)
        return
    shown = "; ".join(str(error) for error in bad[:_SHOWN])
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    if listed is not None:
        _write(listed, bad)
        more += f" (all of them are in {listed})"
    text = f"{len(bad)} of {rows} rows of {name} cannot be trained on: {shown}{more}"
    if not skip:
        raise UserError(f"{text}: fix them, or skip them with --skip-bad")
    _log.warning("%s: left out", text)


def _write(path: Path, bad: Sequence[RowError]) -> None:
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(("file", "row", "column", "reason"))
    for error in bad:
        table.writerow((error.place.file, error.place.row, error.column or "", error.reason))
    try:
        write_text(path, stream.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error})") from error
