"""Data sets that the package ``datasets`` reads: hub names, its folders, what it saved to disk.

    splits = load("flaviagiammarino/vqa-rad", subset=None, stream=True)
    for place, row in rows_of(splits["train"], "vqa-rad (train)"): ...

Images stay the bytes they are stored as, since decoding loses bit depth, and class labels are read
by their names.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from db.errors import UserError
from finetune.dataset.files import Place


def is_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` wrote a folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def load_saved(folder: Path) -> Mapping[str, Any]:
    """Splits of a folder of ``save_to_disk``; a data set without splits is ``train``."""
    import datasets

    loaded = _loaded(lambda: datasets.load_from_disk(str(folder)), str(folder))
    return {"train": loaded} if isinstance(loaded, datasets.Dataset) else loaded


def load(
    name: str,
    *,
    subset: str | None,
    stream: bool = False,
    loader: Callable[..., Any] | None = None,
) -> Mapping[str, Any]:
    """Splits by name. Raises UserError where there are none, or several subsets to choose from."""
    import datasets

    given = loader or datasets.load_dataset
    names = (name,) if subset is None else (name, subset)
    loaded: Mapping[str, Any] = _loaded(lambda: given(*names, streaming=stream), name)
    return loaded


def _loaded(read: Callable[[], Any], name: str) -> Any:
    with _explained(name):
        return read()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn the errors of ``datasets`` into a UserError with the cure."""
    import datasets

    try:
        yield
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:400]
        cure = "name one with --subset" if "onfig" in reason else "check the name, or name a file"
        raise UserError(f"{name} cannot be read as a data set ({reason}): {cure}") from error


def rows_of(split: Any, name: str) -> Iterator[tuple[Place, Any]]:
    """Every row with its place."""
    features = split.features or {}
    names = class_names(features)
    plain = {column: _undecoded(feature) for column, feature in features.items()}
    for column, feature in plain.items():
        if feature != features[column]:
            split = split.cast_column(column, feature)
    rows = iter(split)
    number = 0
    while True:
        with _explained(name):
            row = next(rows, None)
        if row is None:
            return
        number += 1
        yield Place(file=name, row=f"row {number}"), named(row, names)


def class_names(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of each column of class labels."""
    import datasets

    return {
        column: list(feature.names)
        for column, feature in features.items()
        if isinstance(feature, datasets.ClassLabel) and feature.names
    }


def named(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """The row with class labels by name; -1, which stands for no label, is None."""
    changed = dict(row)
    for column, known in names.items():
        number = changed.get(column)
        if isinstance(number, int):
            changed[column] = known[number] if 0 <= number < len(known) else None
    return changed


def _undecoded(feature: Any) -> Any:
    """The same feature with every image in it, however deep, as stored bytes."""
    import datasets

    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    if isinstance(feature, datasets.List | datasets.LargeList):
        return type(feature)(_undecoded(feature.feature))
    if isinstance(feature, dict):
        return {key: _undecoded(one) for key, one in feature.items()}
    if isinstance(feature, list):
        return [_undecoded(one) for one in feature]
    return feature
