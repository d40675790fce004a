"""Whether a SQLite file is an application database, of whatever schema, that quotes a study."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from db.app.erasure import WITHDRAWN


def cites(path: Path, studies: Collection[tuple[str, str]]) -> bool:
    """Whether it holds a quote from one of the studies (source, study id) that is not withdrawn.

    False for any other database. Raises OSError for a file that cannot be read.
    """
    query = "SELECT 1 FROM citations WHERE source = ? AND study_id = ? AND quote != ? LIMIT 1"
    address = f"file:{path.resolve().as_posix()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return any(
                connection.execute(query, (*study, WITHDRAWN)).fetchone() for study in studies
            )
    except sqlite3.OperationalError as error:
        if "no such" in str(error):
            return False
        raise OSError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise OSError(str(error)) from error
