"""Bind the port before the index is loaded, and configure uvicorn."""

import logging
import socket
from functools import partial
from typing import Any

from api.connection_limit import ConnectionLimit, OnceAMinute, connection_limits
from api.middleware.slow_clients import HeadTimeoutProtocol
from api.settings import Settings
from db.errors import UserError


def listen(settings: Settings) -> socket.socket:
    """Bind the port. Raises UserError if it cannot be used."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name their protocol
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UserError(
            f"port {settings.port} of {settings.host} cannot be used ({error.strerror}): "
            "stop the other program or name another with --port"
        ) from error
    return listener


def server_options(settings: Settings) -> dict[str, Any]:
    """Options of ``uvicorn.Config``."""
    most, backlog = connection_limits(settings)
    asyncio_log = logging.getLogger("asyncio")
    if not any(isinstance(one, OnceAMinute) for one in asyncio_log.filters):
        asyncio_log.addFilter(OnceAMinute())
    return {
        "http": partial(HeadTimeoutProtocol, limit=ConnectionLimit(most)),
        "backlog": backlog,
        "timeout_keep_alive": settings.keep_alive_seconds,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
        "access_log": False,
        "proxy_headers": False,  # see `api.middleware.proxies`; uvicorn trusts 127.0.0.1 unasked
        "ws": "none",
        "server_header": False,
    }
