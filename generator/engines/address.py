"""Where a model behind an OpenAI-compatible API is, and whether anything may be sent there.

address = ModelAddress.parse("openai+http://127.0.0.1:8000/v1#Qwen/Qwen3-VL-8B-Instruct")
address.base_url, address.model     # "http://127.0.0.1:8000/v1", "Qwen/Qwen3-VL-8B-Instruct"
address.check(RemoteOptions())      # raises for any host but this machine

What the server does not tell is set between ``?`` and ``#``, by the names of `ServerSettings`:
``openai+http://127.0.0.1:11434/v1?context_tokens=8192#gemma3:4b``.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from db.errors import ForbiddenError, UserError
from db.hosts import is_loopback

PREFIX = "openai+"
KEY = "GROUNDED_CXR_MODEL_KEY"
"""Environment variable with the API key of the model server, if it wants one."""
_EXAMPLE = "openai+http://127.0.0.1:8000/v1#NAME"


def is_address(model: str) -> bool:
    """Whether a model is named by the address of its server, not by folder or hub id."""
    return model.startswith(PREFIX)


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """What a person allows for a model that another server runs."""

    allow_remote: bool = False
    """Whether that may be another machine."""
    send_indication: bool = False
    """Whether the model may read why the images were taken."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How a server is asked. Raises UserError for values that cannot be used."""

    tile_size: int = 512
    """Side in pixels of one view on the picture that is sent."""
    context_tokens: int | None = None
    """The most tokens of a prompt and its answer; None for what the server says."""
    concurrency: int = 4
    """Requests at once."""
    seconds: float = 300.0
    """Of one answer with its retries."""
    silent_seconds: float = 60.0
    """Without a byte, while an answer is awaited or written."""

    def __post_init__(self) -> None:
        if not 32 <= self.tile_size <= 4096:
            raise UserError(f"tile_size must be 32 to 4096 pixels, not {self.tile_size}")
        if self.context_tokens is not None and self.context_tokens < 1:
            raise UserError(f"context_tokens must be at least 1, not {self.context_tokens}")
        if not 1 <= self.concurrency <= 1024:
            raise UserError(f"concurrency must be 1 to 1024, not {self.concurrency}")
        if not (0 < self.seconds < float("inf") and 0 < self.silent_seconds < float("inf")):
            raise UserError("seconds and silent_seconds must be more than 0")

    @classmethod
    def parse(cls, query: str) -> Self:
        """Read ``name=value&name=value``. Raises UserError for anything else."""
        types = {"seconds": float, "silent_seconds": float}
        known = [one.name for one in fields(cls)]
        values: dict[str, Any] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                raise UserError(f"'{name}' is no setting of a model server: use {', '.join(known)}")
            try:
                values[name] = types.get(name, int)(value)
            except ValueError as error:
                raise UserError(f"{name} must be a number, not '{value}'") from error
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ModelAddress:
    """One model of one server."""

    base_url: str
    """As ``http://127.0.0.1:8000/v1``."""
    host: str
    model: str
    """The name that the server knows it by; empty if none was given."""
    settings: ServerSettings = field(default_factory=ServerSettings)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address. Raises UserError, without repeating a password, for what is none."""
        try:
            parts = urlsplit(text.removeprefix(PREFIX))
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https") or any(map(str.isspace, text)):
            raise UserError(f"the address of the model cannot be read: give one like {_EXAMPLE}")
        if "@" in parts.netloc:
            raise UserError(
                f"the address of the model holds a user: leave it out, and set {KEY} to its API key"
            )
        return cls(
            base_url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}",
            host=host,
            model=parts.fragment,
            settings=ServerSettings.parse(parts.query),
        )

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        return is_loopback(self.host)

    @property
    def name(self) -> str:
        """The address without settings."""
        return f"{PREFIX}{self.base_url}#{self.model}"

    def check(self, options: RemoteOptions) -> None:
        """Raise ForbiddenError for another machine, unless that is allowed and encrypted."""
        if self.is_local:
            return
        if not options.allow_remote:
            raise ForbiddenError(
                f"the X-ray and the reports of similar cases would be sent to {self.host}: say "
                "--allow-remote-model (in Python allow_remote=True) if they may leave this machine"
            )
        if not self.base_url.startswith("https:"):
            raise ForbiddenError(
                f"{self.base_url} is not encrypted, so nothing is sent there: use openai+https"
            )
