"""The folder in which a version is prepared: finished batches, which survive a kill, and the draft.

staging = Staging(versions.building)
done = staging.resume_or_start(digest)      # batches left by interrupted work on the same input
staging.write_batch(done, ids=ids, vectors=vectors)
staging.draft                               # becomes the version
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from db.files import replacing, write_text

log = logging.getLogger(__name__)


class Staging:
    """The folder ``.building`` of an index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.draft = path / "draft"
        self._batches = path / "batches"
        self._plan = path / "plan"

    def resume_or_start(self, digest: str) -> int:
        """Prepare the folder for work with this digest; return how many batches are finished."""
        if not (self._plan.is_file() and self._plan.read_text() == digest and self.draft.is_dir()):
            if self.path.exists():
                log.warning("discarding unfinished work on other data")
            self.discard()
            self._batches.mkdir(parents=True)
            self.draft.mkdir()
            write_text(self._plan, digest)
            return 0
        done = 0
        while self._batch(done).is_file():
            done += 1
        return done

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def write_batch(self, number: int, **arrays: np.ndarray) -> None:
        with replacing(self._batch(number)) as fresh, fresh.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    def batches(self) -> Iterator[Any]:
        """Yield the batches in order; each maps names to arrays."""
        for path in sorted(self._batches.glob("batch-*.npz")):
            with np.load(path, allow_pickle=False) as batch:
                yield batch

    def _batch(self, number: int) -> Path:
        return self._batches / f"batch-{number:06d}.npz"
