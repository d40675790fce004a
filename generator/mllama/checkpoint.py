"""Find a model's folder on disk or fetch it from a hub, and check it before loading.

folder = find_folder("pretrained/generator")       # or "owner/name" of a hub
base_sha256(folder)                                # the weights, in one hash
check_folder(folder)                               # of an Mllama model, or an error that says why
config = read_config(folder)                       # the same, and its config of transformers

Libraries of hubs and models are imported when they are needed: both take seconds.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import NotFoundError, UserError, first_line
from db.files import read_json
from indexer.encoder.weight_files import file_sha256, local_folder

if TYPE_CHECKING:
    from transformers import MllamaConfig

FILES = ["*.json", "*.jinja", "*.safetensors", "*.model"]
"""Files that are fetched from a hub: no code and no pickles."""


def find_folder(
    name: str | Path, *, what: str = "model", download: Callable[..., str] | None = None
) -> Path:
    """The folder of that name, or of the hub repository, which is fetched if it is not there yet.

    Raises NotFoundError or UserError with the cure.
    """
    folder = local_folder(name)
    if folder is not None:
        return folder
    if Path(name).exists():
        raise UserError(f"{name} is a file: name the folder of that {what}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        return Path((download or snapshot_download)(str(name), allow_patterns=FILES))
    except GatedRepoError as error:
        raise UserError(
            f"the {what} {name} is only given to those who accepted its licence: accept it on its "
            "page, then log in with 'hf auth login' or set HF_TOKEN"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise NotFoundError(
            f"there is no folder {name}, and no {what} of that name on the hub: check the name"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise NotFoundError(
            f"there is no folder {name}, and the hub cannot be reached to fetch the {what} of "
            "that name: check the name and the connection"
        ) from error


def base_sha256(base: str | Path) -> str:
    """Hash the weight files of a model folder, or of a hub model that is already cached.

    Raises NotFoundError where there are none.
    """
    folder = find_folder(base)
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise NotFoundError(f"{base} has no weights in safetensors: name the folder of a model")
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(f"{shard.name}:{file_sha256(shard)}\n".encode())
    return digest.hexdigest()


def check_folder(folder: Path) -> None:
    """Raises UserError for a folder that holds no Mllama model in safetensors."""
    if not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").is_file()
        cure = "pass it as the adapter" if adapter else "name the folder of a model"
        raise NotFoundError(f"{folder} holds no config.json, so it is no model: {cure}")
    kind = read_json(folder / "config.json").get("model_type")
    if kind != "mllama":
        raise UserError(
            f"{folder} holds a model of type {kind!r}: name a Llama 3.2 Vision model, which has "
            "the type 'mllama'"
        )
    if not any(folder.glob("*.safetensors")):
        raise NotFoundError(f"{folder} has no weights in safetensors: fetch or make it again")


def read_config(folder: Path) -> "MllamaConfig":
    """Raises UserError for a folder that holds no Mllama model in safetensors."""
    from transformers import MllamaConfig

    check_folder(folder)
    try:
        return MllamaConfig.from_pretrained(folder)
    except Exception as error:  # whatever a wrong value in a file of others brings about
        raise UserError(
            f"{folder / 'config.json'} describes no model that can be built "
            f"({first_line(error)}): fetch or make the folder again"
        ) from error


UNQUANTIZED_MODULES = ("lm_head", "multi_modal_projector")
"""Layers that stay unquantized, as in the checkpoints on the hub: every token passes the head, and
every image the projector. In 8 bits the projector could not run at all: bitsandbytes multiplies
tensors of two or three dimensions, and the projector receives five."""


def stored_bits(config: "MllamaConfig | Mapping[str, Any]") -> int | None:
    """Bits of weights that are stored quantized by bitsandbytes; None for plain ones.

    ``config`` is that of transformers, or ``config.json``. Raises UserError for another way to
    quantize.
    """
    by_name = config if isinstance(config, Mapping) else vars(config)
    stored = by_name.get("quantization_config")
    if stored is None:
        return None
    values = stored if isinstance(stored, dict) else stored.to_dict()
    method = str(values.get("quant_method"))
    if "bitsandbytes" not in method:
        raise UserError(
            f"the weights are quantized by {method!r}: name a model in plain or bitsandbytes "
            "weights"
        )
    return 8 if values.get("load_in_8bit") else 4
