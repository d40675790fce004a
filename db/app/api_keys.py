"""API keys: who may call the service, and with which scopes.

A key ``cxr_ID_SECRET`` is shown once, when it is created. Only the SHA-256 of the secret is stored;
a slow hash is not needed, because 256 random bits cannot be guessed.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from db.app.audit_log import NewEntry, append
from db.app.jobs.rows import cancel_all
from db.app.models import ApiKeyRow
from db.engines.engine import erasing, writing
from db.errors import NotFoundError, UserError

Scope = Literal["read", "generate", "read-all", "pacs", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
IMPLIED: Mapping[Scope, frozenset[Scope]] = {
    "read-all": frozenset({"read"}),
    "admin": frozenset(SCOPES),
}
"""What a scope allows besides itself."""

_KEY = re.compile(r"cxr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LOCAL = "local"
"""The name in the audit log of a caller on this machine without a key."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it is listed, without its secret."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None


class ApiKeyStore:
    """The keys of one application database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, name: str, scopes: Collection[str], *, at: datetime) -> str:
        """Create a key and return it; it cannot be shown again.

        Raises UserError for an invalid or used name, or an unknown scope.
        """
        if not _NAME.fullmatch(name) or name == LOCAL:
            raise UserError(
                f"'{name}' cannot name a key: use up to 63 letters, digits, '.', '_' or '-'"
            )
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise UserError(
                f"unknown scope '{', '.join(unknown)}': a key needs one or more of "
                f"{', '.join(SCOPES)}"
            )
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        with writing(self._engine) as session:
            if session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.name == name)) is not None:
                raise UserError(f"there was a key '{name}' before: choose another name")
            session.add(
                ApiKeyRow(
                    id=key_id,
                    name=name,
                    secret_sha256=_digest(secret),
                    scopes=sorted(scopes),
                    created_at=at.astimezone(UTC).replace(tzinfo=None),
                )
            )
            details = {"name": name, "scopes": sorted(scopes)}
            append(session, NewEntry(at=at, caller=LOCAL, action="key added", details=details))
        return f"cxr_{key_id}_{secret}"

    def list_all(self) -> list[ApiKey]:
        with Session(self._engine) as session:
            rows = session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.number))
            return [_to_key(row) for row in rows]

    def any_active(self) -> bool:
        return any(key.revoked_at is None for key in self.list_all())

    def revoke(self, name: str, *, at: datetime) -> None:
        """Revoke a key and cancel its unfinished studies, also those that a server is writing.

        Raises NotFoundError if no key has this name.
        """
        with erasing(self._engine) as session:
            found = select(ApiKeyRow).where(ApiKeyRow.name == name).with_for_update()
            row = session.scalars(found).first()
            if row is None:
                raise NotFoundError(f"there is no key '{name}': see 'python -m api keys list'")
            if row.revoked_at is None:
                row.revoked_at = at.astimezone(UTC).replace(tzinfo=None)
                details = {"name": name, "cancelled": cancel_all(session, name)}
                entry = NewEntry(at=at, caller=LOCAL, action="key revoked", details=details)
                append(session, entry)

    def find(self, key: str) -> ApiKey | None:
        """Look up a key by its text; None for an unknown or revoked key."""
        with Session(self._engine) as session:
            row, right = _row(session, key)
            if row is None or not right or row.revoked_at is not None:
                return None
            return _to_key(row)

    def why_refused(self, key: str) -> tuple[str | None, str]:
        """Return the name of a key that `find` does not accept, if it has one, and the reason."""
        with Session(self._engine) as session:
            row, right = _row(session, key)
            if row is None:
                return None, "no such key"
            return row.name, "revoked" if right else "wrong secret"


def _row(session: Session, key: str) -> tuple[ApiKeyRow | None, bool]:
    """Return the key of this id, and whether the secret is right."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None, False
    row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.id == match[1])).first()
    stored = "" if row is None else row.secret_sha256
    return row, hmac.compare_digest(stored, _digest(match[2]))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _to_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes),
        created_at=row.created_at.replace(tzinfo=UTC),
        revoked_at=None if row.revoked_at is None else row.revoked_at.replace(tzinfo=UTC),
    )
