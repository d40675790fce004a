"""The verbs of ``python -m evaluation`` and their options.

Everything a model writes goes into ``outputs.jsonl`` first, and the same command resumes a run that
was interrupted. The figures are made from that file, without the model, so they can be computed
again at any time with ``--outputs``.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.metrics.bootstrap import RESAMPLES
from evaluation.outputs.names import (
    CONDITIONS,
    IMAGE_FINDINGS_WITHHELD,
    IMAGE_ONLY,
    TASKS,
    WITH_RETRIEVAL,
    WITHOUT_RETRIEVAL,
)
from generator.engines.arguments import add_remote_model
from generator.load import MODEL_HELP
from generator.vision_language import NO_MODEL
from indexer.cli.arguments import add_device, add_model_device
from indexer.encoder.spec import DEFAULT_ENCODER
from indexer.sources.arguments import add_own_arguments, add_split_arguments

if TYPE_CHECKING:
    from retriever.search import Retriever

TEST_LOG = Path(__file__).resolve().parent.parent / "results" / "test_log.jsonl"

OpenRetriever = Callable[..., "Retriever"]
"""`Retriever.open`, or what a test puts in its place."""

_SPLIT = "--data-dir OPENI --split-file r2gen_split.json"


def add_retrieval_to(verbs: Any) -> None:
    """Register ``retrieval``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "retrieval",
        help="figures of an index's search on a held-out split",
        examples=[f"data/index {_SPLIT} --split val --out runs/retrieval"],
    )
    parser.add_argument("index", type=Path, metavar="INDEX", help="the index to search")
    add_split_arguments(parser)
    parser.add_argument("--split", choices=("val", "test"), required=True, help="the held-out part")
    add_device(parser)
    parser.add_argument(
        "--baseline-index", type=Path, metavar="INDEX2", help="another index to compare with"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for JSON, table and PNG plots")
    _add_figures(parser)
    parser.set_defaults(run=_run_retrieval)


def add_labels_to(verbs: Any) -> None:
    """Register ``labels``, which needs no index."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "labels",
        help="AUC of an encoder's labels on ChestX-ray14 images of held-out patients",
        examples=["pretrained/encoder --nih-dir NIH NIH_HIRES NIH_128PX --split val"],
    )
    parser.add_argument("encoder", metavar="ENCODER", help="folder of the encoder")
    parser.add_argument(
        "--index", type=Path, metavar="INDEX", help="also its votes, and findings of its reports"
    )
    parser.add_argument("--baseline", metavar="ENCODER2", help="another encoder to compare with")
    parser.add_argument(
        "--nih-dir",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="the folders, in the order in which the encoder was trained on them",
    )
    parser.add_argument("--split", choices=("val", "test"), required=True, help="the held-out part")
    add_device(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="for JSON and table")
    _add_figures(parser)
    parser.set_defaults(run=_run_labels)


def add_model_to(verbs: Any) -> None:
    """Register ``model``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "model",
        help="figures of a language model on a held-out split",
        examples=[
            f"--model pretrained/generator --index data/index {_SPLIT} --split val --out runs/val",
            f"--outputs runs/val/outputs.jsonl --index data/index {_SPLIT} --split val",
        ],
    )
    _add_model_and_split(parser, splits=("val", "test"))
    parser.add_argument(
        "--conditions",
        nargs="+",
        choices=(*CONDITIONS, IMAGE_FINDINGS_WITHHELD),
        metavar="CONDITION",
        default=[WITH_RETRIEVAL, WITHOUT_RETRIEVAL, IMAGE_ONLY, IMAGE_FINDINGS_WITHHELD],
        help=f"any of: {', '.join((*CONDITIONS, IMAGE_FINDINGS_WITHHELD))} "
        "(default: all except with the indication)",
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all of them"
    )
    parser.add_argument("--vqa-rad", type=Path, metavar="DIR", help="also ask its questions")
    parser.add_argument(
        "--clinical-bert", type=Path, metavar="DIR", help="weights for ClinicalBERT similarity"
    )
    parser.add_argument(
        "--metrics-python",
        type=Path,
        metavar="PYTHON",
        help="the Python of an environment with radeval, for its metrics",
    )
    parser.add_argument(
        "--judge", type=Path, metavar="FILE", help="sentence-citation pairs to judge, or judged"
    )
    _add_figures(parser)
    parser.set_defaults(run=_run_model)


def add_own_to(verbs: Any) -> None:
    """Register ``own``, which needs no index."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "own",
        help="index one part of your own data, report on the other, and write an HTML page",
        examples=["studies.csv --split-by patient:0.2 --out runs/own"],
    )
    parser.add_argument(
        "data_dir", type=Path, metavar="DATA", help="your table, JSON file or folder"
    )
    add_own_arguments(parser)
    add_model_device(parser)
    add_remote_model(parser)
    parser.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="folder or name (default: %(default)s)"
    )
    parser.add_argument(
        "--model", default=NO_MODEL, metavar="MODEL", help=f"{MODEL_HELP} (default: none)"
    )
    parser.add_argument("--adapter", metavar="DIR", help="adapter on the base model")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for index, outputs and report"
    )
    _add_figures(parser)
    parser.set_defaults(
        run=_run_own,
        limit=None,
        vqa_rad=None,
        outputs=None,
        answers=None,
        write_prompts=None,
        clinical_bert=None,
        metrics_python=None,
        judge=None,
        max_new_tokens=160,
        conditions=[WITH_RETRIEVAL, WITHOUT_RETRIEVAL],
        tasks=["report", "classify"],
    )


def add_answer_to(verbs: Any) -> None:
    """Register ``answer``, which needs no index."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "answer",
        help="answer the prompts of an evaluation on another machine",
        examples=["--prompts runs/prompts --model pretrained/generator --out runs/answers.jsonl"],
    )
    parser.add_argument(
        "--prompts", type=Path, required=True, metavar="DIR", help="that --write-prompts wrote"
    )
    parser.add_argument("--model", required=True, metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--adapter", metavar="DIR", help="adapter on the base model")
    add_remote_model(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--quantization", default="auto", help="auto, none, nf4 or int8")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="for the answers")
    parser.set_defaults(run=_run_answer)


def add_export_to(verbs: Any) -> None:
    """Register ``export``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "export",
        help="write a system's stored reports in the form of another leaderboard",
        examples=[
            "--format rexrank --system extractive --outputs runs/val/outputs.jsonl "
            f"--index data/index {_SPLIT} --split val --out runs/rexrank.json"
        ],
    )
    parser.add_argument("--format", choices=("rexrank",), required=True, help="the leaderboard")
    parser.add_argument("--system", required=True, metavar="NAME", help="as the tables name it")
    add_stored_outputs(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="for the reports")
    parser.set_defaults(run=_run_export)


def add_stored_outputs(parser: argparse.ArgumentParser) -> None:
    """Which outputs of ``model``, and the index and the studies that they are of."""
    parser.add_argument(
        "--outputs", type=Path, required=True, metavar="FILE", help="of 'evaluate model'"
    )
    parser.add_argument(
        "--index", type=Path, required=True, metavar="INDEX", help="the index of the outputs"
    )
    add_split_arguments(parser)
    parser.add_argument("--split", choices=("val", "test"), required=True, help="the held-out part")


def add_calibrate_to(verbs: Any) -> None:
    """Register ``calibrate``, which writes `calibration.json` into the index, or beside the weights
    of a model."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "calibrate",
        help="fit the probabilities and operating points of the assessment on val",
        examples=[
            f"--index data/index {_SPLIT} --split val",
            f"--model pretrained/generator --index data/index {_SPLIT} --split val "
            "--out runs/calibration",
        ],
    )
    _add_model_and_split(parser, splits=("val",))
    parser.set_defaults(run=_run_calibrate, conditions=[], tasks=["classify"], vqa_rad=None)


def _add_model_and_split(parser: argparse.ArgumentParser, *, splits: Sequence[str]) -> None:
    """Which model reads which studies with which index, and where the outputs go."""
    parser.add_argument(
        "--outputs", type=Path, metavar="FILE", help="score these outputs, without a model"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for outputs, tables and plots")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help=f"{MODEL_HELP}; {NO_MODEL}: the extractive report alone",
    )
    add_remote_model(parser)
    parser.add_argument("--adapter", metavar="DIR", help="adapter on the base model")
    add_model_device(parser)
    parser.add_argument(
        "--max-new-tokens", type=int, default=160, help="of one output (default: %(default)s)"
    )
    parser.add_argument(
        "--write-prompts",
        type=Path,
        metavar="DIR",
        help="only write the prompts, for 'python -m evaluation answer' on another machine",
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="answers to these prompts, from that machine"
    )
    parser.add_argument(
        "--index", type=Path, required=True, metavar="INDEX", help="the index to retrieve from"
    )
    add_split_arguments(parser)
    parser.add_argument("--split", choices=splits, required=True, help="the held-out part")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N studies (val)")


def _add_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the intervals (default: %(default)s)"
    )
    parser.add_argument(
        "--test-log",
        type=Path,
        default=TEST_LOG,
        metavar="FILE",
        help="log of the runs on test (default: results/test_log.jsonl)",
    )
    parser.add_argument(
        "--again", metavar="REASON", help="why the same weights are measured on test again"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _run_retrieval(arguments: argparse.Namespace) -> int:
    from evaluation.retrieval.run import evaluate_retrieval

    return evaluate_retrieval(arguments)


def _run_labels(arguments: argparse.Namespace) -> int:
    from evaluation.classification.label_run import evaluate_labels

    return evaluate_labels(arguments)


def _run_model(arguments: argparse.Namespace) -> int:
    from evaluation.run import evaluate_model

    return evaluate_model(arguments)


def _run_own(arguments: argparse.Namespace) -> int:
    from evaluation.own import evaluate_own

    return evaluate_own(arguments)


def _run_calibrate(arguments: argparse.Namespace) -> int:
    from evaluation.classification.calibrate import calibrate

    return calibrate(arguments)


def _run_export(arguments: argparse.Namespace) -> int:
    from evaluation.outputs.export import export_reports

    return export_reports(arguments)


def _run_answer(arguments: argparse.Namespace) -> int:
    from evaluation.outputs.prompts import answer_prompts, read_prompts
    from evaluation.outputs.rows import OutputsHeader
    from evaluation.provenance import device_name
    from generator.engines.arguments import remote_options
    from generator.load import load_model
    from generator.mllama.model import MllamaModel
    from indexer.cli.progress import progress_bar

    total = len(read_prompts(arguments.prompts))
    model = load_model(
        arguments.model,
        arguments.adapter,
        device=arguments.device,
        quantization=arguments.quantization,
        remote=remote_options(arguments),
    )
    if isinstance(model, MllamaModel):
        computed = f"{device_name(model.decoder.device)}, {arguments.quantization}"
    else:
        computed = str(getattr(model, "computed", OutputsHeader.computed))
    with progress_bar(total=total, unit="prompt") as bar:
        answer_prompts(
            model, arguments.prompts, arguments.out, computed=computed, progress=bar.update
        )
    return 0
