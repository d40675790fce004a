"""``manifest.json``, which describes one version of an index.

It is written last, so a folder with a manifest is complete. Formats 1 to 3 can be read, and
``python -m indexer upgrade`` upgrades them: format 1 is one folder without versions; format 2 has
other names for some files and keys, and keeps exact vectors outside FAISS; format 3 stores absolute
paths of images.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from db.errors import MismatchError, NotFoundError, UserError
from db.files import parse_json
from indexer.encoder.spec import EncoderSpec
from indexer.vectors.options import SelectivityClass, ServerSpec, VectorOptions, VectorSpec

MANIFEST = "manifest.json"
FORMAT_VERSION = 4
OLDER_NAMES = {"film_quantiles": "image_quantiles"}
"""Keys of formats 1 and 2, and their current names."""

FOLDER = "folder"
"""Key in the manifest at the top of an index: the folder of the current version."""


@dataclass(frozen=True, kw_only=True)
class PastVersion:
    """An earlier version, as later manifests record it."""

    version: int
    fingerprint: str
    created_at: str
    made_by: str
    studies: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a later stage needs to know of one version of an index."""

    fingerprint: str
    """Hex SHA-256 over cases, vectors and encoder: equal content, equal fingerprint."""
    created_at: str
    """UTC, ISO 8601."""
    source: str
    """Names of the sources, joined by ``+``."""
    split: str
    studies: int
    images: int
    skipped: Mapping[str, int]
    """Reason to number of studies that the last build or addition skipped."""
    encoder: EncoderSpec
    metric: str
    """``cosine``: inner product of unit vectors."""
    labeller_version: str
    licence: str
    """The terms of use that the sources state."""
    file_bytes: Mapping[str, int]
    """Size of each other file, so that truncation is noticed when the index is opened."""
    file_sha256: Mapping[str, str] = field(default_factory=dict)
    """Hex digest of each of these files, for ``verify``."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """Note on the reading of reports and images to number of studies, of the last build or
    addition: languages, text under no heading, what was left out."""
    identifiers: Mapping[str, int] = field(default_factory=dict)
    """Kind of identifier to how many of it the last build or addition replaced by a mark."""
    version: int = 1
    made_by: str = "build"
    contents: str | None = None
    """Sum of the digests of all cases (``indexer.ingest.fingerprint``); None in format 1."""
    vector_options: VectorOptions = field(default_factory=VectorOptions)
    """The options requested; later versions use the same."""
    vectors: VectorSpec = field(default_factory=lambda: VectorSpec(type="exact"))
    image_quantiles: Mapping[str, Mapping[str, float]] | None = None
    """Quantiles of the typicality of indexed images (``indexer.typicality.profile``); None for too
    few images, or for stored vectors without a profile."""
    image_root: str | None = None
    """The folder that paths of images are relative to; ``relocate`` changes it. None if there is
    no such folder, or in older formats."""
    withdrawn: tuple[str, ...] = ()
    """Digests of patients and studies that must not be indexed again (``indexer.remove``)."""
    history: tuple[PastVersion, ...] = ()
    """Earlier versions, the oldest first."""
    server: ServerSpec | None = None
    """How it is searched in PostgreSQL; None in a directory."""
    format_version: int = FORMAT_VERSION

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the manifest of an index, or of the folder of one of its versions.

        Raises NotFoundError if there is none and UserError if it cannot be read.
        """
        return cls._of(read_values(directory), directory)

    @classmethod
    def parse(cls, text: str, place: str) -> Self:
        """Read the manifest of an index on a server, which ``place`` names.

        Raises UserError if it cannot be read.
        """
        try:
            values = parse_json(text)
        except ValueError as error:
            raise _unreadable(place, error) from error
        return cls._of(values, place)

    @classmethod
    def _of(cls, values: dict[str, Any], place: Path | str) -> Self:
        try:
            version = values["format_version"]
            if version not in range(1, FORMAT_VERSION + 1):
                raise MismatchError(
                    f"{place} has index format {version}, but this program reads 1 to "
                    f"{FORMAT_VERSION}: update the program, or build the index again"
                )
            if version < 3:
                values = {OLDER_NAMES.get(name, name): value for name, value in values.items()}
            if version == 1:
                values["file_sha256"] = {"vectors.faiss": values.pop("vectors_sha256")}
                return cls(**{**values, "encoder": EncoderSpec(**values["encoder"])})._checked()
            values.pop(FOLDER, None)
            parts: dict[str, Any] = {
                "encoder": EncoderSpec(**values["encoder"]),
                "vector_options": VectorOptions(**values["vector_options"]),
                "vectors": VectorSpec(**values["vectors"]),
                "withdrawn": tuple(values["withdrawn"]),
                "history": tuple(PastVersion(**past) for past in values["history"]),
            }
            if values.get("server") is not None:
                server = values["server"]
                classes = tuple(SelectivityClass(**one) for one in server["classes"])
                parts["server"] = ServerSpec(**{**server, "classes": classes})
            return cls(**{**values, **parts})._checked()
        except (ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
            raise _unreadable(place, error) from error

    def _checked(self) -> Self:
        """Raise msgspec.ValidationError for a value of another type: nothing else reads them."""
        msgspec.convert(msgspec.to_builtins(self), type(self))
        return self

    def write(self, directory: Path) -> None:
        (directory / MANIFEST).write_text(self.text(), encoding="utf-8")

    def text(self, **more: object) -> str:
        values = {**asdict(self), **more}
        if self.server is None:
            del values["server"]
        return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def past(self) -> PastVersion:
        """Return the entry for the history of a later version."""
        return PastVersion(
            version=self.version,
            fingerprint=self.fingerprint,
            created_at=self.created_at,
            made_by=self.made_by,
            studies=self.studies,
        )


def read_values(directory: Path) -> dict[str, Any]:
    """Read a manifest as JSON.

    Raises NotFoundError if there is none and UserError if it is not a JSON object.
    """
    path = directory / MANIFEST
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(
            f"{directory} is not an index (it has no {MANIFEST}): name an index, or build one with "
            "'python -m indexer build'"
        ) from error
    except (ValueError, OSError) as error:
        raise _unreadable(directory, error) from error
    if not isinstance(values, dict):
        raise _unreadable(directory, "not a JSON object")
    return values


def _unreadable(place: Path | str, error: object) -> UserError:
    name = place / MANIFEST if isinstance(place, Path) else f"the {MANIFEST} of {place}"
    return UserError(f"{name} cannot be read ({error}): build the index again")
