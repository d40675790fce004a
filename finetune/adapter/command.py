"""``python -m finetune train``: from examples to an adapter.

python -m finetune train --index INDEX --out ADAPTER             # prompts made from an index
python -m finetune train --examples PACK --out ADAPTER           # prompts of finetune examples
python -m finetune train --dataset NAME|DIR|FILE --out ADAPTER   # images with texts
python -m finetune train --examples PACK --dry-run               # look first
accelerate launch --num_processes 2 -m finetune train ...        # on several GPUs
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from db.errors import UserError
from finetune.adapter.config import PROFILES, TrainConfig
from finetune.adapter.sources import check_images, load_data
from finetune.examples.command import add_arguments
from finetune.training.places import check_places, check_resumable
from indexer.cli.parser import seconds

if TYPE_CHECKING:
    from finetune.adapter.run import TrainingRun

_log = logging.getLogger(__name__)
Config = TypeVar("Config", bound=TrainConfig)

BASE = "pretrained/generator"
_FLAGS = ("backend", "bits", "epochs", "batch", "lr", "seed")
"""Settings that have a flag of their own; all have ``--set``."""


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "train",
        help="train an adapter for a Llama 3.2 Vision model",
        examples=[
            "--index data/mine --out runs/adapter --dry-run",
            "--dataset train.jsonl --image-column image --text-column report --out runs/adapter",
        ],
    )
    add_arguments(parser)
    parser.add_argument("--examples", type=Path, metavar="PACK", help="of finetune examples")
    parser.add_argument("--dataset", metavar="NAME|DIR|FILE", help="images with texts")
    parser.add_argument("--subset", metavar="NAME", help="of a hub data set with several")
    parser.add_argument(
        "--image-column", nargs="+", metavar="NAME", help="of --dataset: the images of a study"
    )
    parser.add_argument(
        "--text-column", metavar="NAME", help="of --dataset: reports, answers or conversations"
    )
    parser.add_argument("--question-column", metavar="NAME", help="of --dataset: questions")
    parser.add_argument("--patient-column", metavar="NAME", help="of --dataset: patients")
    parser.add_argument("--limit", type=int, default=0, help="rows to take, streamed from a hub")
    parser.add_argument(
        "--skip-bad", action="store_true", help="skip invalid rows, listed in ADAPTER/run"
    )
    add_training_arguments(parser, TrainConfig)
    parser.set_defaults(run=run)


def add_training_arguments(
    parser: argparse.ArgumentParser, config: type[TrainConfig], *, example: str = "max_steps=100"
) -> None:
    """What every kind of training of an adapter takes; `run_training` reads these arguments."""
    parser.add_argument(
        "--base", default=BASE, metavar="MODEL", help="folder or hub name (%(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="ADAPTER", help="directory of the adapter")
    parser.add_argument("--profile", choices=PROFILES, default="default", help="t4: a 16 GB card")
    parser.add_argument("--backend", metavar="NAME", help="auto, unsloth or peft")
    parser.add_argument("--bits", metavar="N", help="of the base weights: auto, 4, 8 or none")
    parser.add_argument("--epochs", type=int, help=f"default: {config.epochs}")
    parser.add_argument(
        "--batch", type=int, help=f"examples per forward pass (default: {config.batch})"
    )
    parser.add_argument("--lr", type=float, help=f"learning rate (default: {config.lr})")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help=f"any setting of {config.__module__.replace('.', '/')}.py, e.g. {example}",
    )
    parser.add_argument("--initial", type=Path, metavar="ADAPTER", help="start from its weights")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument(
        "--max-seconds", type=seconds, metavar="S", help="stop after S seconds, loading included"
    )
    parser.add_argument("--dry-run", action="store_true", help="show examples, lengths and memory")
    parser.add_argument("--merge", type=Path, metavar="DIR", help="also write merged weights")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if any"
    )


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for what cannot work, before any long work."""
    # the default of a flag that examples have too says nothing
    seed = None if arguments.seed == TrainConfig.seed else arguments.seed
    given = argparse.Namespace(**{**vars(arguments), "seed": seed})
    config = read_config_of(given, TrainConfig)
    _check_arguments(arguments)
    return run_training(arguments, config, load_data, _training_run)


def _training_run() -> "type[TrainingRun]":
    from finetune.adapter.run import TrainingRun

    return TrainingRun


def run_training(
    arguments: argparse.Namespace,
    config: TrainConfig,
    load: Callable[..., Any],
    kind: "Callable[[], type[TrainingRun]]",
) -> int:
    """Train an adapter on what ``load(arguments, processor, makes=...)`` returns, or show it.

    ``kind`` imports the class of the run, after the backend. Raises UserError.
    """
    began = time.monotonic()
    from finetune.adapter import backends as qlora
    from finetune.training.devices import Devices

    gpu = Devices.has_gpu() and arguments.device != "cpu"
    if arguments.device == "cuda" and not gpu:
        raise UserError("no NVIDIA GPU found: use --device cpu")
    config = config.resolved(
        gpu=gpu, bfloat16=gpu and Devices.has_bfloat16(), unsloth=qlora.has_unsloth()
    )
    qlora.start_backend(config)
    if arguments.merge is not None:
        from finetune.export.merge import check_mergeable

        check_mergeable(config.tile_use)
    from generator.mllama.checkpoint import find_folder, read_config

    base_config = read_config(find_folder(arguments.base))
    qlora.check_bits(arguments.base, base_config, config)
    processor = qlora.load_processor(arguments.base)
    with Devices.joined("cuda" if gpu else "cpu") as devices:
        if not devices.first:
            logging.disable()
        with devices.first_goes_ahead():
            data = load(arguments, processor, makes=devices.first)
        training = kind().prepare(
            base=arguments.base,
            base_config=base_config,
            processor=processor,
            data=data,
            config=config,
            devices=devices,
            initial=arguments.initial,
        )
        if arguments.dry_run:
            for line in training.describe():
                sys.stdout.write(line + "\n")
            return 0
        training.check_space(arguments.out, arguments.merge)
        end = training.train(
            arguments.out,
            resume=arguments.resume,
            until=None if arguments.max_seconds is None else began + arguments.max_seconds,
            show=_log.info,
        )
    _log.info(
        "%s of %s steps done; the adapter of step %s is in %s%s",
        end.step,
        end.total,
        end.best_step,
        arguments.out,
        "" if end.finished else ": continue with --resume",
    )
    if arguments.merge is not None and devices.first:
        from finetune.export.merge import merge_adapter

        merge_adapter(
            arguments.out, arguments.merge, devices.device, compare=training.data.greedy_texts
        )
        _log.info("merged weights are in %s", arguments.merge)
    return 0


def read_config_of(arguments: argparse.Namespace, kind: type[Config]) -> Config:
    """Raises UserError where a flag and ``--set`` disagree."""
    settings = [
        f"{name}={getattr(arguments, name)}"
        for name in _FLAGS
        if getattr(arguments, name) is not None
    ]
    given = dict(setting.partition("=")[::2] for setting in arguments.set)
    for setting in settings:
        name, _, value = setting.partition("=")
        if given.get(name, value) != value:
            raise UserError(f"--{name} {value} and --set {name}={given[name]} disagree: give one")
    return kind.of([*settings, *arguments.set], arguments.profile)


def check_out(arguments: argparse.Namespace) -> None:
    """Raises UserError where the adapter or merged weights cannot be written."""
    out: Path | None = arguments.out
    if out is None:
        if not arguments.dry_run:
            raise UserError("name a directory for the adapter with --out")
        return
    if arguments.resume:
        check_resumable(out)
    looks = arguments.resume or arguments.dry_run  # at what is there, without replacing it
    check_places(out, arguments.merge, base=arguments.base, resume=looks)


def _check_arguments(arguments: argparse.Namespace) -> None:
    if sum(x is not None for x in (arguments.index, arguments.examples, arguments.dataset)) != 1:
        raise UserError("name the examples with one of --index, --examples and --dataset")
    if arguments.examples is not None and arguments.hold_out is not None:
        raise UserError("--examples are split already: give --hold-out to finetune examples")
    check_out(arguments)
    if arguments.out is None and arguments.index:
        raise UserError("--dry-run with --index needs --out, where the examples are kept")
    for index in arguments.index or ():
        check_images(index)
