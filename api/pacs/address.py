"""The address of a PACS, and the credentials for it.

url = checked_address("https://pacs.example/dicom-web/")
auth = credentials(url, os.environ)

No error quotes a password.
"""

import netrc
from collections.abc import Generator, Mapping
from pathlib import Path

import httpx2

from db.errors import UserError
from db.hosts import is_loopback

TOKEN, USER, PASSWORD = (
    "GROUNDED_CXR_PACS_TOKEN",
    "GROUNDED_CXR_PACS_USER",
    "GROUNDED_CXR_PACS_PASSWORD",
)
"""Environment variables: a bearer token, or a user with a password."""


def checked_address(url: str) -> str:
    """Return the address without a slash at its end.

    Raises UserError unless it is http or https with a host, and without a user, a query or spaces.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise UserError(
            "the address of the PACS is not valid: give one like https://pacs.example/dicom-web"
        ) from None
    if parsed.userinfo:  # not shown: it holds a password
        raise UserError(
            f"the address of the PACS holds a user: leave it out, and set {USER} and {PASSWORD}"
        )
    wrong = parsed.scheme not in ("http", "https") or not parsed.host
    if wrong or parsed.query or parsed.fragment or any(char.isspace() for char in url):
        raise UserError(
            f"'{url[:200]}' is not the address of a PACS: give one like "
            "https://pacs.example/dicom-web"
        )
    return str(parsed).rstrip("/")


def is_local(url: str) -> bool:
    """Whether the address is of this machine."""
    return is_loopback(httpx2.URL(url).host)


class _Bearer(httpx2.Auth):
    """Send a token with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def credentials(url: str, environment: Mapping[str, str]) -> httpx2.Auth | None:
    """What the environment holds for this PACS, else its entry in the netrc file, else None.

    Raises UserError for half of a pair, and for a netrc file that cannot be read.
    """
    token, user, password = (environment.get(name, "") for name in (TOKEN, USER, PASSWORD))
    if token:
        if not (token.isascii() and token.isprintable()):
            raise UserError(f"{TOKEN} holds characters that a header cannot carry: set it again")
        return _Bearer(token)
    if bool(user) != bool(password):
        raise UserError(f"only one of {USER} and {PASSWORD} is set: set both, or neither")
    if user:
        return httpx2.BasicAuth(user, password)
    file = Path(environment.get("NETRC") or Path.home() / ".netrc")
    if not file.is_file():
        return None
    try:
        entry = netrc.netrc(str(file)).authenticators(httpx2.URL(url).host)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as a netrc file: correct or remove it") from (
            error if isinstance(error, OSError) else None  # the others quote the file
        )
    return httpx2.BasicAuth(entry[0], entry[2]) if entry else None
