"""``python -m finetune evaluate``: what a model writes on a split that is not indexed, and scores.

python -m finetune evaluate --model MODEL [--adapter DIR] --index INDEX --data-dir DIR \\
    --split-file FILE --split val --out DIR
python -m finetune evaluate --outputs DIR/outputs.jsonl --index INDEX ...    # scored again

Everything that the model says goes into ``outputs.jsonl`` first; a run that is killed is taken up
again by the same command. The figures are then made from that file, without the model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.outputs.names import CONDITIONS, IMAGE_ALONE, TASKS, WITH, WITHHELD, WITHOUT
from indexer.sources.arguments import add_split_arguments

TEST_LOG = Path(__file__).resolve().parent.parent / "results" / "test_log.jsonl"
RESAMPLES = 10_000


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "evaluate",
        help="figures of a language model on a split that is not indexed",
        examples=[
            "--model pretrained/generator --index data/index --data-dir DIR --split-file FILE "
            "--split val --out runs/val"
        ],
    )
    add_model_and_split(parser, splits=("val", "test"))
    parser.add_argument(
        "--conditions",
        nargs="+",
        choices=(*CONDITIONS, WITHHELD),
        metavar="CONDITION",
        default=[WITH, WITHOUT, IMAGE_ALONE, WITHHELD],
        help=f"of {', '.join(CONDITIONS)}, {WITHHELD} (default: all but with the indication)",
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all"
    )
    parser.add_argument("--vqa-rad", type=Path, metavar="DIR", help="also ask its questions")
    parser.add_argument(
        "--clinical-bert", type=Path, metavar="DIR", help="weights to measure likeness with"
    )
    parser.add_argument(
        "--judge", type=Path, metavar="FILE", help="sentence-citation pairs to judge, or judged"
    )
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the intervals (default: %(default)s)"
    )
    parser.add_argument(
        "--test-log",
        type=Path,
        default=TEST_LOG,
        metavar="FILE",
        help="where runs on test are written down (default: results/test_log.jsonl)",
    )
    parser.add_argument("--again", metavar="REASON", help="why the same weights meet test again")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def add_model_and_split(parser: argparse.ArgumentParser, *, splits: Sequence[str]) -> None:
    """Which model reads which studies with which index, and where that is written down."""
    parser.add_argument("--outputs", type=Path, metavar="FILE", help="take these, without a model")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for outputs, tables and plots")
    parser.add_argument("--model", metavar="MODEL", help="folder or hub name of the base")
    parser.add_argument("--adapter", metavar="DIR", help="of finetune train")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--max-new-tokens", type=int, default=160, help="default: %(default)s")
    parser.add_argument(
        "--write-prompts", type=Path, metavar="DIR", help="only write what the model is to answer"
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="that finetune answer gave to these prompts"
    )
    parser.add_argument(
        "--index", type=Path, required=True, metavar="INDEX", help="searched for every study"
    )
    add_split_arguments(parser)
    parser.add_argument(
        "--split", choices=splits, required=True, help="whose studies are written about"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N studies (val)")


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for what cannot work, before any long work."""
    from evaluation.run import evaluate_model

    return evaluate_model(arguments)


def add_calibrate_to(verbs: Any) -> None:
    """Register ``calibrate``: the same model on val, and from its answers `calibration.json`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "calibrate",
        help="fit probabilities of a model's yes and no, votes and label head on val",
        examples=[
            "--model pretrained/generator --index data/index --data-dir DIR --split-file FILE "
            "--split val --out runs/calibration"
        ],
    )
    add_model_and_split(parser, splits=("val",))
    parser.set_defaults(run=calibrate, conditions=[], tasks=["classify"], vqa_rad=None)


def add_answer_to(verbs: Any) -> None:
    """Register ``answer``, which needs no index and little else installed."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "answer",
        help="answer the prompts of an evaluation on another machine",
        examples=["--prompts prompts --model pretrained/generator --out answers.jsonl"],
    )
    parser.add_argument(
        "--prompts", type=Path, required=True, metavar="DIR", help="of evaluate --write-prompts"
    )
    parser.add_argument("--model", required=True, metavar="MODEL", help="folder or hub name")
    parser.add_argument("--adapter", metavar="DIR", help="of finetune train")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--quantization", default="auto", help="auto, none, nf4 or int8")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the answers to write"
    )
    parser.set_defaults(run=answer)


def answer(arguments: argparse.Namespace) -> int:
    """Raises UserError for prompts or a model that cannot be read."""
    from evaluation.machine import device_name
    from evaluation.outputs.prompts import answer_prompts, read_prompts
    from generator.mllama.load import load_model
    from indexer.cli.progress import progress_bar

    total = len(read_prompts(arguments.prompts))
    model = load_model(
        arguments.model,
        arguments.adapter,
        device=arguments.device,
        quantization=arguments.quantization,
    )
    computed = f"{device_name(model.decoder.model.device)}, {arguments.quantization}"
    with progress_bar(total=total, unit="prompt") as bar:
        answer_prompts(
            model, arguments.prompts, arguments.out, computed=computed, progress=bar.update
        )
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    """Raises UserError for what cannot work, before any long work."""
    from evaluation.run import calibrate_model

    return calibrate_model(arguments)
