"""Processes behind nginx, killed and drained: the short form of `kills`."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import uvicorn

from api.listening import listen, server_options
from api.pipeline.backends import ExtractiveBackend
from api.pipeline.jobs import JobRunner
from api.settings import Settings
from db.app.database import AppDatabase
from db.engines.location import DatabaseUrl
from db.engines.presence import serving
from tests.robustness.processes.kills import run
from tests.robustness.test_kill import Slow
from tests.support.databases import PostgresServer
from tests.support.service import services
from tests.support.service.services import a_png, an_app, write_report

LIMIT = 200


class DrawnProcess:
    """One of several services that need no index."""

    imports: ClassVar[Sequence[str]] = (__name__,)
    writer: ClassVar[ExtractiveBackend] = Slow(write_report)
    limit: ClassVar[int] = LIMIT
    together: ClassVar[int] = 2

    def __call__(self, database: DatabaseUrl, port: int) -> None:
        services.LOCATED = lambda _: database
        JobRunner.suspect_delay = 0.1
        given = {
            "port": port,
            "require_keys": True,
            "trusted_proxies": ("127.0.0.1",),
            "requests_per_minute": self.limit,
            "max_batch": self.together,
        }
        settings = Settings(**given)
        with serving(database) as presence:
            opened = AppDatabase.open(database, presence=presence)
            app = an_app(Path("unused"), backend=self.writer, database=opened, **given)
            config = uvicorn.Config(app, log_level="warning", **server_options(settings))
            uvicorn.Server(config).run(sockets=[listen(settings)])


def test_nothing_is_lost_or_doubled_while_processes_are_killed_and_drained(
    tmp_path: Path, postgresql_server: PostgresServer
) -> None:
    outcome = run(
        DrawnProcess(),
        postgresql_server.fresh(),
        [a_png(seed, size=(64, 64)) for seed in range(3)],
        tmp_path,
        processes=2,
        clients=6,
        seconds=3.0,
        every=1.5,
        limit=LIMIT,
    )
    assert outcome.good, outcome.figures()
    assert (outcome.kills, outcome.drains) == (1, 1)
    assert outcome.seen.answers["report 201"] > 0 and outcome.audit_entries > 0
