"""Remove indication and question from studies that have ended: their generations hold them.

Removed texts cannot be restored, so a downgrade changes nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    studies = sa.table(
        "job_studies", sa.column("number"), sa.column("status"), sa.column("options", sa.JSON)
    )
    ended = sa.select(studies.c.number, studies.c.options).where(
        studies.c.status.in_(("done", "failed", "cancelled"))
    )
    for number, options in connection.execute(ended).all():
        kept = {
            name: value for name, value in options.items() if name not in ("indication", "question")
        }
        if kept != options:
            connection.execute(
                studies.update().where(studies.c.number == number).values(options=kept)
            )


def downgrade() -> None:
    pass
