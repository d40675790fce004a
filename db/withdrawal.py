"""Taking a removed patient's words out of what was written with his cases.

    withdraw(Path("data/app.sqlite3"), cases, at=now)

Every generation stays, and so does the number of the case it cites; the quote reads 'withdrawn'. A
statement that was taken word for word from these cases alone reads so too, in the text of the
generation and in what people made of it. The audit log, a chain, is added to and not changed; it
holds numbers of studies, no text.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select, tuple_
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, selectinload

from db.app_models import CitationRow, FeedbackRow, GenerationRow, StatementRow
from db.audit import NewEntry, append
from db.cases import Case
from db.errors import NotFoundError, UserError
from db.schema import migrate
from db.session import open_sqlite
from db.transactions import writing

WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """What was changed."""

    quotes: int
    statements: int
    generations: int


def withdraw(path: Path, cases: Sequence[Case], *, at: datetime) -> Withdrawn:
    """Withdraw these cases' sentences from an application database and from its free pages.

    May be called again; it then finds nothing more. Raises NotFoundError for a missing file and
    UserError for one that is no such database, or that another process keeps open so that old
    pages stay in it.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist: name the application database")
    try:
        engine = open_sqlite(path, read_only=False, write_ahead_log=True)
        migrate(engine, name=str(path))
        with writing(engine) as session:
            session.connection().exec_driver_sql("PRAGMA secure_delete = ON")
            done = _withdraw(session, cases)
            if done.quotes:
                details = {"quotes": done.quotes, "generations": done.generations}
                append(
                    session,
                    NewEntry(at=at, caller="indexer", action="withdraw", details=details),
                )
        _overwrite_free_pages(engine, path)
        engine.dispose()
    except DatabaseError as error:
        raise UserError(f"{path} cannot be changed ({error.orig}): stop what uses it") from error
    return done


def _withdraw(session: Session, cases: Sequence[Case]) -> Withdrawn:
    sentences = {(case.source, case.study_id): _sentences(case) for case in cases}
    rows = session.scalars(
        select(CitationRow).where(
            tuple_(CitationRow.source, CitationRow.study_id).in_(list(sentences)),
            CitationRow.quote != WITHDRAWN,
        )
    ).all()
    quotes = {row.id: row.quote for row in rows}
    statements = session.scalars(
        select(StatementRow)
        .where(StatementRow.id.in_({row.statement for row in rows}))
        .options(selectinload(StatementRow.citations))
    ).all()
    gone: dict[int, set[str]] = {}
    taken = 0
    for statement in statements:
        old = gone.setdefault(statement.generation, set())
        own = [one for one in statement.citations if one.id in quotes]
        said = {quotes[one.id] for one in own}
        for one in own:
            said |= sentences[one.source, one.study_id]
            old.add(quotes[one.id])
        if _all_withdrawn(statement, quotes) and _is_any(statement.text, said):
            old.add(statement.text)
            statement.text = WITHDRAWN
            taken += 1
        for one in own:
            one.quote = WITHDRAWN
    for number, old in gone.items():
        _clean(session, number, old)
    return Withdrawn(quotes=len(quotes), statements=taken, generations=len(gone))


def _all_withdrawn(statement: StatementRow, quotes: Collection[int]) -> bool:
    return all(one.id in quotes or one.quote == WITHDRAWN for one in statement.citations)


def _clean(session: Session, number: int, old: Collection[str]) -> None:
    """Take the texts that are gone from a generation, save where one of its statements, resting
    on other cases, still says the same."""
    kept = session.scalars(select(StatementRow.text).where(StatementRow.generation == number))
    gone = [text for text in old if not _is_any(text, kept.all())]
    generation = session.get_one(GenerationRow, number)
    generation.text = _without(generation.text, gone)
    for row in session.scalars(select(FeedbackRow).where(FeedbackRow.generation == number)):
        row.text = None if row.text is None else _without(row.text, gone)
        row.comment = None if row.comment is None else _without(row.comment, gone)


def _sentences(case: Case) -> set[str]:
    return {sentence.text for sentence in case.sentences}


def _is_any(text: str, others: Iterable[str]) -> bool:
    return _plain(text) in {_plain(other) for other in others}


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _without(text: str, gone: Iterable[str]) -> str:
    for old in sorted(gone, key=len, reverse=True):
        words = re.findall(r"\w+", old)
        if words:
            pattern = r"\b" + r"\W+".join(map(re.escape, words)) + r"\b"
            text = re.sub(pattern, WITHDRAWN, text, flags=re.IGNORECASE)
    return text


def _overwrite_free_pages(engine: Engine, path: Path) -> None:
    """Raises UserError where another process has the old pages in use."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")
        (busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise UserError(
            f"the quotes in {path} are withdrawn, but another process keeps old pages of it in "
            "use: stop the server and run the same command again"
        )
