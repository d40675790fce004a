"""Every curl line of api/README.md, run as it stands there, and no endpoint without one."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection
from api.pipeline.current_index import reopening
from api.settings import Settings
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.conftest import ROOT
from tests.support.dicoms import write_dicom
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.pacs import STUDY, holding, scripted
from tests.support.radiographs import draw_radiograph
from tests.support.service.clients import settled
from tests.support.service.services import a_png, serving
from tests.support.service.writers import TalkingWriter

README = (ROOT / "api" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SERVER = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index and the files that the lines name."""
    path = tmp_path_factory.mktemp("desk")
    studies = JsonLines(write_studies(path / "studies", 8))
    build(studies, ReportEncoder({"Cardiomegaly": 0.8}), path / "index")
    for seed, name in enumerate(("pa.png", "lateral.png")):
        (path / name).write_bytes(a_png(40 + seed, size=(96, 80)))
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"}
    write_dicom(path / "image.dcm", draw_radiograph(42, size=(96, 80)), **uids)
    return path


@pytest.fixture(scope="module")
def archive(desk: Path) -> Iterator[str]:
    """The address of a PACS that holds the DICOM image."""
    with scripted(holding((desk / "image.dcm").read_bytes())) as there:
        yield there.url


@pytest.fixture(scope="module")
def app(desk: Path, archive: str) -> Litestar:
    return create_app(
        Settings(database_path=desk / "app.sqlite3", sample_path=desk / "pa.png"),
        retriever=Retriever.open(desk / "index", ReportEncoder({"Cardiomegaly": 0.8})),
        backend=TalkingWriter(),
        reopen=reopening(desk / "index"),
        pacs=Pacs(PacsConnection(archive)),
    )


@pytest.fixture(scope="module")
def names(app: Litestar, desk: Path, archive: str) -> Iterator[dict[str, str]]:
    """What stands for what in the lines: the address, and ids out of earlier answers."""
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        image = (desk / "image.dcm").read_bytes()
        made = client.post("/reports", files={"images": ("image.dcm", image)}).json()
        batch = client.post("/batches", files={"images": ("image.dcm", image)})
        settled(client, batch.headers["location"])
        yield {
            SERVER: address,
            "GENERATION": made["id"],
            "BATCH": batch.json()["id"],
            "CASE": made["hits"][0]["case"],
            "STUDY": STUDY,
            "PACS": archive,
        }


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_curl_line_is_answered(block: str, names: dict[str, str], desk: Path) -> None:
    for name, value in names.items():
        block = block.replace(name, value)
    script = 'curl() { command curl --fail-with-body -sS --max-time 60 "$@"; }\n' + block
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=desk, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"error"' not in done.stdout and "event: problem" not in done.stdout


def test_every_endpoint_has_a_line(app: Litestar) -> None:
    asked = set()
    for line in "\n".join(BLOCKS).splitlines():
        if line.startswith("curl "):
            words = shlex.split(re.sub(r"<.*", "", line))
            (url,) = [word for word in words if word.startswith(SERVER)]
            sends = {"-F", "-d", "--data-binary"} & set(words)
            method = words[words.index("-X") + 1] if "-X" in words else "POST" if sends else "GET"
            asked.add((method, url.removeprefix(SERVER).partition("?")[0]))
    document: dict[str, Any] = app.openapi_schema.to_schema()
    missing = [
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
        if not any(
            method.upper() == given and re.fullmatch(re.sub(r"\{\w+\}", r"[\\w:]+", path), place)
            for given, place in asked
        )
    ]
    assert missing == []
