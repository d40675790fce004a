"""One evaluation, as the command line asks for it: outputs, then figures."""

import argparse
import datetime
import json
import shlex
import sys
from itertools import islice

from tqdm import tqdm

from db.errors import UserError
from finetune.evaluation_outputs import About, Outputs
from finetune.evaluation_references import References, own_cases
from finetune.evaluation_scores import Scores, score
from finetune.evaluation_writer import OutputWriter
from generator.model import load_model
from generator.prompts import PROMPT_VERSION
from generator.tasks import FilmReader
from generator.vision_language import GREEDY
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from indexer.sources.openi import OpenI
from indexer.sources.records import Source, read_split
from retriever.evaluation_log import require_first_run
from retriever.evaluation_studies import read_studies
from retriever.search import Retriever

OUTPUTS = "outputs.jsonl"


def evaluate_model(arguments: argparse.Namespace) -> int:
    """Raises UserError for what cannot work, before any long work."""
    outputs = written(arguments)
    index = Index.open(arguments.index)
    references = References.read(source_of(arguments), index, outputs)
    scores = score(outputs, references, index.manifest, resamples=arguments.resamples)
    document = json.dumps(scores.document(), indent=2)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "evaluation.json").write_text(document + "\n", encoding="utf-8")
        (arguments.out / "evaluation.txt").write_text(scores.text() + "\n", encoding="utf-8")
    if outputs.about.split == "test":
        _log_test(arguments, scores)
    sys.stdout.write((document if arguments.json else scores.text()) + "\n")
    return 0


def written(arguments: argparse.Namespace) -> Outputs:
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
    source = source_of(arguments)
    retriever = Retriever.open(arguments.index)
    model = load_model(arguments.model, arguments.adapter, device=arguments.device)
    if arguments.split == "test":
        require_first_run(arguments.test_log, model.weights_sha256, arguments.again)
    manifest = retriever.index.manifest
    outputs = Outputs.open(
        arguments.out / OUTPUTS,
        About(
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
            max_new_tokens=GREEDY.max_new_tokens,
        ),
    )
    studies, _ = read_studies(
        source, retriever.index, progress=lambda records: islice(records, arguments.limit)
    )
    with tqdm(total=len(studies), unit="study", file=sys.stderr) as bar:
        OutputWriter(FilmReader(retriever, model), outputs).write(
            studies,
            own_cases(source),
            arms=arguments.arms,
            tasks=arguments.tasks,
            progress=bar.update,
        )
    return outputs


def source_of(arguments: argparse.Namespace) -> Source:
    """The split to evaluate on."""
    if arguments.source == "jsonl":
        return JsonLines(arguments.data_dir, name=arguments.name, split=arguments.split)
    if arguments.split_file is None:
        raise UserError("source openi needs --split-file, which says which study is in which split")
    splits = read_split(arguments.split_file)
    return OpenI(data_dir=arguments.data_dir, splits=splits, keep=[arguments.split])


def _log_test(arguments: argparse.Namespace, scores: Scores) -> None:
    entry = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "finetune", *sys.argv[1:]]),
        "again": arguments.again,
        **scores.log_entry(),
    }
    arguments.test_log.parent.mkdir(parents=True, exist_ok=True)
    with arguments.test_log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, sort_keys=True) + "\n")
