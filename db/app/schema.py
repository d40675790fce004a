"""Bringing an application database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from db.engines.sqlite import write_transaction
from db.errors import MismatchError

_MIGRATIONS = Path(__file__).parent.parent / "migrations"


def migrate(engine: Engine, *, name: str, revision: str = "head") -> None:
    """Upgrade in one transaction: an interrupted upgrade leaves the old schema.

    ``name`` is what messages call the database. Raises MismatchError for a database that a newer
    version has written.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with write_transaction(engine) as connection:  # which also keeps two starting servers apart
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in known:
            raise MismatchError(
                f"{name} was written by a newer version (schema {current}): "
                "update this program or name another database"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
