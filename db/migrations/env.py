"""Alembic's entry: runs the migrations on the connection that ``db.app.schema`` hands over."""

from alembic import context

from db.app.models import AppBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=AppBase.metadata,
    render_as_batch=True,
)
context.run_migrations()
