"""python -m generator: from the images of one study to a report, an answer, classes or a caption.

python -m generator report INDEX IMAGE [IMAGE ...] --json
python -m generator report INDEX IMAGE [IMAGE ...] --model none --maps DIR
python -m generator report INDEX IMAGE [IMAGE ...] --prior IMAGE [IMAGE ...] --prior-date DATE
python -m generator ask INDEX IMAGE [IMAGE ...] --question "Is the heart enlarged?"
python -m generator classify INDEX IMAGE [IMAGE ...]
python -m generator caption INDEX IMAGE [IMAGE ...]

``--model`` names a folder or hub id of Llama 3.2 Vision (default: ``pretrained/generator``, if its
weights are there), or the address of a server that runs another vision-language model:
``openai+http://127.0.0.1:8000/v1#NAME``. ``--model none`` writes a report, classes or a caption
from the hits alone, and answers from the assessment and the hits.

``--json`` prints the generation as ``POST /reports`` of the service answers it; see
`db.app.generation.Generation` for its fields. ``--db FILE`` also stores it, as the service does.
``--maps DIR`` also writes pictures of what the scores rest on, see `generator.localization.files`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from db.errors import MismatchError, UserError
from generator import output
from generator.assessment.calibration import SENSITIVITIES, Calibration
from generator.engines.address import RemoteOptions
from generator.engines.arguments import add_remote_model, remote_options
from generator.generation import origin_of, to_generation
from generator.load import MODEL_HELP, load_model
from generator.localization.files import write_maps
from generator.mllama.adapter_record import check_served
from generator.prior.arguments import add_prior_arguments, prior_request
from generator.prior.comparison import PriorComparison
from generator.request import GenerationRequest
from generator.tasks import TaskRunner
from generator.vision_language import (
    DEFAULT_MODEL,
    NO_MODEL,
    DecodingOptions,
    VisionLanguageModel,
    why_no_default,
)
from generator.without_model import run_without_model
from indexer.cli.arguments import add_model_device, encoder_device
from indexer.cli.options import location
from indexer.cli.parser import Parser, run
from retriever.arguments import add_search_arguments, search_options
from retriever.query import Query, image_query, read_images
from retriever.search import Retriever

CREATED_BY = "command line"

OpenRetriever = Callable[..., Retriever]
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
    if encoder_device(arguments.device) != "cpu":
        arguments.open_retriever = partial(open_retriever, device=encoder_device(arguments.device))
    arguments.open_model = open_model or partial(
        _load_model, device=arguments.device, remote=remote_options(arguments)
    )
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _load_model(
    model: str, adapter: str | None, quantization: str, *, device: str, remote: RemoteOptions
) -> VisionLanguageModel:
    return load_model(
        model,
        adapter,
        device=device,
        quantization=quantization,  # type: ignore[arg-type]
        remote=remote,
    )


def _do(arguments: argparse.Namespace) -> int:
    request = GenerationRequest(
        task=arguments.task,
        question=getattr(arguments, "question", None),
        indication=arguments.indication,
        sensitivity=arguments.sensitivity,
        options=replace(search_options(arguments), k=getattr(arguments, "k", 10)),
        prior=prior_request(arguments),
    )
    opened = _open_runner(arguments)
    if opened is None:
        retriever = arguments.open_retriever(arguments.index)
        retriever.check_exclusions(request.options)
        images = read_images(arguments.images, request.options.limits)
        query = image_query(retriever.encoder, images)
        calibration = Calibration.find(retriever.index)
        prior = _prior(retriever, query, arguments, request)
        retrieval, report = run_without_model(
            retriever, query, _searching(request, prior), calibration=calibration
        )
        origin = origin_of(retriever.encoder.spec)
    else:
        decoding, retriever = _decoding(arguments), opened.retriever
        retriever.check_exclusions(request.options)
        images = read_images(arguments.images, request.options.limits)
        query = image_query(retriever.encoder, images)
        prior = _prior(retriever, query, arguments, request)
        calibration = opened.calibration
        study = opened.retrieve_query(
            query,
            _searching(request, prior).options,
            indication=arguments.indication,
            max_cases=request.options.k if request.task == "report" else None,
            sensitivity=request.sensitivity,
        )
        retrieval = study.retrieval
        report = opened.write(request, study, decoding)
        origin = opened.describe(origin_of(retriever.encoder.spec), decoding)
    if prior is not None:
        report = prior.compared(report, retrieval, request, calibration)
    generation = to_generation(
        report,
        retrieval,
        request,
        created_at=datetime.now(UTC),
        created_by=CREATED_BY,
        origin=origin,
    )
    if getattr(arguments, "maps", None) is not None:
        cases = {hit.rank: hit.case for hit in report.hits}
        write_maps(arguments.maps, generation, images, cases=cases, encoder=retriever.encoder)
    if arguments.db is not None:
        from db.app.database import AppDatabase  # takes a while
        from db.app.generations import generation_entry

        with AppDatabase.open(arguments.db) as opened_database:
            opened_database.generations.add(generation, audit=generation_entry(generation))
    print(output.as_json(generation) if arguments.json else output.page(generation))
    return 0


def _prior(
    retriever: Retriever,
    query: Query,
    arguments: argparse.Namespace,
    request: GenerationRequest,
) -> PriorComparison | None:
    return PriorComparison.read(retriever, query, getattr(arguments, "prior", None) or (), request)


def _searching(request: GenerationRequest, prior: PriorComparison | None) -> GenerationRequest:
    return request if prior is None else replace(request, options=prior.options)


def _open_runner(arguments: argparse.Namespace) -> TaskRunner | None:
    """Open the language model on the index; None to write without one.

    The default model gives way, with a note, if its weights or torch are missing or its adapter
    does not fit the index.
    """
    reason = None if arguments.model else why_no_default()
    name = arguments.model or (NO_MODEL if reason else DEFAULT_MODEL)
    if name == NO_MODEL:
        if reason is not None and arguments.task != "ask":
            _note_no_model(reason)
        return None
    retriever = arguments.open_retriever(arguments.index)
    model = arguments.open_model(name, arguments.adapter, arguments.quantization)
    try:
        notes = check_served(model, retriever.index.manifest)
    except MismatchError as error:
        if arguments.model is not None or arguments.task == "ask":
            raise
        _note_no_model(str(error))
        return None
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    calibration = Calibration.find(retriever.index, model.adapter or name)
    return TaskRunner(retriever, model, calibration=calibration)


def _note_no_model(reason: str) -> None:
    print(f"note: {reason}; written without a language model, from the cases", file=sys.stderr)


def _decoding(arguments: argparse.Namespace) -> DecodingOptions:
    return DecodingOptions(
        max_new_tokens=arguments.max_new_tokens,
        temperature=arguments.temperature,
        seed=arguments.seed,
    )


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
            "data/index pa.png --model none",
            "data/index pa.png --exclude-patient p17 --json",
            "data/index pa.png --maps maps",
            "data/index pa.png --prior earlier.png --prior-date 2026-05-03",
        ],
    )
    _add_study(verb)
    add_search_arguments(verb, only=["k"], k=10)
    verb.add_argument(
        "--maps",
        type=Path,
        metavar="DIR",
        help="also write pictures of what the score of each stated, present or possible finding "
        "rests on, in the images and in those of the cited cases",
    )
    add_prior_arguments(verb)
    verb.set_defaults(run=_do, task="report")

    verb = verbs.add_parser(
        "ask",
        help="a short answer to a question about the image",
        examples=['data/index pa.png --question "Is the heart enlarged?"'],
    )
    _add_study(verb)
    verb.add_argument("--question", required=True, help="about the image")
    verb.set_defaults(run=_do, task="ask")

    verb = verbs.add_parser(
        "classify",
        help="the 14 observations, each with a probability",
        examples=["data/index pa.png lateral.png"],
    )
    _add_study(verb)
    verb.set_defaults(run=_do, task="classify")

    verb = verbs.add_parser(
        "caption", help="one sentence on the image", examples=["data/index pa.png lateral.png"]
    )
    _add_study(verb)
    verb.set_defaults(run=_do, task="caption")
    return whole


def _add_study(verb: argparse.ArgumentParser) -> None:
    """What every task takes: the index, the views of one study, whom to leave out, the model."""
    verb.add_argument("index", type=location, metavar="INDEX", help="an index: directory or URL")
    verb.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="views of one study")
    verb.add_argument(
        "--model",
        metavar="MODEL",
        help=f"{MODEL_HELP}, or {NO_MODEL} to compose reports from sentences of the cases "
        f"(default: {DEFAULT_MODEL} where its weights are)",
    )
    add_remote_model(verb)
    verb.add_argument(
        "--adapter", metavar="DIR", help="of finetune train (default: that of the model, if any)"
    )
    add_model_device(verb)
    verb.add_argument(
        "--quantization", default="auto", metavar="NAME", help="on a GPU: auto, none, nf4 or int8"
    )
    verb.add_argument("--indication", default="", metavar="TEXT", help="why the image was taken")
    verb.add_argument(
        "--sensitivity",
        choices=SENSITIVITIES,
        default="balanced",
        help="how readily a finding is called: high finds more, specific errs less "
        "(default: %(default)s)",
    )
    add_search_arguments(
        verb, only=["strategy", "exclude_patient_ids", "exclude_study_ids", "accept_as_chest"]
    )
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
    verb.add_argument(
        "--db",
        type=location,
        metavar="DATABASE",
        help="also store it in this application database: file or URL",
    )


if __name__ == "__main__":
    run(main)
