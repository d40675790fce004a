"""The port, taken before anything slow is done."""

import socket

from api.settings import Settings
from db.errors import UserError


def listen(settings: Settings) -> socket.socket:
    """The bound port; a taken one is refused before the index is read."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
