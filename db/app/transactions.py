"""Write transactions on the application database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engines.sqlite import write_transaction


@contextmanager
def writing(engine: Engine, *, lock_timeout: float | None = None) -> Iterator[Session]:
    """A session in a write transaction, as `db.engines.sqlite.write_transaction` gives it.

    What is read in it cannot be outdated by another writer, in this process or another, before it
    is acted upon. All of it is stored, or nothing; it is on disk when the block ends.
    """
    with (
        write_transaction(engine, lock_timeout=lock_timeout) as connection,
        Session(bind=connection) as session,
    ):
        yield session
        session.flush()
