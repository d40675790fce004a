"""python -m finetune: from data or an index to an encoder or an adapter."""

import logging
import sys
from collections.abc import Sequence

from db.errors import UserError
from finetune.adapter import command as train_command
from finetune.encoder import command as encoder_command
from finetune.examples import command as examples_command
from finetune.preferences import command as prefer_command
from finetune.preferences import pairs_command
from indexer.cli.parser import Parser, moved, run

MOVED = {
    "base": "recipes.small_mllama",
    "evaluate": "evaluation model",
    "answer": "evaluation answer",
    "calibrate": "evaluation calibrate",
}
"""Verbs that another package has now."""


def parser(prog: str = "python -m finetune") -> Parser:
    """Every verb with its options."""
    whole = Parser(
        prog=prog,
        description="From data or an index to an encoder or an adapter.",
        examples=["train --index data/mine --out runs/adapter"],
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")
    encoder_command.add_to(verbs)
    examples_command.add_to(verbs)
    train_command.add_to(verbs)
    pairs_command.add_to(verbs)
    prefer_command.add_to(verbs)
    return whole


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m finetune") -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if (code := moved(given, "finetune", MOVED)) is not None:
        return code
    arguments = parser(prog).parse_args(given)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("finetune").setLevel(logging.INFO)
    try:
        return int(arguments.run(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    run(main)
