"""Where on the images the score of each observation comes from."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("regions", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("generations", "regions")
