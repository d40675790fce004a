"""The audit log: who asked for what, and which cases were shown or cited.

Every entry carries the hash of the one before it, so that an entry that was changed, taken out or
put in shows. What was cut off at the end shows only to who noted count and head elsewhere:
`AuditLog.verify` takes them. Triggers of the database refuse changes in the first place.

Entries hold digests, ids and options; never an image, a header or a name of a patient.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from db.app.models import AuditRow
from db.engines.sqlite import writing
from db.errors import UserError

START = "0" * 64
"""What the first entry names as the hash before it."""


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """What happened."""

    at: datetime
    """Aware."""
    caller: str
    action: str
    details: Mapping[str, object] = field(default_factory=dict)
    """JSON values."""
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEntry(NewEntry):
    """What happened, in its place in the chain."""

    number: int
    """From 1, without gaps."""
    hash: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of a chain that was found whole."""

    number: int
    """How many entries there are."""
    hash: str


def append(session: Session, entry: NewEntry) -> None:
    """Add an entry to a transaction of ``db.engines.sqlite.writing``, which keeps others
    waiting."""
    last = session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(1)).first()
    row = AuditRow(
        number=1 if last is None else last.number + 1,
        at=entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        caller=entry.caller,
        request_id=entry.request_id,
        action=entry.action,
        details=json.dumps(dict(entry.details), sort_keys=True, ensure_ascii=False),
        previous_hash=START if last is None else last.hash,
    )
    row.hash = _hash(row)
    session.add(row)
    session.flush()


class AuditLog:
    """The audit log of one application database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, entry: NewEntry) -> None:
        """On disk when this returns."""
        with writing(self._engine) as session:
            append(session, entry)

    def __iter__(self) -> Iterator[AuditEntry]:
        """From the first entry on."""
        for row in self._rows():
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
        """Recompute the whole chain.

        Raises UserError naming the first entry that does not fit, or where the chain does not lead
        through the ``known`` head that somebody noted earlier.
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

    def _rows(self) -> Iterator[AuditRow]:
        last = 0
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
