"""The examples that ``finetune train`` is asked to train on, from an index, a pack or a data set.

check_images(index)                                # in the first second
load_data(arguments, processor, makes=True)
"""

import argparse
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from db.errors import MismatchError, UserError
from db.files import writing
from finetune.examples.command import asked, pack_of
from indexer.manifest import Manifest

BAD_ROWS = "bad_rows.csv"
"""In the folder of a run: the rows of a data set that cannot be trained on."""
_LOOKED_AT = 20
"""Cases of an index of which one must have an image file."""


def check_images(index: Path) -> None:
    """Raises UserError where an index was built without image files, as the embedded one is."""
    from db.index.store import CaseStore
    from indexer.index import CASES
    from indexer.versions import current_folder

    folder = current_folder(index)
    root = Manifest.read(folder).image_root
    with CaseStore.open(folder / CASES, image_root=None if root is None else Path(root)) as cases:
        images = (image for case in islice(cases, _LOOKED_AT) for image in case.images)
        if not any(image.path is not None and Path(image.path).is_file() for image in images):
            raise UserError(
                f"{index} has no images to train on (it was built from embeddings alone, or its "
                "image files are gone): build an index from images with python -m indexer build, "
                "name images and texts with --dataset, or draw some with "
                "scripts/drawn_example --only-draw DIR"
            )


def load_data(arguments: argparse.Namespace, processor: Any, *, makes: bool) -> Any:
    """Load the examples; those of an index are fixed once a run has begun, and remade before."""
    from finetune.adapter.trainer import RUN

    side = int(processor.image_processor.size["height"])
    if arguments.dataset is not None:
        from finetune.dataset.examples import DatasetExamples
        from finetune.dataset.rows import Columns
        from indexer.sources.hold_out import HoldOut

        return DatasetExamples.load(
            arguments.dataset,
            Columns(
                image=arguments.image_column,
                text=arguments.text_column,
                question=arguments.question_column,
                patient=arguments.patient_column,
            ),
            side=side,
            subset=arguments.subset,
            limit=arguments.limit,
            skip_bad=arguments.skip_bad,
            bad_rows=arguments.out / RUN / BAD_ROWS if arguments.out and makes else None,
            hold_out=HoldOut.of(arguments.hold_out) if arguments.hold_out else None,
        )
    from finetune.examples.folder import ExampleFolder

    if arguments.examples is not None:
        return ExampleFolder.load(arguments.examples)
    from finetune.adapter.statement import STATED
    from finetune.adapter.trainer import RUN

    kept = arguments.out / RUN / "examples"
    begun = kept.is_dir() and (arguments.out / RUN / STATED).is_file()
    if makes and not begun:
        tokenizer = processor.tokenizer
        arguments.side = arguments.side or side
        made = pack_of(
            arguments, lambda text: len(tokenizer(text, add_special_tokens=False).input_ids)
        )
        with writing(kept):
            made.save(kept)
    pack = ExampleFolder.load(kept)
    if begun:
        _check_same_examples(arguments, pack.about)
    return pack


def _check_same_examples(arguments: argparse.Namespace, about: Mapping[str, Any]) -> None:
    """Raises MismatchError where the examples of a run would be made otherwise now."""
    cure = "name what it was started with, or another directory with --out"
    fingerprints = [Manifest.read(index).fingerprint for index in arguments.index]
    searched = Manifest.read(arguments.val_index or arguments.index[0]).fingerprint
    if about["indexes"] != fingerprints or about["index_fingerprint"] != searched:
        raise MismatchError(f"{arguments.out} holds a run on another index: {cure}")
    then = {"strategy": "similar", **about.get("options", {}), "side": about.get("side")}
    for name in ("strategy", "passes", "seed", "side"):
        now = getattr(arguments, name)
        if name in then and now is not None and now != then[name]:
            raise MismatchError(
                f"{arguments.out} holds a run with another {name} ({then[name]} then, {now} now): "
                f"{cure}"
            )
    now = asked(arguments)
    for name, value in about.get("asked", now).items():
        if name in now and now[name] != value:
            flag = f"--{name.replace('_', '-')}"
            raise MismatchError(f"{arguments.out} holds a run with another {flag}: {cure}")
