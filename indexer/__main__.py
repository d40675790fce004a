"""python -m indexer: build an index, keep it up to date, say what one is, pass on its vectors.

python -m indexer build --source openi --vectors pretrained/openi --out data/index
python -m indexer build --source openi --data-dir DIR --split-file FILE --split train --out INDEX
python -m indexer build --source jsonl --data-dir studies.jsonl --out INDEX
python -m indexer add INDEX --source jsonl --data-dir more.jsonl
python -m indexer remove INDEX --patient p17 --db data/app.sqlite3
python -m indexer merge INDEX INDEX --out INDEX
python -m indexer verify INDEX
python -m indexer upgrade INDEX
python -m indexer relocate INDEX --root DIR
python -m indexer publish INDEX postgresql+psycopg://cxr@db.example/index
python -m indexer pull postgresql+psycopg://cxr@db.example/index INDEX
python -m indexer audit --source openi --data-dir DIR --split-file FILE --out audit
python -m indexer info INDEX
python -m indexer export-vectors INDEX --out DIR
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from db.errors import UserError
from indexer.cli.arguments import parser
from indexer.cli.parser import run
from indexer.cli.progress import ImageBar

if TYPE_CHECKING:
    from indexer.cli.output import Printed

_VERBS = {
    "remove": "change.remove_cases",
    "merge": "change.merge_indexes",
    "upgrade": "change.upgrade_index",
    "relocate": "change.relocate_index",
    "publish": "publish.publish_index",
    "pull": "publish.pull_index",
    "verify": "describe.verify_index",
    "info": "describe.show_index",
    "export-vectors": "describe.export_vectors",
    "audit": "audit.audit_source",
}
"""Verb to its function in `indexer.cli.verbs`, which is imported when the verb is run."""


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m indexer") -> int:
    arguments = parser(prog).parse_args(argv)
    try:
        printed = _run(arguments)
        for line in printed.lines:
            print(line)
        return printed.exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> "Printed":
    if arguments.verb in ("build", "add"):
        with ImageBar() as bar:  # shown first: imports and the source take seconds
            from indexer.cli.verbs.build import add_to_index, build_index

            return (build_index if arguments.verb == "build" else add_to_index)(arguments, bar)
    module, function = _VERBS[arguments.verb].split(".")
    verb: Callable[[argparse.Namespace], Printed] = getattr(
        import_module(f"indexer.cli.verbs.{module}"), function
    )
    return verb(arguments)


if __name__ == "__main__":
    run(main)
