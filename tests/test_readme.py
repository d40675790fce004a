"""Every command and every line of Python in the README, run as it stands there."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from tests.conftest import ROOT
from tests.support.radiographs import draw_radiograph

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    joined = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and line[0] != "#"]


ELSEWHERE = {
    "scripts/test": "is what runs this test",
    "python -m finetune encoder": "needs a GPU; tests/test_finetune/test_encoder.py runs it small",
    "python -m finetune train": "takes minutes; tests/test_finetune/test_trainer.py runs it small",
    "python -m evaluation retrieval": "takes minutes; tests/test_evaluation/ runs it small",
}
"""Commands that this file does not run, and where they are run."""


@dataclass(frozen=True)
class Demo:
    """A run of the first command of the README."""

    printed: str
    said: str
    """On stderr."""
    seconds: float
    index: Path

    @property
    def extractive(self) -> str:
        return self.printed.split(MODELLED)[0]

    @property
    def modelled(self) -> str:
        return self.printed.split(MODELLED)[1]


MODELLED = "The same film, as the language model in pretrained/generator writes it:"


@pytest.fixture(scope="module")
def demo() -> Demo:
    started = time.monotonic()
    ran = subprocess.run(
        ["scripts/demo", "--once"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return Demo(ran.stdout, ran.stderr, time.monotonic() - started, ROOT / "data" / "index")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, demo: Demo) -> Path:
    """A folder with the files that the README's commands name."""
    path = tmp_path_factory.mktemp("desk")
    for number, name in enumerate(("film.png", "lateral.png", "pa.png")):
        Image.fromarray(draw_radiograph(number, size=(300, 260))).save(path / name)
    image = get_testdata_file("RG1_UNCR.dcm", download=False)
    assert image is not None
    shutil.copy(image, path / "film.dcm")
    lines = []
    for number in range(12):
        Image.fromarray(draw_radiograph(100 + number, size=(300, 260))).save(path / f"{number}.png")
        text = "FINDINGS: The heart is enlarged. The lungs are clear. IMPRESSION: Cardiomegaly."
        lines.append(json.dumps({"image": f"{number}.png", "text": text}))
    (path / "studies.jsonl").write_text("\n".join(lines))
    openi = path / "OPENI"
    (openi / "images").mkdir(parents=True)
    for study in (1, 5, 6):
        image_ = Image.fromarray(draw_radiograph(200 + study, size=(256, 256)))
        image_.save(openi / "images" / f"{study}_IM-0001-1001.dcm.jpg")
    (path / "r2gen_split.json").write_text('{"train": [1, 5, 6], "val": [4], "test": [2]}')
    for folder in ("pretrained", "bench"):
        (path / folder).symlink_to(ROOT / folder)
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


def test_every_command_of_the_readme_works(desk: Path) -> None:
    ran = 0
    with Server(desk) as server, Python(desk) as python:
        for command in commands():
            if any(command.startswith(known) for known in (*ELSEWHERE, "scripts/demo")):
                continue
            if command.startswith("python -m api serve"):
                server.start(command)
                continue
            if command.startswith("python -m "):
                code, said = python.run(shlex.split(command, comments=True)[2:])
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


def test_the_python_of_the_readme_works(desk: Path) -> None:
    [code] = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=desk,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(r"^  .+ (\[\d+\])+$", result.stdout, re.MULTILINE)
    assert "Research use only, not for clinical use." in result.stdout


def test_the_demo_prints_a_report_whose_every_sentence_cites_an_openi_study(
    demo: Demo,
) -> None:
    assert demo.seconds < 90, "with the index built"
    assert demo.said == "", "no library talks beside it"
    report, cases = demo.extractive.split("FINDINGS\n")[1].split("CITED CASES")
    statements = re.findall(r"^  (\S.*?)((?: ?\[\d+\])+)$", report, re.MULTILINE)
    sentences = re.findall(r"^  \S.*$", report, re.MULTILINE)
    assert len(statements) == len(sentences) >= 3
    cited = {number for _, marks in statements for number in re.findall(r"\d+", marks)}
    listed = dict(re.findall(r"^  \[(\d+)\] openi (\d+)", cases, re.MULTILINE))
    assert cited == listed.keys()
    assert all(study.isdigit() for study in listed.values())
    assert "Research use only, not for clinical use." in demo.extractive
    assert (demo.index / "manifest.json").is_file()


def test_the_demo_prints_the_report_of_the_language_model_with_what_it_rests_on(
    demo: Demo,
) -> None:
    report, cases = demo.modelled.split("FINDINGS\n")[1].split("CITED CASES")
    sentences = re.findall(r"^  \S.*$", report, re.MULTILINE)
    assert sentences
    assert all(re.search(r"(\[\d+\]|\[image only\])$", sentence) for sentence in sentences)
    cited = set(re.findall(r"\[(\d+)\]", report))
    assert cited == set(re.findall(r"^  \[(\d+)\] openi \d+", cases, re.MULTILINE))
    assert cited
    assert "Research use only, not for clinical use." in cases


def test_the_demo_output_in_the_readme_is_what_the_demo_prints(demo: Demo) -> None:
    """Sentences of a data set are cut to ``...`` in the README; everything else is verbatim."""
    shown = blocks("text")[0]
    assert len(shown.splitlines()) >= 10
    for line in shown.splitlines():
        if line.strip() and line.strip() != "...":
            pattern = ".*".join(re.escape(part) for part in line.strip().split("..."))
            assert re.search(rf"^\s*{pattern}\s*$", demo.printed, re.MULTILINE), line


def test_the_table_in_the_readme_is_the_last_evaluation_in_the_test_log() -> None:
    log = (ROOT / "bench" / "test_log.jsonl").read_text().splitlines()
    runs = [json.loads(line)["figures"] for line in log]
    figures = [run for run in runs if "random cases" in run][-1]
    rows = {
        "a random case": "random cases",
        "nearest case, ImageNet features": "nearest case by imagenet, both",
        "**nearest case**, both views": "nearest case by pretrained/encoder, both",
        "label head, both views": "label head of pretrained/encoder, both",
    }
    header = next(line for line in README.splitlines() if line.startswith("| system"))
    metrics = [cell.strip() for cell in header.strip("| ").split("|")][1:]
    for name, system in rows.items():
        line = next(line for line in README.splitlines() if line.startswith(f"| {name} |"))
        cells = [cell.strip() for cell in line.split("|")[2:-1]]
        assert len(cells) == len(metrics)
        for metric, cell in zip(metrics, cells, strict=True):
            shown = [float(number) for number in re.findall(r"\d*\.\d+", cell)]
            assert shown == pytest.approx(figures[system].get(metric, []), abs=6e-4), (name, metric)


class Server:
    """The server of the README on a free port."""

    def __init__(self, desk: Path) -> None:
        self._desk = desk
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self, command: str) -> None:
        self._process = subprocess.Popen(
            [*shlex.split(command), "--port", str(self.port)],
            cwd=self._desk,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                self._get("/health")
                return
            except OSError:
                assert self._process.poll() is None, "the server ended"
                time.sleep(0.2)
        pytest.fail("the server did not start")

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
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)


class Python:
    """``python -m`` commands in a folder, forked from one process that has the libraries."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "output.txt"
        self._process = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "warm_python.py"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, words: Sequence[str]) -> tuple[int, str]:
        """Exit code and output of a module and its arguments."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([str(self._output), *words])}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()), self._output.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes the pipes and waits
            os.killpg(self._process.pid, signal.SIGTERM)  # and a command that still runs


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
