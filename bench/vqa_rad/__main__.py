"""What retrieval does for the answers to VQA-RAD on chest images, in five folds by image.

python -m bench.vqa_rad prepare --data VQA_RAD --index INDEX --work WORK     # here
python -m bench.vqa_rad run --work WORK --answers ANSWERS                    # on a GPU
python -m bench.vqa_rad score --work WORK --answers ANSWERS --out FIGURES    # here again

``prepare`` searches the index with every image and writes, for each fold, the prompts of its
questions as the service would send them, with and without the retrieved cases, and an example pack
of the other four folds. ``run`` needs neither index nor images: it goes on from the adapter of the
model, one fold after the other, and answers the held-out questions. There is one adapter a fold.
It is trained on every question twice, once with the cases and once without, so that both conditions
use the same weights and neither asks for something never trained on; the difference then shows the
cases, and not the luck of two training runs. The epoch is chosen on an eighth of
the training images, never on the held-out fold.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.vqa_rad.questions import FOLDS
from db.errors import UserError

MODEL = "pretrained/generator"
SHAPE = ("rank", "alpha", "dropout", "vision", "language", "attention", "mlp")
"""Settings that an adapter shares with the one that it continues from."""
EPOCHS, BATCH, LR = 5, 16, 2e-4


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare = verbs.add_parser("prepare", help="search, draw folds, write prompts and examples")
    prepare.add_argument("--data", type=Path, required=True, metavar="DIR", help="with train.json")
    prepare.add_argument("--index", type=Path, required=True)
    run = verbs.add_parser("run", help="train an adapter a fold and answer its questions")
    run.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    run.add_argument("--initial", type=Path, metavar="ADAPTER", help="default: MODEL/adapter")
    run.add_argument("--epochs", type=int, default=EPOCHS)
    run.add_argument("--lr", type=float, default=LR)
    run.add_argument("--max-seconds", type=float, default=60, help="of training a fold")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    score = verbs.add_parser("score", help="figures with intervals, beside each fold's majority")
    score.add_argument("--resamples", type=int, default=10_000)
    score.add_argument("--out", type=Path, metavar="FILE", help="the figures as JSON")
    for verb in (prepare, run):
        verb.add_argument("--model", default=MODEL, help="default: %(default)s")
    for verb in (prepare, run, score):
        verb.add_argument("--work", type=Path, required=True, metavar="DIR")
    for verb in (run, score):
        verb.add_argument("--answers", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args(argv)
    try:
        if arguments.verb == "prepare":
            from bench.vqa_rad import folds

            folds.prepare(arguments)
        elif arguments.verb == "score":
            from bench.vqa_rad import scores

            scores.score(arguments)
        else:
            return run_folds(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run_folds(arguments: argparse.Namespace) -> int:
    """Train an adapter for each fold and answer its questions; return the exit code."""
    from evaluation.__main__ import main as evaluation
    from finetune.__main__ import main as finetune
    from generator.mllama.adapter_record import AdapterRecord

    initial = arguments.initial or Path(arguments.model) / "adapter"
    shape = AdapterRecord.load(initial).config
    settings = [f"{name}={str(shape[name]).lower()}" for name in SHAPE if name in shape]
    for fold in arguments.folds:
        folder = arguments.work / f"fold-{fold}"
        lines = folder / "pack" / "train.jsonl"
        if not lines.is_file():
            raise UserError(f"{folder} holds no examples: make them with prepare")
        adapter = arguments.answers / f"fold-{fold}"
        an_epoch = -(-len(lines.read_text(encoding="utf-8").splitlines()) // BATCH)
        started = time.monotonic()
        train = [
            *("train", "--base", arguments.model, "--initial", initial, "--out", adapter),
            *("--examples", folder / "pack", "--backend", "peft", "--bits", "none"),
            *("--epochs", arguments.epochs, "--batch", BATCH, "--lr", arguments.lr),
            *("--max-seconds", arguments.max_seconds, "--device", arguments.device, "--set"),
            *("accumulation=1", "checkpointing=false", "optimizer=adamw", "sample_tokens=0"),
            *(f"eval_every={an_epoch}", "save_every=100000", *settings),
        ]
        if code := finetune([str(one) for one in train]):
            return code
        trained = time.monotonic()
        out = arguments.answers / f"fold-{fold}.jsonl"
        answer = [
            *("answer", "--model", arguments.model, "--adapter", adapter, "--quantization", "none"),
            *("--prompts", folder / "prompts", "--device", arguments.device, "--out", out),
        ]
        if code := evaluation([str(one) for one in answer]):
            return code
        record = AdapterRecord.load(adapter)
        training, answering = trained - started, time.monotonic() - trained
        about = {
            "adapter": asdict(record),
            "seconds_to_train": round(training, 1),
            "seconds_to_answer": round(answering, 1),
        }
        out.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        print(
            f"fold {fold}: trained in {training:.1f} s, best at step {record.step}, "
            f"answered in {answering:.1f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
