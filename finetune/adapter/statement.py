"""What a run depends on, stated in its directory, so that it is resumed as the same run or not.

stated = state_run(record, data, base=..., initial=...)
check_run(out_dir, stated, resume=True)
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from db.errors import MismatchError, UserError
from db.files import read_json, remove_scraps, write_json, writing
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingData
from finetune.adapter.trainer import CHECKPOINT, RUN
from finetune.export.adapter_files import SCRAP, WEIGHTS
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import find_folder
from indexer.encoder.weight_files import file_sha256

STATED = "run.json"

_NAMES = {
    "base_sha256": "base model",
    "base_files_sha256": "tokenizer, chat template or configuration of the base model",
    "prompt_version": "prompt version",
    "data_sha256": "data set",
    "examples_sha256": "split of the examples into train and val, or order of them",
    "initial_sha256": "start adapter",
}
_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "unsloth", "trl")
_ALSO = ("numpy", "pillow")
"""What batches are drawn and images are read with."""


def state_run(
    record: AdapterRecord, data: TrainingData, *, base: str, initial: Path | None
) -> dict[str, Any]:
    """Everything that the weights of a run follow from."""
    return {
        "base_sha256": record.base_sha256,
        "base_files_sha256": _files_sha256(find_folder(base)),
        "prompt_version": record.prompt_version,
        "data_sha256": record.data_sha256,
        "examples_sha256": _examples_sha256(data),
        "initial_sha256": file_sha256(initial / WEIGHTS) if initial else None,
        "config": dict(record.config),
        "packages": {"python": sys.version.split()[0], **package_versions(*_PACKAGES, *_ALSO)},
    }


def check_run(out_dir: Path, stated: Mapping[str, Any], *, resume: bool) -> None:
    """Write the statement of a new run, or compare it with that of the run to resume.

    Raises MismatchError for another run, and UserError where there is nothing to resume but an
    adapter, which a new run would replace.
    """
    path, adapter = out_dir / RUN / STATED, out_dir / WEIGHTS
    checkpoint = out_dir / RUN / CHECKPOINT
    if path.is_file():
        _compare(out_dir, read_json(path), stated)
        if not resume:
            raise UserError(f"{out_dir} holds a run: add --resume to continue it")
        remove_scraps(checkpoint)
        for scrap in out_dir.glob(f"{SCRAP}*"):
            shutil.rmtree(scrap, ignore_errors=True)
        if adapter.is_file() and not checkpoint.is_file():
            raise UserError(
                f"{checkpoint} is missing, so the run cannot be resumed, and the adapter in "
                f"{out_dir} would be replaced by a new run's: name another directory with --out, "
                f"and start from its weights with --initial {out_dir}"
            )
        return
    held = {one.name for one in out_dir.iterdir()} if out_dir.is_dir() else set()
    if held - {RUN} or checkpoint.is_file():
        cure = f", or start from its weights with --initial {out_dir}" if adapter.is_file() else ""
        raise UserError(
            f"{out_dir} holds no run to resume ({path} is missing), and what it holds would be "
            f"replaced: name another directory with --out{cure}"
        )
    with writing(path):
        write_json(path, stated)


def _compare(out_dir: Path, held: Mapping[str, Any], stated: Mapping[str, Any]) -> None:
    """Names that an earlier version did not state are not compared."""
    found = None
    for name, label in _NAMES.items():
        if name in held and held[name] != stated[name]:
            found = label
            break
    defaults = asdict(TrainConfig())
    for part, label in (("config", "config: "), ("packages", "version of ")):
        if found is not None or part not in held:
            continue
        then, now = held[part], stated[part]
        if part == "config":
            then = {**defaults, **then}
        for name in sorted({*then, *now}):
            if then.get(name) != now.get(name):
                found = f"{label}{name} {then.get(name)} then, {now.get(name)} now"
                break
    if found is None:
        return
    raise MismatchError(
        f"{out_dir} holds a run with another {found}: use what it was started with, or name "
        f"another directory with --out and start from its weights with --initial {out_dir}"
    )


def _examples_sha256(data: TrainingData) -> str:
    """Of all prompts and answers and the numbers of their images, train apart from val."""
    digest = hashlib.sha256()
    for name, examples in (("train", data.train), ("val", data.val)):
        digest.update(f"{name} {len(examples)}\n".encode())
        for one in examples:
            digest.update(json.dumps([one.prompt, one.answer, one.canvas]).encode() + b"\n")
    return digest.hexdigest()


def _files_sha256(folder: Path) -> str:
    """Of the small files that a model and its processor are made from."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".jinja", ".model") and not path.name.endswith(".index.json"):
            digest.update(f"{path.name}:{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def package_versions(*names: str) -> dict[str, str]:
    """Versions of the libraries that training uses, as far as they are installed."""
    found = {}
    for name in names or _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
