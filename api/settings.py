"""Settings of a server, fixed when it starts."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import NotFoundError, UserError
from db.hosts import is_loopback

DATABASE = Path("data/app.sqlite3")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where to listen, what to serve, and what one request may ask for.

    Raises UserError for an impossible port, limit, proxy, prefix or origin, or an address other
    machines could reach without keys, and NotFoundError for a sample image that is not there.
    """

    database_path: Any = DATABASE
    """A `Location`: the path of a SQLite file, or the URL of a PostgreSQL database. (msgspec, with
    which Litestar checks settings, knows no union of these types.)"""
    host: str = "127.0.0.1"
    port: int = 8000
    sample_path: Path | None = None
    """An image that the page offers to try."""
    image_roots: tuple[Path, ...] = ()
    """Folders, besides that of the index's images, from which images of cases may be sent."""
    allowed_hosts: tuple[str, ...] = LOCAL_NAMES
    """Names by which a browser may call the server: a page elsewhere whose name resolves to this
    machine (DNS rebinding) does not get through."""
    max_body_bytes: int = 256 * 1024 * 1024
    """Of one request; a full-size DICOM image has 10 to 40 MB."""
    max_images: int = 8
    """Views of one study."""
    workers: int = 2
    """Ordinary images decoded at the same time, besides one large one; further requests wait."""
    max_batch_bytes: int = 4 * 1024**3
    """Of one batch."""
    max_chat_bytes: int = 64 * 1024 * 1024
    """Of one request of a chat or an agent, which is read into memory; images take a third more
    there."""
    mcp: bool = False
    """Whether agents may call the tools of `api.mcp`, which need the extra ``mcp``."""
    max_batch_studies: int = 1000
    max_batch_images: int = 2000
    """Of all studies of one batch, and of one request of an imaging system."""
    max_waiting_studies: int = 5000
    """Of all batches, and of requests with ``Prefer: respond-async``."""
    max_batch: int = 8
    """Studies in one search batch."""
    max_written: int | None = None
    """Studies in one writing batch; None for as many as ``max_batch``."""
    capacity: int = 64
    """Active and waiting requests; further ones get a 503."""
    max_pixel_bytes: int = 600_000_000
    """Of decoded images of all active requests; further ones wait."""
    max_body_memory_bytes: int = 256 * 1024 * 1024
    """Of the bodies of all requests that are kept in memory, and of one more; others wait."""
    max_spooled_bytes: int = 8 * 1024**3
    """Of the uploaded files of all requests on disk, and of one more request; others wait."""
    max_connections: int = 1000
    """Open at once, or fewer where the limit on descriptors is low."""
    require_keys: bool = False
    """Whether requests need an API key; always true where other machines can reach the server."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose ``X-Forwarded-For`` is believed, and which may pass on
    requests to a server without keys."""
    root_path: str = ""
    """The prefix below which a proxy offers the service, such as ``/cxr``."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the service, such as ``https://viewer.example.org``."""
    public_images: str | None = None
    """Origin from which the page may load images of cases that are not on this machine, once its
    reader has asked for it; None for nowhere."""
    requests_per_minute: int = 600
    """Per key, where keys are required; per address of requests that trusted proxies pass on."""
    database_seconds: float = 60.0
    """Lock timeout of a write to the application database."""
    body_seconds: float = 120.0
    """Timeout for the body of a request."""
    body_wait_seconds: float = 30.0
    """How long a body may wait for room before its request gets a 503."""
    keep_alive_seconds: int = 75
    """How long an idle connection stays open. Clients keep one for less (httpx 5 s, pools of
    proxies 60 s): a server that closes first may do so just as the next request is on its way."""
    shutdown_seconds: int = 30
    """How long running requests may take to finish when the server stops."""

    @property
    def instance(self) -> str:
        """What the metrics of this process are labelled with."""
        return f"{socket.gethostname()}:{self.port}"

    @property
    def temporary_folder(self) -> Path:
        """Beside the database; by port where that is on a server."""
        if isinstance(self.database_path, Path):
            return self.database_path.with_name(f"{self.database_path.name}.tmp")
        return DATABASE.with_name(f"service-{self.port}.tmp")

    @property
    def written_together(self) -> int:
        return self.max_batch if self.max_written is None else self.max_written

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.require_keys:
            raise UserError(
                f"{self.host or 'an empty host'} can be reached by other machines, and no API key "
                "is active: create one with 'python -m api keys add NAME', or use --host 127.0.0.1"
            )
        if not 1 <= self.port <= 65535:
            raise UserError(f"port {self.port} does not exist: use one from 1 to 65535")
        limits = (
            self.max_body_bytes,
            self.max_images,
            self.workers,
            self.max_batch,
            self.written_together,
            self.max_batch_bytes,
            self.max_chat_bytes,
            self.max_batch_studies,
            self.max_batch_images,
            self.max_waiting_studies,
            self.max_pixel_bytes,
            self.max_body_memory_bytes,
            self.max_spooled_bytes,
            self.max_connections,
            self.capacity,
            self.requests_per_minute,
            self.body_seconds,
            self.keep_alive_seconds,
            self.shutdown_seconds,
        )
        if min(limits) < 1 or min(self.database_seconds, self.body_wait_seconds) <= 0:
            raise UserError("limits must be at least 1, and timeouts more than 0 seconds")
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError as error:
                raise UserError(
                    f"'{proxy}' is no address of a proxy: give one such as 127.0.0.1, or a network "
                    "such as 10.0.0.0/8"
                ) from error
        if not _PREFIX.fullmatch(self.root_path):
            raise UserError(
                f"'{self.root_path}' is no prefix: give one such as /cxr, with no slash at its end"
            )
        public = () if self.public_images is None else (self.public_images,)
        for origin in (*self.cors_origins, *public):
            if not _ORIGIN.fullmatch(origin):
                raise UserError(
                    f"'{origin}' is no origin: give scheme, host and port alone, such as "
                    "https://viewer.example.org"
                )
        if self.sample_path is not None and not self.sample_path.is_file():
            raise NotFoundError(f"sample image {self.sample_path} does not exist")
