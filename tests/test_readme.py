"""Every command and every line of Python in the README, run as it stands there."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from grounded_cxr.__main__ import PROG
from tests.conftest import ROOT
from tests.support.radiographs import draw_radiograph
from tests.support.warm_python import WarmPython

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    joined = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and line[0] != "#"]


ELSEWHERE = {
    "scripts/test": "is what runs this test",
    "mkdocs serve": "tests/test_docs/test_site.py builds the site",
    "grounded-cxr train": "takes minutes; tests/test_finetune/test_trainer.py runs it small",
    ". .venv/bin/activate": "the tests run in the environment",
}
"""Commands that this file does not run, and where they are run."""

BAR = re.compile(r"|(?:\d+%|\d+image).*image/s\]")


@dataclass(frozen=True)
class Demo:
    """A run of the first command of the README."""

    stdout: str
    stderr: str
    index: Path

    @property
    def reports(self) -> list[str]:
        """What was printed of each report, from its findings on."""
        return self.stdout.split("FINDINGS\n")[1:]


@pytest.fixture(scope="module")
def demo() -> Demo:
    ran = subprocess.run(
        ["scripts/demo", "--once"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return Demo(ran.stdout, ran.stderr, ROOT / "data" / "index")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, demo: Demo) -> Path:
    """A folder with the files that the README's commands name."""
    path = tmp_path_factory.mktemp("desk")
    for number, name in enumerate(("image.png", "lateral.png", "pa.png")):
        Image.fromarray(draw_radiograph(number, size=(300, 260))).save(path / name)
    image = get_testdata_file("RG1_UNCR.dcm", download=False)
    assert image is not None
    shutil.copy(image, path / "image.dcm")
    lines = []
    for number in range(12):
        Image.fromarray(draw_radiograph(100 + number, size=(300, 260))).save(path / f"{number}.png")
        text = "FINDINGS: The heart is enlarged. The lungs are clear. IMPRESSION: Cardiomegaly."
        lines.append(json.dumps({"image": f"{number}.png", "text": text}))
    (path / "studies.jsonl").write_text("\n".join(lines))
    (path / "pretrained").symlink_to(ROOT / "pretrained")
    (path / "data").mkdir()
    (path / "data" / "index").symlink_to(demo.index)
    return path


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_every_command_of_the_readme_works(desk: Path, warm_python: WarmPython) -> None:
    ran = 0
    server = Server(warm_python, desk)
    with ExitStack() as until_the_end:
        for command in commands():
            if any(command.startswith(known) for known in (*ELSEWHERE, "scripts/demo")):
                continue
            if command.startswith(f"{PROG} serve"):
                until_the_end.enter_context(server.running(command))
                continue
            if command.startswith(f"{PROG} "):
                words = shlex.split(command, comments=True)[1:]
                code, said = warm_python.run("-m", "grounded_cxr", *words, cwd=desk)
            else:
                code, said = shell(server.addressed(command), desk)
            assert code == 0, f"{command}\n{said}"
            ran += 1
    assert ran >= 6
    manifest = json.loads((desk / "data" / "mine" / "manifest.json").read_text())
    assert manifest["encoder"]["name"] == "pretrained/encoder"


def shell(command: str, folder: Path) -> tuple[int, str]:
    """Exit code and output."""
    ran = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_the_python_of_the_readme_works(desk: Path, warm_python: WarmPython) -> None:
    [code] = blocks("python")
    (desk / "readme.py").write_text(code, encoding="utf-8")
    exit_code, said = warm_python.run("readme.py", cwd=desk)
    assert exit_code == 0, said
    assert re.search(r"^  .+ (\[\d+\])+$", said, re.MULTILINE)
    assert "Research use only, not for clinical use." in said


def test_every_sentence_that_the_demo_prints_cites_a_listed_open_i_study(demo: Demo) -> None:
    beside = [line for line in re.split(r"[\r\n]+", demo.stderr) if not BAR.fullmatch(line.strip())]
    assert beside == [], "nothing but the bar of a slow build stands beside it"
    assert demo.reports
    for printed in demo.reports:
        report, cases = printed.split("CITED CASES")
        sentences = re.findall(r"^  \S.*$", report, re.MULTILINE)
        ends = re.compile(r"((\[\d+\])+|\[image only\])( \(added by rule\))?$")
        assert len(sentences) >= 3 and all(ends.search(sentence) for sentence in sentences)
        cited = set(re.findall(r"\[(\d+)\]", report))
        listed = dict(re.findall(r"^  \[(\d+)\] openi (\d+)", cases, re.MULTILINE))
        assert cited and cited == listed.keys()
        assert "Research use only, not for clinical use." in cases
    assert (demo.index / "manifest.json").is_file()


def test_the_demo_output_in_the_readme_is_what_the_demo_prints(demo: Demo) -> None:
    """Sentences of a data set are cut to ``...`` in the README; everything else is verbatim."""
    shown = blocks("text")[0]
    assert len(shown.splitlines()) >= 10
    for line in shown.splitlines():
        if line.strip() and line.strip() != "...":
            pattern = ".*".join(re.escape(part) for part in line.strip().split("..."))
            assert re.search(rf"^\s*{pattern}\s*$", demo.stdout, re.MULTILINE), line


def test_the_results_in_the_readme_are_the_last_line_of_the_test_log() -> None:
    log = (ROOT / "results" / "test_log.jsonl").read_text().splitlines()
    figures = json.loads(log[-1])["figures"]
    header = next(line for line in README.splitlines() if line.startswith("| reports |"))
    metrics = [cell.strip() for cell in header.strip("| ").split("|")][1:]
    rows = README.split(header)[1].split("\n\n")[0].splitlines()[2:]
    assert len(rows) == 4
    for row in rows:
        name, *cells = (cell.strip() for cell in row.strip("| ").split("|"))
        assert len(cells) == len(metrics)
        for metric, cell in zip(metrics, cells, strict=True):
            shown = [float(number) for number in re.findall(r"\d*\.\d+", cell)]
            assert shown == pytest.approx(figures[name.strip("*")][metric], abs=6e-4), (
                name,
                metric,
            )


def test_the_table_in_the_readme_is_part_of_all_results() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    table = README.split("| reports |")[1].split("\n\n")[0]
    for row in table.splitlines()[2:]:
        assert row in re.sub(r"( \|[^|\n]*){2} \|$", " |", page, flags=re.MULTILINE), row


def test_the_readme_fits_on_one_page_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 150
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert target.startswith("https://") or (ROOT / target).is_file(), target


class Server:
    """The server of the README on a free port."""

    def __init__(self, python: WarmPython, folder: Path) -> None:
        self._python, self._folder = python, folder
        self.port = free_port()

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """Serve while the block runs."""
        words = [*shlex.split(command)[1:], "--port", str(self.port)]
        said = self._folder / "server.txt"
        child = self._python.start("-m", "grounded_cxr", *words, output=said, cwd=self._folder)
        try:
            deadline = time.monotonic() + 120
            while not self._answers():
                if child.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the server did not start: {said.read_text()}")
                time.sleep(0.1)
            yield
        finally:
            child.end()

    def _answers(self) -> bool:
        try:
            return bool(self._get("/health"))
        except OSError:
            return False

    def addressed(self, command: str) -> str:
        """A line of curl that asks this server, and for a text that it has stored."""
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        command = command.replace("curl ", "curl --fail-with-body -sS ", 1)
        return command.replace("GENERATION", self._newest_generation())

    def _newest_generation(self) -> str:
        try:
            listed = json.loads(self._get("/generations"))
            return str(listed["generations"][0]["id"])
        except (OSError, LookupError):
            return "GENERATION"

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            body: bytes = answer.read()
            return body


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
