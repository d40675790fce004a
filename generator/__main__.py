"""python -m generator: from the images of one study to a report, an answer, classes or a caption.

python -m generator report INDEX IMAGE [IMAGE ...] --json
python -m generator report INDEX IMAGE [IMAGE ...] --model pretrained/generator
python -m generator ask INDEX IMAGE [IMAGE ...] --question "Is the heart enlarged?"
python -m generator classify INDEX IMAGE [IMAGE ...]
python -m generator caption INDEX IMAGE [IMAGE ...]

``--model`` names a folder or hub id of Llama 3.2 Vision. A report is written without a language
model, from sentences of the hits alone, unless one is named; the other tasks take
``pretrained/generator``.

``--json`` prints one object:
  notice, generator, index {path, source, fingerprint}, notes
  report, caption: findings, impression: lists of {text, labels, citations: [{number, source,
    study_id, score, quote}], found_afterwards, added, removed, case_support, image_support,
    contradiction}; cases: the cited ones, {number, source, study_id, score, findings, impression};
    left_out: {source, study_id, score, reason}; label_scores (or null); as_written
  ask: question, answer, citations, removed, image_support, cases, as_written
  classify: calibrated_on, observations: {name: {probability, model, vote, vote_interval, image}}
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from generator import output
from generator.calibration import Calibration
from generator.extractive import write_report
from generator.tasks import Study, StudyReader
from generator.vision_language import DecodingOptions, VisionLanguageModel
from indexer.cli.parser import Parser, run
from retriever.arguments import add_search_arguments, search_options
from retriever.search import Retriever

EXTRACTIVE = "extractive"
DEFAULT_MODEL = "pretrained/generator"

OpenRetriever = Callable[[Path], Retriever]
OpenModel = Callable[[str, str | None, str], VisionLanguageModel]
"""Base model, adapter, quantization."""


def main(
    argv: Sequence[str] | None = None,
    *,
    open_retriever: OpenRetriever = Retriever.open,
    open_model: OpenModel | None = None,
    prog: str = "python -m generator",
) -> int:
    arguments = parser(prog).parse_args(argv)
    arguments.open_retriever = open_retriever
    arguments.open_model = open_model or _load_model
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _load_model(model: str, adapter: str | None, quantization: str) -> VisionLanguageModel:
    from generator.mllama.load import load_model

    return load_model(model, adapter, quantization=quantization)  # type: ignore[arg-type]


def _report(arguments: argparse.Namespace) -> int:
    if arguments.model == EXTRACTIVE:
        retriever = arguments.open_retriever(arguments.index)
        retrieval = retriever.search(arguments.images, search_options(arguments))
        report = write_report(retrieval)
    else:
        reader, study = _read(arguments)
        retrieval = study.retrieval
        report = reader.report(study, _decoding(arguments))
    document = output.report_document(arguments.index, retrieval, report)
    _show(arguments, document, output.report_page(retrieval, report))
    return 0


def _caption(arguments: argparse.Namespace) -> int:
    reader, study = _read(arguments)
    caption = reader.caption(study, _decoding(arguments))
    document = output.report_document(arguments.index, study.retrieval, caption)
    _show(arguments, document, output.report_page(study.retrieval, caption))
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    reader, study = _read(arguments)
    answer = reader.ask(study, arguments.question, _decoding(arguments))
    document = output.answer_document(arguments.index, study.retrieval, answer)
    _show(arguments, document, output.answer_page(answer))
    return 0


def _classify(arguments: argparse.Namespace) -> int:
    reader, study = _read(arguments)
    result = reader.classify(study)
    document = output.classification_document(arguments.index, study.retrieval, result)
    _show(arguments, document, output.classification_page(result))
    return 0


def _read(arguments: argparse.Namespace) -> tuple[StudyReader, Study]:
    if arguments.model == EXTRACTIVE:
        raise UserError("without a language model there are only reports: use --model with one")
    retriever = arguments.open_retriever(arguments.index)
    model = arguments.open_model(arguments.model, arguments.adapter, arguments.quantization)
    from generator.mllama.adapter import check_served

    for note in check_served(model, retriever.index.manifest):
        print(f"note: {note}", file=sys.stderr)
    calibration = Calibration.of(model.adapter or arguments.model)
    reader = StudyReader(retriever, model, calibration=calibration)
    study = reader.read(
        arguments.images,
        indication=arguments.indication,
        exclude_patient_ids=arguments.exclude_patient,
        exclude_study_ids=arguments.exclude_study,
    )
    return reader, study


def _decoding(arguments: argparse.Namespace) -> DecodingOptions:
    return DecodingOptions(
        max_new_tokens=arguments.max_new_tokens,
        temperature=arguments.temperature,
        seed=arguments.seed,
    )


def _show(arguments: argparse.Namespace, document: dict[str, Any], page: str) -> None:
    print(json.dumps(document, indent=2) if arguments.json else page)


def parser(prog: str = "python -m generator") -> argparse.ArgumentParser:
    """Every verb with its options."""
    whole = Parser(
        prog=prog,
        description="Grounded text from an X-ray and its hits.",
        examples=["report data/index pa.png lateral.png"],
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser(
        "report",
        help="findings and impression, every sentence cited",
        examples=[
            "data/index pa.png lateral.png",
            "data/index pa.png --exclude-patient p17 --json",
        ],
    )
    _add_study(verb, model=EXTRACTIVE)
    add_search_arguments(verb, only=["k"], k=10)
    verb.set_defaults(run=_report)

    verb = verbs.add_parser(
        "ask",
        help="a short answer to a question about the image",
        examples=['data/index pa.png --question "Is the heart enlarged?"'],
    )
    _add_study(verb)
    verb.add_argument("--question", required=True, help="about the image")
    verb.set_defaults(run=_ask)

    verb = verbs.add_parser(
        "classify",
        help="the 14 observations, each with a probability",
        examples=["data/index pa.png lateral.png"],
    )
    _add_study(verb)
    verb.set_defaults(run=_classify)

    verb = verbs.add_parser(
        "caption", help="one sentence on the image", examples=["data/index pa.png lateral.png"]
    )
    _add_study(verb)
    verb.set_defaults(run=_caption)
    return whole


def _add_study(verb: argparse.ArgumentParser, model: str = DEFAULT_MODEL) -> None:
    """What every task takes: the index, the views of one study, whom to leave out, the model."""
    verb.add_argument("index", type=Path, metavar="INDEX", help="an index directory")
    verb.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="views of one study")
    verb.add_argument(
        "--model", default=model, metavar="MODEL", help="folder or hub id (default: %(default)s)"
    )
    verb.add_argument(
        "--adapter", metavar="DIR", help="of finetune train (default: that of the model, if any)"
    )
    verb.add_argument(
        "--quantization", default="auto", metavar="NAME", help="on a GPU: auto, none, nf4 or int8"
    )
    verb.add_argument("--indication", default="", metavar="TEXT", help="why the image was taken")
    add_search_arguments(verb, only=["exclude_patient_ids", "exclude_study_ids"])
    verb.add_argument(
        "--max-new-tokens",
        type=int,
        default=160,
        metavar="N",
        help="of an answer (default: %(default)s)",
    )
    verb.add_argument(
        "--temperature", type=float, default=0.0, help="0 (default): the likeliest words"
    )
    verb.add_argument("--seed", type=int, default=0, help="of words drawn at a temperature")
    verb.add_argument("--json", action="store_true", help="print one JSON object")


if __name__ == "__main__":
    run(main)
