"""kill -9 under load, the short form of bench/kill.py: invented cases, the real database."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import uvicorn

from bench.kill import run
from db.app_database import held
from tests.services import a_png, an_app


class DrawnServer:
    """A service that needs no index."""

    imports: ClassVar[Sequence[str]] = (__name__,)

    def __call__(self, database: Path, port: int) -> None:
        with held(database):
            uvicorn.run(an_app(database.parent), port=port, ws="none")


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    films = [a_png(seed, size=(96, 80)) for seed in range(20, 32)]
    outcome = run(DrawnServer(), films, tmp_path, kills=1, seed=3, clients=4, longest=1.0)
    assert outcome.good, outcome
    assert outcome.kills == 1
    assert outcome.acknowledged.made and outcome.acknowledged.accepted
