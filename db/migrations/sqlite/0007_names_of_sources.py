"""Names that say what they hold: excluded cases, removed citations, the sources of an observation.

Earlier migrations keep the names of their time.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS = {"left_out": "excluded_cases"}
_CHECK = {
    "found_afterwards": "citations_added",
    "added": "added_by_rule",
    "removed": "removed_citations",
}
_OBSERVATION = {
    "model": "language_model",
    "vote": "knn",
    "vote_low": "knn_low",
    "vote_high": "knn_high",
    "image": "label_head",
}


def upgrade() -> None:
    _rename(_COLUMNS, _CHECK, _OBSERVATION)


def downgrade() -> None:
    _rename(
        *({new: old for old, new in names.items()} for names in (_COLUMNS, _CHECK, _OBSERVATION))
    )


def _rename(
    columns: Mapping[str, str], check: Mapping[str, str], observation: Mapping[str, str]
) -> None:
    for old, new in columns.items():
        op.execute(f"ALTER TABLE generations RENAME COLUMN {old} TO {new}")
    _rename_keys("statements", "id", "check", check)
    _rename_keys("generations", "number", "observations", observation)


def _rename_keys(table: str, key: str, column: str, names: Mapping[str, str]) -> None:
    """Rename keys of the JSON objects of a column, and of the objects in its lists."""
    connection = op.get_bind()
    rows = sa.table(table, sa.column(key), sa.column(column, sa.JSON(none_as_null=True)))
    where = sa.or_(*(sa.cast(rows.c[column], sa.String).contains(json.dumps(old)) for old in names))
    found = connection.execute(sa.select(rows.c[key], rows.c[column]).where(where)).all()
    for number, value in found:
        connection.execute(
            rows.update().where(rows.c[key] == number).values({column: _renamed(value, names)})
        )


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    if isinstance(value, dict):
        return {names.get(key, key): inner for key, inner in value.items()}
    return value
