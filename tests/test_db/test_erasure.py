"""A removed patient's words in an application database: gone, and nothing else is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from db.app.database import AppDatabase
from db.app.erasure import WITHDRAWN, Erasure, cites, erase
from db.app.feedback import Feedback
from db.app.generation import Citation, Generation, GenerationHit, Statement
from db.engines.location import Location
from db.errors import NotFoundError, UserError
from db.index.store import Case, CaseImage, CaseStore, Sentence
from tests.support.databases import Located, PostgresServer, bytes_of_tables
from tests.support.service.records import FINGERPRINT, a_generation

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SENTENCES = (
    "A quetzal feather lies over the left apex.",
    "No pleural effusion.",
    "The ___ tube ends near the third zebra stripe, about 4 cm above the carina.",
)
STUDY = ("drawn", "s7")
OTHER = ("drawn", "s8")
RADIOGRAPH = "f7" * 32
HIS_WORDS = ("quetzal", "zebra stripe")


def a_case(sentences: tuple[str, ...] = SENTENCES) -> Case:
    return Case(
        case_id=7,
        source="drawn",
        study_id="s7",
        patient_id="p7",
        indication="",
        findings=" ".join(sentences),
        impression="",
        labels={},
        sentences=tuple(Sentence(section="findings", text=text) for text in sentences),
        images=(
            CaseImage(
                path=None, view_position="PA", width=8, height=8, pixels_sha256=RADIOGRAPH, dhash=0
            ),
        ),
    )


def cited(study: tuple[str, str], quote: str, number: int = 1) -> Citation:
    return Citation(
        number=number,
        source=study[0],
        study_id=study[1],
        index_fingerprint=FINGERPRINT,
        quote=quote,
        score=0.75,
    )


def said(text: str, *citations: Citation) -> Statement:
    return Statement(section="findings", text=text, citations=citations)


def written(*statements: Statement, **parts: object) -> Generation:
    text = "FINDINGS\n" + "\n".join(statement.text for statement in statements)
    shown = (
        GenerationHit(number=1, source="drawn", study_id="s7", score=0.875),
        GenerationHit(number=2, source="drawn", study_id="s8", score=0.75),
    )
    given = {"hits": shown, "excluded_cases": (), **parts}
    return replace(a_generation(uuid4()), statements=statements, text=text, **given)


def raw(location: Location) -> bytes:
    """All that lies in the files of a database, pages that are free among it."""
    if not isinstance(location, Path):
        return bytes_of_tables(location)
    return b"".join(file.read_bytes() for file in sorted(location.parent.glob(f"{location.name}*")))


def holds(location: Location, words: tuple[str, ...] = HIS_WORDS) -> list[str]:
    kept = raw(location).lower()
    return [word for word in words if word.encode() in kept]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[AppDatabase]:
    """In a file."""
    with AppDatabase.open(path) as database:
        yield database


@pytest.fixture
def location(located: Located, tmp_path: Path, request: pytest.FixtureRequest) -> Location:
    """An application database whose old rows nobody else keeps."""
    location = located(tmp_path / "app.sqlite3")
    if isinstance(location, Path):
        return location
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    return server.alone()


@pytest.fixture
def stores(location: Location) -> Iterator[AppDatabase]:
    """On either engine."""
    with AppDatabase.open(location) as database:
        yield database


def test_the_generation_stays_and_its_quote_is_withdrawn(
    stores: AppDatabase, location: Location
) -> None:
    quote = SENTENCES[0]
    generation = written(said(quote, cited(STUDY, quote)), said("Clear.", cited(OTHER, "Clear.")))
    untouched = written(said("Clear.", cited(OTHER, "Clear.")), hits=())
    for one in (generation, untouched):
        stores.generations.add(one)
    assert holds(location, ("quetzal",))
    assert not isinstance(location, Path) or cites(location, {STUDY})
    done = erase(location, [a_case()], at=NOW)
    assert done == Erasure(quotes=1, statements=1, generations=1, own=())
    now = stores.generations.get(generation.id)
    first, second = now.statements
    assert first == said(WITHDRAWN, cited(STUDY, WITHDRAWN)) and second == generation.statements[1]
    assert now.text == "FINDINGS\nwithdrawn.\nClear."
    assert now == replace(generation, text=now.text, statements=now.statements)
    assert stores.generations.get(untouched.id) == untouched
    assert not holds(location)
    assert not isinstance(location, Path) or not cites(location, {STUDY})
    [entry] = stores.audit
    assert entry.action == "erase" and entry.details == {"quotes": 1, "generations": 1}
    assert stores.audit.verify().number == 1


@pytest.mark.parametrize(
    ("text", "citations", "left"),
    [
        # In these words alone, and with words left out: a report is quoted so.
        (SENTENCES[0], [cited(STUDY, SENTENCES[0])], WITHDRAWN),
        ("The ... tube ends near the third zebra stripe.", [cited(STUDY, SENTENCES[2])], WITHDRAWN),
        ("QUETZAL FEATHER", [cited(STUDY, SENTENCES[0])], WITHDRAWN),
        # Another case is cited for it, but in other words.
        (SENTENCES[0], [cited(STUDY, SENTENCES[0]), cited(OTHER, "A feather.", 2)], WITHDRAWN),
        # Another case says the same.
        (
            SENTENCES[1],
            [cited(STUDY, SENTENCES[1]), cited(OTHER, "No pleural effusion or edema.", 2)],
            SENTENCES[1],
        ),
        # In words of the writer's own.
        ("Something is on top.", [cited(STUDY, SENTENCES[0])], "Something is on top."),
        # From the image alone.
        ("No pleural effusion.", [], "No pleural effusion."),
    ],
)
def test_a_statement_is_withdrawn_if_only_removed_cases_support_it(
    stores: AppDatabase, location: Location, text: str, citations: list[Citation], left: str
) -> None:
    generation = written(said(text, *citations))
    stores.generations.add(generation)
    erase(location, [a_case()], at=NOW)
    [now] = stores.generations.get(generation.id).statements
    assert now.text == left
    for citation, before in zip(now.citations, citations, strict=True):
        own = (before.source, before.study_id) == STUDY
        assert citation == (replace(before, quote=WITHDRAWN) if own else before)


def test_edited_texts_and_comments_lose_only_the_removed_sentences(
    stores: AppDatabase, location: Location
) -> None:
    generation = written(
        said(SENTENCES[0], cited(STUDY, SENTENCES[0])),
        said("No pleural effusion.", cited(OTHER, "No pleural effusion.")),
    )
    shown_only = written(said("Clear.", cited(OTHER, "Clear.")))
    elsewhere = written(said("Clear.", cited(OTHER, "Clear.")), hits=())
    edited = "Calm. A quetzal  feather\nlies over the LEFT apex [1], no pleural effusion. Done."
    remarks = []
    for one in (generation, shown_only, elsewhere):
        stores.generations.add(one)
        for kind, text in (("edited", edited), ("wrong_citation", None)):
            remark = Feedback(
                id=uuid4(),
                generation_id=one.id,
                created_at=NOW,
                created_by="ward",
                kind=kind,
                text=text,
                comment=None if text else f"Not: {SENTENCES[2]}",
            )
            stores.feedback.add(remark)
            remarks.append(remark)
    done = erase(location, [a_case()], at=NOW)
    assert (done.quotes, done.statements, done.generations) == (1, 1, 2)
    first, comment = stores.feedback.of(generation.id)
    assert first.text == "Calm. withdrawn [1], no pleural effusion. Done."
    assert (comment.text, comment.comment) == (None, "Not: withdrawn.")
    # There nothing but the removed case says that there is no effusion.
    assert stores.feedback.of(shown_only.id)[0].text == "Calm. withdrawn [1], withdrawn. Done."
    # Written without this case in sight: what is like it there is a coincidence.
    assert stores.feedback.of(elsewhere.id) == remarks[4:]


def test_a_second_erasure_changes_nothing(stores: AppDatabase, location: Location) -> None:
    stores.generations.add(written(said(SENTENCES[0], cited(STUDY, SENTENCES[0]))))
    erase(location, [a_case()], at=NOW)
    before = raw(location)
    again = erase(location, [a_case()], at=NOW)
    assert again == Erasure(quotes=0, statements=0, generations=0, own=())
    assert len(list(stores.audit)) == 1 and len(raw(location)) == len(before)


def test_free_pages_are_overwritten(database: AppDatabase, path: Path) -> None:
    filler = tuple(said(f"{SENTENCES[0]} {n}", cited(STUDY, SENTENCES[0])) for n in range(200))
    database.generations.add(written(*filler))
    database.close()
    with closing(sqlite3.connect(path)) as careless, careless:
        careless.execute("PRAGMA secure_delete = OFF")
        for table in ("citations", "statements", "generations"):
            careless.execute(f"DELETE FROM {table}")
    with closing(sqlite3.connect(path)) as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    assert free > 5 and holds(path, ("quetzal",))
    assert erase(path, [a_case()], at=NOW).quotes == 0
    assert not holds(path)


def test_a_reader_with_old_pages_is_an_error_until_the_call_is_repeated(
    database: AppDatabase, path: Path
) -> None:
    generation = written(said(SENTENCES[0], cited(STUDY, SENTENCES[0])))
    database.generations.add(generation)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM generations").fetchone()
        with pytest.raises(UserError, match=r"another process keeps old pages .* stop the server"):
            erase(path, [a_case()], at=NOW, lock_timeout=0.1)
    assert database.generations.get(generation.id).statements[0].text == WITHDRAWN
    assert erase(path, [a_case()], at=NOW).quotes == 0
    assert not holds(path)


def test_generations_about_the_removed_images_are_named(
    stores: AppDatabase, location: Location
) -> None:
    generation = written(said("Clear."), hits=(), images_sha256=("ab" * 32, RADIOGRAPH))
    stores.generations.add(generation)
    done = erase(location, [a_case()], at=NOW)
    assert done == Erasure(quotes=0, statements=0, generations=0, own=(str(generation.id),))
    assert stores.generations.get(generation.id) == generation


def test_a_case_without_sentences_loses_its_quotes(stores: AppDatabase, location: Location) -> None:
    generation = written(said("Cardiomegaly.", cited(STUDY, "Cardiomegaly.")))
    stores.generations.add(generation)
    erase(location, [a_case(())], at=NOW)
    assert stores.generations.get(generation.id).text == "FINDINGS\nwithdrawn."


def test_only_an_application_database_is_changed(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist: name the application database"):
        erase(path, [a_case()], at=NOW)
    path.write_bytes(b"no database at all, but long enough to be read as if it were one")
    with pytest.raises(UserError, match=r"cannot be read .*: name another file"):
        erase(path, [a_case()], at=NOW)
    cases = tmp_path / "cases.sqlite"
    CaseStore.create(cases).close()
    before = cases.read_bytes()
    with pytest.raises(UserError, match="is not an application database: name another"):
        erase(cases, [a_case()], at=NOW)
    assert cases.read_bytes() == before


def test_an_active_writer_is_waited_for_and_then_named(database: AppDatabase, path: Path) -> None:
    database.generations.add(written(said(SENTENCES[0], cited(STUDY, SENTENCES[0]))))
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            UserError, match=r"cannot be changed .*locked.*: stop the program that uses it"
        ):
            erase(path, [a_case()], at=NOW, lock_timeout=0.1)
    assert holds(path, ("quetzal",))


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("He is a quetzal keeper with fever, see there.", "He is a withdrawn, see there."),
        ("History: Quetzal keeper with fever. Cough.", "History: withdrawn."),
        ("Cough is not mentioned.", "Cough is not mentioned."),
        (None, None),
    ],
)
def test_feedback_loses_an_indication_that_it_quotes(
    stores: AppDatabase, location: Location, comment: str | None, left: str | None
) -> None:
    generation = written(said("Clear.", cited(OTHER, "Clear.")), indication="Cough.")
    stores.generations.add(generation)
    feedback = Feedback(
        id=uuid4(),
        generation_id=generation.id,
        created_at=NOW,
        created_by="ward",
        kind="edited",
        text=comment,
        comment=comment,
    )
    stores.feedback.add(feedback)
    erase(location, [replace(a_case(), indication="Quetzal keeper with fever. Cough.")], at=NOW)
    (now,) = stores.feedback.of(generation.id)
    assert now == replace(feedback, text=left, comment=left)
    assert not holds(location) and stores.generations.get(generation.id) == generation
