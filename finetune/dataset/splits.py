"""Which rows are for training and which for validation, wherever a data set comes from.

    splits = find_splits("pairs.csv")["train"]
    for place, row in splits.rows(): ...

A data set is a JSON, JSON lines, CSV or Parquet file; a folder that holds such files by split, each
read by its own format; a folder of ``save_to_disk``; or a hub data set by name. A name is a path
where such a path exists, and never a pattern. A split called ``test`` is never read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from db.errors import NotFoundError, UserError
from finetune.dataset.files import FORMATS, Place, json_splits, read_rows
from finetune.dataset.hub import is_saved, load, load_saved, rows_of

SplitName = Literal["train", "val"]
SPLITS: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trainset"),
    "val": ("val", "validation", "validate", "valid", "dev"),
}
_SHARD = re.compile(r"-\d+-of-\d+$")
_METADATA = "metadata"
"""The table of an image folder, one in each folder of a split."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """The rows of one split, read anew whenever they are asked for."""

    rows: Callable[[], Iterator[tuple[Place, Any]]]
    """Each row with its place; one that is no object is passed on as it is."""
    folder: Path | None
    """Relative paths of images start here; None where images are in the rows."""


def find_splits(
    name: str,
    *,
    subset: str | None = None,
    stream: bool = False,
    loader: Callable[..., Any] | None = None,
) -> dict[SplitName, Split]:
    """``train``, and ``val`` where there is one.

    ``subset`` names a configuration of a hub data set, and ``stream`` reads its rows as they come.
    Raises UserError for what is no data set, and for two files of the same split.
    """
    path = Path(name)
    if _exists(path):
        return _of_file(path) if path.is_file() else _of_folder(path, subset)
    if name.startswith((".", "/", "~")) or path.suffix in FORMATS:
        raise NotFoundError(f"{name} does not exist: name a file, folder or hub data set")
    return _of_hub(load(name, subset=subset, stream=stream, loader=loader), name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _of_file(path: Path) -> dict[SplitName, Split]:
    if _format(path) is None:
        raise UserError(f"{path} is no {', '.join(FORMATS)} file: convert it to one of them")
    if path.suffix == ".json":
        inside = json_splits(path)
        found: dict[SplitName, Split] = {}
        for split, names in SPLITS.items():
            for key in names:
                if key in inside:
                    rows = inside[key]
                    found[split] = Split(rows=partial(iter, rows), folder=path.parent)
                    break
        if found:
            return _with_train(found, str(path), list(inside))
    return {"train": _files([path])}


def _files(paths: list[Path]) -> Split:
    def rows() -> Iterator[tuple[Place, Any]]:
        for path in paths:
            yield from read_rows(path)

    return Split(rows=rows, folder=paths[0].parent)


def _of_folder(path: Path, subset: str | None) -> dict[SplitName, Split]:
    if is_saved(path):
        return _of_hub(load_saved(path), str(path), folder=path)
    for inside in (path, path / "data"):
        found = {split: files for split in SPLITS if (files := _split_files(inside, split))}
        if found:
            splits = {split: _files(paths) for split, paths in found.items()}
            return _with_train(splits, str(path), list(found))
    published = sorted(one for one in path.iterdir() if _is_vqa_rad(one.name))
    if published:
        return {"train": _files(published[:1])}
    alone = [one for one in path.iterdir() if one.stem == _METADATA and _format(one)]
    if alone:
        return {"train": _files(_one_file(alone, "train"))}
    if not (path / "README.md").is_file():
        raise NotFoundError(
            f"{path} holds no train split: name a file train{', train'.join(FORMATS)}, or a folder "
            "train with a metadata.csv"
        )
    if any(sign in str(path.resolve()) for sign in "*?["):
        raise UserError(f"{path} has a wildcard in its name: rename the folder, or name a file")
    return _of_hub(load(str(path), subset=subset), str(path), folder=path)


def _split_files(folder: Path, split: SplitName) -> list[Path]:
    """The file of a split, or its shards in their order."""
    if not folder.is_dir():
        return []
    found = []
    for one in sorted(folder.iterdir()):
        if one.is_file() and _format(one):
            stem = one.name.removesuffix(_format(one) or "")
            if _SHARD.sub("", stem).lower() in SPLITS[split]:
                found.append(one)
        elif one.is_dir() and one.name.lower() in SPLITS[split]:
            tables = (table for table in sorted(one.iterdir()) if table.stem == _METADATA)
            found += [table for table in tables if _format(table)]
    shards = all(_SHARD.search(one.name.removesuffix(_format(one) or "")) for one in found)
    if len({_format(one) for one in found}) == 1 and shards:
        return found
    return _one_file(found, split)


def _one_file(found: list[Path], split: SplitName) -> list[Path]:
    if len(found) > 1:
        names = ", ".join(str(one.relative_to(found[0].parent.parent)) for one in found)
        raise UserError(
            f"{len(found)} files are the {split} split ({names}): leave one of them, or put their "
            "rows into one"
        )
    return found


def _format(path: Path) -> str | None:
    return next((ending for ending in FORMATS if path.name.lower().endswith(ending)), None)


def _is_vqa_rad(name: str) -> bool:
    return name.startswith("VQA_RAD") and name.endswith("Public.json")


def _of_hub(
    loaded: Mapping[str, Any], name: str, *, folder: Path | None = None
) -> dict[SplitName, Split]:
    found: dict[SplitName, Split] = {}
    for split, names in SPLITS.items():
        known = [key for key in names if key in loaded]
        if len(known) > 1:
            raise UserError(f"{name} has two {split} splits, {' and '.join(known)}: remove one")
        if known:
            rows, place = loaded[known[0]], f"{name} ({known[0]})"
            found[split] = Split(rows=partial(rows_of, rows, place), folder=folder)
    return _with_train(found, name, list(loaded))


def _with_train(
    found: dict[SplitName, Split], name: str, held: list[str]
) -> dict[SplitName, Split]:
    if "train" not in found:
        raise UserError(f"{name} has no split called train, only {', '.join(held)}: rename one")
    return found
