"""The Dockerfile and the compose file, as their linters see them; they are built elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

from grounded_cxr import __version__
from indexer.encoder.onnx import CACHE_VARIABLE
from retriever.search import Retriever
from tests.conftest import ROOT

BIN = Path(sys.executable).parent


def lint(*command: str) -> str:
    """Return what a linter reports; empty if it finds nothing."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_dockerfile_is_clean() -> None:
    assert lint("hadolint", "--failure-threshold", "style", "Dockerfile") == ""


def test_the_compose_file_is_clean() -> None:
    assert lint("compose-lint", "--strict-config", "--fail-on", "low", "compose.yaml") == ""


def test_the_image_is_of_this_version() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    assert f"image: grounded-cxr:{__version__}\n" in compose


def test_the_dockerfile_builds_the_index_that_it_serves() -> None:
    """The index is built into a folder that the command serves, as the user who made it."""
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("USER 10001") < text.index("scripts/install demo")
    assert "--vectors pretrained/openi --out data/index" in text and '"serve", "data/index"' in text
    assert (ROOT / "scripts" / "install").is_file() and (ROOT / "pretrained" / "openi").is_dir()


def test_the_dockerfile_caches_the_encoder_for_a_read_only_container() -> None:
    """The build opens the index once with the cache folder of the container, and checks it."""
    text = (ROOT / "Dockerfile").read_text()
    [folder] = re.findall(rf"^ENV {CACHE_VARIABLE}=/app/(\w+)$", text, re.MULTILINE)
    [code] = re.findall(r'python -c "(.+)" \\$', text, re.MULTILINE)
    assert text.index("--out data/index") < text.index(code) < text.index(f"ls {folder}/*.onnx")
    assert code == f"from {Retriever.__module__} import Retriever; Retriever.open('data/index')"
    assert folder not in (ROOT / ".dockerignore").read_text().split()
