"""The small base model of ``pretrained/generator``, from SmolLM2 to what is shipped.

python -m recipes.small_mllama --corpus PACK --cut CUT           # keep what reports need
python -m recipes.small_mllama --initial CUT --pack PACK --teacher ENCODER --out RUN --device cuda
python -m recipes.small_mllama --trained RUN --quantise DIR      # 4 bits
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import write_json
from finetune.examples.folder import ExampleFolder
from finetune.training.places import check_resumable
from finetune.training.settings import read_settings
from indexer.cli.parser import Parser, run, seconds
from recipes.small_mllama.config import CutConfig, SmallMllamaConfig

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("recipes").setLevel(logging.INFO)
    logging.getLogger(__name__).setLevel(logging.INFO)
    try:
        _run(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m recipes.small_mllama",
        description="Make the small vision-language model that reports are written with.",
        examples=[
            "--corpus PACK --cut CUT",
            "--initial CUT --pack PACK --teacher pretrained/encoder --out runs/base --device cuda",
            "--trained runs/base --quantise DIR",
        ],
    )
    parser.add_argument(
        "--corpus", type=Path, metavar="PACK", help="examples whose tokens the model keeps"
    )
    parser.add_argument(
        "--gguf", type=Path, help="GGUF file of SmolLM2 (default: from its Python package)"
    )
    parser.add_argument("--cut", type=Path, metavar="DIR", help="write the cut model to DIR")
    parser.add_argument("--initial", type=Path, metavar="DIR", help="train from a folder of --cut")
    parser.add_argument("--pack", type=Path, help="examples to train on")
    parser.add_argument(
        "--teacher", type=Path, metavar="ENCODER", help="encoder that teaches the vision tower"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="directory of the run")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--epochs", type=int, help=f"default: {SmallMllamaConfig.epochs}")
    parser.add_argument(
        "--max-seconds", type=seconds, help="end training after so many seconds (default: no limit)"
    )
    parser.add_argument(
        "--pause-after",
        type=seconds,
        metavar="SECONDS",
        help="write a checkpoint after so many seconds and stop; --resume continues",
    )
    parser.add_argument("--seed", type=int, help=f"default: {SmallMllamaConfig.seed}")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of recipes/small_mllama/config.py, e.g. lr=0.0002",
    )
    parser.add_argument("--trained", type=Path, metavar="RUN", help="a finished run to quantise")
    parser.add_argument(
        "--quantise", "--quantize", type=Path, metavar="DIR", help="write the 4-bit model to DIR"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    """Raises UserError for arguments that do not fit together."""
    uses = [arguments.cut, arguments.initial, arguments.trained]
    if sum(use is not None for use in uses) != 1:
        raise UserError("name one of --cut, --initial and --trained")
    settings = list(arguments.set)
    for name in ("epochs", "max_seconds", "seed"):
        if getattr(arguments, name) is not None:
            settings.append(f"{name}={getattr(arguments, name)}")
    if arguments.cut is not None:
        _cut(arguments, read_settings(CutConfig, settings))
    elif arguments.initial is not None:
        _train(arguments, read_settings(SmallMllamaConfig, settings))
    else:
        _quantise(arguments, read_settings(SmallMllamaConfig, settings))


def _cut(arguments: argparse.Namespace, config: CutConfig) -> None:
    if arguments.corpus is None:
        raise UserError("name a pack of examples with --corpus: its tokens are kept")
    from indexer.encoder.weight_files import file_sha256
    from recipes.small_mllama.cut import cut
    from recipes.small_mllama.source import PACKAGE, VERSION, SourceWeights, find_source

    pack = ExampleFolder.load(arguments.corpus)
    path = arguments.gguf or find_source()
    origin = {
        "package": f"{PACKAGE}=={VERSION}" if arguments.gguf is None else path.name,
        "sha256": file_sha256(path) if path.is_file() else None,
        "corpus_sha256": pack.about.get("data_sha256"),
    }
    vocabulary = cut(SourceWeights.read(path), _texts(pack), config, arguments.cut, origin=origin)
    _log.info("%d tokens kept, %d in all", len(vocabulary.tokens), vocabulary.written + 1)


def _texts(pack: ExampleFolder) -> Iterator[str]:
    """What is trained on: nothing of val is looked at."""
    for example in pack.train:
        yield example.prompt
        yield example.answer


def _train(arguments: argparse.Namespace, config: SmallMllamaConfig) -> None:
    out: Path | None = arguments.out
    if out is None or arguments.pack is None:
        raise UserError("name examples with --pack and a directory for the run with --out")
    if arguments.resume:
        check_resumable(out)
    elif out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: add --resume to continue it")
    import torch

    from recipes.small_mllama.batches import Tiles
    from recipes.small_mllama.cut import load_cut
    from recipes.small_mllama.trainer import CHECKPOINT, MODEL, SmallMllamaTrainer
    from recipes.small_mllama.vision import train_vision_encoder

    if (out / MODEL).is_dir() and not (out / CHECKPOINT).is_file():
        raise UserError(f"the run in {out} has ended: its model is in {out / MODEL}")
    pack = ExampleFolder.load(arguments.pack)
    model, processor = load_cut(arguments.initial)
    device = torch.device(arguments.device)
    tiles = Tiles(pack, processor, device)
    _log.info("%d examples, %d images", len(pack.train), len(tiles))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", asdict(config))
    model.to(device)  # type: ignore[arg-type]
    if arguments.teacher is not None:
        train_vision_encoder(model, arguments.teacher, tiles, pack, config, out, show=_log.info)
    trainer = SmallMllamaTrainer(config, model, processor, pack, out, tiles=tiles)
    _log.info("%d examples are too long", trainer.left_out)
    if not trainer.train(_log.info, pause_after=arguments.pause_after):
        _log.info("paused: continue with --resume")
    elif arguments.quantise is not None:
        arguments.trained = out
        _quantise(arguments, config)


def _quantise(arguments: argparse.Namespace, config: SmallMllamaConfig) -> None:
    if arguments.quantise is None:
        raise UserError("name a directory for the model in 4 bits with --quantise")
    from recipes.small_mllama.quantise import load_quantised, quantise
    from recipes.small_mllama.trainer import MODEL

    quantise(arguments.trained / MODEL, arguments.quantise, device=arguments.device)
    if arguments.pack is None:
        return
    import torch
    from transformers import MllamaProcessor

    from recipes.small_mllama.batches import Tiles
    from recipes.small_mllama.trainer import SmallMllamaTrainer

    pack = ExampleFolder.load(arguments.pack)
    processor = MllamaProcessor.from_pretrained(arguments.quantise)
    trainer = SmallMllamaTrainer(
        config,
        load_quantised(arguments.quantise, device=arguments.device),
        processor,
        pack,
        arguments.trained,
        tiles=Tiles(pack, processor, torch.device(arguments.device)),
    )
    _line({"in 4 bits": {k: round(v, 4) for k, v in trainer.validate().items()}})


def _line(line: dict[str, Any]) -> None:
    _log.info("%s", json.dumps(line))


if __name__ == "__main__":
    run(main)
