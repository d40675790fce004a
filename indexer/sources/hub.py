"""Any Hugging Face data set: a name on the Hub, or a folder that ``datasets`` can read.

Source, licence, labels and noise: see the card of the data set; this reader knows nothing of them.

Layout: ``--data-dir owner/name`` (downloaded), a folder with Parquet, JSON or image files in the
layout of ``datasets.load_dataset``, or one written by ``save_to_disk``. Column names are those of
your own tables (``indexer.sources.own_table``); map others with
``--columns image=photo,text=report,labels=label``. Images are written to ``--images-dir``.

Labels: ``labels`` may be a class label or a list of them; each is worded as a sentence by its name,
from which the 14 observations are read. Columns for the 14 observations hold 1, 0, -1 or nothing.
Labels that are not listed are unmentioned.

Splits are those of the data set; ``validation`` is read as val.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from db.errors import NotFoundError, UserError
from indexer.sources.image_bytes import ImageStore
from indexer.sources.records import Record, check_identifier
from indexer.sources.split_choice import SplitChoice
from indexer.sources.table_studies import RowOptions, TableStudies

_SPLITS = {"validation": "val", "valid": "val", "dev": "val"}


class HubDataset:
    """A data set that the package ``datasets`` reads, row by row."""

    licence = "see the card of the data set"

    def __init__(
        self,
        dataset: str,
        *,
        name: str = "hub",
        columns: Mapping[str, str] | None = None,
        images_dir: Path | None = None,
        choice: SplitChoice | None = None,
    ) -> None:
        """``dataset`` is a folder or ``owner/name``.

        Raises UserError without the package ``datasets``, NotFoundError for any other name.
        """
        self.name = check_identifier(name, "source name")
        choice = choice or SplitChoice()
        self.split = choice.name
        self._dataset = dataset
        self._columns = columns or {}
        self._is_folder = Path(dataset).is_dir()
        if not self._is_folder and (dataset.count("/") != 1 or dataset.startswith((".", "/"))):
            raise NotFoundError(
                f"{dataset} is neither a folder nor a name on the Hub such as owner/name"
            )
        self._package = _datasets()
        self._studies = TableStudies(
            self._read,
            RowOptions(
                columns=self._columns,
                images=ImageStore(images_dir),
                folder=Path(dataset) if self._is_folder else Path(),
                choice=choice,
            ),
        )

    def records(self) -> Iterator[Record]:
        return self._studies.records()

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for split, rows in self._load().items():
            rows = self._undecoded(rows)
            own = _SPLITS.get(split, split)
            labels = self._columns.get("labels", "labels")
            names = _class_names((rows.features or {}).get(labels))
            for number, row in enumerate(rows, start=1):
                row = dict(row)
                if labels in row:
                    row[labels] = _label_names(row[labels], names)
                if self._columns.get("split", "split") not in row:
                    row[self._columns.get("split", "split")] = own
                yield f"{self._dataset} ({split}), row {number}", row

    def _load(self) -> Mapping[str, Any]:
        """Map splits to rows; nothing is downloaded or copied until the rows are read."""
        folder = Path(self._dataset)
        try:
            if self._is_folder and (folder / "dataset_dict.json").is_file():
                loaded = self._package.load_from_disk(self._dataset)
            elif self._is_folder and (folder / "state.json").is_file():
                return {"train": self._package.load_from_disk(self._dataset)}
            else:
                loaded = self._package.load_dataset(self._dataset, streaming=True)
            return dict(loaded)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"{self._dataset} cannot be read as a Hugging Face data set ({reason})"
            ) from error

    def _undecoded(self, rows: Any) -> Any:
        """Keep images as the bytes of their files, because decoding loses bit depth."""
        image = self._package.Image(decode=False)
        for column, feature in (rows.features or {}).items():
            if isinstance(feature, self._package.Image):
                rows = rows.cast_column(column, image)
            elif isinstance(getattr(feature, "feature", None), self._package.Image):
                rows = rows.cast_column(column, self._package.Sequence(image))
        return rows


def _datasets() -> Any:
    try:  # takes seconds to import; only this source needs it
        return import_module("datasets")
    except ImportError as error:
        raise UserError(
            "source hub needs the package datasets, which is not installed: run "
            "scripts/install data"
        ) from error


def _class_names(feature: Any) -> list[str] | None:
    names = getattr(feature, "names", None) or getattr(
        getattr(feature, "feature", None), "names", None
    )
    return None if names is None else list(names)


def _label_names(cell: Any, names: list[str] | None) -> Any:
    """Replace class numbers by names and wrap a single label in a list; keep anything else."""
    listed = cell if isinstance(cell, list) else [] if cell is None else [cell]
    if names is not None and all(isinstance(number, int) for number in listed):
        return [names[number] for number in listed if 0 <= number < len(names)]
    return listed if all(isinstance(name, str) for name in listed) else cell
