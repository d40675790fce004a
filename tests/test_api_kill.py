"""kill -9 under load, the short form of bench/kill.py."""

from pathlib import Path

from bench.kill import run
from indexer.build import build
from indexer.encoder import load_encoder
from indexer.sources.jsonl import JsonLines
from tests.fakes import write_studies
from tests.services import a_png


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    index_dir = tmp_path / "index"
    build(
        JsonLines(write_studies(tmp_path / "studies", 8)),
        load_encoder("pretrained/encoder"),
        index_dir,
    )
    films = [a_png(seed, size=(96, 80)) for seed in range(20, 32)]
    outcome = run(index_dir, films, tmp_path, kills=2, seed=3, clients=4, longest=2.5)
    assert outcome.good, outcome
    assert outcome.kills == 2
    assert outcome.acknowledged.made and outcome.acknowledged.accepted
