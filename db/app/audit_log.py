"""The audit log: who requested what, and which cases were shown or cited.

Every entry carries the hash of the previous one, which reveals changed, removed and inserted
entries. Entries cut off at the end are revealed only by a count and head noted elsewhere, which
`AuditLog.verify` takes. Database triggers also refuse changes.

Reads are entered a second or two late and in batches (`api.middleware.audit_queue`), so entries are
in the order in which they were written, not quite in that of their times.

Entries hold digests, ids and options; never an image, a header or a patient's name.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from db.app.models import AuditRow
from db.app.owners import check_active
from db.engines.engine import exclude_writers, writing
from db.errors import UserError

DELETED, ERASED = "generation deleted", "erase"
"""Actions whose entries name what must not come back with a backup."""
START = "0" * 64
"""The previous hash of the first entry."""


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """An entry to append."""

    at: datetime
    """With a time zone."""
    caller: str
    action: str
    details: Mapping[str, object] = field(default_factory=dict)
    """JSON values."""
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEntry(NewEntry):
    """An entry with its position in the chain."""

    number: int
    """From 1, without gaps."""
    hash: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last entry of an intact chain."""

    number: int
    """The number of entries."""
    hash: str


def append(session: Session, *entries: NewEntry) -> None:
    """Append entries within a transaction of ``db.engines.engine.writing``, as its last step: until
    it ends, nobody else can append."""
    exclude_writers(session.connection())
    last = session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(1)).first()
    head = START if last is None else last.hash
    for number, entry in enumerate(entries, start=1 if last is None else last.number + 1):
        row = AuditRow(
            number=number,
            at=entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            caller=entry.caller,
            request_id=entry.request_id,
            action=entry.action,
            details=json.dumps(dict(entry.details), sort_keys=True, ensure_ascii=False),
            previous_hash=head,
        )
        row.hash = head = _hash(row)
        session.add(row)
    session.flush()


class AuditLog:
    """The audit log of one application database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last_number(self) -> int:
        """Return the number of entries."""
        with Session(self._engine) as session:
            return session.scalar(select(func.max(AuditRow.number))) or 0

    def append(self, *entries: NewEntry, lock_timeout: float | None = None) -> None:
        """Append entries, all or none; they are on disk when this returns.

        Raises sqlalchemy.exc.DatabaseError if they cannot be written; ``lock_timeout`` is in
        seconds.
        """
        with writing(self._engine, lock_timeout=lock_timeout) as session:
            append(session, *entries)

    def admit(self, entry: NewEntry) -> None:
        """Append the entry of what its caller is about to be shown or to do elsewhere.

        Raises as `append` does, and ForbiddenError if the caller is a key that was revoked
        meanwhile.
        """
        with writing(self._engine) as session:
            check_active(session, entry.caller)
            append(session, entry)

    def __iter__(self) -> Iterator[AuditEntry]:
        """Yield all entries, oldest first."""
        return self.after(0)

    def after(self, number: int) -> Iterator[AuditEntry]:
        """Yield the entries after this one, oldest first."""
        for row in self._rows(number):
            yield AuditEntry(
                number=row.number,
                at=datetime.fromisoformat(row.at),
                caller=row.caller,
                request_id=row.request_id,
                action=row.action,
                details=json.loads(row.details),
                hash=row.hash,
            )

    def verify(self, known: Head | None = None) -> Head:
        """Recompute the whole chain and return its head.

        Raises UserError naming the first entry that does not match, or if the chain does not
        contain the ``known`` head that was noted earlier.
        """
        head = Head(number=0, hash=START)
        passed = known is None or known.number == 0
        for row in self._rows():
            if row.number != head.number + 1:
                raise UserError(
                    f"the audit log was changed: entry {head.number + 1} is missing; "
                    "compare with a backup"
                )
            if row.previous_hash != head.hash or row.hash != _hash(row):
                raise UserError(
                    f"the audit log was changed: entry {row.number} does not fit its hash; "
                    "compare with a backup"
                )
            head = Head(number=row.number, hash=row.hash)
            passed = passed or head == known
        if not passed and known is not None:
            raise UserError(
                f"the audit log was changed: it does not lead through entry {known.number} with "
                f"hash {known.hash}; compare with a backup"
            )
        return head

    def _rows(self, last: int = 0) -> Iterator[AuditRow]:
        while True:
            with Session(self._engine) as session:
                rows = session.scalars(
                    select(AuditRow)
                    .where(AuditRow.number > last)
                    .order_by(AuditRow.number)
                    .limit(500)
                ).all()
                session.expunge_all()
            yield from rows
            if len(rows) < 500:
                return
            last = rows[-1].number


def _hash(row: AuditRow) -> str:
    parts = [
        str(row.number),
        row.at,
        row.caller,
        row.request_id or "",
        row.action,
        row.details,
        row.previous_hash,
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
