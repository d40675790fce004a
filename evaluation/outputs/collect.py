"""The outputs of one evaluation: read from a file, or completed by asking the model."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from db.errors import UserError
from evaluation.answers.questions import vqa_rad_questions
from evaluation.log import require_first_run
from evaluation.outputs.names import WITH_INDICATION
from evaluation.outputs.no_model import NoModel
from evaluation.outputs.replay import AnswerReplayer, PromptRecorder
from evaluation.outputs.rows import Outputs, OutputsHeader
from evaluation.outputs.writer import OutputWriter
from evaluation.reports.references import own_cases
from evaluation.retrieval.studies import EvaluationStudy, read_studies
from generator.assessment.calibration import Calibration
from generator.engines.arguments import remote_options
from generator.load import load_model
from generator.mllama.adapter_record import check_served
from generator.prompts import PROMPT_VERSION
from generator.tasks import TaskRunner
from generator.vision_language import (
    NO_MODEL,
    DecodingOptions,
    VisionLanguageModel,
    reads_indication,
    scoring_note,
    strategy_of,
)
from indexer.cli.arguments import encoder_device
from indexer.cli.progress import progress_bar
from indexer.ingest.build_log import NotIndexed
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import Source
from retriever.search import Retriever

OUTPUTS = "outputs.jsonl"


def write_prompts(arguments: argparse.Namespace) -> int:
    """Write everything the model is to be asked, for another machine to answer."""
    if arguments.model is None:
        raise UserError("name the --model whose tokens and tile size the prompts are made for")
    source = open_source(arguments.source, options_of(arguments))
    retriever = open_retriever(arguments)
    model = _load(arguments, retriever)
    studies, _ = _studies(arguments, source, retriever)
    recorder = PromptRecorder(model, arguments.write_prompts)
    with TemporaryDirectory() as scratch:
        about = _about(arguments, source, retriever, recorder)
        outputs = Outputs.open(Path(scratch) / OUTPUTS, about)
        _ask(arguments, source, studies, TaskRunner(retriever, recorder), outputs)
    sys.stdout.write(f"{recorder.save()} prompts are in {arguments.write_prompts}\n")
    return 0


def collect_outputs(arguments: argparse.Namespace) -> tuple[Outputs, NotIndexed | None]:
    """Read the outputs to score, or complete them first; with these comes what was left out.

    Raises UserError, before any file is written.
    """
    if (arguments.model is None) == (arguments.outputs is None):
        raise UserError("name a --model to write outputs, or --outputs that are to be scored")
    if arguments.outputs is not None:
        outputs = Outputs.read(arguments.outputs)
        if outputs.about.split == "test":
            require_first_run(arguments.test_log, outputs.about.weights_sha256, arguments.again)
        return outputs, None
    if arguments.out is None:
        raise UserError("name a directory for what the model writes with --out")
    if arguments.split == "test" and arguments.limit is not None:
        raise UserError("the test split is measured once and whole: use --limit with --split val")
    source = open_source(arguments.source, options_of(arguments))
    retriever = open_retriever(arguments)
    model = _model(arguments, retriever)
    if arguments.split == "test":
        require_first_run(arguments.test_log, model.weights_sha256, arguments.again)
    about = _about(arguments, source, retriever, model)
    if arguments.answers is not None:
        model = player = AnswerReplayer(model, arguments.answers)
        about = replace(about, computed=player.computed)
    studies, left_out = _studies(arguments, source, retriever)
    outputs = Outputs.open(arguments.out / OUTPUTS, about)
    calibration = Calibration.find(retriever.index, model.adapter or model.name)
    runner = TaskRunner(retriever, model, calibration=calibration)
    _ask(arguments, source, studies, runner, outputs)
    return outputs, left_out


def _model(arguments: argparse.Namespace, retriever: Retriever) -> VisionLanguageModel:
    if arguments.model == NO_MODEL:
        arguments.conditions, arguments.tasks = [], []
        return NoModel(retriever.index.manifest.encoder.weights_sha256)
    return _load(arguments, retriever)


def _load(arguments: argparse.Namespace, retriever: Retriever) -> VisionLanguageModel:
    """The language model, with what a person should know of it on stderr."""
    model = load_model(
        arguments.model,
        arguments.adapter,
        device=arguments.device,
        remote=remote_options(arguments),
    )
    if WITH_INDICATION in arguments.conditions and not reads_indication(model):
        raise UserError(
            f"the condition '{WITH_INDICATION}' sends the indication to the model server: say "
            "--send-indication, or name other --conditions"
        )
    for note in check_served(model, retriever.index.manifest):
        sys.stderr.write(f"note: {note}\n")
    return model


def open_retriever(arguments: argparse.Namespace) -> Retriever:
    """Open the index with its encoder on the device that the arguments name."""
    opened = arguments.open_retriever or Retriever.open
    if (device := encoder_device(arguments.device)) != "cpu":
        opened = partial(opened, device=device)
    retriever: Retriever = opened(arguments.index)
    return retriever


def _about(
    arguments: argparse.Namespace,
    source: Source,
    retriever: Retriever,
    model: VisionLanguageModel,
) -> OutputsHeader:
    manifest = retriever.index.manifest
    return OutputsHeader(
        source=source.name,
        split=source.split,
        index_fingerprint=manifest.fingerprint,
        encoder=manifest.encoder.name,
        encoder_sha256=manifest.encoder.weights_sha256,
        labeller=manifest.labeller_version,
        model=model.name,
        adapter=model.adapter,
        weights_sha256=model.weights_sha256,
        prompt_version=PROMPT_VERSION,
        strategy=strategy_of(model),
        max_new_tokens=arguments.max_new_tokens,
        computed=getattr(model, "computed", OutputsHeader.computed),
    )


def _studies(
    arguments: argparse.Namespace, source: Source, retriever: Retriever
) -> tuple[list[EvaluationStudy], NotIndexed]:
    studies, left_out = read_studies(
        source, retriever, progress=lambda records: islice(records, arguments.limit)
    )
    sys.stderr.write(f"{left_out.summary()}\n")
    return studies, left_out


def _ask(
    arguments: argparse.Namespace,
    source: Source,
    studies: Sequence[EvaluationStudy],
    runner: TaskRunner,
    outputs: Outputs,
) -> None:
    """Run the model for everything that the outputs lack."""
    questions = [] if arguments.vqa_rad is None else vqa_rad_questions(arguments.vqa_rad)
    writer = OutputWriter(
        runner, outputs, options=DecodingOptions(max_new_tokens=arguments.max_new_tokens)
    )
    with progress_bar(total=len(studies), unit="study") as bar:
        writer.write(
            studies,
            own_cases(source),
            conditions=arguments.conditions,
            tasks=arguments.tasks,
            progress=bar.update,
        )
    if questions:
        writer.ask_about_images(questions, arguments.vqa_rad / "images")
    if (note := scoring_note(runner.model)) is not None:
        sys.stderr.write(f"note: {note}\n")
