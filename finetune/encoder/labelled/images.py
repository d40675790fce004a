"""Images with labels and no report, as a pack holds them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finetune.encoder.stored_images import decode_images
from indexer.sources.nih_folders import observed


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledImages:
    """f frontal images with the labels of `indexer.sources.nih_folders`."""

    image_data: npt.NDArray[np.uint8]
    """The images as image files, one after the other."""
    image_ends: npt.NDArray[np.int64]  # (f,)
    labels: npt.NDArray[np.uint8]  # (f, 15), 0 or 1
    patients: npt.NDArray[np.str_]  # (f,)
    val: npt.NDArray[np.bool_]  # (f,), of a patient held out for selection
    coarse: npt.NDArray[np.bool_]  # (f,), stored at less than `IMAGE_SIZE`

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """All images at full size, decoded once: (f, 256, 256)."""
        return decode_images(self.image_data, self.image_ends)

    def observed(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Return the CheXpert observations (f, 14), and which of the 14 are labelled."""
        return observed(self.labels)
