"""The field's own terms: image for film, ood for verdict, near duplicates for near-copies."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = {"films_sha256": "images_sha256", "verdict": "ood"}
_OPTIONS = {"exclude_near_copies": "exclude_near_duplicates"}
_CHECK = {"film_support": "image_support"}
_OBSERVATION = {"film": "image"}


def upgrade() -> None:
    _rename_columns(_COLUMNS)
    _create_images("job_images", "job_films")
    _rename_keys("generations", "options", _OPTIONS)
    _rename_keys("job_studies", "options", _OPTIONS)
    _rename_keys("statements", "check", _CHECK)
    _rename_keys("generations", "observations", _OBSERVATION)


def downgrade() -> None:
    _rename_keys("generations", "observations", _reversed(_OBSERVATION))
    _rename_keys("statements", "check", _reversed(_CHECK))
    _rename_keys("job_studies", "options", _reversed(_OPTIONS))
    _rename_keys("generations", "options", _reversed(_OPTIONS))
    _create_images("job_films", "job_images")
    _rename_columns(_reversed(_COLUMNS))


def _reversed(names: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}


def _rename_columns(names: Mapping[str, str]) -> None:
    for old, new in names.items():
        op.execute(f"ALTER TABLE generations RENAME COLUMN {old} TO {new}")


def _create_images(table: str, source: str) -> None:
    """The table of waiting images under another name, with its rows."""
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("view_position", sa.String(length=10), nullable=True),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study"],
            ["job_studies.number"],
            name=op.f(f"fk_{table}_study_job_studies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("study", "position", name=op.f(f"uq_{table}_study_position")),
    )
    columns = "id, study, position, png, view_position, notes"
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source}")
    op.drop_table(source)
    op.create_index(op.f(f"ix_{table}_study"), table, ["study"])


def _rename_keys(table: str, column: str, names: Mapping[str, str]) -> None:
    """Keys of the JSON objects of a column, and of the objects in its lists."""
    connection = op.get_bind()
    key = "id" if table == "statements" else "number"
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
