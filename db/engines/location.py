"""Where an application database is: a SQLite file, or a PostgreSQL database by URL.

    parse_location("data/app.sqlite3")                             # Path
    parse_location("postgresql+psycopg://cxr@db.example/cxr")      # sqlalchemy.URL
    shown(location)                                                # never a password

libpq finds a password that the URL lacks in ``PGPASSWORD``, ``PGPASSFILE`` or ``~/.pgpass``.
"""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.errors import UserError

DatabaseUrl = URL
"""Of PostgreSQL."""
Location = Path | DatabaseUrl
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_EXAMPLE = "postgresql+psycopg://USER@HOST/NAME"


def parse_location(text: str) -> Location:
    """Read the path of a SQLite file, or the URL of a PostgreSQL database.

    Raises UserError, without repeating ``text``, for another URL.
    """
    scheme, separator, _ = text.partition("://")
    if not separator:
        return Path(text)
    if scheme not in _POSTGRESQL:
        raise UserError(
            f"a database of the kind '{scheme}' cannot be used: name a SQLite file, or {_EXAMPLE}"
        )
    try:
        url = make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        url = None
    if url is None or not url.database:
        raise UserError(f"the database URL cannot be read: give it as {_EXAMPLE}")
    if "password" in url.query:
        raise UserError(
            f"the database URL has a password among its parameters: give it as {_EXAMPLE}, with "
            "the password in PGPASSWORD or in ~/.pgpass"
        )
    return url


def shown(location: Location) -> str:
    """Return how messages name a database."""
    return str(location) if isinstance(location, Path) else location.render_as_string()
