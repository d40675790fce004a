"""Owners of rows: the API keys that requested them, and which of these were revoked."""

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from db.app.models import ApiKeyRow, GenerationRow, JobStudyRow
from db.errors import ForbiddenError


def owned(
    row: type[GenerationRow] | type[JobStudyRow], owner: str | None
) -> tuple[ColumnElement[bool], ...]:
    """Limit a query to the rows of one key; not at all if ``owner`` is None."""
    return () if owner is None else (row.created_by == owner,)


def revoked_keys() -> Select[str]:
    """Select the names of the revoked keys."""
    return select(ApiKeyRow.name).where(ApiKeyRow.revoked_at.is_not(None))


def check_active(session: Session, *names: str | None) -> None:
    """Raise ForbiddenError if one of these keys is revoked, and let none be revoked meanwhile.

    Within a transaction that stores something for them: they may have been revoked after the
    request began.
    """
    keys = select(ApiKeyRow.name, ApiKeyRow.revoked_at).where(ApiKeyRow.name.in_(set(names)))
    for name, revoked_at in session.execute(keys.with_for_update(read=True)):
        if revoked_at is not None:
            raise ForbiddenError(f"API key '{name}' revoked: ask for another one")
