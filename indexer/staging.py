"""Where a build works until its index is whole: batches that outlive a kill, then two renames.

staging = Staging(out)
done = staging.take_up(digest)      # batches of an equal build that was interrupted
staging.write_batch(done, ids=ids, vectors=vectors)
staging.publish()                   # the target is replaced now and never before
"""

import logging
import os
import shutil
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)


class Staging:
    """The folder ``.<name>.building`` beside the target."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(f".{out.name}.building")
        self._previous = out.with_name(f".{out.name}.previous")
        self._plan = self.path / "plan"

    def recover(self) -> None:
        """Undo a swap that was cut between its two renames."""
        if self._previous.exists():
            if self.out.exists():
                shutil.rmtree(self._previous)
            else:
                self._previous.rename(self.out)

    def take_up(self, digest: str) -> int:
        """Ready the folder for the build with this digest; how many of its batches are there."""
        if not (self._plan.is_file() and self._plan.read_text() == digest):
            if self.path.exists():
                log.warning("an unfinished build of other data was found and is discarded")
                shutil.rmtree(self.path)
            self.path.mkdir(parents=True)
            partial = self._plan.with_suffix(".tmp")
            partial.write_text(digest)
            partial.replace(self._plan)
            return 0
        done = 0
        while self._batch(done).is_file():
            done += 1
        return done

    def write_batch(self, number: int, **arrays: np.ndarray) -> None:
        partial = self._batch(number).with_suffix(".tmp")
        with partial.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        partial.replace(self._batch(number))

    def batches(self) -> list[Path]:
        """The batch files, in order."""
        return sorted(self.path.glob("batch-*.npz"))

    def publish(self) -> None:
        """Put the folder, less the batches, in the place of the target."""
        for path in [*self.batches(), self._plan]:
            path.unlink()
        for path in self.path.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        if self.out.exists():
            self.out.rename(self._previous)
        self.path.rename(self.out)
        shutil.rmtree(self._previous, ignore_errors=True)

    def _batch(self, number: int) -> Path:
        return self.path / f"batch-{number:06d}.npz"
