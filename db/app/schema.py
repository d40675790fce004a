"""Bringing an application database to the schema of this version."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from db.engines.engine import exclude_writers, write_transaction
from db.engines.presence import keep_from_changes
from db.errors import MismatchError

_MIGRATIONS = Path(__file__).parent.parent / "migrations"
_SHARED = "versions"
"""The folder of revisions after 0010, which both engines have in common."""


def alembic_config(dialect: str) -> Config:
    """Return the configuration with the revisions of one engine: SQLite has a chain from the first
    version on, PostgreSQL begins at 0010 with the same tables."""
    config = Config()
    folders = [_MIGRATIONS / name for name in (dialect, _SHARED) if (_MIGRATIONS / name).is_dir()]
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, folders)).replace("%", "%%"))
    return config


def migrate(engine: Engine, *, name: str, revision: str = "head") -> None:
    """Upgrade in one transaction: an interrupted upgrade leaves the old schema.

    ``name`` is what messages call the database. Raises MismatchError for a database that a newer
    version has written, or whose tables another process serves as they are.
    """
    newest, known = _revisions(engine.dialect.name)
    with write_transaction(engine) as connection:
        exclude_writers(connection)  # two starting servers
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in known:
            raise MismatchError(
                f"{name} was written by a newer version (schema {current}): "
                "update this program or name another database"
            )
        if current == newest:
            return
        if not keep_from_changes(connection):
            raise MismatchError(
                f"{name} is served by an earlier version, which could not read it any more: stop "
                "all processes of that version, and start this one again"
            )
        config = alembic_config(engine.dialect.name)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@cache
def _revisions(dialect: str) -> tuple[str, frozenset[str]]:
    """The newest revision of an engine, and all of them."""
    scripts = ScriptDirectory.from_config(alembic_config(dialect))
    [newest] = scripts.get_heads()
    return newest, frozenset(script.revision for script in scripts.walk_revisions())
