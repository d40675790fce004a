"""The licence of a base model, which also covers its adapters and merged weights."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from db.files import write_text
from indexer.encoder.weight_files import local_folder

_FILES = (
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENCE",
    "USE_POLICY.md",
    "NOTICE",
    "NOTICE.txt",
)
_LLAMA_NOTICE = (
    "Llama 3.2 is licensed under the Llama 3.2 Community License, Copyright © Meta Platforms, Inc. "
    "All Rights Reserved.\n"
)


@dataclass(frozen=True, kw_only=True)
class BaseLicence:
    """The licence terms of a base model, as far as they are known."""

    name: str | None
    """As the base model's README states it; None where it states none."""
    llama: bool
    """Whether it is the Llama 3.2 Community License."""
    files: tuple[Path, ...]
    """Licence, policy and notice files beside the base weights."""

    def terms(self) -> str:
        """A paragraph for a model card."""
        if self.llama:
            return (
                "**Built with Llama.** The base model is licensed under the Llama 3.2 Community "
                "License, Copyright © Meta Platforms, Inc. All Rights Reserved; its terms and its "
                "Acceptable Use Policy hold for this adapter and for weights it is merged into. "
                "Who passes them on adds a copy of that licence, shows “Built with Llama”, and "
                "begins the model's name with “Llama”. The policy does not grant the multimodal "
                "models to persons domiciled, or companies seated, in the European Union."
            )
        stated = f"states the licence `{self.name}`" if self.name else "states no licence"
        where = ", ".join(f"`{path.name}`" for path in self.files)
        return (
            f"The base model {stated}{f' (beside its weights: {where})' if where else ''}; its "
            "terms hold for this adapter and for weights it is merged into."
        )

    def copy_to(self, directory: Path) -> None:
        """Copy the licence files to weights derived from the base model."""
        for path in self.files:
            shutil.copyfile(path, directory / path.name)
        if self.llama:
            write_text(directory / "NOTICE", _LLAMA_NOTICE)


def find_licence(base: str) -> BaseLicence:
    """From a base model's folder, or from its hub page as far as it can be reached."""
    files = [path for name in _FILES if (path := _file(base, name)) is not None]
    readme = _file(base, "README.md")
    name = None
    if readme is not None:
        stated = re.search(r"^licen[sc]e:\s*(\S+)\s*$", readme.read_text("utf-8"), re.MULTILINE)
        name = stated[1].strip("\"'") if stated else None
    text = " ".join(path.read_text("utf-8", errors="replace") for path in files)
    llama = "llama 3.2 community license" in text.lower() or (name or "").startswith("llama3.2")
    if not (name or files):
        llama = re.search(r"llama-?3\.2", Path(base).name.lower()) is not None
    return BaseLicence(name=name, llama=llama, files=tuple(files))


def _file(base: str, name: str) -> Path | None:
    folder = local_folder(base)
    if folder is not None:
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        return Path(hf_hub_download(base, name))
    except (EntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        return None
