"""The documentation builds without a warning, and its pages load nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOADED = re.compile(r"""(?:<script[^>]*\ssrc|<link[^>]*\shref|<img[^>]*\ssrc)=["']?(https?:)?//""")
FETCHED = re.compile(r"@import|url\(\s*[\"']?(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr
    return folder


def test_every_page_is_built_and_says_research_use_only(site: Path) -> None:
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    assert len(pages) == len(list((ROOT / "docs").rglob("*.md")))
    for page in pages:
        assert "Research use only, not for clinical use" in page.read_text(encoding="utf-8"), page


def test_no_page_loads_anything_from_another_address(site: Path) -> None:
    assert LOADED.search('<script defer src="https://example.org/a.js">')  # the pattern sees one
    for page in site.rglob("*.html"):
        assert not LOADED.search(page.read_text(encoding="utf-8")), page
    for style in site.rglob("*.css"):
        assert not FETCHED.search(style.read_text(encoding="utf-8")), style


def test_the_reference_shows_the_docstrings(site: Path) -> None:
    text = (site / "reference" / "retriever" / "index.html").read_text(encoding="utf-8")
    assert "retriever.search.Retriever.search" in text
