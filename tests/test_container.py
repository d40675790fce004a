"""The Dockerfile and the compose file, as their linters see them; they are built elsewhere."""

import subprocess
import sys
from pathlib import Path

from grounded_cxr import __version__
from tests.conftest import ROOT

BIN = Path(sys.executable).parent


def lint(*command: str) -> str:
    """What a linter has to say; nothing where all is well."""
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


def test_what_the_dockerfile_runs_is_there() -> None:
    """The index is built into a folder that the command serves, as the user who made it."""
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("USER 10001") < text.index("scripts/install demo")
    assert "--vectors pretrained/openi --out data/index" in text and '"serve", "data/index"' in text
    assert (ROOT / "scripts" / "install").is_file() and (ROOT / "pretrained" / "openi").is_dir()
