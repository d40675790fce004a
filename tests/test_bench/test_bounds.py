"""A service under hostile files and a batch, the short form of bench/service/bounds.py."""

import os
from pathlib import Path

from bench.service.bounds import measure, pss_mb
from bench.service.hostile_files import FILES, hostile_request
from tests.support.service.services import an_app, serving

SHORT = (
    "PNG of 3,600 megapixels",
    "PNG of 100 megapixels with alpha",
    "TIFF of 60,000 directories",
    "WebP of 256 megapixels by its header",
    "DICOM of 25 million empty items",
    "DICOM of 100,000 nested items",
    "DICOM of 500 MB once inflated",
)


def test_hostile_files_and_a_batch_are_answered_in_bounded_memory(tmp_path: Path) -> None:
    numbers = [list(FILES).index(name) for name in SHORT]
    before = pss_mb(os.getpid())
    with serving(an_app(tmp_path)) as address:
        measured = measure(
            address, os.getpid(), files=numbers, studies=12, height=1200, seconds=0.5
        )
    assert not measured.failed and measured.done == 12
    assert sorted(name for name, *_ in measured.answers) == sorted(SHORT)
    assert {status for _, _, status, _ in measured.answers} <= {409, 413, 422}
    assert measured.searches and measured.healths
    assert 0 < max(measured.pss_mb) < before + 2_500


def test_the_hostile_requests_take_all_routes() -> None:
    small = [name for name in FILES if "header" in name or "3,600" in name]
    numbers = [list(FILES).index(name) + len(FILES) * turn for name in small for turn in range(5)]
    paths = {hostile_request(number).path for number in numbers}
    assert paths >= {"/reports", "/searches", "/batches", "/v1/chat/completions"}
