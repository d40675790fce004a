"""One evaluation, as the command line asks for it: outputs, then figures."""

import argparse
import datetime
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from db.errors import UserError
from db.labels import positives
from evaluation.answers.questions import vqa_rad_questions
from evaluation.classification.calibration import fit
from evaluation.classification.plots import write_plots
from evaluation.classification.scores import ANSWERED, opinions
from evaluation.grounding.citations import write_sentences
from evaluation.grounding.judge import agreement_table, read_pairs, write_pairs
from evaluation.machine import machine
from evaluation.metrics.bootstrap import check_resamples
from evaluation.outputs.names import HEAD, VOTE, WITH
from evaluation.outputs.prompts import AnswerPlayer, PromptRecorder
from evaluation.outputs.rows import About, Outputs
from evaluation.outputs.writer import OutputWriter
from evaluation.reports.references import References, own_cases
from evaluation.reports.systems import rows_of
from evaluation.retrieval.studies import read_studies
from evaluation.scores import Scores, score
from evaluation.test_log import require_first_run
from generator.calibration import CALIBRATION, Calibration
from generator.mllama.adapter import check_served
from generator.mllama.load import load_model
from generator.prompts import PROMPT_VERSION
from generator.tasks import StudyReader
from generator.vision_language import DecodingOptions, VisionLanguageModel
from indexer.cli.progress import progress_bar
from indexer.encoder.weight_files import local_folder
from indexer.index import Index
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import Source
from retriever.search import Retriever

OpenRetriever = Callable[[Path], Retriever]

OUTPUTS, SENTENCES = "outputs.jsonl", "sentences.jsonl"


def evaluate_model(
    arguments: argparse.Namespace, *, open_retriever: OpenRetriever = Retriever.open
) -> int:
    """Raises UserError for what cannot work, before any long work."""
    if arguments.write_prompts is not None:
        return write_prompts(arguments, open_retriever)
    check_resamples(arguments.resamples)
    outputs = written(arguments, open_retriever)
    index = Index.open(arguments.index)
    references = References.read(
        open_source(arguments.source, options_of(arguments)), index, outputs
    )
    scores = score(
        outputs,
        references,
        index.manifest,
        calibration=calibration_of(outputs.about),
        clinical_bert=arguments.clinical_bert,
        resamples=arguments.resamples,
    )
    if arguments.judge is not None:
        scores = judged(arguments.judge, scores, outputs, references, arguments.resamples)
    document = json.dumps({"run": _run_record(arguments), **scores.document()}, indent=2)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "evaluation.json").write_text(document + "\n", encoding="utf-8")
        (arguments.out / "evaluation.txt").write_text(scores.text() + "\n", encoding="utf-8")
        write_sentences(scores.checked, arguments.out / SENTENCES)
        if scores.sources:
            labels = [study.labels for study in references.studies]
            write_plots(scores.sources, labels, arguments.out)
    if outputs.about.split == "test":
        _log_test(arguments, scores)
    sys.stdout.write((document if arguments.json else scores.text()) + "\n")
    return 0


def calibrate_model(
    arguments: argparse.Namespace, *, open_retriever: OpenRetriever = Retriever.open
) -> int:
    """Fit on the answers of a split, and put the result beside the weights that gave them; what was
    there before is kept."""
    if arguments.write_prompts is not None:
        return write_prompts(arguments, open_retriever)
    outputs = written(arguments, open_retriever)
    name = outputs.about.adapter or outputs.about.model
    folder = local_folder(name)
    if folder is None:
        raise UserError(f"{name} is no folder here, so there is no place for {CALIBRATION}")
    references = References.read(
        open_source(arguments.source, options_of(arguments)), Index.open(arguments.index), outputs
    )
    sources = opinions(outputs, references, Calibration())
    if not sources:
        raise UserError(f"{outputs.path} has no answers of yes and no: write them with --model")
    about = outputs.about
    calibration = fit(
        model=sources[ANSWERED],
        vote=sources[VOTE],
        image=sources.get(HEAD),
        truth=positives([study.labels for study in references.studies]),
        name=f"{len(references.studies)} studies, {about.split} of {about.source}, "
        f"index {about.index_fingerprint[:12]}",
    )
    path = folder / CALIBRATION
    if path.is_file():
        kept = path.with_name(f"{CALIBRATION}.before")
        copyfile(path, kept)
        sys.stdout.write(f"{kept}: what was there before\n")
    calibration.write(path)
    sys.stdout.write(
        f"{path}: model {calibration.model:.2f}, vote {calibration.vote:.2f}, "
        f"film {calibration.image:.2f}, fitted on {calibration.fitted_on}\n"
    )
    return 0


def write_prompts(arguments: argparse.Namespace, open_retriever: OpenRetriever) -> int:
    """Everything that the model is to be asked, for another machine to answer."""
    if arguments.model is None:
        raise UserError("name the --model whose tokens and tile size the prompts are made for")
    source = open_source(arguments.source, options_of(arguments))
    retriever = open_retriever(arguments.index)
    model = load_model(arguments.model, arguments.adapter, device=arguments.device)
    check_served(model, retriever.index.manifest)
    recorder = PromptRecorder(model, arguments.write_prompts)
    with TemporaryDirectory() as scratch:
        about = about_of(arguments, source, retriever, recorder)
        ask(arguments, source, retriever, recorder, Outputs.open(Path(scratch) / OUTPUTS, about))
    sys.stdout.write(f"{recorder.save()} prompts are in {arguments.write_prompts}\n")
    return 0


def written(arguments: argparse.Namespace, open_retriever: OpenRetriever) -> Outputs:
    """The outputs to score: read, or made and completed first."""
    if (arguments.model is None) == (arguments.outputs is None):
        raise UserError("name a --model to write outputs, or --outputs that are to be scored")
    if arguments.outputs is not None:
        outputs = Outputs.read(arguments.outputs)
        if outputs.about.split == "test":
            require_first_run(arguments.test_log, outputs.about.weights_sha256, arguments.again)
        return outputs
    if arguments.out is None:
        raise UserError("name a directory for what the model writes with --out")
    if arguments.split == "test" and arguments.limit is not None:
        raise UserError("the test split is met once and whole: use --limit with --split val")
    source = open_source(arguments.source, options_of(arguments))
    retriever = open_retriever(arguments.index)
    model: VisionLanguageModel = load_model(
        arguments.model, arguments.adapter, device=arguments.device
    )
    check_served(model, retriever.index.manifest)
    if arguments.split == "test":
        require_first_run(arguments.test_log, model.weights_sha256, arguments.again)
    about = about_of(arguments, source, retriever, model)
    if arguments.answers is not None:
        model = player = AnswerPlayer(model, arguments.answers)
        about = replace(about, computed=player.computed)
    outputs = Outputs.open(arguments.out / OUTPUTS, about)
    ask(arguments, source, retriever, model, outputs)
    return outputs


def about_of(
    arguments: argparse.Namespace,
    source: Source,
    retriever: Retriever,
    model: VisionLanguageModel,
) -> About:
    manifest = retriever.index.manifest
    return About(
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
        max_new_tokens=arguments.max_new_tokens,
    )


def ask(
    arguments: argparse.Namespace,
    source: Source,
    retriever: Retriever,
    model: VisionLanguageModel,
    outputs: Outputs,
) -> None:
    """Ask the model whatever the outputs lack."""
    questions = [] if arguments.vqa_rad is None else vqa_rad_questions(arguments.vqa_rad)
    studies, _ = read_studies(
        source, retriever.index, progress=lambda records: islice(records, arguments.limit)
    )
    writer = OutputWriter(
        StudyReader(retriever, model),
        outputs,
        options=DecodingOptions(max_new_tokens=arguments.max_new_tokens),
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


def calibration_of(about: About) -> Calibration:
    """What lies in the folder of the adapter, or of the model."""
    return Calibration.of(about.adapter or about.model)


def judged(
    path: Path, scores: Scores, outputs: Outputs, references: References, resamples: int
) -> Scores:
    """With the table of a file that was judged; one that is not there is written to be judged."""
    checked = scores.checked.get(WITH)
    if checked is None:
        raise UserError(f"pairs to judge come from the arm '{WITH}': write its reports first")
    if not path.exists():
        rows = rows_of(outputs, WITH, references.studies)
        count = write_pairs(checked, rows, references, path)
        note = f"{count} pairs to judge are in {path}: fill in its last column, and run again"
        return replace(scores, notes=(*scores.notes, note))
    table = agreement_table(read_pairs(path), checked, resamples=resamples)
    return replace(scores, tables=(*scores.tables, table))


def _run_record(arguments: argparse.Namespace) -> dict[str, Any]:
    """When, how and on which machine the figures were made; a GPU only where the model ran here."""
    elsewhere = arguments.model is None or arguments.answers is not None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "finetune", *sys.argv[1:]]),
        "machine": machine(gpu=not elsewhere and arguments.device != "cpu"),
    }


def _log_test(arguments: argparse.Namespace, scores: Scores) -> None:
    entry = {
        **_run_record(arguments),
        "again": arguments.again,
        **scores.log_entry(),
    }
    arguments.test_log.parent.mkdir(parents=True, exist_ok=True)
    with arguments.test_log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, sort_keys=True) + "\n")
