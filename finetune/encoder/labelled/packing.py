"""Folders of ChestX-ray14 images to labelled images of a pack.

    labelled = pack_labelled([Path("nih"), Path("nih_hires"), Path("nih_128px")])

Images of test patients are left out; those of val patients are for selection only.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from finetune.encoder.labelled.images import LabelledImages
from finetune.encoder.stored_images import IMAGE_SIZE, encode_image
from indexer.images.reader import read_radiograph
from indexer.sources.nih_folders import label_table, read_nih_folders


def pack_labelled(folders: Sequence[Path], *, quality: int = 78) -> LabelledImages:
    """Pack the images of adults in train and val, see `indexer.sources.nih_folders`."""
    images = [image for image in read_nih_folders(folders) if image.part != "test"]
    with ThreadPoolExecutor() as pool:
        stored = list(pool.map(lambda image: _stored(image.path, quality), images))
    return LabelledImages(
        image_data=np.frombuffer(b"".join(data for data, _ in stored), np.uint8),
        image_ends=np.cumsum([len(data) for data, _ in stored], dtype=np.int64),
        labels=label_table([image.labels for image in images]),
        patients=np.array([image.patient_id for image in images]),
        val=np.array([image.part == "val" for image in images]),
        coarse=np.array([longest < IMAGE_SIZE for _, longest in stored]),
    )


def _stored(path: Path, quality: int) -> tuple[bytes, int]:
    image = Image.fromarray(read_radiograph(path).pixels)
    return encode_image(image, quality), max(image.size)
