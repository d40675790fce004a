"""The tables of an application database in PostgreSQL, as SQLite has them at the same revision."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("id", name=op.f("uq_api_keys_id")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_entries_hash")),
    )
    op.create_table(
        "generations",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=True),
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("generator", sa.String(), nullable=False),
        sa.Column("index_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("index_source", sa.String(), nullable=False),
        sa.Column("images_sha256", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("warnings", _JSON, nullable=True),
        sa.Column("technical_notes", _JSON, nullable=True),
        sa.Column("label_scores", _JSON, nullable=True),
        sa.Column("ood", _JSON, nullable=True),
        sa.Column("excluded_cases", sa.JSON(), nullable=False),
        sa.Column("origin", _JSON, nullable=True),
        sa.Column("question", sa.String(), nullable=True),
        sa.Column("indication", sa.String(), nullable=True),
        sa.Column("observations", _JSON, nullable=True),
        sa.Column("calibrated_on", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_generations")),
        sa.UniqueConstraint("id", name=op.f("uq_generations_id")),
    )
    op.create_index(op.f("ix_generations_created_at"), "generations", ["created_at"])
    op.create_index(op.f("ix_generations_index_fingerprint"), "generations", ["index_fingerprint"])
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
    )
    op.create_index(op.f("ix_job_studies_job"), "job_studies", ["job"])
    op.create_index(op.f("ix_job_studies_status"), "job_studies", ["status"])
    op.create_table(
        "feedback",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.String(), nullable=True),
        sa.Column("statement", sa.Integer(), nullable=True),
        sa.Column("citation", sa.Integer(), nullable=True),
        sa.Column("comment", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["generations.number"],
            name=op.f("fk_feedback_generation_generations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_feedback")),
        sa.UniqueConstraint("id", name=op.f("uq_feedback_id")),
    )
    op.create_index(op.f("ix_feedback_generation"), "feedback", ["generation"])
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
        "job_images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("view_position", sa.String(length=10), nullable=True),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study"],
            ["job_studies.number"],
            name=op.f("fk_job_images_study_job_studies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_images")),
        sa.UniqueConstraint("study", "position", name=op.f("uq_job_images_study_position")),
    )
    op.create_index(op.f("ix_job_images_study"), "job_images", ["study"])
    op.create_table(
        "statements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("section", sa.String(length=10), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("check", _JSON, nullable=True),
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
    op.create_index(op.f("ix_citations_study_id"), "citations", ["study_id"])
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE 'the audit log is append-only' USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$"
    )
    for verb, each in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER audit_entries_no_{verb.lower()} BEFORE {verb} ON audit_entries "
            f"FOR EACH {each} EXECUTE FUNCTION refuse_audit_change()"
        )


def downgrade() -> None:
    for table in (
        *("citations", "statements", "hits", "feedback", "generations"),
        *("job_images", "job_studies", "audit_entries", "api_keys"),
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_audit_change()")
