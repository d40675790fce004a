"""Erase a removed patient's words from generations that used their cases.

    erase(Path("data/app.sqlite3"), cases, at=now)

Quotes of an indexed prior study that a report was compared with are withdrawn like citations.
Generations and the numbers of cited cases stay; quotes are replaced by 'withdrawn'. So are
statements in the words of these cases that no other cited case supports, and these words in the
text of a generation and in feedback. Feedback also loses their indications, which a person may have
copied from the case. Statements that rest on the image alone stay. The audit log is
a hash chain and is not changed, except for a new entry; it holds ids of studies and no text.
"""

import re
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session, selectinload

from db.app.audit_log import ERASED, NewEntry, append
from db.app.models import CitationRow, FeedbackRow, GenerationRow, HitRow, StatementRow
from db.app.schema import migrate
from db.engines.engine import (
    DatabaseFailure,
    JsonStrings,
    open_engine,
    overwrite_free_pages,
    reason,
    require_application,
    writing,
)
from db.engines.location import Location, shown
from db.engines.sqlite import LOCK_TIMEOUT
from db.errors import UserError
from db.index.case import case_key, split_case_key
from db.index.store import Case

WITHDRAWN = "withdrawn"
"""The replacement for erased words."""


_COMPARES = (
    "SELECT 1 FROM generations g JOIN statements s ON s.generation = g.number "
    "WHERE json_extract(g.prior, '$.case') = ? "
    "AND json_extract(s.\"check\", '$.change.quote') != ? "
    "LIMIT 1"
)
"""Finds a statement that quotes an indexed prior study."""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """The result of an erasure."""

    quotes: int
    statements: int
    generations: int
    own: tuple[str, ...]
    """Ids of generations about images of these cases, or compared with them; of these only quotes
    of an indexed prior study change."""


def erase(
    location: Location,
    cases: Sequence[Case],
    *,
    at: datetime,
    lock_timeout: float = LOCK_TIMEOUT,
) -> Erasure:
    """Erase these cases' sentences from an application database and from its free pages.

    A second call changes nothing. ``lock_timeout`` is in seconds. Raises NotFoundError if the
    database is missing, and UserError if it is another kind of file, or if another process keeps
    old pages in use.
    """
    require_application(location)
    engine = open_engine(location, lock_timeout=lock_timeout)
    try:
        migrate(engine, name=shown(location))
        with writing(engine) as session:
            done = _erase(session, cases)
            if done.generations:
                details = {"quotes": done.quotes, "generations": done.generations}
                append(
                    session,
                    NewEntry(at=at, caller="indexer", action=ERASED, details=details),
                )
        if not overwrite_free_pages(engine):
            raise UserError(
                f"the quotes in {shown(location)} are withdrawn, but another process keeps old "
                "pages of it in use: stop the server and run the same command again"
            )
    except DatabaseFailure as error:
        raise UserError(
            f"{shown(location)} cannot be changed ({reason(error)}): stop the program that uses it"
        ) from error
    finally:
        engine.dispose()
    return done


def cites(path: Path, studies: Collection[tuple[str, str]]) -> bool:
    """Return whether a SQLite file of any schema version quotes one of the studies (source, id).

    False for other databases. Raises OSError for a file that cannot be read.
    """
    query = "SELECT 1 FROM citations WHERE source = ? AND study_id = ? AND quote != ? LIMIT 1"
    address = f"file:{path.resolve().as_posix()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            if any(connection.execute(query, (*study, WITHDRAWN)).fetchone() for study in studies):
                return True
            return any(
                connection.execute(_COMPARES, (case_key(*study), WITHDRAWN)).fetchone()
                for study in studies
            )
    except sqlite3.OperationalError as error:
        if "no such" in str(error):
            return False
        raise OSError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise OSError(str(error)) from error


def _erase(session: Session, cases: Sequence[Case]) -> Erasure:
    studies = [(case.source, case.study_id) for case in cases]
    words = {sentence.text for case in cases for sentence in case.sentences}
    indications = {text for case in cases for text in _parts(case.indication)}
    quotes = statements = changed = 0
    for generation in _generations(session, studies):
        gone, kept, taken = set(words), set[str](), 0
        for statement in generation.statements:
            own = [
                one
                for one in statement.citations
                if (one.source, one.study_id) in studies and one.quote != WITHDRAWN
            ]
            said = {one.quote for one in own}
            others = [one.quote for one in statement.citations if one not in own]
            in_their_words = bool(own) and _is_said(statement.text, words | said)
            if in_their_words and not _is_said(statement.text, others):
                gone.add(statement.text)
                statement.text = WITHDRAWN
                statements += 1
            else:
                kept.add(statement.text)
            gone |= said
            taken += len(own)
            for one in own:
                one.quote = WITHDRAWN
            taken += _withdraw_change(generation, statement, studies, gone)
        quotes += taken
        changed += _clean(session, generation, gone, kept, indications) or taken > 0
    images = {image.pixels_sha256 for case in cases for image in case.images}
    return Erasure(
        quotes=quotes, statements=statements, generations=changed, own=_about(session, images)
    )


def _withdraw_change(
    generation: GenerationRow,
    statement: StatementRow,
    studies: Collection[tuple[str, str]],
    gone: set[str],
) -> int:
    """Withdraw what a statement of change quotes of its prior study, if that is one of these."""
    check: dict[str, Any] = dict(statement.check or {})
    change: Any = check.get("change")
    case = (generation.prior or {}).get("case")
    quote = None if change is None else change["quote"]
    if case is None or split_case_key(case) not in studies or quote in (None, WITHDRAWN):
        return 0
    gone.add(quote)
    statement.check = {**check, "change": {**change, "quote": WITHDRAWN}}
    return 1


def _generations(session: Session, studies: Collection[tuple[str, str]]) -> Sequence[GenerationRow]:
    """Return the generations that cite one of the studies, had it among their hits, or compare with
    it."""
    keys = [case_key(*study) for study in studies]
    compared = GenerationRow.prior["case"].as_string().in_(keys)
    cited = (
        select(StatementRow.generation)
        .join(CitationRow, CitationRow.statement == StatementRow.id)
        .where(tuple_(CitationRow.source, CitationRow.study_id).in_(studies))
    )
    shown = select(HitRow.generation).where(tuple_(HitRow.source, HitRow.study_id).in_(studies))
    return session.scalars(
        select(GenerationRow)
        .where(GenerationRow.number.in_(cited) | GenerationRow.number.in_(shown) | compared)
        .options(selectinload(GenerationRow.statements).selectinload(StatementRow.citations))
        .with_for_update(of=GenerationRow)
    ).all()


def _about(session: Session, images: Collection[str]) -> tuple[str, ...]:
    def holds(column: Any) -> ColumnElement[bool]:
        digests = JsonStrings(column).table_valued("value")
        return select(digests.c.value).where(digests.c.value.in_(images)).exists()

    own = holds(GenerationRow.images_sha256) | holds(GenerationRow.prior["images_sha256"])
    found = session.scalars(select(GenerationRow.id).where(own).order_by(GenerationRow.number))
    return tuple(found)


def _clean(
    session: Session,
    generation: GenerationRow,
    gone: set[str],
    kept: set[str],
    indications: set[str],
) -> bool:
    """Erase texts from a generation and its feedback, except in statements that stay.

    ``indications`` are erased from the feedback alone. Return whether anything was erased.
    """
    take = _Taking(gone, kept)
    generation.text = take.from_text(generation.text)
    if generation.prior is not None:  # a note may quote the report of the prior study
        generation.notes = [take.from_text(note) for note in generation.notes]
    take_said = _Taking(gone | indications, kept)
    for row in session.scalars(
        select(FeedbackRow).where(FeedbackRow.generation == generation.number)
    ):
        row.text = None if row.text is None else take_said.from_text(row.text)
        row.comment = None if row.comment is None else take_said.from_text(row.comment)
    return take.taken or take_said.taken


class _Taking:
    def __init__(self, gone: Iterable[str], kept: Iterable[str]) -> None:
        self._kept = {_plain(text) for text in kept}
        plain = (self._kept | {_plain(text) for text in gone}) - {"", WITHDRAWN}
        longest_first = sorted(plain, key=len, reverse=True)
        any_of = "|".join(r"\W+".join(text.split()) for text in longest_first) or "(?!)"
        self._pattern = re.compile(rf"\b(?:{any_of})\b", re.IGNORECASE)
        self.taken = False

    def from_text(self, text: str) -> str:
        return self._pattern.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        if _plain(match.group()) in self._kept:
            return match.group()
        self.taken = True
        return WITHDRAWN


def _parts(indication: str) -> set[str]:
    """An indication, and its sentences of three words or more: fewer are of no one patient."""
    sentences = re.split(r"[.;?!\n]+", indication)
    return {indication, *(one for one in sentences if len(_plain(one).split()) >= 3)}


def _is_said(text: str, sentences: Iterable[str]) -> bool:
    """Return whether a sentence has all words of a text in this order.

    Statements may omit words of a sentence, but never change them.
    """
    for sentence in sentences:
        words = iter(_plain(sentence).split())
        if all(word in words for word in _plain(text).split()):
            return True
    return False


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
