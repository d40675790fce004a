"""A rebuilt index is taken over while requests run."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.pipeline.backends import ExtractiveBackend
from api.pipeline.current_index import reopening
from api.pipeline.readiness import Readiness
from api.settings import Settings
from db.engines.sqlite import open_sqlite
from generator.extractive import write_report
from indexer.build import build
from indexer.images.reader import encode_png
from indexer.sources.jsonl import JsonLines
from indexer.vectors.ivf import LISTS
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import LATER, settled
from tests.support.service.services import serving


def an_index(tmp_path: Path, studies: int) -> str:
    index_dir = tmp_path / "index"
    build(JsonLines(write_studies(tmp_path / str(studies), studies)), ThumbnailEncoder(), index_dir)
    return Retriever.open(index_dir, ThumbnailEncoder()).index.manifest.fingerprint


def an_app(tmp_path: Path) -> Litestar:
    return create_app(
        Settings(database_path=tmp_path / "app.sqlite3"),
        retriever=Retriever.open(tmp_path / "index", ThumbnailEncoder()),
        backend=ExtractiveBackend(write_report),
        reopen=reopening(tmp_path / "index"),
    )


def test_no_request_is_dropped_and_none_mixes_two_indexes(tmp_path: Path) -> None:
    first = an_index(tmp_path, 24)
    images = [encode_png(draw_radiograph(500 + seed, size=(96, 80))) for seed in range(24)]
    rebuilt = threading.Event()
    with serving(an_app(tmp_path)) as address:

        def report(image: bytes) -> dict[str, Any]:
            answer = httpx.post(
                f"{address}/reports", files={"images": ("a.png", image)}, timeout=60
            )
            assert answer.status_code == 201, answer.text
            made: dict[str, Any] = answer.json()
            if rebuilt.is_set():
                assert made["index"]["current"] is True
            return made

        made = [report(images[0])]
        with ThreadPoolExecutor(6) as pool:
            under_way = pool.map(report, images[1:18])
            second = an_index(tmp_path, 6)
            answer = httpx.post(f"{address}/index/reload", timeout=60)
            assert answer.status_code == 200, answer.text
            assert (answer.json()["fingerprint"], answer.json()["studies"]) == (second, 6)
            made += under_way
            rebuilt.set()
            made += list(pool.map(report, images[18:]))
        assert httpx.get(f"{address}/health").json()["index"]["fingerprint"] == second
    assert {report["index"]["fingerprint"] for report in made} == {first, second}
    for one in made:
        fingerprint = one["index"]["fingerprint"]
        studies = 24 if fingerprint == first else 6
        assert all(int(hit["study_id"][1:]) < studies for hit in one["hits"])
        assert len(one["hits"]) == min(10, studies)


def test_an_open_index_keeps_its_cases_when_it_is_replaced(tmp_path: Path) -> None:
    an_index(tmp_path, 24)
    retriever = Retriever.open(tmp_path / "index", ThumbnailEncoder())
    an_index(tmp_path, 3)
    found: list[int] = []
    threads = [  # each with a connection of its own
        threading.Thread(target=lambda: found.append(retriever.index.cases.count()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [24] * 8


def test_a_read_only_database_stays_the_file_that_was_opened(tmp_path: Path) -> None:
    for name, rows in (("cases", 1), ("other", 2)):
        with sqlite3.connect(tmp_path / name) as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.executemany("INSERT INTO t VALUES (?)", [(1,)] * rows)
        connection.close()
    engine = open_sqlite(tmp_path / "cases", read_only=True)
    (tmp_path / "other").replace(tmp_path / "cases")
    with ExitStack() as stack:
        connections = [stack.enter_context(engine.connect()) for _ in range(4)]
        counts = [c.exec_driver_sql("SELECT count(*) FROM t").scalar() for c in connections]
    engine.dispose()
    assert counts == [1] * 4


def test_an_index_that_cannot_be_opened_leaves_the_old_one(tmp_path: Path) -> None:
    first = an_index(tmp_path, 6)
    with serving(an_app(tmp_path)) as address:
        (tmp_path / "index" / "manifest.json").write_text("{}")
        answer = httpx.post(f"{address}/index/reload", timeout=60)
        assert answer.status_code in (404, 409, 422)
        assert httpx.get(f"{address}/health").json()["index"]["fingerprint"] == first
        image = encode_png(draw_radiograph(1, size=(96, 80)))
        answer = httpx.post(f"{address}/searches", files={"images": ("a.png", image)})
        assert answer.status_code == 200


def test_an_index_that_is_cut_short_in_place_is_unready_until_it_is_reloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Readiness, "fresh_seconds", 0.0)
    an_index(tmp_path, 6)
    files = {"images": ("a.png", encode_png(draw_radiograph(500, size=(96, 80))))}
    with serving(an_app(tmp_path)) as address:
        vectors = next((tmp_path / "index").rglob(LISTS))
        os.truncate(vectors, vectors.stat().st_size // 2)
        for answer in (
            httpx.post(f"{address}/searches", files=files, timeout=60),
            httpx.post(f"{address}/searches", files={"case": (None, "local:s1")}, timeout=60),
            httpx.post(f"{address}/reports", files=files, timeout=60),
            httpx.get(f"{address}/health/ready"),
        ):
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
            assert "vectors.faiss of the index was cut short" in answer.json()["detail"]
        answer = httpx.post(f"{address}/reports", files=files, headers=LATER, timeout=60)
        assert answer.status_code == 202
        assert httpx.post(f"{address}/index/reload", timeout=60).status_code == 422
        an_index(tmp_path, 7)
        assert httpx.post(f"{address}/index/reload", timeout=60).status_code == 200
        assert httpx.post(f"{address}/searches", files=files, timeout=60).status_code == 200
        with httpx.Client(base_url=address) as client:
            made = settled(client, answer.headers["location"])
        assert made["status"] == "done"
        assert httpx.get(f"{address}/health/ready").status_code == 200
