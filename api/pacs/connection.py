"""HTTP requests to one DICOMweb service, bounded in bytes, time and attempts.

connection = PacsConnection(url, auth=credentials(url, os.environ))
async with connection.opened() as requests:
    reply = await requests.get("studies", accept=DICOM_JSON, limit=8_000_000)

Everything that goes wrong becomes one sentence (`PacsError`). Addresses are built from the address
of the service and from checked identifiers alone, and redirections are not followed. Nothing is
logged: an address may name a study, a header a password.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2

from api.pacs.address import PASSWORD, TOKEN, USER, checked_address, is_local
from db.errors import UserError

_BUSY = (429, 502, 503, 504)
_ERROR_BYTES = 65_536
"""Read of an error's body, which is not shown."""


class PacsError(UserError):
    """The PACS is down, slow, refuses, or sends what it should not."""


@dataclass(frozen=True, kw_only=True)
class PacsLimits:
    """What one search, fetch or store may take. Raises UserError for a limit below 1."""

    seconds: float = 120.0
    """Of one search, fetch or store with all its requests and retries."""
    silent_seconds: float = 30.0
    """Without a byte."""
    max_studies: int = 200
    """Results of a search; there may be more, which the result says."""
    max_images: int = 8
    """Radiographs of one study."""
    max_bytes: int = 128 * 1024 * 1024
    """Of all radiographs of a study."""
    max_document_bytes: int = 8 * 1024 * 1024
    """Of one answer that describes studies or images."""
    pauses: tuple[float, ...] = (0.5, 2.0)
    """Seconds before each retry of a request that changes nothing."""

    def __post_init__(self) -> None:
        counts = (self.max_studies, self.max_images, self.max_bytes, self.max_document_bytes)
        if min(counts) < 1 or min(self.seconds, self.silent_seconds) <= 0:
            raise UserError("limits must be at least 1, and timeouts more than 0 seconds")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A complete answer."""

    status: int
    content_type: str
    body: bytes


class PacsConnection:
    """Where a DICOMweb service is, and how to call it."""

    def __init__(
        self, url: str, *, auth: httpx2.Auth | None = None, limits: PacsLimits | None = None
    ) -> None:
        """Raises UserError for an address that cannot be used, or that credentials would be sent
        to in the clear."""
        self.url = checked_address(url)
        self.limits = limits or PacsLimits()
        self._auth = auth
        if auth is not None and self.url.startswith("http:") and not is_local(self.url):
            raise UserError(
                f"{self.url} is not encrypted, so no password is sent there: use https, or remove "
                "the credentials"
            )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["PacsRequests"]:
        """Allow requests for ``limits.seconds``. Raises PacsError when the time is over."""
        try:
            with anyio.fail_after(self.limits.seconds):
                async with httpx2.AsyncClient(
                    auth=self._auth,
                    timeout=httpx2.Timeout(self.limits.silent_seconds),
                    headers={"Accept-Encoding": "identity", "User-Agent": "grounded-cxr"},
                    follow_redirects=False,
                ) as client:
                    yield PacsRequests(client, self.url, self.limits)
        except TimeoutError as error:
            raise PacsError(
                f"the PACS {self.url} did not answer within {self.limits.seconds:g} seconds: try "
                "again later, or ask for less"
            ) from error


class PacsRequests:
    """Requests over one connection, until its time is over."""

    def __init__(self, client: httpx2.AsyncClient, url: str, limits: PacsLimits) -> None:
        self._client = client
        self._url = url
        self._limits = limits

    async def get(
        self, path: str, *, accept: str, limit: int, params: Mapping[str, Any] | None = None
    ) -> Reply:
        """Ask for ``path`` under the address; retried while the PACS is busy or unreachable.

        Raises PacsError for anything but a 2xx or 404, and for a body above ``limit`` bytes.
        """

        async def once() -> Reply:
            return await self._once(
                "GET", path, limit=limit, params=params or {}, headers={"Accept": accept}
            )

        return self._checked(await self._retried(once))

    async def post(self, path: str, *, body: bytes, content_type: str, accept: str) -> Reply:
        """Send ``body`` once. Raises PacsError for anything but a 2xx, 404 or 409."""
        return self._checked(
            await self._once(
                "POST",
                path,
                limit=self._limits.max_document_bytes,
                content=body,
                headers={"Accept": accept, "Content-Type": content_type},
            ),
            allowed=(404, 409),
        )

    async def _retried(self, once: Callable[[], Awaitable[Reply]]) -> Reply:
        for pause in self._limits.pauses:
            try:
                reply = await once()
            except _UnreachableError:
                pass
            else:
                if reply.status not in _BUSY:
                    return reply
            await anyio.sleep(pause)
        return await once()

    async def _once(self, method: str, path: str, *, limit: int, **request: Any) -> Reply:
        try:
            async with self._client.stream(method, f"{self._url}/{path}", **request) as response:
                most = _ERROR_BYTES if response.is_error else limit
                chunks, size = [], 0
                async for chunk in response.aiter_raw():
                    size += len(chunk)
                    if size > most:
                        if response.is_error:
                            break
                        raise PacsError(
                            f"the PACS {self._url} sent more than {limit:,} bytes: ask for less"
                        )
                    chunks.append(chunk)
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise self._nonsense("a compressed answer that was not asked for")
                content_type = response.headers.get("content-type", "")
        except httpx2.ConnectError as error:
            if isinstance(_cause(error), ssl.SSLCertVerificationError):
                raise PacsError(
                    f"the certificate of the PACS {self._url} is not trusted: name its authority's "
                    "certificate in SSL_CERT_FILE"
                ) from error
            raise _UnreachableError(
                f"the PACS {self._url} cannot be reached: check the address, and that it runs"
            ) from error
        except httpx2.TimeoutException as error:
            raise _UnreachableError(
                f"the PACS {self._url} sent nothing for {self._limits.silent_seconds:g} seconds: "
                "try again later"
            ) from error
        except httpx2.ReadError as error:
            raise _UnreachableError(
                f"the PACS {self._url} closed the connection: try again later"
            ) from error
        except httpx2.HTTPError as error:
            raise _UnreachableError(str(self._nonsense("no valid HTTP answer"))) from error
        return Reply(status=response.status_code, content_type=content_type, body=b"".join(chunks))

    def _checked(self, reply: Reply, allowed: tuple[int, ...] = (404,)) -> Reply:
        if 200 <= reply.status < 300 or reply.status in allowed:
            return reply
        if reply.status in (401, 403):
            raise PacsError(
                f"the PACS {self._url} refuses access ({reply.status}): set {TOKEN}, or {USER} and "
                f"{PASSWORD}, or an entry in ~/.netrc"
            )
        if 300 <= reply.status < 400:
            raise PacsError(
                f"the PACS {self._url} redirects elsewhere ({reply.status}), which is not "
                "followed: give its final address"
            )
        if reply.status in _BUSY:
            raise PacsError(f"the PACS {self._url} is busy ({reply.status}): try again later")
        raise PacsError(
            f"the PACS {self._url} answered with status {reply.status}: see its log for the cause"
        )

    def _nonsense(self, what: str) -> PacsError:
        return nonsense(self._url, what)


class _UnreachableError(PacsError):
    """No answer came; another attempt may get one."""


def nonsense(url: str, what: str) -> PacsError:
    """The error of an answer that is not DICOMweb; ``what`` came instead."""
    return PacsError(
        f"the PACS {url} sent {what}: check that this is the address of its DICOMweb service"
    )


def _cause(error: BaseException) -> BaseException:
    """The first of a chain of errors."""
    for _ in range(10):
        below = error.__cause__ or error.__context__
        if below is None:
            break
        error = below
    return error
