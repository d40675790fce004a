"""``python -m finetune pairs``: from an index and a model to pairs of its answers.

python -m finetune pairs --index INDEX --out PAIRS                # all on this machine
python -m finetune pairs --index INDEX --out PAIRS --write-prompts          # or here,
python -m evaluation answer --prompts PAIRS/prompts ... --out ANSWERS       # on a GPU,
python -m finetune pairs --index INDEX --out PAIRS --answers ANSWERS        # here again
"""

import argparse
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import MismatchError, UserError
from finetune.examples.command import add_study_arguments, val_source_of
from finetune.preferences.options import PairOptions
from finetune.preferences.rewards import RewardWeights
from indexer.sources.hold_out import HoldOut
from indexer.sources.records import read_split

if TYPE_CHECKING:
    from finetune.examples.indexes import GatheredStudies
    from generator.mllama.model import MllamaModel

_log = logging.getLogger(__name__)

PROMPTS, ANSWERS = "prompts", "answers.jsonl"
"""In the folder of the pairs: what the model is asked, and what it answers."""


def add_to(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "pairs",
        help="write pairs of a model's answers, the better one and the worse",
        examples=[
            "--index data/mine --out data/pairs --studies 50",
            "--index data/mine --model pretrained/generator --out data/pairs --write-prompts",
        ],
    )
    add_study_arguments(parser)
    parser.add_argument(
        "--studies", type=int, default=0, metavar="N", help="so many at most to train on (all)"
    )
    parser.add_argument(
        "--model",
        default="pretrained/generator",
        metavar="MODEL",
        help="that answers (%(default)s)",
    )
    parser.add_argument("--adapter", metavar="ADAPTER", help="another adapter on that model")
    parser.add_argument("--device", default="auto", help="of the model: auto, cpu or cuda")
    parser.add_argument("--out", type=Path, required=True, metavar="PAIRS", help="the folder")
    parser.add_argument(
        "--write-prompts", action="store_true", help="only write PAIRS/prompts, to be answered"
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="of evaluation answer, to those prompts"
    )
    defaults = PairOptions()
    for name, kind, about in (
        ("samples", int, "answers to a prompt"),
        ("temperature", float, "of these answers"),
        ("max-new-tokens", int, "of an answer"),
        ("exchanged", float, "share of studies also shown the cases of another image"),
        ("least-margin", float, "of the rewards of a pair"),
    ):
        default = getattr(defaults, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{about} (%(default)s)")
    parser.add_argument(
        "--weights",
        type=float,
        nargs=3,
        metavar=("F1", "SUPPORT", "LENGTH"),
        default=[defaults.weights.label_f1, defaults.weights.support, defaults.weights.length],
        help="of a reward: label F1, citations that hold, length (%(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises UserError for what cannot work, before any long work."""
    if not arguments.index:
        raise UserError("name an index with --index")
    options = _options(arguments)
    from finetune.adapter.sources import check_images

    for index in arguments.index:
        check_images(index)
    from evaluation.provenance import device_name
    from finetune.preferences.sampling import PairMaker
    from generator.mllama.load import load_model

    model = load_model(arguments.model, arguments.adapter, device=arguments.device)
    splits = {} if arguments.split_file is None else read_split(arguments.split_file)
    found = _gathered(arguments, model, splits)
    maker = PairMaker(model, found, options, arguments.out)
    prompts = maker.write_prompts(arguments.out / PROMPTS)
    if arguments.write_prompts:
        _log.info("%d prompts are in %s", prompts, arguments.out / PROMPTS)
        return 0
    answers = arguments.answers or arguments.out / ANSWERS
    if arguments.answers is None:
        place = device_name(model.decoder.device)
        maker.answer(arguments.out / PROMPTS, answers, computed=place)
    written = maker.write_pairs(answers, held_out=_held_out(splits, found))
    _log.info("%s", written)
    return 0


def _options(arguments: argparse.Namespace) -> PairOptions:
    f1, support, length = arguments.weights
    return PairOptions(
        samples=arguments.samples,
        temperature=arguments.temperature,
        max_new_tokens=arguments.max_new_tokens,
        exchanged=arguments.exchanged,
        least_margin=arguments.least_margin,
        weights=RewardWeights(label_f1=f1, support=support, length=length),
        seed=arguments.seed,
    )


def _gathered(
    arguments: argparse.Namespace, model: "MllamaModel", splits: Mapping[str, str]
) -> "GatheredStudies":
    from finetune.examples.indexes import gather_indexes
    from generator.vision_language import strategy_of

    def choose(study_ids: Sequence[str]) -> Sequence[str]:
        for study_id in study_ids:
            if splits.get(study_id) in ("val", "test"):
                raise MismatchError(
                    f"study {study_id} of the {splits[study_id]} split is indexed: build the index "
                    "from other splits"
                )
        if not 0 < arguments.studies < len(study_ids):
            return study_ids
        return random.Random(arguments.seed).sample(list(study_ids), arguments.studies)

    return gather_indexes(
        arguments.index,
        side=arguments.side or model.tile_size,
        strategy=strategy_of(model),
        folds=arguments.folds,
        val_index=arguments.val_index,
        val_source=val_source_of(arguments),
        hold_out=HoldOut.of(arguments.hold_out) if arguments.hold_out else None,
        choose=choose,
    )


def _held_out(splits: Mapping[str, str], found: "GatheredStudies") -> dict[str, list[str]]:
    """The studies and patients that no pair may be trained on."""
    listed = {study_id for study_id, split in splits.items() if split in ("val", "test")}
    cases = [study.case for study in found.val]
    return {
        "studies": sorted({case.study_id for case in cases} | listed),
        "patients": sorted({case.patient_id for case in cases if case.patient_id is not None}),
    }
