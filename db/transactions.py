"""Write transactions on the application database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that holds SQLite's one write lock from its first statement to its commit.

    What is read in it cannot be outdated by another writer, in this process or another, before it
    is acted upon. All of it is stored, or nothing; it is on disk when the block ends.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # The driver opens no transaction of its own in this mode, so this one is ours alone.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            with Session(bind=connection) as session:
                yield session
                session.flush()
                connection.exec_driver_sql("COMMIT")
        except BaseException:
            if connection.connection.in_transaction:
                connection.exec_driver_sql("ROLLBACK")
            raise
