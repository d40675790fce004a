"""The Dockerfile and the compose files, as their linters see them; they are built elsewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from sqlalchemy import URL

from api.__main__ import parser
from db.extras import EXTRA_OF
from grounded_cxr import __version__
from tests.conftest import ROOT

BIN = Path(sys.executable).parent
COMPOSE = ("compose.yaml", "compose.scale.yaml")


def lint(*command: str) -> str:
    """Return what a linter reports; empty if it finds nothing."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_dockerfile_is_clean() -> None:
    assert lint("hadolint", "--failure-threshold", "style", "Dockerfile") == ""


@pytest.mark.parametrize("name", COMPOSE)
def test_the_compose_file_is_clean(name: str) -> None:
    assert lint("compose-lint", "--strict-config", "--fail-on", "low", name) == ""


@pytest.mark.parametrize("name", COMPOSE)
def test_the_image_is_of_this_version(name: str) -> None:
    assert f"image: grounded-cxr:{__version__}\n" in (ROOT / name).read_text()


def test_the_service_of_the_larger_set_up_is_told_what_it_understands() -> None:
    services = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["services"]
    arguments = parser().parse_args(services["service"]["command"])
    assert arguments.index == arguments.database  # two names of one database
    assert isinstance(arguments.index, URL) and arguments.index.host in services
    made = services["database"]["environment"]
    assert (arguments.index.username, arguments.index.database) == (
        made["POSTGRES_USER"],
        made["POSTGRES_DB"],
    )
    assert arguments.trusted_proxy == ["172.31.250.0/24"]
    assert "psycopg" in EXTRA_OF and "demo openai postgres" in (ROOT / "Dockerfile").read_text()


def test_the_proxy_passes_on_what_the_service_needs(tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["services"]
    [mounted] = services["proxy"]["volumes"]
    path = ROOT / mounted.split(":")[0]
    text = path.read_text()
    assert "set $service http://service:8000;" in text and "listen 8000;" in text
    documented = (ROOT / "docs" / "serve.md").read_text()
    for line in re.findall(r"^ +(proxy_(?:set_header|http|buff|request|read).+;)$", text, re.M):
        assert line in documented, line
    if shutil.which("nginx") is not None:
        own = tmp_path / "nginx.conf"
        own.write_text(text.replace("/tmp/", f"{tmp_path}/"))
        done = subprocess.run(
            ["nginx", "-t", "-c", own], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr


def test_the_dockerfile_builds_the_index_that_it_serves() -> None:
    """The index is built into a folder that the command serves, as the user who made it."""
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("USER 10001") < text.index("scripts/install demo")
    assert "--vectors pretrained/openi --out data/index" in text and '"serve", "data/index"' in text
    assert (ROOT / "scripts" / "install").is_file() and (ROOT / "pretrained" / "openi").is_dir()
