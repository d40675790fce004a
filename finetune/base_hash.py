"""The hash that tells one base model's weights from another's."""

import hashlib
from pathlib import Path

from db.errors import NotFoundError
from indexer.weight_files import file_sha256


def base_sha256(base: str) -> str:
    """Of the weight files of a model folder, or of a hub model that was downloaded.

    Raises NotFoundError where there are none.
    """
    folder = Path(base)
    if not folder.is_dir():
        from transformers.utils.hub import cached_file

        folder = Path(str(cached_file(base, "config.json"))).parent
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise NotFoundError(f"{base} has no weights in safetensors: name the folder of a model")
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(f"{shard.name}:{file_sha256(shard)}\n".encode())
    return digest.hexdigest()
