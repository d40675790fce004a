"""What an installation without torch can do, and what it says of the rest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from db.extras import EXTRA_OF
from indexer.build import build
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import DEFAULT_ENCODER
from indexer.sources.jsonl import JsonLines
from tests.conftest import ROOT
from tests.support.fakes import write_studies
from tests.support.radiographs import draw_radiograph

LEFT_OUT = sorted(module for module, extra in EXTRA_OF.items() if extra not in ("serve", ""))

RUN = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))
from grounded_cxr.__main__ import main
for words in json.loads(sys.argv[2]):
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        code = main(words)
    print(json.dumps([code, said.getvalue()]), flush=True)
import api.app
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    build(
        JsonLines(write_studies(folder / "studies", 6)),
        load_encoder(DEFAULT_ENCODER),
        folder / "index",
    )
    return folder / "index"


def test_search_extractive_reports_and_the_service_need_no_torch(
    index: Path, tmp_path: Path
) -> None:
    image = str(tmp_path / "pa.png")
    Image.fromarray(draw_radiograph(40, size=(96, 80))).save(image)
    study = [str(index), image]
    commands = [
        ["search", *study, "--json"],
        ["report", *study],
        ["ask", *study, "--question", "Is the heart enlarged?"],
        ["report", *study, "--model", "pretrained/generator"],
        ["search", str(index), "--text", "small effusion"],
        ["search", *study, "--device", "cuda"],
    ]
    ran = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(LEFT_OUT), json.dumps(commands)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    search, report, ask, *others = (json.loads(line) for line in ran.stdout.splitlines())
    assert search[0] == report[0] == ask[0] == 0
    assert len(json.loads(search[1])["hits"]) > 0
    assert "note: torch is not installed (scripts/install model)" in report[1]
    assert "CITED CASES" in report[1]
    for code, said in others:
        needs = "error: this needs the package torch, which is not installed: run scripts/install"
        assert (code, said) == (1, f"{needs} model\n")
