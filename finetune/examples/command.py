"""``python -m finetune examples``: from an index to prompts and answers to train on.

python -m finetune examples --index INDEX --model MODEL --out PACK
python -m finetune examples --index FOLD_0 FOLD_1 --folds folds.json \
    --val-index INDEX --data-dir DIR --split-file FILE --model MODEL --out PACK

The val split is that of any source that ``indexer build`` reads: ``--source`` names it. An index
whose encoder has not been trained on the indexed studies is all it takes. Where it was,
as the shipped one on Open-I, name an index for each fold, by an encoder that has not seen it
(``finetune encoder --folds 2``), and the file that says which study is in which fold.
"""

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from db.errors import UserError
from finetune.examples.folder import ExampleFolder
from finetune.examples.options import ExampleOptions
from indexer.encoder.weight_files import file_sha256
from indexer.sources.arguments import add_split_arguments, options_of
from indexer.sources.hold_out import HoldOut
from retriever.options import Strategy

if TYPE_CHECKING:
    from indexer.sources.records import Source

_log = logging.getLogger(__name__)


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "examples",
        help="write retrieval-augmented prompts and answers to train on",
        examples=["--index data/mine --model pretrained/generator --out data/examples"],
    )
    add_arguments(parser)
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="tokenizer to count tokens with"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PACK", help="the folder to write"
    )
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What examples are made from; `pack_of` reads these arguments."""
    add_study_arguments(parser)
    parser.add_argument(
        "--strategy",
        choices=get_args(Strategy),
        default=ExampleOptions.strategy,
        help="how cases are chosen for the prompts, and later for the adapter (%(default)s)",
    )
    parser.add_argument(
        "--passes",
        type=int,
        default=ExampleOptions.passes,
        help="over all studies (default: %(default)s)",
    )


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """The studies to train on and to validate with; `val_source_of` reads some of them."""
    parser.add_argument(
        "--index", type=Path, nargs="+", metavar="INDEX", help="studies to train on"
    )
    parser.add_argument("--folds", type=Path, metavar="FILE", help="JSON: study to index number")
    parser.add_argument("--val-index", type=Path, metavar="INDEX", help="searched for val studies")
    add_split_arguments(parser)
    parser.set_defaults(split="val")
    parser.add_argument(
        "--hold-out",
        metavar="patient:SHARE",
        help="validate with a share of the patients, such as patient:0.1, not with a val split",
    )
    parser.add_argument(
        "--seed", type=int, default=ExampleOptions.seed, help="of the draws (%(default)s)"
    )
    parser.add_argument(
        "--side", type=int, help="pixels of an image on the canvas (default: the model's tile)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for arguments that do not fit together."""
    from transformers import AutoTokenizer

    from generator.mllama.checkpoint import find_folder, read_config

    folder = find_folder(arguments.model)
    tile: Any = read_config(folder).vision_config
    arguments.side = arguments.side or tile.image_size
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pack = pack_of(arguments, lambda text: len(tokenizer(text, add_special_tokens=False).input_ids))
    pack.save(arguments.out)
    _log.info(
        "%d examples to train on and %d to validate with, of %d studies, written to %s",
        len(pack.train),
        len(pack.val),
        pack.canvases,
        arguments.out,
    )
    return 0


def pack_of(arguments: argparse.Namespace, count_tokens: Callable[[str], int]) -> ExampleFolder:
    """Examples of the index or indexes that the arguments name."""
    if not arguments.index:
        raise UserError("name an index with --index")
    from finetune.examples.indexes import pack_indexes

    pack = pack_indexes(
        arguments.index,
        folds=arguments.folds,
        val_index=arguments.val_index,
        val_source=val_source_of(arguments),
        options=ExampleOptions(
            strategy=arguments.strategy, passes=arguments.passes, seed=arguments.seed
        ),
        side=arguments.side,
        hold_out=HoldOut.of(arguments.hold_out) if arguments.hold_out else None,
        count_tokens=count_tokens,
    )
    return replace(pack, about={**pack.about, "asked": asked(arguments)})


def val_source_of(arguments: argparse.Namespace) -> "Source | None":
    """The val split that the arguments name, if they name any."""
    if not any((arguments.data_dir, arguments.split_file, arguments.reports)):
        return None
    from indexer.sources.catalogue import open_source

    return open_source(arguments.source, options_of(arguments))


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """What else decides the examples, by the names of its flags: files by what they hold."""
    named = {name: getattr(arguments, name) for name in ("data_dir", "reports", "images_dir")}
    files = {name: getattr(arguments, name) for name in ("folds", "split_file")}
    stated = {name: None if path is None else str(path.resolve()) for name, path in named.items()}
    for name, path in files.items():
        stated[name] = file_sha256(path) if path is not None and path.is_file() else None
    for name in ("source", "columns", "hold_out", "accept_as_chest"):
        stated[name] = getattr(arguments, name)
    return stated
