"""The patient's own prior study: what it is compared by, and its images while a study is queued."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("prior", sa.JSON(none_as_null=True), nullable=True))
    op.add_column(
        "job_images",
        sa.Column("of_prior", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("job_images", "of_prior")
    op.drop_column("generations", "prior")
