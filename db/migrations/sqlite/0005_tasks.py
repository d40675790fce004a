"""Answers, classes and captions beside reports, and what the check made of a statement."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("generations", sa.Column("question", sa.String(), nullable=True))
    op.add_column("generations", sa.Column("indication", sa.String(), nullable=True))
    op.add_column("generations", sa.Column("observations", _JSON, nullable=True))
    op.add_column("generations", sa.Column("calibrated_on", sa.String(), nullable=True))
    op.add_column("statements", sa.Column("check", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("statements", "check")
    for name in ("calibrated_on", "observations", "indication", "question"):
        op.drop_column("generations", name)
