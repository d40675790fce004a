"""python -m finetune: from data or an index to an encoder or an adapter, and their figures."""

import logging
import sys
from collections.abc import Sequence

from db.errors import UserError
from finetune import (
    base_command,
    encoder_command,
    evaluation_command,
    examples_command,
    train_command,
)
from indexer.command import Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m finetune",
        description="From data or an index to an encoder or an adapter, and their figures.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    encoder_command.add_to(verbs)
    base_command.add_to(verbs)
    examples_command.add_to(verbs)
    train_command.add_to(verbs)
    evaluation_command.add_to(verbs)
    evaluation_command.add_answer_to(verbs)
    evaluation_command.add_calibrate_to(verbs)
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("finetune").setLevel(logging.INFO)
    try:
        return int(arguments.run(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    run(main)
