"""Studies that wait to be written about, with their films until then."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_studies",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("generation_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_job_studies")),
        sa.UniqueConstraint("generation_id", name=op.f("uq_job_studies_generation_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_job_studies_job"), "job_studies", ["job"])
    op.create_index(op.f("ix_job_studies_status"), "job_studies", ["status"])
    op.create_table(
        "job_films",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("view_position", sa.String(length=10), nullable=True),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study"],
            ["job_studies.number"],
            name=op.f("fk_job_films_study_job_studies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_films")),
        sa.UniqueConstraint("study", "position", name=op.f("uq_job_films_study_position")),
    )
    op.create_index(op.f("ix_job_films_study"), "job_films", ["study"])


def downgrade() -> None:
    op.drop_table("job_films")
    op.drop_table("job_studies")
