"""What a reader must know before a text, and how its image files were read."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("generations", sa.Column("warnings", _JSON, nullable=True))
    op.add_column("generations", sa.Column("technical_notes", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("generations", "technical_notes")
    op.drop_column("generations", "warnings")
