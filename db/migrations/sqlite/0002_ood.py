"""Whether the films of a generation are of the kind that its index holds."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("verdict", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("generations", "verdict")
