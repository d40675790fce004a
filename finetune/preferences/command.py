"""``python -m finetune prefer``: an adapter trained on pairs of answers.

python -m finetune prefer --pairs PAIRS/pairs.jsonl --initial ADAPTER --out BETTER
python -m finetune prefer --pairs PAIRS/pairs.jsonl --dry-run          # look first
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.adapter.command import (
    add_training_arguments,
    check_out,
    read_config_of,
    run_training,
)
from finetune.preferences.config import PreferenceConfig

if TYPE_CHECKING:
    from finetune.preferences.pair_file import PairFile
    from finetune.preferences.trainer import PreferenceRun


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "prefer",
        help="train an adapter to prefer the better answer of each pair",
        examples=[
            "--pairs data/pairs/pairs.jsonl --initial runs/adapter --out runs/preferred",
            "--pairs data/pairs/pairs.jsonl --initial runs/adapter --dry-run",
        ],
    )
    parser.add_argument(
        "--pairs", type=Path, required=True, metavar="FILE", help="of finetune pairs"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="skip invalid rows, listed in ADAPTER/run"
    )
    parser.add_argument("--seed", type=int, help=f"of the draws ({PreferenceConfig.seed})")
    add_training_arguments(parser, PreferenceConfig, example="beta=0.05")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for what cannot work, before any long work."""
    config = read_config_of(arguments, PreferenceConfig)
    check_out(arguments)
    return run_training(arguments, config, _load, _run)


def _load(arguments: argparse.Namespace, processor: Any, *, makes: bool) -> "PairFile":
    from finetune.adapter.sources import BAD_ROWS
    from finetune.adapter.trainer import RUN
    from finetune.preferences.pair_file import PairFile

    return PairFile.load(
        arguments.pairs,
        skip_bad=arguments.skip_bad,
        bad_rows=arguments.out / RUN / BAD_ROWS if arguments.out and makes else None,
    )


def _run() -> "type[PreferenceRun]":
    from finetune.preferences.trainer import PreferenceRun

    return PreferenceRun
