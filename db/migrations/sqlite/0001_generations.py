"""Generations, their statements, citations and hits."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "generations",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("generator", sa.String(), nullable=False),
        sa.Column("index_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("index_source", sa.String(), nullable=False),
        sa.Column("films_sha256", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("label_scores", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_generations")),
        sa.UniqueConstraint("id", name=op.f("uq_generations_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_generations_index_fingerprint"), "generations", ["index_fingerprint"])
    op.create_table(
        "hits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("study_id", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["generations.number"],
            name=op.f("fk_hits_generation_generations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hits")),
        sa.UniqueConstraint("generation", "number", name=op.f("uq_hits_generation_number")),
    )
    op.create_index(op.f("ix_hits_generation"), "hits", ["generation"])
    op.create_table(
        "statements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("section", sa.String(length=10), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["generations.number"],
            name=op.f("fk_statements_generation_generations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
        sa.UniqueConstraint(
            "generation", "position", name=op.f("uq_statements_generation_position")
        ),
    )
    op.create_index(op.f("ix_statements_generation"), "statements", ["generation"])
    op.create_table(
        "citations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("statement", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("study_id", sa.String(), nullable=False),
        sa.Column("index_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("quote", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["statement"],
            ["statements.id"],
            name=op.f("fk_citations_statement_statements"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_citations")),
        sa.UniqueConstraint("statement", "position", name=op.f("uq_citations_statement_position")),
    )
    op.create_index(op.f("ix_citations_statement"), "citations", ["statement"])


def downgrade() -> None:
    op.drop_table("citations")
    op.drop_table("statements")
    op.drop_table("hits")
    op.drop_table("generations")
