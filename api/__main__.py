"""python -m api: serve an index over HTTP, and maintain the service.

python -m api serve INDEX --port 8000
python -m api serve INDEX --model none
python -m api keys add NAME --scope read --scope generate
python -m api keys list
python -m api keys revoke NAME
python -m api audit verify
python -m api backup FILE
python -m api restore FILE
"""

import argparse
import sys
from collections.abc import Sequence

from api.cli import database, keys, serve
from db.errors import UserError
from indexer.cli.parser import Parser, run


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m api") -> int:
    arguments = parser(prog).parse_args(argv)
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parser(prog: str = "python -m api") -> argparse.ArgumentParser:
    """Every verb with its options."""
    whole = Parser(prog=prog, description="The HTTP service.", examples=["serve data/index"])
    verbs = whole.add_subparsers(required=True, metavar="VERB")
    serve.add_to(verbs)
    keys.add_to(verbs)
    database.add_to(verbs)
    return whole


if __name__ == "__main__":
    run(main)
