"""Load an encoder by name onto a device.

    load_encoder("pretrained/encoder")
    load_encoder("pretrained/encoder", device="cuda")

A name is one of

- ``imagenet``: EfficientNet-Lite2 as published, a baseline for trained encoders;
- a folder in `open_clip`'s format, such as ``pretrained/encoder``;
- an `open_clip` model and the tag of its weights, ``ViT-B-32/laion2b_s34b_b79k``;
- an identifier on the Hugging Face hub, ``hf-hub:organisation/model``.

`open_clip` downloads the last two if they are not in its cache.
"""

import re

from db.errors import NotFoundError, UserError
from db.extras import importing
from indexer.encoder.spec import DEFAULT_ENCODER, Encoder
from indexer.encoder.weight_files import local_folder

DEVICES = ("cpu", "cuda")


def load_encoder(name: str, *, device: str = "cpu", threads: int = 0) -> Encoder:
    """Load the encoder called ``name``; relative folders are also looked up beside this package.

    ``device`` is ``cpu`` or ``cuda``. Vectors computed on a GPU agree with those of the CPU to
    about 0.01 in cosine, not to the last bit. ``threads`` limits those of ONNX Runtime on the CPU,
    0 for one per core; they do not change the vectors. Raises UserError for an unknown name,
    weights that cannot be loaded or a missing device, NotFoundError for missing files, and
    MismatchError for files that do not belong together.
    """
    check_device(device)
    with importing():
        return _load(name, device, threads)


def check_device(device: str) -> None:
    """Raise UserError unless the device is ``cpu``, ``cuda`` or like ``cuda:1``, and exists."""
    named = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", device)
    if named is None:
        raise UserError(f"unknown device '{device}': use cpu or cuda")
    if device != "cpu":
        with importing():
            import torch
        if int(named[1] or 0) >= torch.cuda.device_count():
            raise UserError(f"no device {device} was found: use --device cpu")


def _load(name: str, device: str, threads: int) -> Encoder:
    """Each kind imports what it needs: torch, which takes seconds, is not for trained encoders."""
    if name == "imagenet":
        from indexer.encoder import imagenet

        return imagenet.load(device=device, threads=threads)
    folder = local_folder(name)
    if folder is not None:
        from indexer.encoder.folder import from_folder

        return from_folder(folder, name=name, device=device, threads=threads)
    if name.startswith((".", "/", "~")) or name == DEFAULT_ENCODER:
        raise NotFoundError(f"there is no folder {name}: name an encoder that exists")
    from indexer.encoder.open_clip import from_open_clip

    return from_open_clip(name, device=device)
