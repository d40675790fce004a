"""What a service leaves behind of patients, the short form of tests/robustness/personal_data.py."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import uvicorn

from api.listening import server_options
from api.middleware.observability import log_to_stderr
from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection
from api.settings import Settings
from api.temporary_files import temporary_files
from db.engines.engine import held
from tests.robustness.personal_data import Patient, patients, planted_in, run, search
from tests.support.service.patient_archive import archive
from tests.support.service.services import an_app
from tests.support.service.writers import TalkingWriter


@dataclass(frozen=True, kw_only=True)
class AnsweringServer:
    """A service that needs no index and no model, and answers questions."""

    imports: ClassVar[Sequence[str]] = (__name__,)
    pacs: str
    """Its address."""

    def __call__(self, database: Path, port: int) -> None:
        settings = Settings(database_path=database, port=port)
        log_to_stderr(settings, as_json=True)
        with held(database), temporary_files(database.with_name(f"{database.name}.tmp")):
            pacs = Pacs(PacsConnection(self.pacs))
            app = an_app(database.parent, backend=TalkingWriter(), pacs=pacs)
            uvicorn.run(app, port=port, log_config=None, **server_options(settings))


def test_nothing_of_a_patient_is_left_after_deletion_a_kill_and_a_stop(tmp_path: Path) -> None:
    work, drawn = tmp_path / "work", tmp_path / "drawn"
    work.mkdir()
    drawn.mkdir()
    with archive(patients(36), drawn) as pacs:
        outcome = run(AnsweringServer(pacs=pacs), work, reports=36, seed=1)
    assert outcome.good, outcome
    assert min(outcome.answers[one] for one in ("pacs search 200", "pacs sent 201")) >= 2
    assert outcome.answers["3 201"] >= 3 and outcome.answers["delete 204"] > 16, outcome.answers
    assert min(outcome.searched.values()) > 100_000
    database = work / "service" / "app.sqlite3"
    assert database.stat().st_mode & 0o777 == 0o600
    assert list((work / "service" / "app.sqlite3.tmp").iterdir()) == []


def test_the_search_finds_what_is_planted_in_every_form(tmp_path: Path) -> None:
    patient = Patient(number=7)
    word, day = patient.word("n"), patient.born
    forms = {
        "plain": word.encode(),
        "capital": word.upper().encode(),
        "wide": f"x{word}".encode("utf-16"),
        "big": word.encode("utf-16-be"),
        "record": f"id={patient.record};".encode(),
        "day": f"{day:%Y%m%d}".encode(),
        "dots": f"born {day:%Y.%m.%d}".encode(),
        "dashes": f'"{day:%Y-%m-%d}"'.encode(),
        **{f"base64 {n}": base64.b64encode(b"x" * n + f" {word} and".encode()) for n in range(6)},
    }
    for name, data in forms.items():
        (tmp_path / name).write_bytes(b"\xff\x01 " + data + b" \x02")
    (tmp_path / f"upload {word}").write_bytes(b"")
    found, _ = search([tmp_path], [patient])
    assert {one.path.name for one in found} == {*forms, f"upload {word}"}
    assert not list(planted_in(b"2026-05-04 no patient 123 quell topf"))
    for kind in ("dcm", "png", "jpg"):
        _, data = patient.file(tmp_path, kind)
        assert {patient.record.encode(), f"{day:%Y%m%d}".encode()} <= set(planted_in(data)), kind
