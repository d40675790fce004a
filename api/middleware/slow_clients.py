"""Close connections whose client takes too long to send a request or reads no answer, and those
that are too many."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.connection_limit import ConnectionLimit

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 10\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class HeadTimeoutProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol with a timeout on the head of a request and a limit on
    connections."""

    head_seconds = 20.0
    """Seconds from the connection, or the first byte, to the end of the head."""
    unread_seconds = 60.0
    """Seconds in which a client may read nothing of what waits to be sent to it."""
    _timeout: asyncio.TimerHandle | None = None
    _unread_timeout: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, limit: ConnectionLimit, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limit = limit
        self._last_active = self.loop.time()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # `pause_writing` tells of every byte that waits
        if self._limit.admit(self.connections, self):  # type: ignore[arg-type]  # all are of this class
            self._watch()
        else:
            transport.write(_REFUSAL)
            transport.close()

    @property
    def idle_since(self) -> float | None:
        """When it was last active; None while a request is answered."""
        return None if self._answering else self._last_active

    @property
    def is_closing(self) -> bool:
        return bool(self.transport.is_closing())

    def close(self) -> None:
        """Close at once; a client that does not read would keep the descriptor otherwise."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._last_active = self.loop.time()
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        self._cancel_unread_timeout()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timeout()
        self._cancel_unread_timeout()
        super().connection_lost(exc)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _idle(self) -> bool:
        """Whether the last request was answered and no byte of the next one has arrived."""
        return (
            self.cycle is not None
            and self.conn.their_state is h11.IDLE
            and not self.conn.trailing_data[0]
        )

    def _watch(self) -> None:
        if self._answering:
            self._cancel_timeout()
        elif self._idle:  # the rest of a request that was answered before its end
            self._cancel_timeout()
            self._keep_alive()
        elif self._timeout is None:
            self._timeout = self.loop.call_later(self.head_seconds, self._time_out)

    def _keep_alive(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _watch_reader(self) -> None:
        self._cancel_unread_timeout()
        waiting = self._unsent
        self._unread_timeout = self.loop.call_later(
            self.unread_seconds, self._give_up_reader, waiting
        )

    def _give_up_reader(self, before: int) -> None:
        """End the connection unless some of the bytes that waited were sent; nothing is added to
        them meanwhile."""
        if self._unsent < before:
            self._watch_reader()
        else:
            self.transport.abort()

    @property
    def _unsent(self) -> int:
        return int(self.transport.get_write_buffer_size())

    def _cancel_unread_timeout(self) -> None:
        if self._unread_timeout is not None:
            self._unread_timeout.cancel()
            self._unread_timeout = None

    def _time_out(self) -> None:
        self._timeout = None
        if not self._answering and not self.transport.is_closing():
            self.transport.close()
