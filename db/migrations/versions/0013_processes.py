"""Which process works on a study, and the requests that processes count together."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_studies", sa.Column("process", sa.String(length=32), nullable=True))
    # counts outlast no crash of the server, and need not: its log would take most of their time
    shared = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "request_counts",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_request_counts")),
        prefixes=["UNLOGGED"] if shared else [],
    )
    op.create_index(op.f("ix_request_counts_until"), "request_counts", ["until"])


def downgrade() -> None:
    op.drop_table("request_counts")
    op.drop_column("job_studies", "process")
