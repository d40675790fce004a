"""``python -m finetune encoder``: pack the data, train, average, export.

python -m finetune encoder --data-dir DIR --split-file FILE --nih-dir NIH --pack FILE
python -m finetune encoder --packed FILE --out RUN --device cuda --export ENCODER

A machine without the data sets and their readers trains from the packed file.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from db.errors import UserError
from finetune.encoder.config import EncoderConfig
from finetune.encoder.pack import Pack

_log = logging.getLogger(__name__)


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "encoder",
        help="train the encoder that indexes and searches images",
        examples=["--data-dir DIR --split-file FILE --out runs/encoder --device cuda"],
    )
    parser.add_argument("--data-dir", type=Path, help="Open-I: images, reports and metadata")
    parser.add_argument("--split-file", type=Path, help="JSON lists train, val and test")
    parser.add_argument(
        "--nih-dir",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of ChestX-ray14 images with labels; the first one's patients are not val",
    )
    parser.add_argument("--pack", type=Path, metavar="FILE", help="only write the data to FILE")
    parser.add_argument("--packed", type=Path, metavar="FILE", help="train from a file of --pack")
    parser.add_argument("--initial", type=Path, help="copy of the ImageNet tower, safetensors")
    parser.add_argument("--out", type=Path, metavar="RUN", help="directory of the run")
    parser.add_argument("--epochs", type=int, help=f"default: {EncoderConfig.epochs}")
    parser.add_argument("--seed", type=int, help=f"default: {EncoderConfig.seed}")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="any setting")
    parser.add_argument("--folds", type=int, default=0, help="also one encoder per held-out fold")
    parser.add_argument("--only", metavar="PART", help="train this part alone: start, member-0")
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN")
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="write a folder for open_clip, and DIR-fold-N"
    )
    parser.add_argument(
        "--no-text-tower", action="store_true", help="export without it: its package has it"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--compile", action="store_true", help="compile the tower: faster on a GPU")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for arguments that do not fit together."""
    settings = list(arguments.set)
    for name in ("epochs", "seed"):
        if getattr(arguments, name) is not None:
            settings.append(f"{name}={getattr(arguments, name)}")
    config = EncoderConfig.of(settings)
    pack = _pack(arguments)
    if arguments.pack is not None:
        return 0
    if arguments.out is None:
        raise UserError("name a directory for the run with --out")
    from finetune.encoder import run as encoder_run
    from finetune.encoder.export import export
    from finetune.encoder.network import new_network
    from finetune.training.places import check_resumable

    if arguments.resume:
        check_resumable(arguments.out)
    elif arguments.out.exists() and any(arguments.out.iterdir()) and not arguments.only:
        raise UserError(f"{arguments.out} is not empty: add --resume to continue it")
    parts = config.parts(arguments.folds)
    names = [encoder_run.START, *parts]
    if arguments.only is not None and arguments.only not in names:
        raise UserError(f"there is no part '{arguments.only}': use {', '.join(names)}")
    network = new_network(config, pack, arguments.initial)
    if arguments.compile:
        network.visual.trunk.compile(dynamic=False)
    device, out, only = arguments.device, arguments.out, arguments.only

    def train(name: str) -> Path:
        return encoder_run.train_part(
            name, parts[name], pack, out, network=network, device=device, show=_log.info
        )

    def finish(weights: Sequence[Path], name: str, run_dir: Path, export_dir: Path | None) -> None:
        scores = encoder_run.finish(weights, parts[name], pack, run_dir, device=device)
        _log.info("average of %d runs, on val: %s", len(weights), json.dumps(scores))
        if export_dir is not None:
            export(run_dir, export_dir, text_tower=not arguments.no_text_tower)

    if only in (None, encoder_run.START):
        encoder_run.train_start(config, pack, out, network=network, device=device, show=_log.info)
    members = [name for name in parts if name.startswith("member")]
    trained = [train(name) for name in members if only in (None, name)]
    if only is None:
        finish(trained, members[0], out, arguments.export)
    for number in range(arguments.folds):
        name = f"fold-{number}"
        weights = [train(name)] if only in (None, name) else []
        if only is None:
            beside = arguments.export
            if beside is not None:
                beside = beside.with_name(f"{beside.name}-{name}")
            finish(weights, name, out / f"held-out-{number}", beside)
    return 0


def _pack(arguments: argparse.Namespace) -> Pack:
    if arguments.packed is not None:
        return Pack.load(arguments.packed)
    if arguments.data_dir is None or arguments.split_file is None:
        raise UserError("name the data with --data-dir and --split-file, or a file with --packed")
    from finetune.encoder.data import pack_openi
    from finetune.encoder.labelled.packing import pack_labelled
    from indexer.encoder.text import embed_sentences
    from indexer.reports.labeller import LABELLER_VERSION, label_report
    from indexer.reports.sentences import split_sentences

    pack = pack_openi(
        arguments.data_dir,
        arguments.split_file,
        embed_texts=embed_sentences,
        label_report=lambda report: label_report(split_sentences(report)),
        labeller_version=LABELLER_VERSION,
        labelled=pack_labelled(arguments.nih_dir) if arguments.nih_dir else None,
    )
    if arguments.pack is not None:
        pack.save(arguments.pack)
    return pack
