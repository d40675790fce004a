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

from db.errors import NotFoundError
from indexer.encoder.spec import DEFAULT_ENCODER, Encoder
from indexer.encoder.weight_files import local_folder

DEVICES = ("cpu", "cuda")


def load_encoder(name: str, *, device: str = "cpu") -> Encoder:
    """Load the encoder called ``name``; relative folders are also looked up beside this package.

    ``device`` is ``cpu`` or ``cuda``. Vectors computed on a GPU agree with those of the CPU to
    about 0.01 in cosine, not to the last bit. Raises UserError for an unknown name,
    weights that cannot be loaded or a missing device, NotFoundError for missing files, and
    MismatchError for files that do not belong together.
    """
    # open_clip and torch take seconds to import; the callers that only read a manifest need neither
    from indexer.encoder import imagenet
    from indexer.encoder.device import check_device
    from indexer.encoder.folder import from_folder
    from indexer.encoder.open_clip import from_open_clip

    check_device(device)
    if name == "imagenet":
        return imagenet.load(device=device)
    folder = local_folder(name)
    if folder is not None:
        return from_folder(folder, name=name, device=device)
    if name.startswith((".", "/", "~")) or name == DEFAULT_ENCODER:
        raise NotFoundError(f"there is no folder {name}: name an encoder that exists")
    return from_open_clip(name, device=device)
