"""python -m evaluation: figures with intervals for retrieval and for a language model.

python -m evaluation retrieval INDEX --data-dir DIR --split-file FILE --split val --out DIR
python -m evaluation model --model MODEL --index INDEX --data-dir DIR --split-file FILE \\
    --split val --out DIR
python -m evaluation own studies.csv --split-by patient:0.2 --out DIR
python -m evaluation labels ENCODER --nih-dir DIR ... --split val
python -m evaluation answer --prompts PROMPTS --model MODEL --out ANSWERS
python -m evaluation calibrate --model MODEL --index INDEX --data-dir DIR --split-file FILE \\
    --split val --out DIR
"""

import logging
import shlex
import sys
from collections.abc import Sequence

from db.errors import UserError
from evaluation import command
from evaluation.readers import command as readers
from indexer.cli.parser import Parser, run


def parser(prog: str = "python -m evaluation") -> Parser:
    """Every verb with its options."""
    whole = Parser(
        prog=prog,
        description="Figures with intervals for retrieval and for a language model.",
        examples=[
            "retrieval data/index --data-dir OPENI --split-file r2gen_split.json --split val",
            "answer --prompts runs/prompts --model pretrained/generator --out runs/answers.jsonl",
        ],
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")
    command.add_retrieval_to(verbs)
    command.add_labels_to(verbs)
    command.add_model_to(verbs)
    command.add_own_to(verbs)
    command.add_answer_to(verbs)
    command.add_calibrate_to(verbs)
    command.add_export_to(verbs)
    readers.add_forms_to(verbs)
    readers.add_ratings_to(verbs)
    return whole


def main(
    argv: Sequence[str] | None = None,
    *,
    open_retriever: command.OpenRetriever | None = None,
    prog: str = "python -m evaluation",
) -> int:
    """Run one verb and return its exit code. ``open_retriever`` replaces `Retriever.open`."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = parser(prog).parse_args(given)
    arguments.open_retriever = open_retriever
    arguments.command = f"{prog} {shlex.join(given)}"
    logging.basicConfig(format="%(message)s")
    try:
        return int(arguments.run(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    run(main)
