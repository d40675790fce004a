"""Seconds of reports, the short form of bench/service/report_seconds.py."""

import os
from pathlib import Path

from bench.service.report_seconds import Server, measure
from tests.support.service.services import a_png, an_app, serving


def test_both_servers_are_asked_in_turn(tmp_path: Path) -> None:
    (tmp_path / "after").mkdir()
    with serving(an_app(tmp_path)) as one, serving(an_app(tmp_path / "after")) as other:
        servers = [Server(address=address, pid=os.getpid()) for address in (one, other)]
        measure(servers, [[a_png(1), a_png(2)]], 2)
    for server in servers:
        assert len(server.seconds) == 2
        figures = server.figures()
        assert 0 < figures["median_seconds"] <= figures["p95_seconds"]
