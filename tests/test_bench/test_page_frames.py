"""Frames of the page, the short form of bench/service/page_frames.py."""

import pytest

from bench.service.page_frames import interactions, longest_tasks


def a_task(ts: float, dur: float, *, tid: int = 1, **more: float) -> dict[str, object]:
    return {"name": "RunTask", "ph": "X", "pid": 9, "tid": tid, "ts": ts, "dur": dur, **more}


def test_the_longest_task_of_the_main_thread_after_each_mark_is_found() -> None:
    def mark(name: str, ts: float) -> dict[str, object]:
        return {"name": f"interaction: {name}", "pid": 9, "tid": 1, "ts": ts}

    events = [
        *(mark("zoom", 100.0), mark("pan", 900.0)),
        *(a_task(50, 90_000), a_task(200, 12_000, tdur=8_000), a_task(300, 4_000, tdur=3_900)),
        *(a_task(400, 99_000, tid=2), a_task(901, 140_000, tdur=20_000)),
    ]
    assert longest_tasks(events) == pytest.approx({"zoom": 12.0, "pan": 140.0})
    assert longest_tasks(events, "tdur") == pytest.approx({"zoom": 8.0, "pan": 20.0})


def test_fifty_interactions_of_different_names_are_measured() -> None:
    names = [name for name, _ in interactions(None)]  # type: ignore[arg-type]
    assert len(names) == len(set(names)) == 50
